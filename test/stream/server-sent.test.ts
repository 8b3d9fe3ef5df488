/** Server-sent events over real connections of Bun: what a client that is gone, or that does not read, costs there. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { formatCursor } from '../../src/domain/journal'
import { systemClock } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { serverSentEvents } from '../../src/stream/sse'
import { createStreams, type Stream, type Streams } from '../../src/stream/streams'
import type { StreamSocket } from '../../src/stream/subscription'
import { createManualClock, type ManualClock } from '../harness/clock'
import { openEventSource } from '../harness/event-source'
import { makeRig, type Rig, TENANT } from '../storage/rig'
import { type Frame, happen, makeSessions } from './rig'

let rig: Rig
let storage: Storage
let streams: Streams
let clock: ManualClock
let server: Bun.Server<undefined>
let opened: StreamSocket[]
let farewells: number
beforeEach(async () => {
  rig = makeRig()
  clock = createManualClock()
  storage = rig.open()
  await makeSessions(storage)
  streams = createStreams({
    journal: storage.journal,
    clock: { ...clock, after: (ms, task) => (ms === 0 ? systemClock : clock).after(ms, task) },
  })
  void streams.start()
  opened = []
  farewells = 0
  server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request, self) {
      self.timeout(request, 0)
      let stream: Stream | null = null
      const { socket, body } = serverSentEvents({
        epoch: storage.journal.epoch,
        onDrained: () => stream?.drained(),
        onEnd() {
          farewells += 1
          self.timeout(request, 1)
        },
        onGone: () => stream?.stop(),
      })
      opened.push(socket)
      stream = streams.open({
        tenantId: TENANT,
        sessionId: null,
        wish: { events: [], sessionIds: null, after: new URL(request.url).searchParams.get('after') },
        knows: () => true,
        socket,
      })
      return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
    },
  })
})
afterEach(async () => {
  void streams.stop()
  await server.stop(true)
  await rig.clear()
})

const url = (query = '') => `http://127.0.0.1:${server.port}/${query}`
const cursor = () => formatCursor({ epoch: storage.journal.epoch, seq: storage.journal.head() })
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)
const fat = { fields: { text: 'x'.repeat(60_000) } }
const numberOf = ({ data }: { data: string }): number => (JSON.parse(data) as Frame).n ?? -1

/** Asks for the stream by hand and reads nothing. */
async function connectUnread(): Promise<Socket> {
  const socket = connect(server.port ?? 0, '127.0.0.1')
  await once(socket, 'connect')
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  socket.pause()
  while (opened.length === 0) await Bun.sleep(1)
  return socket
}

test('a client that is gone is forgotten', async () => {
  const client = await openEventSource(url())
  expect(streams.count).toBe(1)
  client.close()
  while (streams.count > 0) {
    await happen(storage, [1])
    await Bun.sleep(1)
  }
})

test('a quiet stream shows a sign of life, and its cursor moves on', async () => {
  const client = await openEventSource(url())
  await clock.advance(15_000)
  await client.until((text) => text.includes(`\n: still here\nid: ${cursor()}\n\n`))
  expect(client.blocks).toEqual([])
  client.close()
})

test('a client that does not read holds little, gets its last words with its cursor, and misses nothing after it', async () => {
  const socket = await connectUnread()
  let most = 0
  for (let n = 0; n < 400; n += 1) {
    await happen(storage, [n], fat)
    await Bun.sleep(0)
    most = Math.max(most, opened[0]?.bufferedAmount() ?? 0)
  }
  expect(most).toBeGreaterThan(100_000)
  expect(most).toBeLessThan(512 * 1024)
  await clock.advance(15_000)
  expect(streams.count).toBe(0)
  expect(farewells).toBe(1)

  let text = ''
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1')
  })
  socket.resume()
  while (!text.includes('event: end')) await Bun.sleep(1)
  socket.destroy()
  const ids = [...text.matchAll(/\bid: (\S+)\r?\n/g)].map(([, id]) => id)
  const last = /"code":"SLOW_CONSUMER".*"cursor":"([^"]+)"/.exec(text)?.[1] ?? ''
  expect(last).toBe(ids.at(-1) ?? '')
  const seen = [...text.matchAll(/"n":(\d+)/g)].map(([, n]) => Number(n))
  const again = await openEventSource(url(`?after=${last}`))
  while (seen.length + again.blocks.length < 400) await Bun.sleep(1)
  expect([...seen, ...again.blocks.map(numberOf)]).toEqual(upTo(400))
  again.close()
})

test('a client that never reads loses its connection after the last words', async () => {
  const socket = await connectUnread()
  for (let n = 0; n < 400; n += 1) {
    await happen(storage, [n], fat)
    await Bun.sleep(0)
  }
  await clock.advance(15_000)
  expect(streams.count).toBe(0)
  while (server.pendingRequests > 0) await Bun.sleep(20)
  socket.destroy()
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
    const enough = Promise.withResolvers<void>()
    let left = round * 3
    const client = await openEventSource(url(`?after=${after}`), {}, (block) => {
      if (left === 0) return
      seen.push(numberOf(block))
      after = block.lastEventId
      left -= 1
      if (left === 0 || seen.length === total) enough.resolve()
    })
    await enough.promise
    client.close()
  }
  await writing
  expect(seen).toEqual(upTo(total))
})
