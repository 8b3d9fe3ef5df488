/** The one thing to do about a session: a table over its situations, of which the first that fits is told. */
import type { QueueState } from '../domain/sending'
import type { Session } from '../domain/session'
import { actionFor } from '../domain/session-life'
import { type Stall, stallRow } from '../domain/stalls'
import { endedBecause, spoken } from './diagnosis-words'

export type Situation = {
  session: Session
  now: number
  queue: QueueState
  /** Something that does not move at the moment. */
  stall: Stall | null
  /** The disk takes writes. */
  storageWorks: boolean
}

export type Advice = {
  /** For programs; the words may change. */
  code: string
  /** What is the matter. */
  says: string
  /** What to do about it. */
  action: string
}

type Row = { code: string; of: (situation: Situation) => Omit<Advice, 'code'> | null }

const NOTHING = 'Nothing to do'
/** Attempts in a row after which waiting alone is no good advice. */
const MANY_ATTEMPTS = 5
/** What is said of ends that heal by themselves. */
const WAITS = actionFor('connection_lost', 0)
const LOOK_AT_NETWORK = 'check that this server reaches the internet and WhatsApp is not blocked on the way'

const ROWS: readonly Row[] = [
  {
    code: 'storage_full',
    of: ({ storageWorks }) =>
      storageWorks
        ? null
        : {
            says: 'The disk of this server does not accept writes; nothing is acknowledged until it does',
            action: 'Free disk space on the server; everything goes on by itself then',
          },
  },
  {
    code: 'stalled',
    of: ({ stall }) => stall && { says: stallRow(stall.reason).says, action: stallRow(stall.reason).action },
  },
  {
    code: 'not_started',
    of: ({ session: { state, credentials } }) =>
      state.status !== 'inactive'
        ? null
        : credentials === 'linked'
          ? { says: 'The session is stopped', action: 'Start the session' }
          : {
              says: 'The session is stopped and no phone is linked',
              action: 'Start the session and scan the QR code with the phone',
            },
  },
  {
    code: 'scan_code',
    of: ({ session: { state, credentials }, now }) =>
      state.status !== 'qr_generated' || credentials === 'linked' || state.expiresAt <= now
        ? null
        : {
            says: 'A QR code waits to be scanned',
            action: 'Scan the new QR code on the phone: Settings, Linked devices, Link a device',
          },
  },
  {
    code: 'linking',
    of: ({ session: { state } }) =>
      state.status === 'qr_generated' ? { says: 'The phone is being linked', action: 'Wait a moment' } : null,
  },
  {
    code: 'unreachable',
    of: ({ session: { state, lastDisconnect } }) => {
      const { attempt } = 'attempt' in state ? { attempt: state.attempt ?? 0 } : { attempt: 0 }
      const tries =
        state.status === 'connecting' || (state.status === 'disconnected' && state.retryAt !== null)
      if (!tries || attempt < MANY_ATTEMPTS) return null
      const next =
        state.status === 'disconnected' ? `; the next attempt is at ${spoken(state.retryAt ?? 0)}` : ''
      const last = lastDisconnect ? `, at last because: ${endedBecause(lastDisconnect.reason)}` : ''
      const reason = state.status === 'disconnected' ? state.why.reason : lastDisconnect?.reason
      const action = reason ? actionFor(reason, 0) : WAITS
      return {
        says: `${attempt} attempts in a row have failed${last}`,
        action: `${action === WAITS ? `If it lasts, ${LOOK_AT_NETWORK}` : action}${next}`,
      }
    },
  },
  {
    code: 'connecting',
    of: ({ session: { state } }) =>
      state.status === 'connecting'
        ? { says: 'The session connects to WhatsApp', action: 'Wait a moment' }
        : null,
  },
  {
    code: 'reconnecting',
    of: ({ session: { state } }) => {
      if (state.status !== 'disconnected' || state.retryAt === null) return null
      const action = actionFor(state.why.reason, state.retryAt)
      const wait = `Wait until ${spoken(state.retryAt)}: the session reconnects by itself`
      return { says: endedBecause(state.why.reason), action: action === WAITS ? wait : action }
    },
  },
  {
    code: 'wait_out_ban',
    of: ({ session: { state }, now }) =>
      state.status === 'disconnected' && state.why.until !== undefined && state.why.until > now
        ? {
            says: endedBecause(state.why.reason),
            action: `Wait until ${spoken(state.why.until)}, then restart the session`,
          }
        : null,
  },
  {
    code: 'disconnected',
    of: ({ session: { state } }) =>
      state.status === 'disconnected'
        ? { says: endedBecause(state.why.reason), action: actionFor(state.why.reason, state.retryAt) }
        : null,
  },
  {
    code: 'queue_paused',
    of: ({ queue, session: { settings } }) =>
      settings.queuePaused && queue.waiting > 0
        ? {
            says: `The send queue is paused, and messages wait in it: ${queue.waiting}`,
            action: 'Resume the queue when they are to be sent',
          }
        : null,
  },
  {
    code: 'restricted',
    of: ({ session: { restriction }, now }) => {
      if (restriction === null || (restriction.until !== null && restriction.until <= now)) return null
      const until = restriction.until === null ? '' : ` until ${spoken(restriction.until)}`
      return {
        says: `WhatsApp does not let this number write to new chats${until}`,
        action: `Write only to people with whom there is a chat already${until}`,
      }
    },
  },
  {
    code: 'catching_up',
    of: ({ session: { outage } }) =>
      outage && {
        says: 'The session is connected again; messages of the time before may still come in',
        action: NOTHING,
      },
  },
]

/** What is the matter with a session, and what to do. */
export function adviceFor(situation: Situation): Advice {
  for (const { code, of } of ROWS) {
    const told = of(situation)
    if (told) return { code, ...told }
  }
  return { code: 'ok', says: 'The session is connected to WhatsApp', action: NOTHING }
}
