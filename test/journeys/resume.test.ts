/**
 * A reader that loses its connection again and again, at any moment, and goes on from its cursor, while events happen all
 * the time: by WebSocket, by server-sent events and by pull it sees every event once, in order.
 *
 *   RESUME_DISCONNECTS=1000 bun test test/journeys/resume.test.ts --timeout 600000
 */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { asSessionId } from '../../src/domain/ids'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { seeded } from '../harness/measure'

/** Of all readers together; each way has a third. */
const DISCONNECTS = Number(process.env.RESUME_DISCONNECTS ?? 90)
const SEED = Number(process.env.RESUME_SEED ?? Date.now() % 1_000_000)
/** Events of one commit, and the pause between two commits (ms): 500 a second. */
const BATCH = 5
const PAUSE = 10
/** A connection is cut after so many events at most. */
const LONGEST = 60

let server: TestApp
let id: string
beforeAll(async () => {
  server = await startApp()
  id = await server.session('Busy')
})
afterAll(() => server.stop())

const KEY = { 'x-api-key': OWNER_KEY }
type Told = { event?: string; cursor: string | null; n: number }
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)
const newest = async () => (await server.ok<{ cursor: string }>('GET', '/api/events?limit=100')).cursor

/** Makes the next events in one commit. */
async function happen(numbers: readonly number[]): Promise<void> {
  const session = server.app.storage.sessions.get(asSessionId(id))
  if (!session) throw new Error('There is no session')
  await server.app.storage.ledger.commit(
    numbers.map((n) => ({
      change: { kind: 'told' as const },
      events: [
        {
          name: 'message.received' as const,
          tenantId: session.tenantId,
          sessionId: session.id,
          fields: { n, text: 'Grüße 👋' },
        },
      ],
    })),
  )
}

/** One connection: gives events on until `take` says that it is enough, then is gone without a word. */
type Way = (after: string | null, take: (told: Told) => boolean) => Promise<void>

const ways: Record<'websocket' | 'sse' | 'pull', Way> = {
  websocket: (after, take) =>
    new Promise((resolve) => {
      const query = after === null ? '' : `&after=${after}`
      const socket = new WebSocket(
        `${server.url.replace('http', 'ws')}/api/events/ws?events=message.*${query}`,
        {
          headers: KEY,
        } as unknown as string[],
      )
      let done = false
      socket.onmessage = ({ data }) => {
        const told = JSON.parse(String(data)) as Told
        if (done || told.event === undefined || take(told)) return
        done = true
        socket.terminate()
        resolve()
      }
    }),
  async sse(after, take) {
    const enough = Promise.withResolvers<void>()
    let done = false
    const client = await openEventSource(
      `${server.url}/api/events/stream?events=message.*`,
      after === null ? KEY : { ...KEY, 'last-event-id': after },
      ({ data }) => {
        if (done || take(JSON.parse(data) as Told)) return
        done = true
        enough.resolve()
      },
    )
    await enough.promise
    client.close()
  },
  async pull(after, take) {
    // Every second request is dropped before its answer is read.
    const leaving = new AbortController()
    const query = `events=message.*&wait=20&limit=17${after === null ? '' : `&after=${after}`}`
    const lost = fetch(`${server.url}/api/events?${query}`, { headers: KEY, signal: leaving.signal })
    leaving.abort()
    await lost.catch(() => undefined)
    const { events } = await server.ok<{ events: Told[] }>('GET', `/api/events?${query}`)
    for (const told of events) if (!take(told)) return
  },
}

type Reading = { seen: number[]; cuts: number }

/** Reads from a cursor on until the last event, and is cut off at random as long as `cuts` says so. */
async function read(
  way: Way,
  from: string,
  { cuts, last, random }: { cuts: number; last: () => number | null; random: () => number },
  reading: Reading,
): Promise<void> {
  let after = from
  let over = false
  while (!over) {
    const isLast = reading.cuts >= cuts
    let left = isLast ? Number.POSITIVE_INFINITY : 1 + Math.floor(random() * LONGEST)
    await way(after, ({ n, cursor }) => {
      reading.seen.push(n)
      after = cursor ?? after
      left -= 1
      over = n === last()
      return left > 0 && !over
    })
    reading.cuts += 1
  }
}

test(`${DISCONNECTS} disconnects while 500 events a second happen (seed ${SEED})`, async () => {
  const random = seeded(SEED)
  const from = await newest()
  const cuts = Math.ceil(DISCONNECTS / Object.keys(ways).length)
  let last: number | null = null
  const readings = Object.values(ways).map((way) => {
    const reading: Reading = { seen: [], cuts: 0 }
    return { reading, end: read(way, from, { cuts, last: () => last, random }, reading) }
  })
  const failed = Promise.all(readings.map(({ end }) => end))
  let n = 0
  while (readings.some(({ reading }) => reading.cuts < cuts)) {
    await happen(upTo(BATCH).map(() => n++))
    await Promise.race([Bun.sleep(PAUSE), failed])
  }
  // Everybody reads still, on the last connection or on the way to it.
  last = n
  await happen([n])
  await failed
  for (const { reading } of readings) {
    expect(reading.cuts).toBeGreaterThanOrEqual(cuts)
    expect(reading.seen).toEqual(upTo(n + 1))
  }
}, 600_000)

test('control: a reader that does not say where it was misses what happened meanwhile', async () => {
  for (const way of [ways.websocket, ways.sse]) {
    const seen: number[] = []
    for (const [first, second] of [
      [0, 1],
      [3, 4],
    ] as const) {
      let opened = false
      const reading = way(null, ({ n }) => {
        opened = true
        seen.push(n)
        return n < second
      })
      // Nobody knows when a reader without a cursor begins.
      while (!opened) {
        await happen([first])
        await Bun.sleep(1)
      }
      await happen([second])
      await reading
      await happen([second + 1])
    }
    expect(new Set(seen)).toEqual(new Set([0, 1, 3, 4]))
  }
})
