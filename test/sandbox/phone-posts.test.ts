/** What phones post: to the audience of a status, and in channels. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { WAMessage } from '@whiskeysockets/baileys'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  pairWithBaileys,
  startSandbox,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

const STATUS = 'status@broadcast'
let sandbox: TestSandbox
let ada: Phone
let bob: Phone
let eve: Phone
let adas: BaileysClient
let bobs: BaileysClient

beforeAll(async () => {
  sandbox = await startSandbox()
  ada = sandbox.addPhone({ phoneNumber: '4917300000001', name: 'Ada' })
  bob = sandbox.addPhone({ phoneNumber: '4917300000002', name: 'Bob' })
  eve = sandbox.addPhone({ phoneNumber: '4917300000003', name: 'Eve' })
  adas = await pairWithBaileys(sandbox, ada)
  bobs = await pairWithBaileys(sandbox, bob)
})
afterAll(async () => {
  await adas.close()
  await bobs.close()
  await sandbox.stop()
})

const FILE = Buffer.from('file')
const base64 = FILE.toString('base64')
const shownBy = (phone: Phone, id: string) => phone.waitForMessage((message) => message.id === id)
const heardBy = (client: BaileysClient, id: string): Promise<WAMessage> =>
  client.untilMessage(({ key }) => key.id === id)

describe('a status post', () => {
  const rows: [PhoneContent, Record<string, unknown>][] = [
    [
      { type: 'text', text: 'sunny', backgroundColor: '#ffcc00', font: 1 },
      { type: 'text', text: 'sunny', backgroundColor: '#ffcc00', font: 1 },
    ],
    [
      { type: 'image', base64, caption: 'sun' },
      { type: 'image', caption: 'sun', media: { mimetype: 'image/jpeg', size: 4 } },
    ],
    [
      { type: 'video', base64 },
      { type: 'video', media: { mimetype: 'video/mp4', size: 4 } },
    ],
  ]
  test.each(rows)('reaches its audience alone: %j', async (content, shown) => {
    const { id, audience, chat } = await bob.send(STATUS, content, { audience: [ada.phoneNumber] })
    expect([chat, audience]).toEqual([STATUS, [ada.jid]])
    const got = await shownBy(ada, id)
    expect(got).toMatchObject({ chat: STATUS, from: bob.jid, fromMe: false, pushName: 'Bob' })
    expect(got.content).toEqual(shown as { type: string })
    if ('base64' in content) expect(await ada.download(id)).toEqual(FILE)
    const heard = await heardBy(adas, id)
    expect(heard.key).toMatchObject({ remoteJid: STATUS, participant: bob.lid })
    // The own companion has it too.
    expect((await heardBy(bobs, id)).key).toMatchObject({ remoteJid: STATUS, participant: bob.lid })
    await eve.settled()
    expect(eve.message(id)).toBeNull()
    const read = new Promise((resolve) =>
      bob.on(
        (event) => event.type === 'receipt' && event.id === id && event.status === 'read' && resolve(event),
      ),
    )
    await ada.read(id)
    expect(await read).toMatchObject({ reader: ada.jid })
  })

  test('of a client reaches phones, its own among them', async () => {
    const said = await adas.sock.sendMessage(
      STATUS,
      { text: 'from a client' },
      { statusJidList: [bob.jid, ada.jid], backgroundColor: '#112233', font: 3 },
    )
    const id = said?.key.id ?? ''
    for (const phone of [ada, bob]) {
      expect(await shownBy(phone, id)).toMatchObject({
        chat: STATUS,
        from: ada.jid,
        fromMe: phone === ada,
        content: { type: 'text', text: 'from a client', backgroundColor: '#112233', font: 3 },
      })
    }
  })

  test('is taken back for its audience', async () => {
    const { id } = await bob.send(STATUS, { type: 'image', base64 }, { audience: [ada.phoneNumber] })
    await shownBy(ada, id)
    await bob.send(STATUS, { type: 'delete', targetMessageId: id }, { audience: [ada.phoneNumber] })
    for (const phone of [ada, bob]) await phone.waitUntilShown(id, ({ deleted }) => deleted)
  })

  test('can be read again by a client that lost its key', async () => {
    const address = `${bob.lid.split('@')[0]}_1.0`
    await adas.auth.keys.set({ session: { [address]: null } })
    const { id } = await bob.send(STATUS, 'once more', { audience: [ada.phoneNumber] })
    await adas.untilMessage((message) => message.key.id === id && textOf(message) === 'once more')
  })
})

describe('a post in a channel', () => {
  let channel: string
  beforeAll(async () => {
    channel = (await bobs.sock.newsletterCreate('News', 'of the day')).id
    await adas.sock.newsletterFollow(channel)
  })

  test('reaches those who follow, and the own devices', async () => {
    for (const content of [
      { type: 'text', text: 'extra' },
      { type: 'image', base64, caption: 'extra' },
    ] satisfies PhoneContent[]) {
      const { id, serverId } = await bob.send(channel, content)
      const got = await shownBy(ada, id)
      expect(got).toMatchObject({
        chat: channel,
        from: channel,
        fromMe: false,
        serverId,
        content: { type: content.type },
      })
      expect(serverId).toMatch(/^\d+$/)
      if (content.type === 'image') expect(await ada.download(id)).toEqual(FILE)
      const heard = await heardBy(adas, id)
      expect(heard.key).toMatchObject({ remoteJid: channel, server_id: serverId })
      await heardBy(bobs, id)
      await eve.settled()
      expect(eve.message(id)).toBeNull()
    }
  })

  test('of a client is shown by the phones', async () => {
    const id = (await bobs.sock.sendMessage(channel, { text: 'by a client' }))?.key.id ?? ''
    expect(await shownBy(ada, id)).toMatchObject({ fromMe: false, content: { text: 'by a client' } })
    expect(await shownBy(bob, id)).toMatchObject({ fromMe: true, chat: channel })
  })

  test('is changed, seen, liked and taken back', async () => {
    const { id, serverId } = await bob.send(channel, 'teh news')
    await shownBy(ada, id)
    await bob.send(channel, { type: 'edit', text: 'the news', targetMessageId: id })
    for (const phone of [ada, bob]) {
      expect((await phone.waitUntilShown(id, ({ edited }) => edited)).content.text).toBe('the news')
    }
    await ada.read(id)
    await ada.send(channel, { type: 'reaction', emoji: '👍', targetMessageId: id })
    const post = () => sandbox.server.world.channels.get(channel)?.posts.get(Number(serverId))
    expect([...(post()?.reactions.values() ?? [])]).toEqual(['👍'])
    expect(post()?.views.size).toBe(1)
    expect(ada.message(id)?.reactions).toMatchObject([{ emoji: '👍', from: ada.jid }])
    await ada.send(channel, { type: 'reaction', emoji: '', targetMessageId: id })
    expect(post()?.reactions.size).toBe(0)
    await bob.send(channel, { type: 'delete', targetMessageId: id })
    for (const phone of [ada, bob]) await phone.waitUntilShown(id, ({ deleted }) => deleted)
  })

  test('alone may have files that are not encrypted', async () => {
    const { id } = await bob.send(channel, { type: 'image', base64 })
    await shownBy(ada, id)
    expect(await ada.download(id)).toEqual(FILE)
    // The same post, sent on to a person as it is.
    const forwarded = await ada.send(eve.phoneNumber, { type: 'forward', messageId: id })
    await shownBy(eve, forwarded.id)
    await expect(eve.download(forwarded.id)).rejects.toThrow('names no file')
  })

  test('is not for everybody to make', async () => {
    await expect(ada.send(channel, 'me too')).rejects.toThrow('403')
    expect(
      ada
        .sent()
        .filter(({ chat }) => chat === channel)
        .map(({ content }) => content.type),
    ).not.toContain('text')
  })

  test('nobody but a channel speaks in the clear', async () => {
    const id = 'F'.repeat(32)
    const link = sandbox.server.directory.byPhoneNumber(ada.phoneNumber)?.devices.get(0)?.link
    const plaintext = { tag: 'plaintext', attrs: {}, content: Buffer.from([0x0a, 0x02, 0x68, 0x69]) }
    const attrs = { id, type: 'text', t: '1700000000' }
    link?.send({ tag: 'message', attrs: { ...attrs, from: bob.lid }, content: [plaintext] })
    await new Promise<void>((resolve) => queueMicrotask(resolve))
    await ada.settled()
    expect(ada.message(id)).toBeNull()
    // Control: the same from the channel.
    link?.send({ tag: 'message', attrs: { ...attrs, from: channel }, content: [plaintext] })
    expect((await shownBy(ada, id)).content).toEqual({ type: 'text', text: 'hi' })
  })
})
