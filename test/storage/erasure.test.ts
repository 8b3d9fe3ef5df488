import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Storage } from '../../src/storage/open'
import { created, makeEvent, makeRig, makeSession, OTHER, type Rig, SESSION } from './rig'

/** Far more than one piece of the erasure, and more than the journal holds in memory. */
const EVENTS = 25_000

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created(), created(makeSession(OTHER))])
  for (let n = 0; n < EVENTS; n += 500) {
    const events = Array.from({ length: 500 }, (_, k) =>
      makeEvent('message.received', { n: n + k }, (n + k) % 100 === 0 ? SESSION : OTHER),
    )
    await storage.ledger.commit([{ change: { kind: 'told' }, events }])
  }
}, 60_000)
afterEach(() => rig.clear())

const remove = () =>
  storage.ledger.commit([
    {
      change: { kind: 'session_deleted', sessionId: OTHER },
      events: [makeEvent('session.deleted', {}, OTHER)],
    },
  ])

/** Everything that a reader from the beginning gets. */
function readAll(): { event: string; sessionId: string }[] {
  const all: { event: string; sessionId: string }[] = []
  for (let at = 0; ; ) {
    const page = storage.journal.read(at, 200)
    if (page.length === 0) return all
    all.push(...page)
    at = page.at(-1)?.seq ?? at
  }
}
const ofOther = () => readAll().filter(({ sessionId }) => sessionId === OTHER)

/** Rows on disk, seen from outside. */
function rowsOfOther(): number {
  const database = new Database(rig.file, { readonly: true })
  const row = database
    .query<{ n: number }, [string]>(
      'SELECT count(*) AS n FROM journal WHERE session = (SELECT number FROM session_numbers WHERE id = ?)',
    )
    .get(OTHER)
  database.close()
  return row?.n ?? 0
}

describe('a long journal of a deleted session', () => {
  test('is shown to nobody from the first moment on, goes in pieces, and takes no other with it', async () => {
    const before = readAll().filter(({ sessionId }) => sessionId === SESSION).length
    await remove()
    expect(rowsOfOther()).toBeGreaterThan(1)
    expect(ofOther().map(({ event }) => event)).toEqual(['session.deleted'])
    while (rowsOfOther() > 1) await storage.ledger.commit([])
    expect(ofOther().map(({ event }) => event)).toEqual(['session.deleted'])
    expect(readAll().filter(({ sessionId }) => sessionId === SESSION)).toHaveLength(before)
  })

  test('stays hidden over a restart in the middle, and goes then', async () => {
    await remove()
    await storage.close()
    expect(rowsOfOther()).toBeGreaterThan(1)
    storage = rig.open()
    expect(ofOther().map(({ event }) => event)).toEqual(['session.deleted'])
    while (rowsOfOther() > 1) await storage.ledger.commit([])
    expect(ofOther()).toHaveLength(1)
  })
})
