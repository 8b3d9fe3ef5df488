/** Where the file of an encoded message lies, read and written. */
import { proto } from '@whiskeysockets/baileys'
import type { MediaKind, MediaPointer } from '../../../domain/whatsapp'
import { putBehind } from './behind'
import { numberOf } from './shapes'
import { unwrap } from './wrappers'

type FilePart = { -readonly [K in keyof MediaPointer]?: MediaPointer[K] | Parameters<typeof numberOf>[0] }
type Found = { kind: MediaKind; part: FilePart }

/** By the part that carries it. */
const KINDS: { [K in keyof proto.IMessage]?: (message: proto.IMessage) => MediaKind } = {
  imageMessage: () => 'image',
  videoMessage: ({ videoMessage }) => (videoMessage?.gifPlayback ? 'gif' : 'video'),
  ptvMessage: () => 'ptv',
  audioMessage: ({ audioMessage }) => (audioMessage?.ptt ? 'voice' : 'audio'),
  documentMessage: () => 'document',
  stickerMessage: () => 'sticker',
}

function fileIn(message: proto.IMessage): Found | null {
  const { inner } = unwrap(message)
  for (const [name, kindOf] of Object.entries(KINDS)) {
    const part = inner[name as keyof proto.IMessage]
    if (part) return { kind: kindOf(inner), part: part as FilePart }
  }
  return null
}

/** The kind of its file, and its place as far as the message knows one; null when it has no file. */
export function fileOf(raw: Uint8Array): { kind: MediaKind; pointer: MediaPointer | null } | null {
  const found = fileIn(proto.Message.decode(raw))
  return found && { kind: found.kind, pointer: pointerIn(found.part) }
}

const bytesOf = (value: unknown): Uint8Array => (value instanceof Uint8Array ? value : new Uint8Array())

function pointerIn(part: FilePart): MediaPointer | null {
  const mediaKey = bytesOf(part.mediaKey)
  const directPath = typeof part.directPath === 'string' ? part.directPath : ''
  const url = typeof part.url === 'string' ? part.url : ''
  if (mediaKey.length === 0 || (directPath === '' && url === '')) return null
  return {
    url,
    directPath,
    mediaKey,
    fileSha256: bytesOf(part.fileSha256),
    fileEncSha256: bytesOf(part.fileEncSha256),
    fileLength: numberOf(part.fileLength as Parameters<typeof numberOf>[0]) ?? 0,
    mediaKeyTimestamp: numberOf(part.mediaKeyTimestamp as Parameters<typeof numberOf>[0]) ?? 0,
  }
}

/** The same message with the place of its file; throws when it carries none. */
export function attach(raw: Uint8Array, { handle, ...pointer }: MediaPointer): Uint8Array {
  const message = proto.Message.decode(raw)
  const found = fileIn(message)
  if (found === null) throw new Error('This message carries no file')
  const isOpen = pointer.mediaKey.length === 0
  const { mediaKey: _, fileEncSha256: __, mediaKeyTimestamp: ___, ...open } = pointer
  Object.assign(found.part, isOpen ? open : pointer)
  return putBehind(proto.Message.encode(message).finish(), 'mediaHandle', handle)
}

/** Whether its file lies open, as those of channels do; null when it has none yet, or no file at all. */
export function isFileOpen(message: proto.IMessage): boolean | null {
  const part = fileIn(message)?.part
  return part?.directPath || part?.url ? bytesOf(part.mediaKey).length === 0 : null
}

const PLACE = [
  'url',
  'directPath',
  'mediaKey',
  'fileSha256',
  'fileEncSha256',
  'mediaKeyTimestamp',
  'handle',
] as const satisfies readonly (keyof MediaPointer)[]

/** Takes the place of its file out of a message. */
export function withoutPlace(message: proto.IMessage): void {
  const part = fileIn(message)?.part
  for (const field of PLACE) delete part?.[field]
}
