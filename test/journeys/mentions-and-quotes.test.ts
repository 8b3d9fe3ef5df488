/** Who is named, what is answered and how long it stays: the same on both sides, in chats of two and in groups. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { KINDS } from './every-type'
import { type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111401'
const ADA = '4915122222401'
const BOB = '4915133333401'

let talk: Talk
let group: string

beforeAll(async () => {
  talk = await startTalk(OURS, { [ADA]: 'Ada', [BOB]: 'Bob' })
  const made = await talk.app.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
    body: { owner: ADA, subject: 'All', members: [OURS, BOB] },
  })
  group = made.group.jid
})
afterAll(() => talk?.stop())

const CHATS = ['person', 'group'] as const
type Chat = (typeof CHATS)[number]
const to = (chat: Chat) => (chat === 'person' ? ADA : group)
const from = (chat: Chat) => (chat === 'person' ? OURS : group)
const own = (chat: Chat): Promise<string> =>
  talk.send('text', to(chat), { text: 'our words' }).then(({ messageId }) => messageId)

describe('people who are named', () => {
  test.each([...CHATS])('reach a %s, and stand in the view, the event and the history', async (chat) => {
    const { messageId } = await talk.send('text', to(chat), { text: `@${ADA} @${BOB}`, mentions: [ADA, BOB] })
    const { content } = await talk.shownAt(ADA, messageId)
    expect(await numbersOf(content.mentions)).toEqual([ADA, BOB])
    expect((await talk.viewOf(messageId)).mentions).toEqual([ADA, BOB])
    expect((await talk.eventOf(messageId, 'message.queued')).mentions).toEqual([ADA, BOB])
  })

  test.each([...CHATS])('by a phone in a chat with a %s', async (chat) => {
    const id = await talk.say(ADA, from(chat), { type: 'text', text: '@you @Bob', mentions: [OURS, BOB] })
    expect((await talk.viewOf(id)).mentions).toEqual([OURS, BOB])
    expect((await talk.eventOf(id)).mentions).toEqual([OURS, BOB])
  })

  test('in words below a picture, in new words, and in a group by the address that has no number', async () => {
    const picture = (await talk.send('image', group, {
      imageBase64: PIXEL,
      caption: `@${BOB}`,
      mentions: [BOB],
    })) as { messageId: string }
    expect(await numbersOf((await talk.shownAt(BOB, picture.messageId)).content.mentions)).toEqual([BOB])
    const { messageId } = await talk.send('edit', null, {
      targetMessageId: picture.messageId,
      text: `@${ADA}`,
      mentions: [ADA],
    })
    expect((await talk.viewOf(messageId)).mentions).toEqual([ADA])
    const { lid } = await talk.app.ok<{ lid: string }>('GET', `/sandbox/phones`).then((all) => {
      const { phones } = all as unknown as { phones: { phoneNumber: string; lid: string }[] }
      return phones.find(({ phoneNumber }) => phoneNumber === BOB) ?? { lid: '' }
    })
    const byLid = await talk.send('text', group, { text: '@', mentions: [lid] })
    expect(await numbersOf((await talk.shownAt(BOB, byLid.messageId)).content.mentions)).toEqual([BOB])
  })

  test('everybody in a group, and nowhere else', async () => {
    const { messageId } = await talk.send('text', group, { text: '@all', mentionsAll: true })
    expect((await talk.shownAt(BOB, messageId)).content).toMatchObject({ text: '@all', mentionsAll: true })
    expect(await talk.viewOf(messageId)).toMatchObject({ mentionsAll: true })
    expect(await talk.eventOf(messageId)).toMatchObject({ mentionsAll: true })
    const refused = await talk.trySend('text', ADA, { text: '@all', mentionsAll: true })
    expect(refused).toMatchObject({
      status: 400,
      body: { code: 'VALIDATION_ERROR', details: { fields: [{ path: '/mentionsAll' }] } },
    })
  })

  test('whose number WhatsApp has not told yet: by their id, and by the number once it is known', async () => {
    const eve = '4915144444401'
    await talk.app.phone(eve, 'Eve')
    const { group: other } = await talk.app.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
      body: { owner: ADA, subject: 'Strangers', members: [OURS, eve] },
    })
    const id = await talk.say(ADA, other.jid, { type: 'text', text: '@Eve', mentions: [eve] })
    const [named] = (await talk.viewOf(id)).mentions as string[]
    expect(named).toEndWith('@lid')
    expect(await numbersOf([named])).toEqual([eve])
    await talk.viewOf(await talk.say(eve, other.jid, { type: 'text', text: 'here' }))
    expect((await talk.viewOf(id)).mentions).toEqual([eve])
  })

  test('must be people', async () => {
    const refused = await talk.trySend('text', group, { text: '@x', mentions: ['hello'] })
    expect(refused).toMatchObject({ status: 400, body: { code: 'INVALID_PHONE_NUMBER' } })
    expect(JSON.stringify(refused.body)).toContain('mentions/0')
  })
})

/** Numbers behind addresses of whatever kind, in their order. */
async function numbersOf(addresses: unknown): Promise<string[]> {
  const { phones } = await talk.app.ok<{ phones: { phoneNumber: string; lid: string; jid: string }[] }>(
    'GET',
    '/sandbox/phones',
  )
  return (addresses as string[]).map(
    (address) => phones.find(({ jid, lid }) => [jid, lid].includes(address))?.phoneNumber ?? address,
  )
}

describe.each([...CHATS])('answers in a chat with a %s', (chat) => {
  const QUOTED = KINDS.filter(({ said, target }) => said && target === undefined)

  test.each(QUOTED)('to $name', async (kind) => {
    const id = await talk.say(ADA, from(chat), kind.said?.(''))
    const view = await talk.viewOf(id)
    const { messageId } = await talk.send('text', to(chat), { text: 'an answer', quotedMessageId: id })
    const { content } = await talk.shownAt(ADA, messageId)
    expect(content).toMatchObject({ text: 'an answer', quotedMessageId: id })
    const { from: author, type } = content.quoted as Fields
    expect(await numbersOf([author])).toEqual([ADA])
    expect(type).toBe(kind.type === 'unknown' ? 'unknown' : kind.type)
    const words = view.text ?? view.caption ?? view.question ?? view.title ?? null
    const { quoted } = (await talk.viewOf(messageId)) as { quoted?: Fields }
    expect(quoted).toMatchObject({ messageId: id, from: ADA })
    if (words !== null && kind.type !== 'list') expect(quoted?.text).toBe(words as string)
    // The phone answers in turn: what it quotes is shown with its words.
    const answer = await talk.say(ADA, from(chat), { type: 'text', text: 'back', quotedMessageId: messageId })
    expect((await talk.viewOf(answer)).quoted).toEqual({ messageId, from: 'me', text: 'an answer' })
  })

  test('to our own words', async () => {
    const id = await own(chat)
    const { messageId } = await talk.send('text', to(chat), { text: 'and more', quotedMessageId: id })
    expect((await talk.shownAt(ADA, messageId)).content).toMatchObject({
      quotedMessageId: id,
      quoted: { messageId: id, text: 'our words' },
    })
    expect((await talk.viewOf(messageId)).quoted).toEqual({ messageId: id, from: 'me', text: 'our words' })
  })

  test('with a file, a place and a poll', async () => {
    const id = await talk.say(ADA, from(chat), { type: 'text', text: 'show me' })
    await talk.viewOf(id)
    for (const [type, fields] of [
      ['image', { imageBase64: PIXEL }],
      ['document', { documentBase64: PIXEL, filename: 'a.png', caption: 'here' }],
      ['location', { latitude: 1, longitude: 2 }],
      ['contact', { contact: { fullName: 'Eve' } }],
      ['poll', { question: 'Q?', options: ['a', 'b'] }],
      ['event', { name: 'E', startsAt: '2030-01-02T03:04:05Z' }],
    ] as const) {
      const { messageId } = await talk.send(type, to(chat), { ...fields, quotedMessageId: id })
      expect((await talk.shownAt(ADA, messageId)).content).toMatchObject({ type, quotedMessageId: id })
    }
  })

  test('a message that is not there cannot be answered, and nothing can be answered by an action', async () => {
    const unknown = await talk.trySend('text', to(chat), { text: 'x', quotedMessageId: '3EB0NOTHING' })
    expect(unknown).toMatchObject({ status: 404, body: { code: 'MESSAGE_NOT_FOUND' } })
    const id = await own(chat)
    const forward = await talk.trySend('forward', to(chat), { messageId: id, quotedMessageId: id })
    expect(forward).toMatchObject({ status: 400, body: { code: 'VALIDATION_ERROR' } })
  })

  test('to what was taken back: without its words', async () => {
    const id = await talk.say(ADA, from(chat), { type: 'text', text: 'a secret' })
    await talk.viewOf(id)
    await talk.say(ADA, from(chat), { type: 'delete', targetMessageId: id })
    await talk.viewOf(id, ({ deletedAt }) => deletedAt !== undefined)
    const { status, body } = await talk.trySend('text', to(chat), { text: 'what?', quotedMessageId: id })
    expect(JSON.stringify(body)).not.toContain('a secret')
    if (status < 300) {
      const shown = await talk.shownAt(ADA, String(body.messageId))
      expect(JSON.stringify(shown)).not.toContain('a secret')
    }
  })
})

describe.each([...CHATS])('messages that vanish in a chat with a %s', (chat) => {
  test('say so when asked to, and keep to what the other side has begun', async () => {
    const asked = await talk.send('text', to(chat), { text: 'soon gone', disappearingSeconds: 3600 })
    expect((await talk.shownAt(ADA, asked.messageId)).content.disappearingSeconds).toBe(3600)
    expect((await talk.viewOf(asked.messageId)).disappearingSeconds).toBe(3600)

    const begun = await talk.say(ADA, from(chat), {
      type: 'text',
      text: 'a week',
      disappearingSeconds: 604_800,
    })
    await talk.viewOf(begun)
    const kept = await talk.send('image', to(chat), { imageBase64: PIXEL })
    expect((await talk.shownAt(ADA, kept.messageId)).content.disappearingSeconds).toBe(604_800)

    const ended = await talk.say(ADA, from(chat), { type: 'text', text: 'for ever' })
    await talk.viewOf(ended)
    const plain = await talk.send('text', to(chat), { text: 'stays' })
    expect((await talk.shownAt(ADA, plain.messageId)).content.disappearingSeconds).toBeUndefined()
  })

  if (chat === 'person') {
    test('keep to the setting of the chat as soon as it is changed', async () => {
      const plain = await talk.send('text', to(chat), { text: 'before' })
      expect((await talk.shownAt(ADA, plain.messageId)).content.disappearingSeconds).toBeUndefined()
      await talk.say(ADA, from(chat), { type: 'disappearing', seconds: 86_400 })
      // What was said after it has come, so has the setting.
      const marker = await talk.say(BOB, OURS, { type: 'text', text: 'marker' })
      await talk.viewOf(marker)
      const kept = await talk.send('text', to(chat), { text: 'after' })
      expect((await talk.shownAt(ADA, kept.messageId)).content.disappearingSeconds).toBe(86_400)
      await talk.say(ADA, from(chat), { type: 'disappearing', seconds: 0 })
      await talk.viewOf(await talk.say(BOB, OURS, { type: 'text', text: 'marker' }))
      const stays = await talk.send('text', to(chat), { text: 'stays' })
      expect((await talk.shownAt(ADA, stays.messageId)).content.disappearingSeconds).toBeUndefined()
    })
  }
})

const PIXEL =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
