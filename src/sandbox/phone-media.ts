/**
 * A phone's way with files: sealing them before upload, opening them after download, and checking what it opened.
 * Formulas: AES-256-CBC, ten bytes of HMAC-SHA256 behind it, keys by HKDF from the media key.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import {
  type BinaryNode,
  MEDIA_HKDF_KEY_MAPPING,
  normalizeMessageContent,
  type proto,
} from '@whiskeysockets/baileys'
import type { MediaContent } from './content-schemas'
import type { UploadedFile } from './content-shape'
import { node } from './node'

const MAC_BYTES = 10
/** What a file is to WhatsApp: decides its keys and where it is uploaded. */
export type FileKind = MediaContent['type'] | 'md-msg-hist'
const UPLOAD_FOLDER = {
  image: 'image',
  video: 'video',
  audio: 'audio',
  document: 'document',
  sticker: 'image',
  'md-msg-hist': 'md-app-state',
} as const

/** Thrown when a downloaded file is not the one its message describes. */
export class BrokenMedia extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'BrokenMedia'
  }
}

function keysFor(mediaKey: Uint8Array, type: FileKind) {
  const info = `WhatsApp ${MEDIA_HKDF_KEY_MAPPING[type]} Keys`
  const expanded = Buffer.from(hkdfSync('sha256', mediaKey, Buffer.alloc(0), info, 112))
  return {
    iv: expanded.subarray(0, 16),
    cipherKey: expanded.subarray(16, 48),
    macKey: expanded.subarray(48, 80),
  }
}

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
const macOf = (macKey: Buffer, iv: Buffer, ciphertext: Buffer) =>
  createHmac('sha256', macKey).update(iv).update(ciphertext).digest().subarray(0, MAC_BYTES)

/** Where and with what permission files are uploaded and downloaded. */
export type MediaAccess = {
  /** `host:port` */
  host: string
  auth: string
  fetch: (url: string, init?: RequestInit) => Promise<Response>
  now: () => number
}

/** Encrypts a file and uploads it; throws when the host refuses it. */
export async function uploadFile(access: MediaAccess, type: FileKind, plain: Buffer): Promise<UploadedFile> {
  const mediaKey = randomBytes(32)
  const { iv, cipherKey, macKey } = keysFor(mediaKey, type)
  const cipher = createCipheriv('aes-256-cbc', cipherKey, iv)
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()])
  const sealed = Buffer.concat([ciphertext, macOf(macKey, iv, ciphertext)])
  const fileEncSha256 = sha256(sealed)
  return {
    ...(await upload(access, `mms/${UPLOAD_FOLDER[type]}`, sealed, fileEncSha256)),
    mediaKey,
    fileSha256: sha256(plain),
    fileEncSha256,
    fileLength: plain.length,
    mediaKeyTimestamp: Math.floor(access.now() / 1000),
  }
}

/** Uploads a file for a channel, where nothing is encrypted. */
export async function uploadPlainFile(
  access: MediaAccess,
  type: MediaContent['type'],
  plain: Buffer,
): Promise<UploadedFile> {
  const fileSha256 = sha256(plain)
  return {
    ...(await upload(access, `newsletter/newsletter-${UPLOAD_FOLDER[type]}`, plain, fileSha256)),
    fileSha256,
    fileLength: plain.length,
  }
}

async function upload(access: MediaAccess, folder: string, bytes: Buffer, hash: Buffer) {
  const token = hash.toString('base64url')
  const response = await access.fetch(
    `https://${access.host}/${folder}/${token}?auth=${encodeURIComponent(access.auth)}&token=${token}`,
    { method: 'POST', body: new Uint8Array(bytes), headers: { origin: 'https://web.whatsapp.com' } },
  )
  if (!response.ok) throw new BrokenMedia(`the media host answered ${response.status} to an upload`)
  const { url, direct_path } = (await response.json()) as { url: string; direct_path: string }
  return { url, directPath: direct_path }
}

/** The media part of a message and what kind of file it names; null for a message without one. */
export function mediaOf(message: proto.IMessage): { type: MediaContent['type']; file: FileReference } | null {
  const inner = normalizeMessageContent(message)
  const found: [MediaContent['type'], FileReference | null | undefined][] = [
    ['image', inner?.imageMessage],
    ['video', inner?.videoMessage ?? inner?.ptvMessage],
    ['audio', inner?.audioMessage],
    ['document', inner?.documentMessage],
    ['sticker', inner?.stickerMessage],
  ]
  for (const [type, file] of found) if (file) return { type, file }
  return null
}

export type FileReference = {
  directPath?: string | null
  mediaKey?: Uint8Array | null
  fileSha256?: Uint8Array | null
  fileEncSha256?: Uint8Array | null
}

/**
 * Downloads and opens a file, checking MAC and both hashes; throws `BrokenMedia`. Only files of channels have no key and
 * are taken as they are (`plain`).
 */
export async function downloadFile(
  access: Pick<MediaAccess, 'host' | 'fetch'>,
  type: MediaContent['type'],
  file: FileReference,
  plain = false,
): Promise<Buffer> {
  if (!file.directPath || (!file.mediaKey && !plain)) throw new BrokenMedia('the message names no file')
  const response = await access.fetch(`https://${access.host}${file.directPath}`)
  if (!response.ok) throw new BrokenMedia(`the media host answered ${response.status} to a download`)
  const sealed = Buffer.from(await response.arrayBuffer())
  if (file.fileEncSha256 && !sha256(sealed).equals(file.fileEncSha256)) {
    throw new BrokenMedia('the encrypted file has another hash than its message says')
  }
  const opened = file.mediaKey ? unseal(sealed, file.mediaKey, type) : sealed
  if (file.fileSha256 && !sha256(opened).equals(file.fileSha256)) {
    throw new BrokenMedia('the file has another hash than its message says')
  }
  return opened
}

function unseal(sealed: Buffer, mediaKey: Uint8Array, type: MediaContent['type']): Buffer {
  const { iv, cipherKey, macKey } = keysFor(mediaKey, type)
  const ciphertext = sealed.subarray(0, -MAC_BYTES)
  if (
    sealed.length <= MAC_BYTES ||
    !timingSafeEqual(sealed.subarray(-MAC_BYTES), macOf(macKey, iv, ciphertext))
  ) {
    throw new BrokenMedia('the file does not authenticate')
  }
  const decipher = createDecipheriv('aes-256-cbc', cipherKey, iv)
  return Buffer.concat([decipher.update(ciphertext), decipher.final()])
}

const retryKey = (mediaKey: Uint8Array) =>
  Buffer.from(hkdfSync('sha256', mediaKey, Buffer.alloc(0), 'WhatsApp Media Retry Notification', 32))

/** The answer to a companion that asked for a file anew, sealed with the file's own key. */
export function sealRetry(mediaKey: Uint8Array, id: string, plain: Uint8Array): BinaryNode {
  const iv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', retryKey(mediaKey), iv).setAAD(Buffer.from(id))
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  return node('encrypt', {}, [node('enc_p', {}, sealed), node('enc_iv', {}, iv)])
}
