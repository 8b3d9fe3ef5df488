import { afterAll, afterEach, beforeAll, describe, expect, test } from 'bun:test'
import { DisconnectReason, downloadMediaMessage, proto, type WAMessage } from '@whiskeysockets/baileys'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import {
  type BaileysClient,
  baileysClient,
  hasStatus,
  pairWithBaileys,
  startSandbox,
  statusOf,
  type TestSandbox,
  textOf,
} from '../harness/sandbox'

let sandbox: TestSandbox
const clients: BaileysClient[] = []
let next = 4915550000000
const addPhone = (name = 'Somebody', addressing: 'lid' | 'pn' = 'lid') =>
  sandbox.addPhone({ phoneNumber: String(++next), name, addressing })
const pair = async (phone: Phone) => {
  const client = await pairWithBaileys(sandbox, phone)
  clients.push(client)
  return client
}

beforeAll(async () => {
  sandbox = await startSandbox()
})
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close()
})
afterAll(() => sandbox.stop())

describe.each(['lid', 'pn'] as const)('between a companion and phones (%s)', (addressing) => {
  test('a scanned QR code leads through the restart to an open connection, and the owner’s name', async () => {
    const phone = addPhone('Ada', addressing)
    const client = await pair(phone)
    expect(phone.devices()).toEqual([{ id: 1, keyIndex: 1, online: true }])
    expect(client.sock.user?.id).toBe(`${phone.phoneNumber}:1@s.whatsapp.net`)
    await client.until((event) => event.name === 'messaging-history.set')
    await client.until((event) => event.name === 'creds.update' && event.data.me?.name === 'Ada')
  })

  test('text goes both ways, opened with the phone’s own keys', async () => {
    const [ada, bob] = [addPhone('Ada', addressing), addPhone('Bob', addressing)]
    const client = await pair(ada)
    await bob.send(ada.phoneNumber, 'hello Ada')
    const heard = await client.untilMessage((message) => textOf(message) === 'hello Ada')
    expect(heard.pushName).toBe('Bob')
    const said = await client.sock.sendMessage(bob.jid, { text: 'hello Bob' })
    const got = await bob.waitForMessage(({ content }) => content.text === 'hello Bob')
    expect(got).toMatchObject({
      id: said?.key.id as string,
      from: ada.jid,
      chat: ada.jid,
      fromMe: false,
      device: 1,
    })
    // The companion's own phone has a copy, and the other phone's first message too.
    await ada.waitForMessage(
      ({ content, fromMe, chat }) => content.text === 'hello Bob' && fromMe && chat === bob.jid,
    )
    await ada.waitForMessage(({ content }) => content.text === 'hello Ada')
  })
})

const { READ, DELIVERY_ACK, PLAYED } = proto.WebMessageInfo.Status

const untilStatus = (client: BaileysClient, id: string, status: number) =>
  client.until((event) => hasStatus(event, id, status))
/** Both sides have opened their first session, so that statuses are no longer folded into the own upsert. */
const acquainted = async (client: BaileysClient, phone: Phone) => {
  await phone.send(client.auth.creds.me?.id ?? '', 'nice to meet you')
  await client.untilMessage((message) => textOf(message) === 'nice to meet you')
}
const idOf = (message: WAMessage | undefined) => message?.key.id ?? ''

describe('receipts', () => {
  test('tell a companion that the phone got, read and played its message', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    await acquainted(client, bob)
    bob.setReachable(false)
    const id = idOf(await client.sock.sendMessage(bob.jid, { text: 'are you there?' }))
    expect(bob.messages().some((message) => message.id === id)).toBe(false)
    bob.setReachable(true)
    await untilStatus(client, id, DELIVERY_ACK)
    await bob.read(id)
    await untilStatus(client, id, READ)
    await bob.played(id)
    await untilStatus(client, id, PLAYED)
    await expect(bob.read('NOSUCHID')).rejects.toThrow('NOSUCHID')
  })

  test('tell a phone that a companion got and read its message', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    const { id } = await bob.send(ada.phoneNumber, 'hello')
    const { key } = await client.untilMessage((message) => message.key.id === id)
    const read = new Promise((resolve) =>
      bob.on((e) => e.type === 'receipt' && e.status === 'read' && resolve(e)),
    )
    await client.sock.readMessages([key])
    expect(await read).toMatchObject({ id, reader: ada.jid })
    expect(bob.status(id)).toBe('read')
  })
})

describe('a group', () => {
  test('is heard and spoken in from both sides, by sender keys', async () => {
    const [ada, bob, eve] = [addPhone('Ada'), addPhone('Bob'), addPhone('Eve')]
    const client = await pair(ada)
    const { jid } = await sandbox.createGroup({
      owner: bob.phoneNumber,
      subject: 'Friends',
      members: [ada.phoneNumber, eve.phoneNumber],
    })
    const created = await client.until(
      (e) => e.name === 'groups.upsert' && e.data.find((group) => group.id === jid),
    )
    expect(created.subject).toBe('Friends')

    for (const text of ['first', 'second']) await bob.send(jid, text)
    for (const text of ['first', 'second']) {
      const heard = await client.untilMessage((message) => textOf(message) === text)
      expect(heard.key).toMatchObject({ remoteJid: jid, participant: bob.lid, participantAlt: bob.jid })
      await eve.waitForMessage(({ content, chat }) => content.text === text && chat === jid)
    }
    for (const text of ['third', 'fourth']) {
      const id = idOf(await client.sock.sendMessage(jid, { text }))
      for (const phone of [ada, bob, eve]) {
        const got = await phone.waitForMessage((message) => message.id === id)
        expect(got).toMatchObject({ chat: jid, from: ada.jid, fromMe: phone === ada, content: { text } })
      }
      await bob.read(id)
      await client.until(
        (e) =>
          e.name === 'message-receipt.update' &&
          e.data.some(
            ({ key, receipt }) => key.id === id && receipt.readTimestamp && receipt.userJid === bob.lid,
          ),
      )
    }
  })

  test('keeps its talk from those who were removed', async () => {
    const [ada, bob, eve] = [addPhone(), addPhone(), addPhone()]
    const client = await pair(ada)
    const members = [ada.phoneNumber, eve.phoneNumber]
    const { jid } = await sandbox.createGroup({ owner: bob.phoneNumber, subject: 'Fewer', members })
    await bob.send(jid, 'all of us')
    await eve.waitForMessage(({ content }) => content.text === 'all of us')
    const gone = { tag: 'participant', attrs: { jid: eve.lid } }
    await bob.changeGroup(jid, { tag: 'remove', attrs: {}, content: [gone] })
    await bob.settled()
    await bob.send(jid, 'the two of us')
    await client.untilMessage((message) => textOf(message) === 'the two of us')
    await eve.settled()
    expect(eve.messages().map(({ content }) => content.text)).toEqual(['all of us'])
    await expect(eve.send(jid, 'let me in')).rejects.toThrow('403')
    await expect(eve.send('4900000000', 'anybody?')).rejects.toThrow('not on WhatsApp')
    expect(eve.sent()).toEqual([])
  })
})

describe('several companions', () => {
  test('get copies of what is said to them and by them; a later one gets the history', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const first = await pair(ada)
    await bob.send(ada.phoneNumber, 'before the second came')
    await first.untilMessage((message) => textOf(message) === 'before the second came')

    const second = await pair(ada)
    const history = await second.until((e) => e.name === 'messaging-history.set' && e.data)
    expect(history.messages.map(textOf)).toContain('before the second came')
    expect(ada.devices().map(({ id, keyIndex }) => [id, keyIndex])).toEqual([
      [1, 1],
      [2, 2],
    ])

    await bob.send(ada.phoneNumber, 'to all of you')
    const id = idOf(await first.sock.sendMessage(bob.jid, { text: 'from the first' }))
    await ada.send(bob.phoneNumber, 'from the phone')
    for (const client of [first, second]) {
      await client.untilMessage((message) => textOf(message) === 'to all of you')
      const own = await client.untilMessage((message) => textOf(message) === 'from the phone')
      expect(own.key.fromMe).toBe(true)
    }
    const copy = await second.untilMessage((message) => message.key.id === id)
    expect(copy.key.fromMe).toBe(true)
    expect(textOf(copy)).toBe('from the first')
  })

  test('are unlinked one at a time', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const [first, second] = [await pair(ada), await pair(ada)]
    await ada.unlink(1)
    const closed = await first.until(
      (e) => e.name === 'connection.update' && e.data.connection === 'close' && e.data.lastDisconnect,
    )
    expect(statusOf(closed.error)).toBe(515)
    const out = await first.until(
      (e) =>
        e.name === 'connection.update' &&
        statusOf(e.data.lastDisconnect?.error) === DisconnectReason.loggedOut,
    )
    expect(out).toBe(true)
    expect(ada.devices().map(({ id }) => id)).toEqual([2])
    await bob.send(ada.phoneNumber, 'still there?')
    await second.untilMessage((message) => textOf(message) === 'still there?')
    await expect(ada.unlink(7)).rejects.toThrow()
  })
})

describe('a pairing code', () => {
  const ask = async (phone: Phone) => {
    const client = baileysClient(sandbox)
    clients.push(client)
    await client.showQr()
    return { client, code: await client.sock.requestPairingCode(phone.phoneNumber) }
  }

  test('links when it is right', async () => {
    const phone = addPhone('Ada')
    const { client, code } = await ask(phone)
    const open = client.until((e) => e.name === 'connection.update' && e.data.connection === 'open')
    expect(await phone.enterPairingCode(code)).toMatchObject({ id: 1 })
    await open
    await acquainted(client, addPhone())
  })

  test('does not link when it is wrong, and may be tried again', async () => {
    const phone = addPhone()
    const { client, code } = await ask(phone)
    await expect(phone.enterPairingCode(code === 'ABCDEFGH' ? 'ABCDEFGJ' : 'ABCDEFGH')).rejects.toThrow(
      'wrong',
    )
    expect(phone.devices()).toEqual([])
    const open = client.until((e) => e.name === 'connection.update' && e.data.connection === 'open')
    await phone.enterPairingCode(code)
    await open
  })

  test('is not taken when nobody asked for one', async () => {
    await expect(addPhone().enterPairingCode('ABCDEFGH')).rejects.toThrow('No companion has asked')
  })
})

test('a QR code is refused when it is spent or belongs to other keys', async () => {
  const [ada, bob] = [addPhone(), addPhone()]
  const client = baileysClient(sandbox)
  clients.push(client)
  const qr = await client.showQr()
  const fields = qr.split(',')
  const forged = [fields[0], fields[1], Buffer.alloc(32, 7).toString('base64'), ...fields.slice(3)].join(',')
  await expect(ada.scan(forged)).rejects.toThrow('other keys')
  await ada.scan(qr)
  await expect(bob.scan(qr)).rejects.toThrow('No companion')
})

describe('content', () => {
  const PIXEL = Buffer.from(
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
    'base64',
  )

  test('an image goes both ways through the media host', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    const content = {
      type: 'image',
      base64: PIXEL.toString('base64'),
      mimetype: 'image/png',
      caption: 'look',
    } as const
    const { id } = await bob.send(ada.phoneNumber, content)
    const heard = await client.untilMessage((message) => message.key.id === id)
    expect(heard.message?.imageMessage?.caption).toBe('look')
    expect(await downloadMediaMessage(heard, 'buffer', {})).toEqual(PIXEL)

    const said = idOf(
      await client.sock.sendMessage(bob.jid, { image: PIXEL, caption: 'and this', jpegThumbnail: '' }),
    )
    const got = await bob.waitForMessage((message) => message.id === said)
    expect(got).toMatchObject({ kind: 'imageMessage', content: { type: 'image', caption: 'and this' } })
    expect(await bob.download(said)).toEqual(PIXEL)
  })

  test('a file that is gone is uploaded again by the phone that has it', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    const { id } = await bob.send(ada.phoneNumber, {
      type: 'document',
      base64: PIXEL.toString('base64'),
      filename: 'a.png',
    })
    const heard = await client.untilMessage((message) => message.key.id === id)
    await ada.waitForMessage((message) => message.id === id)
    sandbox.server.faults.add({ kind: 'media_gone', all: true })
    await expect(downloadMediaMessage(heard, 'buffer', {})).rejects.toThrow()
    const renewed = await client.sock.updateMediaMessage(heard)
    expect(await downloadMediaMessage(renewed, 'buffer', {})).toEqual(PIXEL)
    sandbox.server.faults.clear()
  })

  test('quotes, mentions, reactions, edits and deletions name what they mean', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    const { id } = await bob.send(ada.phoneNumber, 'question')
    const question = await client.untilMessage((message) => message.key.id === id)
    const answer = await client.sock.sendMessage(
      question.key.remoteJid ?? '',
      { text: 'answer @you', mentions: [bob.jid] },
      { quoted: question },
    )
    expect((await bob.waitForMessage((m) => m.id === answer?.key.id)).content).toMatchObject({
      type: 'text',
      text: 'answer @you',
      quotedMessageId: id,
      mentions: [bob.jid],
    })
    await bob.send(ada.phoneNumber, { type: 'reaction', emoji: '👍', targetMessageId: idOf(answer) })
    const { reaction } = await client.until(
      (e) => e.name === 'messages.reaction' && e.data.find(({ key }) => key.id === answer?.key.id),
    )
    expect(reaction.text).toBe('👍')
    await bob.send(ada.phoneNumber, { type: 'edit', text: 'better question', targetMessageId: id })
    await client.until(
      (e) =>
        e.name === 'messages.update' &&
        e.data.some((u) => u.key.id === id && u.update.message?.editedMessage),
    )
    await bob.send(ada.phoneNumber, { type: 'delete', targetMessageId: id })
    await client.until(
      (e) => e.name === 'messages.update' && e.data.some((u) => u.key.id === id && u.update.message === null),
    )
    const reply = await bob.send(ada.phoneNumber, {
      type: 'text',
      text: 'thanks',
      quotedMessageId: idOf(answer),
    })
    const quoted = await client.untilMessage((message) => message.key.id === reply.id)
    expect(quoted.message?.extendedTextMessage?.contextInfo?.stanzaId).toBe(idOf(answer))
    await expect(
      bob.send(ada.phoneNumber, { type: 'reaction', emoji: 'x', targetMessageId: 'NOSUCHID' }),
    ).rejects.toThrow('NOSUCHID')
  })

  test.each([
    {
      content: { type: 'location', latitude: 52.5, longitude: 13.4, name: 'Berlin' },
      field: 'locationMessage',
    },
    {
      content: { type: 'contact', contacts: [{ fullName: 'Eve', phoneNumber: '+49 1' }] },
      field: 'contactMessage',
    },
    {
      content: { type: 'poll', question: 'Tea?', options: ['yes', 'no'], selectable: 1 },
      field: 'pollCreationMessageV3',
    },
    { content: { type: 'audio', base64: 'AAAA', ptt: true, seconds: 2 }, field: 'audioMessage' },
    { content: { type: 'video', base64: 'AAAA' }, field: 'videoMessage' },
    { content: { type: 'sticker', base64: 'AAAA' }, field: 'stickerMessage' },
  ] satisfies { content: PhoneContent; field: keyof proto.IMessage }[])(
    '$content.type is understood',
    async ({ content, field }) => {
      const [ada, bob] = [addPhone(), addPhone()]
      const client = await pair(ada)
      const { id } = await bob.send(ada.phoneNumber, content)
      const heard = await client.untilMessage((message) => message.key.id === id)
      expect(heard.message?.[field]).toBeTruthy()
      const shown = await ada.waitForMessage((message) => message.id === id)
      expect(shown).toMatchObject({ kind: field, content: { type: content.type } })
    },
  )
})

test('typing is told both ways to those who are there', async () => {
  const [ada, bob] = [addPhone(), addPhone()]
  const client = await pair(ada)
  await acquainted(client, bob)
  await client.sock.sendPresenceUpdate('available')
  bob.typing(ada.phoneNumber)
  await client.until(
    (e) =>
      e.name === 'presence.update' &&
      Object.values(e.data.presences).some((p) => p.lastKnownPresence === 'composing'),
  )
  const heard = new Promise((resolve) => bob.on((e) => e.type === 'chatstate' && resolve(e)))
  await client.sock.sendPresenceUpdate('recording', bob.jid)
  expect(await heard).toMatchObject({ state: 'recording' })
})

describe('when something cannot be read', () => {
  test('a phone does not open what was sealed to a spent pre-key, and gets it again', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    const address = `${bob.lid.split('@')[0]}_1.0`
    const device = sandbox.server.directory.byPhoneNumber(bob.phoneNumber)?.devices.get(0)
    const oldest = device?.preKeys[0]
    const first = idOf(await client.sock.sendMessage(bob.jid, { text: 'opens a session' }))
    await bob.waitForMessage((message) => message.id === first)
    const unreadable: string[] = []
    bob.on((event) => event.type === 'unreadable' && unreadable.push(event.reason))
    // The same one-time key again, as from a server that hands keys out twice.
    if (oldest) device?.preKeys.unshift(oldest)
    await client.auth.keys.set({ session: { [address]: null } })
    const second = idOf(await client.sock.sendMessage(bob.jid, { text: 'sealed to a spent key' }))
    await bob.waitForMessage((message) => message.id === second)
    expect(unreadable).toEqual(['Invalid PreKey ID'])
  })

  test('a companion that lost its session gets the message again', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    await acquainted(client, bob)
    await client.sock.sendMessage(bob.jid, { text: 'so that no pre-key is used' })
    await bob.waitForMessage(({ content }) => content.text === 'so that no pre-key is used')
    await client.auth.keys.set({ session: { [`${bob.lid.split('@')[0]}_1.0`]: null } })
    const { id } = await bob.send(ada.phoneNumber, 'can you read this?')
    await client.untilMessage((message) => message.key.id === id && textOf(message) === 'can you read this?')
  })

  test('a phone asks again, with keys the second time, and gets it', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    await acquainted(client, bob)
    const unreadable: string[] = []
    bob.on((event) => event.type === 'unreadable' && unreadable.push(event.id))
    // The companion's end of the session is put back to an earlier state, as a restored backup would.
    const address = `${bob.lid.split('@')[0]}_1.0`
    await client.sock.sendMessage(bob.jid, { text: 'one' })
    await bob.waitForMessage(({ content }) => content.text === 'one')
    const backup = structuredClone(await client.auth.keys.get('session', [address]))
    await client.sock.sendMessage(bob.jid, { text: 'two' })
    await bob.waitForMessage(({ content }) => content.text === 'two')
    await client.auth.keys.set({ session: backup })
    const id = idOf(await client.sock.sendMessage(bob.jid, { text: 'three' }))
    await bob.waitForMessage((message) => message.id === id && message.content.text === 'three')
    expect(unreadable).toEqual([id])
  })

  test('a companion that got an empty message has it from its own phone', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const { id } = await bob.send(ada.phoneNumber, 'for the phone alone')
    await ada.waitForMessage((message) => message.id === id)
    const client = await pair(ada)
    const t = String(Math.floor(Date.now() / 1000))
    const line = sandbox.server.directory.byPhoneNumber(ada.phoneNumber)?.devices.get(1)?.link
    line?.send({ tag: 'message', attrs: { from: bob.lid, id, type: 'text', t } })
    // Baileys itself waits two seconds before it asks.
    await client.untilMessage((m) => m.key.id === id && textOf(m) === 'for the phone alone')
  }, 15_000)

  test('a message that comes twice is shown once', async () => {
    const [ada, bob] = [addPhone(), addPhone()]
    const client = await pair(ada)
    await acquainted(client, bob)
    const fault = sandbox.server.faults.add({ kind: 'duplicate', phoneNumber: bob.phoneNumber })
    const unreadable: string[] = []
    bob.on((event) => event.type === 'unreadable' && unreadable.push(event.id))
    for (const text of ['one', 'two', 'three']) await client.sock.sendMessage(bob.jid, { text })
    await bob.waitForMessage(({ content }) => content.text === 'three')
    await bob.settled()
    sandbox.server.faults.clear(fault.id)
    expect(bob.messages().map(({ content }) => content.text)).toEqual(['one', 'two', 'three'])
    expect(unreadable).toEqual([])
  })
})

test('a burst of 300 arrives whole and in order', async () => {
  const [ada, bob] = [addPhone(), addPhone()]
  const client = await pair(ada)
  await acquainted(client, bob)
  const texts = Array.from({ length: 300 }, (_, i) => `burst ${i}`)
  await Promise.all(texts.map((text) => bob.send(ada.phoneNumber, text)))
  await client.untilMessage((message) => textOf(message) === 'burst 299')
  expect(client.messages.map(textOf).filter((text) => text?.startsWith('burst'))).toEqual(texts)
})
