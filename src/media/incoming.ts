/** Files of received messages: fetched from WhatsApp at the first wish, once, and kept for a while. */
import { AppError, type ErrorDetails, fail } from '../domain/errors'
import type { MessageId, SessionId, TenantId } from '../domain/ids'
import { type Bytes, FileTooLarge, type KeptFile, type MediaStore } from '../domain/media'
import { MediaUnavailable } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import { documentType } from './document-type'
import { safeFilename } from './filename'
import { HEAD_BYTES, sniff } from './sniff'
import { peek } from './streams'

/** The message whose file is wanted, and what it says of it. */
export type Wanted = {
  tenantId: TenantId
  sessionId: SessionId
  messageId: MessageId
  mimetype: string | null
  filename: string | null
}

export interface IncomingFiles {
  /**
   * The kept file of a message; `download` is called when there is none yet, and by one of several callers at a time.
   * Rejects with `MEDIA_UNAVAILABLE`, `FILE_TOO_LARGE` or `STORAGE_UNAVAILABLE`.
   */
  fetch(wanted: Wanted, download: (maxBytes: number) => Bytes): Promise<KeptFile>
}

export type IncomingParts = {
  store: MediaStore
  clock: Clock
  maxBytes: number
  /** How long a fetched file is kept (ms). */
  keptMs: number
}

export function createIncoming({ store, clock, maxBytes, keptMs }: IncomingParts): IncomingFiles {
  const running = new Map<string, Promise<KeptFile>>()

  async function take(wanted: Wanted, download: (maxBytes: number) => Bytes): Promise<KeptFile> {
    try {
      const { head, bytes, close } = await peek(download(maxBytes), HEAD_BYTES)
      try {
        const filename = wanted.filename === null ? null : safeFilename(wanted.filename)
        return await store.keep(bytes, {
          tenantId: wanted.tenantId,
          sessionId: wanted.sessionId,
          messageId: wanted.messageId,
          // What the sender says may be a lie that a browser would act on.
          mimetype: documentType(sniff(head), wanted.mimetype, filename),
          filename,
          maxBytes,
          expiresAt: clock.now() + keptMs,
        })
      } finally {
        await close()
      }
    } catch (error) {
      throw refusal(error)
    }
  }

  return {
    fetch(wanted, download) {
      const kept = store.ofMessage(wanted.sessionId, wanted.messageId)
      if (kept) return Promise.resolve(kept)
      const key = `${wanted.sessionId} ${wanted.messageId}`
      const before = running.get(key)
      if (before) return before
      const fetching = take(wanted, download).finally(() => running.delete(key))
      running.set(key, fetching)
      return fetching
    },
  }
}

function refusal(error: unknown): unknown {
  if (error instanceof AppError) return error
  if (error instanceof FileTooLarge) return fail('FILE_TOO_LARGE', { maxBytes: error.maxBytes })
  if (!(error instanceof MediaUnavailable)) return error
  if (error.reason === 'too_large') return fail('FILE_TOO_LARGE')
  const details: ErrorDetails = { reason: error.reason }
  return fail('MEDIA_UNAVAILABLE', details)
}
