import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asJid, asMessageId, phoneJid } from '../../src/domain/ids'
import { type MessageStatus, NO_AFTERLIFE } from '../../src/domain/message'
import { DEFAULT_SETTINGS } from '../../src/domain/session'
import type { Storage } from '../../src/storage/open'
import {
  created,
  LID,
  makeEvent,
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

const status = (messageId: string, to: MessageStatus, at = 5_000) => ({
  change: {
    kind: 'message_status' as const,
    sessionId: SESSION,
    messageId: asMessageId(messageId),
    status: to,
    at,
    error: to === 'failed' ? { code: '463', says: 'refused' } : null,
  },
  events: [makeEvent(to === 'failed' ? 'message.failed' : 'message.delivered', { messageId })],
})

const sent = (id: string, also = {}) =>
  makeMessage(id, { fromMe: true, sender: null, senderName: null, status: 'queued', viaApi: true, ...also })

describe('sessions', () => {
  test('come back as they were written, without the QR text', async () => {
    const session = makeSession(SESSION, {
      state: { status: 'qr_generated', qr: 'live secret', expiresAt: 9, window: 1 },
      me: { phoneNumber: PHONE, lid: null, name: null, platform: 'android' },
      credentials: 'linked',
      lastDisconnect: { code: 515, reason: 'restart_required', detail: 'restart', at: 3 },
    })
    const { news } = await storage.ledger.commit([
      { change: { kind: 'session_changed', session }, events: [] },
    ])
    expect(news).toEqual([true])
    expect(storage.sessions.get(SESSION)).toEqual({
      ...session,
      state: { status: 'qr_generated', qr: '', expiresAt: 9, window: 1 },
    })
    expect(storage.sessions.holderOf(PHONE, OTHER)).toBe(SESSION)
    expect(storage.sessions.holderOf(PHONE, SESSION)).toBeNull()
    expect(storage.sessions.countByStatus(TENANT).qr_generated).toBe(1)
    expect(storage.sessions.countOf(TENANT)).toBe(1)
  })

  test('a change of a session that is not there is no news and tells nothing', async () => {
    const { news, entries } = await storage.ledger.commit([
      {
        change: { kind: 'session_changed', session: makeSession(OTHER) },
        events: [makeEvent('session.stopped', {}, OTHER)],
      },
    ])
    expect(news).toEqual([false])
    expect(entries).toEqual([])
  })

  test('are listed by tenant and status, newest first', async () => {
    await storage.ledger.commit([created(makeSession(OTHER, { createdAt: 2_000 }))])
    const filter = { tenantId: TENANT, limit: 1, offset: 0 }
    expect(storage.sessions.list(filter).sessions.map((s) => s.id)).toEqual([OTHER])
    expect(storage.sessions.list({ ...filter, offset: 1 }).sessions.map((s) => s.id)).toEqual([SESSION])
    expect(storage.sessions.list({ ...filter, status: 'connected' })).toEqual({ sessions: [], total: 0 })
    expect(storage.sessions.list({ ...filter, tenantId: 'nobody' as never }).total).toBe(0)
    const left = storage.sessions.list({ ...filter, except: [OTHER] })
    expect({ ids: left.sessions.map(({ id }) => id), total: left.total }).toEqual({
      ids: [SESSION],
      total: 1,
    })
  })

  test('with a list of addresses are found', async () => {
    const settings = { ...makeSession().settings, ipWhitelist: ['10.0.0.0/8'] }
    await storage.ledger.commit([created(makeSession(OTHER, { settings }))])
    expect(storage.sessions.fenced(TENANT).map(({ id }) => id)).toEqual([OTHER])
    expect(storage.sessions.fenced('nobody' as never)).toEqual([])
  })

  test('activity only moves forward', async () => {
    for (const at of [50, 20]) {
      await storage.ledger.commit([
        { change: { kind: 'session_active', sessionId: SESSION, at }, events: [] },
      ])
    }
    expect(storage.sessions.get(SESSION)?.lastActivity).toBe(50)
  })
})

describe('messages', () => {
  test('are stored once, and the second time tells nothing', async () => {
    const first = await storage.ledger.commit([received(makeMessage('M1'))])
    const again = await storage.ledger.commit([received(makeMessage('M1')), received(makeMessage('M2'))])
    expect(first.news).toEqual([true])
    expect(again.news).toEqual([false, true])
    expect(again.entries.map((entry) => JSON.parse(entry.json).messageId)).toEqual(['M2'])
    expect(storage.messages.list({ sessionId: SESSION, limit: 10, offset: 0 }).total).toBe(2)
  })

  test('the same id from the other side is another message', async () => {
    await storage.ledger.commit([
      received(makeMessage('M1')),
      { change: { kind: 'message', message: sent('M1'), keepContent: true, inboxId: null }, events: [] },
    ])
    expect(storage.messages.list({ sessionId: SESSION, limit: 10, offset: 0 }).total).toBe(2)
  })

  test('come back whole', async () => {
    const message = makeMessage('M1', {
      chat: asJid('123-456@g.us'),
      mentions: ['491700000009@s.whatsapp.net'],
      quoted: { messageId: 'M0', from: null, text: 'before' },
      offline: true,
    })
    await storage.ledger.commit([received(message)])
    expect(storage.messages.get(SESSION, 'M1')).toEqual({
      ...message,
      chatParty: { lid: null, phoneNumber: null },
      afterlife: NO_AFTERLIFE,
    })
    expect(storage.messages.raw(SESSION, 'M1')).toEqual(message.raw)
    expect(storage.messages.get(OTHER, 'M1')).toBeNull()
  })

  test('content that is not kept leaves no trace, and raw stays only until delivery', async () => {
    const facts = [
      received(makeMessage('IN'), { keepContent: false }),
      {
        change: { kind: 'message' as const, message: sent('OUT'), keepContent: false, inboxId: null },
        events: [],
      },
    ]
    await storage.ledger.commit(facts)
    expect(storage.messages.get(SESSION, 'IN')).toMatchObject({
      content: { type: 'text', text: '' },
      senderName: null,
      raw: null,
    })
    expect(storage.messages.raw(SESSION, 'OUT')).toEqual(sent('OUT').raw)
    expect(storage.messages.get(SESSION, 'OUT')?.content).toEqual({ type: 'text', text: '' })
    await storage.ledger.commit([status('OUT', 'sent')])
    expect(storage.messages.raw(SESSION, 'OUT')).not.toBeNull()
    await storage.ledger.commit([status('OUT', 'delivered')])
    expect(storage.messages.raw(SESSION, 'OUT')).toBeNull()
  })

  test('statuses climb and never come down; failed is left by a later acknowledgement', async () => {
    await storage.ledger.commit([
      {
        change: {
          kind: 'message',
          message: sent('M1', { timestamp: 1_000 }),
          keepContent: true,
          inboxId: null,
        },
        events: [],
      },
    ])
    const walk: [MessageStatus, boolean][] = [
      ['failed', true],
      ['sent', true],
      ['failed', false],
      ['read', true],
      ['delivered', false],
      ['read', false],
      ['played', true],
    ]
    for (const [to, isNews] of walk) {
      const { news, entries } = await storage.ledger.commit([status('M1', to)])
      expect([to, news[0], entries.length]).toEqual([to, isNews, isNews ? 1 : 0])
    }
    const stored = storage.messages.get(SESSION, 'M1')
    expect(stored).toMatchObject({ status: 'played', ackedAt: 5_000, error: null })
    expect((await storage.ledger.commit([status('unknown', 'read')])).news).toEqual([false])
  })

  test('the queue holds what is not acknowledged, oldest first', async () => {
    for (const id of ['Q1', 'Q2', 'Q3']) {
      await storage.ledger.commit([
        {
          change: {
            kind: 'message',
            message: sent(id, { timestamp: 10 - Number(id[1]) }),
            keepContent: true,
            inboxId: null,
          },
          events: [],
        },
      ])
    }
    await storage.ledger.commit([status('Q2', 'sent')])
    expect(storage.messages.queued(SESSION).map((m) => m.id as string)).toEqual(['Q1', 'Q3'])
    expect(storage.messages.queueLengths([SESSION, OTHER])).toEqual(
      new Map([
        [SESSION, 2],
        [OTHER, 0],
      ]),
    )
  })

  test('lists filter by party, type, status and time', async () => {
    const bob = asJid('491700000002@s.whatsapp.net')
    await storage.ledger.commit([
      received(makeMessage('A', { timestamp: 100 })),
      received(
        makeMessage('B', { timestamp: 200, chat: bob, sender: { lid: null, phoneNumber: '491700000002' } }),
      ),
      {
        change: {
          kind: 'message',
          message: sent('C', { timestamp: 300, chat: bob }),
          keepContent: true,
          inboxId: null,
        },
        events: [],
      },
      received(
        makeMessage('D', { timestamp: 400, content: { type: 'location', latitude: 1, longitude: 2 } }),
      ),
    ])
    const ids = (filter: object) =>
      storage.messages
        .list({ sessionId: SESSION, limit: 10, offset: 0, ...filter })
        .messages.map((message) => message.id as string)
    expect(ids({})).toEqual(['D', 'C', 'B', 'A'])
    expect(ids({ limit: 2, offset: 1 })).toEqual(['C', 'B'])
    expect(ids({ from: 'me' })).toEqual(['C'])
    expect(ids({ from: '491700000002' })).toEqual(['B'])
    expect(ids({ from: '+491700000002' })).toEqual(['B'])
    expect(ids({ from: LID })).toEqual(['D', 'A'])
    expect(ids({ to: 'me' })).toEqual(['D', 'B', 'A'])
    expect(ids({ to: '491700000002' })).toEqual(['C'])
    expect(ids({ chat: bob })).toEqual(['C', 'B'])
    expect(ids({ chat: '10000000' })).toEqual([])
    expect(ids({ type: 'location' })).toEqual(['D'])
    expect(ids({ status: 'queued' })).toEqual(['C'])
    expect(ids({ start: 200, end: 300 })).toEqual(['C', 'B'])
  })
})

describe('who is who', () => {
  const person = phoneJid(PHONE)

  test('a pair learned later makes one chat of two, in the same commit', async () => {
    await storage.ledger.commit([
      received(makeMessage('P', { chat: person, sender: { lid: null, phoneNumber: PHONE } })),
      received(makeMessage('L', { chat: LID, sender: { lid: LID, phoneNumber: null } })),
    ])
    expect(storage.messages.get(SESSION, 'P')?.chat).toBe(person)
    expect(storage.identities.resolve(SESSION, LID)).toEqual({ lid: LID, phoneNumber: null })
    const learn = {
      change: { kind: 'identity' as const, sessionId: SESSION, lid: LID, phoneNumber: PHONE },
      events: [makeEvent('contact.updated')],
    }
    expect((await storage.ledger.commit([learn])).news).toEqual([true])
    expect((await storage.ledger.commit([learn])).news).toEqual([false])
    for (const id of ['P', 'L']) {
      const message = storage.messages.get(SESSION, id)
      expect(message?.chat).toBe(LID)
      expect(message?.chatParty).toEqual({ lid: LID, phoneNumber: PHONE })
      expect(message?.sender).toEqual({ lid: LID, phoneNumber: PHONE })
    }
    for (const chat of [LID, person, PHONE]) {
      expect(storage.messages.list({ sessionId: SESSION, limit: 9, offset: 0, chat }).total).toBe(2)
    }
    for (const jid of [LID, person, `${PHONE}:12@s.whatsapp.net`]) {
      expect(storage.identities.resolve(SESSION, jid)).toEqual({ lid: LID, phoneNumber: PHONE })
    }
    await storage.ledger.commit([received(makeMessage('N', { chat: person }))])
    expect(storage.messages.get(SESSION, 'N')?.chat).toBe(LID)
  })

  test('a number that moves to another account leaves its old chat alone', async () => {
    const next = asJid('999888777666555@lid')
    const learn = (lid: typeof LID) =>
      storage.ledger.commit([
        { change: { kind: 'identity', sessionId: SESSION, lid, phoneNumber: PHONE }, events: [] },
      ])
    await learn(LID)
    await storage.ledger.commit([received(makeMessage('OLD'))])
    expect((await learn(next)).news).toEqual([true])
    expect(storage.identities.resolve(SESSION, person)).toEqual({ lid: next, phoneNumber: PHONE })
    expect(storage.messages.get(SESSION, 'OLD')?.chatParty).toEqual({ lid: LID, phoneNumber: null })
  })

  test('is known per session, and nothing is invented', () => {
    expect(storage.identities.resolve(OTHER, LID)).toEqual({ lid: LID, phoneNumber: null })
    expect(storage.identities.resolve(SESSION, person)).toEqual({ lid: null, phoneNumber: PHONE })
    expect(storage.identities.resolve(SESSION, '1-2@g.us')).toEqual({ lid: null, phoneNumber: null })
  })
})

describe('numbers', () => {
  const DAY = 86_400_000
  const today = Math.floor(Date.now() / DAY) * DAY
  const now = today + DAY / 2

  test('are exact by type, day and status, and survive a restart', async () => {
    const facts = [
      received(makeMessage('R1', { timestamp: now - 1_000 })),
      received(makeMessage('R2', { timestamp: now - 3 * DAY })),
      received(makeMessage('R2', { timestamp: now - 3 * DAY })),
      received(
        makeMessage('R3', {
          timestamp: now - 2_000,
          content: { type: 'reaction', emoji: 'x', targetMessageId: 'R1' },
        }),
      ),
      ...['S1', 'S2', 'S3'].map((id) => ({
        change: {
          kind: 'message' as const,
          message: sent(id, { timestamp: now - 10_000 }),
          keepContent: true,
          inboxId: null,
        },
        events: [],
      })),
    ]
    await storage.ledger.commit(facts)
    await storage.ledger.commit([
      status('S1', 'sent', now - 9_600),
      status('S2', 'failed'),
      status('S1', 'read', now),
    ])
    const check = () => {
      const stats = storage.messages.stats(SESSION, { now })
      expect(stats).toEqual({
        sent: 1,
        received: 3,
        failed: 1,
        byType: { text: 5, reaction: 1 },
        byStatus: { received: 3, read: 1, failed: 1, queued: 1 },
        byDay: {
          [new Date(now).toISOString().slice(0, 10)]: { sent: 1, received: 2 },
          [new Date(now - 3 * DAY).toISOString().slice(0, 10)]: { sent: 0, received: 1 },
        },
        recent: { sent: 1, received: 2, failed: 1, averageAckMs: 400 },
      })
      expect(storage.sessions.counts([SESSION, OTHER])).toEqual(
        new Map([
          [SESSION, { sent: 1, received: 3, failed: 1 }],
          [OTHER, { sent: 0, received: 0, failed: 0 }],
        ]),
      )
      expect(storage.messages.totalsSince(TENANT, now - DAY)).toEqual({ sent: 1, received: 2 })
      expect(storage.messages.totalsSince('nobody', 0)).toEqual({ sent: 0, received: 0 })
      expect(storage.messages.totalsSince(null, 0)).toEqual({ sent: 1, received: 3 })
    }
    check()
    await storage.close()
    storage = rig.open()
    check()
  })

  test('a span of whole days and edges counts the same as the rows', async () => {
    const times = Array.from({ length: 60 }, (_, i) => today - 5 * DAY + i * 3 * 3_600_000 + 7)
    await storage.ledger.commit(times.map((timestamp, i) => received(makeMessage(`T${i}`, { timestamp }))))
    for (const [from, to] of [
      [times[3] ?? 0, times[40] ?? 0],
      [times[3] ?? 0, (times[4] ?? 0) - 1],
      [today - 4 * DAY, today - 2 * DAY - 1],
      [today - 4 * DAY + 1, today - 2 * DAY],
    ] as const) {
      const expected = times.filter((time) => time >= from && time <= to).length
      expect(storage.messages.stats(SESSION, { from, to, now }).received).toBe(expected)
    }
  })
})

test('a deleted session leaves nothing, its last event stays, and late reports do not bring it back', async () => {
  const settings = { ...DEFAULT_SETTINGS, webhookUrl: 'https://example.com/hook' }
  await storage.ledger.commit([created(makeSession(OTHER, { settings }))])
  const vault = storage.vaults.open(OTHER)
  await vault.commit([{ type: 'session', id: 'x', value: new Uint8Array([1]) }])
  await vault.receive(new Uint8Array([2]))
  await storage.ledger.commit([received(makeMessage('M', { sessionId: OTHER }))])
  const { entries } = await storage.ledger.commit([
    {
      change: { kind: 'session_deleted', sessionId: OTHER },
      events: [makeEvent('session.deleted', {}, OTHER)],
    },
  ])
  expect(entries.map((entry) => entry.event)).toEqual(['session.deleted'])
  const late = await storage.ledger.commit([
    received(makeMessage('LATE', { sessionId: OTHER })),
    { change: { kind: 'told' }, events: [makeEvent('session.stopped', {}, OTHER)] },
    {
      change: { kind: 'session_deleted', sessionId: OTHER },
      events: [makeEvent('session.deleted', {}, OTHER)],
    },
  ])
  expect(late.entries).toEqual([])
  await expect(vault.commit([{ type: 'session', id: 'x', value: new Uint8Array([1]) }])).rejects.toThrow(
    'replaced',
  )
  expect(storage.sessions.get(OTHER)).toBeNull()
  const about = storage.journal.read(0, 100).filter((entry) => entry.sessionId === OTHER)
  expect(about.map((entry) => entry.event)).toEqual(['session.deleted'])
  expect(storage.webhooks.endpoints(OTHER)).toEqual([])

  await storage.close()
  storage = rig.open()
  const again = storage.journal.read(0, 100).filter((entry) => entry.sessionId === OTHER)
  expect(again.map((entry) => entry.json)).toEqual(about.map((entry) => entry.json))
})
