import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { checkCursor, type Entry, follow, formatCursor, parseCursor } from '../../src/domain/journal'
import type { Storage } from '../../src/storage/open'
import {
  created,
  makeEvent,
  makeMessage,
  makeRig,
  makeSession,
  movableClock,
  OTHER,
  type Rig,
  received,
  SESSION,
  TENANT,
} from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created()])
})
afterEach(() => rig.clear())

const told = (n: number) => ({
  change: { kind: 'told' as const },
  events: [makeEvent('message.received', { n })],
})
const commitMany = async (from: number, to: number) => {
  for (let n = from; n < to; n += 1) await storage.ledger.commit([told(n)])
}

describe('entries', () => {
  test('are one flat object, whole and the same text on every way', async () => {
    const heard: Entry[] = []
    storage.journal.onEntries((entries) => heard.push(...entries))
    const { entries } = await storage.ledger.commit([
      {
        change: { kind: 'told' },
        events: [makeEvent('session.disconnected', { reason: 'x', id: 'forged', nested: { a: [1] } })],
      },
    ])
    const [entry] = entries
    const parsed = JSON.parse(entry?.json ?? '')
    expect(Object.keys(parsed)).toEqual([
      'id',
      'cursor',
      'event',
      'sessionId',
      'timestamp',
      'reason',
      'nested',
    ])
    expect(parsed).toMatchObject({
      id: entry?.id,
      cursor: formatCursor({ epoch: storage.journal.epoch, seq: entry?.seq ?? 0 }),
      event: 'session.disconnected',
      sessionId: SESSION,
      reason: 'x',
    })
    expect(entry?.id).toMatch(/^evt_[A-Za-z0-9_-]{16}$/)
    expect(entry?.tenantId).toBe(TENANT)
    expect(heard).toEqual(entries)
    expect(storage.journal.read(1, 10)).toEqual(entries)
    await storage.close()
    storage = rig.open()
    expect(storage.journal.read(1, 10)).toEqual(entries)
  })

  test('without fields of their own are valid JSON too', async () => {
    expect(JSON.parse(storage.journal.read(0, 1)[0]?.json ?? '')).toMatchObject({ event: 'session.created' })
  })

  test('numbers and epoch go on over a restart, and no number comes twice', async () => {
    await commitMany(0, 5)
    const { epoch } = storage.journal
    const head = storage.journal.head()
    await storage.close()
    storage = rig.open()
    expect(storage.journal.epoch).toBe(epoch)
    expect(storage.journal.head()).toBe(head)
    expect((await storage.ledger.commit([told(9)])).entries[0]?.seq).toBe(head + 1)
    expect(parseCursor(formatCursor({ epoch, seq: 3 }))).toEqual({ epoch, seq: 3 })
  })

  test('nor when the newest entries went with their session', async () => {
    await storage.ledger.commit([created(makeSession(OTHER))])
    const head = storage.journal.head()
    await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: OTHER }, events: [] }])
    await storage.close()
    storage = rig.open()
    expect(storage.journal.head()).toBe(head)
  })

  test('another database has another epoch', async () => {
    const other = makeRig()
    expect(other.open().journal.epoch).not.toBe(storage.journal.epoch)
    await other.clear()
  })

  test('a commit that fails leaves no entry, and its number is given again', async () => {
    const heard: Entry[] = []
    storage.journal.onEntries((entries) => heard.push(...entries))
    const head = storage.journal.head()
    const bad = storage.ledger.commit([told(1), created()])
    await expect(bad).rejects.toThrow()
    expect([storage.journal.head(), heard.length]).toEqual([head, 0])
    const [, mixed] = await Promise.allSettled([
      storage.ledger.commit([told(2), created()]),
      storage.ledger.commit([told(3)]),
    ])
    expect(mixed.status).toBe('fulfilled')
    expect(heard.map((entry) => JSON.parse(entry.json).n)).toEqual([3])
    expect(storage.journal.read(head, 10)).toEqual(heard)
  })

  test('momentary events are heard in between and never kept', async () => {
    const heard: Entry[] = []
    storage.journal.onEntries((entries) => heard.push(...entries))
    storage.journal.tell({ name: 'typing', tenantId: TENANT, sessionId: SESSION, fields: { chat: '1' } })
    await storage.ledger.commit([
      { change: { kind: 'told' }, events: [makeEvent('presence.updated'), makeEvent('call.received')] },
    ])
    expect(heard.map((entry) => [entry.event, entry.seq === null])).toEqual([
      ['typing', true],
      ['presence.updated', true],
      ['call.received', false],
    ])
    expect(JSON.parse(heard[0]?.json ?? '')).toMatchObject({ cursor: null, chat: '1' })
    expect(storage.journal.read(1, 10).map((entry) => entry.event)).toEqual(['call.received'])
  })

  test('a reader that throws disturbs nobody', async () => {
    const heard: Entry[] = []
    storage.journal.onEntries(() => {
      throw new Error('reader')
    })
    const leave = storage.journal.onEntries((entries) => heard.push(...entries))
    await commitMany(0, 1)
    leave()
    await commitMany(1, 2)
    expect(heard).toHaveLength(1)
  })

  test('what happens to a session within its last transaction leaves the end alone', async () => {
    await storage.ledger.commit([created(makeSession(OTHER))])
    const head = storage.journal.head()
    await Promise.all([
      storage.ledger.commit([
        { change: { kind: 'told' }, events: [makeEvent('session.stopped', {}, OTHER)] },
      ]),
      storage.ledger.commit([
        {
          change: { kind: 'session_deleted', sessionId: OTHER },
          events: [makeEvent('session.deleted', {}, OTHER)],
        },
      ]),
      storage.ledger.commit([told(1)]),
    ])
    const after = storage.journal.read(head, 10)
    expect(after.map((entry) => entry.event)).toEqual(['session.deleted', 'message.received'])
    expect(new Set(after.map((entry) => entry.seq)).size).toBe(2)
  })
})

test('the tail in memory and the rows on disk read the same, also after the tail was cut', async () => {
  const facts = Array.from({ length: 9_000 }, (_, n) => told(n))
  for (let at = 0; at < facts.length; at += 500) await storage.ledger.commit(facts.slice(at, at + 500))
  const numbersOf = (entries: readonly Entry[]) => entries.map((entry) => JSON.parse(entry.json).n as number)
  const read: number[] = []
  for (let position = 1; ; ) {
    const page = storage.journal.read(position, 333)
    if (page.length === 0) break
    read.push(...numbersOf(page))
    position = page.at(-1)?.seq ?? position
  }
  expect(read).toEqual(Array.from({ length: 9_000 }, (_, n) => n))
})

test('after a start, what many readers have missed is opened once for all of them', async () => {
  const facts = Array.from({ length: 1_500 }, (_, n) => told(n))
  await storage.ledger.commit(facts)
  const before = storage.journal.read(1, 2_000)
  await storage.close()
  storage = rig.open()
  const { journal } = storage
  const readAll = (from: number, size: number) => {
    const read: Entry[] = []
    for (let position = from; ; ) {
      const page = journal.read(position, size)
      if (page.length === 0) return read
      read.push(...page)
      position = page.at(-1)?.seq ?? position
    }
  }
  const first = readAll(1, 97)
  expect(first).toEqual(before)
  readAll(1, 97)
  const again = readAll(1, 200)
  expect(again).toEqual(before)
  const third = readAll(1, 333)
  expect(third.every((entry, at) => entry === again[at])).toBe(true)
  // What happens now stands behind it, and an erased session is not in it.
  await storage.ledger.commit([told(1_500)])
  expect(readAll(1, 500).map(({ seq }) => seq)).toEqual([...before.map(({ seq }) => seq), 1_502])
  await storage.ledger.commit([{ change: { kind: 'session_deleted', sessionId: SESSION }, events: [] }])
  expect(readAll(1, 500)).toEqual([])
})

test('follow replays and goes live without gap or duplicate, whoever writes meanwhile', async () => {
  await commitMany(0, 700)
  const stop = new AbortController()
  const seen: number[] = []
  const enough = Promise.withResolvers<void>()
  const reader = (async () => {
    for await (const entries of follow(storage.journal, 1, stop.signal)) {
      for (const entry of entries) seen.push(JSON.parse(entry.json).n as number)
      if (seen.length >= 1_000) enough.resolve()
      // A slow reader: entries keep coming while it works on a page.
      await Promise.resolve()
    }
  })()
  await Promise.all(Array.from({ length: 300 }, (_, i) => storage.ledger.commit([told(700 + i)])))
  await enough.promise
  stop.abort()
  await reader
  expect(seen).toEqual(Array.from({ length: 1_000 }, (_, n) => n))
})

test('the janitor moves the floor with age, never past a delivery, and a cursor before it has expired', async () => {
  await storage.close()
  const clock = movableClock()
  storage = rig.open({ clock })
  const settings = { ...makeSession().settings, webhookUrl: 'https://example.com/hook' }
  await storage.ledger.commit([created(makeSession(OTHER, { settings }))])
  await storage.ledger.commit([received(makeMessage('A')), received(makeMessage('B', { sessionId: OTHER }))])
  const { journal, webhooks, janitor } = storage
  const end = journal.head()

  clock.shift = 31 * 86_400_000
  await janitor.sweep()
  // Nobody has looked at these events yet.
  expect(journal.floor()).toBe(0)
  await webhooks.fanOut(end)
  await janitor.sweep()
  // The first delivery to OTHER is that of its creation; everything from there on is still needed.
  expect(journal.floor()).toBe(1)
  for (;;) {
    const [delivery] = webhooks.due(clock.now(), 1, new Set())
    if (!delivery) break
    await webhooks.record(delivery, { ok: true, status: 200, durationMs: 1 }, null)
  }
  await storage.ledger.commit([told(1)])
  await webhooks.fanOut(journal.head())
  await janitor.sweep()
  expect(journal.floor()).toBe(end)
  expect(journal.read(0, 10).map((entry) => entry.seq)).toEqual([end + 1])
  const at = (seq: number) => checkCursor(journal, { epoch: journal.epoch, seq })
  expect([at(end - 1), at(end), at(end + 1), at(end + 2)]).toEqual(['expired', 'ok', 'ok', 'invalid'])
  expect(checkCursor(journal, { epoch: 'zzzzzzzz', seq: end })).toBe('expired')

  clock.shift = 90 * 86_400_000
  await webhooks.fanOut(journal.head())
  await janitor.sweep()
  const head = journal.head()
  await storage.close()
  storage = rig.open({ clock })
  expect([storage.journal.head(), storage.journal.floor()]).toEqual([head, head])
  expect((await storage.ledger.commit([told(2)])).entries[0]?.seq).toBe(head + 1)
})
