/** What a caller can ask of a session's send queue, and what it answers. */
import type { Ask } from './content'
import type { Media } from './content-media'
import type { ErrorCode } from './errors'
import type { Jid, MessageId, Party } from './ids'
import type { Message } from './message'

/** How far a message must have come before the caller is answered; `server` = WhatsApp's acknowledgement. */
export const WAIT_LEVELS = ['server', 'delivered', 'read'] as const
export type WaitLevel = (typeof WAIT_LEVELS)[number]

export type SendRequest = {
  to: Jid
  ask: Ask
  /** The id that the message gets, from a caller who may have to ask again under the same one; a fresh one unless given. */
  id?: MessageId
  mentions?: Jid[]
  /** Names everybody in the group. */
  mentionsAll?: boolean
  quotedMessageId?: string
  /** The message vanishes so many seconds after it was read; unless given, what the chat has agreed on. */
  disappearingSeconds?: number
  /** Who sees it, when `to` is `status@broadcast`. */
  audience?: Jid[]
  /** Answer as soon as the message is on disk (status `queued`), also while the session is reconnecting. */
  queue?: boolean
  /** Not before this moment (ms); implies `queue`. */
  sendAt?: number
  /** Fails with `MESSAGE_EXPIRED` when it has not left so long after it could have (ms); a day unless given. */
  ttlMs?: number
  waitFor?: WaitLevel
  /** How long to wait for `waitFor` (ms). */
  waitMs?: number
}

/** A message that was taken; an album brings its pictures and films along. */
export type Sent = { message: Message; party: Party; items: Message[] }

/** What a dry run has found: everything that could be checked is in order. */
export type Examined = {
  to: Jid
  party: Party
  /** Null when it cannot be checked now, and for everything that is not a person. */
  exists: boolean | null
  /** The chat has messages already; new ones count against WhatsApp's limits. */
  established: boolean
  /** What the file would be sent as. */
  media: Media | null
}

/** One entry of a bulk: taken (whatever has become of it since), or why not. */
export type BulkOutcome =
  | { ok: true; message: Message; party: Party }
  | { ok: false; code: ErrorCode; says: string; details?: Record<string, unknown> }

/** Why the queue of a session does not move at the moment; null = it does. */
export type QueueHold = 'paused' | 'not_connected' | 'pacing' | 'scheduled' | null

export type QueueState = {
  waiting: number
  scheduled: number
  hold: QueueHold
  /** When the next message leaves, as far as it is known (ms). */
  nextAt: number | null
}
