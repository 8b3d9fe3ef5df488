/**
 * The files of messages: kept ones are given out, others are fetched from WhatsApp when somebody asks, or as soon as they
 * arrive where the session's settings say so.
 */
import { type AppError, fail } from '../domain/errors'
import type { MessageId, SessionId } from '../domain/ids'
import { FileTooLarge, type KeptFile, type MediaStore } from '../domain/media'
import type { Message, Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import { type Connection, MediaUnavailable, SendUnconfirmed } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { notConnected } from './not-connected'
import { refOf } from './on-messages'
import { createTurnstile } from './turnstile'

/** Files that are fetched at the same time without anybody having asked, over all sessions. */
const EAGER = 4
/** Files that wait to be fetched so; what comes beyond is fetched when somebody asks. */
const MOST_WAITING = 1_000

export type IncomingMediaParts = {
  messages: Messages
  files: MediaStore
  /** The session's connection when it is through to WhatsApp. */
  connection: (id: SessionId) => Connection | null
  clock: Clock
  log: Log
  /** How long files are kept (ms). */
  keptMs: number
  maxBytes: number
}

export interface IncomingMedia {
  /** Callers who ask for the same file at the same time share one download. */
  fetchFile(session: Session, messageId: MessageId): Promise<KeptFile>
  /** Messages are on disk: their files are fetched now if the session wants that. */
  arrived(session: Session, messages: readonly Message[]): void
  stop(): void
}

export function createIncomingMedia(parts: IncomingMediaParts): IncomingMedia {
  const { messages, files, clock, log } = parts
  const running = new Map<string, Promise<KeptFile>>()
  const eager = createTurnstile(EAGER)
  let waiting = 0
  let stopped = false

  const keep = async (session: Session, message: StoredMessage, raw: Uint8Array): Promise<KeptFile> => {
    const connection = parts.connection(session.id)
    if (!connection) throw notConnected(session)
    const { maxBytes } = parts
    const media = 'media' in message.content ? message.content.media : null
    try {
      const bytes = connection.download({ ...refOf(session, message), raw, maxBytes })
      return await files.keep(bytes, {
        tenantId: session.tenantId,
        sessionId: session.id,
        messageId: message.id,
        mimetype: media?.mimetype ?? 'application/octet-stream',
        filename: media?.filename ?? null,
        maxBytes,
        expiresAt: clock.now() + parts.keptMs,
      })
    } catch (error) {
      throw asAnswer(error, session)
    }
  }

  const fetch = (session: Session, message: StoredMessage): Promise<KeptFile> => {
    const { id, raw, content, afterlife, attachment } = message
    const key = `${session.id} ${id}`
    const known = running.get(key)
    if (known) return known
    // A file that is shared by several messages waits under its own name.
    const own = attachment === null ? files.ofMessage(session.id, id) : files.get(attachment)
    if (own) return Promise.resolve(own)
    if (!('media' in content) || afterlife.deletedAt !== null || raw === null || attachment !== null)
      return Promise.reject(fail('MEDIA_NOT_FOUND', { messageId: id }))
    const fetching = keep(session, message, raw).finally(() => running.delete(key))
    running.set(key, fetching)
    return fetching
  }

  const fetchEagerly = async (session: Session, id: MessageId): Promise<void> => {
    waiting += 1
    try {
      await eager(async () => {
        const message = stopped ? null : messages.get(session.id, id)
        if (message) await fetch(session, message)
      })
    } catch (error) {
      // Whoever asks for it later tries again, and is told.
      log.warn('A file could not be fetched ahead', {
        sessionId: session.id,
        messageId: id,
        error: error instanceof Error ? error.message : String(error),
      })
    } finally {
      waiting -= 1
    }
  }

  return {
    async fetchFile(session, messageId) {
      const message = messages.get(session.id, messageId)
      if (!message) throw fail('MESSAGE_NOT_FOUND', { messageId })
      return fetch(session, message)
    },
    arrived(session, arrived) {
      if (!session.settings.downloadMedia || stopped) return
      for (const { content, id } of arrived)
        if ('media' in content && waiting < MOST_WAITING) void fetchEagerly(session, id)
    },
    stop() {
      stopped = true
    },
  }
}

/** Trouble of a download in the words of the catalogue. */
function asAnswer(error: unknown, session: Session): unknown | AppError {
  if (error instanceof MediaUnavailable)
    return error.reason === 'no_file'
      ? fail('MEDIA_NOT_FOUND')
      : fail('MEDIA_UNAVAILABLE', { reason: error.reason }, error.message)
  if (error instanceof FileTooLarge) return fail('FILE_TOO_LARGE', { maxBytes: error.maxBytes })
  if (error instanceof SendUnconfirmed) return notConnected(session)
  return error
}
