import { describe, expect, test } from 'bun:test'
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { downloadMediaMessage, getMediaKeys, proto, type WAMessage } from '@whiskeysockets/baileys'
import { MediaUnavailable } from '../../../src/domain/whatsapp'
import { type Clock, systemClock } from '../../../src/lib/clock'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { ForbiddenMediaHost } from '../../../src/whatsapp/baileys/media-fetch'
import type { FilePlace } from '../../../src/whatsapp/baileys/media-place'
import { type DownloadParts, downloadFile } from '../../../src/whatsapp/baileys/upstream/media'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()
/** Pauses between attempts are skipped. */
const hasty: Clock = { ...systemClock, sleep: async () => undefined }

/** A file as WhatsApp keeps it, and what a message says about it. */
async function upload(plain: Buffer): Promise<{ file: Buffer; place: FilePlace }> {
  const mediaKey = randomBytes(32)
  const { iv, cipherKey, macKey } = await getMediaKeys(mediaKey, 'image')
  const cipher = createCipheriv('aes-256-cbc', cipherKey, iv)
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  const mac = createHmac('sha256', macKey ?? '')
    .update(iv)
    .update(body)
    .digest()
    .subarray(0, 10)
  const file = Buffer.concat([body, mac])
  return {
    file,
    place: {
      kind: 'image',
      path: '/v/file',
      mediaKey,
      fileSha256: sha256(plain),
      fileEncSha256: sha256(file),
      size: plain.length,
    },
  }
}

type Host = (path: string, range: string | null) => Response | Promise<Response>
const parts = (host: Host, also: Partial<DownloadParts> = {}): DownloadParts => ({
  fetch: async (url, { headers }) => {
    const { hostname, pathname } = new URL(url)
    expect(hostname).toBe('mmg.whatsapp.net')
    return host(pathname, new Headers(headers).get('range'))
  },
  reupload: async () => null,
  maxBytes: 1_000_000,
  clock: hasty,
  signal: new AbortController().signal,
  ...also,
})
async function download(place: FilePlace, options: DownloadParts): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of downloadFile(place, options)) pieces.push(piece)
  return Buffer.concat(pieces)
}
const PLAIN = randomBytes(5_000)
const flipped = (file: Buffer, at: number) => {
  const copy = Buffer.from(file)
  copy.writeUInt8(copy.readUInt8(at) ^ 1, at)
  return copy
}
const reasonOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof MediaUnavailable ? error.reason : String(error)),
  )
/** A body in pieces of so many bytes, which may break off at the end. */
const body = (bytes: Uint8Array, size: number, breaksOff = false) => {
  let at = 0
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at >= bytes.length) {
        if (breaksOff) controller.error(new Error('ECONNRESET'))
        else controller.close()
        return
      }
      // A copy, as from a network: the download gives the memory of what it has read back.
      controller.enqueue(new Uint8Array(bytes.subarray(at, at + size)))
      at += size
    },
  })
}

describe('media download', () => {
  test.each([0, 1, 15, 16, 17, 5_000])(
    'gives the plain file of %d bytes, in whatever pieces it comes',
    async (size) => {
      const plain = randomBytes(size)
      const { file, place } = await upload(plain)
      for (const piece of [1, 7, 10, 16, 26, file.length]) {
        expect(
          await download(
            place,
            parts(() => new Response(body(file, piece))),
          ),
        ).toEqual(plain)
      }
    },
  )

  test('refuses a file with a flipped byte: by its hash, by its MAC, by the hash of the plain file', async () => {
    const { file, place } = await upload(PLAIN)
    const trusting = { ...place, fileEncSha256: null }
    for (const at of [0, 100, file.length - 11, file.length - 1]) {
      const bad = parts(() => new Response(flipped(file, at)))
      expect(await reasonOf(download(place, bad))).toBe('corrupt')
      expect(await reasonOf(download(trusting, bad))).toBe('corrupt')
    }
    const good = parts(() => new Response(file))
    expect(await reasonOf(download({ ...place, fileSha256: randomBytes(32) }, good))).toBe('corrupt')
    expect(await reasonOf(download(trusting, good))).toBe('none')
  })

  test('refuses a file that was cut short, wherever', async () => {
    const { file, place } = await upload(PLAIN)
    for (const length of [0, 5, 10, 16, 26, 2_500, file.length - 1]) {
      const cut = parts(() => new Response(file.subarray(0, length)))
      expect(await reasonOf(download({ ...place, fileEncSha256: null, fileSha256: null }, cut))).toBe(
        'corrupt',
      )
    }
  })

  test.each([403, 404, 410])('asks the phone once when the link has expired (%d)', async (status) => {
    const { file, place } = await upload(PLAIN)
    let asked = 0
    const reupload = async () => {
      asked += 1
      return '/v/new'
    }
    const host: Host = (path) => (path === '/v/new' ? new Response(file) : new Response(null, { status }))
    expect(await download(place, parts(host, { reupload }))).toEqual(PLAIN)
    expect(asked).toBe(1)
    const never = parts(() => new Response(null, { status }), { reupload })
    expect(await reasonOf(download(place, never))).toBe('expired')
    expect(asked).toBe(2)
  })

  test('tells when the phone cannot help', async () => {
    const { place } = await upload(PLAIN)
    expect(
      await reasonOf(
        download(
          place,
          parts(() => new Response(null, { status: 410 })),
        ),
      ),
    ).toBe('expired')
  })

  test.each([
    [500, 3],
    [503, 3],
    [429, 3],
    [400, 1],
    [302, 1],
  ])('a host that answers %d is asked %d times', async (status, times) => {
    const { place } = await upload(PLAIN)
    let asked = 0
    const host = parts(() => {
      asked += 1
      return new Response(null, { status })
    })
    expect(await reasonOf(download(place, host))).toBe('refused')
    expect(asked).toBe(times)
  })

  test('goes on where a connection broke off, and begins anew with a host that knows no ranges', async () => {
    const { file, place } = await upload(PLAIN)
    for (const ranges of [true, false]) {
      const asked: (string | null)[] = []
      const host = parts((_, range) => {
        asked.push(range)
        if (range === null) return new Response(body(file.subarray(0, 1_000), 300, true))
        const from = Number(/\d+/.exec(range)?.[0])
        return ranges ? new Response(file.subarray(from), { status: 206 }) : new Response(body(file, 333))
      })
      expect(await download(place, host)).toEqual(PLAIN)
      expect(asked).toEqual([null, 'bytes=1000-'])
    }
  })

  test('gives up a host that stays silent, before the answer and in the middle', async () => {
    const { file, place } = await upload(PLAIN)
    const hang = (_: string, range: string | null) =>
      range === null
        ? new Response(new ReadableStream({ start: (c) => c.enqueue(file.subarray(0, 99)) }))
        : hangs()
    const hangs = () => new Promise<Response>(() => undefined)
    // A `fetch` that obeys its signal, as the real one does.
    const obedient = (host: Host): Partial<DownloadParts> => ({
      silenceMs: 20,
      fetch: async (_, { headers, signal }) => {
        const { promise, reject } = Promise.withResolvers<never>()
        signal?.addEventListener('abort', () => reject(new Error('aborted')))
        const response = await Promise.race([host('', new Headers(headers).get('range')), promise])
        if (!response.body) return response
        const reader = response.body.getReader()
        const pull = async (controller: ReadableStreamDefaultController<Uint8Array>) => {
          const { done, value } = await Promise.race([reader.read(), promise])
          if (done) controller.close()
          else controller.enqueue(value)
        }
        return new Response(new ReadableStream({ pull }), { status: response.status })
      },
    })
    expect(await reasonOf(download(place, parts(hangs, obedient(hangs))))).toBe('refused')
    expect(await reasonOf(download(place, parts(hang, obedient(hang))))).toBe('refused')
    const open = () => new Response(body(file, 500))
    expect(await download(place, parts(open, obedient(open)))).toEqual(PLAIN)
  })

  test('stops at the cap: by what the message says, and by what comes', async () => {
    const { file, place } = await upload(PLAIN)
    let asked = 0
    const host: Host = () => {
      asked += 1
      return new Response(file)
    }
    expect(await reasonOf(download(place, parts(host, { maxBytes: PLAIN.length - 1 })))).toBe('too_large')
    expect(asked).toBe(0)
    const silent = { ...place, size: null }
    expect(await reasonOf(download(silent, parts(host, { maxBytes: PLAIN.length - 1 })))).toBe('too_large')
    const endless: Host = () =>
      new Response(new ReadableStream({ pull: (c) => c.enqueue(new Uint8Array(9_999)) }))
    expect(await reasonOf(download(silent, parts(endless)))).toBe('too_large')
    expect(await reasonOf(download(place, parts(host, { maxBytes: PLAIN.length })))).toBe('none')
  })

  test('does not ask again for a host that is not allowed', async () => {
    const { place } = await upload(PLAIN)
    let asked = 0
    const fetch = async () => {
      asked += 1
      throw new ForbiddenMediaHost('evil.example')
    }
    expect(
      await reasonOf(
        download(
          place,
          parts(() => new Response(), { fetch }),
        ),
      ),
    ).toBe('refused')
    expect(asked).toBe(1)
  })

  test('ends with its connection', async () => {
    const { place } = await upload(PLAIN)
    const ended = new AbortController()
    ended.abort()
    const failing = parts(() => new Response(null, { status: 503 }), { signal: ended.signal })
    expect(await reasonOf(download(place, failing))).toBe('refused')
  })
})

describe('upstream', () => {
  const messageOf = (place: FilePlace, url: string): WAMessage => ({
    key: { id: 'X', remoteJid: '1@s.whatsapp.net' },
    message: proto.Message.fromObject({
      imageMessage: { mediaKey: place.mediaKey, url, fileSha256: place.fileSha256 },
    }),
  })

  test('upstream: a flipped byte is returned as good', async () => {
    const { file, place } = await upload(PLAIN)
    const host = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response(flipped(file, 100)) })
    const bytes = await downloadMediaMessage(messageOf(place, `${host.url}x`), 'buffer', {})
    expect(bytes.length).toBe(PLAIN.length)
    expect(bytes.equals(PLAIN)).toBe(false)
    await host.stop(true)
  })

  test('upstream: an expired link never leads to a re-upload', async () => {
    const { place } = await upload(PLAIN)
    const host = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response(null, { status: 410 }),
    })
    let asked = 0
    const download = downloadMediaMessage(
      messageOf(place, `${host.url}x`),
      'buffer',
      {},
      {
        logger: baileysLogger(silentLog),
        reuploadRequest: async (message) => {
          asked += 1
          return message
        },
      },
    )
    expect(download).rejects.toThrow('Failed to fetch stream')
    await download.catch(() => undefined)
    expect(asked).toBe(0)
    await host.stop(true)
  })
})
