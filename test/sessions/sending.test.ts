import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asJid, asMessageId, phoneJid, type SessionId } from '../../src/domain/ids'
import type { Message } from '../../src/domain/message'
import type { SendRequest } from '../../src/domain/sending'
import { SendRefused, SendUnconfirmed } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { ADA, adaPhone } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const text = (said: string) => ({ type: 'text' as const, text: said })
const send = async (id: SessionId, said: string, also: Partial<SendRequest> = {}): Promise<Message> =>
  (await rig.supervisor.send(id, { to: adaPhone, ask: text(said), ...also })).message
type Failure = { code: string; details: Record<string, unknown> }
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: Failure) => ({ code: error.code, details: error.details }),
  )
const sends = () => rig.whatsapp.last().sends
const saidOf = (raw: Uint8Array) => new TextDecoder().decode(raw)
const statusOf = (id: SessionId, message: string) => rig.storage.messages.get(id, message)?.status

describe('sent', () => {
  test('means that WhatsApp’s server has acknowledged', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = send(id, 'hello')
    await settle()
    const [out] = sends()
    expect(statusOf(id, out?.id ?? '')).toBe('queued')
    expect(rig.events(id, 'message.')).toEqual(['message.queued'])
    out?.acknowledge()
    const message = await sending
    expect(message).toMatchObject({ id: out?.id, status: 'sent', viaApi: true, fromMe: true })
    expect(statusOf(id, message.id)).toBe('sent')
    expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.sent'])
    expect(rig.told.at(-1)).toMatchObject({
      messageId: message.id,
      from: 'me',
      to: ADA.phoneNumber,
      type: 'text',
      text: 'hello',
      viaApi: true,
    })
  })

  test('is told once, whichever way the acknowledgement comes, and the echo changes nothing', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = send(id, 'hello')
    await settle()
    const [out] = sends()
    if (!out) throw new Error('nothing was sent')
    const status = { messageId: out.id, status: 'sent' as const, at: rig.clock.now(), error: null }
    rig.whatsapp.last().report({ kind: 'statuses', statuses: [status] })
    expect((await sending).status).toBe('sent')
    out.acknowledge()
    rig.whatsapp.last().message({ id: out.id, fromMe: true, sender: null, status: 'sent' })
    await settle()
    expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.sent'])
  })

  test('then climbs as receipts come', async () => {
    const id = await rig.link()
    const { id: messageId } = await send(id, 'hello')
    for (const status of ['delivered', 'read', 'delivered'] as const)
      rig.whatsapp.last().report({
        kind: 'statuses',
        statuses: [{ messageId, status, at: rig.clock.now(), error: null }],
      })
    await settle()
    expect(statusOf(id, messageId)).toBe('read')
    expect(rig.events(id, 'message.').slice(2)).toEqual(['message.delivered', 'message.read'])
  })
})

describe('who gets it', () => {
  test('a number is asked for once and remembered; its LID becomes the chat', async () => {
    rig.whatsapp.lids.set(ADA.phoneNumber, ADA.lid)
    const id = await rig.link()
    const first = await send(id, 'one')
    await send(id, 'two')
    expect(rig.whatsapp.last().looked).toEqual([ADA.phoneNumber])
    expect(first.chat).toBe(ADA.lid)
    expect(sends()[0]?.to).toBe(adaPhone)
    expect(rig.storage.identities.resolve(id, ADA.lid).phoneNumber).toBe(ADA.phoneNumber)
  })

  test('parallel messages to a new number share one question', async () => {
    const id = await rig.link()
    await Promise.all(['a', 'b', 'c'].map((said) => send(id, said)))
    expect(rig.whatsapp.last().looked).toEqual([ADA.phoneNumber])
  })

  test('a number that is not on WhatsApp: nothing stored, and asked again only after an hour', async () => {
    rig.whatsapp.missing.add(ADA.phoneNumber)
    const id = await rig.link()
    const to = { code: 'NUMBER_NOT_ON_WHATSAPP', details: { phoneNumber: '+49302222222' } }
    expect(await failure(send(id, 'x'))).toEqual(to)
    expect(await failure(send(id, 'x'))).toEqual(to)
    expect(rig.whatsapp.last().looked).toHaveLength(1)
    expect(rig.events(id, 'message.')).toEqual([])
    rig.whatsapp.missing.clear()
    await rig.clock.advance(3_600_001)
    expect((await send(id, 'x')).status).toBe('sent')
  })

  test('groups and LIDs are taken as they are', async () => {
    const id = await rig.link()
    for (const to of [asJid('120363@g.us'), ADA.lid]) await send(id, 'x', { to })
    expect(rig.whatsapp.last().looked).toEqual([])
    expect(sends().map(({ to }) => String(to))).toEqual(['120363@g.us', ADA.lid])
  })

  test('a check that cannot be made does not stop the message', async () => {
    const id = await rig.link()
    rig.whatsapp.last().lookUp = () => Promise.reject(new Error('timed out'))
    expect((await send(id, 'x')).status).toBe('sent')
  })
})

describe('order', () => {
  test('of a chat is the order of the requests; other chats do not wait', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const other = phoneJid('49304444444')
    const all = [
      send(id, 'a1'),
      send(id, 'a2'),
      send(id, 'b1', { to: other }),
      send(id, 'a3'),
      send(id, 'b2', { to: other }),
    ]
    const written: string[] = []
    for (let round = 0; round < 3; round += 1) {
      await settle()
      for (const { raw, acknowledge } of sends().slice(written.length)) {
        written.push(saidOf(raw))
        acknowledge()
      }
    }
    await Promise.all(all)
    expect(written).toEqual(['a1', 'b1', 'a2', 'b2', 'a3'])
  })

  test('a message that is known to have arrived lets the next one go, acknowledged or not', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const both = [send(id, 'first'), send(id, 'second')] as const
    await settle()
    const [first] = sends()
    if (!first) throw new Error('nothing was sent')
    rig.whatsapp.last().report({
      kind: 'statuses',
      statuses: [{ messageId: first.id, status: 'delivered', at: rig.clock.now(), error: null }],
    })
    expect((await both[0]).status).toBe('sent')
    await settle()
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(['first', 'second'])
    sends()[1]?.acknowledge()
    await both[1]
    expect(rig.events(id, 'message.sent')).toHaveLength(2)
  })

  test('holds for a hundred at once', async () => {
    const id = await rig.link()
    await Promise.all(Array.from({ length: 100 }, (_, index) => send(id, String(index))))
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(
      Array.from({ length: 100 }, (_, index) => String(index)),
    )
  })
})

describe('refused', () => {
  test('by WhatsApp: failed with its code, and not tried again', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = failure(send(id, 'x'))
    await settle()
    sends()[0]?.fail(new SendRefused({ code: '463', says: 'Restricted account' }))
    const { code, details } = await sending
    expect(code).toBe('MESSAGE_REJECTED')
    expect(details).toMatchObject({ code: '463', reason: 'Restricted account' })
    expect(statusOf(id, String(details.messageId))).toBe('failed')
    expect(rig.told.at(-1)).toMatchObject({
      event: 'message.failed',
      code: '463',
      error: 'Restricted account',
    })
    await rig.clock.advance(600_000)
    expect(sends()).toHaveLength(1)
  })

  test('by ourselves: tried a few times, then failed', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = failure(send(id, 'x', { waitMs: 600_000 }))
    for (let attempt = 0; attempt < 3; attempt += 1) {
      await settle()
      sends()[attempt]?.fail(new Error('no keys for this device'))
      await rig.clock.advance(30_000)
    }
    expect((await sending).code).toBe('INTERNAL_ERROR')
    expect(new Set(sends().map((one) => one.id)).size).toBe(1)
    expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.failed'])
  })
})

describe('not confirmed', () => {
  test('in time: the caller learns the id, the message stays queued, a late acknowledgement counts', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = failure(send(id, 'x'))
    await rig.clock.advance(20_000)
    const { code, details } = await sending
    expect(code).toBe('MESSAGE_TIMEOUT')
    expect(details).toMatchObject({ messageId: sends()[0]?.id, status: 'queued' })
    expect(statusOf(id, String(details.messageId))).toBe('queued')
    sends()[0]?.acknowledge()
    await settle()
    expect(statusOf(id, String(details.messageId))).toBe('sent')
  })

  test('because the line broke: sent again after the reconnect under the same id, in order, and the caller gets it', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const all = ['one', 'two', 'three'].map((said) => send(id, said))
    await settle()
    const first = sends()[0]
    rig.whatsapp.last().closed('connection_lost', 428)
    rig.whatsapp.acknowledges = true
    await rig.clock.advance(1_000)
    rig.whatsapp.last().opened()
    const messages = await Promise.all(all)
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(['one', 'two', 'three'])
    expect(sends()[0]?.id).toBe(asMessageId(first?.id ?? 'none'))
    expect(messages.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
    expect(rig.events(id, 'message.sent')).toHaveLength(3)
  })

  test('and no way back: callers are told at once that their message waits', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = failure(send(id, 'x'))
    await settle()
    rig.whatsapp.last().closed('banned', 406)
    await settle()
    expect((await sending).code).toBe('MESSAGE_TIMEOUT')
  })

  test('on a living connection: tried again after half a minute, the next ones pass', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = failure(send(id, 'swallowed'))
    await settle()
    const lost = sends()[0]
    await rig.clock.advance(20_000)
    await sending
    rig.whatsapp.acknowledges = true
    lost?.fail(new SendUnconfirmed('no acknowledgement'))
    await settle()
    await send(id, 'next')
    await rig.clock.advance(30_000)
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(['swallowed', 'next', 'swallowed'])
    expect(sends()[2]?.id).toBe(asMessageId(lost?.id ?? 'none'))
    expect(statusOf(id, lost?.id ?? '')).toBe('sent')
  })

  test('on a living connection: what is on the wire at that moment is not written a second time', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    void failure(send(id, 'swallowed'))
    await settle()
    sends()[0]?.fail(new SendUnconfirmed('no acknowledgement'))
    await rig.clock.advance(29_000)
    const other = send(id, 'on the wire', { to: phoneJid('49304444444') })
    await rig.clock.advance(1_000)
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(['swallowed', 'on the wire', 'swallowed'])
    sends()[1]?.acknowledge()
    expect((await other).status).toBe('sent')
    await settle()
    expect(sends()).toHaveLength(3)
  })

  test('over a crash: what was queued goes out again under its id, what was sent does not', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const first = send(id, 'acknowledged')
    await settle()
    sends()[0]?.acknowledge()
    await first
    void failure(send(id, 'lost'))
    void failure(send(id, 'behind it'))
    await settle()
    const lost = sends()[1]?.id
    await rig.crash()
    rig.whatsapp.acknowledges = true
    rig.whatsapp.last().opened()
    await settle()
    expect(sends().map(({ raw }) => saidOf(raw))).toEqual(['lost', 'behind it'])
    expect(sends()[0]?.id).toBe(asMessageId(lost ?? 'none'))
    expect(rig.storage.messages.queued(id)).toEqual([])
  })

  test('for a day: failed, for a message of yesterday is not news', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    void failure(send(id, 'old'))
    await settle()
    const old = sends()[0]?.id ?? ''
    await rig.supervisor.command(id, 'stop')
    await rig.clock.advance(86_400_001)
    await rig.supervisor.command(id, 'start')
    await settle()
    rig.whatsapp.last().opened()
    await settle()
    expect(sends()).toEqual([])
    expect(statusOf(id, old)).toBe('failed')
  })
})

describe('when the session cannot send', () => {
  test('the caller is told its state and what to do', async () => {
    const id = await rig.make()
    expect(await failure(send(id, 'x'))).toEqual({
      code: 'SESSION_NOT_CONNECTED',
      details: { currentStatus: 'inactive', action: 'Start the session first' },
    })
    await rig.supervisor.command(id, 'start')
    await settle()
    expect((await failure(send(id, 'x'))).details.currentStatus).toBe('connecting')
    rig.whatsapp.last().qr()
    await settle()
    expect((await failure(send(id, 'x'))).details).toMatchObject({ action: 'Scan the QR code first' })
  })

  test('a lost connection says what the manual prints', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    expect(await failure(send(id, 'x'))).toEqual({
      code: 'SESSION_NOT_CONNECTED',
      details: {
        currentStatus: 'disconnected',
        action: 'Please restart the session',
        reason: 'connection_lost',
      },
    })
  })

  test('an unlinked device is AUTH_EXPIRED', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('logged_out', 401)
    await settle()
    const { code, details } = await failure(send(id, 'x'))
    expect(code).toBe('AUTH_EXPIRED')
    expect(details).toMatchObject({ currentStatus: 'disconnected', reason: 'logged_out' })
    expect((await failure(send(id, 'x', { queue: true }))).code).toBe('AUTH_EXPIRED')
  })

  test('with queue a message waits for a session that comes back', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    const message = await send(id, 'later', { queue: true })
    expect(message.status).toBe('queued')
    await rig.clock.advance(1_000)
    rig.whatsapp.last().opened()
    await settle()
    expect(sends().map((one) => one.id)).toEqual([message.id])
    expect(statusOf(id, message.id)).toBe('sent')
    await rig.supervisor.command(id, 'stop')
    expect((await failure(send(id, 'x', { queue: true }))).code).toBe('SESSION_NOT_CONNECTED')
  })

  test('with queue a connected session answers at once', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const message = await send(id, 'x', { queue: true })
    expect(message.status).toBe('queued')
    await settle()
    sends()[0]?.acknowledge()
    await settle()
    expect(statusOf(id, message.id)).toBe('sent')
  })

  test('a full queue refuses', async () => {
    const small = await createRig({ maxQueue: 2 })
    small.whatsapp.acknowledges = false
    const id = await small.link()
    const input: SendRequest = { to: adaPhone, ask: text('x'), queue: true }
    await small.supervisor.send(id, input)
    await small.supervisor.send(id, input)
    expect((await failure(small.supervisor.send(id, input))).code).toBe('QUEUE_FULL')
    await small.end()
  })
})

describe('quotes and mentions', () => {
  test('a quoted message is found by its id', async () => {
    const id = await rig.link()
    rig.whatsapp.last().message({ id: asMessageId('Q1'), content: text('question') })
    await settle()
    const message = await send(id, 'answer', { quotedMessageId: 'Q1', mentions: [adaPhone] })
    expect(message.quoted).toEqual({ messageId: 'Q1', from: ADA.phoneNumber, text: 'question' })
    expect(message.mentions).toEqual([ADA.phoneNumber])
    expect(rig.whatsapp.encodings.at(-1)).toEqual({
      me: asJid('999@lid'),
      chat: adaPhone,
      mentions: [adaPhone],
      quoted: { id: 'Q1', raw: new Uint8Array([1, 2, 3]), chat: adaPhone, sender: adaPhone, fromMe: false },
      target: null,
      extra: {},
      thumbnail: null,
      now: rig.clock.now(),
    })
  })

  test('an unknown one is refused before anything is stored', async () => {
    const id = await rig.link()
    expect((await failure(send(id, 'x', { quotedMessageId: 'NOPE' }))).code).toBe('MESSAGE_NOT_FOUND')
    expect(rig.events(id, 'message.')).toEqual([])
  })
})
