/** Where the file of a received message lies, as far as the message says so. Nothing of it is believed yet. */
import { proto } from '@whiskeysockets/baileys'
import type { MediaKind } from '../../domain/whatsapp'
import { unwrap } from './content/wrappers'

export type FilePlace = {
  kind: MediaKind
  /** Path at any of WhatsApp's media hosts; begins with a slash. */
  path: string
  /** Null for a file of a channel, which is not encrypted. */
  mediaKey: Uint8Array | null
  fileSha256: Uint8Array | null
  fileEncSha256: Uint8Array | null
  /** Bytes, by the sender's own account. */
  size: number | null
}

type Part = {
  url?: string | null
  directPath?: string | null
  mediaKey?: Uint8Array | null
  fileSha256?: Uint8Array | null
  fileEncSha256?: Uint8Array | null
  fileLength?: number | { toNumber(): number } | null
}

const MEDIA_KEY_BYTES = 32

/** Null when it carries no file, or not enough of its place; only in channels a file may lie open (`inChannel`). */
export function placeOf(raw: Uint8Array, inChannel = false): FilePlace | null {
  const { inner } = unwrap(proto.Message.decode(raw))
  const found = partOf(inner)
  if (found === null) return null
  const { kind, part } = found
  const path = pathOf(part)
  const isOpen = inChannel && !part.mediaKey?.length
  if (path === null || (!isOpen && part.mediaKey?.length !== MEDIA_KEY_BYTES)) return null
  return {
    kind,
    path,
    mediaKey: isOpen ? null : (part.mediaKey ?? null),
    fileSha256: hashOf(part.fileSha256),
    fileEncSha256: hashOf(part.fileEncSha256),
    size: part.fileLength ? Number(part.fileLength) : null,
  }
}

function partOf(inner: proto.IMessage): { kind: MediaKind; part: Part } | null {
  const { imageMessage, videoMessage, ptvMessage, audioMessage, documentMessage, stickerMessage } = inner
  if (imageMessage) return { kind: 'image', part: imageMessage }
  if (videoMessage) return { kind: videoMessage.gifPlayback ? 'gif' : 'video', part: videoMessage }
  if (ptvMessage) return { kind: 'ptv', part: ptvMessage }
  if (audioMessage) return { kind: audioMessage.ptt ? 'voice' : 'audio', part: audioMessage }
  if (documentMessage) return { kind: 'document', part: documentMessage }
  if (stickerMessage) return { kind: 'sticker', part: stickerMessage }
  return null
}

/** The host of a `url` is the sender's word and is dropped: files come from WhatsApp's hosts only. */
function pathOf({ directPath, url }: Part): string | null {
  if (directPath) return safePath(directPath)
  const parsed = url ? URL.parse(url) : null
  return parsed && safePath(parsed.pathname + parsed.search)
}

/** A path that cannot change the host it is put behind. */
export const safePath = (path: string): string | null => (/^\/(?![/\\])/.test(path) ? path : null)

/** What is no SHA-256 could never be compared. */
const hashOf = (hash: Uint8Array | null | undefined): Uint8Array | null => (hash?.length === 32 ? hash : null)
