/** Cursors that were good once: events that are older than what is kept are said to be gone, never passed over. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import { formatCursor } from '../../src/domain/journal'
import { systemClock } from '../../src/lib/clock'
import type { Storage } from '../../src/storage/open'
import { type PullRequest, readEvents } from '../../src/stream/pull'
import { createStreams, type Stream, type Streams } from '../../src/stream/streams'
import { createManualClock, type ManualClock } from '../harness/clock'
import { makeRig, movableClock, type Rig, SESSION, TENANT } from '../storage/rig'
import { type Frame, happen, makeSessions, PretendSocket } from './rig'

const MONTH = 31 * 86_400_000

let rig: Rig
let storage: Storage
let age: ReturnType<typeof movableClock>
let clock: ManualClock
let streams: Streams
beforeEach(async () => {
  rig = makeRig()
  age = movableClock()
  clock = createManualClock()
  storage = rig.open({ clock: age })
  await makeSessions(storage)
  streams = createStreams({ journal: storage.journal, clock })
  void streams.start()
})
afterEach(async () => {
  void streams.stop()
  await rig.clear()
})

const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)
const cursorAt = (seq: number) => formatCursor({ epoch: storage.journal.epoch, seq })
const head = () => storage.journal.head()
/** Everything up to now grows old and is removed. */
async function forgetAll(): Promise<void> {
  age.shift += MONTH
  await storage.webhooks.fanOut(head())
  await storage.janitor.sweep()
}
function open(after: string): PretendSocket & { stream: Stream } {
  const socket = new PretendSocket()
  const wish = { events: [], sessionIds: null, after }
  const stream = streams.open({ tenantId: TENANT, sessionId: null, wish, knows: () => true, socket })
  return Object.assign(socket, { stream })
}
const pull = (also: Partial<PullRequest>, journal = storage.journal as PullRequestJournal) =>
  readEvents(
    { journal, clock: systemClock },
    { tenantId: TENANT, sessionIds: null, events: [], after: null, limit: 50, waitMs: 0, ...also },
  )
type PullRequestJournal = Parameters<typeof readEvents>[0]['journal']
const numbers = (events: readonly string[]) => events.map((json) => (JSON.parse(json) as Frame).n ?? -1)

test('a cursor before the oldest event that is kept has expired on every way, the one right at it has not', async () => {
  const old = cursorAt(head())
  await happen(storage, upTo(10))
  const edge = cursorAt(head())
  await forgetAll()
  await happen(storage, [10])
  expect(storage.journal.floor()).toBe(head() - 1)

  expect(open(old).closed).toEqual({ code: 4410, reason: 'CURSOR_EXPIRED' })
  expect(open(edge).numbers).toEqual([10])
  await expect(pull({ after: old })).rejects.toMatchObject({ code: 'CURSOR_EXPIRED', status: 410 })
  expect(numbers((await pull({ after: edge })).events)).toEqual([10])
  expect(numbers((await pull({})).events)).toEqual([10])
})

test('a reader that is overtaken by the removal is told so when it reads again', async () => {
  const socket = open(cursorAt(head()))
  socket.stalled = true
  for (const n of upTo(30)) await happen(storage, [n], { fields: { text: 'x'.repeat(20_000) } })
  expect(socket.numbers.length).toBeLessThan(30)
  await forgetAll()
  await happen(storage, [30])
  socket.stalled = false
  socket.buffered = 0
  socket.stream.drained()
  expect(socket.closed).toEqual({ code: 4410, reason: 'CURSOR_EXPIRED' })
  expect(socket.numbers).toEqual(upTo(socket.numbers.length))
})

test('a search through the journal that is overtaken passes nothing over', async () => {
  const first = head()
  await happen(storage, upTo(1_200), { name: 'session.connecting' })
  await happen(storage, upTo(3))
  let floor = storage.journal.floor()
  /** The floor moves when the first page has been read. */
  const overtaking = (): PullRequestJournal => ({
    ...storage.journal,
    floor: () => floor,
    read(after, limit) {
      const page = storage.journal.read(after, limit)
      floor = first + 1_000
      return page
    },
  })
  const events = ['message.*']
  const gone = pull({ after: cursorAt(first), events, sessionIds: [SESSION] }, overtaking())
  await expect(gone).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
  floor = storage.journal.floor()
  expect(numbers((await pull({ events }, overtaking())).events)).toEqual([0, 1, 2])

  // What was found already is handed over, with a cursor that shows what is missing behind it.
  floor = storage.journal.floor()
  const part = await pull({ after: cursorAt(first), limit: 2_000 }, overtaking())
  expect(numbers(part.events)).toEqual(upTo(500))
  expect(part.hasMore).toBe(true)
  await expect(pull({ after: part.cursor }, overtaking())).rejects.toMatchObject({ code: 'CURSOR_EXPIRED' })
})
