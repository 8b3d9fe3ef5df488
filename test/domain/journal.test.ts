import { expect, test } from 'bun:test'
import { asSessionId, asTenantId } from '../../src/domain/ids'
import {
  checkCursor,
  type Entry,
  follow,
  formatCursor,
  type Journal,
  parseCursor,
} from '../../src/domain/journal'

/** The journal's contract in a list; `src/storage` has the real one. */
function listJournal(epoch = 'abcd1234'): Journal & { add(count: number): void } {
  const entries: Entry[] = []
  const listeners = new Set<(entries: readonly Entry[]) => void>()
  const entry = (seq: number | null): Entry => ({
    seq,
    id: `event-${seq}`,
    tenantId: asTenantId('t'),
    sessionId: asSessionId('s'),
    event: 'session.created',
    timestamp: 0,
    json: '{}',
  })
  const emit = (fresh: Entry[]) => {
    for (const listener of listeners) listener(fresh)
  }
  return {
    epoch,
    head: () => entries.length,
    floor: () => 2,
    read: (after, limit) => entries.slice(after, after + limit),
    tell: () => emit([entry(null)]),
    onEntries(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    add(count) {
      const fresh = Array.from({ length: count }, (_, index) => entry(entries.length + index + 1))
      entries.push(...fresh)
      emit(fresh)
    },
  }
}

test('a cursor is written and read back', () => {
  expect(parseCursor(formatCursor({ epoch: 'abcd1234', seq: 42 }))).toEqual({ epoch: 'abcd1234', seq: 42 })
  for (const text of [
    '',
    '42',
    'abcd1234-',
    'abcd1234--1',
    'ABCD1234-1',
    'abcd1234-1.5',
    'abcd1234-1 ',
    'abcd1234-9999999999999999',
  ])
    expect(parseCursor(text)).toBeNull()
})

test('a cursor of another database has expired, one from the future is not valid', () => {
  const journal = listJournal()
  journal.add(5)
  const check = (seq: number, epoch = 'abcd1234') => checkCursor(journal, { epoch, seq })
  expect(check(5)).toBe('ok')
  expect(check(2)).toBe('ok')
  expect(check(1)).toBe('expired')
  expect(check(6)).toBe('invalid')
  expect(check(3, 'zzzz9999')).toBe('expired')
  expect(checkCursor(journal, null)).toBe('invalid')
})

test('a reader gets what is stored, then what comes, without gap or duplicate', async () => {
  const journal = listJournal()
  journal.add(1_234)
  const stop = new AbortController()
  const seen: (number | null)[] = []
  const wanted = 3_000
  const reading = (async () => {
    for await (const page of follow(journal, 10, stop.signal)) {
      seen.push(...page.map(({ seq }) => seq))
      if (seen.length < 2_500) journal.add(7)
      if (seen.length >= wanted) stop.abort()
    }
  })()
  const writing = (async () => {
    while (!stop.signal.aborted) {
      journal.add(3)
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
  })()
  await Promise.all([reading, writing])
  expect(seen).toEqual(Array.from({ length: seen.length }, (_, index) => index + 11))
})

test('momentary events reach a reader that is level with the head', async () => {
  const journal = listJournal()
  journal.add(3)
  const stop = new AbortController()
  const reader = follow(journal, 3, stop.signal)
  const first = reader.next()
  journal.tell({ name: 'typing', tenantId: asTenantId('t'), sessionId: asSessionId('s'), fields: {} })
  expect((await first).value?.map(({ seq }) => seq)).toEqual([null])
  const rest = reader.next()
  stop.abort()
  expect((await rest).done).toBe(true)
})
