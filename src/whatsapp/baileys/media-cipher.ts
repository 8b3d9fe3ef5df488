/**
 * The form in which WhatsApp keeps files: AES-256-CBC, behind it the first ten bytes of HMAC-SHA256 over IV and
 * ciphertext; three keys by HKDF from the message's media key. Both ways as streams.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, type Hash } from 'node:crypto'
import { getMediaKeys } from '@whiskeysockets/baileys'
import type { Bytes } from '../../domain/media'
import { type MediaKind, MediaUnavailable } from '../../domain/whatsapp'
import { release } from '../../lib/release'
import { MEDIA_KINDS } from './media-kinds'

const MAC_LENGTH = 10
/** Bytes that are decrypted at a time: the memory of small results is used again sooner (measured: 37 for 42 MiB). */
const SLICE = 64 * 1024
const BLOCK = 16
const CIPHER = 'aes-256-cbc'

/** The keys of one file. */
export type FileKeys = { iv: Uint8Array; cipherKey: Uint8Array; macKey: Uint8Array }

export async function fileKeysOf(mediaKey: Uint8Array, kind: MediaKind): Promise<FileKeys> {
  const { iv, cipherKey, macKey } = await getMediaKeys(mediaKey, MEDIA_KINDS[kind].type)
  if (!macKey) throw new MediaUnavailable('corrupt', 'The file has no MAC key')
  return { iv, cipherKey, macKey }
}

/** Bytes of a file of `size` once it is encrypted: padded to whole blocks, with the MAC behind it. */
export const encryptedSize = (size: number): number => size - (size % BLOCK) + BLOCK + MAC_LENGTH

/** What has to be known of a file before its first encrypted byte can be sent. */
export type Measured = { size: number; fileSha256: Uint8Array; fileEncSha256: Uint8Array; mac: Uint8Array }

/** Encrypts a file without keeping anything: the address of an upload holds the hash of what will be uploaded. */
export async function measure(bytes: Bytes, keys: FileKeys): Promise<Measured> {
  const cipher = createCipheriv(CIPHER, keys.cipherKey, keys.iv)
  const hmac = createHmac('sha256', keys.macKey).update(keys.iv)
  const plainHash = createHash('sha256')
  const encryptedHash = createHash('sha256')
  let size = 0
  const take = (part: Uint8Array) => {
    hmac.update(part)
    encryptedHash.update(part)
    release(part)
  }
  for await (const chunk of bytes) {
    size += chunk.length
    plainHash.update(chunk)
    take(cipher.update(chunk))
  }
  take(cipher.final())
  const mac = hmac.digest().subarray(0, MAC_LENGTH)
  encryptedHash.update(mac)
  return { size, fileSha256: plainHash.digest(), fileEncSha256: encryptedHash.digest(), mac }
}

/** The encrypted file of which `measure` has found the MAC. */
export async function* encrypt(bytes: Bytes, keys: FileKeys, mac: Uint8Array): AsyncGenerator<Uint8Array> {
  const cipher = createCipheriv(CIPHER, keys.cipherKey, keys.iv)
  for await (const chunk of bytes) {
    const part = cipher.update(chunk)
    if (part.length > 0) yield part
  }
  yield cipher.final()
  yield mac
}

/** What a message says its file is; null = it does not say. */
export type Expected = { fileSha256: Uint8Array | null; fileEncSha256: Uint8Array | null }

/**
 * The plain bytes of an encrypted file. Ends with `MediaUnavailable` when it is not the file of its message; everything
 * that came before is then worthless.
 */
export async function* decrypt(bytes: Bytes, keys: FileKeys, expected: Expected): AsyncGenerator<Uint8Array> {
  const decipher = createDecipheriv(CIPHER, keys.cipherKey, keys.iv)
  const hmac = createHmac('sha256', keys.macKey).update(keys.iv)
  const plainHash = createHash('sha256')
  const encryptedHash = createHash('sha256')
  const take = (body: Uint8Array): Uint8Array => {
    hmac.update(body)
    const plain = decipher.update(body)
    plainHash.update(plain)
    return plain
  }
  /** The last bytes seen, which may be the MAC. */
  let tail = new Uint8Array()
  for await (const chunk of inSlices(bytes)) {
    encryptedHash.update(chunk)
    // Of tail and chunk together, all but the last bytes is certainly ciphertext; large chunks are not copied.
    const known = Math.max(0, tail.length + chunk.length - MAC_LENGTH)
    const ofTail = Math.min(known, tail.length)
    for (const body of [tail.subarray(0, ofTail), chunk.subarray(0, known - ofTail)]) {
      const plain = take(body)
      if (plain.length > 0) yield plain
    }
    tail = joined(tail.subarray(ofTail), chunk.subarray(known - ofTail))
  }
  if (!isHash(encryptedHash, expected.fileEncSha256)) throw corrupt('The encrypted file is not the one sent')
  if (!hmac.digest().subarray(0, MAC_LENGTH).equals(tail)) throw corrupt('The file’s MAC is wrong')
  const rest = finalOf(decipher)
  plainHash.update(rest)
  if (!isHash(plainHash, expected.fileSha256)) throw corrupt('The file is not the one sent')
  if (rest.length > 0) yield rest
}

/** A file that lies open, as it is; ends with `MediaUnavailable` when it is not the file of its message. */
export async function* verify(bytes: Bytes, fileSha256: Uint8Array | null): AsyncGenerator<Uint8Array> {
  // Nothing but its hash ties it to the message.
  if (fileSha256 === null) throw corrupt('The message does not say which file is its own')
  const hash = createHash('sha256')
  for await (const chunk of bytes) {
    hash.update(chunk)
    // A copy: whoever gives the pieces takes their memory back.
    yield chunk.slice()
  }
  if (!isHash(hash, fileSha256)) throw corrupt('The file is not the one sent')
}

function finalOf(decipher: ReturnType<typeof createDecipheriv>): Uint8Array {
  try {
    return decipher.final()
  } catch {
    // The MAC was right, so whoever sent it has padded it wrongly.
    throw corrupt('The file does not end as it should')
  }
}

const corrupt = (says: string): MediaUnavailable => new MediaUnavailable('corrupt', says)

async function* inSlices(bytes: Bytes): Bytes {
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; at += SLICE) yield chunk.subarray(at, at + SLICE)
  }
}

/** A copy: a view would hold on to the whole chunk. */
function joined(first: Uint8Array, second: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(first.length + second.length)
  both.set(first)
  both.set(second, first.length)
  return both
}

const isHash = (hash: Hash, expected: Uint8Array | null): boolean =>
  expected === null || expected.length === 0 || hash.digest().equals(Buffer.from(expected))
