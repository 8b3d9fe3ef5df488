/** Every type between our adapter and simulated phones, a second device of the account, and unmodified Baileys. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { proto } from '@whiskeysockets/baileys'
import { ContentSchema, isAction, type SendableContent } from '../../src/domain/content'
import { asJid, asMessageId } from '../../src/domain/ids'
import type { EncodeContext, IncomingMessage, Pointed } from '../../src/domain/whatsapp'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import { readContent } from '../../src/whatsapp/baileys/content/read'
import { until } from '../harness/measure'
import { ALL, EVENT, POLL, targetFor } from './content/samples'
import { type StockBaileys, stockBaileys } from './support/stock'
import { context, createWorld, remember, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession
let second: TestSession
let stock: StockBaileys
let group: string

beforeAll(async () => {
  world = await createWorld()
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
  second = await world.linked(alice)
  stock = await stockBaileys(world, bob)
  group = (await bob.createGroup('All types', [alice.jid])).jid
})
afterAll(async () => {
  await stock.end()
  await world.stop()
})

const received = (at: TestSession, id: string): Promise<IncomingMessage> =>
  until(`message ${id}`, () => {
    const all = at.of('messages').flatMap(({ messages }) => messages)
    return all.find((message) => message.id === asMessageId(id)) ?? null
  })

async function send(content: SendableContent, to: string, given: Partial<EncodeContext> = {}) {
  const id = world.network.newMessageId()
  const around = context({ me: asJid(alice.lid), chat: asJid(to), now: Date.now(), ...given })
  const encoded = world.network.encode(content, around)
  const raw = world.network.fileOf(encoded) ? world.network.attach(encoded, POINTER) : encoded
  remember(session, id, raw)
  await session.connection.send({ id, to: asJid(to), raw })
  return { id, raw }
}
const POINTER = {
  url: 'https://mmg.whatsapp.net/o1/x',
  directPath: '/o1/x',
  mediaKey: Buffer.alloc(32, 1),
  fileSha256: Buffer.alloc(32, 2),
  fileEncSha256: Buffer.alloc(32, 3),
  fileLength: 1234,
  mediaKeyTimestamp: 1_700_000_000,
}

/** The message that an action is about: for words and taking back one of ours, else one of Bob’s. */
async function targetOf(content: SendableContent, chat: string): Promise<Pointed> {
  if (content.type === 'edit' || content.type === 'delete') {
    const { id, raw } = await send({ type: 'text', text: 'ours' }, chat)
    await bob.waitForMessage((message) => message.id === id)
    return { id, raw, chat: asJid(chat), sender: asJid(alice.lid), fromMe: true }
  }
  const { id } = await bob.send(chat === group ? group : alice.jid, {
    ...(targetFor(content.type) as PhoneContent),
  })
  const { raw } = await received(session, id)
  return { id, raw, chat: asJid(chat), sender: asJid(bob.lid), fromMe: false }
}

/** What a phone cannot show, and what it shows otherwise. */
function asShown(content: SendableContent): object {
  const { media, ...fields } = { media: null, ...content }
  const { font, ...rest } = { font: undefined, ...fields }
  const size = 'media' in content ? { media: { ...media, size: POINTER.fileLength } } : {}
  return withoutNulls({ ...rest, ...(font ? { font } : {}), ...size })
}
const withoutNulls = (value: object): object =>
  JSON.parse(JSON.stringify(value, (key, v) => (key === 'phoneNumber' ? withPlus(v) : (v ?? undefined))))
/** A phone shows the number as it stands on the card. */
const withPlus = (number: string): string => (/^\d+$/.test(number) ? `+${number}` : number)
const asTold = (content: SendableContent): object =>
  'media' in content ? { ...content, media: { ...content.media, size: POINTER.fileLength } } : content
const cardless = (content: object): object =>
  JSON.parse(JSON.stringify(content, (key, value) => (key === 'vcard' ? undefined : value)))

describe.each([
  ['a person', () => bob.lid],
  ['a person by number', () => bob.jid],
  ['a group', () => group],
])('to %s', (_, chatOf) => {
  test.each(ALL)('%s', async (_, sample) => {
    const chat = chatOf()
    const target = isAction(sample) ? await targetOf(sample, chat) : null
    const content = target ? { ...sample, targetMessageId: target.id } : sample
    const { id } = await send(content, chat, { target })

    const shown = await bob.waitForMessage((message) => message.id === id)
    await bob.settled()
    expect(bob.message(id)?.content ?? shown.content).toMatchObject(asShown(content))

    const copy = await received(second, id)
    expect(copy).toMatchObject({ fromMe: true, sender: null, status: 'sent' })
    expect(cardless(copy.content)).toEqual(cardless(asTold(content)))

    const heard = await stock.heard(id)
    if (content.type !== 'vote' && content.type !== 'rsvp') {
      const read = heard.message && readContent(heard.message)
      expect(cardless(read?.content ?? {})).toEqual(cardless(asTold(content)))
    }
  })
})

/** What a phone says, and what is told of it. */
const FILE = { base64: Buffer.from('bytes').toString('base64') }
const SAID: [PhoneContent, object][] = [
  [{ type: 'text', text: 'hi *there*' }, {}],
  [{ type: 'text', text: 'x.y', linkPreview: { url: 'x.y', title: 'X', description: 'Y' } }, {}],
  [{ type: 'image', ...FILE, caption: 'look', width: 3, height: 4 }, {}],
  [{ type: 'video', ...FILE, seconds: 9, gifPlayback: true }, {}],
  [{ type: 'video', ...FILE, ptv: true }, {}],
  [{ type: 'audio', ...FILE, ptt: true, waveform: [1, 2], seconds: 2 }, {}],
  [{ type: 'document', ...FILE, filename: 'a.pdf', caption: 'c' }, {}],
  [{ type: 'sticker', ...FILE, animated: true }, {}],
  [{ type: 'location', latitude: 1.5, longitude: 2.5, name: 'n', address: 'a' }, {}],
  [{ type: 'location', latitude: 1.5, longitude: 2.5, live: true, speed: 2.5, caption: 'c' }, {}],
  [{ type: 'contact', contacts: [{ fullName: 'A; B', phoneNumber: '4917', email: 'a@b.c' }] }, {}],
  [{ type: 'contact', contacts: [{ fullName: 'A' }, { fullName: 'B' }] }, {}],
  [{ ...POLL }, {}],
  [
    {
      type: 'event',
      name: 'E',
      startsAt: '2030-01-01T00:00:00.000Z',
      location: { name: 'x' },
      canceled: true,
    },
    {},
  ],
  [{ type: 'buttons', text: 'b', footer: 'f', buttons: [{ id: '1', text: 'one' }] }, {}],
  [{ type: 'buttons', text: 'b', format: 'template', buttons: [{ id: '1', text: 'one' }] }, {}],
  [{ type: 'buttons', text: 'b', format: 'interactive', buttons: [{ id: '1', text: 'one' }] }, {}],
  [
    { type: 'list', text: 'l', buttonText: 'o', sections: [{ title: 's', rows: [{ id: '1', title: 't' }] }] },
    {},
  ],
  [{ type: 'product', productId: 'P', title: 'Tea', currency: 'EUR', price: 4.99, owner: '4917' }, {}],
  [
    {
      type: 'invite',
      groupId: '5@g.us',
      subject: 'S',
      inviteCode: 'c',
      expiresAt: '2030-01-01T00:00:00.000Z',
    },
    {},
  ],
  [{ type: 'order', orderId: '1', title: 'T', itemCount: 2, total: 9.5, currency: 'EUR', owner: '4917' }, {}],
  [{ type: 'order', orderId: '2', owner: '4917' }, {}],
  [
    {
      type: 'raw',
      base64: Buffer.from(proto.Message.encode({ requestPhoneNumberMessage: {} }).finish()).toString(
        'base64',
      ),
    },
    { type: 'unknown', kind: 'requestPhoneNumberMessage' },
  ],
]

/** Of a file the phone gives the bytes, and describes them beside; all of that is told in `media`. */
const OF_FILES = ['width', 'height', 'seconds', 'waveform', 'filename']
function asSaid({
  base64,
  format: _f,
  ...fields
}: PhoneContent & { base64?: string; format?: string }): object {
  const isFile = base64 !== undefined && fields.type !== 'raw'
  const [media, plain] = [true, false].map((inMedia) =>
    Object.fromEntries(
      Object.entries(fields).filter(([name]) => (isFile && OF_FILES.includes(name)) === inMedia),
    ),
  )
  return isFile ? { ...plain, media: { size: 5, ...media } } : { ...plain }
}

describe.each([
  ['a person', () => alice.jid, () => bob.lid],
  ['a group', () => group, () => group],
])('from %s', (_, to, chat) => {
  test.each(SAID)('%j', async (content, more) => {
    const { id } = await bob.send(to(), content)
    const message = await received(session, id)
    expect(message.content).toMatchObject({ ...asSaid(content), ...more } as never)
    expect(Value.Errors(ContentSchema, message.content).First()).toBeUndefined()
    expect(message).toMatchObject({
      chat: chat(),
      fromMe: false,
      status: 'received',
      sender: { lid: bob.lid, phoneNumber: bob.phoneNumber },
    } as never)
  })

  test('what goes along with a message', async () => {
    const { id: quoted } = await bob.send(to(), { type: 'image', ...FILE, caption: 'quote me' })
    const { id } = await bob.send(to(), {
      type: 'text',
      text: 'all of it',
      mentions: [alice.phoneNumber],
      mentionsAll: true,
      quotedMessageId: quoted,
      forwardingScore: 3,
      disappearingSeconds: 86_400,
    })
    expect(await received(session, id)).toMatchObject({
      mentions: [alice.phoneNumber],
      quoted: { messageId: quoted, text: 'quote me' },
      context: { mentionsAll: true, forwardingScore: 3, disappearingSeconds: 86_400 },
    } as never)
  })

  test('albums: each picture names its album', async () => {
    const items = [
      { type: 'image' as const, ...FILE },
      { type: 'video' as const, ...FILE },
    ]
    const { id } = await bob.send(to(), { type: 'album', items })
    expect((await received(session, id)).content).toEqual({ type: 'album', images: 1, videos: 1 })
    const children = await until('both children', () => {
      const all = session.of('messages').flatMap(({ messages }) => messages)
      const mine = all.filter(({ context }) => context.albumId === id)
      return mine.length === 2 ? mine : null
    })
    expect(children.map(({ content }) => content.type)).toEqual(['image', 'video'])
  })

  test.each([
    ['an image', { type: 'image', ...FILE, viewOnce: true }],
    ['a video', { type: 'video', ...FILE, viewOnce: true }],
    ['a voice note', { type: 'audio', ...FILE, ptt: true, viewOnce: true }],
  ] satisfies [string, PhoneContent][])(
    '%s that can be opened once is withheld, and told',
    async (_, content) => {
      const { id } = await bob.send(to(), content)
      const message = await received(session, id)
      const media = { mimetype: null, size: null }
      expect(message.content).toEqual({ type: 'image', viewOnce: true, media })
      expect(message).toMatchObject({ chat: chat(), fromMe: false, sender: { lid: bob.lid } } as never)
      const request = { ...message, sender: null, maxBytes: 1_000 }
      const file = session.connection.download(request)[Symbol.asyncIterator]()
      expect(file.next()).rejects.toMatchObject({ reason: 'withheld' })
      const { id: ours } = await alice.send(aliceTo(chat()), content)
      expect(await received(session, ours)).toMatchObject({
        fromMe: true,
        content: { viewOnce: true, media },
      } as never)
    },
  )

  test('a comment names its message', async () => {
    const { id: target } = await send({ type: 'text', text: 'news' }, chat())
    await bob.waitForMessage((message) => message.id === target)
    const content = { type: 'comment', text: 'indeed', targetMessageId: target } as const
    const { id } = await bob.send(to(), content)
    expect((await received(session, id)).content).toEqual(content)
  })

  test('actions: once each, on ours and on theirs, from others and from our own phone', async () => {
    const ours = await send({ ...POLL }, chat())
    await bob.waitForMessage((message) => message.id === ours.id)
    await alice.waitForMessage((message) => message.id === ours.id)
    const event = await send({ ...EVENT }, chat())
    await bob.waitForMessage((message) => message.id === event.id)
    await alice.waitForMessage((message) => message.id === event.id)
    const { id: theirs } = await bob.send(to(), { ...POLL })
    await received(session, theirs)
    await alice.waitForMessage((message) => message.id === theirs)

    const done: [Phone, PhoneContent][] = [
      [bob, { type: 'reaction', emoji: '🎉', targetMessageId: ours.id }],
      [bob, { type: 'reaction', emoji: '', targetMessageId: ours.id }],
      [bob, { type: 'vote', targetMessageId: ours.id, options: ['now', 'never'] }],
      [bob, { type: 'vote', targetMessageId: theirs, options: [] }],
      [bob, { type: 'pin', targetMessageId: ours.id, pinned: true, seconds: 86_400 }],
      [alice, { type: 'reaction', emoji: '👀', targetMessageId: theirs }],
      [alice, { type: 'vote', targetMessageId: theirs, options: ['later'] }],
      [alice, { type: 'vote', targetMessageId: ours.id, options: ['now'] }],
      [bob, { type: 'rsvp', targetMessageId: event.id, response: 'going', extraGuests: 2 }],
      [bob, { type: 'rsvp', targetMessageId: event.id, response: 'not_going' }],
      [alice, { type: 'rsvp', targetMessageId: event.id, response: 'maybe' }],
      [bob, { type: 'delete', targetMessageId: theirs }],
    ]
    for (const [who, content] of done) {
      const { id } = await who.send(who === alice ? aliceTo(chat()) : to(), content)
      const message = await received(session, id)
      expect(message.content).toEqual(content as never)
      expect(message.fromMe).toBe(who === alice)
    }
    const { id: text } = await bob.send(to(), 'frist')
    const { id: edit } = await bob.send(to(), { type: 'edit', text: 'first', targetMessageId: text })
    expect((await received(session, edit)).content).toEqual({
      type: 'edit',
      text: 'first',
      targetMessageId: text,
    })
    const all = session.of('messages').flatMap(({ messages }) => messages)
    expect(all.filter(({ id }) => id === asMessageId(edit)).length).toBe(1)
    expect(all.filter(({ id }) => id === asMessageId(text)).length).toBe(1)
  })
})

const aliceTo = (chat: string): string => (chat === group ? group : bob.jid)

test('an own poll of our phone: votes of others are read', async () => {
  const { id: poll } = await alice.send(bob.jid, { ...POLL })
  await received(session, poll)
  await bob.waitForMessage((message) => message.id === poll)
  const { id } = await bob.send(alice.jid, { type: 'vote', targetMessageId: poll, options: ['later'] })
  expect((await received(session, id)).content).toEqual({
    type: 'vote',
    targetMessageId: poll,
    options: ['later'],
  })
})
