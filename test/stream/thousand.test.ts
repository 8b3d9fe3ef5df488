/** A thousand readers, one of which does not read: it costs its own bounded share and is closed; the others get everything. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { systemClock } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { webSocketEnd } from '../../src/stream/socket'
import { createStreams, type Stream, type Streams } from '../../src/stream/streams'
import { createManualClock, type ManualClock } from '../harness/clock'
import { makeRig, OTHER, type Rig, SESSION, TENANT } from '../storage/rig'
import { happen, makeSessions } from './rig'

const READERS = 1_000
const EVENTS = 40
const MiB = 1024 * 1024

type Data = { all: boolean; stream: Stream | null }

let rig: Rig
let storage: Storage
let streams: Streams
let clock: ManualClock
let server: Bun.Server<Data>
let buffered: () => number
let closed: string[]
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
  buffered = () => 0
  closed = []
  server = Bun.serve<Data>({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, self) =>
      self.upgrade(request, { data: { all: request.url.endsWith('/all'), stream: null } })
        ? undefined
        : new Response(null, { status: 426 }),
    websocket: {
      open(ws) {
        const { all } = ws.data
        if (all) buffered = () => ws.getBufferedAmount()
        const end = webSocketEnd(ws)
        ws.data.stream = streams.open({
          tenantId: TENANT,
          sessionId: null,
          // The one that stalls is told of large events besides, so that it is behind soon.
          wish: { events: [], sessionIds: all ? null : [SESSION], after: null },
          knows: () => true,
          socket: {
            ...end,
            close(code, detail) {
              closed.push(`${code} ${detail}`)
              end.close(code, detail)
            },
          },
        })
      },
      message: () => undefined,
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

/** Opens a WebSocket by hand and reads nothing. */
async function connectUnread(): Promise<Socket> {
  const socket = connect(server.port ?? 0, '127.0.0.1')
  await once(socket, 'connect')
  socket.write(
    'GET /all HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  socket.pause()
  return socket
}

test('a thousand readers, one of which does not read', async () => {
  const stalled = await connectUnread()
  const seen = Array.from({ length: READERS - 1 }, (): number[] => [])
  const everything = Promise.withResolvers<void>()
  let complete = 0
  const clients = seen.map((numbers) => {
    const client = new WebSocket(`ws://127.0.0.1:${server.port}/some`)
    client.onmessage = ({ data }) => {
      const n = /"n":(\d+)/.exec(String(data))?.[1]
      if (n === undefined) return
      numbers.push(Number(n))
      if (numbers.length === EVENTS && ++complete === READERS - 1) everything.resolve()
    }
    return client
  })
  while (streams.count < READERS) await Bun.sleep(5)

  const fat = { session: OTHER, fields: { text: 'x'.repeat(200_000) } }
  let most = 0
  for (let n = 0; n < EVENTS; n += 1) {
    await happen(storage, [n])
    await happen(storage, [n], fat)
    most = Math.max(most, buffered())
    await Bun.sleep(0)
  }
  await everything.promise
  expect(seen).toEqual(seen.map(() => Array.from({ length: EVENTS }, (_, n) => n)))
  expect(most).toBeGreaterThan(256 * 1024)
  expect(most).toBeLessThan(MiB)
  expect(closed).toEqual([])

  await clock.advance(15_000)
  expect(closed).toHaveLength(1)
  expect(closed[0]).toMatch(/^4408 [a-z0-9]{8}-\d+$/)
  expect(streams.count).toBe(READERS - 1)
  stalled.destroy()
  for (const client of clients) client.terminate()
  while (streams.count > 0) await Bun.sleep(5)
}, 60_000)
