import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { QueueState } from '../../src/domain/sending'
import { DEFAULT_SETTINGS, type Session } from '../../src/domain/session'
import { adviceFor, type Situation } from '../../src/http/diagnosis-advice'
import { startApp, type TestApp } from '../harness/app'
import { until } from '../harness/measure'

type Diagnosis = {
  status: string
  code: string
  problem: string
  action: string
  lastError: { reason: string; says: string } | null
  nextAttempt: { attempt: number; at: string } | null
  outage: { from: string; reason: string } | null
  queue: { waiting: number; says: string }
  inbox: { waiting: number }
  lastActivity: string | null
  lastReceived: string | null
  lastSent: string | null
  timeline: { status: string; says: string; reason: string | null }[]
}

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
})
afterAll(() => server.stop())

const diagnosisOf = async (id: string): Promise<Diagnosis> =>
  (await server.ok<{ diagnosis: Diagnosis }>('GET', `/api/sessions/${id}/diagnosis`)).diagnosis

describe('the diagnosis of a session', () => {
  test('goes along with its life, and its timeline outlives the process', async () => {
    const ours = '491700000001'
    const peer = '491700000002'
    await server.phone(ours)
    await server.phone(peer)
    const id = await server.session('Diagnosed')
    expect(await diagnosisOf(id)).toMatchObject({
      status: 'inactive',
      code: 'not_started',
      action: 'Start the session and scan the QR code with the phone',
      lastError: null,
      lastActivity: null,
    })

    await server.ok('POST', `/api/sessions/${id}/start`)
    const { qrText } = await server.ok<{ qrText: string }>('GET', `/api/sessions/${id}/qr`)
    expect(await diagnosisOf(id)).toMatchObject({ status: 'qr_generated', code: 'scan_code' })

    await server.ok('POST', `/sandbox/phones/${ours}/scan`, { body: { qr: qrText } })
    await server.until(id, ({ status }) => status === 'connected')
    await server.ok('POST', '/api/messages/send/text', { body: { sessionId: id, to: peer, text: 'hello' } })
    await server.ok('POST', `/sandbox/phones/${peer}/messages`, {
      body: { to: ours, content: { type: 'text', text: 'hello back' } },
    })
    const well = await until('both messages', async () => {
      const shown = await diagnosisOf(id)
      return shown.lastReceived && shown.lastSent ? shown : null
    })
    expect(well).toMatchObject({
      code: 'ok',
      action: 'Nothing to do',
      queue: { waiting: 0, says: 'Nothing waits to be sent' },
      inbox: { waiting: 0 },
    })

    const fault = { kind: 'refuse', phoneNumber: ours }
    await server.ok('POST', '/sandbox/faults', { body: fault })
    await server.ok('POST', '/sandbox/faults', { body: { kind: 'drop', phoneNumber: ours } })
    const lost = await until('the end of the connection', async () => {
      const shown = await diagnosisOf(id)
      return shown.status === 'disconnected' && shown.nextAttempt ? shown : null
    })
    expect(lost).toMatchObject({ outage: { reason: 'connection_lost' } })
    expect(lost.lastError?.says).not.toBe('')
    expect(Date.parse(lost.nextAttempt?.at ?? '')).toBeGreaterThan(0)
    await server.ok('DELETE', '/sandbox/faults')
    await server.until(id, ({ status }) => status === 'connected')

    await server.restart()
    await server.until(id, ({ status }) => status === 'connected')
    const { timeline } = await diagnosisOf(id)
    const told = timeline.map(({ says }) => says).reverse()
    expect(told.slice(0, 3)).toEqual([
      'The session was created',
      'The session was started on request',
      'A QR code is on show',
    ])
    expect(told.slice(-2)).toEqual([
      'The server was started again, and the session connects',
      'The session is connected to WhatsApp',
    ])
    expect(timeline.map(({ reason }) => reason)).toContain('connection_lost')
  })

  test('is nobody else’s', async () => {
    const id = await server.session('Mine')
    const { apiKey } = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
      key: null,
      body: { username: 'stranger', email: 'stranger@example.com', password: 'a long enough one' },
    })
    const strange = await server.call('GET', `/api/sessions/${id}/diagnosis`, { key: apiKey })
    expect(strange).toMatchObject({ status: 404, body: { code: 'SESSION_NOT_FOUND' } })
    const nobody = await server.call('GET', `/api/sessions/${id}/diagnosis`, { key: null })
    expect(nobody.status).toBe(401)
  })
})

const NOW = Date.UTC(2026, 0, 31, 14, 5)
const IDLE: QueueState = { waiting: 0, scheduled: 0, hold: null, nextAt: null }
const base = {
  id: 'x',
  tenantId: 't',
  name: 'Support',
  description: null,
  settings: DEFAULT_SETTINGS,
  state: { status: 'connected', since: NOW - 1_000, attempt: 0 },
  credentials: 'linked',
  me: null,
  clientVersion: null,
  restriction: null,
  outage: null,
  lastDisconnect: null,
  createdAt: 0,
  updatedAt: 0,
  lastActivity: NOW,
  firstStartedAt: 0,
  connectedMs: 0,
} as unknown as Session

const gone = (why: object, retryAt: number | null, attempt = 1) => ({
  state: { status: 'disconnected', why: { code: null, detail: '', ...why }, retryAt, attempt, window: 1 },
})

const CASES: [name: string, session: object, also: Partial<Situation>, code: string, action: string][] = [
  ['all is well', {}, {}, 'ok', 'Nothing to do'],
  ['a full disk', {}, { storageWorks: false }, 'storage_full', 'Free disk space on the server'],
  [
    'a step that is stuck',
    {},
    { stall: { reason: 'intake', since: NOW } },
    'stalled',
    'Restart the server if this lasts for minutes',
  ],
  ['stopped', { state: { status: 'inactive' } }, {}, 'not_started', 'Start the session'],
  [
    'unlinked',
    { state: { status: 'inactive' }, credentials: 'none' },
    {},
    'not_started',
    'Start the session and scan the QR code with the phone',
  ],
  [
    'a code on show',
    { state: { status: 'qr_generated', qr: 'x', expiresAt: NOW + 1, window: 1 }, credentials: 'none' },
    {},
    'scan_code',
    'Scan the new QR code',
  ],
  [
    'a code that was scanned',
    { state: { status: 'qr_generated', qr: 'x', expiresAt: NOW, window: 1 } },
    {},
    'linking',
    'Wait a moment',
  ],
  [
    'connecting',
    { state: { status: 'connecting', attempt: 0, window: 1 } },
    {},
    'connecting',
    'Wait a moment',
  ],
  [
    'a retry to come',
    gone({ reason: 'connection_lost' }, NOW + 60_000),
    {},
    'reconnecting',
    'Wait until 2026-01-31 14:06 UTC: the session reconnects by itself',
  ],
  [
    'a retry after something that needs a look',
    gone({ reason: 'upgrade_refused' }, NOW + 60_000),
    {},
    'reconnecting',
    'Check the network and the proxy between this server and WhatsApp',
  ],
  [
    'many attempts in vain',
    gone({ reason: 'connection_lost' }, NOW + 60_000, 7),
    {},
    'unreachable',
    'If it lasts, check that this server reaches the internet and WhatsApp is not blocked on the way; the next attempt is at 2026-01-31 14:06 UTC',
  ],
  [
    'many attempts in vain at a proxy',
    gone({ reason: 'proxy_failed' }, NOW + 60_000, 7),
    {},
    'unreachable',
    'Check the proxy of this session (settings.proxyUrl): that it runs and takes its user name and password; the next attempt is at 2026-01-31 14:06 UTC',
  ],
  [
    'no more attempts at a proxy',
    gone({ reason: 'proxy_failed' }, null, 10),
    {},
    'disconnected',
    'Check the proxy of this session (settings.proxyUrl)',
  ],
  [
    'no more attempts',
    gone({ reason: 'connection_lost' }, null, 10),
    {},
    'disconnected',
    'Please restart the session',
  ],
  [
    'logged out',
    gone({ reason: 'logged_out' }, null),
    {},
    'disconnected',
    'Clear the authentication, start the session and scan a new QR code',
  ],
  [
    'a ban for a time',
    gone({ reason: 'temporarily_banned', until: NOW + 3_600_000 }, null),
    {},
    'wait_out_ban',
    'Wait until 2026-01-31 15:05 UTC, then restart the session',
  ],
  [
    'a restriction',
    { restriction: { type: 'X', since: NOW, until: NOW + 3_600_000 } },
    {},
    'restricted',
    'Write only to people with whom there is a chat already until 2026-01-31 15:05 UTC',
  ],
  [
    'a paused queue',
    { settings: { ...DEFAULT_SETTINGS, queuePaused: true } },
    { queue: { ...IDLE, waiting: 4, hold: 'paused' } },
    'queue_paused',
    'Resume the queue when they are to be sent',
  ],
  [
    'a backlog on its way',
    { outage: { from: NOW - 5_000, reason: 'connection_lost' } },
    {},
    'catching_up',
    'Nothing to do',
  ],
]

describe('the advice', () => {
  test.each(CASES)('%s', (_, session, also, code, action) => {
    const situation: Situation = {
      session: { ...base, ...session } as Session,
      now: NOW,
      queue: IDLE,
      stall: null,
      storageWorks: true,
      ...also,
    }
    const told = adviceFor(situation)
    expect(told.code).toBe(code)
    expect(told.action).toStartWith(action)
    expect(told.says).not.toBe('')
  })
})
