/**
 * Upstream defects of media downloads: neither the MAC nor a hash is checked (a file with a flipped byte is returned as
 * good), and an expired link (403, 404, 410) never leads to the re-upload that the phone offers, because
 * `downloadMediaMessage` looks for the status where it is not.
 *
 * Repair: our own download. The encrypted file is streamed, decrypted and compared with its SHA-256, its MAC and the
 * plain SHA-256; on an expired link the phone is asked once for a new one. What breaks off is taken up where it ended.
 *
 * Upstream repaired it when `downloadMediaMessage` refuses the flipped byte and calls `reuploadRequest` on 410.
 */
import { DEFAULT_ORIGIN } from '@whiskeysockets/baileys'
import type { Bytes } from '../../../domain/media'
import { MediaUnavailable } from '../../../domain/whatsapp'
import type { Clock } from '../../../lib/clock'
import { release } from '../../../lib/release'
import { decrypt, encryptedSize, fileKeysOf, verify } from '../media-cipher'
import type { FilePlace } from '../media-place'

const MEDIA_HOST = 'https://mmg.whatsapp.net'
const EXPIRED: ReadonlySet<number> = new Set([403, 404, 410])
/** Attempts to go on after the network or the host has failed. */
const RETRIES = 2
const PAUSE_MS = 1_000
const SILENCE_MS = 15_000

export type DownloadParts = {
  /** The guarded `fetch`. */
  fetch: (url: string, init: RequestInit) => Promise<Response>
  /** Asks the phone to upload again; resolves with the new path, or null when it cannot. */
  reupload: () => Promise<string | null>
  /** Of the plain file. */
  maxBytes: number
  clock: Clock
  /** Aborts when the connection ends. */
  signal: AbortSignal
  /** Longest silence of the host (ms). */
  silenceMs?: number
}

/** The plain bytes of a message's file, checked; ends with `MediaUnavailable` and nothing else. */
export async function* downloadFile(place: FilePlace, parts: DownloadParts): AsyncGenerator<Uint8Array> {
  const { maxBytes } = parts
  const tooLarge = () => new MediaUnavailable('too_large', `The file is larger than ${maxBytes} bytes`)
  if (place.size !== null && place.size > maxBytes) throw tooLarge()
  const stored = fileAt(place.path, parts)
  if (place.mediaKey === null) return yield* verify(capped(stored, maxBytes, tooLarge), place.fileSha256)
  const keys = await fileKeysOf(place.mediaKey, place.kind)
  const encrypted = capped(stored, encryptedSize(maxBytes), tooLarge)
  yield* capped(decrypt(encrypted, keys, place), maxBytes, tooLarge)
}

async function* capped(bytes: Bytes, most: number, tooLarge: () => Error): Bytes {
  let size = 0
  for await (const chunk of bytes) {
    size += chunk.length
    if (size > most) throw tooLarge()
    yield chunk
  }
}

/** The bytes as they lie there, from whichever path has them. */
async function* fileAt(first: string, parts: DownloadParts): Bytes {
  let path = first
  let asked = false
  let taken = 0
  for (let failures = 0; ; ) {
    const answer = await get(path, taken, parts)
    if (answer.status === 'expired' && taken === 0 && !asked) {
      asked = true
      const renewed = await parts.reupload()
      if (renewed === null) throw expired()
      path = renewed
      continue
    }
    if (answer.status === 'expired') throw expired()
    if (answer.status === 'open') {
      try {
        for await (const chunk of answer.chunks) {
          taken += chunk.length
          yield chunk
        }
        return
      } catch (error) {
        if (!(error instanceof BrokenOff)) throw error
      }
    }
    failures += 1
    if (failures > RETRIES || parts.signal.aborted || answer.status === 'refused') {
      throw new MediaUnavailable('refused', 'The media host does not give the file')
    }
    await parts.clock.sleep(PAUSE_MS * failures, parts.signal).catch(() => undefined)
  }
}

const expired = () =>
  new MediaUnavailable('expired', 'The file has expired and the phone did not upload it again')

/** The network's part of a failure, apart from what the consumer throws into the stream. */
class BrokenOff extends Error {}

type Answer = { status: 'open'; chunks: Bytes } | { status: 'expired' | 'refused' | 'later' }

/** Asks the host for what comes after the first `taken` bytes. */
async function get(path: string, taken: number, parts: DownloadParts): Promise<Answer> {
  const { clock, signal, silenceMs = SILENCE_MS } = parts
  const abort = new AbortController()
  const stop = () => abort.abort()
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  const done = () => signal.removeEventListener('abort', stop)
  const disarm = clock.after(silenceMs, stop)
  let response: Response
  try {
    response = await parts.fetch(`${MEDIA_HOST}${path}`, {
      signal: abort.signal,
      headers: {
        Origin: DEFAULT_ORIGIN,
        'Accept-Encoding': 'identity',
        ...(taken > 0 ? { Range: `bytes=${taken}-` } : {}),
      },
    })
  } catch (error) {
    done()
    // A host that is not allowed stays so; everything else may pass.
    return { status: error instanceof Error && error.name === 'ForbiddenMediaHost' ? 'refused' : 'later' }
  } finally {
    disarm()
  }
  const { status } = response
  const whole = status === 200
  if (response.body && (whole || status === 206)) {
    // A host that knows no ranges sends everything again.
    return { status: 'open', chunks: chunksOf(response.body, whole ? taken : 0) }
  }
  done()
  stop()
  if (EXPIRED.has(status)) return { status: 'expired' }
  return { status: status >= 500 || status === 429 ? 'later' : 'refused' }

  async function* chunksOf(body: ReadableStream<Uint8Array>, skip: number): Bytes {
    const reader = body.getReader()
    try {
      for (let left = skip; ; ) {
        const cancel = clock.after(silenceMs, stop)
        const piece = await reader
          .read()
          .then(
            (read) => read,
            () => {
              throw new BrokenOff()
            },
          )
          .finally(cancel)
        if (piece.done) return
        const skipped = Math.min(left, piece.value.length)
        left -= skipped
        if (skipped < piece.value.length) yield piece.value.subarray(skipped)
        // Whoever asks for the next piece is done with this one: it was decrypted into others.
        release(piece.value)
      }
    } finally {
      done()
      stop()
      // It may reject with the host's own failure; there is nobody left who needs it.
      reader.cancel().catch(() => undefined)
    }
  }
}
