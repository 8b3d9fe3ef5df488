/** Our own posts of a channel: reactions to them, after a restart too; files that go to people and channels at once. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { jpeg } from '../media/pictures'
import { eventually, startTalk, type Talk } from './talk'

const OURS = '4915111111161'
const ADA = '4915122222261'
let talk: Talk
let channel: string

beforeAll(async () => {
  talk = await startTalk(OURS, { [ADA]: 'Ada' })
  const made = await talk.app.ok<{ channel: { jid: string } }>('POST', '/sandbox/channels', {
    body: { owner: OURS, name: 'Ours' },
  })
  channel = made.channel.jid
  await talk.app.ok('POST', `/sandbox/channels/${channel}/followers`, { body: { phoneNumber: ADA } })
})
afterAll(() => talk?.stop())

const reactionsTo = (id: string, wanted: object) =>
  eventually(`reactions to ${id}`, async () => {
    const { posts } = await talk.app.ok<{ posts: { id: string; reactions: object }[] }>(
      'GET',
      `/sandbox/channels/${channel}`,
    )
    const reactions = posts.find((post) => post.id === id)?.reactions
    return Bun.deepEquals(reactions, wanted) ? reactions : null
  })

test('a post of ours gets a reaction of ours, and loses it', async () => {
  const { messageId } = await talk.send('text', channel, { text: 'news' })
  await talk.send('reaction', null, { targetMessageId: messageId, emoji: '🎉' })
  await reactionsTo(messageId, { '🎉': 1 })
  expect((await talk.viewOf(messageId)).reactions).toEqual([
    { emoji: '🎉', from: 'me', timestamp: expect.any(String) },
  ])
  await talk.send('reaction', null, { targetMessageId: messageId, emoji: '' })
  await reactionsTo(messageId, {})
})

test('a post that our phone made is one of ours as well', async () => {
  const id = await talk.say(OURS, channel, { type: 'text', text: 'from the phone' })
  await talk.viewOf(id)
  await talk.send('reaction', null, { targetMessageId: id, emoji: '👀' })
  await reactionsTo(id, { '👀': 1 })
  await talk.send('edit', null, { targetMessageId: id, text: 'from the API' })
  expect(await talk.shownAt(ADA, id, ({ edited }) => edited)).toMatchObject({
    content: { text: 'from the API' },
  })
  await talk.send('delete', null, { targetMessageId: id })
  await talk.shownAt(ADA, id, ({ deleted }) => deleted)
})

test('one picture for a person and a channel lies at WhatsApp in both ways', async () => {
  const picture = await jpeg(60, 40)
  const image = { type: 'image', imageBase64: picture.toString('base64') }
  const { results } = await talk.app.ok<{ results: { messageId: string }[] }>(
    'POST',
    '/api/messages/send/bulk',
    {
      body: {
        sessionId: talk.session,
        messages: [
          { to: ADA, ...image },
          { to: channel, ...image },
        ],
      },
    },
  )
  for (const { messageId } of results) {
    await talk.shownAt(ADA, messageId)
    expect((await talk.fileAt(ADA, messageId)).equals(picture)).toBe(true)
  }
})
