/** The setting `enableEncryption`, switched while messages are stored. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import type { Storage } from '../../src/storage/open'
import { formsInBytes, secretText } from '../harness/secrets'
import { created, makeMessage, makeRig, makeSession, OTHER, type Rig, received, SESSION } from './rig'

/** Several pieces of the work. */
const MESSAGES = 2_500
const WORDS = 'words that anybody could read'

let rig: Rig
let storage: Storage
const plain = { ...DEFAULT_SETTINGS, enableEncryption: false }
const session = (enableEncryption: boolean) =>
  makeSession(SESSION, { settings: { ...DEFAULT_SETTINGS, enableEncryption } })
const say = (id: string, sessionId = SESSION) =>
  received(makeMessage(id, { sessionId, content: { type: 'text', text: `${WORDS} ${id}` }, raw: null }))
const change = (enableEncryption: boolean) =>
  storage.ledger.commit([
    { change: { kind: 'session_changed', session: session(enableEncryption), cause: 'unknown' }, events: [] },
  ])

beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created(session(false)), created(makeSession(OTHER, { settings: plain }))])
  for (let n = 0; n < MESSAGES; n += 500) {
    await storage.ledger.commit(Array.from({ length: 500 }, (_, k) => say(`M${n + k}`)))
    await storage.ledger.commit([say(`O${n}`, OTHER)])
  }
}, 60_000)
afterEach(() => rig.clear())

/** Readable rows of both sessions, seen from outside. */
function readable(): { own: number; other: number } {
  const database = new Database(rig.file, { readonly: true })
  const count = (of: string) =>
    database
      .query<{ n: number }, [string]>(
        `SELECT count(*) AS n FROM messages WHERE substr(body, 1, 1) = x'00'
         AND session = (SELECT number FROM session_numbers WHERE id = ?)`,
      )
      .get(of)?.n ?? 0
  const counts = { own: count(SESSION), other: count(OTHER) }
  database.close()
  return counts
}
const textOf = (id: string, of = SESSION) => {
  const content = storage.messages.get(of, id)?.content
  return content?.type === 'text' ? content.text : null
}
const inFiles = (): string[] =>
  ['', '-wal']
    .map((end) => rig.file + end)
    .filter((file) => existsSync(file))
    .flatMap((file) => formsInBytes(readFileSync(file), secretText('words', `${WORDS} M`)))

describe('switched on', () => {
  test('seals what is stored, in pieces, and nothing of another session; it reads as before', async () => {
    const events = storage.journal.read(0, 100).map(({ json }) => json)
    expect(inFiles()).not.toEqual([])
    await change(true)
    expect(readable().own).toBeGreaterThan(0)
    await storage.ledger.commit([say('after')])
    while (readable().own > 0) await storage.ledger.commit([])
    expect(readable()).toEqual({ own: 0, other: 5 })
    for (const id of ['M0', 'M1234', `M${MESSAGES - 1}`, 'after']) expect(textOf(id)).toBe(`${WORDS} ${id}`)
    await storage.close()
    expect(inFiles()).toEqual([])
    storage = rig.open()
    expect(storage.journal.read(0, 100).map(({ json }) => json)).toEqual(events)
    for (const id of ['M0', 'M1234', 'after']) expect(textOf(id)).toBe(`${WORDS} ${id}`)
    expect(textOf('O0', OTHER)).toBe(`${WORDS} O0`)
  })

  test('goes on after a restart in the middle', async () => {
    await change(true)
    await storage.close()
    const left = readable().own
    expect(left).toBeGreaterThan(0)
    storage = rig.open()
    while (readable().own > 0) await storage.ledger.commit([])
    await storage.close()
    expect(inFiles()).toEqual([])
  })
})

describe('switched off', () => {
  test('leaves what is sealed, and what comes is readable; a pass that is under way ends', async () => {
    await change(true)
    await change(false)
    await storage.ledger.commit([say('open')])
    const { own } = readable()
    expect(own).toBeGreaterThan(1)
    await storage.close()
    storage = rig.open()
    await storage.ledger.commit([])
    expect(readable().own).toBe(own)
    for (const id of ['M0', `M${MESSAGES - 1}`, 'open']) expect(textOf(id)).toBe(`${WORDS} ${id}`)
  })
})
