import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { formatCursor } from '../../src/domain/journal'
import type { Storage } from '../../src/storage/open'
import type { Wish } from '../../src/stream/parse'
import { createStreams, type Stream, type Streams } from '../../src/stream/streams'
import { createManualClock, type ManualClock } from '../harness/clock'
import { makeRig, OTHER, type Rig, SESSION, TENANT } from '../storage/rig'
import { FOREIGN, happen, makeSessions, PretendSocket, STRANGER } from './rig'

let rig: Rig
let storage: Storage
let clock: ManualClock
let streams: Streams
beforeEach(async () => {
  rig = makeRig()
  clock = createManualClock()
  storage = rig.open()
  await makeSessions(storage)
  streams = createStreams({ journal: storage.journal, clock })
  void streams.start()
})
afterEach(async () => {
  void streams.stop()
  expect(clock.waiting).toBe(0)
  await rig.clear()
})

const ALL: Wish = { events: [], sessionIds: null, after: null }
const upTo = (n: number) => Array.from({ length: n }, (_, index) => index)
const cursorAt = (seq: number) => formatCursor({ epoch: storage.journal.epoch, seq })
function open(
  wish: Wish | null = ALL,
  also: { sessionId?: SessionId } = {},
): PretendSocket & { stream: Stream } {
  const socket = new PretendSocket()
  const stream = streams.open({
    tenantId: TENANT,
    sessionId: also.sessionId ?? null,
    wish,
    knows: (id) => id === SESSION || id === OTHER,
    socket,
  })
  return Object.assign(socket, { stream })
}

describe('a stream', () => {
  test('begins with its cursor and then sends the journal’s own text', async () => {
    const socket = open()
    expect(socket.frames).toEqual([{ type: 'subscribed', cursor: cursorAt(storage.journal.head()) }])
    await happen(storage, upTo(3))
    expect(socket.numbers).toEqual([0, 1, 2])
    expect(socket.texts.slice(1)).toEqual(
      storage.journal
        .read(0, 100)
        .slice(-3)
        .map(({ json }) => json),
    )
  })

  test('replays from a cursor and goes on live without gap or duplicate', async () => {
    const start = storage.journal.head()
    await happen(storage, upTo(1_000))
    const socket = open({ ...ALL, after: cursorAt(start) })
    for (let n = 1_000; n < 1_020; n += 1) {
      await happen(storage, [n])
      await clock.advance(0)
    }
    await clock.advance(10)
    expect(socket.numbers).toEqual(upTo(1_020))
  })

  test('can be left and taken up again at any event', async () => {
    let after = cursorAt(storage.journal.head())
    const seen: number[] = []
    for (let n = 0; n < 200; n += 1) {
      await happen(storage, [n])
      if (n % 7 !== 0) continue
      const socket = open({ ...ALL, after })
      await clock.advance(5)
      seen.push(...socket.numbers)
      after = socket.events.at(-1)?.cursor ?? after
      socket.stream.stop()
    }
    expect(seen).toEqual(upTo(197))
  })

  test('shows no other tenant’s events, and filters sessions and names', async () => {
    const all = open()
    const one = open({ ...ALL, sessionIds: [OTHER] })
    const named = open({ ...ALL, events: ['session.*'] })
    const bound = open(ALL, { sessionId: OTHER })
    await happen(storage, [1])
    await happen(storage, [2], { session: OTHER })
    await happen(storage, [3], { name: 'session.connecting' })
    await happen(storage, [4], { session: FOREIGN, tenant: STRANGER })
    expect(all.numbers).toEqual([1, 2, 3])
    expect(one.numbers).toEqual([2])
    expect(named.numbers).toEqual([3])
    expect(bound.numbers).toEqual([2])
  })

  test('sends momentary events to those who are level, and replays none', async () => {
    const tell = (n: number) =>
      storage.journal.tell({ name: 'typing', tenantId: TENANT, sessionId: SESSION, fields: { n } })
    const early = open()
    const before = cursorAt(storage.journal.head())
    tell(1)
    expect(early.events).toMatchObject([{ event: 'typing', n: 1, cursor: null }])
    await happen(storage, [2])
    const late = open({ ...ALL, after: before })
    await clock.advance(5)
    expect(late.numbers).toEqual([2])
  })

  test('closes with 1001 when the server stops, and takes nobody afterwards', async () => {
    const socket = open()
    void streams.stop()
    expect(socket.closed).toEqual({ code: 1001, reason: 'GOING_AWAY' })
    expect(streams.count).toBe(0)
    expect(open().closed?.code).toBe(1001)
  })

  test('is forgotten when its socket is gone', async () => {
    const socket = open()
    expect(streams.count).toBe(1)
    socket.stream.stop()
    await happen(storage, [1])
    expect(socket.numbers).toEqual([])
    expect(socket.closed).toBeNull()
    expect(streams.count).toBe(0)
  })

  test('pings every 30 seconds', async () => {
    const socket = open()
    await clock.advance(90_000)
    expect(socket.pings).toBe(3)
  })
})

describe('the first frame', () => {
  test('is waited for, and what happens meanwhile belongs to it', async () => {
    const socket = open(null)
    await happen(storage, [1])
    storage.journal.tell({ name: 'typing', tenantId: TENANT, sessionId: SESSION, fields: { n: 2 } })
    expect(socket.frames).toEqual([])
    socket.stream.message('{"type":"subscribe","events":["message","typing"]}')
    expect(socket.frames[0]).toMatchObject({ type: 'subscribed' })
    expect(socket.numbers).toEqual([1, 2])
    await happen(storage, [3], { name: 'session.connecting' })
    await happen(storage, [4])
    await clock.advance(60_000)
    expect(socket.numbers).toEqual([1, 2, 4])
  })

  test('need not come: then everything since the upgrade is sent', async () => {
    const socket = open(null)
    await happen(storage, [1])
    await clock.advance(1_000)
    expect(socket.frames[0]).toMatchObject({ type: 'subscribed' })
    await happen(storage, [2])
    expect(socket.numbers).toEqual([1, 2])
  })

  test('may be followed by another, which goes on where the stream is', async () => {
    const socket = open()
    await happen(storage, [1])
    socket.stream.message('{"type":"subscribe","events":["session.*"]}')
    await happen(storage, [2])
    await happen(storage, [3], { name: 'session.connecting' })
    socket.stream.message(JSON.stringify({ type: 'subscribe' }))
    await happen(storage, [4])
    expect(socket.numbers).toEqual([1, 3, 4])
    expect(socket.frames.filter(({ type }) => type === 'subscribed')).toHaveLength(3)
  })

  test('with a cursor replays', async () => {
    const start = cursorAt(storage.journal.head())
    await happen(storage, [1, 2])
    const socket = open(null)
    await happen(storage, [3])
    socket.stream.message(JSON.stringify({ type: 'subscribe', after: start }))
    await clock.advance(5)
    expect(socket.numbers).toEqual([1, 2, 3])
  })

  test('answers a ping', () => {
    const socket = open()
    socket.stream.message('{"type":"ping"}')
    expect(socket.frames.at(-1)).toEqual({ type: 'pong' })
  })

  test('twenty frames in a second are answered, the next one ends the stream', async () => {
    const socket = open()
    const ping = (times: number) => {
      for (let time = 0; time < times; time += 1) socket.stream.message('{"type":"ping"}')
    }
    const pongs = () => socket.frames.filter(({ type }) => type === 'pong').length
    ping(20)
    await clock.advance(999)
    expect([pongs(), socket.closed]).toEqual([20, null])
    await clock.advance(1)
    ping(20)
    expect([pongs(), socket.closed]).toEqual([40, null])
    ping(1)
    expect(pongs()).toBe(40)
    expect(socket.frames.at(-1)).toMatchObject({ type: 'error', code: 'RATE_LIMIT_EXCEEDED' })
    expect(socket.closed).toMatchObject({ code: 1008 })
  })

  const BAD = [
    'hello',
    '{}',
    '[]',
    'null',
    '{"type":"publish"}',
    '{"type":"subscribe","events":"message"}',
    '{"type":"subscribe","events":["no.such.event"]}',
    '{"type":"subscribe","sessionIds":["x"]}',
    '{"type":"subscribe","unknown":1}',
    '{"type":"subscribe","after":5}',
    '{"type":"subscribe","after":"nonsense"}',
  ]
  for (const text of BAD) {
    test(`${text} closes with 4400, after an error that says why`, () => {
      const socket = open(null)
      socket.stream.message(text)
      expect(socket.frames).toMatchObject([{ type: 'error' }])
      expect(socket.closed).toEqual({ code: 4400, reason: 'VALIDATION_ERROR' })
      expect(streams.count).toBe(0)
    })
  }

  test('with a foreign or unknown session closes with 4404', () => {
    for (const id of [FOREIGN, 'd'.repeat(32)]) {
      const socket = open(null)
      socket.stream.message(JSON.stringify({ type: 'subscribe', sessionIds: [SESSION, id] }))
      expect(socket.closed?.code).toBe(4404)
    }
    const bound = open(null, { sessionId: SESSION })
    bound.stream.message(JSON.stringify({ type: 'subscribe', sessionIds: [OTHER] }))
    expect(bound.closed?.code).toBe(4404)
  })

  test('with a cursor of another database or from the future is refused', () => {
    expect(open({ ...ALL, after: 'zzzzzzzz-1' }).closed).toEqual({ code: 4410, reason: 'CURSOR_EXPIRED' })
    expect(open({ ...ALL, after: cursorAt(999_999) }).closed?.code).toBe(4400)
  })
})

describe('a client that does not read', () => {
  const MiB = 1024 * 1024
  const fat = { fields: { text: 'x'.repeat(20_000) } }

  test('is closed with 4408 and its last cursor, and is never sent more than fits', async () => {
    const socket = open()
    const healthy = open()
    socket.stalled = true
    for (let n = 0; n < 100; n += 1) await happen(storage, [n], fat)
    expect(socket.mostBuffered).toBeLessThan(MiB / 2)
    expect(socket.closed).toBeNull()
    await clock.advance(15_000)
    const last = socket.events.at(-1)
    expect(socket.closed).toEqual({ code: 4408, reason: `SLOW_CONSUMER ${last?.cursor}` })
    expect(healthy.numbers).toEqual(upTo(100))
    // With that cursor nothing is missing.
    const again = open({ ...ALL, after: last?.cursor ?? '' })
    await clock.advance(50)
    expect([...socket.numbers, ...again.numbers]).toEqual(upTo(100))
  })

  test('until it reads again, is sent the rest, in order', async () => {
    const socket = open()
    socket.stalled = true
    for (let n = 0; n < 50; n += 1) await happen(storage, [n], fat)
    expect(socket.numbers.length).toBeLessThan(50)
    await clock.advance(5_000)
    while (socket.numbers.length < 50) {
      socket.buffered = 0
      socket.stream.drained()
      await clock.advance(10)
    }
    socket.stalled = false
    socket.buffered = 0
    await clock.advance(20_000)
    await happen(storage, [50])
    expect(socket.numbers).toEqual(upTo(51))
    expect(socket.closed).toBeNull()
  })

  test('but reads slowly is not closed, however far behind it is', async () => {
    const socket = open()
    socket.stalled = true
    for (let n = 0; n < 60; n += 1) await happen(storage, [n], fat)
    for (let turn = 0; turn < 200 && socket.numbers.length < 60; turn += 1) {
      socket.buffered = Math.max(0, socket.buffered - 20_000)
      await clock.advance(2_000)
    }
    expect(socket.numbers).toEqual(upTo(60))
    expect(socket.closed).toBeNull()
  })

  test('is closed with 4408 also when it never reads its replay', async () => {
    const start = cursorAt(storage.journal.head())
    await happen(storage, upTo(100), fat)
    const socket = open(null)
    socket.stalled = true
    socket.stream.message(JSON.stringify({ type: 'subscribe', after: start }))
    await clock.advance(15_000)
    expect(socket.closed?.code).toBe(4408)
    expect(socket.mostBuffered).toBeLessThan(MiB / 2)
  })

  test('finds its place when others’ events have passed meanwhile', async () => {
    const socket = open()
    for (let n = 0; n < 30; n += 1) await happen(storage, [n], { session: FOREIGN, tenant: STRANGER })
    socket.stalled = true
    socket.buffered = MiB
    await happen(storage, [1])
    await happen(storage, [2])
    socket.stalled = false
    socket.buffered = 0
    socket.stream.drained()
    await clock.advance(10)
    expect(socket.numbers).toEqual([1, 2])
  })
})
