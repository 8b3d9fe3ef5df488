/**
 * The one door through which facts are written.
 *
 * A fact is a change with the events that tell of it. A change that turns out to change nothing (a message that is
 * stored already, a status that would climb down) drops its events; everything else commits whole, rows and events
 * together, and gets its numbers in the journal.
 */
import type { NewEvent } from './events'
import type { Jid, MessageId, SessionId } from './ids'
import type { Entry } from './journal'
import type { Message, MessageStatus } from './message'
import type { Session, TimelineCause } from './session'

export type Change =
  | { kind: 'session_created'; session: Session }
  /** Everything of the session but its counters. */
  | {
      kind: 'session_changed'
      session: Session
      /** What has led to another state, for the timeline. */
      cause?: TimelineCause
    }
  /** Removes the session and all that belongs to it. */
  | { kind: 'session_deleted'; sessionId: SessionId }
  | { kind: 'session_active'; sessionId: SessionId; at: number }
  /**
   * News only when (session, id, fromMe) is not stored yet. A message that acts on another (`ACTION_TYPES`) is applied to
   * it in the same write: at once when it came from WhatsApp, with its acknowledgement when it is ours. An edit counts
   * only from the author of its target, a deletion from the author or in a group, a reaction and a vote replace those
   * of the same person.
   */
  | { kind: 'message'; message: Message; keepContent: boolean; inboxId: number | null }
  /** News only when the status climbs. */
  | {
      kind: 'message_status'
      sessionId: SessionId
      messageId: MessageId
      status: MessageStatus
      at: number
      error: { code: string; says: string } | null
    }
  /**
   * The encoded form of an own message is complete: its file lies at WhatsApp, or WhatsApp has told what it calls the
   * message. Nothing is left to upload.
   */
  | { kind: 'message_attached'; sessionId: SessionId; messageId: MessageId; raw: Uint8Array }
  /** News only when it was otherwise. */
  | { kind: 'message_starred'; sessionId: SessionId; messageId: MessageId; fromMe: boolean; starred: boolean }
  /** News only when the pair was not known; rows stored under the phone address move to the LID. */
  | { kind: 'identity'; sessionId: SessionId; lid: Jid; phoneNumber: string }
  /** Stanzas that were handled and left nothing to store. */
  | { kind: 'inbox_done'; sessionId: SessionId; inboxIds: readonly number[] }
  /** Nothing to write beside the events themselves. */
  | { kind: 'told' }

export type Fact = { change: Change; events: readonly NewEvent[] }

/** What became of the facts. */
export type Committed = {
  /** One per fact: whether it was news. */
  news: boolean[]
  /** The journal entries that were written, in order. */
  entries: Entry[]
}

/** The one door. Everything is on disk when it resolves; rejects with `STORAGE_UNAVAILABLE` and then nothing is written. */
export interface Ledger {
  /**
   * `soon`: the facts may wait a few milliseconds for somebody else's commit. For what nobody waits for and WhatsApp would
   * tell again after a crash: acknowledgements and receipts.
   */
  commit(facts: readonly Fact[], when?: 'now' | 'soon'): Promise<Committed>
}
