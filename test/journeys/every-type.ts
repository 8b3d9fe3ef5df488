/** The table of `every-type.test.ts`: one row for each way in which a type of message is used. */
import { expect } from 'bun:test'
import { createHash } from 'node:crypto'
import { type proto, proto as protobuf, type WAMessage } from '@whiskeysockets/baileys'
import type { ActionType, Ask, MessageType } from '../../src/domain/content'
import { film } from '../media/films'
import { jpeg, movingWebp, png, webp } from '../media/pictures'
import { loudThenSilent, mp3, opus, tone } from '../media/sounds'

/** What a phone adds to a message that later ones have changed. */
export type Said = {
  edited?: boolean
  deleted?: boolean
  reactions?: Record<string, string> | unknown[]
  votes?: unknown
  responses?: unknown
  pinned?: boolean
}

type Fields = Record<string, unknown>

export type AfterWorld = {
  shownAt: (number: string) => Promise<{ content: Fields } & Said>
  viewOf: (id: string) => Promise<Fields>
  by: 'us' | 'them'
  ADA: string
  OURS: string
}

export type Kind = {
  name: string
  type: MessageType
  /** What the API is asked; `target` is the message that it acts on. */
  ask?: (target: string) => Ask & Fields
  /** What a phone says. */
  said?: ((target: string) => Fields) | undefined
  /** Fields that the phone shows, beside the type. */
  shown: (target: string) => Fields
  /** Fields that the API tells, beside the type. */
  told: (target: string) => Fields
  /** Whether an unmodified Baileys reads the same. */
  raw?: (part: proto.IMessage, message: WAMessage) => boolean
  /** Judges the file at the other side. */
  bytes?: (file: Buffer) => void
  target?: 'own' | 'other' | 'poll' | 'event'
  event?: string
  /** What has become of the target. */
  after?: (target: string, world: AfterWorld) => Promise<void>
}

const sha = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')
const same = (wanted: Uint8Array) => (file: Buffer) => expect(sha(file)).toBe(sha(wanted))
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')

const picture = await jpeg(120, 90)
const square = png(64, 64)
const movie = film({ seconds: 3 })
const sticker = await webp(512, 512)
const dancing = movingWebp(await webp(512, 512), 512, 512)
const song = await mp3([tone(44_100, 2, loudThenSilent)], 44_100)
const voice = await opus([tone(48_000, 2, loudThenSilent)])
const paper = Buffer.from('%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n')

/** The same fields asked for, shown and told. */
const plain = (
  name: string,
  type: Exclude<MessageType, 'unknown'>,
  fields: Fields,
  raw: NonNullable<Kind['raw']>,
  also: Partial<Kind> = {},
): Kind => ({
  name,
  type,
  ask: () => ({ type, ...fields }) as unknown as Ask & Fields,
  said: () => ({ type, ...fields }),
  shown: () => fields,
  told: () => fields,
  raw,
  ...also,
})

const action = (
  type: ActionType,
  target: NonNullable<Kind['target']>,
  fields: Fields,
  event: string,
  after: NonNullable<Kind['after']>,
): Kind => ({
  name: `${type}${fields.emoji === '' ? ' taken back' : ''}`,
  type,
  ask: (targetMessageId) => ({ type, targetMessageId, ...fields }) as unknown as Ask & Fields,
  said: (targetMessageId) => ({ type, targetMessageId, ...fields }),
  shown: (targetMessageId) => ({ targetMessageId, ...fields }),
  told: (targetMessageId) => ({ targetMessageId, ...fields }),
  target,
  event,
  after,
})

/** A file: given as base64 on both sides, described when told. */
const file = (
  name: string,
  type: 'image' | 'video' | 'audio' | 'document' | 'sticker',
  bytes: Buffer,
  fields: Fields,
  media: Fields,
  raw: NonNullable<Kind['raw']>,
  also: Partial<Kind> & { phone?: Fields } = {},
): Kind => {
  const { phone = {}, ...rest } = also
  return {
    name,
    type,
    ask: () => ({ type, [`${type}Base64`]: base64(bytes), ...fields }) as unknown as Ask & Fields,
    said: () => ({ type, base64: base64(bytes), ...fields, ...phone }),
    shown: () => ({ ...withoutOrigin(fields), media }),
    told: () => ({ ...withoutOrigin(fields), media: { ...media, url: expect.stringContaining('/media') } }),
    raw,
    bytes: same(bytes),
    ...rest,
  }
}
const withoutOrigin = ({ filename: _, mimetype: __, ...fields }: Fields): Fields => fields

const card = {
  fullName: 'Grace Hopper',
  phoneNumber: '+4915144444444',
  organization: 'US Navy; Research',
  email: 'grace@example.com',
  url: 'https://example.com/grace',
}
const party = {
  name: 'A party',
  description: 'with cake',
  startsAt: '2027-01-02T18:00:00.000Z',
  endsAt: '2027-01-02T20:00:00.000Z',
  location: { name: 'At home', latitude: 52.5, longitude: 13.4 },
}
const waveOfVoice = [...Array<number>(32).fill(100), ...Array<number>(32).fill(0)]

/** Kinds that go both ways. */
const BOTH: Kind[] = [
  plain(
    'text',
    'text',
    { text: 'Hello *bold* _italic_ 👋 ä' },
    (part) => (part.extendedTextMessage?.text ?? part.conversation) === 'Hello *bold* _italic_ 👋 ä',
  ),
  plain(
    'text with a preview of its link',
    'text',
    {
      text: 'See https://example.com/a',
      linkPreview: { url: 'https://example.com/a', title: 'A page', description: 'about a' },
    },
    (part) => part.extendedTextMessage?.title === 'A page',
  ),
  plain(
    'text that disappears',
    'text',
    { text: 'soon gone' },
    (part) => part.extendedTextMessage?.contextInfo?.expiration === 86_400,
    {
      ask: () => ({ type: 'text', text: 'soon gone', disappearingSeconds: 86_400 }),
      said: () => ({ type: 'text', text: 'soon gone', disappearingSeconds: 86_400 }),
      shown: () => ({ text: 'soon gone', disappearingSeconds: 86_400 }),
      told: () => ({ text: 'soon gone', disappearingSeconds: 86_400 }),
    },
  ),
  file(
    'image',
    'image',
    picture,
    { caption: 'a picture' },
    { mimetype: 'image/jpeg', width: 120, height: 90 },
    (part) => part.imageMessage?.caption === 'a picture',
    { phone: { width: 120, height: 90, mimetype: 'image/jpeg' } },
  ),
  file(
    'image to be seen once',
    'image',
    square,
    { viewOnce: true },
    { mimetype: 'image/png' },
    (part) => part.imageMessage?.viewOnce === true,
    // Those of phones are withheld from linked devices: a row of its own below.
    { said: undefined },
  ),
  file(
    'video',
    'video',
    movie,
    { caption: 'moving' },
    { mimetype: 'video/mp4', seconds: 3 },
    (part) => part.videoMessage?.seconds === 3,
    { phone: { mimetype: 'video/mp4', seconds: 3 } },
  ),
  file(
    'video that loops like a GIF',
    'video',
    movie,
    { gifPlayback: true },
    { mimetype: 'video/mp4' },
    (part) => part.videoMessage?.gifPlayback === true,
    { phone: { mimetype: 'video/mp4' } },
  ),
  file(
    'round video',
    'video',
    movie,
    { ptv: true },
    { mimetype: 'video/mp4' },
    (part) => part.ptvMessage != null,
    {
      phone: { mimetype: 'video/mp4' },
    },
  ),
  file('audio', 'audio', song, {}, { mimetype: 'audio/mpeg' }, (part) => part.audioMessage?.ptt !== true, {
    phone: { mimetype: 'audio/mpeg' },
    told: () => ({ ptt: false, media: { mimetype: 'audio/mpeg', url: expect.any(String) } }),
  }),
  file(
    'voice note',
    'audio',
    voice,
    { ptt: true },
    { mimetype: 'audio/ogg; codecs=opus', seconds: 2 },
    (part) => part.audioMessage?.ptt === true && part.audioMessage.waveform?.length === 64,
    { phone: { mimetype: 'audio/ogg; codecs=opus', seconds: 2, waveform: waveOfVoice } },
  ),
  file(
    'document',
    'document',
    paper,
    { filename: 'Bill 7.pdf', caption: 'your bill' },
    { mimetype: 'application/pdf', filename: 'Bill 7.pdf' },
    (part) => part.documentMessage?.fileName === 'Bill 7.pdf',
    { phone: { mimetype: 'application/pdf' } },
  ),
  file(
    'sticker',
    'sticker',
    sticker,
    {},
    { mimetype: 'image/webp', width: 512, height: 512 },
    (part) => part.stickerMessage != null,
    {
      phone: { mimetype: 'image/webp', width: 512, height: 512 },
      // A still picture is drawn anew.
      bytes: (webpFile) => expect(webpFile.toString('latin1', 8, 12)).toBe('WEBP'),
    },
  ),
  file(
    'animated sticker',
    'sticker',
    dancing,
    {},
    { mimetype: 'image/webp' },
    (part) => part.stickerMessage?.isAnimated === true,
    {
      phone: { mimetype: 'image/webp', animated: true },
      told: () => ({ animated: true, media: { mimetype: 'image/webp' } }),
    },
  ),
  {
    name: 'album',
    type: 'album',
    ask: () => ({
      type: 'album',
      items: [
        { type: 'image', imageBase64: base64(picture), caption: 'one' },
        { type: 'video', videoBase64: base64(movie) },
      ],
    }),
    said: () => ({
      type: 'album',
      items: [
        { type: 'image', base64: base64(picture), mimetype: 'image/jpeg', caption: 'one' },
        { type: 'video', base64: base64(movie), mimetype: 'video/mp4' },
      ],
    }),
    shown: () => ({ images: 1, videos: 1 }),
    told: () => ({ images: 1, videos: 1 }),
    raw: (part) => part.albumMessage?.expectedImageCount === 1 && part.albumMessage.expectedVideoCount === 1,
  },
  plain(
    'place',
    'location',
    { latitude: 52.5, longitude: 13.4, name: 'Gate', address: 'Berlin' },
    (part) => part.locationMessage?.degreesLatitude === 52.5,
  ),
  plain(
    'place that moves',
    'location',
    {
      latitude: -33.8,
      longitude: 151.2,
      live: true,
      accuracy: 5,
      speed: 1.5,
      heading: 90,
      caption: 'on my way',
    },
    (part) => part.liveLocationMessage?.accuracyInMeters === 5,
  ),
  plain(
    'card',
    'contact',
    { contacts: [card] },
    (part) => part.contactMessage?.displayName === 'Grace Hopper',
    {
      shown: () => ({ contacts: [expect.objectContaining({ fullName: 'Grace Hopper' })] }),
      told: () => ({
        contacts: [
          expect.objectContaining({ ...card, phoneNumber: expect.stringContaining('4915144444444') }),
        ],
      }),
    },
  ),
  plain(
    'cards',
    'contact',
    { contacts: [card, { fullName: 'Ada', phoneNumber: '+4915155555555' }] },
    (part) => part.contactsArrayMessage?.contacts?.length === 2,
    {
      shown: () => ({
        contacts: [
          expect.objectContaining({ fullName: 'Grace Hopper' }),
          expect.objectContaining({ fullName: 'Ada' }),
        ],
      }),
      told: () => ({
        contacts: [
          expect.objectContaining({ fullName: 'Grace Hopper' }),
          expect.objectContaining({ fullName: 'Ada' }),
        ],
      }),
    },
  ),
  plain(
    'poll',
    'poll',
    { question: 'When?', options: ['now', 'later', 'never'], selectable: 1 },
    (part) => (part.pollCreationMessageV3 ?? part.pollCreationMessage)?.name === 'When?',
  ),
  plain('event', 'event', party, (part) => part.eventMessage?.name === 'A party'),
  action('reaction', 'other', { emoji: '🎉' }, 'message.reaction', async (target, { viewOf, by, ADA }) => {
    expect((await viewOf(target)).reactions).toEqual([
      { emoji: '🎉', from: by === 'us' ? 'me' : ADA, timestamp: expect.any(String) },
    ])
  }),
  action(
    'edit',
    'own',
    { text: 'better words' },
    'message.edited',
    async (target, { viewOf, shownAt, ADA }) => {
      expect(await viewOf(target)).toMatchObject({ text: 'better words', editedAt: expect.any(String) })
      expect((await shownAt(ADA)).content).toMatchObject({ text: 'better words' })
    },
  ),
  action('delete', 'own', {}, 'message.deleted', async (target, { viewOf, shownAt, ADA }) => {
    const view = await viewOf(target)
    expect(view).toMatchObject({ deletedAt: expect.any(String) })
    expect(JSON.stringify(view)).not.toContain('a target')
    expect((await shownAt(ADA)).deleted).toBeTruthy()
  }),
  action(
    'pin',
    'other',
    { pinned: true, seconds: 86_400 },
    'message.pinned',
    async (target, { viewOf, shownAt, ADA }) => {
      expect(await viewOf(target)).toMatchObject({ pinnedUntil: expect.any(String) })
      expect((await shownAt(ADA)).pinned).toBeTruthy()
    },
  ),
  action('vote', 'poll', { options: ['there'] }, 'message.poll_vote', async (target, { viewOf, by, ADA }) => {
    expect((await viewOf(target)).votes).toEqual([
      { option: 'here', count: 0, voters: [] },
      { option: 'there', count: 1, voters: [by === 'us' ? 'me' : ADA] },
    ])
  }),
  action(
    'rsvp',
    'event',
    { response: 'going', extraGuests: 1 },
    'message.event_response',
    async (target, { viewOf, shownAt, by, ADA, OURS }) => {
      expect((await viewOf(target)).responses).toEqual([
        { response: 'going', extraGuests: 1, from: by === 'us' ? 'me' : ADA, timestamp: expect.any(String) },
      ])
      const who = by === 'us' ? OURS : ADA
      expect((await shownAt(ADA)).responses).toEqual([
        expect.objectContaining({ response: 'going', extraGuests: 1, from: `${who}@s.whatsapp.net` }),
      ])
    },
  ),
  {
    name: 'forwarded text',
    type: 'text',
    ask: (messageId) => ({ type: 'forward', messageId }),
    said: (messageId) => ({ type: 'forward', messageId }),
    shown: () => ({ text: 'a target', forwardingScore: 1 }),
    told: () => ({ text: 'a target', forwarded: true, forwardingScore: 1 }),
    raw: (part) => part.extendedTextMessage?.contextInfo?.isForwarded === true,
    target: 'other',
  },
]

/** Kinds that WhatsApp does not deliver from a linked device, or that are asked for otherwise. */
const RECEIVED: Kind[] = [
  {
    name: 'buttons',
    type: 'buttons',
    said: () => ({
      type: 'buttons',
      text: 'Choose',
      footer: 'please',
      buttons: [
        { id: 'a', text: 'A' },
        { id: 'b', text: 'B' },
      ],
    }),
    shown: () => ({}),
    told: () => ({
      text: 'Choose',
      footer: 'please',
      buttons: [
        { id: 'a', text: 'A' },
        { id: 'b', text: 'B' },
      ],
    }),
  },
  {
    name: 'buttons of a template',
    type: 'buttons',
    said: () => ({
      type: 'buttons',
      format: 'template',
      text: 'Go',
      buttons: [{ id: 'x', text: 'Shop', url: 'https://example.com/' }],
    }),
    shown: () => ({}),
    told: () => ({
      text: 'Go',
      buttons: [expect.objectContaining({ text: 'Shop', url: 'https://example.com/' })],
    }),
  },
  {
    name: 'list',
    type: 'list',
    said: () => ({
      type: 'list',
      title: 'Menu',
      text: 'Today',
      buttonText: 'Open',
      sections: [{ title: 'Warm', rows: [{ id: '1', title: 'Soup', description: 'hot' }] }],
    }),
    shown: () => ({}),
    told: () => ({
      title: 'Menu',
      text: 'Today',
      buttonText: 'Open',
      sections: [{ title: 'Warm', rows: [{ id: '1', title: 'Soup', description: 'hot' }] }],
    }),
  },
  {
    name: 'choice',
    type: 'choice',
    said: () => ({ type: 'choice', choiceId: 'a', text: 'A' }),
    shown: () => ({}),
    told: () => ({ choiceId: 'a', text: 'A' }),
  },
  {
    name: 'product',
    type: 'product',
    said: () => ({
      type: 'product',
      productId: '77',
      title: 'Tea',
      description: 'green',
      currency: 'EUR',
      price: 4.5,
    }),
    shown: () => ({}),
    told: () => ({ productId: '77', title: 'Tea', description: 'green', currency: 'EUR', price: 4.5 }),
  },
  {
    name: 'order',
    type: 'order',
    said: () => ({
      type: 'order',
      orderId: '5',
      title: 'Two cups',
      itemCount: 2,
      total: 25.5,
      currency: 'EUR',
      text: 'please',
    }),
    shown: () => ({}),
    told: () => ({
      orderId: '5',
      title: 'Two cups',
      itemCount: 2,
      total: 25.5,
      currency: 'EUR',
      text: 'please',
    }),
  },
  {
    name: 'comment',
    type: 'comment',
    said: (targetMessageId) => ({ type: 'comment', text: 'well said', targetMessageId }),
    shown: () => ({}),
    told: (targetMessageId) => ({ text: 'well said', targetMessageId }),
    target: 'other',
  },
  {
    name: 'image to be seen once, on the phone alone',
    type: 'image',
    said: () => ({ type: 'image', base64: base64(square), mimetype: 'image/png', viewOnce: true }),
    shown: () => ({}),
    told: () => ({ viewOnce: true, media: { mimetype: null, size: null, url: expect.any(String) } }),
    raw: (_part, message) => message.key.isViewOnce === true,
  },
  {
    name: 'invitation',
    type: 'invite',
    said: () => ({
      type: 'invite',
      groupId: '120363000000000001@g.us',
      subject: 'Club',
      inviteCode: 'AbCdEf',
      caption: 'join us',
    }),
    shown: () => ({}),
    told: () => ({
      groupId: '120363000000000001@g.us',
      subject: 'Club',
      inviteCode: 'AbCdEf',
      caption: 'join us',
    }),
  },
  {
    name: 'something nobody reads',
    type: 'unknown',
    said: () => ({
      type: 'raw',
      base64: Buffer.from(protobuf.Message.encode({ requestPhoneNumberMessage: {} }).finish()).toString(
        'base64',
      ),
    }),
    shown: () => ({}),
    told: () => ({ kind: 'requestPhoneNumberMessage' }),
  },
]

export const KINDS: readonly Kind[] = [...BOTH, ...RECEIVED]
