import { describe, expect, test } from 'bun:test'
import { createCipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { downloadMediaMessage, getMediaKeys, proto, type WAMessage } from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import {
  downloadMedia,
  type MediaPointer,
  MediaUnavailable,
} from '../../../src/whatsapp/baileys/upstream/media'

const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest()

/** A file as WhatsApp keeps it, and what a message says about it. */
async function upload(plain: Buffer): Promise<{ file: Buffer; pointer: MediaPointer }> {
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
    pointer: { directPath: '/v/file', mediaKey, fileSha256: sha256(plain), fileEncSha256: sha256(file) },
  }
}

type Host = (path: string) => Response
const options = (host: Host, reupload: () => Promise<string | null> = async () => null) => ({
  type: 'image' as const,
  fetch: async (url: string) => host(new URL(url).pathname),
  reupload,
  maxBytes: 1_000_000,
})
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

describe('media download', () => {
  test('gives the plain file', async () => {
    const { file, pointer } = await upload(PLAIN)
    expect(
      await downloadMedia(
        pointer,
        options(() => new Response(file)),
      ),
    ).toEqual(PLAIN)
  })

  test('refuses a file with a flipped byte: by its hash, by its MAC, by the hash of the plain file', async () => {
    const { file, pointer } = await upload(PLAIN)
    const bad = options(() => new Response(flipped(file, 100)))
    expect(await reasonOf(downloadMedia(pointer, bad))).toBe('corrupt')
    expect(await reasonOf(downloadMedia({ ...pointer, fileEncSha256: null }, bad))).toBe('corrupt')
    const good = options(() => new Response(file))
    expect(await reasonOf(downloadMedia({ ...pointer, fileSha256: randomBytes(32) }, good))).toBe('corrupt')
  })

  test.each([403, 404, 410])('asks the phone once when the link has expired (%d)', async (status) => {
    const { file, pointer } = await upload(PLAIN)
    let asked = 0
    const host: Host = (path) => (path === '/v/new' ? new Response(file) : new Response(null, { status }))
    const plain = await downloadMedia(
      pointer,
      options(host, async () => {
        asked += 1
        return '/v/new'
      }),
    )
    expect(plain).toEqual(PLAIN)
    expect(asked).toBe(1)
  })

  test('tells when the phone cannot help, the host refuses, or the file is too large', async () => {
    const { file, pointer } = await upload(PLAIN)
    expect(
      await reasonOf(
        downloadMedia(
          pointer,
          options(() => new Response(null, { status: 410 })),
        ),
      ),
    ).toBe('expired')
    expect(
      await reasonOf(
        downloadMedia(
          pointer,
          options(() => new Response(null, { status: 500 })),
        ),
      ),
    ).toBe('refused')
    const small = { ...options(() => new Response(file)), maxBytes: 100 }
    expect(await reasonOf(downloadMedia(pointer, small))).toBe('too_large')
  })
})

describe('upstream', () => {
  const messageOf = (pointer: MediaPointer, url: string): WAMessage => ({
    key: { id: 'X', remoteJid: '1@s.whatsapp.net' },
    message: proto.Message.fromObject({
      imageMessage: { mediaKey: pointer.mediaKey, url, fileSha256: pointer.fileSha256 },
    }),
  })

  test('upstream: a flipped byte is returned as good', async () => {
    const { file, pointer } = await upload(PLAIN)
    const host = Bun.serve({ port: 0, hostname: '127.0.0.1', fetch: () => new Response(flipped(file, 100)) })
    const bytes = await downloadMediaMessage(messageOf(pointer, `${host.url}x`), 'buffer', {})
    expect(bytes.length).toBe(PLAIN.length)
    expect(bytes.equals(PLAIN)).toBe(false)
    await host.stop(true)
  })

  test('upstream: an expired link never leads to a re-upload', async () => {
    const { pointer } = await upload(PLAIN)
    const host = Bun.serve({
      port: 0,
      hostname: '127.0.0.1',
      fetch: () => new Response(null, { status: 410 }),
    })
    let asked = 0
    const download = downloadMediaMessage(
      messageOf(pointer, `${host.url}x`),
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
