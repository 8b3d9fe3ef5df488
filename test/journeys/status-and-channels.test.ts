/** Posts: of a status, to exactly those who may see it, and in channels; both ways, with their files and what is done to them. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { film } from '../media/films'
import { jpeg } from '../media/pictures'
import { loudThenSilent, opus, tone } from '../media/sounds'
import { eventually, type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111501'
const ADA = '4915122222501'
const BOB = '4915133333501'
const STATUS = 'status@broadcast'

const picture = await jpeg(120, 90)
const movie = film({ seconds: 3 })
const voice = await opus([tone(48_000, 2, loudThenSilent)])
const base64 = (bytes: Buffer) => bytes.toString('base64')

let talk: Talk
beforeAll(async () => {
  talk = await startTalk(OURS, { [ADA]: 'Ada', [BOB]: 'Bob' })
})
afterAll(() => talk?.stop())

const post = (content: Fields, audience: string[], more: Fields = {}) =>
  talk.send('status', null, { content, audience, ...more })
/** A post that both see shows that what came before it has come. */
const isNotAt = async (number: string, id: string) => {
  const last = await post({ type: 'text', text: 'for all' }, [ADA, BOB])
  await talk.shownAt(number, last.messageId)
  return (await talk.app.call('GET', `/sandbox/phones/${number}/messages/${id}`)).status === 404
}

type Post = { name: string; ask: Fields; said: Fields; shown: Fields; file?: Buffer }
const POSTS: Post[] = [
  {
    name: 'text with colour and font',
    ask: { type: 'text', text: 'sunny', backgroundColor: '#ffcc00', font: 2 },
    said: { type: 'text', text: 'sunny', backgroundColor: '#ffcc00', font: 2 },
    shown: { type: 'text', text: 'sunny', backgroundColor: '#ffcc00', font: 2 },
  },
  {
    name: 'image',
    ask: { type: 'image', imageBase64: base64(picture), caption: 'sun' },
    said: { type: 'image', base64: base64(picture), caption: 'sun', mimetype: 'image/jpeg' },
    shown: { type: 'image', caption: 'sun' },
    file: picture,
  },
  {
    name: 'video',
    ask: { type: 'video', videoBase64: base64(movie), caption: 'waves' },
    said: { type: 'video', base64: base64(movie), caption: 'waves', mimetype: 'video/mp4' },
    shown: { type: 'video', caption: 'waves' },
    file: movie,
  },
  {
    name: 'voice note',
    ask: { type: 'audio', audioBase64: base64(voice), ptt: true },
    said: { type: 'audio', base64: base64(voice), ptt: true, mimetype: 'audio/ogg; codecs=opus' },
    shown: { type: 'audio', ptt: true },
    file: voice,
  },
]

describe('a status post of ours', () => {
  test.each(POSTS)('$name: reaches its audience and nobody else', async ({ ask, shown, file }) => {
    const { messageId, to, status } = await post(ask, [ADA])
    expect({ to, status }).toEqual({ to: STATUS, status: 'sent' })
    const got = await talk.shownAt(ADA, messageId)
    expect(got).toMatchObject({ chat: STATUS, from: `${OURS}@s.whatsapp.net`, content: shown })
    expect(await talk.shownAt(OURS, messageId)).toMatchObject({ chat: STATUS, fromMe: true, content: shown })
    expect(await isNotAt(BOB, messageId)).toBe(true)
    expect(await talk.viewOf(messageId)).toMatchObject({
      ...shown,
      from: 'me',
      chat: STATUS,
      audience: [ADA],
      viaApi: true,
    })
    if (file) expect((await talk.fileAt(ADA, messageId)).equals(file)).toBe(true)
  })

  test('is read, and each reader is told', async () => {
    const { messageId } = await post({ type: 'text', text: 'look' }, [ADA, BOB])
    await talk.shownAt(BOB, messageId)
    await talk.app.ok('POST', `/sandbox/phones/${BOB}/read`, { body: { messageId } })
    expect(await talk.viewOf(messageId, ({ status }) => status === 'read')).toMatchObject({ status: 'read' })
    expect(await talk.eventOf(messageId, 'message.read')).toMatchObject({ chat: STATUS })
  })

  test('is taken back for its audience alone', async () => {
    const { messageId } = await post({ type: 'text', text: 'oops' }, [ADA])
    await talk.shownAt(ADA, messageId)
    const gone = await talk.send('delete', null, { targetMessageId: messageId })
    await talk.shownAt(ADA, messageId, ({ deleted }) => deleted)
    expect(await isNotAt(BOB, gone.messageId)).toBe(true)
    expect(await talk.viewOf(messageId)).toMatchObject({ deletedAt: expect.any(String) })
  })

  test('needs an audience, of people, and something that can be posted', async () => {
    const refusals: [Fields, string][] = [
      [{ content: { type: 'text', text: 'x' } }, 'VALIDATION_ERROR'],
      [{ content: { type: 'text', text: 'x' }, audience: [] }, 'VALIDATION_ERROR'],
      [
        { content: { type: 'text', text: 'x' }, audience: ['120363000000000001@g.us'] },
        'INVALID_PHONE_NUMBER',
      ],
      [
        { content: { type: 'poll', question: 'x', options: ['a', 'b'] }, audience: [ADA] },
        'VALIDATION_ERROR',
      ],
      [{ content: { type: 'text', text: 'x', mood: 'good' }, audience: [ADA] }, 'VALIDATION_ERROR'],
    ]
    for (const [fields, code] of refusals) {
      expect(await talk.trySend('status', null, fields)).toMatchObject({ status: 400, body: { code } })
    }
    const union = await talk.app.call('POST', '/api/messages/send', {
      body: { sessionId: talk.session, to: STATUS, content: { type: 'text', text: 'x' } },
    })
    expect(union).toMatchObject({ status: 400, body: { code: 'VALIDATION_ERROR' } })
    const typed = await talk.trySend('text', STATUS, { text: 'x' })
    expect(typed).toMatchObject({ status: 400, body: { code: 'VALIDATION_ERROR' } })
    const elsewhere = await talk.app.call('POST', '/api/messages/send', {
      body: { sessionId: talk.session, to: ADA, content: { type: 'text', text: 'x' }, audience: [ADA] },
    })
    expect(elsewhere).toMatchObject({ status: 400, body: { code: 'VALIDATION_ERROR' } })
  })

  test('a reaction and an answer to it come to us', async () => {
    const { messageId } = await post({ type: 'text', text: 'nice?' }, [ADA])
    await talk.shownAt(ADA, messageId)
    const answer = await talk.say(ADA, OURS, { type: 'text', text: 'very', quotedMessageId: messageId })
    expect(await talk.viewOf(answer)).toMatchObject({
      chat: ADA,
      text: 'very',
      quoted: { messageId, from: 'me', text: 'nice?' },
    })
  })

  test('one that our own phone has made is ours', async () => {
    const id = await talk.say(OURS, STATUS, { type: 'text', text: 'from the phone' }, [ADA])
    expect(await talk.viewOf(id)).toMatchObject({
      text: 'from the phone',
      from: 'me',
      chat: STATUS,
      viaApi: false,
    })
    expect(await talk.eventOf(id)).toMatchObject({ event: 'message.sent', fromMe: true, viaApi: false })
  })
})

describe('a status post of somebody else', () => {
  test.each(POSTS)('$name', async ({ said, shown, file }) => {
    const id = await talk.say(ADA, STATUS, said, [OURS])
    const wanted = { ...shown, from: ADA, chat: STATUS }
    expect(await talk.viewOf(id)).toMatchObject({ ...wanted, status: 'received', senderName: 'Ada' })
    expect(await talk.eventOf(id)).toMatchObject({ event: 'status.received', ...wanted, phoneNumber: ADA })
    const events = (await talk.told()).filter(({ messageId }) => messageId === id)
    expect(events.map(({ event }) => event)).toEqual(['status.received'])
    const page = await talk.app.ok<{ messages: { id: string }[] }>(
      'GET',
      `/api/messages/history/${talk.session}?chat=${encodeURIComponent(STATUS)}&limit=100`,
    )
    expect(page.messages.map((one) => one.id)).toContain(id)
    if (!file) return
    const answer = await talk.fileOf(id)
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(file)).toBe(true)
  })

  test('one that is for others does not come', async () => {
    const id = await talk.say(ADA, STATUS, { type: 'text', text: 'not for you' }, [BOB])
    const after = await talk.say(ADA, STATUS, { type: 'text', text: 'for you' }, [OURS])
    await talk.viewOf(after)
    expect((await talk.app.call('GET', `/api/messages/${talk.session}/${id}`)).status).toBe(404)
  })

  test('is taken back', async () => {
    const id = await talk.say(ADA, STATUS, { type: 'text', text: 'a slip' }, [OURS])
    await talk.viewOf(id)
    await talk.say(ADA, STATUS, { type: 'delete', targetMessageId: id }, [OURS])
    const view = await talk.viewOf(id, ({ deletedAt }) => deletedAt !== undefined)
    expect(JSON.stringify(view)).not.toContain('a slip')
  })

  test('our reaction reaches its author alone', async () => {
    const id = await talk.say(ADA, STATUS, { type: 'text', text: 'sunny' }, [OURS, BOB])
    await talk.viewOf(id)
    await talk.shownAt(BOB, id)
    const { messageId } = await talk.send('reaction', null, { targetMessageId: id, emoji: '💚' })
    const shown = await talk.shownAt(ADA, id, ({ reactions }) => reactions.length > 0)
    expect(shown.reactions).toEqual([expect.objectContaining({ emoji: '💚', messageId })])
    expect(await isNotAt(BOB, messageId)).toBe(true)
    expect((await talk.viewOf(id)).reactions).toEqual([
      { emoji: '💚', from: 'me', timestamp: expect.any(String) },
    ])
  })

  test('our answer goes to its author, and shows what it answers', async () => {
    const id = await talk.say(ADA, STATUS, { type: 'image', base64: base64(picture), caption: 'sea' }, [OURS])
    await talk.viewOf(id)
    const { messageId } = await talk.send('text', ADA, { text: 'where?', quotedMessageId: id })
    expect((await talk.shownAt(ADA, messageId)).content).toMatchObject({
      text: 'where?',
      quotedMessageId: id,
      quoted: { type: 'image', text: 'sea' },
    })
  })

  test('can be marked as read, and its author sees that', async () => {
    const id = await talk.say(ADA, STATUS, { type: 'text', text: 'seen?' }, [OURS])
    await talk.viewOf(id)
    await talk.app.ok('POST', '/api/messages/send/read', {
      body: { sessionId: talk.session, messageIds: [id] },
    })
    await eventually('a receipt of ours', async () => {
      const { messages } = await talk.app.ok<{ messages: { id: string; receipts: Fields }[] }>(
        'GET',
        `/sandbox/phones/${ADA}/sent`,
      )
      const found = messages.find((one) => one.id === id)
      return found && Object.values(found.receipts).includes('read') ? found : null
    })
  })
})

describe('a channel', () => {
  const makeChannel = async (owner: string, follower: string): Promise<string> => {
    const { channel } = await talk.app.ok<{ channel: { jid: string } }>('POST', '/sandbox/channels', {
      body: { owner, name: 'News', description: 'of the day' },
    })
    await talk.app.ok('POST', `/sandbox/channels/${channel.jid}/followers`, {
      body: { phoneNumber: follower },
    })
    return channel.jid
  }
  let ours: string
  let adas: string
  beforeAll(async () => {
    ours = await makeChannel(OURS, ADA)
    adas = await makeChannel(ADA, OURS)
  })

  const OUT: Post[] = [
    {
      name: 'text',
      ask: { type: 'text', text: 'extra' },
      said: { type: 'text', text: 'extra' },
      shown: { type: 'text', text: 'extra' },
    },
    ...POSTS.filter(({ name }) => name === 'image' || name === 'video'),
    {
      name: 'poll',
      ask: { type: 'poll', question: 'Q?', options: ['a', 'b'], selectable: 1 },
      said: { type: 'poll', question: 'Q?', options: ['a', 'b'], selectable: 1 },
      shown: { type: 'poll', question: 'Q?', options: ['a', 'b'] },
    },
  ]

  test.each(OUT)('$name posted by us', async ({ ask, shown, file }) => {
    const { type, ...fields } = ask
    const { messageId, to } = await talk.send(String(type), ours, fields)
    expect(to).toBe(ours)
    expect(await talk.shownAt(ADA, messageId)).toMatchObject({ chat: ours, content: shown })
    expect(await talk.viewOf(messageId)).toMatchObject({ ...shown, from: 'me', chat: ours, status: 'sent' })
    if (!file) return
    expect((await talk.fileAt(ADA, messageId)).equals(file)).toBe(true)
    const kept = await talk.fileOf(messageId)
    expect(kept.status).toBe(200)
    expect(Buffer.from(await kept.arrayBuffer()).equals(file)).toBe(true)
  })

  test.each(OUT)('$name posted by others', async ({ said, shown, file }) => {
    const id = await talk.say(ADA, adas, said)
    expect(await talk.viewOf(id)).toMatchObject({ ...shown, chat: adas, to: 'me', status: 'received' })
    expect(await talk.eventOf(id)).toMatchObject({ event: 'message.received', ...shown, chat: adas })
    if (!file) return
    const answer = await talk.fileOf(id)
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(file)).toBe(true)
  })

  test('our post: new words and taking it back', async () => {
    const { messageId } = await talk.send('text', ours, { text: 'befor' })
    await talk.shownAt(ADA, messageId)
    await talk.send('edit', null, { targetMessageId: messageId, text: 'before' })
    const shown = await talk.shownAt(ADA, messageId, ({ edited }) => edited)
    expect(shown.content.text).toBe('before')
    expect(await talk.viewOf(messageId)).toMatchObject({ text: 'before', editedAt: expect.any(String) })
    await talk.send('delete', null, { targetMessageId: messageId })
    await talk.shownAt(ADA, messageId, ({ deleted }) => deleted)
    expect(await talk.viewOf(messageId)).toMatchObject({ deletedAt: expect.any(String) })
  })

  test('their post: our reaction, its end, their new words, their taking it back', async () => {
    const id = await talk.say(ADA, adas, { type: 'text', text: 'theirs' })
    await talk.viewOf(id)
    const reactionsOf = async () => {
      const { posts } = await talk.app.ok<{ posts: { id: string; reactions: Fields }[] }>(
        'GET',
        `/sandbox/channels/${adas}`,
      )
      return posts.find((one) => one.id === id)?.reactions
    }
    await talk.send('reaction', null, { targetMessageId: id, emoji: '👏' })
    expect(await reactionsOf()).toEqual({ '👏': 1 })
    await talk.send('reaction', null, { targetMessageId: id, emoji: '' })
    expect(await reactionsOf()).toEqual({})
    await talk.say(ADA, adas, { type: 'edit', targetMessageId: id, text: 'theirs, better' })
    await talk.viewOf(id, ({ text }) => text === 'theirs, better')
    await talk.say(ADA, adas, { type: 'delete', targetMessageId: id })
    await talk.viewOf(id, ({ deletedAt }) => deletedAt !== undefined)
  })

  test('a post is sent on with its file', async () => {
    const id = await talk.say(ADA, adas, { type: 'image', base64: base64(picture), mimetype: 'image/jpeg' })
    await talk.viewOf(id)
    const { messageId } = await talk.send('forward', BOB, { messageId: id })
    expect((await talk.shownAt(BOB, messageId)).content).toMatchObject({ type: 'image', forwardingScore: 1 })
    expect((await talk.fileAt(BOB, messageId)).equals(picture)).toBe(true)
  })

  test('a message is sent on into it with its file', async () => {
    const id = await talk.say(ADA, OURS, { type: 'image', base64: base64(picture), mimetype: 'image/jpeg' })
    await talk.viewOf(id)
    const { status, body } = await talk.trySend('forward', ours, { messageId: id })
    expect(status).toBeLessThan(300)
    const messageId = String(body.messageId)
    await talk.shownAt(ADA, messageId)
    expect((await talk.fileAt(ADA, messageId)).equals(picture)).toBe(true)
  })

  test('we cannot post where we only follow', async () => {
    const refused = await talk.trySend('text', adas, { text: 'me too' })
    expect(refused).toMatchObject({ status: 502, body: { code: 'MESSAGE_REJECTED' } })
  })
})
