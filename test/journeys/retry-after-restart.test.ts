/**
 * A recipient's device could not read what we sent and asks for it again, after our process was killed and has come back:
 * it gets what the message says now, or nothing.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { downloadMediaMessage, type WAMessage } from '@whiskeysockets/baileys'
import { type BaileysClient, pairWithBaileys, textOf } from '../harness/sandbox'
import { jpeg } from '../media/pictures'
import { type RealProcess, startRealProcess } from './real-process'
import { eventually } from './talk'

const OURS = '4915111112201'
const ADA = '4915122223201'
const picture = await jpeg(50, 40)

let real: RealProcess
let ada: BaileysClient
let group: string
beforeAll(async () => {
  real = await startRealProcess(OURS, { [ADA]: 'Ada' }, async (sandbox) => {
    group = (await sandbox.createGroup({ owner: ADA, subject: 'All', members: [OURS] })).jid
  })
  ada = await pairWithBaileys(real.sandbox, real.sandbox.phone(ADA))
}, 30_000)
afterAll(async () => {
  await ada?.close()
  await real?.stop()
})
afterEach(() => real.sandbox.server.faults.clear())

const CHATS = ['person', 'group'] as const
type Chat = (typeof CHATS)[number]
const to = (chat: Chat) => (chat === 'person' ? ADA : group)
const heard = (id: string): Promise<WAMessage> =>
  ada.untilMessage(({ key, message }) => key.id === id && message != null)

/** Ada's device has all keys for us and goes; then it loses them, so that it cannot read what comes. */
async function forgetUs(chat: Chat): Promise<void> {
  // An answer of the device itself makes both sides sure of their session.
  const before = await real.send('text', { to: to(chat), text: 'before' })
  await heard(before)
  const said = await ada.sock.sendMessage(chat === 'person' ? `${OURS}@s.whatsapp.net` : group, {
    text: 'I am here',
  })
  await real.viewOf(said?.key.id ?? '')
  const again = await real.send('text', { to: to(chat), text: 'and again' })
  await heard(again)
  await ada.sock.end(undefined)
  const device = real.device()
  const lid = device.account.lid
  const address = `${lid}_1.${device.id}`
  const name = `${group}::${lid}_1::${device.id}`
  const held = { ...(await ada.auth.keys.get('session', [address])) }
  const key = await ada.auth.keys.get('sender-key', [name])
  // Controls: there is something to be lost.
  if (chat === 'person') expect(held[address]).toBeDefined()
  else expect(key[name]).toBeDefined()
  if (chat === 'person') await ada.auth.keys.set({ session: { [address]: null } })
  else await ada.auth.keys.set({ 'sender-key': { [name]: null } })
}

/** What happened to a message between our process and Ada's device. */
const askedFor = (id: string) =>
  real.sandbox.server.log
    .entries({ phoneNumber: ADA, tag: 'receipt' })
    .filter(
      ({ direction, stanza: { attrs } }) => direction === 'in' && attrs.type === 'retry' && attrs.id === id,
    ).length
const timesSent = (id: string) =>
  real.sandbox.server.log
    .entries({ phoneNumber: OURS, tag: 'message' })
    .filter(({ direction, stanza }) => direction === 'in' && stanza.attrs.id === id).length

/** What WhatsApp has acknowledged is on disk, so that nothing is sent again for another reason than being asked. */
async function killAndReturn(...sent: string[]): Promise<void> {
  for (const id of sent) await real.viewOf(id, ({ status }) => status !== 'queued')
  await real.kill()
  await real.start()
}

describe.each([...CHATS])('in a chat with a %s', (chat) => {
  test('a text is sent again, once, and can be read', async () => {
    await forgetUs(chat)
    const id = await real.send('text', { to: to(chat), text: 'kept over a kill' })
    await killAndReturn(id)
    await ada.connect()
    expect(textOf(await heard(id))).toBe('kept over a kill')
    expect(askedFor(id)).toBeGreaterThan(0)
    expect(timesSent(id)).toBe(2)
    // It is still one message, and sent.
    expect((await real.viewOf(id)).text).toBe('kept over a kill')
  }, 30_000)

  test('a picture is sent again with its file', async () => {
    await forgetUs(chat)
    const id = await real.send('image', {
      to: to(chat),
      imageBase64: picture.toString('base64'),
      caption: 'kept',
    })
    await killAndReturn(id)
    await ada.connect()
    const message = await heard(id)
    expect(askedFor(id)).toBeGreaterThan(0)
    expect((await downloadMediaMessage(message, 'buffer', {})).equals(picture)).toBe(true)
  }, 30_000)

  test('after an edit nobody gets the old words', async () => {
    await forgetUs(chat)
    const id = await real.send('text', { to: to(chat), text: 'old words' })
    await real.send('edit', { targetMessageId: id, text: 'new words' })
    await real.viewOf(id, ({ text }) => text === 'new words')
    await killAndReturn(id)
    await ada.connect()
    expect(textOf(await heard(id))).toBe('new words')
    expect(askedFor(id)).toBeGreaterThan(0)
    expect(JSON.stringify(ada.messages.map(textOf))).not.toContain('old words')
  }, 30_000)

  test('what was taken back is not sent again', async () => {
    await forgetUs(chat)
    const id = await real.send('text', { to: to(chat), text: 'taken back' })
    await real.send('delete', { targetMessageId: id })
    await real.viewOf(id, ({ deletedAt }) => deletedAt !== undefined)
    await killAndReturn(id)
    await ada.connect()
    await eventually('question', async () => (askedFor(id) > 0 ? true : null))
    const after = await real.send('text', { to: to(chat), text: 'after it' })
    await heard(after)
    expect(timesSent(id)).toBe(1)
    expect(JSON.stringify(ada.messages.map(textOf))).not.toContain('taken back')
  }, 30_000)

  test('for something that we never sent there is no answer, and the session lives', async () => {
    await killAndReturn()
    const { account, id: device } = real.device()
    const registration = Buffer.alloc(4)
    registration.writeUInt32BE(ada.auth.creds.registrationId)
    const unknown = '3EB0000000000000000000'
    await ada.sock.sendNode({
      tag: 'receipt',
      attrs: {
        id: unknown,
        type: 'retry',
        to: chat === 'person' ? `${account.lid}:${device}@lid` : group,
        ...(chat === 'person' ? {} : { participant: `${account.lid}:${device}@lid` }),
      },
      content: [
        {
          tag: 'retry',
          attrs: { count: '1', id: unknown, t: String(Math.floor(Date.now() / 1000)), v: '1' },
        },
        { tag: 'registration', attrs: {}, content: registration },
      ],
    })
    await eventually('question', async () => (askedFor(unknown) > 0 ? true : null))
    const after = await real.send('text', { to: to(chat), text: 'nothing happened' })
    expect(textOf(await heard(after))).toBe('nothing happened')
    expect(timesSent(unknown)).toBe(0)
  }, 30_000)
})
