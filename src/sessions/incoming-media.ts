/**
 * The files of messages: kept ones are given out, others are fetched from WhatsApp when somebody asks, or as soon as they
 * arrive where the session's settings say so.
 */
import { fail } from '../domain/errors'
import type { MessageId, SessionId, TenantId } from '../domain/ids'
import type { Bytes, KeptFile, MediaStore } from '../domain/media'
import type { Message, Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import { type Connection, SendUnconfirmed } from '../domain/whatsapp'
import type { Log } from '../lib/log'
import { notConnected } from './not-connected'
import { refOf } from './on-messages'
import { createTurnstile } from './turnstile'

/** Files that are fetched at the same time without anybody having asked, over all sessions. */
const EAGER = 4
/** Files that wait to be fetched so; what comes beyond is fetched when somebody asks. */
const MOST_WAITING = 1_000

/** Keeps what comes from WhatsApp: once, whoever asks, and under the type that its bytes have. */
export interface ReceivedFiles {
  /** The kept file of a message, or what `download` brings. Rejects with `MEDIA_UNAVAILABLE` or `FILE_TOO_LARGE`. */
  fetch(
    wanted: {
      tenantId: TenantId
      sessionId: SessionId
      messageId: MessageId
      mimetype: string | null
      filename: string | null
    },
    download: (maxBytes: number) => Bytes,
  ): Promise<KeptFile>
}

export type IncomingMediaParts = {
  messages: Messages
  files: MediaStore
  received: ReceivedFiles
  /** The session's connection when it is through to WhatsApp. */
  connection: (id: SessionId) => Connection | null
  log: Log
}

export interface IncomingMedia {
  fetchFile(session: Session, messageId: MessageId): Promise<KeptFile>
  /** Messages are on disk: their files are fetched now if the session wants that. */
  arrived(session: Session, messages: readonly Message[]): void
  stop(): void
}

export function createIncomingMedia(parts: IncomingMediaParts): IncomingMedia {
  const { messages, files, log } = parts
  const eager = createTurnstile(EAGER)
  let waiting = 0
  let stopped = false

  const download = async (session: Session, message: StoredMessage, raw: Uint8Array): Promise<KeptFile> => {
    const { id: messageId, content } = message
    const media = 'media' in content ? content.media : null
    const wanted = {
      tenantId: session.tenantId,
      sessionId: session.id,
      messageId,
      mimetype: media?.mimetype ?? null,
      filename: media?.filename ?? null,
    }
    try {
      return await parts.received.fetch(wanted, (maxBytes) => {
        const connection = parts.connection(session.id)
        if (!connection) throw notConnected(session)
        return connection.download({ ...refOf(session, message), raw, maxBytes })
      })
    } catch (error) {
      throw error instanceof SendUnconfirmed ? notConnected(session) : error
    }
  }

  const fetch = async (session: Session, message: StoredMessage): Promise<KeptFile> => {
    const { id, raw, content, afterlife, attachment } = message
    const file = attachment === null ? files.ofMessage(session.id, id) : files.get(attachment)
    if (file) return file
    // One that has not been uploaded is nowhere else.
    const isNowhere = attachment !== null || raw === null || afterlife.deletedAt !== null
    if (!('media' in content) || isNowhere) throw fail('MEDIA_NOT_FOUND', { messageId: id })
    return download(session, message, raw)
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
