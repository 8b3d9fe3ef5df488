/**
 * Files that can be opened once: WhatsApp gives those of phones to phones alone. A linked device is told that something has
 * come (`<unavailable type="view_once">`), at times of which kind.
 */
import type { BinaryNode, proto } from '@whiskeysockets/baileys'
import { isWithholding } from '../upstream/withheld'
import { unwrap } from './wrappers'

/** The kind of what a stanza withholds; null when it withholds nothing. */
export function withheldIn({ content }: BinaryNode): 'image' | 'video' | 'audio' | null {
  if (!Array.isArray(content) || !content.some(isWithholding)) return null
  const kind = content.map(({ attrs }) => attrs.mediatype).find((mediatype) => mediatype !== undefined)
  if (kind === 'video' || kind === 'gif' || kind === 'ptv') return 'video'
  if (kind === 'audio' || kind === 'ptt') return 'audio'
  // Mostly WhatsApp does not say; most of them are pictures.
  return 'image'
}

/** What stands for a withheld file. */
export function withheldMessage(kind: 'image' | 'video' | 'audio'): proto.IMessage {
  const part = { viewOnce: true }
  const message: proto.IMessage =
    kind === 'image'
      ? { imageMessage: part }
      : kind === 'video'
        ? { videoMessage: part }
        : { audioMessage: part }
  return kind === 'audio' ? { viewOnceMessageV2Extension: { message } } : { viewOnceMessageV2: { message } }
}

/** Whether a message speaks of a file that can be opened once and does not say where it lies. */
export function isWithheld(message: proto.IMessage): boolean {
  const { inner, viewOnce } = unwrap(message)
  const part = inner.imageMessage ?? inner.videoMessage ?? inner.audioMessage
  return part != null && (viewOnce || part.viewOnce === true) && !part.directPath && !part.url
}
