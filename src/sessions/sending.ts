/**
 * Sending: checked, on disk as `queued`, written to WhatsApp, `sent` once its server has acknowledged.
 *
 * The message id is fixed before the first try and is kept by every further one, so a message whose fate is unknown
 * (time-out, lost connection, crash) is sent again without anybody seeing it twice. Messages of one chat go one after
 * another; chats do not wait for each other. A message that WhatsApp does not confirm on a living connection stays in the
 * queue and lets the next one pass.
 */
import type { Fact, Ledger } from '../domain/changes'
import { type AppError, fail } from '../domain/errors'
import type { Jid, MessageId, Party } from '../domain/ids'
import type { Identities, Message, Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import {
  type Connection,
  type Outgoing,
  SendRefused,
  SendUnconfirmed,
  type WhatsApp,
} from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { composed } from './compose'
import { comesBack, notConnected } from './not-connected'
import type { NumberCheck } from './number-check'
import { ownFields, ownFieldsWithContent, sessionEvent } from './payload'
import { findRecipient, recipientAgain } from './recipient'
import type { SendInput } from './supervisor'

/** Pause before a message that was not confirmed is tried again on the same connection (ms). */
const RESEND_AFTER = 30_000
/** A message that could not be sent for this long (ms) is not news any more and fails. */
const QUEUE_DEADLINE = 86_400_000
/** Messages of which is remembered that they were sent; receipts come right behind them. */
const REMEMBERED = 16
/** Failures of our own side (not WhatsApp's, not the network's) after which a message is given up. */
const OWN_FAILURES = 3

export type SendingParts = {
  session: () => Session
  /** The connection when it is through to WhatsApp. */
  connection: () => Connection | null
  /** The session has been removed. */
  isGone: () => boolean
  whatsapp: WhatsApp
  messages: Messages
  identities: Identities
  ledger: Ledger
  numbers: NumberCheck
  clock: Clock
  log: Log
  limits: { maxQueue: number; ackTimeoutMs: number }
}

export interface Sending {
  send(input: SendInput): Promise<Message>
  /** The session is connected: everything that waits goes out, oldest first. */
  resume(): void
  /** The session does not come back by itself: callers are told that their messages wait. */
  pause(): void
  /** WhatsApp has told of these messages by another way than the answer to our sending. */
  confirmed(ids: readonly MessageId[], at: number): void
  /** One of the latest that were sent, as it is on disk, without its encoded form. */
  recent(id: string): StoredMessage | null
  /** What is to be told of the messages that wait, when the session is removed. */
  unsent(): Fact[]
  /** The session is removed: whoever waits is told. */
  end(): void
}

type Waiter = { message: Message; settle: (outcome: Message | AppError | Error) => void }
type Item = {
  message: Message
  party: Party
  to: Jid
  raw: Uint8Array
  /** Its commit, unless that is known to be on disk. */
  stored?: Promise<unknown>
}

export function createSending(parts: SendingParts): Sending {
  const { messages, identities, ledger, clock, log } = parts
  const lanes = new Map<Jid, Promise<void>>()
  const underway = new Set<MessageId>()
  const waiters = new Map<MessageId, Waiter>()
  /** Messages on the wire; the call lets go of one that is known to have arrived. */
  const onWire = new Map<MessageId, () => void>()
  const ownFailures = new Map<MessageId, number>()
  const recent = new Map<string, StoredMessage>()
  let cancelResend: (() => void) | null = null

  const settle = (id: MessageId, outcome: Message | Error) => {
    const waiter = waiters.get(id)
    waiters.delete(id)
    waiter?.settle(outcome)
  }

  const timedOut = (id: MessageId) => fail('MESSAGE_TIMEOUT', { messageId: id, status: 'queued' })

  const rejection = (id: MessageId, { code, says }: { code: string; says: string }): AppError =>
    code === 'INTERNAL_ERROR'
      ? fail('INTERNAL_ERROR', { messageId: id })
      : fail('MESSAGE_REJECTED', { messageId: id, code, reason: says })

  const commitStatus = async (
    { message, party }: Item,
    status: 'sent' | 'failed',
    error: { code: string; says: string } | null,
  ): Promise<Message> => {
    const at = clock.now()
    if (!parts.isGone()) {
      await ledger.commit([
        {
          change: {
            kind: 'message_status',
            sessionId: message.sessionId,
            messageId: message.id,
            status,
            at,
            error,
          },
          events: [
            sessionEvent(parts.session(), status === 'sent' ? 'message.sent' : 'message.failed', {
              ...(status === 'sent' ? ownFieldsWithContent(message, party) : ownFields(message, party)),
              ...(error ? { code: error.code, error: error.says } : {}),
            }),
          ],
        },
      ])
    }
    return { ...message, status, error, ackedAt: status === 'sent' ? at : null }
  }

  const remember = (message: Message, chatParty: Party) => {
    recent.set(message.id, { ...message, raw: null, chatParty })
    const [oldest] = recent.keys()
    if (recent.size > REMEMBERED && oldest !== undefined) recent.delete(oldest)
  }

  const resendLater = () => {
    cancelResend ??= clock.after(RESEND_AFTER, () => {
      cancelResend = null
      sending.resume()
    })
  }

  /** Ends the message's turn with what has become of it on disk. */
  const record = async (
    item: Item,
    status: 'sent' | 'failed',
    error: { code: string; says: string } | null,
  ): Promise<void> => {
    const { id } = item.message
    try {
      const message = await commitStatus(item, status, error)
      if (status === 'sent') remember(message, item.party)
      settle(id, error ? rejection(id, error) : message)
      ownFailures.delete(id)
    } catch (failure) {
      // WhatsApp has it, our disk does not: it stays queued and goes out again under the same id.
      settle(id, failure instanceof Error ? failure : new Error(String(failure)))
      resendLater()
    } finally {
      underway.delete(id)
    }
  }

  /** Our own side failed (say, no keys for the recipient): tried again a few times, then it is the message's fault. */
  const failedHere = async (item: Item, error: unknown): Promise<void> => {
    const { id } = item.message
    const says = error instanceof Error ? error.message : String(error)
    const count = (ownFailures.get(id) ?? 0) + 1
    // Addresses are no matter for a log.
    log.warn('A message could not be sent', {
      messageId: id,
      attempt: count,
      error: says.replace(/\d{5,}/g, '…'),
    })
    if (count >= OWN_FAILURES)
      return record(item, 'failed', {
        code: 'INTERNAL_ERROR',
        says: 'This server could not send the message',
      })
    ownFailures.set(id, count)
    underway.delete(id)
    resendLater()
  }

  /** One turn of a message: resolves when the next of its chat may go. */
  const deliver = async (item: Item): Promise<void> => {
    const connection = parts.connection()
    const { id } = item.message
    if (!connection) {
      underway.delete(id)
      return
    }
    const arrived = Promise.withResolvers<void>()
    onWire.set(id, arrived.resolve)
    try {
      await Promise.race([connection.send(outgoing(item)), arrived.promise])
      void record(item, 'sent', null)
    } catch (error) {
      if (error instanceof SendRefused) {
        void record(item, 'failed', error.refusal)
      } else if (error instanceof SendUnconfirmed) {
        underway.delete(id)
        if (parts.connection()) resendLater()
      } else {
        await failedHere(item, error)
      }
    } finally {
      onWire.delete(id)
    }
  }

  const outgoing = ({ message: { id }, to, raw, stored }: Item): Outgoing => ({
    id,
    to,
    raw,
    ...(stored ? { stored } : {}),
  })

  const enqueue = (item: Item) => {
    const { chat } = item.message
    const turn = (lanes.get(chat) ?? Promise.resolve()).then(() => deliver(item))
    lanes.set(chat, turn)
    void turn.finally(() => {
      if (lanes.get(chat) === turn) lanes.delete(chat)
    })
  }

  /** Everything that can be wrong with a request before it is accepted. */
  const admit = (session: Session, input: SendInput): StoredMessage | null => {
    if (parts.isGone()) throw fail('SESSION_NOT_FOUND')
    const ready = parts.connection() !== null
    if (!ready && !(input.queue && comesBack(session))) throw notConnected(session)
    const waiting = messages.queueLengths([session.id]).get(session.id) ?? 0
    if (waiting >= parts.limits.maxQueue) throw fail('QUEUE_FULL', { waiting })
    if (input.quotedMessageId === undefined) return null
    const quoted = messages.get(session.id, input.quotedMessageId)
    if (!quoted) throw fail('MESSAGE_NOT_FOUND', { messageId: input.quotedMessageId })
    return quoted
  }

  const accept = async (input: SendInput): Promise<Item> => {
    const session = parts.session()
    const quoted = admit(session, input)
    const { to, chat, party, learned } = await findRecipient(
      { identities, numbers: parts.numbers },
      session,
      parts.connection(),
      input.to,
    )
    const message = composed(parts, { session, input, quoted, chat })
    if (parts.isGone()) throw fail('SESSION_NOT_FOUND')
    underway.add(message.id)
    const stored = ledger.commit([
      ...(learned
        ? [{ change: { kind: 'identity' as const, sessionId: session.id, ...learned }, events: [] }]
        : []),
      {
        change: {
          kind: 'message',
          message,
          keepContent: session.settings.messageHistory,
          inboxId: null,
        },
        events: [sessionEvent(session, 'message.queued', ownFieldsWithContent(message, party))],
      },
    ])
    stored.catch(() => underway.delete(message.id))
    // Otherwise it is made ready for the wire meanwhile: its row and its ratchet share one commit, and the wire waits.
    if (input.queue) await stored
    return { message, party, to, raw: message.raw, stored }
  }

  const sending: Sending = {
    async send(input) {
      const item = await accept(input)
      const { id } = item.message
      if (input.queue) {
        enqueue(item)
        return item.message
      }
      const { promise, resolve, reject } = Promise.withResolvers<Message>()
      const cancel = clock.after(input.waitMs ?? parts.limits.ackTimeoutMs, () => settle(id, timedOut(id)))
      waiters.set(id, {
        message: item.message,
        settle: (outcome) => {
          cancel()
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        },
      })
      enqueue(item)
      item.stored?.catch((error: Error) => settle(id, error))
      return promise
    },
    resume() {
      if (!parts.connection()) return
      cancelResend?.()
      cancelResend = null
      for (const message of messages.queued(parts.session().id)) {
        if (underway.has(message.id)) continue
        const { chatParty: party, raw } = message
        const item: Item = {
          message,
          party,
          to: recipientAgain(message.chat, party),
          raw: raw ?? new Uint8Array(0),
        }
        underway.add(message.id)
        if (raw === null) {
          void record(item, 'failed', { code: 'INTERNAL_ERROR', says: 'The content was not kept' })
        } else if (clock.now() - message.timestamp > QUEUE_DEADLINE) {
          void record(item, 'failed', { code: 'MESSAGE_TIMEOUT', says: 'Not sent within a day' })
        } else {
          enqueue(item)
        }
      }
    },
    pause() {
      cancelResend?.()
      cancelResend = null
      for (const id of [...waiters.keys()]) settle(id, timedOut(id))
    },
    confirmed(ids, at) {
      for (const id of ids) {
        onWire.get(id)?.()
        const waiter = waiters.get(id)
        if (waiter) settle(id, { ...waiter.message, status: 'sent', ackedAt: at })
      }
    },
    recent: (id) => recent.get(id) ?? null,
    end() {
      cancelResend?.()
      cancelResend = null
      for (const id of [...waiters.keys()]) settle(id, fail('SESSION_NOT_FOUND', { messageId: id }))
    },
    unsent() {
      const session = parts.session()
      const error = { code: 'SESSION_NOT_FOUND', says: 'The session was deleted' }
      return messages.queued(session.id).map((message) => ({
        change: {
          kind: 'message_status',
          sessionId: session.id,
          messageId: message.id,
          status: 'failed',
          at: clock.now(),
          error,
        },
        events: [
          sessionEvent(session, 'message.failed', {
            ...ownFields(message, message.chatParty),
            code: error.code,
            error: error.says,
          }),
        ],
      }))
    },
  }
  return sending
}
