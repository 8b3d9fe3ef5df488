import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Fact } from '../../src/domain/changes'
import type { Content } from '../../src/domain/content'
import { asJid } from '../../src/domain/ids'
import type { Message } from '../../src/domain/message'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import type { Storage } from '../../src/storage/open'
import { soughtIn, wordsIn } from '../../src/storage/words'
import {
  created,
  makeEvent,
  makeMessage,
  makeRig,
  makeSession,
  OTHER,
  type Rig,
  received,
  SESSION,
} from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created()])
})
afterEach(() => rig.clear())

const text = (words: string): Content => ({ type: 'text', text: words })
const said = (id: string, content: Content, also: Partial<Message> = {}): Fact =>
  received(makeMessage(id, { content, raw: null, ...also }))
const found = (search: string, filter: object = {}) =>
  storage.messages
    .list({ sessionId: SESSION, limit: 50, offset: 0, search, ...filter })
    .messages.map(({ id }) => String(id))
    .sort()
const total = (search: string, filter: object = {}) =>
  storage.messages.list({ sessionId: SESSION, limit: 1, offset: 0, search, ...filter }).total

/** Every expectation holds for messages that are indexed and for those that are not yet. */
const EITHER_WAY = [
  ['before it is indexed', async () => undefined],
  ['indexed', () => storage.messages.searchable()],
] as const

for (const [when, prepare] of EITHER_WAY) {
  describe(when, () => {
    const table: [words: string, sought: string, hit: boolean][] = [
      ['Hello World', 'hello', true],
      ['Hello World', 'WORLD hello', true],
      ['Hello World', 'hello moon', false],
      ['Hello World', 'ello', false],
      ['Crème brûlée', 'creme BRULEE', true],
      ['creme brulee', 'Crème', true],
      ['Straße', 'strasse', true],
      ['GROẞE Straße', 'große', true],
      ['Łódź, Ærø', 'lodz aero', true],
      ['İstanbul ISPARTA', 'istanbul isparta', true],
      ['ΣΊΣΥΦΟΣ', 'σίσυφος', true],
      ['Привет, мир', 'ПРИВЕТ', true],
      ['مُحَمَّد', 'محمد', true],
      ['नमस्ते दुनिया', 'नमस्ते', true],
      ['안녕하세요 세계', '안녕하세요', true],
      ['我们在北京见面', '北京', true],
      ['我们在北京见面', '京', true],
      ['我们在北京见面', '上海', false],
      ['カタカナとひらがな', 'ひらがな', true],
      ['ｆｕｌｌ ｗｉｄｔｈ', 'full', true],
      ['invoice 2026-11-24 no. 4711', '4711', true],
      ['invoice no. 4711', '471', false],
      ['rain 🌧 tomorrow', 'rain tomorrow', true],
      ['see https://example.com/a?b=c', 'example', true],
      ['international', 'inter', false],
      ['word', '!!!', false],
      ['"a" AND b OR (c*)', '"a" AND (c*)', true],
      ['NEAR miss', 'near', true],
    ]
    test.each(table)('%p is found by %p: %p', async (words, sought, hit) => {
      await storage.ledger.commit([said('T', text(words)), said('X', text('something else entirely'))])
      await prepare()
      expect(found(sought)).toEqual(hit ? ['T'] : [])
      expect(total(sought)).toBe(hit ? 1 : 0)
    })

    test('captions, questions, names and file names are words too; actions are not', async () => {
      const media = { mimetype: null, size: null }
      await storage.ledger.commit([
        said('I', { type: 'image', caption: 'needle', media }),
        said('P', { type: 'poll', question: 'needle?', options: ['hay'], selectable: 1 }),
        said('D', { type: 'document', media: { ...media, filename: 'needle.pdf' } }),
        said('C', { type: 'contact', contacts: [{ fullName: 'Nedeljka Needle' }] }),
        said('S', { type: 'sticker', media }),
        said('E', { type: 'edit', text: 'needle', targetMessageId: 'none' }),
      ])
      await prepare()
      expect(found('needle')).toEqual(['C', 'D', 'I', 'P'])
      expect(found('needle', { type: 'poll' })).toEqual(['P'])
    })

    test('other filters narrow it', async () => {
      const bob = asJid('222222222222222@lid')
      await storage.ledger.commit([
        said('A', text('needle one'), { timestamp: 1_000 }),
        said('B', text('needle two'), {
          timestamp: 2_000,
          chat: bob,
          sender: { lid: bob, phoneNumber: null },
        }),
        said('C', text('needle three'), { timestamp: 3_000, fromMe: true, sender: null, status: 'sent' }),
      ])
      await prepare()
      expect(found('needle')).toEqual(['A', 'B', 'C'])
      expect(found('needle', { chat: bob })).toEqual(['B'])
      expect(found('needle', { from: 'me' })).toEqual(['C'])
      expect(found('needle', { start: 2_000 })).toEqual(['B', 'C'])
      expect(found('needle', { status: 'sent', end: 2_999 })).toEqual([])
      const page = storage.messages.list({ sessionId: SESSION, search: 'needle', limit: 1, offset: 1 })
      expect([page.total, page.messages[0]?.id as string]).toEqual([3, 'B'])
    })

    test('edits and deletions count at once', async () => {
      await storage.ledger.commit([said('T', text('needle')), said('U', text('needle too'))])
      await prepare()
      await storage.ledger.commit([
        said('E', { type: 'edit', text: 'pin', targetMessageId: 'T' }),
        said('D', { type: 'delete', targetMessageId: 'U' }),
      ])
      expect(found('needle')).toEqual([])
      expect(found('pin')).toEqual(['T'])
      await storage.messages.searchable()
      expect([found('needle'), found('pin')]).toEqual([[], ['T']])
    })

    test('nothing is found of what was not kept, and nothing of another session', async () => {
      await storage.ledger.commit([
        created(makeSession(OTHER)),
        received(makeMessage('OFF', { content: text('needle') }), { keepContent: false }),
        said('FAR', text('needle'), { sessionId: OTHER }),
      ])
      await prepare()
      expect(found('needle')).toEqual([])
      expect(storage.messages.list({ sessionId: OTHER, search: 'needle', limit: 9, offset: 0 }).total).toBe(1)
    })

    test('a deleted session leaves nothing, and its numbers serve again', async () => {
      await storage.ledger.commit([said('KEPT', text('needle')), created(makeSession(OTHER))])
      await storage.ledger.commit(
        Array.from({ length: 30 }, (_, n) => said(`O${n}`, text(`needle ${n}`), { sessionId: OTHER })),
      )
      await prepare()
      await storage.ledger.commit([
        {
          change: { kind: 'session_deleted', sessionId: OTHER },
          events: [makeEvent('session.deleted', {}, OTHER)],
        },
      ])
      await storage.ledger.commit([said('NEXT', text('thread'))])
      await prepare()
      expect(found('needle')).toEqual(['KEPT'])
      expect(found('thread')).toEqual(['NEXT'])
      await storage.messages.searchable()
      expect(found('thread')).toEqual(['NEXT'])
      await storage.close()
      const database = new Database(rig.file)
      expect(database.query('SELECT count(*) AS n FROM search_docsize').get()).toEqual({ n: 2 })
      database.close()
      storage = rig.open()
    })
  })
}

test('thousands of messages of a deleted session go in pieces, also over a restart, and hold nobody up', async () => {
  const many = 3_500
  await storage.ledger.commit([created(makeSession(OTHER))])
  for (let from = 0; from < many; from += 500) {
    await storage.ledger.commit(
      Array.from({ length: 500 }, (_, n) => said(`O${from + n}`, text(`needle ${n}`), { sessionId: OTHER })),
    )
  }
  await storage.ledger.commit([said('KEPT', text('needle'))])
  await storage.messages.searchable()
  await storage.ledger.commit([
    {
      change: { kind: 'session_deleted', sessionId: OTHER },
      events: [makeEvent('session.deleted', {}, OTHER)],
    },
  ])
  const left = () => {
    const database = new Database(rig.file, { readonly: true })
    const count = (table: string) =>
      database.query<{ n: number }, []>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0
    const both = [count('messages'), count('search_docsize')]
    database.close()
    return both
  }
  // The process ends in the middle: what it had begun is finished by the next.
  await storage.close()
  const [between = 0] = left()
  expect(between).toBeGreaterThan(1)
  expect(between).toBeLessThan(many)
  storage = rig.open()
  await storage.ledger.commit([said('NEXT', text('needle'))])
  expect(found('needle')).toEqual(['KEPT', 'NEXT'])
  for (let tries = 0; tries < 1_000 && (left()[0] ?? 0) > 2; tries += 1) await Bun.sleep(5)
  expect(left()[0]).toBe(2)
  await storage.messages.searchable()
  expect(left()).toEqual([2, 2])
  expect(found('needle')).toEqual(['KEPT', 'NEXT'])
})

test('a restart goes on where the index stands', async () => {
  await storage.ledger.commit([said('A', text('needle'))])
  await storage.messages.searchable()
  await storage.ledger.commit([said('B', text('needle'))])
  await storage.close()
  storage = rig.open()
  expect(found('needle')).toEqual(['A', 'B'])
  await storage.messages.searchable()
  expect(found('needle')).toEqual(['A', 'B'])
  expect(total('needle')).toBe(2)
})

test('it is indexed without being asked, when nothing else happens', async () => {
  await storage.ledger.commit([said('A', text('needle'))])
  const deadline = Date.now() + 10_000
  const database = new Database(rig.file, { readonly: true })
  const count = () => database.query<{ n: number }, []>('SELECT count(*) AS n FROM search_docsize').get()?.n
  while (count() !== 1 && Date.now() < deadline) await Bun.sleep(20)
  expect(count()).toBe(1)
  database.close()
})

test('words are nowhere on disk, nor the same hash in two sessions', async () => {
  const settings = { ...DEFAULT_SETTINGS, enableEncryption: true }
  await storage.ledger.commit([created(makeSession(OTHER, { settings }))])
  await storage.ledger.commit([
    said('A', text('xylophone')),
    said('B', text('xylophone'), { sessionId: OTHER }),
  ])
  await storage.messages.searchable()
  await storage.close()
  const database = new Database(rig.file)
  const blocks = database.query<{ block: Uint8Array }, []>('SELECT block FROM search_data').all()
  const whole = Buffer.concat(blocks.map(({ block }) => block)).toString('latin1')
  expect(whole).not.toContain('xylo')
  database.run("CREATE VIRTUAL TABLE temp.terms USING fts5vocab('main', 'search', 'row')")
  const terms = database.query<{ doc: number }, []>('SELECT doc FROM temp.terms').all()
  expect(terms.length).toBe(2)
  expect(terms.every(({ doc }) => doc === 1)).toBe(true)
  database.close()
  storage = rig.open()
})

test('words of a long and strange text are all there', () => {
  const words = wordsIn(`${'a'.repeat(500)} ${'日'.repeat(100)} \u0000\ud800 e\u0301 😀`)
  expect(words.has('a'.repeat(64))).toBe(true)
  expect(words.has('日日')).toBe(true)
  expect(words.has('e')).toBe(true)
  expect(soughtIn('a'.repeat(500))).toEqual(['a'.repeat(64)])
  expect(soughtIn('  ')).toEqual([])
})
