/** Callers who wait until a message has come so far: acknowledged by the server, delivered, or read. */
import { type AppError, fail } from '../../domain/errors'
import type { MessageId } from '../../domain/ids'
import { climbs, type Message, type MessageStatus } from '../../domain/message'
import type { WaitLevel } from '../../domain/sending'
import type { Clock } from '../../lib/clock'

const REACHES: Record<WaitLevel, MessageStatus> = { server: 'sent', delivered: 'delivered', read: 'read' }

const reaches = (status: MessageStatus, level: WaitLevel) => !climbs(status, REACHES[level])

type Waiter = {
  level: WaitLevel
  /** The message as far as it has come. */
  message: Message
  settle: (outcome: Message | Error) => void
}

export interface Waits {
  /**
   * Resolves with the message at the level, or when the time is over with one that has left at least; rejects with
   * `MESSAGE_TIMEOUT` when it has not even left, and with whatever `fail` is given.
   */
  until(message: Message, level: WaitLevel, ms: number): Promise<Message>
  has(id: MessageId): boolean
  /** The message has come so far. */
  reached(id: MessageId, status: MessageStatus, at: number): void
  fail(id: MessageId, error: Error): void
  /** Nothing more is going to happen soon: everybody gets what there is. */
  giveUp(): void
  /** Nobody waits any more: all are told this. */
  end(error: (id: MessageId) => AppError): void
}

const timedOut = (id: MessageId) => fail('MESSAGE_TIMEOUT', { messageId: id, status: 'queued' })

/** What a waiter gets for whom time is over. */
const asItStands = (message: Message): Message | Error =>
  message.status === 'queued' ? timedOut(message.id) : message

export function createWaits(clock: Clock): Waits {
  const waiters = new Map<MessageId, Set<Waiter>>()

  const all = (id: MessageId): Waiter[] => [...(waiters.get(id) ?? [])]
  const every = (outcome: (id: MessageId, waiter: Waiter) => Message | Error) => {
    for (const id of [...waiters.keys()]) for (const one of all(id)) one.settle(outcome(id, one))
  }

  return {
    until(message, level, ms) {
      if (message.status !== 'queued' && reaches(message.status, level)) return Promise.resolve(message)
      const { promise, resolve, reject } = Promise.withResolvers<Message>()
      const { id } = message
      const cancel = clock.after(ms, () => waiter.settle(asItStands(waiter.message)))
      const waiter: Waiter = {
        level,
        message,
        settle(outcome) {
          cancel()
          const those = waiters.get(id)
          those?.delete(waiter)
          if (those?.size === 0) waiters.delete(id)
          if (outcome instanceof Error) reject(outcome)
          else resolve(outcome)
        },
      }
      const those = waiters.get(id)
      if (those) those.add(waiter)
      else waiters.set(id, new Set([waiter]))
      return promise
    },
    has: (id) => waiters.has(id),
    reached(id, status, at) {
      for (const waiter of all(id)) {
        const { message } = waiter
        // Whoever waits for the server hears of the server, however far the message has come in the same moment.
        const told = waiter.level === 'server' ? 'sent' : status
        if (climbs(message.status, status))
          waiter.message = { ...message, status: told, error: null, ackedAt: message.ackedAt ?? at }
        if (reaches(waiter.message.status, waiter.level)) waiter.settle(waiter.message)
      }
    },
    fail(id, error) {
      for (const waiter of all(id)) waiter.settle(error)
    },
    giveUp() {
      every((_, waiter) => asItStands(waiter.message))
    },
    end(error) {
      every(error)
    },
  }
}
