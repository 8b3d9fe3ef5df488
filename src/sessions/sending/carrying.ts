/**
 * A file on its way between a channel and anywhere else. Files of channels lie open and apart from all others, so a message
 * that is passed on from one to the other cannot point to where its file lies: it is fetched and uploaded again.
 */
import type { Ask } from '../../domain/content'
import { isChannel, type Jid, type MessageId } from '../../domain/ids'
import type { KeptFile, MediaStore, StagedFile } from '../../domain/media'
import type { Messages, StoredMessage } from '../../domain/message'
import type { Session } from '../../domain/session'
import type { Clock } from '../../lib/clock'
import { forwardable } from './targets'

export type CarryingParts = {
  messages: Messages
  files: MediaStore
  /** The file of a stored message, from our disk or from WhatsApp. */
  fetchFile: (messageId: MessageId) => Promise<KeptFile>
  clock: Clock
  limits: { mediaKeptMs: number }
}

/** The message whose file has to be carried over; null when nothing has to. */
export function carriedOver(
  { messages }: Pick<CarryingParts, 'messages'>,
  session: Session,
  ask: Ask,
  to: Jid,
): StoredMessage | null {
  if (ask.type !== 'forward') return null
  const { original } = forwardable(messages, session, ask.messageId)
  return 'media' in original.content && isChannel(original.chat) !== isChannel(to) ? original : null
}

/** Its file, as a copy that belongs to nobody yet. */
export async function carried(parts: CarryingParts, message: StoredMessage): Promise<StagedFile> {
  const { files, clock, limits } = parts
  const { id, tenantId, sessionId, mimetype, filename, size } = await parts.fetchFile(message.id)
  const copy = await files.keep(files.read(id), {
    tenantId,
    sessionId,
    messageId: null,
    mimetype,
    filename,
    maxBytes: size,
    expiresAt: clock.now() + limits.mediaKeptMs,
  })
  const media = 'media' in message.content ? message.content.media : { mimetype, size }
  return { fileId: copy.id, media, thumbnail: null, animated: false }
}
