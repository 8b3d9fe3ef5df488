/**
 * Upstream defects of media downloads: neither the MAC nor a hash is checked (a file with a flipped byte is returned as
 * good), and an expired link (403, 404, 410) never leads to the re-upload that the phone offers, because
 * `downloadMediaMessage` looks for the status where it is not.
 *
 * Repair: our own two steps. Fetch the encrypted file, compare its SHA-256 and its MAC, decrypt, compare the plain
 * SHA-256; on an expired link ask the phone once for a new one and try once more.
 *
 * Upstream repaired it when `downloadMediaMessage` refuses the flipped byte and calls `reuploadRequest` on 410.
 */
import { createDecipheriv, createHash, createHmac } from 'node:crypto'
import { DEFAULT_ORIGIN, getMediaKeys, type MediaType } from '@whiskeysockets/baileys'

const MEDIA_HOST = 'https://mmg.whatsapp.net'
const MAC_LENGTH = 10
const EXPIRED: ReadonlySet<number> = new Set([403, 404, 410])

/** What a message says about its file. */
export type MediaPointer = {
  directPath: string
  mediaKey: Uint8Array
  fileSha256: Uint8Array | null
  fileEncSha256: Uint8Array | null
}

export type DownloadOptions = {
  type: MediaType
  /** The guarded `fetch`. */
  fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Asks the phone to upload again; resolves with the new path, or null when it cannot. */
  reupload: () => Promise<string | null>
  maxBytes: number
}

/** Why a file could not be had. */
export class MediaUnavailable extends Error {
  constructor(
    readonly reason: 'expired' | 'refused' | 'too_large' | 'corrupt',
    says: string,
  ) {
    super(says)
    this.name = 'MediaUnavailable'
  }
}

/** The plain bytes of a message's file, checked; rejects with `MediaUnavailable`. */
export async function downloadMedia(pointer: MediaPointer, options: DownloadOptions): Promise<Buffer> {
  let encrypted = await fetchFile(pointer.directPath, options)
  if (encrypted === null) {
    const path = await options.reupload()
    encrypted = path === null ? null : await fetchFile(path, options)
  }
  if (encrypted === null)
    throw new MediaUnavailable('expired', 'The file has expired and the phone did not upload it again')
  return decrypt(encrypted, pointer, options.type)
}

/** The encrypted bytes, or null when the link has expired. */
async function fetchFile(directPath: string, options: DownloadOptions): Promise<Buffer | null> {
  const response = await options.fetch(`${MEDIA_HOST}${directPath}`, { headers: { Origin: DEFAULT_ORIGIN } })
  if (!response.ok) {
    await response.body?.cancel()
    if (EXPIRED.has(response.status)) return null
    throw new MediaUnavailable('refused', `The media host answered ${response.status}`)
  }
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.length
    if (size > options.maxBytes)
      throw new MediaUnavailable('too_large', `The file is larger than ${options.maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

async function decrypt(file: Buffer, pointer: MediaPointer, type: MediaType): Promise<Buffer> {
  if (!matches(file, pointer.fileEncSha256))
    throw new MediaUnavailable('corrupt', 'The encrypted file is not the one sent')
  const { iv, cipherKey, macKey } = await getMediaKeys(pointer.mediaKey, type)
  if (!macKey) throw new MediaUnavailable('corrupt', 'The file has no MAC key')
  const body = file.subarray(0, -MAC_LENGTH)
  const mac = createHmac('sha256', macKey).update(iv).update(body).digest().subarray(0, MAC_LENGTH)
  if (!mac.equals(file.subarray(-MAC_LENGTH)))
    throw new MediaUnavailable('corrupt', 'The file’s MAC is wrong')
  const cipher = createDecipheriv('aes-256-cbc', cipherKey, iv)
  const plain = Buffer.concat([cipher.update(body), cipher.final()])
  if (!matches(plain, pointer.fileSha256))
    throw new MediaUnavailable('corrupt', 'The file is not the one sent')
  return plain
}

const matches = (bytes: Buffer, hash: Uint8Array | null): boolean =>
  hash === null || hash.length === 0 || createHash('sha256').update(bytes).digest().equals(Buffer.from(hash))
