import { describe, expect, test } from 'bun:test'
import { CLOSE_REASONS, type CloseReason, closeRow } from '../../src/domain/close-reasons'
import { asSessionId, asTenantId } from '../../src/domain/ids'
import {
  DEFAULT_SETTINGS,
  SESSION_STATUSES,
  type Session,
  type SessionState,
  type SessionStatus,
} from '../../src/domain/session'
import { type Decision, decide, type Effect, type Input, STABLE_AFTER } from '../../src/domain/session-life'

const NOW = Date.UTC(2026, 0, 2)
const context = { now: NOW, random: () => 0.5, qrMaxWindows: 1 }
const me = { phoneNumber: '4915112345678', lid: '1234@lid', name: 'Ada', platform: 'android' }

const STATES: { [S in SessionStatus]: Extract<SessionState, { status: S }> } = {
  inactive: { status: 'inactive' },
  connecting: { status: 'connecting', attempt: 2, window: 1 },
  qr_generated: { status: 'qr_generated', qr: 'code', expiresAt: NOW + 60_000, window: 1, attempt: 0 },
  connected: { status: 'connected', since: NOW - 1_000, attempt: 2 },
  disconnected: {
    status: 'disconnected',
    why: { reason: 'connection_lost', code: 428, detail: 'gone' },
    retryAt: NOW + 5_000,
    attempt: 2,
    window: 1,
  },
}

const session = (status: SessionStatus, also: Partial<Session> = {}): Session => ({
  id: asSessionId('0'.repeat(32)),
  tenantId: asTenantId('tenant'),
  name: 'Support',
  description: null,
  settings: DEFAULT_SETTINGS,
  state: STATES[status],
  credentials: status === 'qr_generated' ? 'none' : 'linked',
  me: status === 'qr_generated' ? null : me,
  clientVersion: null,
  restriction: null,
  lastDisconnect: null,
  createdAt: NOW - 100_000,
  updatedAt: NOW - 100_000,
  lastActivity: NOW - 500,
  firstStartedAt: NOW - 100_000,
  connectedMs: 7_000,
  outage: null,
  ...also,
})

const INPUTS: { [I in Input['on']]: Extract<Input, { on: I }> } = {
  start: { on: 'start' },
  stop: { on: 'stop' },
  restart: { on: 'restart' },
  clear_auth: { on: 'clear_auth' },
  logout: { on: 'logout' },
  resume: { on: 'resume' },
  retry_due: { on: 'retry_due' },
  qr: { on: 'qr', text: 'next code', expiresAt: NOW + 20_000 },
  paired: { on: 'paired', me },
  opened: { on: 'opened', me, clientVersion: '2.3000.1' },
  closed: { on: 'closed', why: { reason: 'connection_lost', code: 428, detail: 'gone' } },
}

/** Every cell: what the input leads to (`→ status`), its effects and its events; `same` and `ignored` as they are. */
const CELLS: { [S in SessionStatus]: { [I in Input['on']]: string } } = {
  inactive: {
    start: 'connecting: open; session.connecting',
    stop: 'same',
    restart: 'connecting: open; session.connecting',
    clear_auth: 'inactive: logout wipe; session.credentials_cleared',
    logout: 'inactive: logout close wipe; session.credentials_cleared session.stopped',
    resume: 'ignored',
    retry_due: 'ignored',
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: 'ignored',
  },
  connecting: {
    start: 'same',
    stop: 'inactive: close; session.stopped',
    restart: 'same',
    clear_auth: 'connecting: logout close wipe open; session.credentials_cleared session.connecting',
    logout: 'inactive: logout close wipe; session.credentials_cleared session.stopped',
    resume: 'connecting: open; session.connecting',
    retry_due: 'ignored',
    qr: 'qr_generated: ; ',
    paired: 'connecting: ; ',
    opened: 'connected: ; session.connected',
    closed: 'disconnected: close retry; session.disconnected',
  },
  qr_generated: {
    start: 'same',
    stop: 'inactive: close; session.stopped',
    restart: 'connecting: close open; session.connecting',
    clear_auth: 'connecting: close wipe open; session.credentials_cleared session.connecting',
    logout: 'inactive: close wipe; session.credentials_cleared session.stopped',
    resume: 'disconnected: close; session.disconnected',
    retry_due: 'ignored',
    qr: 'qr_generated: ; ',
    paired: 'qr_generated: ; ',
    opened: 'connected: ; session.connected',
    closed: 'disconnected: close retry; session.disconnected',
  },
  connected: {
    start: 'same',
    stop: 'inactive: close; session.stopped',
    restart: 'connecting: close open; session.connecting',
    clear_auth: 'connecting: logout close wipe open; session.credentials_cleared session.connecting',
    logout: 'inactive: logout close wipe; session.credentials_cleared session.stopped',
    resume: 'connecting: open; session.connecting',
    retry_due: 'ignored',
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: 'disconnected: close retry; session.disconnected',
  },
  disconnected: {
    start: 'connecting: open; session.connecting',
    stop: 'inactive: ; session.stopped',
    restart: 'connecting: open; session.connecting',
    clear_auth: 'connecting: logout close wipe open; session.credentials_cleared session.connecting',
    logout: 'inactive: logout close wipe; session.credentials_cleared session.stopped',
    resume: 'connecting: open; session.connecting',
    retry_due: 'connecting: open; session.connecting',
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: 'ignored',
  },
}

const shownEffect = (effect: Effect) => (typeof effect === 'object' ? 'retry' : effect)
const shown = (decision: Decision) =>
  `${decision.session.state.status}: ${decision.effects.map(shownEffect).join(' ')}; ${decision.events
    .map(({ name }) => name)
    .join(' ')}`

const decided = (of: Session, input: Input, also: Partial<typeof context> = {}): Decision => {
  const outcome = decide(of, input, { ...context, ...also })
  if (typeof outcome === 'string') throw new Error(`expected a decision, got ${outcome}`)
  return outcome
}

describe('the table of session life', () => {
  for (const status of SESSION_STATUSES) {
    for (const on of Object.keys(INPUTS) as Input['on'][]) {
      test(`${status} × ${on}`, () => {
        const before = session(status)
        const frozen = structuredClone(before)
        const outcome = decide(before, INPUTS[on], context)
        expect(typeof outcome === 'string' ? outcome : shown(outcome)).toBe(CELLS[status][on])
        expect(before).toEqual(frozen)
        if (typeof outcome === 'string') return
        expect(outcome.session.updatedAt).toBe(NOW)
        for (const event of outcome.events) {
          expect(event.sessionId).toBe(before.id)
          expect(event.tenantId).toBe(before.tenantId)
        }
      })
    }
  }
})

/** How often the backoff may still try: an attempt count below the default budget of ten. */
const REACTIONS: { [R in CloseReason]: string } = {
  restart_required: 'connecting: open; session.connecting',
  connection_lost: 'disconnected: close retry; session.disconnected',
  server_unavailable: 'disconnected: close retry; session.disconnected',
  stream_error: 'disconnected: close retry; session.disconnected',
  upgrade_refused: 'disconnected: close retry; session.disconnected',
  proxy_failed: 'disconnected: close retry; session.disconnected',
  rate_limited: 'disconnected: close retry; session.disconnected',
  storage_failed: 'disconnected: close retry; session.disconnected',
  untrusted_server: 'disconnected: close; session.disconnected',
  generic_failure: 'disconnected: close retry; session.disconnected',
  replaced: 'disconnected: close retry; session.disconnected',
  qr_timeout: 'disconnected: close; session.disconnected',
  pairing_failed: 'disconnected: close; session.disconnected',
  passkey_required: 'disconnected: close; session.disconnected',
  logged_out: 'disconnected: close; session.disconnected',
  account_locked: 'disconnected: close; session.disconnected',
  temporarily_banned: 'disconnected: close; session.disconnected',
  banned: 'disconnected: close; session.disconnected',
  client_outdated: 'disconnected: close; session.disconnected',
  client_refused: 'disconnected: close; session.disconnected',
  duplicate_phone_number: 'disconnected: logout close; session.disconnected',
  process_restarted: 'disconnected: close; session.disconnected',
}

describe('every reason a connection ends for', () => {
  for (const reason of CLOSE_REASONS) {
    test(reason, () => {
      const from = session('connecting', { state: { status: 'connecting', attempt: 0, window: 1 } })
      const after = decided(from, { on: 'closed', why: { reason, code: 1, detail: 'said' } })
      expect(shown(after)).toBe(REACTIONS[reason])
      const revoked = reason === 'logged_out' || reason === 'duplicate_phone_number'
      expect(after.session.credentials).toBe(revoked ? 'revoked' : 'linked')
      expect(closeRow(reason).wipe).toBe(revoked ? 'at_next_start' : 'never')
      expect(after.session.me).toEqual(me)
      if (reason === 'restart_required') return
      expect(after.session.lastDisconnect).toEqual({ code: 1, reason, detail: 'said', at: NOW })
      const told = after.events[0]?.fields
      expect(told).toMatchObject({ reason, code: 1 })
      expect(told?.willReconnect).toBe(told?.nextAttemptAt !== null)
      expect(String(told?.action).length).toBeGreaterThan(10)
    })
  }

  test('a reason that heals by itself asks for a restart once nobody tries any more', () => {
    const from = session('connecting', { settings: { ...DEFAULT_SETTINGS, autoReconnect: false } })
    const after = decided(from, INPUTS.closed)
    expect(after.events[0]?.fields).toMatchObject({
      willReconnect: false,
      nextAttemptAt: null,
      action: 'Please restart the session',
    })
    expect(decided(session('connecting'), INPUTS.closed).events[0]?.fields.action).toContain('Nothing to do')
  })
})

test('a ban for a time says until when', () => {
  const until = NOW + 3_600_000
  const why = { reason: 'temporarily_banned', code: 402, detail: 'ban', until } as const
  expect(decided(session('connecting'), { on: 'closed', why }).events[0]?.fields).toMatchObject({
    willReconnect: false,
    until: '2026-01-02T01:00:00.000Z',
  })
})

describe('retries', () => {
  const lost = INPUTS.closed
  const retryAt = ({ session: { state } }: Decision) =>
    state.status === 'disconnected' && state.retryAt !== null ? state.retryAt - NOW : null

  test('waits double from one second to the cap, with half of it left to chance', () => {
    const waits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((attempt) =>
      retryAt(decided(session('connecting', { state: { status: 'connecting', attempt, window: 1 } }), lost)),
    )
    expect(waits).toEqual([750, 1500, 3000, 6000, 12_000, 22_500, 22_500, 22_500, 22_500, 22_500])
    const soonest = decided(session('connecting'), lost, { random: () => 0 })
    const latest = decided(session('connecting'), lost, { random: () => 1 })
    expect([retryAt(soonest), retryAt(latest)]).toEqual([2_000, 4_000])
  })

  test('the budget ends them; zero means for ever', () => {
    const spent = session('connecting', { state: { status: 'connecting', attempt: 10, window: 1 } })
    expect(retryAt(decided(spent, lost))).toBeNull()
    const endless = { ...spent, settings: { ...DEFAULT_SETTINGS, maxReconnectAttempts: 0 } }
    expect(retryAt(decided(endless, lost))).not.toBeNull()
  })

  test('only a connection that held for five minutes gives the attempts back', () => {
    const held = (ms: number) =>
      decided(session('connected', { state: { status: 'connected', since: NOW - ms, attempt: 5 } }), lost)
    expect(held(STABLE_AFTER - 1).session.state).toMatchObject({ attempt: 6 })
    expect(held(STABLE_AFTER).session.state).toMatchObject({ attempt: 1 })
  })

  test('an automatic attempt counts, a command starts anew, and a login keeps the count', () => {
    const again = decided(session('disconnected'), INPUTS.retry_due)
    expect(again.session.state).toMatchObject({ status: 'connecting', attempt: 2 })
    expect(again.events[0]?.fields).toEqual({ attempt: 2 })
    expect(decided(session('disconnected'), INPUTS.restart).session.state).toMatchObject({ attempt: 0 })
    expect(decided(session('connecting'), INPUTS.opened).session.state).toMatchObject({ attempt: 2 })
  })

  test('a line that breaks under every code comes to an end', () => {
    const settings = { ...DEFAULT_SETTINGS, maxReconnectAttempts: 3 }
    let current = session('connecting', { settings, credentials: 'none', me: null })
    current = { ...current, state: { status: 'connecting', attempt: 0, window: 1 } }
    let tries = 0
    for (; tries < 20; tries += 1) {
      current = decided(current, INPUTS.qr).session
      current = decided(current, lost).session
      if (current.state.status === 'disconnected' && current.state.retryAt === null) break
      current = decided(current, INPUTS.retry_due).session
    }
    expect(tries).toBe(3)
  })

  test('another client with our keys is answered once, then never', () => {
    const replaced: Input = { on: 'closed', why: { reason: 'replaced', code: 440, detail: 'conflict' } }
    const fresh = session('connected', { state: { status: 'connected', since: NOW, attempt: 0 } })
    const first = decided(fresh, replaced)
    const wait = retryAt(first) ?? 0
    expect(wait).toBeGreaterThanOrEqual(5_000)
    expect(wait).toBeLessThanOrEqual(10_000)
    const back = decided(decided(first.session, INPUTS.retry_due).session, INPUTS.opened).session
    expect(retryAt(decided(back, replaced))).toBeNull()
  })
})

describe('pairing windows', () => {
  const ranOut: Input = { on: 'closed', why: { reason: 'qr_timeout', code: 408, detail: 'no scan' } }

  test('as many as allowed, then the session waits for a human', () => {
    const first = decided(session('qr_generated'), ranOut, { qrMaxWindows: 2 })
    expect(first.session.state).toEqual({ status: 'connecting', attempt: 0, window: 2 })
    const second = decided(decided(first.session, INPUTS.qr).session, ranOut, { qrMaxWindows: 2 })
    expect(second.session.state).toMatchObject({ status: 'disconnected', retryAt: null })
  })

  test('a code that was scanned is not on show any more', () => {
    const after = decided(session('qr_generated'), INPUTS.paired).session
    expect(after).toMatchObject({ credentials: 'linked', me, state: { expiresAt: NOW } })
  })

  test('the handover after pairing does not count', () => {
    const paired = decided(session('qr_generated'), INPUTS.paired).session
    const why: Input = { on: 'closed', why: { reason: 'restart_required', code: 515, detail: 'restart' } }
    expect(decided(paired, why).session.state).toEqual({ status: 'connecting', attempt: 0, window: 1 })
  })
})

describe('credentials', () => {
  test('revoked ones are removed by the next start and by nothing else', () => {
    const gone = session('disconnected', {
      credentials: 'revoked',
      state: { ...STATES.disconnected, why: { reason: 'logged_out', code: 401, detail: '' }, retryAt: null },
    })
    const started = decided(gone, INPUTS.start)
    expect(started.effects).toEqual(['wipe', 'open'])
    expect(started.session).toMatchObject({ credentials: 'none', me: null })
    expect(decide(gone, INPUTS.resume, context)).toBe('ignored')
    expect(decided(gone, INPUTS.stop).session.credentials).toBe('revoked')
  })

  test('stop keeps them, logout and clear-auth do not', () => {
    expect(decided(session('connected'), INPUTS.stop).session).toMatchObject({ credentials: 'linked', me })
    for (const on of ['logout', 'clear_auth'] as const)
      expect(decided(session('connected'), INPUTS[on]).session).toMatchObject({
        credentials: 'none',
        me: null,
      })
  })

  test('an unlinked session asks WhatsApp for nothing when it is cleared', () => {
    const bare = session('inactive', { credentials: 'none', me: null })
    expect(decided(bare, INPUTS.clear_auth).effects).toEqual(['wipe'])
  })
})

describe('time spent connected', () => {
  test('is added up when the connection ends', () => {
    expect(decided(session('connected'), INPUTS.closed).session.connectedMs).toBe(8_000)
    expect(decided(session('connected'), INPUTS.stop).session.connectedMs).toBe(8_000)
    expect(decided(session('connecting'), INPUTS.closed).session.connectedMs).toBe(7_000)
  })

  test('ends with the last traffic when the process died', () => {
    expect(decided(session('connected'), INPUTS.resume).session.connectedMs).toBe(7_500)
    const silent = session('connected', { lastActivity: null })
    expect(decided(silent, INPUTS.resume).session.connectedMs).toBe(7_000)
  })

  test('never runs backwards when the clock does', () => {
    const early = decided(session('connected'), INPUTS.stop, { now: NOW - 50_000 })
    expect(early.session.connectedMs).toBe(7_000)
  })
})

describe('after a process start', () => {
  test('an unfinished pairing is not taken up: nobody watches its code', () => {
    const after = decided(session('qr_generated'), INPUTS.resume)
    expect(after.session.state).toMatchObject({
      status: 'disconnected',
      retryAt: null,
      why: { reason: 'process_restarted' },
    })
  })

  test('what a human has to settle stays as it is', () => {
    const ended = session('disconnected', { state: { ...STATES.disconnected, retryAt: null } })
    expect(decide(ended, INPUTS.resume, context)).toBe('ignored')
    expect(decide(ended, INPUTS.retry_due, context)).toBe('ignored')
  })
})
