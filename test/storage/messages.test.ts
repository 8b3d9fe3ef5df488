import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Fact } from '../../src/domain/changes'
import { ACTION_TYPES, type Content, MESSAGE_TYPES } from '../../src/domain/content'
import { asJid, asMessageId, asTenantId, phoneJid } from '../../src/domain/ids'
import { asFileId } from '../../src/domain/media'
import { type Message, type MessageStatus, NO_AFTERLIFE } from '../../src/domain/message'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import { blankBody } from '../../src/storage/body'
import { FIRST_ACTION, packId, STATUS_CODE, TYPE_CODE, unpackId } from '../../src/storage/codes'
import { MIGRATIONS } from '../../src/storage/migrations/index'
import type { Storage } from '../../src/storage/open'
import {
  created,
  LID,
  makeMessage,
  makeRig,
  makeSession,
  OTHER,
  PHONE,
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

const own = (id: string, also: Partial<Message> = {}): Message =>
  makeMessage(id, {
    fromMe: true,
    sender: null,
    senderName: null,
    status: 'queued',
    viaApi: true,
    schedule: { sendAt: null, expiresAt: null },
    ...also,
  })
const stored = (message: Message, keepContent = true): Fact => ({
  change: { kind: 'message', message, keepContent, inboxId: null },
  events: [],
})
const status = (messageId: string, to: MessageStatus): Fact => ({
  change: {
    kind: 'message_status',
    sessionId: SESSION,
    messageId: asMessageId(messageId),
    status: to,
    at: 5_000,
    error: null,
  },
  events: [],
})
const at = (id: string) => storage.messages.get(SESSION, id)
const list = (filter: object = {}) =>
  storage.messages.list({ sessionId: SESSION, limit: 50, offset: 0, ...filter })

/** One example of each type; the compiler names a type without one. */
const EXAMPLES: { [T in Content['type']]: Extract<Content, { type: T }> } = {
  text: { type: 'text', text: 'Grüße 👋', linkPreview: { url: 'https://a.b', title: 'A' }, font: 2 },
  image: { type: 'image', caption: 'c', viewOnce: true, media: { mimetype: 'image/png', size: 3, width: 1 } },
  video: { type: 'video', gifPlayback: true, media: { mimetype: null, size: null } },
  audio: { type: 'audio', ptt: true, media: { mimetype: 'audio/ogg', size: 1, waveform: [1, 2] } },
  document: { type: 'document', media: { mimetype: 'application/pdf', size: 1, filename: 'a.pdf' } },
  sticker: { type: 'sticker', animated: true, media: { mimetype: 'image/webp', size: 1 } },
  album: { type: 'album', images: 2, videos: 1 },
  location: { type: 'location', latitude: 1.5, longitude: -2, live: true },
  contact: { type: 'contact', contacts: [{ fullName: 'Ada', phoneNumber: '+49', vcard: 'BEGIN' }] },
  poll: { type: 'poll', question: 'q', options: ['a', 'b'], selectable: 1 },
  event: { type: 'event', name: 'n', startsAt: '2026-01-01T00:00:00Z', location: { name: 'x' } },
  reaction: { type: 'reaction', emoji: '👍', targetMessageId: 'X' },
  edit: { type: 'edit', text: 'new', targetMessageId: 'X' },
  delete: { type: 'delete', targetMessageId: 'X' },
  pin: { type: 'pin', targetMessageId: 'X', pinned: true, seconds: 86_400 },
  vote: { type: 'vote', targetMessageId: 'X', options: ['a'] },
  buttons: { type: 'buttons', text: 't', buttons: [{ id: '1', text: 'b' }] },
  list: { type: 'list', text: 't', buttonText: 'b', sections: [{ rows: [{ id: '1', title: 'r' }] }] },
  choice: { type: 'choice', choiceId: '1', text: 'r' },
  product: { type: 'product', productId: '1', title: 'p', price: 9.5 },
  invite: { type: 'invite', groupId: '1@g.us', subject: 's', inviteCode: 'c' },
  order: { type: 'order', orderId: '1', itemCount: 2, total: 9.5, currency: 'EUR' },
  comment: { type: 'comment', text: 'c', targetMessageId: 'X' },
  rsvp: { type: 'rsvp', targetMessageId: 'E', response: 'going', extraGuests: 2 },
  unknown: { type: 'unknown', kind: 'paymentInviteMessage' },
}

describe('every type', () => {
  for (const sealed of [true, false]) {
    test(`comes back as it was, ${sealed ? 'sealed' : 'readable'}, and blank when it is not kept`, async () => {
      const settings = { ...DEFAULT_SETTINGS, enableEncryption: sealed }
      await storage.ledger.commit([
        { change: { kind: 'session_changed', session: makeSession(SESSION, { settings }) }, events: [] },
      ])
      for (const content of Object.values(EXAMPLES)) {
        const kept = makeMessage(`KEPT-${content.type}`, { content })
        await storage.ledger.commit([
          received(kept),
          received(makeMessage(`BLANK-${content.type}`, { content }), { keepContent: false }),
        ])
        expect(at(kept.id)).toEqual({
          ...kept,
          chatParty: { lid: LID, phoneNumber: null },
          afterlife: NO_AFTERLIFE,
        })
        expect(at(`BLANK-${content.type}`)).toMatchObject({ ...blankBody(content.type), raw: null })
      }
      expect(list({ limit: 1 }).total).toBe(2 * (MESSAGE_TYPES.length - ACTION_TYPES.length))
    })
  }

  test('has a number of its own, on the right side of the actions', () => {
    const codes = MESSAGE_TYPES.map((type) => TYPE_CODE[type])
    expect(new Set(codes).size).toBe(codes.length)
    const actions = MESSAGE_TYPES.filter((type) => TYPE_CODE[type] >= FIRST_ACTION)
    expect(actions.sort()).toEqual([...ACTION_TYPES].sort())
    expect(new Set(Object.values(STATUS_CODE)).size).toBe(7)
  })

  test('keeps what goes along with it', async () => {
    const message = own('M', {
      context: {
        mentionsAll: true,
        forwardingScore: 3,
        disappearingSeconds: 86_400,
        albumId: 'A',
        audience: [LID],
      },
      attachment: asFileId('0123456789abcdef'.repeat(2)),
      schedule: { sendAt: 10, expiresAt: 20 },
    })
    await storage.ledger.commit([stored(message)])
    expect(at('M')).toMatchObject(message)
    await storage.ledger.commit([stored({ ...message, id: asMessageId('OFF') }, false)])
    expect(at('OFF')).toMatchObject({ context: message.context, raw: message.raw, content: { text: '' } })
  })

  test('ids of any form are found again', async () => {
    const ids = [
      '3EB0C767D097',
      '3eb0c767d097',
      '3EB0C767D09',
      'ABCD',
      'abcd',
      '00',
      '',
      'é',
      '3EB0 C767',
      '0'.repeat(64),
    ]
    for (const id of ids) expect([id, unpackId(packId(id))]).toEqual([id, id])
    await storage.ledger.commit(
      ids.map((id) => received(makeMessage(id, { content: { type: 'text', text: `t${id}` } }))),
    )
    for (const id of ids) expect(at(id)?.content).toEqual({ type: 'text', text: `t${id}` })
  })
})

describe('files and schedules of messages that wait', () => {
  test('a file, or what WhatsApp calls the message, completes the encoded form, once', async () => {
    const raw = new Uint8Array([9, 9])
    await storage.ledger.commit([
      stored(own('M', { attachment: asFileId('ab'.repeat(16)) })),
      stored(own('N')),
    ])
    const attach = (messageId: string): Fact => ({
      change: { kind: 'message_attached', sessionId: SESSION, messageId: asMessageId(messageId), raw },
      events: [],
    })
    expect((await storage.ledger.commit([attach('M'), attach('M'), attach('N'), attach('X')])).news).toEqual([
      true,
      false,
      true,
      false,
    ])
    expect(at('N')).toMatchObject({ attachment: null, raw, content: { text: 'hello N' } })
    expect(at('M')).toMatchObject({ attachment: null, raw, content: { text: 'hello M' } })
    expect(storage.messages.raw(SESSION, 'M')).toEqual(raw)
  })

  test('what was taken back gets no encoded form any more', async () => {
    const raw = new Uint8Array([9, 9])
    const gone = own('D', { content: { type: 'delete', targetMessageId: 'M' }, status: 'sent' })
    await storage.ledger.commit([stored(own('M', { status: 'sent' })), stored(gone)])
    const attached = {
      change: { kind: 'message_attached', sessionId: SESSION, messageId: asMessageId('M'), raw },
      events: [],
    } as const
    expect((await storage.ledger.commit([attached])).news).toEqual([false])
    expect(storage.messages.raw(SESSION, 'M')).toBeNull()
  })

  test('a schedule is kept while the message is queued, and over a restart', async () => {
    await storage.ledger.commit([stored(own('M', { schedule: { sendAt: 7, expiresAt: 9 } }))])
    await storage.close()
    storage = rig.open()
    expect(storage.messages.queued(SESSION)[0]?.schedule).toEqual({ sendAt: 7, expiresAt: 9 })
    await storage.ledger.commit([status('M', 'failed')])
    expect(at('M')).toMatchObject({ status: 'failed', schedule: null })
  })

  test('the queue keeps the order of acceptance; a page of it holds no content', async () => {
    const ids = ['C', 'A', 'B', 'D']
    await storage.ledger.commit(
      ids.map((id, n) =>
        stored(own(id, { timestamp: 100 - n, schedule: { sendAt: 50 - n, expiresAt: null } })),
      ),
    )
    await storage.ledger.commit([status('A', 'sent')])
    expect(storage.messages.queued(SESSION).map(({ id }) => String(id))).toEqual(['C', 'B', 'D'])
    const page = storage.messages.queuePage(SESSION, { limit: 2, offset: 1 })
    expect(page.total).toBe(3)
    expect(page.messages.map(({ id }) => String(id))).toEqual(['B', 'D'])
    expect(page.messages[0]).toMatchObject({
      content: { type: 'text', text: '' },
      raw: null,
      schedule: { sendAt: 48, expiresAt: null },
    })
    expect(storage.messages.queuePage(OTHER, { limit: 2, offset: 0 })).toEqual({ messages: [], total: 0 })
  })
})

describe('chats and owners', () => {
  const chat = phoneJid('491700000099')

  test('a chat is established by what was said in it, not by failures, actions or what waits', async () => {
    const is = () => storage.messages.isEstablished(SESSION, chat)
    expect(is()).toBe(false)
    await storage.ledger.commit([
      stored(own('Q', { chat })),
      stored(own('F', { chat })),
      received(makeMessage('R', { chat, content: { type: 'reaction', emoji: 'x', targetMessageId: 'Q' } })),
      status('F', 'failed'),
    ])
    expect(is()).toBe(false)
    await storage.ledger.commit([status('Q', 'sent')])
    expect(is()).toBe(true)
    expect(storage.messages.isEstablished(OTHER, chat)).toBe(false)
    expect(storage.messages.isEstablished(SESSION, LID)).toBe(false)
    await storage.ledger.commit([received(makeMessage('H', { history: true }))])
    expect(storage.messages.isEstablished(SESSION, LID)).toBe(true)
  })

  test('an own message is found among the sessions of its tenant', async () => {
    await storage.ledger.commit([
      created(makeSession(OTHER)),
      stored(own('MINE', { sessionId: OTHER })),
      received(makeMessage('IN')),
    ])
    expect(storage.messages.sessionOf(TENANT, 'MINE')).toBe(OTHER)
    expect(storage.messages.sessionOf(TENANT, 'IN')).toBeNull()
    expect(storage.messages.sessionOf(asTenantId('other'), 'MINE')).toBeNull()
  })
})

describe('history', () => {
  test('is listed and counts in no statistics', async () => {
    const now = Date.now()
    await storage.ledger.commit([
      received(makeMessage('H1', { history: true, timestamp: now - 10 })),
      received(makeMessage('H2', { history: true, timestamp: now - 90_000_000 })),
      stored(own('H3', { history: true, status: 'delivered', timestamp: now - 10, viaApi: false })),
      received(makeMessage('N', { timestamp: now })),
      received(makeMessage('R', { timestamp: now, content: EXAMPLES.reaction })),
    ])
    await storage.ledger.commit([status('H3', 'read')])
    const stats = storage.messages.stats(SESSION, { now })
    expect(stats).toMatchObject({ sent: 0, received: 2, failed: 0, byType: { text: 1, reaction: 1 } })
    expect(stats.byStatus).toEqual({ received: 2 })
    expect(stats.recent).toMatchObject({ sent: 0, received: 2 })
    expect(storage.messages.totalsSince(TENANT, now - 1_000)).toEqual({ sent: 0, received: 2 })
    expect(storage.messages.stats(SESSION, { now, from: now - 60_000, to: now + 1 })).toMatchObject({
      received: 2,
    })
    expect(storage.sessions.counts([SESSION]).get(SESSION)).toEqual({ sent: 0, received: 2, failed: 0 })
    expect(list().total).toBe(4)
    expect(list().messages).toHaveLength(4)
    expect(list({ status: 'read' })).toMatchObject({ total: 1, messages: [{ history: true }] })
    expect(at('H1')?.history).toBe(true)
  })
})

describe('totals', () => {
  test('are those of the rows, whatever the filter', async () => {
    const day = 86_400_000
    const base = Math.floor(Date.now() / day) * day
    const contents = [EXAMPLES.text, EXAMPLES.image, EXAMPLES.poll, EXAMPLES.reaction]
    const facts = Array.from({ length: 120 }, (_, n) => {
      const also = {
        content: contents[n % 4] ?? EXAMPLES.text,
        timestamp: base - n * 7_000_000,
        history: n % 5 === 0,
      }
      return n % 3 === 0 ? stored(own(`O${n}`, also)) : received(makeMessage(`I${n}`, also))
    })
    await storage.ledger.commit(facts)
    await storage.ledger.commit([
      status('O0', 'sent'),
      status('O3', 'failed'),
      status('O9', 'sent'),
      status('O9', 'read'),
    ])
    const filters: object[] = [
      {},
      { type: 'text' },
      { type: 'image' },
      { type: 'reaction' },
      { status: 'queued' },
      { status: 'failed' },
      { from: 'me' },
      { to: 'me' },
      { from: 'me', type: 'poll' },
      { from: LID },
      { to: LID },
      { chat: LID },
      { from: LID, type: 'reaction' },
      { from: LID, type: 'poll', start: base - 20 * day },
      { chat: LID, type: 'poll' },
      { chat: LID, start: base - 20 * day, end: base - day },
      { start: base - 3 * day, end: base - day },
      { start: base - 3 * day + 5, type: 'image' },
      { end: base - day, status: 'received' },
      { start: base, end: base - 1 },
      { starred: false },
      { starred: true },
    ]
    for (const filter of filters) {
      const { messages, total } = list({ limit: 1_000, ...filter })
      expect([filter, total]).toEqual([filter, messages.length])
      const times = messages.map(({ timestamp }) => timestamp)
      expect(times).toEqual([...times].sort((a, b) => b - a))
    }
    expect(list().total).toBe(90)
  })
})

describe('questions', () => {
  /** The statements that some work asks, with SQLite's plan for each. */
  function plansOf(work: () => unknown): string[] {
    const asked = new Set<string>()
    const real = Database.prototype.query
    Database.prototype.query = function (this: Database, sql: string) {
      asked.add(sql)
      return real.call(this, sql)
    } as typeof real
    try {
      work()
    } finally {
      Database.prototype.query = real
    }
    const database = new Database(rig.file, { readonly: true })
    const plans = [...asked].map((sql) => {
      const nothing = Array<number>(sql.split('?').length - 1).fill(0)
      return database
        .query<{ detail: string }, number[]>(`EXPLAIN QUERY PLAN ${sql}`)
        .all(...nothing)
        .map(({ detail }) => detail)
        .join(', ')
    })
    database.close()
    return plans
  }

  const cases: [filter: object, uses: string[]][] = [
    [{}, ['messages_by_time']],
    [{ start: 5, end: 9e15 }, ['messages_by_time']],
    [{ from: 'me' }, ['messages_by_time']],
    [{ type: 'text' }, ['messages_by_time']],
    [{ chat: LID }, ['messages_by_chat']],
    [{ chat: LID, start: 5 }, ['messages_by_chat']],
    [{ to: LID }, ['messages_by_chat']],
    [{ type: 'poll' }, ['messages_by_type']],
    [{ type: 'reaction', start: 5 }, ['messages_by_type']],
    [{ status: 'failed' }, ['messages_failed']],
    [{ starred: true }, ['messages_starred']],
    [{ from: LID }, ['messages_by_sender', 'messages_by_chat']],
    [{ search: 'hello' }, ['VIRTUAL TABLE INDEX', 'INTEGER PRIMARY KEY']],
  ]
  test.each(cases)('%p uses %p and reads no table from end to end', async (filter, uses) => {
    await storage.ledger.commit([
      received(makeMessage('A')),
      received(makeMessage('P', { content: EXAMPLES.poll })),
      received(makeMessage('R', { content: EXAMPLES.reaction })),
      stored(own('F')),
      status('F', 'failed'),
      {
        change: {
          kind: 'message_starred',
          sessionId: SESSION,
          messageId: asMessageId('A'),
          fromMe: false,
          starred: true,
        },
        events: [],
      },
    ])
    await storage.messages.searchable()
    const page = { sessionId: SESSION, limit: 50, offset: 0, ...filter }
    let total = 0
    const plans = plansOf(() => {
      total = storage.messages.list(page).total
    })
    expect([filter, total > 0]).toEqual([filter, true])
    expect(plans.length).toBeGreaterThan(0)
    for (const plan of plans) {
      for (const index of uses) expect(plan).toContain(index)
      expect(plan).not.toMatch(/SCAN (m|c|s|messages)\b/)
      const sorts = 'search' in filter || ('from' in filter && filter.from !== 'me')
      if (!sorts) expect([plan.includes('TEMP B-TREE'), plan]).toEqual([false, plan])
    }
  })
})

test('a restriction is kept with its session', async () => {
  const restriction = { until: 5, type: 'reachout_timelock', since: 1 }
  const change = (session = makeSession(SESSION, { restriction })): Fact => ({
    change: { kind: 'session_changed', session },
    events: [],
  })
  await storage.ledger.commit([change()])
  await storage.close()
  storage = rig.open()
  expect(storage.sessions.get(SESSION)?.restriction).toEqual(restriction)
  await storage.ledger.commit([change(makeSession())])
  expect(storage.sessions.all()[0]?.restriction).toBeNull()
})

describe('a database of the first release', () => {
  test('is brought up to date with all that is in it', async () => {
    await storage.close()
    await rig.clear()
    rig = makeRig()
    await rig.open().close()
    // The first release's own schema and rows, under this database's master key.
    const [first] = MIGRATIONS
    if (!first) throw new Error('no migrations')
    const database = new Database(rig.file)
    const session = database.query<{ number: number }, []>('SELECT number FROM session_numbers')
    expect(session.all()).toEqual([])
    for (const { name } of database
      .query<{ name: string }, []>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'search_%' AND name <> 'meta'",
      )
      .all()) {
      database.run(`DROP TABLE ${name}`)
    }
    database.run(first.sql.replace(/CREATE TABLE meta[^;]*;/, ''))
    database.run(
      'CREATE TABLE migrations (number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
    )
    const hash = new Bun.CryptoHasher('sha256').update(first.sql).digest('hex')
    database.run('INSERT INTO migrations VALUES (1, ?, ?, 0)', ['0001_start', hash])
    const { markOnline: _, sendPacing: __, queuePaused: ___, downloadMedia: ____, ...old } = DEFAULT_SETTINGS
    database.run(
      `INSERT INTO sessions (number, id, tenant, name, settings, status, state, credentials, created_at, updated_at, connected_ms)
       VALUES (1, ?, ?, 'Old', ?, 'inactive', '{"status":"inactive"}', 'linked', 1, 1, 0)`,
      [SESSION, TENANT, JSON.stringify({ ...old, enableEncryption: false })],
    )
    database.run(
      'INSERT INTO parties (number, session, lid, phone, jid) VALUES (1, 1, ?, ?, NULL), (2, 1, NULL, NULL, ?)',
      [LID, PHONE, '123-456@g.us'],
    )
    /** As the first release has written a readable body: 0, length of the notes, notes, encoded form. */
    const body = (notes: object, raw: string) => {
      const json = JSON.stringify(notes)
      return Buffer.concat([Uint8Array.of(0, json.length), Buffer.from(json), Buffer.from(raw)])
    }
    const add = database.prepare(
      'INSERT INTO messages (session, id, from_me, chat, sender, type, status, flags, timestamp, acked_at, error, body) VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)',
    )
    const rows = [
      ['3EB0AA', 0, 1, 1, 'text', 'received', 4, 100, null, null, body({ t: [2, 5], n: 'Ada' }, '..hello')],
      [
        'odd-id',
        0,
        2,
        1,
        'image',
        'received',
        6,
        200,
        null,
        null,
        body({ c: { caption: 'cat', media: { mimetype: null, size: null } } }, 'img'),
      ],
      ['3EB0BB', 1, 1, null, 'text', 'queued', 5, 300, null, null, body({ c: { text: 'out' } }, 'raw')],
      ['3EB0CC', 1, 1, null, 'poll', 'failed', 5, 400, null, '{"code":"463","says":"no"}', null],
      [
        '3EB0DD',
        0,
        1,
        1,
        'reaction',
        'received',
        4,
        500,
        null,
        null,
        body({ c: { emoji: 'x', targetMessageId: '3EB0BB' } }, 'r'),
      ],
    ]
    for (const row of rows) add.run(...(row as string[]))
    database.run(
      "INSERT INTO message_counts VALUES (1, 0, 0, 'text', 'received', 1), (1, 0, 0, 'image', 'received', 1), (1, 0, 1, 'text', 'queued', 1), (1, 0, 1, 'poll', 'failed', 1), (1, 0, 0, 'reaction', 'received', 1)",
    )
    database.run('INSERT INTO message_totals VALUES (1, 0, 3, 1)')
    database.close()

    storage = rig.open()
    // Its data key is made when it is first needed; readable bodies do not need it.
    await storage.ledger.commit([received(makeMessage('NEW', { timestamp: 600 }))])
    expect(storage.sessions.get(SESSION)).toMatchObject({
      name: 'Old',
      restriction: null,
      settings: { ...DEFAULT_SETTINGS, enableEncryption: false },
    })
    const ada = { lid: LID, phoneNumber: PHONE }
    expect(at('3EB0AA')).toMatchObject({
      content: { type: 'text', text: 'hello' },
      senderName: 'Ada',
      sender: ada,
      context: {},
      schedule: null,
      attachment: null,
      history: false,
    })
    expect(at('odd-id')).toMatchObject({
      chat: asJid('123-456@g.us'),
      sender: ada,
      offline: true,
      content: { type: 'image', caption: 'cat' },
      raw: new Uint8Array(Buffer.from('img')),
    })
    expect(storage.messages.queued(SESSION)).toMatchObject([
      { id: '3EB0BB', content: { text: 'out' }, schedule: { sendAt: null, expiresAt: null } },
    ])
    expect(at('3EB0CC')).toMatchObject({
      status: 'failed',
      error: { code: '463' },
      content: { question: '' },
    })
    expect(at('3EB0DD')).toMatchObject({ content: { emoji: 'x' } })
    expect(list().messages.map(({ id }) => String(id))).toEqual([
      'NEW',
      '3EB0CC',
      '3EB0BB',
      'odd-id',
      '3EB0AA',
    ])
    expect(list().total).toBe(5)
    expect(storage.messages.stats(SESSION, { now: 1_000 })).toMatchObject({ received: 4, failed: 1 })
    await storage.messages.searchable()
    expect(list({ search: 'HELLO' }).messages.map(({ id }) => String(id))).toEqual(['NEW', '3EB0AA'])
  })
})
