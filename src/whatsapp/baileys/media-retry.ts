/** Asks the own phone to upload a file anew whose copy at WhatsApp has expired. */
import {
  type BaileysEventEmitter,
  type BaileysEventMap,
  type BinaryNode,
  decryptMediaRetryData,
  encryptMediaRetryRequest,
  proto,
} from '@whiskeysockets/baileys'
import type { MessageRef } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import { safePath } from './media-place'

export type MediaRetryParts = {
  ev: BaileysEventEmitter
  sendNode: (node: BinaryNode) => Promise<void>
  /** Our own address without device, null before the first login. */
  me: () => string | null
  clock: Clock
  /** How long the phone may take (ms). */
  timeoutMs?: number
}

export interface MediaRetry {
  /** Resolves with the new path, or null: the phone does not have it, or does not answer in time. */
  ask(message: MessageRef, mediaKey: Uint8Array): Promise<string | null>
  stop(): void
}

type Update = BaileysEventMap['messages.media-update'][number]
type Waiting = { answer: Promise<string | null>; settle(path: string | null): void; mediaKey: Uint8Array }

const ANSWER_MS = 30_000
const { SUCCESS } = proto.MediaRetryNotification.ResultType

/** Listens for answers from the start; several who ask for the same file share one question. */
export function createMediaRetry(parts: MediaRetryParts): MediaRetry {
  const { ev, clock, timeoutMs = ANSWER_MS } = parts
  const waiting = new Map<string, Waiting>()

  function hear(updates: Update[]): void {
    for (const update of updates) {
      const one = waiting.get(update.key.id ?? '')
      one?.settle(pathOf(update, one.mediaKey))
    }
  }
  ev.on('messages.media-update', hear)

  return {
    ask(message, mediaKey) {
      const me = parts.me()
      if (me === null) return Promise.resolve(null)
      const under = waiting.get(message.id)
      if (under) return under.answer
      const { promise, resolve } = Promise.withResolvers<string | null>()
      const settle = (path: string | null) => {
        disarm()
        waiting.delete(message.id)
        resolve(path)
      }
      const disarm = clock.after(timeoutMs, () => settle(null))
      waiting.set(message.id, { answer: promise, settle, mediaKey })
      const { id, chat, fromMe, sender } = message
      const key = {
        id,
        remoteJid: chat,
        fromMe,
        ...(sender && sender !== chat ? { participant: sender } : {}),
      }
      parts.sendNode(encryptMediaRetryRequest(key, mediaKey, me)).catch(() => settle(null))
      return promise
    },
    stop() {
      ev.off('messages.media-update', hear)
      for (const { settle } of [...waiting.values()]) settle(null)
    },
  }
}

function pathOf(update: Update, mediaKey: Uint8Array): string | null {
  if (!update.media || !update.key.id) return null
  try {
    const { result, directPath } = decryptMediaRetryData(update.media, mediaKey, update.key.id)
    return result === SUCCESS && directPath ? safePath(directPath) : null
  } catch {
    // Sealed with another key: not the phone's answer to this question.
    return null
  }
}
