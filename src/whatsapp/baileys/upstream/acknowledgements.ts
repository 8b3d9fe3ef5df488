/**
 * Upstream defect: `sendMessage` resolves when the frame is written; the server's acknowledgement is thrown away and a
 * missing one is never noticed.
 *
 * Repair: every send waits for `<ack class="message">` with its id: without `error` it is sent, with one it is refused,
 * and without either in time (or when the socket ends) the outcome is unknown.
 *
 * Upstream repaired it when Baileys emits an event for a successful acknowledgement.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { SendRefused, SendUnconfirmed } from '../../../domain/whatsapp'
import type { Clock } from '../../../lib/clock'
import { refusalOf } from './refusals'

/** From the written frame to the server's answer. */
export const ACK_TIMEOUT_MS = 30_000

/** `serverId`: the number that the server has given a post of a channel. */
export type Acknowledged = { at: number; serverId: string | null }

export interface Acknowledgements {
  /** Waits for the answer to this id; a second wait for the same id replaces nothing, both hear it. */
  expect(messageId: string): Promise<Acknowledged>
  /** Starts the countdown once the frame is written. */
  written(messageId: string): void
  /** Nothing was written under this id; whoever waits for it is not told anything. */
  forget(messageId: string): void
  /** Takes an `<ack>`; false when nobody waited for it. */
  arrived(ack: BinaryNode): boolean
  /** Nothing will come any more. */
  end(): void
}

type Waiting = {
  resolve: (ack: Acknowledged) => void
  reject: (error: Error) => void
  cancelTimer: () => void
}

/** Keeps the sends of one socket that the server has not answered. */
export function createAcknowledgements(clock: Clock, timeoutMs: number = ACK_TIMEOUT_MS): Acknowledgements {
  const waiting = new Map<string, Waiting[]>()

  const settle = (id: string, how: (one: Waiting) => void): boolean => {
    const those = waiting.get(id)
    waiting.delete(id)
    for (const one of those ?? []) {
      one.cancelTimer()
      how(one)
    }
    return those !== undefined
  }

  return {
    expect(messageId) {
      const { promise, resolve, reject } = Promise.withResolvers<Acknowledged>()
      // The caller may still be writing the frame when the socket ends; it will meet the rejection when it gets here.
      promise.catch(() => undefined)
      waiting.set(messageId, [
        ...(waiting.get(messageId) ?? []),
        { resolve, reject, cancelTimer: () => undefined },
      ])
      return promise
    },
    written(messageId) {
      for (const one of waiting.get(messageId) ?? []) {
        one.cancelTimer()
        one.cancelTimer = clock.after(timeoutMs, () =>
          settle(messageId, ({ reject }) =>
            reject(new SendUnconfirmed('WhatsApp has not acknowledged the message in time')),
          ),
        )
      }
    },
    forget(messageId) {
      settle(messageId, () => undefined)
    },
    arrived(ack) {
      const { id, error } = ack.attrs
      if (id === undefined) return false
      if (error !== undefined) return settle(id, ({ reject }) => reject(new SendRefused(refusalOf(error))))
      // The stanza's own time has whole seconds; it could lie before the message it acknowledges.
      return settle(id, ({ resolve }) => resolve({ at: clock.now(), serverId: ack.attrs.server_id ?? null }))
    },
    end() {
      for (const id of [...waiting.keys()]) {
        settle(id, ({ reject }) =>
          reject(new SendUnconfirmed('The connection ended before WhatsApp acknowledged')),
        )
      }
    },
  }
}
