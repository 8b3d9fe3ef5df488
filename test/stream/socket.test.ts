/** Streams over real WebSockets of Bun: what a buffer does there is not for a pretend socket to say. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { formatCursor } from '../../src/domain/journal'
import { systemClock } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { parseWish } from '../../src/stream/parse'
import { webSocketEnd } from '../../src/stream/socket'
import { createStreams, type Stream, type Streams } from '../../src/stream/streams'
import { createManualClock, type ManualClock } from '../harness/clock'
import { makeRig, type Rig, TENANT } from '../storage/rig'
import { type Frame, happen, makeSessions } from './rig'

type Data = { query: Record<string, string>; stream: Stream | null; buffered: () => number }

let rig: Rig
let storage: Storage
let streams: Streams
let clock: ManualClock
let server: Bun.Server<Data>
let opened: Data[]
beforeEach(async () => {
  rig = makeRig()
  clock = createManualClock()
  storage = rig.open()
  await makeSessions(storage)
  // Everything that must come to pass by itself is let by the test; only the pauses of a replay are real.
  streams = createStreams({
    journal: storage.journal,
    clock: { ...clock, after: (ms, task) => (ms === 0 ? systemClock : clock).after(ms, task) },
  })
  void streams.start()
  opened = []
  server = Bun.serve<Data>({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request, self) {
      const query = Object.fromEntries(new URL(request.url).searchParams)
      const data: Data = { query, stream: null, buffered: () => 0 }
      opened.push(data)
      return self.upgrade(request, { data }) ? undefined : new Response(null, { status: 426 })
    },
    websocket: {
      open(ws) {
        const wish = parseWish(ws.data.query)
        ws.data.buffered = () => ws.getBufferedAmount()
        ws.data.stream = streams.open({
          tenantId: TENANT,
          sessionId: null,
          wish: wish.ok ? wish.value : null,
          knows: () => true,
          socket: webSocketEnd(ws),
        })
      },
      message: (ws, text) => ws.data.stream?.message(String(text)),
      drain: (ws) => ws.data.stream?.drained(),
      close: (ws) => ws.data.stream?.stop(),
    },
  })
})
afterEach(async () => {
  void streams.stop()
  await server.stop(true)
  await rig.clear()
})

const cursor = () => formatCursor({ epoch: storage.journal.epoch, seq: storage.journal.head() })
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)

/** Frames of a server in one piece of bytes, and what is left over. */
function framesOf(bytes: Buffer): { frames: { opcode: number; payload: Buffer }[]; rest: Buffer } {
  const frames: { opcode: number; payload: Buffer }[] = []
  let at = 0
  while (bytes.length - at >= 2) {
    const short = (bytes[at + 1] ?? 0) & 127
    const head = short === 126 ? 4 : short === 127 ? 10 : 2
    if (bytes.length - at < head) break
    const length =
      short === 126
        ? bytes.readUInt16BE(at + 2)
        : short === 127
          ? Number(bytes.readBigUInt64BE(at + 2))
          : short
    if (bytes.length - at < head + length) break
    frames.push({
      opcode: (bytes[at] ?? 0) & 15,
      payload: bytes.subarray(at + head, at + head + length),
    })
    at += head + length
  }
  return { frames, rest: bytes.subarray(at) }
}

/** Opens a WebSocket by hand and reads nothing but the upgrade. */
async function connectUnread(): Promise<Socket> {
  const socket = connect(server.port ?? 0, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    'GET /?events=* HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  socket.pause()
  return socket
}

test('a client that does not read is closed with 4408 and the cursor of the last event that it gets', async () => {
  const socket = await connectUnread()
  while (!opened[0]?.stream) await Bun.sleep(1)
  const fat = { fields: { text: 'x'.repeat(60_000) } }
  let most = 0
  for (let n = 0; n < 400; n += 1) {
    await happen(storage, [n], fat)
    most = Math.max(most, opened[0].buffered())
  }
  expect(most).toBeGreaterThan(100_000)
  expect(most).toBeLessThan(512 * 1024)
  await clock.advance(15_000)
  expect(streams.count).toBe(0)

  let bytes: Buffer = Buffer.alloc(0)
  const events: Frame[] = []
  let close: Buffer | null = null
  socket.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    if (bytes.subarray(0, 4).toString() === 'HTTP') {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return
      bytes = bytes.subarray(end + 4)
    }
    const { frames, rest } = framesOf(bytes)
    bytes = rest
    for (const { opcode, payload } of frames) {
      if (opcode === 1) events.push(JSON.parse(payload.toString()))
      if (opcode === 8) close = Buffer.from(payload)
    }
  })
  socket.resume()
  while (close === null) await Bun.sleep(1)
  socket.destroy()
  const closed: Buffer = close
  const numbers = events.filter(({ event }) => event).map(({ n }) => n)
  expect(numbers).toEqual(upTo(numbers.length))
  expect(closed.readUInt16BE(0)).toBe(4408)
  expect(closed.subarray(2).toString()).toBe(`SLOW_CONSUMER ${events.at(-1)?.cursor}`)
})

test('a client that comes and goes sees every event once', async () => {
  let after = cursor()
  const seen: number[] = []
  const total = 600
  const writing = (async () => {
    for (let n = 0; n < total; n += 1) {
      await happen(storage, [n])
      if (n % 10 === 0) await Bun.sleep(1)
    }
  })()
  for (let round = 1; seen.length < total; round += 1) {
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/?after=${after}`)
    const enough = Promise.withResolvers<void>()
    let left = round * 3
    client.onmessage = ({ data }) => {
      const frame = JSON.parse(String(data)) as Frame
      if (frame.event === undefined || left === 0) return
      seen.push(frame.n ?? -1)
      after = frame.cursor ?? after
      left -= 1
      if (left === 0 || seen.length === total) enough.resolve()
    }
    await enough.promise
    client.close()
  }
  await writing
  expect(seen).toEqual(upTo(total))
})
