import { expect, test } from 'bun:test'
import { asJid, asMessageId, asSessionId, asTenantId } from '../../src/domain/ids'
import { NO_AFTERLIFE, type StoredMessage } from '../../src/domain/message'
import { DEFAULT_SETTINGS, type Session } from '../../src/domain/session'
import type { IncomingMessage } from '../../src/domain/whatsapp'
import { placesUnder } from '../../src/sessions/payload'
import { type DataReport, factsOf, momentaryEvent } from '../../src/sessions/recorder'

const AT = Date.UTC(2026, 0, 2, 3, 4, 5)
const LID = asJid('112233445566@lid')
const session: Session = {
  id: asSessionId('a'.repeat(32)),
  tenantId: asTenantId('tenant'),
  name: 'Support',
  description: null,
  settings: DEFAULT_SETTINGS,
  state: { status: 'connected', since: AT, attempt: 0 },
  credentials: 'linked',
  me: { phoneNumber: '49301111111', lid: '999@lid', name: null, platform: null },
  clientVersion: null,
  restriction: null,
  lastDisconnect: null,
  createdAt: AT,
  updatedAt: AT,
  lastActivity: AT,
  firstStartedAt: AT,
  connectedMs: 0,
  outage: null,
}

const incoming = (also: Partial<IncomingMessage> = {}): IncomingMessage => ({
  id: asMessageId('3EB0AA'),
  chat: LID,
  chatParty: { lid: LID, phoneNumber: '49302222222' },
  fromMe: false,
  sender: { lid: LID, phoneNumber: '49302222222' },
  senderName: 'Ada',
  content: { type: 'text', text: 'hello' },
  mentions: [],
  quoted: null,
  context: {},
  timestamp: AT,
  offline: false,
  raw: new Uint8Array([1]),
  inboxId: 7,
  status: 'received',
  ...also,
})

const record = (report: DataReport, stored: StoredMessage | null = null, of = session) =>
  factsOf(report, { session: of, places: placesUnder('https://wa.example/'), stored: () => stored })
const recordOne = (report: DataReport, stored: StoredMessage | null = null) => {
  const [fact, ...more] = record(report, stored)
  expect(more).toEqual([])
  if (!fact) throw new Error('expected a fact')
  const [event] = fact.events
  return { change: fact.change, event }
}
const received = (also: Partial<IncomingMessage> = {}) =>
  recordOne({ kind: 'messages', messages: [incoming(also)] })

test('a message of somebody else: the row, its stanza, and the fields of the contract', () => {
  const { change, event } = received()
  expect(change).toMatchObject({
    kind: 'message',
    inboxId: 7,
    keepContent: true,
    message: { id: '3EB0AA', chat: LID, status: 'received', fromMe: false, viaApi: false, ackedAt: null },
  })
  expect(event).toEqual({
    name: 'message.received',
    tenantId: session.tenantId,
    sessionId: session.id,
    fields: {
      messageId: asMessageId('3EB0AA'),
      from: '49302222222',
      to: 'me',
      chat: '49302222222',
      type: 'text',
      text: 'hello',
      contact: { name: 'Ada', profilePicture: null },
      lid: LID,
      phoneNumber: '49302222222',
      mentions: [],
      quoted: null,
      sentAt: '2026-01-02T03:04:05.000Z',
      fromMe: false,
      viaApi: false,
      offline: false,
    },
  })
})

test('a number that WhatsApp has not told is not invented', () => {
  const stranger = { lid: LID, phoneNumber: null }
  const { event } = received({ chatParty: stranger, sender: stranger })
  expect(event?.fields).toMatchObject({ from: LID, chat: LID, lid: LID, phoneNumber: null })
  expect(JSON.stringify(event)).not.toContain('49302222222')
})

test('the LID anchors the chat; a phone address does until the LID is known', () => {
  const chatOf = (also: Partial<IncomingMessage>) => {
    const { change } = received(also)
    return change.kind === 'message' ? change.message.chat : null
  }
  const phone = asJid('49302222222@s.whatsapp.net')
  expect(chatOf({ chat: phone })).toBe(LID)
  expect(chatOf({ chat: phone, chatParty: { lid: null, phoneNumber: '49302222222' } })).toBe(phone)
})

test('a group message names its sender by both addresses and keeps the group as chat', () => {
  const group = asJid('120363@g.us')
  const { change, event } = received({ chat: group, chatParty: { lid: null, phoneNumber: null } })
  expect(change.kind === 'message' && change.message.chat).toBe(group)
  expect(event?.fields).toMatchObject({ from: '49302222222', chat: group, lid: LID })
})

test('media carry type and size, and where their bytes are fetched', () => {
  const media = { mimetype: 'image/jpeg', size: 1234 }
  const { event } = received({ content: { type: 'image', caption: 'look', media } })
  const url = `https://wa.example/api/messages/${session.id}/3EB0AA/media`
  expect(event?.fields).toMatchObject({ type: 'image', caption: 'look', media: { ...media, url } })
})

test('without a public address the place is a path', () => {
  expect(placesUnder(null).media(session.id, asMessageId('A/B'))).toBe(
    `/api/messages/${session.id}/A%2FB/media`,
  )
})

test('what goes along with a message is told flat; who may see a status post is not', () => {
  const { event, change } = received({
    context: {
      forwardingScore: 3,
      mentionsAll: true,
      disappearingSeconds: 86_400,
      albumId: 'ALBUM',
      audience: [LID],
    },
  })
  const flat = {
    forwarded: true,
    forwardingScore: 3,
    mentionsAll: true,
    disappearingSeconds: 86_400,
    albumId: 'ALBUM',
  }
  expect(event?.fields).toMatchObject(flat)
  expect(event?.fields).not.toHaveProperty('audience')
  expect(change).toMatchObject({ message: { context: { forwardingScore: 3, audience: [LID] } } })
})

test('a status post is told as such, one of our own as sent', () => {
  const chat = asJid('status@broadcast')
  const post = { chat, chatParty: { lid: null, phoneNumber: null } }
  const { event } = received(post)
  expect(event).toMatchObject({ name: 'status.received', fields: { chat, from: '49302222222' } })
  expect(received({ ...post, fromMe: true, sender: null, status: 'sent' }).event).toMatchObject({
    name: 'message.sent',
    fields: { chat, fromMe: true, viaApi: false },
  })
})

test('an unknown type is kept and told, never lost', () => {
  const { event } = received({ content: { type: 'unknown', kind: 'futureMessage' } })
  expect(event).toMatchObject({
    name: 'message.received',
    fields: { type: 'unknown', kind: 'futureMessage' },
  })
})

test('what the phone itself has sent is an own message, not a received one', () => {
  const { change, event } = received({ fromMe: true, sender: null, status: 'delivered', offline: true })
  expect(change).toMatchObject({
    message: { fromMe: true, sender: null, viaApi: false, status: 'delivered', ackedAt: AT },
  })
  expect(event).toMatchObject({
    name: 'message.sent',
    fields: { from: 'me', to: '49302222222', text: 'hello', fromMe: true, viaApi: false, offline: true },
  })
})

const ACTIONS = [
  ['message.reaction', { type: 'reaction', emoji: '👍', targetMessageId: 'T1' }],
  ['message.edited', { type: 'edit', text: 'better', targetMessageId: 'T1' }],
  ['message.deleted', { type: 'delete', targetMessageId: 'T1' }],
  ['message.pinned', { type: 'pin', pinned: true, seconds: 86_400, targetMessageId: 'T1' }],
  ['message.poll_vote', { type: 'vote', options: ['yes'], targetMessageId: 'T1' }],
] as const

test.each(ACTIONS)('%s tells of what is done to another message, by whomever', (name, content) => {
  const of = { content: { ...content } as IncomingMessage['content'] }
  const { event, change } = received(of)
  expect(change).toMatchObject({ kind: 'message', message: { content } })
  expect(event).toMatchObject({ name, fields: { messageId: '3EB0AA', from: '49302222222', ...content } })
  const own = received({ ...of, fromMe: true, sender: null, status: 'sent' })
  expect(own.event).toMatchObject({ name, fields: { from: 'me', fromMe: true, viaApi: false, ...content } })
})

test('messageHistory off: content is not kept, the event still tells it', () => {
  const quiet = { ...session, settings: { ...DEFAULT_SETTINGS, messageHistory: false } }
  const [fact] = record({ kind: 'messages', messages: [incoming()] }, null, quiet)
  expect(fact?.change).toMatchObject({ kind: 'message', keepContent: false })
  expect(fact?.events[0]?.fields).toMatchObject({ text: 'hello' })
})

const stored: StoredMessage = {
  sessionId: session.id,
  id: asMessageId('OWN1'),
  chat: LID,
  fromMe: true,
  sender: null,
  senderName: null,
  content: { type: 'text', text: 'hi' },
  mentions: [],
  quoted: null,
  context: {},
  status: 'sent',
  timestamp: AT,
  viaApi: true,
  offline: false,
  history: false,
  error: null,
  raw: null,
  ackedAt: AT,
  attachment: null,
  schedule: null,
  afterlife: NO_AFTERLIFE,
  chatParty: { lid: LID, phoneNumber: '49302222222' },
}

test('statuses tell whose message has climbed', () => {
  for (const [status, name] of [
    ['sent', 'message.sent'],
    ['delivered', 'message.delivered'],
    ['read', 'message.read'],
    ['played', 'message.played'],
  ] as const) {
    const { change, event } = recordOne(
      { kind: 'statuses', statuses: [{ messageId: stored.id, status, at: AT, error: null }] },
      stored,
    )
    expect(change).toMatchObject({ kind: 'message_status', messageId: stored.id, status, at: AT })
    expect(event).toMatchObject({
      name,
      fields: { messageId: 'OWN1', from: 'me', to: '49302222222', type: 'text', viaApi: true },
    })
  }
})

test('a receipt that overtakes the acknowledgement tells of both', () => {
  const facts = record(
    { kind: 'statuses', statuses: [{ messageId: stored.id, status: 'delivered', at: AT, error: null }] },
    { ...stored, status: 'queued', ackedAt: null },
  )
  expect(facts.map(({ events }) => events[0]?.name)).toEqual(['message.sent', 'message.delivered'])
  expect(facts.map(({ change }) => 'status' in change && change.status)).toEqual(['sent', 'delivered'])
})

test('a refusal is a failure with WhatsApp’s code', () => {
  const error = { code: '463', says: 'Restricted' }
  const { change, event } = recordOne(
    { kind: 'statuses', statuses: [{ messageId: stored.id, status: 'failed', at: AT, error }] },
    stored,
  )
  expect(change).toMatchObject({ status: 'failed', error })
  expect(event).toMatchObject({ name: 'message.failed', fields: { code: '463', error: 'Restricted' } })
})

test('a status of a message that is not ours to know is written but not told', () => {
  const { event } = recordOne({
    kind: 'statuses',
    statuses: [{ messageId: asMessageId('GONE'), status: 'read', at: AT, error: null }],
  })
  expect(event).toBeUndefined()
})

const HISTORY = (count: number): DataReport => ({
  kind: 'history',
  chats: 3,
  contacts: 5,
  messages: Array.from({ length: count }, (_, index) =>
    incoming({ id: asMessageId(`H${index}`), inboxId: null }),
  ),
  progress: 40,
})

test('history is kept silently and told as one event, which comes last', () => {
  const facts = record(HISTORY(700))
  expect(facts).toHaveLength(701)
  expect(facts[0]).toMatchObject({ change: { kind: 'message', message: { history: true } }, events: [] })
  expect(facts.flatMap(({ events }) => events)).toHaveLength(1)
  expect(facts.at(-1)).toMatchObject({
    change: { kind: 'told' },
    events: [{ name: 'history.synced', fields: { chats: 3, contacts: 5, messages: 700, progress: 40 } }],
  })
})

test('messageHistory off: the phone’s history is not kept at all', () => {
  const quiet = { ...session, settings: { ...DEFAULT_SETTINGS, messageHistory: false } }
  expect(record(HISTORY(3), null, quiet)).toHaveLength(1)
})

test('a star is a change of its message', () => {
  const { change, event } = recordOne(
    { kind: 'stars', stars: [{ messageId: stored.id, fromMe: true, starred: true }] },
    stored,
  )
  expect(change).toMatchObject({ kind: 'message_starred', messageId: 'OWN1', fromMe: true, starred: true })
  expect(event).toMatchObject({
    name: 'message.starred',
    fields: { messageId: 'OWN1', starred: true, fromMe: true, chat: '49302222222', type: 'text' },
  })
})

test('pairs and names are told one by one, but not by the thousand', () => {
  const pairs = (count: number) =>
    Array.from({ length: count }, (_, index) => ({ lid: asJid(`${index}@lid`), phoneNumber: `4930${index}` }))
  const few = record({ kind: 'identities', pairs: pairs(2) })
  expect(few.map(({ events }) => events[0]?.name)).toEqual(['contact.updated', 'contact.updated'])
  const many = record({ kind: 'identities', pairs: pairs(1_000) })
  expect(many).toHaveLength(1_000)
  expect(many.flatMap(({ events }) => events)).toEqual([])
})

test('stanzas that held nothing are cleared away without a word', () => {
  const { change, event } = recordOne({ kind: 'handled', inboxIds: [1, 2] })
  expect(change).toEqual({ kind: 'inbox_done', sessionId: session.id, inboxIds: [1, 2] })
  expect(event).toBeUndefined()
  expect(record({ kind: 'handled', inboxIds: [] })).toEqual([])
})

test('a call is told when it rings, groups when they change', () => {
  const call = { id: 'C1', from: { lid: LID, phoneNumber: null }, video: true }
  const calls = record({
    kind: 'calls',
    calls: [
      { ...call, status: 'offer' },
      { ...call, status: 'terminate' },
    ],
  })
  expect(calls.map(({ events }) => events[0])).toMatchObject([
    { name: 'call.received', fields: { callId: 'C1', from: LID, video: true, phoneNumber: null } },
  ])
  const { event } = recordOne({
    kind: 'participants',
    group: asJid('120363@g.us'),
    action: 'add',
    participants: [{ lid: LID, phoneNumber: null }],
    by: null,
  })
  expect(event).toMatchObject({ name: 'group.participants', fields: { action: 'add', participants: [LID] } })
})

test('typing and presence are told, never stored', () => {
  const chat = { lid: LID, phoneNumber: '49302222222' }
  const typing = momentaryEvent({ kind: 'presence', chat, presence: 'composing', typing: true }, session)
  expect(typing).toMatchObject({ name: 'typing', fields: { chat: '49302222222', typing: true } })
  const paused = momentaryEvent({ kind: 'presence', chat, presence: 'paused', typing: false }, session)
  expect(paused).toMatchObject({ name: 'typing', fields: { typing: false } })
  const online = momentaryEvent({ kind: 'presence', chat, presence: 'available', typing: false }, session)
  expect(online).toMatchObject({ name: 'presence.updated', fields: { presence: 'available' } })
})
