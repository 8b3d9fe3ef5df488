/** Status posts and channels: what is said to many who are not in one chat. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { proto } from '@whiskeysockets/baileys'
import type { SendableContent } from '../../src/domain/content'
import { asJid, asMessageId } from '../../src/domain/ids'
import { type IncomingMessage, SendRefused } from '../../src/domain/whatsapp'
import type { Phone } from '../../src/sandbox/phone'
import { behind } from '../../src/whatsapp/baileys/content/behind'
import { until } from '../harness/measure'
import { type StockBaileys, stockBaileys } from './support/stock'
import { context, createWorld, remember, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let carol: Phone
let session: TestSession
let second: TestSession
const STATUS = asJid('status@broadcast')

beforeAll(async () => {
  world = await createWorld()
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  carol = world.phone('491700000003')
  session = await world.linked(alice)
  second = await world.linked(alice)
})
afterAll(() => world.stop())

const received = (at: TestSession, id: string): Promise<IncomingMessage> =>
  until(`message ${id}`, () => {
    const all = at.of('messages').flatMap(({ messages }) => messages)
    return all.find((message) => message.id === asMessageId(id)) ?? null
  })

describe('status posts', () => {
  test('reach their audience and our own devices, and nobody else', async () => {
    const content = { type: 'text', text: 'to some', backgroundColor: '#102030', font: 1 } as const
    const raw = world.network.encode(content, context({ me: asJid(alice.lid), chat: STATUS }))
    const id = world.network.newMessageId()
    await session.connection.send({ id, to: STATUS, raw, audience: [asJid(bob.lid)] })
    const shown = await bob.waitForMessage((message) => message.id === id)
    expect(shown).toMatchObject({ chat: STATUS, from: alice.jid, content })
    expect((await received(second, id)) as object).toMatchObject({
      chat: STATUS,
      fromMe: true,
      sender: null,
      content,
    })
    expect(await alice.waitForMessage((message) => message.id === id)).toMatchObject({ fromMe: true })
    await world.say(session, carol.jid, 'marker').acknowledged
    await carol.waitForMessage((message) => message.content.text === 'marker')
    expect(carol.messages().filter((message) => message.id === id)).toEqual([])
  })

  test('those of others are told with their author', async () => {
    const { id } = await bob.send(STATUS, 'my day', { audience: [alice.jid] })
    expect(await received(session, id)).toMatchObject({
      chat: STATUS,
      chatParty: { lid: null, phoneNumber: null },
      sender: { lid: bob.lid, phoneNumber: bob.phoneNumber },
      content: { type: 'text', text: 'my day' },
      fromMe: false,
      status: 'received',
    } as never)
  })

  test('those of our own phone are ours', async () => {
    const { id } = await alice.send(STATUS, 'from my phone', { audience: [bob.jid] })
    expect(await received(session, id)).toMatchObject({ chat: STATUS, fromMe: true, sender: null })
  })
})

describe('channels', () => {
  let owner: StockBaileys
  let channel: string
  beforeAll(async () => {
    owner = await stockBaileys(world, alice)
    channel = (await owner.sock.newsletterCreate('News', 'of the day')).id
  })
  afterAll(() => owner.end())

  async function post(text: string) {
    const to = asJid(channel)
    const raw = world.network.encode({ type: 'text', text }, context({ me: asJid(alice.lid), chat: to }))
    const id = world.network.newMessageId()
    remember(session, id, raw)
    await session.connection.send({ id, to, raw })
    return { id, raw }
  }

  test('a post arrives with the number that the server gave it', async () => {
    const { id } = await post('first news')
    const copy = await received(second, id)
    expect(copy).toMatchObject({
      chat: channel,
      chatParty: { lid: null, phoneNumber: null },
      fromMe: true,
      content: { type: 'text', text: 'first news' },
    } as never)
    expect(behind(copy.raw, 'serverId')).toMatch(/^\d+$/)
  })

  test('new words and taking back travel under the post’s own id, and are told as actions', async () => {
    const { id, raw } = await post('frist news')
    await received(second, id)
    const to = asJid(channel)
    const target = { id, raw, chat: to, sender: to, fromMe: true }
    const around = context({ me: asJid(alice.lid), chat: to, target })
    const act = async (content: SendableContent) =>
      session.connection.send({
        id: world.network.newMessageId(),
        to,
        raw: world.network.encode(content, around),
      })
    const told = (type: string) =>
      until(type, () => {
        const all = second.of('messages').flatMap(({ messages }) => messages)
        return all.find(({ content }) => content.type === type) ?? null
      })
    await act({ type: 'edit', text: 'first news', targetMessageId: id })
    expect((await told('edit')).content).toEqual({ type: 'edit', text: 'first news', targetMessageId: id })
    await act({ type: 'delete', targetMessageId: id })
    expect((await told('delete')).content).toEqual({ type: 'delete', targetMessageId: id })
    expect((await received(second, id)).content).toEqual({ type: 'text', text: 'frist news' })
  })

  test('a reaction names the post by the server’s number, on ours by what its acknowledgement said', async () => {
    const to = asJid(channel)
    const text = world.network.encode({ type: 'text', text: 'react to me' }, context({ chat: to }))
    const id = world.network.newMessageId()
    remember(session, id, text)
    const { raw: kept } = await session.connection.send({ id, to, raw: text })
    const copy = await received(second, id)
    remember(second, id, copy.raw)
    const react = (at: TestSession, emoji: string, of: Uint8Array) => {
      const target = { id, raw: of, chat: to, sender: to, fromMe: false }
      const content = { type: 'reaction', emoji, targetMessageId: id } as const
      const raw = world.network.encode(content, context({ chat: to, target }))
      return at.connection.send({ id: world.network.newMessageId(), to, raw })
    }
    await react(second, '👍', copy.raw)
    await react(second, '', copy.raw)
    expect(react(session, '👍', text)).rejects.toBeInstanceOf(SendRefused)

    expect(behind(kept ?? new Uint8Array(), 'serverId')).toBe(behind(copy.raw, 'serverId'))
    remember(session, id, kept ?? new Uint8Array())
    await react(session, '👏', text)
  })

  test('a file lies open, and its post bears the name that WhatsApp gave it', async () => {
    const to = asJid(channel)
    const media = { mimetype: 'image/jpeg', size: 5 }
    const encoded = world.network.encode({ type: 'image', caption: 'look', media }, context({ chat: to }))
    const raw = world.network.attach(encoded, {
      url: 'https://mmg.whatsapp.net/o1/x',
      directPath: '/o1/x',
      mediaKey: new Uint8Array(),
      fileSha256: Buffer.alloc(32, 2),
      fileEncSha256: new Uint8Array(),
      fileLength: 5,
      mediaKeyTimestamp: 0,
      handle: 'a-handle',
    })
    const id = world.network.newMessageId()
    await session.connection.send({ id, to, raw })
    const [stanza] = world.server.log
      .entries({ tag: 'message' })
      .filter(({ direction, stanza }) => direction === 'in' && stanza.attrs.id === id)
      .map(({ stanza }) => stanza)
    // What the log does not know it does not show.
    expect(stanza?.attrs).toMatchObject({ to: channel, type: 'media', media_id: expect.any(String) })
    expect(stanza?.children?.[0]).toMatchObject({ tag: 'plaintext', attrs: { mediatype: 'image' } })
    const copy = await received(second, id)
    expect(copy.content).toEqual({ type: 'image', caption: 'look', media })
    const { imageMessage } = proto.Message.decode(copy.raw)
    expect(imageMessage?.directPath).toBe('/o1/x')
    expect(Object.hasOwn(imageMessage ?? {}, 'mediaKey')).toBe(false)
  })
})
