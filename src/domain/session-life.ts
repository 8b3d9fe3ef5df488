/**
 * The life of a session as one table: what each input does in each state.
 *
 * inactive      nobody wants a connection. Left by start.
 * connecting    a socket is being opened. Becomes qr_generated when WhatsApp asks for a phone, connected when it knows us.
 * qr_generated  a code is on show; codes replace each other. Becomes connecting (restart after the scan), then connected.
 * connected     logged in; messages go both ways.
 * disconnected  the connection ended; `retryAt` says when it is tried again, null means a human has to act.
 *
 * `decide` is pure: it gets the time and the dice. The caller commits `session` and `events`, and only then runs the
 * effects; a crash in between is what `resume` repairs.
 */
import { backoffDelay } from '../lib/backoff'
import { isoTime } from '../lib/clock'
import { type CloseReason, type Closing, closeRow } from './close-reasons'
import type { EventName, NewEvent } from './events'
import type { Identity, Outage, Session, SessionState, SessionStatus } from './session'
import { type Stall, stallRow } from './stalls'

export type Input =
  | { on: 'start' }
  | { on: 'stop' }
  | { on: 'restart' }
  | { on: 'clear_auth' }
  | { on: 'logout' }
  /** The process has started; nothing is open. */
  | { on: 'resume' }
  | { on: 'retry_due' }
  | { on: 'qr'; text: string; expiresAt: number }
  | { on: 'paired'; me: Identity }
  | { on: 'opened'; me: Identity; clientVersion: string }
  | { on: 'closed'; why: Closing }

/** What the caller does after the commit, in this order. */
export type Effect = 'logout' | 'close' | 'wipe' | 'open' | { retryAt: number }

export type Decision = { session: Session; effects: Effect[]; events: NewEvent[] }
export type Outcome = Decision | 'same' | 'ignored'

export type LifeContext = {
  now: number
  random: () => number
  /** How many pairing windows in a row are opened when nobody scans. */
  qrMaxWindows: number
}

/** A connection that has held this long (ms) gives the session its attempts back. */
export const STABLE_AFTER = 300_000
/** Shortest wait before an attempt (ms); settings give the longest. */
const FIRST_WAIT = 1_000
/** Pause before the one retry of reasons that allow just one (ms). */
const ONCE_WAIT = { first: 10_000, cap: 10_000 }

type Of<S extends SessionStatus> = Session & { state: Extract<SessionState, { status: S }> }
type On<I extends Input['on']> = Extract<Input, { on: I }>
type Move<S extends SessionStatus, I extends Input['on']> = (
  session: Of<S>,
  input: On<I>,
  context: LifeContext,
) => Outcome
type Table = { [S in SessionStatus]: { [I in Input['on']]: Move<S, I> | 'same' | 'ignored' } }

const event = (session: Session, name: EventName, fields: Record<string, unknown> = {}): NewEvent => ({
  name,
  tenantId: session.tenantId,
  sessionId: session.id,
  fields,
})

/**
 * The session with a new state; time spent connected is added up when `connected` is left, and an outage begins. `until` is
 * the moment up to which the connection is known to have lived, `ended` what has ended it.
 */
function moved(
  session: Session,
  state: SessionState,
  context: LifeContext,
  also: Partial<Session> = {},
  until: number = context.now,
  ended: Outage['reason'] = 'stopped',
): Session {
  const left =
    session.state.status === 'connected' && state.status !== 'connected'
      ? Math.max(0, until - session.state.since)
      : 0
  const outage =
    session.state.status === 'connected' && state.status !== 'connected'
      ? (session.outage ?? { from: lastThrough(session, session.state.since, context), reason: ended })
      : session.outage
  return {
    ...session,
    outage,
    ...also,
    state,
    connectedMs: session.connectedMs + left,
    updatedAt: context.now,
  }
}

/** The clock may have been set back since. */
const lastThrough = ({ lastActivity }: Session, since: number, { now }: LifeContext): number =>
  Math.min(now, lastActivity ?? since)

/** Opens a connection as a fresh try; credentials that WhatsApp has revoked are removed first. */
function open(session: Session, context: LifeContext, before: Effect[] = []): Decision {
  const revoked = session.credentials === 'revoked'
  const next = moved(
    session,
    { status: 'connecting', attempt: 0, window: 1 },
    context,
    { firstStartedAt: session.firstStartedAt ?? context.now, ...(revoked ? CLEARED : {}) },
    context.now,
    'restarted',
  )
  return {
    session: next,
    effects: [...before, ...(revoked ? (['wipe'] as const) : []), 'open'],
    events: [event(session, 'session.connecting')],
  }
}

/** Goes on with the attempt count: automatic retries and the handover after pairing. */
function reopen(
  session: Session,
  attempt: number,
  window: number,
  context: LifeContext,
  until?: number,
  ended?: Outage['reason'],
): Decision {
  return {
    session: moved(session, { status: 'connecting', attempt, window }, context, {}, until, ended),
    effects: ['open'],
    events: [event(session, 'session.connecting', { attempt })],
  }
}

function stop(session: Session, context: LifeContext, effects: Effect[]): Decision {
  return {
    session: moved(session, { status: 'inactive' }, context),
    effects,
    events: [event(session, 'session.stopped')],
  }
}

/** What was forbidden was forbidden to the number that is unlinked, and it has no backlog. */
const CLEARED: Partial<Session> = { credentials: 'none', me: null, restriction: null, outage: null }

/** Unlinking needs credentials that WhatsApp still knows. */
const unlink = (session: Session): Effect[] => (session.credentials === 'linked' ? ['logout'] : [])

/** Unlinks the device if it can and removes the credentials; a session that was wanted goes on to a new QR. */
function clear(session: Session, context: LifeContext): Decision {
  const told = event(session, 'session.credentials_cleared')
  if (session.state.status === 'inactive') {
    return {
      session: moved(session, { status: 'inactive' }, context, CLEARED),
      effects: [...unlink(session), 'wipe'],
      events: [told],
    }
  }
  const opened = open({ ...session, ...CLEARED }, context)
  return {
    ...opened,
    effects: [...unlink(session), 'close', 'wipe', 'open'],
    events: [told, ...opened.events],
  }
}

/** Unlinks on request and stays down. */
function logout(session: Session, context: LifeContext): Decision {
  return {
    session: moved(session, { status: 'inactive' }, context, CLEARED),
    effects: [...unlink(session), 'close', 'wipe'],
    events: [event(session, 'session.credentials_cleared'), event(session, 'session.stopped')],
  }
}

/**
 * What another way to WhatsApp (a proxy) does to a session: it connects anew if it is connected or tries to be, or has given
 * up for its old way; null = nothing.
 */
export function rerouted(session: Session, context: LifeContext): Decision | null {
  const { state } = session
  if (state.status === 'inactive') return null
  if (state.status !== 'disconnected') return open(session, context, ['close'])
  return state.retryAt === null && state.why.reason !== 'proxy_failed' ? null : open(session, context)
}

const RESTART = 'Please restart the session'

/** What the human should do; a reason that heals by itself needs somebody once nobody tries any more (`retryAt` null). */
export function actionFor(reason: CloseReason, retryAt: number | null): string {
  const { action, retry } = closeRow(reason)
  const healsByItself = retry !== 'never' && action === closeRow('connection_lost').action
  return retryAt === null && healsByItself ? RESTART : action
}

/** Told before the end of the connection that it has brought about. */
export const stalledEvent = (session: Session, { reason, since }: Stall): NewEvent =>
  event(session, 'session.stalled', {
    since: isoTime(since),
    reason,
    says: stallRow(reason).says,
    action: stallRow(reason).action,
  })

/** Only of a connection that was through: one that does not come about says so by its status. */
function stallOf(session: Session, why: Closing, { now }: LifeContext): NewEvent[] {
  if (session.state.status !== 'connected') return []
  if (why.stall) return [stalledEvent(session, why.stall)]
  return why.reason === 'storage_failed' ? [stalledEvent(session, { reason: 'storage', since: now })] : []
}

function disconnected(
  session: Session,
  why: Closing,
  retry: { at: number | null; attempt: number; window: number },
  context: LifeContext,
): Decision {
  const row = closeRow(why.reason)
  const next = moved(
    session,
    { status: 'disconnected', why, retryAt: retry.at, attempt: retry.attempt, window: retry.window },
    context,
    {
      lastDisconnect: { code: why.code, reason: why.reason, detail: why.detail, at: context.now },
      ...(row.wipe === 'at_next_start' ? { credentials: 'revoked' as const } : {}),
    },
    context.now,
    why.reason,
  )
  return {
    session: next,
    effects: [
      // The phone lists the second device until it is unlinked again.
      ...(why.reason === 'duplicate_phone_number' ? unlink(session) : []),
      'close',
      ...(retry.at === null ? [] : [{ retryAt: retry.at }]),
    ],
    events: [
      ...stallOf(session, why, context),
      event(session, 'session.disconnected', {
        reason: why.reason,
        code: why.code,
        willReconnect: retry.at !== null,
        nextAttemptAt: retry.at === null ? null : isoTime(retry.at),
        action: actionFor(why.reason, retry.at),
        ...(why.until === undefined ? {} : { until: isoTime(why.until) }),
      }),
    ],
  }
}

/** What a closing leads to, by its reason's row. */
function closed(
  session: Of<'connecting' | 'qr_generated' | 'connected'>,
  why: Closing,
  context: LifeContext,
): Decision {
  const { state, settings } = session
  const window = state.status === 'connected' ? 1 : state.window
  const spent =
    state.status === 'connected' && context.now - state.since >= STABLE_AFTER ? 0 : (state.attempt ?? 0)
  const ends = () => disconnected(session, why, { at: null, attempt: spent, window }, context)
  const again = (policy: { first: number; cap: number }) => {
    const attempt = spent + 1
    const at = context.now + backoffDelay(attempt, policy, context.random)
    return disconnected(session, why, { at, attempt, window }, context)
  }
  const row = closeRow(why.reason)
  switch (row.retry) {
    case 'at_once':
      return reopen(session, spent, window, context, context.now, why.reason)
    case 'new_window':
      return window < context.qrMaxWindows ? reopen(session, 0, window + 1, context) : ends()
    case 'once':
      return settings.autoReconnect && spent === 0 ? again(ONCE_WAIT) : ends()
    case 'backoff': {
      const allowed = settings.maxReconnectAttempts === 0 || spent < settings.maxReconnectAttempts
      return settings.autoReconnect && allowed
        ? again({ first: FIRST_WAIT, cap: settings.reconnectInterval })
        : ends()
    }
    case 'never':
      return ends()
  }
}

const opened = (
  session: Of<'connecting' | 'qr_generated'>,
  input: On<'opened'>,
  context: LifeContext,
): Decision => ({
  session: moved(
    session,
    {
      status: 'connected',
      since: context.now,
      attempt: session.state.status === 'connecting' ? session.state.attempt : 0,
    },
    context,
    { me: input.me, credentials: 'linked', clientVersion: input.clientVersion, lastActivity: context.now },
  ),
  effects: [],
  events: [
    event(session, 'session.connected', {
      phoneNumber: `+${input.me.phoneNumber}`,
      deviceInfo: { model: input.me.platform, version: input.clientVersion },
    }),
  ],
})

const qr = (session: Of<'connecting' | 'qr_generated'>, input: On<'qr'>, context: LifeContext): Decision => ({
  session: moved(
    session,
    {
      status: 'qr_generated',
      qr: input.text,
      expiresAt: input.expiresAt,
      window: session.state.window,
      // Kept, so that a line that breaks under every code comes to an end.
      attempt: session.state.attempt ?? 0,
    },
    context,
  ),
  effects: [],
  // The code itself is told by the caller, who draws it: `session.qr_generated` is momentary.
  events: [],
})

/** Records who we are; the status changes only with the next report. A code that has been used is not on show any more. */
const paired = (
  session: Of<'connecting' | 'qr_generated'>,
  input: On<'paired'>,
  context: LifeContext,
): Decision => ({
  session: {
    ...session,
    state:
      session.state.status === 'qr_generated' ? { ...session.state, expiresAt: context.now } : session.state,
    me: input.me,
    credentials: 'linked',
    updatedAt: context.now,
  },
  effects: [],
  events: [],
})

/**
 * After a process start: a linked session comes back, an unfinished pairing does not (nobody watches its QR). The time in
 * which no process ran is not time connected; the last traffic is the last moment known.
 */
function resume(session: Session, attempt: number, context: LifeContext): Decision {
  if (session.credentials === 'linked')
    return reopen(session, attempt, 1, context, session.lastActivity ?? 0, 'process_restarted')
  const why: Closing = {
    reason: 'process_restarted',
    code: null,
    detail: 'The server was restarted before a phone was linked',
  }
  return disconnected(session, why, { at: null, attempt: 0, window: 1 }, context)
}

const TABLE: Table = {
  inactive: {
    start: (session, _, context) => open(session, context),
    stop: 'same',
    restart: (session, _, context) => open(session, context),
    clear_auth: (session, _, context) => clear(session, context),
    logout: (session, _, context) => logout(session, context),
    resume: 'ignored',
    retry_due: 'ignored',
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: 'ignored',
  },
  connecting: {
    start: 'same',
    stop: (session, _, context) => stop(session, context, ['close']),
    // A restart joins the attempt in flight: monitors send one a minute, webhook receivers one per disconnect.
    restart: 'same',
    clear_auth: (session, _, context) => clear(session, context),
    logout: (session, _, context) => logout(session, context),
    resume: (session, _, context) => resume(session, session.state.attempt, context),
    retry_due: 'ignored',
    qr,
    paired,
    opened,
    closed: (session, input, context) => closed(session, input.why, context),
  },
  qr_generated: {
    start: 'same',
    stop: (session, _, context) => stop(session, context, ['close']),
    restart: (session, _, context) => open(session, context, ['close']),
    clear_auth: (session, _, context) => clear(session, context),
    logout: (session, _, context) => logout(session, context),
    resume: (session, _, context) => resume(session, 0, context),
    retry_due: 'ignored',
    qr,
    paired,
    opened,
    closed: (session, input, context) => closed(session, input.why, context),
  },
  connected: {
    start: 'same',
    stop: (session, _, context) => stop(session, context, ['close']),
    restart: (session, _, context) => open(session, context, ['close']),
    clear_auth: (session, _, context) => clear(session, context),
    logout: (session, _, context) => logout(session, context),
    resume: (session, _, context) => resume(session, 0, context),
    retry_due: 'ignored',
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: (session, input, context) => closed(session, input.why, context),
  },
  disconnected: {
    start: (session, _, context) => open(session, context),
    stop: (session, _, context) => stop(session, context, []),
    restart: (session, _, context) => open(session, context),
    clear_auth: (session, _, context) => clear(session, context),
    logout: (session, _, context) => logout(session, context),
    resume: (session, _, context) =>
      session.state.retryAt === null ? 'ignored' : resume(session, session.state.attempt, context),
    retry_due: (session, _, context) =>
      session.state.retryAt === null
        ? 'ignored'
        : reopen(session, session.state.attempt, session.state.window, context),
    qr: 'ignored',
    paired: 'ignored',
    opened: 'ignored',
    closed: 'ignored',
  },
}

/**
 * What `input` does to `session`: the new session with effects and events, `same` when there is nothing to do (commands
 * are idempotent), or `ignored` for a report that comes too late to matter.
 */
export function decide(session: Session, input: Input, context: LifeContext): Outcome {
  // The table is typed cell by cell; picking a cell by two run-time values loses that pairing, hence the one cast.
  const cell = TABLE[session.state.status][input.on] as
    | ((session: Session, input: Input, context: LifeContext) => Outcome)
    | 'same'
    | 'ignored'
  return typeof cell === 'function' ? cell(session, input, context) : cell
}
