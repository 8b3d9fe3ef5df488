/** What the API sends, as an unmodified Baileys at the other side reads it, opens it and acts on it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import {
  downloadMediaMessage,
  normalizeMessageContent,
  type proto,
  proto as protobuf,
  type WAMessage,
} from '@whiskeysockets/baileys'
import type { BaileysClient } from '../harness/sandbox'
import { film } from '../media/films'
import { jpeg, movingWebp, webp } from '../media/pictures'
import { loudThenSilent, mp3, opus, tone } from '../media/sounds'
import { type Fields, startTalk, type Talk } from './talk'

const OURS = '4915111111301'
const BOB = '4915122222301'
const EVE = '4915133333301'

const picture = await jpeg(120, 90)
const movie = film({ seconds: 3 })
const dancing = movingWebp(await webp(512, 512), 512, 512)
const song = await mp3([tone(44_100, 2, loudThenSilent)], 44_100)
const voice = await opus([tone(48_000, 2, loudThenSilent)])
const paper = Buffer.from('%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n')
const inBase64 = (bytes: Buffer) => bytes.toString('base64')

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
const to = (chat: Chat) => (chat === 'person' ? BOB : group)
const from = (chat: Chat) => (chat === 'person' ? OURS : group)
const heard = (id: string): Promise<WAMessage> => bob.untilMessage(({ key }) => key.id === id)
const partOf = ({ message }: WAMessage): proto.IMessage => normalizeMessageContent(message) ?? {}
const opened = (message: WAMessage): Promise<Buffer> => downloadMediaMessage(message, 'buffer', {})

type File = {
  name: string
  type: string
  fields: Fields
  part: (message: proto.IMessage) => unknown
  says: Fields
  bytes: Buffer
}
const FILES: File[] = [
  {
    name: 'image',
    type: 'image',
    fields: { imageBase64: inBase64(picture), caption: 'look' },
    part: ({ imageMessage }) => imageMessage,
    says: { caption: 'look', mimetype: 'image/jpeg', width: 120, height: 90 },
    bytes: picture,
  },
  {
    name: 'image to be seen once',
    type: 'image',
    fields: { imageBase64: inBase64(picture), viewOnce: true },
    part: ({ imageMessage }) => imageMessage,
    says: { mimetype: 'image/jpeg' },
    bytes: picture,
  },
  {
    name: 'video',
    type: 'video',
    fields: { videoBase64: inBase64(movie), caption: 'watch' },
    part: ({ videoMessage }) => videoMessage,
    says: { caption: 'watch', mimetype: 'video/mp4', seconds: 3 },
    bytes: movie,
  },
  {
    name: 'video that loops',
    type: 'video',
    fields: { videoBase64: inBase64(movie), gifPlayback: true },
    part: ({ videoMessage }) => videoMessage,
    says: { gifPlayback: true, mimetype: 'video/mp4' },
    bytes: movie,
  },
  {
    name: 'round video',
    type: 'video',
    fields: { videoBase64: inBase64(movie), ptv: true },
    part: ({ ptvMessage }) => ptvMessage,
    says: { mimetype: 'video/mp4', seconds: 3 },
    bytes: movie,
  },
  {
    name: 'audio',
    type: 'audio',
    fields: { audioBase64: inBase64(song) },
    part: ({ audioMessage }) => audioMessage,
    says: { mimetype: 'audio/mpeg', seconds: 2, ptt: false },
    bytes: song,
  },
  {
    name: 'voice note',
    type: 'audio',
    fields: { audioBase64: inBase64(voice), ptt: true },
    part: ({ audioMessage }) => audioMessage,
    says: { mimetype: 'audio/ogg; codecs=opus', seconds: 2, ptt: true },
    bytes: voice,
  },
  {
    name: 'document',
    type: 'document',
    fields: { documentBase64: inBase64(paper), filename: 'Bill.pdf' },
    part: ({ documentMessage }) => documentMessage,
    says: { fileName: 'Bill.pdf', mimetype: 'application/pdf' },
    bytes: paper,
  },
  {
    name: 'document with words',
    type: 'document',
    fields: { documentBase64: inBase64(paper), filename: 'Bill.pdf', caption: 'pay' },
    part: ({ documentMessage }) => documentMessage,
    says: { fileName: 'Bill.pdf', caption: 'pay' },
    bytes: paper,
  },
  {
    name: 'animated sticker',
    type: 'sticker',
    fields: { stickerBase64: inBase64(dancing) },
    part: ({ stickerMessage }) => stickerMessage,
    says: { mimetype: 'image/webp', isAnimated: true },
    bytes: dancing,
  },
]

describe.each([...CHATS])('heard by Baileys in a chat with a %s', (chat) => {
  test.each(FILES)('$name', async ({ type, fields, part, says, bytes }) => {
    const { messageId } = await talk.send(type, to(chat), fields)
    const message = await heard(messageId)
    expect(part(partOf(message))).toMatchObject(says)
    expect((await opened(message)).equals(bytes)).toBe(true)
    // The same bytes come back from our own API, though they are ours.
    const kept = await talk.fileOf(messageId)
    expect(kept.status).toBe(200)
    expect(Buffer.from(await kept.arrayBuffer()).equals(bytes)).toBe(true)
  })

  test('a file that can be seen once says so', async () => {
    const { messageId } = await talk.send('image', to(chat), {
      imageBase64: inBase64(picture),
      viewOnce: true,
    })
    const { message } = await heard(messageId)
    const wrapped =
      message?.viewOnceMessage ?? message?.viewOnceMessageV2 ?? message?.viewOnceMessageV2Extension
    expect(wrapped?.message?.imageMessage?.viewOnce ?? false).toBe(true)
  })

  test('a picture and a film have small pictures to be shown before they are fetched', async () => {
    const { messageId } = await talk.send('image', to(chat), { imageBase64: inBase64(picture) })
    const thumbnail = partOf(await heard(messageId)).imageMessage?.jpegThumbnail ?? new Uint8Array()
    expect([...thumbnail.subarray(0, 2)]).toEqual([0xff, 0xd8])
  })

  test('an album and what is in it', async () => {
    const items = [
      { type: 'image', imageBase64: inBase64(picture), caption: 'one' },
      { type: 'video', videoBase64: inBase64(movie) },
    ]
    const album = await talk.send('album', to(chat), { items })
    const message = await heard(album.messageId)
    expect(partOf(message).albumMessage).toMatchObject({ expectedImageCount: 1, expectedVideoCount: 1 })
    const [first, second] = await Promise.all((album.items ?? []).map(({ messageId }) => heard(messageId)))
    for (const [item, bytes] of [
      [first, picture],
      [second, movie],
    ] as const) {
      if (!item) throw new Error('An item is missing')
      const { messageAssociation } = item.message?.messageContextInfo ?? {}
      expect(messageAssociation).toMatchObject({
        associationType: 1,
        parentMessageKey: { id: album.messageId },
      })
      expect((await opened(item)).equals(bytes)).toBe(true)
    }
  })

  test('an answer names the message, its author and its words', async () => {
    const id = await talk.say(BOB, from(chat), { type: 'text', text: 'a question' })
    await talk.viewOf(id)
    const { messageId } = await talk.send('text', to(chat), { text: 'an answer', quotedMessageId: id })
    const context = partOf(await heard(messageId)).extendedTextMessage?.contextInfo
    expect(context?.stanzaId).toBe(id)
    const quoted = normalizeMessageContent(context?.quotedMessage ?? {})
    expect(quoted?.conversation || quoted?.extendedTextMessage?.text).toBe('a question')
    const { me } = bob.auth.creds
    const names = [me?.id, me?.lid].map((jid) => jid?.replace(/:\d+@/, '@'))
    expect(names).toContain(context?.participant ?? '')
  })

  test('a poll can be voted on, an event answered: both bring their secret', async () => {
    const poll = await talk.send('poll', to(chat), { question: 'Q?', options: ['a', 'b'], selectable: 0 })
    const asked = await heard(poll.messageId)
    expect(partOf(asked).pollCreationMessage).toMatchObject({ name: 'Q?', selectableOptionsCount: 0 })
    expect(asked.message?.messageContextInfo?.messageSecret?.length).toBe(32)
    const event = await talk.send('event', to(chat), { name: 'E', startsAt: '2030-01-02T03:04:05Z' })
    const planned = await heard(event.messageId)
    expect(Number(partOf(planned).eventMessage?.startTime)).toBe(1_893_553_445)
    expect(planned.message?.messageContextInfo?.messageSecret?.length).toBe(32)
  })

  test('a card opens a chat with the number', async () => {
    const contact = { fullName: 'Grace; "the" Hopper, jr.', phoneNumber: '+49 151 44444444' }
    const { messageId } = await talk.send('contact', to(chat), { contact })
    const { displayName, vcard } = partOf(await heard(messageId)).contactMessage ?? {}
    expect(displayName).toBe(contact.fullName)
    expect(vcard).toContain('waid=4915144444444:+4915144444444')
    expect(vcard).toContain('FN:Grace\\; "the" Hopper\\, jr.')
  })

  test('reactions, new words and taking back reach what they are about', async () => {
    const said = await talk.say(BOB, from(chat), { type: 'text', text: 'theirs' })
    await talk.viewOf(said)
    const { message: _, ...theirs } = await heard(said)
    await talk.send('reaction', null, { targetMessageId: said, emoji: '🎉' })
    const reaction = await bob.until(
      ({ name, data }) =>
        name === 'messages.reaction' && data.find(({ key }) => key.id === said && data.length > 0),
    )
    expect(reaction.reaction.text).toBe('🎉')
    // Baileys makes the key its own: what we wrote about is its own message.
    expect(reaction.key).toMatchObject({ id: said, fromMe: theirs.key.fromMe ?? true })

    const { messageId } = await talk.send('text', to(chat), { text: 'befor' })
    const original = await heard(messageId)
    await talk.send('edit', null, { targetMessageId: messageId, text: 'before' })
    const edited = await bob.until(
      ({ name, data }) =>
        name === 'messages.update' &&
        data.find(({ key, update }) => key.id === messageId && update.message?.editedMessage),
    )
    expect(edited.key).toMatchObject({
      id: messageId,
      fromMe: false,
      remoteJid: original.key.remoteJid ?? '',
    })
    const words = normalizeMessageContent(edited.update.message?.editedMessage?.message)
    expect(words?.extendedTextMessage?.text ?? words?.conversation).toBe('before')

    await talk.send('delete', null, { targetMessageId: messageId })
    const gone = await bob.until(
      ({ name, data }) =>
        name === 'messages.update' &&
        data.find(({ key, update }) => key.id === messageId && update.message === null),
    )
    expect(gone.update.messageStubType).toBe(protobuf.WebMessageInfo.StubType.REVOKE)
  })

  test('a pin and its end', async () => {
    const said = await talk.say(BOB, from(chat), { type: 'text', text: 'theirs' })
    await talk.viewOf(said)
    const pin = await talk.send('pin', null, { targetMessageId: said, pinned: true, seconds: 604_800 })
    const pinned = await heard(pin.messageId)
    expect(partOf(pinned).pinInChatMessage).toMatchObject({ key: { id: said }, type: 1 })
    expect(pinned.message?.messageContextInfo?.messageAddOnDurationInSecs).toBe(604_800)
    const end = await talk.send('pin', null, { targetMessageId: said, pinned: false })
    expect(partOf(await heard(end.messageId)).pinInChatMessage).toMatchObject({ key: { id: said }, type: 2 })
  })

  test('a file that is sent on can be opened there too', async () => {
    const said = await talk.say(BOB, from(chat), {
      type: 'image',
      base64: inBase64(picture),
      mimetype: 'image/jpeg',
      caption: 'theirs',
    })
    await talk.viewOf(said)
    const { messageId } = await talk.send('forward', to(chat), { messageId: said })
    const message = await heard(messageId)
    expect(partOf(message).imageMessage?.contextInfo).toMatchObject({ isForwarded: true, forwardingScore: 1 })
    expect((await opened(message)).equals(picture)).toBe(true)
  })
})
