/** An unmodified Baileys, linked to another person's phone, as the other side: all that it can say, and all that it is told. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  type AnyMessageContent,
  aesEncryptGCM,
  decryptPollVote,
  getAggregateVotesInPollMessage,
  hmacSign,
  jidNormalizedUser,
  type MiscMessageGenerationOptions,
  normalizeMessageContent,
  type proto,
  proto as protobuf,
  sha256,
  type WAMessage,
} from '@whiskeysockets/baileys'
import type { BaileysClient } from '../harness/sandbox'
import { film } from '../media/films'
import { jpeg } from '../media/pictures'
import { ROWS, saidIn } from './said-by-baileys'
import { type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111201'
const BOB = '4915122222201'
const EVE = '4915133333201'

let talk: Talk
let bob: BaileysClient
let group: string

beforeAll(async () => {
  talk = await startTalk(OURS, { [BOB]: 'Bob', [EVE]: 'Eve' })
  const made = await talk.app.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
    body: { owner: BOB, subject: 'All', members: [OURS, EVE] },
  })
  group = made.group.jid
  bob = await talk.link(BOB)
})
afterAll(() => talk?.stop())

const CHATS = ['person', 'group'] as const
type Chat = (typeof CHATS)[number]
/** Where Bob speaks, and what the API calls the chat. */
const theirs = (chat: Chat) => (chat === 'person' ? `${OURS}@s.whatsapp.net` : group)
const ours = (chat: Chat) => (chat === 'person' ? BOB : group)

async function said(
  chat: Chat,
  content: AnyMessageContent,
  options?: MiscMessageGenerationOptions,
): Promise<WAMessage & { id: string }> {
  const message = await bob.sock.sendMessage(theirs(chat), content, options)
  const id = message?.key.id
  if (!message || !id) throw new Error('Baileys has sent nothing')
  return { ...message, id }
}
const heard = (id: string): Promise<WAMessage> => bob.untilMessage(({ key }) => key.id === id)
const partOf = ({ message }: WAMessage): proto.IMessage => normalizeMessageContent(message) ?? {}

/** What a view tells of the answers to a poll or an event; there are none yet. */
const answersIn = ({ votes, responses }: Fields): Fields => ({
  ...(votes === undefined ? {} : { votes }),
  ...(responses === undefined ? {} : { responses: [] }),
})

describe.each([...CHATS])('said by Baileys in a chat with a %s', (chat) => {
  test.each(ROWS)('$name', async ({ content, options, told, file }) => {
    const { id } = await said(chat, { ...content }, options)
    const view = await talk.viewOf(id)
    expect(view).toMatchObject({
      from: BOB,
      to: 'me',
      chat: ours(chat),
      status: 'received',
      senderName: 'Bob',
    })
    expect(saidIn(view)).toEqual({ ...answersIn(view), ...told })
    const event = await talk.eventOf(id, 'message.received')
    expect(event).toMatchObject({
      event: 'message.received',
      from: BOB,
      to: 'me',
      chat: ours(chat),
      contact: { name: 'Bob', profilePicture: null },
      phoneNumber: BOB,
      fromMe: false,
      viaApi: false,
      offline: false,
    })
    const { votes: _, ...untallied } = told
    expect(saidIn(event)).toEqual(untallied)
    if (!file) return
    const answer = await talk.fileOf(id)
    expect(answer.status).toBe(200)
    expect(Buffer.from(await answer.arrayBuffer()).equals(file)).toBe(true)
  })

  test('a text that names people', async () => {
    const { id } = await said(chat, {
      text: `@${OURS} and @${EVE}`,
      mentions: [`${OURS}@s.whatsapp.net`, `${EVE}@s.whatsapp.net`],
    })
    expect((await talk.viewOf(id)).mentions).toEqual([OURS, EVE])
    expect((await talk.eventOf(id)).mentions).toEqual([OURS, EVE])
  })

  test('a text for everybody', async () => {
    const { id } = await said(chat, { text: '@all', mentionAll: true })
    expect(await talk.viewOf(id)).toMatchObject({ text: '@all', mentionsAll: true })
  })

  test('answers to what we said, and to what was said by Bob', async () => {
    const sent = await talk.send('text', ours(chat), { text: 'our words' })
    const { id } = await said(chat, { text: 'an answer' }, { quoted: await heard(sent.messageId) })
    const quoted = { messageId: sent.messageId, from: 'me', text: 'our words' }
    expect(await talk.viewOf(id)).toMatchObject({ text: 'an answer', quoted })
    expect(await talk.eventOf(id)).toMatchObject({ quoted })
    const again = await said(chat, { text: 'to myself' }, { quoted: await heard(id) })
    expect((await talk.viewOf(again.id)).quoted).toEqual({ messageId: id, from: BOB, text: 'an answer' })
  })

  test('what is done to messages', async () => {
    const sent = await talk.send('text', ours(chat), { text: 'ours' })
    const target = await heard(sent.messageId)
    const own = await said(chat, { text: 'theirs' })
    await talk.viewOf(own.id)

    const reaction = await said(chat, { react: { text: '👍', key: target.key } })
    const reacted = await talk.viewOf(sent.messageId, ({ reactions }) => reactions !== undefined)
    expect(reacted.reactions).toEqual([{ emoji: '👍', from: BOB, timestamp: expect.any(String) }])
    expect(await talk.eventOf(reaction.id)).toMatchObject({
      event: 'message.reaction',
      from: BOB,
      emoji: '👍',
      targetMessageId: sent.messageId,
    })
    await said(chat, { react: { text: '', key: target.key } })
    await talk.viewOf(sent.messageId, ({ reactions }) => reactions === undefined)

    const edit = await said(chat, { text: 'theirs, better', edit: own.key })
    await talk.viewOf(own.id, ({ text }) => text === 'theirs, better')
    expect(await talk.eventOf(edit.id)).toMatchObject({
      event: 'message.edited',
      targetMessageId: own.id,
      text: 'theirs, better',
    })

    const pin = await said(chat, { pin: target.key, type: 1, time: 604_800 })
    await talk.viewOf(sent.messageId, ({ pinnedUntil }) => pinnedUntil !== undefined)
    expect(await talk.eventOf(pin.id)).toMatchObject({
      event: 'message.pinned',
      targetMessageId: sent.messageId,
      pinned: true,
      seconds: 604_800,
    })
    await said(chat, { pin: target.key, type: 2 })
    await talk.viewOf(sent.messageId, ({ pinnedUntil }) => pinnedUntil === undefined)

    const forward = await said(chat, { forward: target })
    expect(await talk.viewOf(forward.id)).toMatchObject({
      text: 'ours',
      from: BOB,
      forwarded: true,
      forwardingScore: 1,
    })

    const gone = await said(chat, { delete: own.key })
    const view = await talk.viewOf(own.id, ({ deletedAt }) => deletedAt !== undefined)
    expect(JSON.stringify(view)).not.toContain('theirs')
    expect(await talk.eventOf(gone.id)).toMatchObject({
      event: 'message.deleted',
      targetMessageId: own.id,
    })
  })

  test('the words of a picture are replaced and its file stays', async () => {
    const image = await jpeg(40, 30)
    const own = await said(chat, { image, caption: 'before', jpegThumbnail: '' })
    await talk.viewOf(own.id)
    await said(chat, { text: 'after', edit: own.key })
    const view = await talk.viewOf(own.id, ({ caption }) => caption === 'after')
    expect(view).toMatchObject({ type: 'image', media: { size: image.length } })
    expect(Buffer.from(await (await talk.fileOf(own.id)).arrayBuffer()).equals(image)).toBe(true)
  })

  test('the setting of the chat: our next messages keep to it, and it is no message', async () => {
    const before = (await talk.told()).length
    for (const seconds of [604_800, 0]) {
      await bob.sock.sendMessage(theirs(chat), { disappearingMessagesInChat: seconds })
      // What was said after it has come, so has the setting.
      await talk.viewOf(await talk.say(EVE, OURS, { type: 'text', text: 'marker' }))
      const { messageId } = await talk.send('text', ours(chat), { text: 'in keeping' })
      const { contextInfo } = partOf(await heard(messageId)).extendedTextMessage ?? {}
      expect(contextInfo?.expiration ?? 0).toBe(seconds)
      expect((await talk.viewOf(messageId)).disappearingSeconds ?? 0).toBe(seconds)
    }
    const events = (await talk.told()).slice(before)
    expect(events.filter(({ event, from }) => event === 'message.received' && from === BOB)).toEqual([])
  })

  test.each([{ sharePhoneNumber: true }, { limitSharing: true }] as AnyMessageContent[])(
    '%j is no message',
    async (content) => {
      const { id } = await said(chat, content)
      const after = await said(chat, { text: 'after it' })
      await talk.viewOf(after.id)
      expect((await talk.told()).filter(({ messageId }) => messageId === id)).toEqual([])
      expect((await talk.app.call('GET', `/api/messages/${talk.session}/${id}`)).status).toBe(404)
    },
  )

  test('pictures of an album name it', async () => {
    const album = await said(chat, { album: { expectedImageCount: 1, expectedVideoCount: 1 } })
    const image = await said(chat, {
      image: await jpeg(10, 10),
      jpegThumbnail: '',
      albumParentKey: album.key,
    })
    const video = await said(chat, { video: film({}), jpegThumbnail: '', albumParentKey: album.key })
    for (const { id } of [image, video]) expect((await talk.viewOf(id)).albumId).toBe(album.id)
  })

  test('its poll, our vote: read by its own functions, changed and taken back', async () => {
    const messageSecret = crypto.getRandomValues(new Uint8Array(32))
    const poll = await said(chat, {
      poll: { name: 'Fruit?', values: ['apple', 'pear', 'fig'], selectableCount: 2, messageSecret },
    })
    await talk.viewOf(poll.id)
    for (const options of [['pear'], ['fig', 'apple'], []]) {
      const vote = await talk.send('vote', null, { targetMessageId: poll.id, options })
      const told = await heard(vote.messageId)
      const chosen = votesIn(told, poll.id, messageSecret, theirNames())
      const tally = getAggregateVotesInPollMessage({
        message: poll.message ?? null,
        pollUpdates: [{ pollUpdateMessageKey: told.key, vote: chosen }],
      })
      expect(tally.filter(({ voters }) => voters.length > 0).map(({ name }) => name)).toEqual(
        ['apple', 'pear', 'fig'].filter((option) => options.includes(option)),
      )
      const view = await talk.viewOf(poll.id)
      expect((view.votes as Fields[]).filter(({ count }) => count === 1).map(({ option }) => option)).toEqual(
        ['apple', 'pear', 'fig'].filter((option) => options.includes(option)),
      )
    }
  })
})

describe.each([...CHATS])('the votes of Baileys on our poll in a chat with a %s', (chat) => {
  test.each(['lid', 'pn'] as const)('sealed under %s addresses', async (names) => {
    const options = ['now', 'later', 'never']
    const poll = await talk.send('poll', ours(chat), { question: 'When?', options, selectable: 2 })
    const told = await heard(poll.messageId)
    const messageSecret = told.message?.messageContextInfo?.messageSecret ?? new Uint8Array()
    expect(messageSecret.length).toBe(32)
    for (const chosen of [['later'], ['never', 'now'], []]) {
      const id = await castVote(chat, told, messageSecret, chosen, names)
      expect(await talk.eventOf(id)).toMatchObject({
        event: 'message.poll_vote',
        from: BOB,
        targetMessageId: poll.messageId,
        options: options.filter((option) => chosen.includes(option)),
      })
      expect((await talk.viewOf(poll.messageId)).votes).toEqual(
        options.map((option) =>
          chosen.includes(option) ? { option, count: 1, voters: [BOB] } : { option, count: 0, voters: [] },
        ),
      )
    }
  })

  test('one that was sealed for another poll counts nowhere', async () => {
    const poll = await talk.send('poll', ours(chat), { question: 'Which?', options: ['a', 'b'] })
    const told = await heard(poll.messageId)
    const id = await castVote(chat, told, crypto.getRandomValues(new Uint8Array(32)), ['a'], 'lid')
    // What nobody can open is kept as what it is.
    expect(await talk.viewOf(id)).toMatchObject({ type: 'unknown', kind: 'pollUpdateMessage' })
    expect((await talk.viewOf(poll.messageId)).votes).toEqual([
      { option: 'a', count: 0, voters: [] },
      { option: 'b', count: 0, voters: [] },
    ])
  })
})

/** Baileys opens votes but has no way to cast one: sealed with its own functions, and relayed by it. */
async function castVote(
  chat: Chat,
  poll: WAMessage,
  secret: Uint8Array,
  chosen: readonly string[],
  names: 'lid' | 'pn',
): Promise<string> {
  const { me } = bob.auth.creds
  const key = poll.key
  const ourNames = [key.participant, key.participantAlt, key.remoteJid, key.remoteJidAlt].filter(
    (jid) => typeof jid === 'string' && jid.endsWith(names === 'lid' ? '@lid' : '@s.whatsapp.net'),
  )
  const creator = jidNormalizedUser(ourNames[0] ?? '')
  const voter = jidNormalizedUser((names === 'lid' ? me?.lid : me?.id) ?? '')
  expect([creator, voter]).not.toContain('')
  const sign = Buffer.concat([
    ...[key.id ?? '', creator, voter, 'Poll Vote'].map((text) => Buffer.from(text)),
    Uint8Array.of(1),
  ])
  const sealing = hmacSign(sign, hmacSign(secret, new Uint8Array(32), 'sha256'), 'sha256')
  const encIv = crypto.getRandomValues(new Uint8Array(12))
  const plain = protobuf.Message.PollVoteMessage.encode({
    selectedOptions: chosen.map((option) => sha256(Buffer.from(option))),
  }).finish()
  const encPayload = aesEncryptGCM(plain, sealing, encIv, Buffer.from(`${key.id}\0${voter}`))
  const pollUpdateMessage = {
    pollCreationMessageKey: key,
    vote: { encPayload, encIv },
    senderTimestampMs: Date.now(),
  }
  return await bob.sock.relayMessage(theirs(chat), { pollUpdateMessage }, {})
}

/** How Bob's Baileys may call us, and itself. */
const theirNames = () => {
  const { me } = bob.auth.creds
  const mine = [me?.id, me?.lid].flatMap((jid) => (jid ? [jidNormalizedUser(jid)] : []))
  return { mine, voters: [`${OURS}@s.whatsapp.net`] }
}

/** Opens a vote with Baileys' own function, under whichever of the names fits. */
function votesIn(
  told: WAMessage,
  pollMsgId: string,
  pollEncKey: Uint8Array,
  names: { mine: string[]; voters: string[] },
): proto.Message.PollVoteMessage {
  const vote = partOf(told).pollUpdateMessage?.vote
  const { participant, participantAlt, remoteJid, remoteJidAlt } = told.key
  const voters = [participant, participantAlt, remoteJid, remoteJidAlt, ...names.voters].flatMap((jid) =>
    jid ? [jidNormalizedUser(jid)] : [],
  )
  for (const pollCreatorJid of names.mine) {
    for (const voterJid of voters) {
      try {
        return decryptPollVote(vote ?? {}, { pollCreatorJid, pollMsgId, pollEncKey, voterJid })
      } catch {
        // Not under these two names; when it opens under none, that is told below.
      }
    }
  }
  throw new Error('Baileys cannot open the vote')
}
