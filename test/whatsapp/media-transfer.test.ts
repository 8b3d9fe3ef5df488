import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { createHash, randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { proto } from '@whiskeysockets/baileys'
import { asJid } from '../../src/domain/ids'
import type { Bytes } from '../../src/domain/media'
import {
  type MediaKind,
  type MediaPointer,
  MediaUnavailable,
  SendRefused,
  SendUnconfirmed,
} from '../../src/domain/whatsapp'
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import type { Phone } from '../../src/sandbox/phone'
import { guardFetch, type PlainFetch } from '../../src/whatsapp/baileys/media-fetch'
import {
  createMediaTransfer,
  type MediaTransfer,
  type MediaTransferParts,
} from '../../src/whatsapp/baileys/media-transfer'
import { type BaileysClient, pairWithBaileys, startSandbox, type TestSandbox } from '../harness/sandbox'

const KIB = 1024
const MIB = 1024 * KIB
/** Pauses between attempts are skipped. */
const hasty: Clock = { ...systemClock, sleep: async () => undefined }

let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let client: BaileysClient
const transfers: MediaTransfer[] = []
/** What was asked of the media host, as path and status. */
let asked: { method: string; path: string; host: string; status: number; length: string | null }[] = []

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4915100000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4915100000002', name: 'Bob' })
  client = await pairWithBaileys(sandbox, ada)
})
afterEach(() => {
  for (const one of transfers.splice(0)) one.stop()
  sandbox.server.faults.clear()
  ada.setReachable(true)
  asked = []
})
afterAll(async () => {
  await client.close()
  await sandbox.stop()
})

const guarded = () =>
  guardFetch(fetch as PlainFetch, {
    url: sandbox.url,
    rootKey: Buffer.from(sandbox.rootPublicKey, 'hex'),
    mediaHosts: [sandbox.mediaHost],
    mediaCa: sandbox.caPem,
  })

/** Our files over the socket of the client, through the guard. */
function transfer(also: Partial<MediaTransferParts> = {}): MediaTransfer {
  const fetchFile = guarded()
  const made = createMediaTransfer({
    sock: client.sock,
    me: () => client.auth.creds.me?.id,
    clock: hasty,
    log: silentLog,
    async fetch(url, init) {
      const { pathname, host } = new URL(url)
      const length = new Headers(init.headers).get('content-length')
      const entry = { method: init.method ?? 'GET', path: pathname, host, status: 0, length }
      asked.push(entry)
      const response = await fetchFile(url, init)
      entry.status = response.status
      return response
    },
    ...also,
  })
  transfers.push(made)
  return made
}

const sourceOf = (bytes: Uint8Array, kind: MediaKind = 'document', piece = 256 * KIB) => ({
  kind,
  size: bytes.length,
  async *open(): Bytes {
    for (let at = 0; at < bytes.length; at += piece) {
      yield bytes.subarray(at, at + piece)
      await new Promise((resolve) => setImmediate(resolve))
    }
  },
})
async function collect(bytes: Bytes): Promise<Buffer> {
  const pieces: Uint8Array[] = []
  for await (const piece of bytes) pieces.push(piece)
  return Buffer.concat(pieces)
}
/** An encoded message around a file. */
const messageWith = (kind: MediaKind, pointer: Partial<MediaPointer>): proto.IMessage => {
  const file = { ...pointer, mimetype: 'application/octet-stream' }
  const by: Record<MediaKind, proto.IMessage> = {
    image: { imageMessage: file },
    video: { videoMessage: file },
    gif: { videoMessage: { ...file, gifPlayback: true } },
    ptv: { ptvMessage: file },
    audio: { audioMessage: file },
    voice: { audioMessage: { ...file, ptt: true } },
    document: { documentMessage: file },
    sticker: { stickerMessage: file },
  }
  return by[kind]
}
const encode = (message: proto.IMessage): Uint8Array => proto.Message.encode(message).finish()
const request = (message: proto.IMessage, also: { id?: string; maxBytes?: number } = {}) => ({
  id: 'X',
  chat: asJid(bob.jid),
  fromMe: false,
  sender: null,
  raw: encode(message),
  maxBytes: 100 * MIB,
  ...also,
})
const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'none',
    (error: unknown) => (error instanceof MediaUnavailable ? error.reason : error),
  )
/** A file that a phone has sent to the client. */
async function heard(bytes: Uint8Array) {
  const { id } = await bob.send(ada.phoneNumber, {
    type: 'document',
    base64: Buffer.from(bytes).toString('base64'),
    filename: 'a.bin',
  })
  const message = await client.untilMessage(({ key, message }) => key.id === id && message != null)
  await ada.waitForMessage((one) => one.id === id)
  return { id, message: message.message as proto.IMessage, chat: asJid(message.key.remoteJid ?? '') }
}

describe('an upload', () => {
  test.each(['image', 'video', 'gif', 'ptv', 'audio', 'voice', 'document', 'sticker'] as const)(
    'of a file as %s is opened by a phone',
    async (kind) => {
      const bytes = randomBytes(3_333)
      const pointer = await transfer().upload(sourceOf(bytes, kind))
      const id = `UPLOAD-${kind}`
      await client.sock.relayMessage(bob.jid, messageWith(kind, pointer), { messageId: id })
      await bob.waitForMessage((message) => message.id === id)
      expect(await bob.download(id)).toEqual(bytes)
      expect(await collect(transfer().download(request(messageWith(kind, pointer))))).toEqual(bytes)
    },
  )

  test.each([0, 1, 15, 16, 17, 64 * KIB, 16 * MIB])(
    'of %d bytes lies at WhatsApp as it was',
    async (size) => {
      const bytes = randomBytes(size)
      const pointer = await transfer().upload(sourceOf(bytes))
      expect(pointer).toMatchObject({
        url: `https://${sandbox.mediaHost}${pointer.directPath}`,
        fileLength: size,
        fileSha256: new Uint8Array(createHash('sha256').update(bytes).digest()),
      })
      expect(Math.abs(pointer.mediaKeyTimestamp - Date.now() / 1000)).toBeLessThan(60)
      expect(asked[0]?.length).toBe(String(size - (size % 16) + 16 + 10))
      const id = `SIZE-${size}`
      await client.sock.relayMessage(bob.jid, messageWith('document', pointer), { messageId: id })
      await bob.waitForMessage((message) => message.id === id)
      expect((await bob.download(id)).equals(bytes)).toBe(true)
      expect(
        (await collect(transfer().download(request(messageWith('document', pointer))))).equals(bytes),
      ).toBe(true)
    },
  )

  test.each(['image', 'video', 'voice', 'document', 'sticker'] as const)(
    'of a channel’s %s lies open, gets a name, and is read in channels alone',
    async (kind) => {
      const bytes = randomBytes(70_000)
      const pointer = await transfer().upload({ ...sourceOf(bytes, kind), forChannel: true })
      expect(asked[0]?.path).toStartWith('/newsletter/newsletter-')
      expect(asked[0]?.length).toBe('70000')
      expect(pointer).toMatchObject({ fileLength: 70_000, handle: expect.any(String) })
      const { url, directPath, fileSha256, fileLength } = pointer
      const open = messageWith(kind, { url, directPath, fileSha256, fileLength })
      const wanted = (more: Partial<MediaPointer>) => ({
        ...request(messageWith(kind, { url, directPath, fileSha256, fileLength, ...more })),
        chat: asJid('1@newsletter'),
      })
      expect((await collect(transfer().download(wanted({})))).equals(bytes)).toBe(true)
      expect(await failureOf(collect(transfer().download(request(open))))).toBe('no_file')
      for (const wrong of [{ fileSha256: randomBytes(32) }, { fileSha256: new Uint8Array() }]) {
        expect(await failureOf(collect(transfer().download(wanted(wrong))))).toBe('corrupt')
      }
      const small = { ...wanted({ fileLength: 1 }), maxBytes: 60_000 }
      expect(await failureOf(collect(transfer().download(small)))).toBe('too_large')
      const gone = wanted({ directPath: directPath.replace('/t62.7118-24/', '/t62.7118-24/gone') })
      expect(await failureOf(collect(transfer().download(gone)))).toBe('expired')
    },
  )

  test('asks for a new permission once when the old one has ended', async () => {
    let questions = 0
    const { ev, sendNode } = client.sock
    const query: typeof client.sock.query = async (node, timeoutMs) => {
      questions += 1
      const answer = await client.sock.query(node, timeoutMs)
      const [conn] = answer.content as { attrs: Record<string, string> }[]
      if (questions === 1 && conn) conn.attrs.auth = 'ended'
      return answer
    }
    // At once: a pause would be for a host that is out of order.
    let pauses = 0
    const sleep = async () => {
      pauses += 1
    }
    const made = transfer({ sock: { ev, sendNode, query }, clock: { ...hasty, sleep } })
    const pointer = await made.upload(sourceOf(randomBytes(64 * KIB)))
    expect(pauses).toBe(0)
    expect(pointer.directPath).toStartWith('/v/')
    expect(questions).toBe(2)
    expect(asked.map(({ status }) => status)).toEqual([401, 200])
  })

  test('tries the next host when one does not answer, and remembers none of it', async () => {
    const { ev, sendNode } = client.sock
    const query: typeof client.sock.query = async (node, timeoutMs) => {
      const answer = await client.sock.query(node, timeoutMs)
      const [conn] = answer.content as { content: unknown[] }[]
      conn?.content.unshift({ tag: 'host', attrs: { hostname: '127.0.0.1:9' } })
      return answer
    }
    const bytes = randomBytes(100)
    const guardless = transfer({
      sock: { ev, sendNode, query },
      fetch(url, init) {
        asked.push({ method: 'POST', path: '', host: new URL(url).host, status: 0, length: null })
        return fetch(url, { ...init, tls: { ca: sandbox.caPem } })
      },
    })
    const pointer = await guardless.upload(sourceOf(bytes))
    expect(asked.map(({ host }) => host)).toEqual(['127.0.0.1:9', sandbox.mediaHost])
    expect(
      (await collect(transfer().download(request(messageWith('document', pointer))))).equals(bytes),
    ).toBe(true)
  })

  test('is taken once, though its source ends some time after its last byte', async () => {
    const bytes = randomBytes(2_000)
    const fetchFile = guarded()
    const statuses: number[] = []
    const late = transfer({
      async fetch(url, init) {
        const response = await fetchFile(url, init)
        // Its words are still to come when the source ends.
        await ended.promise
        await Bun.sleep(1)
        init.signal?.throwIfAborted()
        statuses.push(response.status)
        return response
      },
    })
    const ended = Promise.withResolvers<void>()
    let readings = 0
    const pointer = await late.upload({
      kind: 'document',
      size: bytes.length,
      forChannel: true,
      async *open() {
        yield bytes
        // The host answers as soon as it has all bytes that it was told of.
        await Bun.sleep(30)
        readings += 1
        // The first reading is for the hashes.
        if (readings === 2) ended.resolve()
      },
    })
    expect(pointer.directPath).toStartWith('/')
    expect(statuses).toEqual([200])
  })

  test('is tried again while the host is out of order, and goes through when it is well', async () => {
    sandbox.server.faults.add({ kind: 'media_refuse', all: true, status: 503, times: 2 })
    const pointer = await transfer().upload(sourceOf(randomBytes(100_000)))
    expect(pointer.directPath).toStartWith('/v/')
    expect(asked.map(({ status }) => status)).toEqual([503, 503, 200])
  })

  test('is unconfirmed when no host takes it now, and refused when none ever will', async () => {
    sandbox.server.faults.add({ kind: 'media_refuse', all: true, status: 503 })
    expect(await failureOf(transfer().upload(sourceOf(randomBytes(10))))).toBeInstanceOf(SendUnconfirmed)
    expect(asked).toHaveLength(3)
    sandbox.server.faults.clear()
    sandbox.server.faults.add({ kind: 'media_refuse', all: true, status: 413 })
    const refused = await failureOf(transfer().upload(sourceOf(randomBytes(10))))
    expect(refused).toBeInstanceOf(SendRefused)
    expect((refused as SendRefused).refusal.code).toBe('413')
    expect(asked).toHaveLength(4)
  })

  test('survives a question for hosts that was not answered', async () => {
    const { ev, sendNode } = client.sock
    let questions = 0
    const query: typeof client.sock.query = (node, timeoutMs) => {
      questions += 1
      return questions === 1 ? Promise.reject(new Error('Timed Out')) : client.sock.query(node, timeoutMs)
    }
    const made = transfer({ sock: { ev, sendNode, query } })
    expect((await made.upload(sourceOf(randomBytes(10)))).fileLength).toBe(10)
    expect((await made.upload(sourceOf(randomBytes(11)))).fileLength).toBe(11)
    expect(questions).toBe(2)
  })

  test('fails with what its source says, and closes it', async () => {
    let opened = 0
    let closed = 0
    const failing = (when: number) => ({
      kind: 'document' as const,
      size: 2 * MIB,
      async *open(): Bytes {
        opened += 1
        try {
          yield randomBytes(MIB)
          if (opened === when) throw new Error('the disk is gone')
          yield randomBytes(MIB)
        } finally {
          closed += 1
        }
      },
    })
    for (const when of [1, 2]) {
      opened = 0
      closed = 0
      expect(String(await failureOf(transfer().upload(failing(when))))).toContain('the disk is gone')
      expect([opened, closed]).toEqual([when, when])
    }
  })

  test('that changes under our hands is not taken', async () => {
    const changing = {
      kind: 'document' as const,
      size: 100,
      open: (): Bytes => sourceOf(randomBytes(100)).open(),
    }
    expect(await failureOf(transfer().upload(changing))).toBeInstanceOf(SendRefused)
  })

  test('ends with its connection', async () => {
    const made = transfer()
    const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
    const slow = {
      kind: 'document' as const,
      size: MIB,
      async *open(): Bytes {
        yield randomBytes(10)
        begin()
        await Bun.sleep(20)
        yield randomBytes(10)
      },
    }
    const upload = failureOf(made.upload(slow))
    await begun
    made.stop()
    expect(await upload).toBeInstanceOf(SendUnconfirmed)
    expect(asked).toEqual([])
  })
})

describe('a download', () => {
  test.each([1, 64 * KIB, 2 * MIB])('of %d bytes that a phone has sent', async (size) => {
    const bytes = randomBytes(size)
    const { message, id } = await heard(bytes)
    expect((await collect(transfer().download(request(message, { id })))).equals(bytes)).toBe(true)
  })

  test('of what Baileys itself has uploaded', async () => {
    const bytes = randomBytes(70_000)
    const said = await client.sock.sendMessage(bob.jid, { document: bytes, mimetype: 'a/b', fileName: 'x' })
    expect((await collect(transfer().download(request(said?.message ?? {})))).equals(bytes)).toBe(true)
  })

  test('goes to WhatsApp’s media host, whatever the message says', async () => {
    const bytes = randomBytes(100)
    const pointer = await transfer().upload(sourceOf(bytes, 'image'))
    asked = []
    const crafted = [
      { ...pointer, url: 'https://evil.example/steal' },
      { ...pointer, url: `https://evil.example${pointer.directPath}`, directPath: '' },
    ]
    for (const file of crafted) {
      expect((await collect(transfer().download(request(messageWith('image', file), {})))).length).toBe(
        bytes.length,
      )
    }
    expect(asked.map(({ host }) => host)).toEqual(['mmg.whatsapp.net', 'mmg.whatsapp.net'])
    for (const directPath of [
      '@evil.example/x',
      '.evil.example/x',
      '//evil.example/x',
      '/\\evil.example/x',
    ]) {
      const made = transfer().download(request(messageWith('image', { ...pointer, directPath })))
      expect(await failureOf(collect(made))).toBe('no_file')
    }
    expect(asked).toHaveLength(2)
  })

  test('of a message without a file, or without its key, has nothing', async () => {
    for (const message of [{ conversation: 'hi' }, messageWith('image', { directPath: '/x' })]) {
      expect(await failureOf(collect(transfer().download(request(message))))).toBe('no_file')
    }
    const short = messageWith('image', { directPath: '/x', mediaKey: randomBytes(5) })
    expect(await failureOf(collect(transfer().download(request(short))))).toBe('no_file')
  })

  test.each([
    ['media_truncated', 'corrupt'],
    ['media_corrupt', 'corrupt'],
    ['media_refuse', 'refused'],
    ['media_hang', 'refused'],
  ] as const)('under %s is told as %s; control: without the fault it is read', async (kind, reason) => {
    const bytes = randomBytes(200_000)
    const pointer = await transfer().upload(sourceOf(bytes))
    const message = request(messageWith('document', pointer))
    sandbox.server.faults.add({ kind, all: true })
    const impatient = transfer({ silenceMs: 100 })
    expect(await failureOf(collect(impatient.download(message)))).toBe(reason)
    sandbox.server.faults.clear()
    expect((await collect(transfer().download(message))).equals(bytes)).toBe(true)
  })

  test('of another file than the message describes is corrupt', async () => {
    const pointer = await transfer().upload(sourceOf(randomBytes(5_000)))
    const other = await transfer().upload(sourceOf(randomBytes(5_000)))
    const wrong = [
      { directPath: other.directPath },
      { fileSha256: randomBytes(32) },
      { fileEncSha256: randomBytes(32) },
    ]
    for (const change of wrong) {
      const message = request(messageWith('document', { ...pointer, ...change }))
      expect(await failureOf(collect(transfer().download(message)))).toBe('corrupt')
    }
  })

  test('of a file that is gone asks the phone, once for all who wait, and once', async () => {
    const bytes = randomBytes(50_000)
    const { message, id, chat } = await heard(bytes)
    sandbox.server.faults.add({ kind: 'media_gone', all: true })
    const requests = () =>
      sandbox.server.log
        .entries()
        .filter(
          ({ direction, stanza: { tag, attrs } }) =>
            tag === 'receipt' && direction === 'in' && attrs.type === 'server-error' && attrs.id === id,
        )
    const before = requests().length
    // Both have found it gone before either hears of a new path.
    let gone = 0
    const { promise: bothGone, resolve: go } = Promise.withResolvers<void>()
    const fetchFile = guarded()
    const made = transfer({
      async fetch(url, init) {
        const response = await fetchFile(url, init)
        statuses.push(response.status)
        if (response.status === 410) {
          gone += 1
          if (gone === 2) go()
          await bothGone
        }
        return response
      },
    })
    const statuses: number[] = []
    const ask = { ...request(message, { id }), chat }
    const both = await Promise.all([collect(made.download(ask)), collect(made.download(ask))])
    for (const got of both) expect(got.equals(bytes)).toBe(true)
    expect(requests().length - before).toBe(1)
    expect(statuses).toEqual([410, 410, 200, 200])
  })

  test('of a file that is gone while the phone is away, or does not know it, has expired', async () => {
    const { message, id, chat } = await heard(randomBytes(500))
    sandbox.server.faults.add({ kind: 'media_gone', all: true })
    ada.setReachable(false)
    const ask = { ...request(message, { id }), chat }
    expect(await failureOf(collect(transfer({ reuploadMs: 100 }).download(ask)))).toBe('expired')
    ada.setReachable(true)
    expect(await failureOf(collect(transfer().download({ ...ask, id: 'UNKNOWN' })))).toBe('expired')
  })

  test('of more than is wanted ends', async () => {
    const pointer = await transfer().upload(sourceOf(randomBytes(5_000)))
    const cap = (file: Partial<MediaPointer>) =>
      failureOf(collect(transfer().download(request(messageWith('document', file), { maxBytes: 4_999 }))))
    expect(await cap(pointer)).toBe('too_large')
    expect(await cap({ ...pointer, fileLength: 10 })).toBe('too_large')
  })

  test('may be left in the middle', async () => {
    const pointer = await transfer().upload(sourceOf(randomBytes(8 * MIB)))
    const message = request(messageWith('document', pointer))
    for await (const _ of transfer().download(message)) break
    expect((await collect(transfer().download(message))).length).toBe(8 * MIB)
  })
})

test('a file of 100 MB goes both ways without ever lying in memory', async () => {
  const child = Bun.spawn([process.execPath, join(import.meta.dir, 'support', 'media-child.ts')], {
    stdin: 'pipe',
    stdout: 'pipe',
    stderr: 'inherit',
  })
  child.stdin.write(
    `${JSON.stringify({
      url: sandbox.url,
      rootPublicKey: sandbox.rootPublicKey,
      mediaHost: sandbox.mediaHost,
      caPem: sandbox.caPem,
    })}\n`,
  )
  const reader = child.stdout.getReader()
  let text = ''
  let scanned = false
  for (;;) {
    const { value, done } = await reader.read()
    if (done) break
    text += new TextDecoder().decode(value)
    if (scanned || !text.includes('\n')) continue
    scanned = true
    await bob.scan(text.split('\n')[0] ?? '')
  }
  expect(await child.exited).toBe(0)
  const told = JSON.parse(text.trim().split('\n').at(-1) ?? '') as Record<string, number | boolean>
  expect(told.same).toBe(true)
  // Measured: 28 to 45 up, 15 to 20 down; the rest is room for a collector that comes late.
  expect(told.uploadMib).toBeLessThan(70)
  expect(told.downloadMib).toBeLessThan(45)
}, 120_000)
