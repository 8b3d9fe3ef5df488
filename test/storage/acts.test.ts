import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Fact } from '../../src/domain/changes'
import type { Content } from '../../src/domain/content'
import { asJid, asMessageId, type Party, phoneJid } from '../../src/domain/ids'
import type { Message, MessageStatus, StoredMessage } from '../../src/domain/message'
import type { Storage } from '../../src/storage/open'
import { created, LID, makeEvent, makeMessage, makeRig, PHONE, type Rig, received, SESSION } from './rig'

let rig: Rig
let storage: Storage
beforeEach(async () => {
  rig = makeRig()
  storage = rig.open()
  await storage.ledger.commit([created()])
})
afterEach(() => rig.clear())

const GROUP = asJid('123-456@g.us')
const ada: Party = { lid: LID, phoneNumber: null }
const bob: Party = { lid: asJid('222222222222222@lid'), phoneNumber: null }
const NOW = Date.now()

/** A message as it comes from WhatsApp. */
const said = (id: string, content: Content, also: Partial<Message> = {}): Fact =>
  received(makeMessage(id, { content, timestamp: NOW, ...also }))
const own = (id: string, content: Content, also: Partial<Message> = {}): Fact => ({
  change: {
    kind: 'message',
    message: makeMessage(id, {
      fromMe: true,
      sender: null,
      senderName: null,
      status: 'queued',
      viaApi: true,
      timestamp: NOW,
      content,
      schedule: { sendAt: null, expiresAt: null },
      ...also,
    }),
    keepContent: true,
    inboxId: null,
  },
  events: [makeEvent('message.queued', { messageId: id })],
})
const status = (messageId: string, to: MessageStatus): Fact => ({
  change: {
    kind: 'message_status',
    sessionId: SESSION,
    messageId: asMessageId(messageId),
    status: to,
    at: NOW,
    error: null,
  },
  events: [makeEvent('message.sent', { messageId })],
})
const commit = (...facts: Fact[]) => storage.ledger.commit(facts)
const at = (id: string): StoredMessage => {
  const message = storage.messages.get(SESSION, id)
  if (!message) throw new Error(`${id} is not stored`)
  return message
}
const text = (words: string): Content => ({ type: 'text', text: words })
const reaction = (emoji: string, targetMessageId = 'T'): Content => ({
  type: 'reaction',
  emoji,
  targetMessageId,
})
const edit = (words: string, targetMessageId = 'T'): Content => ({
  type: 'edit',
  text: words,
  targetMessageId,
})
const remove = (targetMessageId = 'T'): Content => ({ type: 'delete', targetMessageId })
const pin = (pinned: boolean, seconds?: number): Content => ({
  type: 'pin',
  targetMessageId: 'T',
  pinned,
  ...(seconds === undefined ? {} : { seconds }),
})
const poll: Content = { type: 'poll', question: 'When?', options: ['now', 'later'], selectable: 1 }
const vote = (...options: string[]): Content => ({ type: 'vote', targetMessageId: 'T', options })

describe('reactions', () => {
  test('one per person, replaced and taken back', async () => {
    await commit(said('T', text('hi'), { chat: GROUP, sender: ada }))
    await commit(
      said('R1', reaction('👍'), { chat: GROUP, sender: ada }),
      said('R2', reaction('🎉'), { chat: GROUP, sender: bob }),
      said('R3', reaction('❤️'), { chat: GROUP, sender: ada, timestamp: NOW + 1_000 }),
    )
    expect(at('T').afterlife.reactions).toEqual([
      { emoji: '🎉', from: bob, at: NOW },
      { emoji: '❤️', from: ada, at: NOW + 1_000 },
    ])
    await commit(said('R4', reaction(''), { chat: GROUP, sender: ada, timestamp: NOW + 2_000 }))
    expect(at('T').afterlife.reactions.map(({ emoji }) => emoji)).toEqual(['🎉'])
  })

  test('an older one that comes late changes nothing, not even after the newer was taken back', async () => {
    await commit(said('T', text('hi')))
    await commit(said('R2', reaction('', 'T'), { timestamp: NOW + 5_000 }))
    await commit(said('R1', reaction('👍'), { timestamp: NOW + 1_000 }))
    expect(at('T').afterlife.reactions).toEqual([])
  })

  test('our own counts when WhatsApp has taken it; from the phone at once', async () => {
    await commit(said('T', text('hi')), own('R1', reaction('👍')))
    expect(at('T').afterlife.reactions).toEqual([])
    await commit(status('R1', 'sent'))
    expect(at('T').afterlife.reactions).toEqual([{ emoji: '👍', from: 'me', at: NOW }])
    await commit(status('R1', 'delivered'))
    await commit(own('R2', reaction('😮'), { status: 'sent', timestamp: NOW + 1 }))
    expect(at('T').afterlife.reactions).toEqual([{ emoji: '😮', from: 'me', at: NOW + 1 }])
  })

  test('one that has failed never counts', async () => {
    await commit(said('T', text('hi')), own('R1', reaction('👍')))
    await commit(status('R1', 'failed'))
    expect(at('T').afterlife.reactions).toEqual([])
    await commit(status('R1', 'read'))
    expect(at('T').afterlife.reactions).toHaveLength(1)
  })

  test('redelivered, it is no news', async () => {
    await commit(said('T', text('hi')))
    const fact = said('R1', reaction('👍'))
    expect((await commit(fact)).news).toEqual([true])
    const again = await commit(fact)
    expect([again.news, again.entries]).toEqual([[false], []])
    expect(at('T').afterlife.reactions).toHaveLength(1)
  })

  test('across chats has no effect', async () => {
    await commit(said('T', text('hi'), { chat: GROUP, sender: ada }))
    await commit(said('R', reaction('👍')), said('D', remove()), said('E', edit('hacked')))
    expect(at('T')).toMatchObject({ content: { text: 'hi' }, afterlife: { reactions: [], deletedAt: null } })
  })
})

describe('before the target', () => {
  test('a reaction, an edit and a deletion wait for it', async () => {
    await commit(said('R', reaction('👍', 'A')), said('E', edit('new', 'B')), said('D', remove('C')))
    expect((await commit(said('A', text('a')), said('B', text('b')), said('C', text('c')))).news).toEqual([
      true,
      true,
      true,
    ])
    expect(at('A').afterlife.reactions).toHaveLength(1)
    expect(at('B')).toMatchObject({ content: { text: 'new' }, afterlife: { editedAt: NOW } })
    expect(at('C')).toMatchObject({ content: { text: '' }, raw: null, afterlife: { deletedAt: NOW } })
  })

  test('our own that is not sent yet does not count when the target comes', async () => {
    await commit(own('R', reaction('👍')))
    await commit(said('T', text('hi')))
    expect(at('T').afterlife.reactions).toEqual([])
    await commit(status('R', 'sent'))
    expect(at('T').afterlife.reactions).toHaveLength(1)
  })

  test('edits in the wrong order leave the last words', async () => {
    await commit(said('E2', edit('second'), { timestamp: NOW + 2_000 }))
    await commit(said('E1', edit('first'), { timestamp: NOW + 1_000 }))
    await commit(said('T', text('original')))
    expect(at('T')).toMatchObject({ content: { text: 'second' }, afterlife: { editedAt: NOW + 2_000 } })
    await commit(said('E0', edit('zeroth'), { timestamp: NOW + 500 }))
    expect(at('T').content).toEqual({ type: 'text', text: 'second' })
  })

  test('survives a restart', async () => {
    await commit(said('D', remove()))
    await storage.close()
    storage = rig.open()
    await commit(said('T', text('hi')))
    expect(at('T').afterlife.deletedAt).toBe(NOW)
  })
})

describe('edits', () => {
  test('count only from the author', async () => {
    await commit(
      said('T', text('hi'), { chat: GROUP, sender: ada }),
      own('MINE', text('mine'), { status: 'sent', chat: GROUP }),
    )
    await commit(
      said('E1', edit('forged'), { chat: GROUP, sender: bob }),
      said('E2', edit('forged', 'MINE'), { chat: GROUP, sender: bob }),
      own('E3', edit('forged'), { chat: GROUP, status: 'sent' }),
    )
    expect(at('T').content).toEqual({ type: 'text', text: 'hi' })
    expect(at('MINE')).toMatchObject({ content: { text: 'mine' }, afterlife: { editedAt: null } })
    await commit(said('E4', edit('true'), { chat: GROUP, sender: ada }))
    expect(at('T').content).toEqual({ type: 'text', text: 'true' })
  })

  test('of our own: encoded words that are untrue are sent no more', async () => {
    await commit(own('T', text('hi'), { status: 'sent' }), own('E', edit('ho')))
    expect(storage.messages.raw(SESSION, 'T')).not.toBeNull()
    await commit(status('E', 'sent'))
    expect(at('T')).toMatchObject({ content: { type: 'text', text: 'ho' }, raw: null })
    expect(storage.messages.raw(SESSION, 'T')).toBeNull()
    expect(storage.messages.raw(SESSION, 'E')).toEqual(makeMessage('E').raw)
  })

  test('are put into the encoded form when somebody can', async () => {
    await storage.close()
    storage = rig.open({ reword: (_, words) => new Uint8Array(Buffer.from(`reworded ${words}`)) })
    await commit(own('T', text('hi'), { status: 'sent' }), own('E', edit('ho')), status('E', 'sent'))
    const raw = new Uint8Array(Buffer.from('reworded ho'))
    expect(storage.messages.raw(SESSION, 'T')).toEqual(raw)
    expect(at('T').raw).toEqual(raw)
  })

  test('of a caption keep the file, whose keys stand in the encoded form', async () => {
    const media = { mimetype: 'image/png', size: 3 }
    await commit(said('T', { type: 'image', caption: 'old', media }))
    await commit(said('E', edit('new')))
    expect(at('T')).toMatchObject({ content: { type: 'image', caption: 'new', media } })
    expect(at('T').raw).toEqual(makeMessage('T').raw)
    expect(storage.messages.raw(SESSION, 'T')).toBeNull()
  })

  test('do nothing to what has no words', async () => {
    await commit(said('T', { type: 'location', latitude: 1, longitude: 2 }))
    await commit(said('E', edit('new')))
    expect(at('T')).toMatchObject({ content: { latitude: 1 }, afterlife: { editedAt: null } })
  })

  test('the card of the old link goes', async () => {
    const linkPreview = { url: 'https://a.example', title: 'A' }
    await commit(said('T', { type: 'text', text: 'https://a.example', linkPreview }))
    expect(at('T').content).toEqual({ type: 'text', text: 'https://a.example', linkPreview })
    await commit(said('E', edit('no link')))
    expect(at('T').content).toEqual({ type: 'text', text: 'no link' })
  })
})

describe('deletions', () => {
  test('take content, quote and encoded form, for good', async () => {
    await commit(
      said('T', text('secret'), { mentions: ['1@lid'], quoted: { messageId: 'Q', from: null, text: 'q' } }),
      said('E', edit('secret too')),
      said('R', reaction('👍')),
    )
    await commit(said('D', remove()))
    expect(at('T')).toMatchObject({
      content: { type: 'text', text: '' },
      raw: null,
      mentions: [],
      quoted: null,
      senderName: 'Ada',
      afterlife: { deletedAt: NOW, editedAt: null, reactions: [] },
    })
    expect(storage.messages.raw(SESSION, 'T')).toBeNull()
    // The words of its edits were its own.
    expect(at('E')).toMatchObject({ content: { type: 'edit', text: '', targetMessageId: 'T' }, raw: null })
    await commit(said('E2', edit('back again'), { timestamp: NOW + 9_000 }))
    expect(at('T').content).toEqual({ type: 'text', text: '' })
    expect(at('E2').content).toMatchObject({ text: '' })
  })

  test('by somebody else count in a group, where an admin may, and nowhere else', async () => {
    await commit(
      said('G', text('hi'), { chat: GROUP, sender: ada }),
      said('P', text('hi')),
      own('O', text('mine'), { status: 'sent' }),
    )
    await commit(
      said('D1', remove('G'), { chat: GROUP, sender: bob }),
      own('D2', remove('P'), { status: 'sent' }),
      said('D3', remove('O')),
    )
    expect([at('G'), at('P'), at('O')].map((one) => one.afterlife.deletedAt)).toEqual([NOW, null, null])
  })

  test('take the kept file along', async () => {
    await commit(said('T', { type: 'image', media: { mimetype: 'image/png', size: 3 } }))
    const file = await storage.media.keep(
      (async function* () {
        yield new Uint8Array([1, 2, 3])
      })(),
      {
        tenantId: makeEvent('message.sent').tenantId,
        sessionId: SESSION,
        messageId: asMessageId('T'),
        mimetype: 'image/png',
        filename: null,
        maxBytes: 10,
        expiresAt: null,
      },
    )
    expect(storage.media.ofMessage(SESSION, asMessageId('T'))?.id).toBe(file.id)
    await commit(said('D', remove()))
    expect(storage.media.ofMessage(SESSION, asMessageId('T'))).toBeNull()
    expect(storage.media.get(file.id)).toBeNull()
  })
})

describe('pins and votes', () => {
  test('a pin lasts as long as it says, the latest in the chat counts', async () => {
    await commit(said('T', text('hi'), { chat: GROUP, sender: ada }))
    await commit(said('P1', pin(true, 86_400), { chat: GROUP, sender: ada }))
    expect(at('T').afterlife.pinnedUntil).toBe(NOW + 86_400_000)
    await commit(said('P2', pin(false), { chat: GROUP, sender: bob, timestamp: NOW + 1_000 }))
    expect(at('T').afterlife.pinnedUntil).toBeNull()
    await commit(said('P3', pin(true), { chat: GROUP, sender: ada, timestamp: NOW + 2_000 }))
    expect(at('T').afterlife.pinnedUntil).toBe(NOW + 2_000 + 7 * 86_400_000)
  })

  test('a pin that has ended is none', async () => {
    await commit(said('T', text('hi')), said('P', pin(true, 60), { timestamp: NOW - 61_000 }))
    expect(at('T').afterlife.pinnedUntil).toBeNull()
  })

  test('an answer replaces the same person’s, and counts for events only', async () => {
    const event = { type: 'event', name: 'n', startsAt: '2030-01-01T00:00:00Z' } as const
    const answer = (response: 'going' | 'maybe', more: object = {}): Content => ({
      type: 'rsvp',
      targetMessageId: 'T',
      response,
      ...more,
    })
    await commit(
      said('T', event, { chat: GROUP, sender: ada }),
      said('X', { type: 'text', text: 'no event' }, { chat: GROUP, sender: ada }),
      said('R1', answer('going', { extraGuests: 1 }), { chat: GROUP, sender: ada }),
      said('R2', answer('maybe'), { chat: GROUP, sender: ada, timestamp: NOW + 1_000 }),
      said('R3', answer('going'), { chat: GROUP, sender: ada, timestamp: NOW - 1_000 }),
      own('R4', answer('going', { extraGuests: 3 }), { chat: GROUP, status: 'sent', timestamp: NOW + 2_000 }),
      said('R5', { type: 'rsvp', targetMessageId: 'X', response: 'going' }, { chat: GROUP, sender: ada }),
    )
    expect(at('T').afterlife.responses).toEqual([
      { response: 'maybe', extraGuests: 0, from: ada, at: NOW + 1_000 },
      { response: 'going', extraGuests: 3, from: 'me', at: NOW + 2_000 },
    ])
    expect(at('X').afterlife.responses).toEqual([])
  })

  test('a vote replaces the same person’s, and counts in polls only', async () => {
    await commit(
      said('T', poll, { chat: GROUP, sender: ada }),
      said('X', text('no poll'), { chat: GROUP, sender: ada }),
    )
    await commit(
      said('V1', vote('now'), { chat: GROUP, sender: ada }),
      said('V2', vote('now', 'later'), { chat: GROUP, sender: bob }),
      said('V3', vote('later'), { chat: GROUP, sender: ada, timestamp: NOW + 1_000 }),
      said('V4', { type: 'vote', targetMessageId: 'X', options: ['now'] }, { chat: GROUP, sender: ada }),
      own('V5', vote('now'), { chat: GROUP, status: 'sent', timestamp: NOW + 2_000 }),
    )
    expect(at('T').afterlife.votes).toEqual([
      { options: ['now', 'later'], from: bob, at: NOW },
      { options: ['later'], from: ada, at: NOW + 1_000 },
      { options: ['now'], from: 'me', at: NOW + 2_000 },
    ])
    expect(at('X').afterlife.votes).toEqual([])
    await commit(said('V6', vote(), { chat: GROUP, sender: bob, timestamp: NOW + 3_000 }))
    expect(at('T').afterlife.votes).toHaveLength(2)
  })
})

describe('two addresses of one person', () => {
  const learn: Fact = {
    change: { kind: 'identity', sessionId: SESSION, lid: LID, phoneNumber: PHONE },
    events: [],
  }
  const phone = phoneJid(PHONE)
  const known: Party = { lid: LID, phoneNumber: PHONE }

  test('what came under the other address is applied when they are known to be one', async () => {
    await commit(said('T', text('hi'), { chat: phone, sender: { lid: null, phoneNumber: PHONE } }))
    await commit(said('R', reaction('👍')), said('E', edit('ho')))
    expect(at('T')).toMatchObject({ content: { text: 'hi' }, afterlife: { reactions: [] } })
    await commit(learn)
    expect(at('T')).toMatchObject({
      content: { text: 'ho' },
      sender: known,
      afterlife: { reactions: [{ emoji: '👍', from: known }] },
    })
  })

  test('reactions of both are those of one person', async () => {
    await commit(
      said('T', text('hi'), { chat: GROUP, sender: bob }),
      said('R1', reaction('👍'), { chat: GROUP, sender: { lid: null, phoneNumber: PHONE } }),
      said('R2', reaction('🎉'), { chat: GROUP, sender: ada, timestamp: NOW + 1_000 }),
    )
    expect(at('T').afterlife.reactions).toHaveLength(2)
    await commit(learn)
    expect(at('T').afterlife.reactions).toEqual([{ emoji: '🎉', from: known, at: NOW + 1_000 }])
  })

  test('a message whose sender joins its own chat is there', async () => {
    await commit(said('A', text('a'), { chat: phone, sender: { lid: null, phoneNumber: PHONE } }))
    await commit(said('B', text('b'), { chat: LID, sender: ada }))
    await commit(said('C', text('c'), { chat: phone, sender: known }))
    for (const id of ['A', 'B', 'C']) expect(at(id)).toMatchObject({ chat: LID, sender: known })
    expect(storage.messages.list({ sessionId: SESSION, limit: 9, offset: 0, from: PHONE }).total).toBe(3)
  })
})

describe('with the history off', () => {
  const unkept = (fact: Fact): Fact =>
    fact.change.kind === 'message' ? { ...fact, change: { ...fact.change, keepContent: false } } : fact

  test('actions are applied and what they say is kept nowhere', async () => {
    await commit(said('T', text('kept before')), said('P', poll))
    await commit(
      unkept(said('R', reaction('👍'))),
      unkept(said('E', edit('hidden'))),
      unkept(own('X', pin(true))),
    )
    expect(at('T')).toMatchObject({
      content: { type: 'text', text: '' },
      afterlife: { editedAt: NOW, reactions: [] },
    })
    expect(at('X').content).toMatchObject({ targetMessageId: '' })
    await commit(status('X', 'sent'))
    expect(at('T').afterlife.pinnedUntil).toBe(NOW + 7 * 86_400_000)
    await commit(unkept(said('D', remove())))
    expect(at('T').afterlife.deletedAt).toBe(NOW)
  })

  test('a deletion waits for its target all the same', async () => {
    await commit(unkept(said('D', remove())))
    await commit(said('T', text('hi')))
    expect(at('T')).toMatchObject({ content: { text: '' }, afterlife: { deletedAt: NOW } })
  })
})

describe('lists', () => {
  const list = (filter: object = {}) =>
    storage.messages.list({ sessionId: SESSION, limit: 50, offset: 0, ...filter })

  test('hold actions only when their type is named, and the afterlife of each message', async () => {
    await commit(
      said('A', text('a')),
      said('B', text('b'), { timestamp: NOW - 1 }),
      said('R', reaction('👍', 'A')),
      said('E', edit('bb', 'B')),
    )
    expect(list().messages.map(({ id }) => String(id))).toEqual(['A', 'B'])
    expect(list().total).toBe(2)
    expect(list({ type: 'reaction' })).toMatchObject({ total: 1, messages: [{ id: 'R' }] })
    expect(list({ start: NOW - 1, end: NOW }).total).toBe(2)
    expect(list({ chat: LID }).total).toBe(2)
    const [a, b] = list().messages
    expect(a?.afterlife).toMatchObject({ reactions: [{ emoji: '👍' }], editedAt: null })
    expect(b?.afterlife).toMatchObject({ reactions: [], editedAt: NOW })
  })

  test('a page loads what belongs to all its messages with one question', async () => {
    const facts = Array.from({ length: 40 }, (_, n) => [
      said(`M${n}`, text(`m${n}`)),
      said(`R${n}`, reaction('👍', `M${n}`)),
    ])
    await commit(...facts.flat())
    const asked: string[] = []
    const real = Database.prototype.query
    Database.prototype.query = function (this: Database, sql: string) {
      asked.push(sql)
      return real.call(this, sql)
    } as typeof real
    try {
      const { messages } = list({ limit: 40 })
      expect(messages.every(({ afterlife }) => afterlife.reactions.length === 1)).toBe(true)
      expect(asked.filter((sql) => sql.includes('FROM acts'))).toHaveLength(1)
    } finally {
      Database.prototype.query = real
    }
  })

  test('stars are news once, and are listed', async () => {
    await commit(said('A', text('a')), said('B', text('b')))
    const star = (messageId: string, starred: boolean): Fact => ({
      change: {
        kind: 'message_starred',
        sessionId: SESSION,
        messageId: asMessageId(messageId),
        fromMe: false,
        starred,
      },
      events: [makeEvent('message.starred', { messageId, starred })],
    })
    expect((await commit(star('A', true), star('A', true), star('B', false), star('X', true))).news).toEqual([
      true,
      false,
      false,
      false,
    ])
    expect(list({ starred: true })).toMatchObject({
      total: 1,
      messages: [{ id: 'A', afterlife: { starred: true } }],
    })
    expect(list({ starred: false })).toMatchObject({ total: 1, messages: [{ id: 'B' }] })
    expect((await commit(star('A', false))).news).toEqual([true])
    expect(list({ starred: true }).total).toBe(0)
  })
})
