/**
 * Files on their way to WhatsApp. An upload's address holds the hash of the encrypted file, so a file is read twice:
 * once for the hashes, once for the bytes; it never lies anywhere encrypted or whole.
 */
import { createHash, randomBytes } from 'node:crypto'
import { DEFAULT_ORIGIN } from '@whiskeysockets/baileys'
import type { Bytes } from '../../domain/media'
import { type MediaPointer, type MediaSource, SendRefused, SendUnconfirmed } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { encrypt, encryptedSize, fileKeysOf, measure } from './media-cipher'
import type { MediaConn } from './media-conn'
import { uploadPath } from './media-kinds'
import { safePath } from './media-place'

export type UploadParts = {
  mediaConn: (anew?: boolean) => Promise<MediaConn>
  /** The guarded `fetch`. */
  fetch: (url: string, init: RequestInit) => Promise<Response>
  clock: Clock
  log: Log
  /** Aborts when the connection ends. */
  signal: AbortSignal
  /** Longest time without a byte taken, and until the answer (ms). */
  stallMs?: number
}

/** All hosts are tried so many times; the pauses in between grow. */
const ROUNDS = 3
const PAUSE_MS = 1_000
const STALL_MS = 30_000
/** Answers that another host or another moment would not change. */
const FINAL: ReadonlySet<number> = new Set([400, 404, 405, 406, 413, 415])
const UNAUTHORIZED: ReadonlySet<number> = new Set([401, 403])

/**
 * Encrypts and uploads a file. Rejects with `SendRefused` when WhatsApp does not take it at all, with `SendUnconfirmed`
 * when the hosts cannot be reached now, and with whatever the source throws.
 */
export async function uploadFile(source: MediaSource, parts: UploadParts): Promise<MediaPointer> {
  const { clock, signal } = parts
  if (source.forChannel) return uploadOpen(source, parts)
  const mediaKey = new Uint8Array(randomBytes(32))
  const keys = await fileKeysOf(mediaKey, source.kind)
  const { size, fileSha256, fileEncSha256, mac } = await measure(untilAborted(source.open(), signal), keys)
  const token = Buffer.from(fileEncSha256).toString('base64url')
  const place = await deliver({
    ...parts,
    path: `${uploadPath(source.kind, false)}/${token}`,
    token,
    size: encryptedSize(size),
    open: () => encrypt(source.open(), keys, mac),
  })
  return {
    ...place,
    mediaKey,
    fileSha256: new Uint8Array(fileSha256),
    fileEncSha256: new Uint8Array(fileEncSha256),
    fileLength: size,
    mediaKeyTimestamp: Math.floor(clock.now() / 1000),
  }
}

/** Uploads a file for a channel, where everybody may read it. */
async function uploadOpen(source: MediaSource, parts: UploadParts): Promise<MediaPointer> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of untilAborted(source.open(), parts.signal)) {
    hash.update(chunk)
    size += chunk.length
  }
  const fileSha256 = hash.digest()
  const token = fileSha256.toString('base64url')
  const place = await deliver({
    ...parts,
    path: `${uploadPath(source.kind, true)}/${token}`,
    token,
    size,
    open: () => untilAborted(source.open(), parts.signal),
  })
  const unsealed = { mediaKey: new Uint8Array(), fileEncSha256: new Uint8Array(), mediaKeyTimestamp: 0 }
  return { ...place, ...unsealed, fileSha256: new Uint8Array(fileSha256), fileLength: size }
}

type Delivery = UploadParts & {
  path: string
  token: string
  size: number
  open: () => AsyncGenerator<Uint8Array>
}
type Place = Pick<MediaPointer, 'url' | 'directPath' | 'handle'>

/** Tries the hosts in turn until one has the file. */
async function deliver(delivery: Delivery): Promise<Place> {
  const { clock, log, signal, mediaConn } = delivery
  for (let round = 0; round < ROUNDS; round += 1) {
    if (round > 0) await clock.sleep(PAUSE_MS * round, signal).catch(() => undefined)
    if (signal.aborted) throw gone()
    // A refusal may have been for a permission that had just ended.
    const conn = await mediaConn(round > 0).catch(() => null)
    let auth = conn?.auth ?? ''
    for (const { hostname, maxBytes } of conn?.hosts ?? []) {
      if (maxBytes !== null && maxBytes < delivery.size) continue
      let answer = await post(hostname, auth, delivery)
      if (typeof answer === 'number' && UNAUTHORIZED.has(answer)) {
        auth = (await mediaConn(true).catch(() => conn))?.auth ?? auth
        answer = await post(hostname, auth, delivery)
      }
      if (signal.aborted) throw gone()
      if (typeof answer === 'object') return answer
      if (FINAL.has(answer)) {
        throw new SendRefused({ code: String(answer), says: 'WhatsApp’s media host does not take this file' })
      }
      log.warn('A media host did not take a file', { host: hostname, status: answer })
    }
  }
  throw new SendUnconfirmed('WhatsApp’s media hosts cannot be reached now')
}

/** One upload: the file's place, or the status of a refusal (0 = no answer). Rejects with what the source throws. */
async function post(hostname: string, auth: string, delivery: Delivery): Promise<Place | number> {
  const { clock, path, token, size, signal, stallMs = STALL_MS } = delivery
  const abort = new AbortController()
  const stop = () => abort.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  let disarm = clock.after(stallMs, stop)
  const bytes = delivery.open()
  let sourceFailure: { thrown: unknown } | null = null
  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        disarm()
        disarm = clock.after(stallMs, stop)
        let next: IteratorResult<Uint8Array>
        try {
          next = await bytes.next()
        } catch (thrown) {
          sourceFailure = { thrown }
          controller.error(thrown)
          stop()
          return
        }
        try {
          if (next.done) controller.close()
          else controller.enqueue(next.value)
        } catch {
          // The request has let go of it meanwhile, because it has all bytes or has failed: its own outcome says which.
        }
      },
    },
    { highWaterMark: 0 },
  )
  try {
    const response = await delivery.fetch(
      `https://${hostname}${path}?auth=${encodeURIComponent(auth)}&token=${token}`,
      {
        method: 'POST',
        body,
        signal: abort.signal,
        headers: {
          'Content-Type': 'application/octet-stream',
          'Content-Length': String(size),
          Origin: DEFAULT_ORIGIN,
        },
      },
    )
    if (!response.ok) return response.status
    return placeOfAnswer(await response.json()) ?? 0
  } catch {
    // The network's own words help nobody; another host or moment may.
    if (sourceFailure) throw (sourceFailure as { thrown: unknown }).thrown
    return 0
  } finally {
    disarm()
    signal.removeEventListener('abort', stop)
    stop()
    // Not waited for: a source that stands still would keep us here.
    bytes.return(undefined).catch(() => undefined)
  }
}

function placeOfAnswer(answer: unknown): Place | null {
  const { url, direct_path: path, handle } = (answer ?? {}) as Record<string, unknown>
  const directPath = typeof path === 'string' ? safePath(path) : null
  if (directPath === null || typeof url !== 'string') return null
  return { url, directPath, ...(typeof handle === 'string' ? { handle } : {}) }
}

const gone = () => new SendUnconfirmed('The connection has ended')

async function* untilAborted(bytes: Bytes, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of bytes) {
    if (signal.aborted) throw gone()
    yield chunk
  }
}
