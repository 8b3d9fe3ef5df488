/**
 * How the messages of the queue end: acknowledged, refused, out of time, called back. The end is on disk and told before
 * the message leaves the queue; when the disk refuses, it stays and comes up again under the same id.
 */
import type { Fact, Ledger } from '../../domain/changes'
import { type AppError, type ErrorCode, fail } from '../../domain/errors'
import type { MessageId, Party } from '../../domain/ids'
import type { Message, Messages, StoredMessage } from '../../domain/message'
import { NO_AFTERLIFE } from '../../domain/message'
import type { Session } from '../../domain/session'
import type { SendRefusal } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import { faultPoint } from '../../lib/fault-points'
import { ownFields, ownFieldsWithContent, type Places, sessionEvent } from '../payload'
import type { Attachments } from './attachments'
import type { Entry, SendQueue } from './queue'
import type { Ready } from './turn'
import type { VolumeWatch } from './volume'
import type { Waits } from './waits'

/** Messages of which is remembered that they were sent; receipts come right behind them. */
const REMEMBERED = 16

export type EndingsParts = {
  session: () => Session
  isGone: () => boolean
  messages: Messages
  ledger: Ledger
  places: Places
  waits: Waits
  attachments: Attachments
  volume: VolumeWatch
  queue: () => SendQueue
  clock: Clock
}

export interface Endings {
  /** `raw`: its encoded form from now on, when WhatsApp has told something that belongs to it. */
  sent(entry: Entry, ready: Ready, raw?: Uint8Array): Promise<void>
  failed(entry: Entry, why: SendRefusal): Promise<void>
  expired(entry: Entry): Promise<void>
  /** Resolves with the message; rejects with `STORAGE_UNAVAILABLE`, and then it waits as before. */
  cancelled(entries: readonly Entry[]): Promise<void>
  /** One of the latest that were sent, as it is on disk, without its encoded form. */
  recent(id: string): StoredMessage | null
  /** What is to be told of a message that is given up, whatever waits for it. */
  fact(message: Message, party: Party, why: SendRefusal): Fact
}

export const EXPIRED: SendRefusal = { code: 'MESSAGE_EXPIRED', says: 'Not sent within its time to live' }
const CANCELLED: SendRefusal = { code: 'MESSAGE_CANCELLED', says: 'Cancelled before it was sent' }

/** Reasons of our own, which the caller gets under their own codes; everything else is WhatsApp's. */
const OWN_REASONS: ReadonlySet<string> = new Set<ErrorCode>([
  'INTERNAL_ERROR',
  'MESSAGE_EXPIRED',
  'MESSAGE_CANCELLED',
  'SESSION_RESTRICTED',
  'SESSION_NOT_FOUND',
  'MEDIA_UNAVAILABLE',
])

/** What a caller gets whose message has failed. */
export const failureOf = ({ id, error }: Pick<Message, 'id' | 'error'>): AppError =>
  failureBy(id, error ?? { code: 'INTERNAL_ERROR', says: 'This server could not send the message' })

function failureBy(id: MessageId, { code, says }: SendRefusal): AppError {
  if (!OWN_REASONS.has(code)) return fail('MESSAGE_REJECTED', { messageId: id, code, reason: says })
  return fail(code as ErrorCode, { messageId: id, ...(code === 'INTERNAL_ERROR' ? {} : { reason: says }) })
}

export function createEndings(parts: EndingsParts): Endings {
  const { messages, ledger, places, waits, attachments, volume, clock } = parts
  const recent = new Map<string, StoredMessage>()

  const remember = (message: Message, chatParty: Party) => {
    recent.set(message.id, { ...message, raw: null, chatParty, afterlife: NO_AFTERLIFE })
    const [oldest] = recent.keys()
    if (recent.size > REMEMBERED && oldest !== undefined) recent.delete(oldest)
  }

  const statusFact = (message: Message, party: Party, at: number, why: SendRefusal | null): Fact => ({
    change: {
      kind: 'message_status',
      sessionId: message.sessionId,
      messageId: message.id,
      status: why ? 'failed' : 'sent',
      at,
      error: why,
    },
    events: [
      why
        ? sessionEvent(parts.session(), 'message.failed', {
            ...ownFields(message, party),
            code: why.code,
            error: why.says,
          })
        : sessionEvent(parts.session(), 'message.sent', ownFieldsWithContent(message, party, places)),
    ],
  })

  /** Before its status: what is not to be kept goes with that. */
  const completed = ({ sessionId, id }: Message, raw: Uint8Array): Fact => ({
    change: { kind: 'message_attached', sessionId, messageId: id, raw },
    events: [],
  })

  /** The messages behind entries whose rows are not at hand. */
  const told = (entry: Entry): { message: Message; party: Party } | null => {
    if (entry.ready) return entry.ready
    const message = messages.get(parts.session().id, entry.id)
    return message && { message, party: message.chatParty }
  }

  const failedFacts = (entries: readonly Entry[], why: SendRefusal): Fact[] => {
    const at = clock.now()
    return entries.flatMap((entry) => {
      const of = told(entry)
      return of ? [statusFact(of.message, of.party, at, why)] : []
    })
  }

  const commit = async (facts: readonly Fact[], when: 'now' | 'soon' = 'now'): Promise<void> => {
    if (!parts.isGone() && facts.length > 0) await ledger.commit(facts, when)
  }

  const fallBack = (entry: Entry, failure: unknown) => {
    waits.fail(entry.id, failure instanceof Error ? failure : new Error(String(failure)))
    parts.queue().rest(entry)
  }

  const givenUp = (entry: Entry, why: SendRefusal) => {
    parts.queue().forget(entry.id)
    attachments.letGo(entry)
    waits.fail(entry.id, failureBy(entry.id, why))
  }

  const failed = async (entry: Entry, why: SendRefusal): Promise<void> => {
    try {
      await entry.ready?.stored
      await commit(failedFacts([entry], why))
      givenUp(entry, why)
    } catch (failure) {
      fallBack(entry, failure)
    }
  }

  return {
    async sent(entry, { message, party }, raw) {
      const at = clock.now()
      // Receipts come right behind, and are written behind this.
      remember({ ...message, status: 'sent', ackedAt: at, schedule: null }, party)
      const counted = volume.sent(at)
      try {
        const facts = [statusFact(message, party, at, null), ...counted.facts]
        await commit(raw ? [completed(message, raw), ...facts] : facts, waits.has(entry.id) ? 'now' : 'soon')
        faultPoint('sent committed')
        parts.queue().forget(entry.id)
        attachments.release(entry)
        waits.reached(entry.id, 'sent', at)
      } catch (failure) {
        // WhatsApp has it, our disk does not: it stays queued and goes out again under the same id.
        recent.delete(entry.id)
        counted.takeBack()
        fallBack(entry, failure)
      }
    },
    failed,
    expired: (entry) => failed(entry, EXPIRED),
    async cancelled(entries) {
      try {
        await Promise.all(entries.map((entry) => entry.ready?.stored))
        await commit(failedFacts(entries, CANCELLED))
      } catch (failure) {
        for (const entry of entries) parts.queue().rest(entry)
        throw failure
      }
      for (const entry of entries) givenUp(entry, CANCELLED)
    },
    recent: (id) => recent.get(id) ?? null,
    fact: (message, party, why) => statusFact(message, party, clock.now(), why),
  }
}
