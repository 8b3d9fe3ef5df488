/** Files of 1 byte to 100 MB, both ways, by address, as a form and from a phone: whole at the other side, cheap in memory. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { memoryOf, peakOf, watchPeak } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { API_KEY, numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

const OURS = numberOf(1)
const ADA = numberOf(2)
const SIZES = [1, 65_536, 16_000_000, 100_000_000]
/** Memory that a file may cost (MiB); larger ones are never held whole. */
const DEAR = 50

/** The bytes of a file of this size, in pieces: the same each time, and like nothing that compresses. */
function* bytesOf(size: number): Generator<Uint8Array<ArrayBuffer>> {
  let state = size >>> 0 || 1
  for (let at = 0; at < size; at += 65_536) {
    const piece = new Uint32Array(16_384)
    for (let i = 0; i < piece.length; i++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
      piece[i] = state
    }
    yield new Uint8Array(piece.buffer).subarray(0, Math.min(65_536, size - at))
  }
}
function shaOf(size: number): string {
  const hash = createHash('sha256')
  for (const piece of bytesOf(size)) hash.update(piece)
  return hash.digest('hex')
}
const streamOf = (size: number) => {
  const pieces = bytesOf(size)
  return new ReadableStream<Uint8Array>({
    pull(controller) {
      const { value, done } = pieces.next()
      if (done) controller.close()
      else controller.enqueue(value)
    },
  })
}

const host = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request) => new Response(streamOf(Number(new URL(request.url).pathname.slice(1)))),
})
let sandbox: SandboxProcess
let wabun: Wabun
let id: string

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await wabun.start()
  await sandbox.addPhone(ADA)
  ;[id = ''] = await pairAll(wabun, sandbox, [OURS])
  // What the first file of each way pays for all: compiled code, a connection, buffers.
  for (const size of [4_000_000, 4_000_000]) {
    await sendByUrl(size)
    await receive(size)
  }
}, 60_000)
afterAll(async () => {
  await wabun?.end()
  await sandbox?.stop()
  await host.stop(true)
})

const sendByUrl = async (size: number): Promise<string> =>
  (
    await wabun.api<{ messageId: string }>('POST', '/api/messages/send/document', {
      sessionId: id,
      to: ADA,
      documentUrl: `${host.url}${size}`,
      filename: `${size} bytes.bin`,
    })
  ).messageId

async function sendAsForm(size: number): Promise<string> {
  const boundary = 'wabun-form'
  const field = (name: string, value: string) =>
    `--${boundary}\r\nContent-Disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
  const head = `${field('sessionId', id)}${field('to', ADA)}--${boundary}\r\nContent-Disposition: form-data; name="file"; filename="form.bin"\r\nContent-Type: application/octet-stream\r\n\r\n`
  async function* form() {
    yield Buffer.from(head)
    yield* bytesOf(size)
    yield Buffer.from(`\r\n--${boundary}--\r\n`)
  }
  const response = await fetch(`${wabun.child.url}/api/messages/send/document`, {
    method: 'POST',
    headers: { 'x-api-key': API_KEY, 'content-type': `multipart/form-data; boundary=${boundary}` },
    body: form(),
  })
  const answer = (await response.json()) as { messageId: string }
  if (!response.ok) throw new Error(JSON.stringify(answer))
  return answer.messageId
}

/** A document from Ada's phone, read from the API; resolves with both hashes. */
async function receive(size: number): Promise<{ said: string; read: string; size: number }> {
  const { messageId, sha256 } = await sandbox.sayFile(ADA, OURS, size)
  const path = `/api/messages/${id}/${messageId}/media`
  const deadline = performance.now() + 20_000
  for (;;) {
    const response = await wabun.call('GET', path)
    if (response.status === 404 && performance.now() < deadline) {
      await response.text()
      await Bun.sleep(20)
      continue
    }
    if (!response.ok) throw new Error(await response.text())
    const hash = createHash('sha256')
    let got = 0
    for await (const piece of response.body ?? []) {
      hash.update(piece)
      got += piece.length
    }
    return { said: sha256, read: hash.digest('hex'), size: got }
  }
}

/** What `work` has cost at its peak (MiB), beyond what the process held before. */
async function costOf(work: () => Promise<void>): Promise<number> {
  const { pid } = wabun.child
  const before = memoryOf(pid).rss
  watchPeak(pid)
  await work()
  return peakOf(pid) - before
}

const leftovers = () =>
  ['tmp', 'media/tmp']
    .map((name) => join(wabun.dataDir, name))
    .filter(existsSync)
    .flatMap((folder) => readdirSync(folder))

describe.each(SIZES)('%d bytes', (size) => {
  test('fetched from an address and sent', async () => {
    const cost = await costOf(async () => {
      const messageId = await sendByUrl(size)
      expect(await sandbox.fileAt(ADA, messageId)).toEqual({ size, sha256: shaOf(size) })
    })
    expect(cost).toBeLessThan(DEAR)
    expect(leftovers()).toEqual([])
  }, 60_000)

  test('given as a form and sent', async () => {
    const cost = await costOf(async () => {
      const messageId = await sendAsForm(size)
      expect(await sandbox.fileAt(ADA, messageId)).toEqual({ size, sha256: shaOf(size) })
    })
    expect(cost).toBeLessThan(DEAR)
    expect(leftovers()).toEqual([])
  }, 60_000)

  test('received and read', async () => {
    const cost = await costOf(async () => {
      const { said, read, size: got } = await receive(size)
      expect({ read, got }).toEqual({ read: said, got: size })
    })
    expect(cost).toBeLessThan(DEAR)
    expect(leftovers()).toEqual([])
  }, 60_000)
})
