import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { makeWASocket, proto } from '@whiskeysockets/baileys'
import { asJid, asMessageId } from '../../src/domain/ids'
import { SendRefused, SendUnconfirmed } from '../../src/domain/whatsapp'
import { silentLog } from '../../src/lib/log'
import type { Phone } from '../../src/sandbox/phone'
import { openAuthState } from '../../src/whatsapp/baileys/auth-state'
import { baileysLogger } from '../../src/whatsapp/baileys/logger'
import { until } from '../harness/measure'
import { context, createWorld, remember, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession

beforeAll(async () => {
  world = await createWorld({ network: { ackTimeoutMs: 400 } })
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
})
afterAll(() => world.stop())

const textOf = ({ content }: { content: { type: string } & Record<string, unknown> }) => content.text
const heard = (phone: Phone, text: string) => phone.waitForMessage((message) => textOf(message) === text)

describe('sending', () => {
  test('resolves with the server’s acknowledgement; receipts climb', async () => {
    const delivered = session.next('statuses', ({ statuses }) => statuses[0]?.status === 'delivered')
    const { id, acknowledged } = world.say(session, bob.jid, 'climb')
    await acknowledged
    expect((await delivered).statuses[0]?.messageId).toBe(asMessageId(id))
    const read = session.next('statuses', ({ statuses }) => statuses[0]?.status === 'read')
    await heard(bob, 'climb')
    await bob.read(id)
    expect((await read).statuses[0]?.messageId).toBe(asMessageId(id))
  })

  test('a refusal rejects with WhatsApp’s code, once', async () => {
    world.server.faults.add({
      kind: 'reject_messages',
      phoneNumber: alice.phoneNumber,
      code: 463,
    })
    const since = session.reports.length
    const { acknowledged } = world.say(session, bob.jid, 'refused')
    const error = await acknowledged.catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(SendRefused)
    expect((error as SendRefused).refusal).toEqual({
      code: '463',
      says: expect.stringContaining('restricted'),
    })
    world.server.faults.clear()
    await world.say(session, bob.jid, 'after the refusal').acknowledged
    expect(
      session.reports
        .slice(since)
        .filter((report) => report.kind === 'statuses' && report.statuses[0]?.status === 'failed'),
    ).toEqual([])
  })

  test('without an acknowledgement in time the outcome is unknown; a late one is told', async () => {
    world.server.faults.add({ kind: 'slow_ack', phoneNumber: alice.phoneNumber, ms: 900 })
    const late = session.next('statuses', ({ statuses }) => statuses[0]?.status === 'sent')
    const { id, acknowledged } = world.say(session, bob.jid, 'slow')
    expect(acknowledged).rejects.toBeInstanceOf(SendUnconfirmed)
    await acknowledged.catch(() => undefined)
    expect((await late).statuses[0]?.messageId).toBe(asMessageId(id))
    world.server.faults.clear()
  })

  test('the same id sent twice is one message', async () => {
    const raw = world.network.encode({ type: 'text', text: 'once' }, context())
    const id = world.network.newMessageId()
    await session.connection.send({ id, to: asJid(bob.jid), raw })
    await session.connection.send({ id, to: asJid(bob.jid), raw })
    await world.say(session, bob.jid, 'after once').acknowledged
    await heard(bob, 'after once')
    await bob.settled()
    expect(bob.messages().filter((message) => textOf(message) === 'once').length).toBe(1)
  })

  /** Message stanzas of the session that have reached the server since `after`. */
  const atServer = (after: number) =>
    world.server.log
      .entries({ after, phoneNumber: alice.phoneNumber, tag: 'message' })
      .filter(({ direction, deviceId }) => direction === 'in' && deviceId !== 0).length

  test('the message’s own commit is on disk before it is on the wire', async () => {
    const raw = world.network.encode({ type: 'text', text: 'waits' }, context())
    const stored = Promise.withResolvers<void>()
    const ratchet = Promise.withResolvers<void>()
    session.vault.onCommit((writes) => {
      if (writes.some(({ type }) => type === 'session')) ratchet.resolve()
    })
    const after = world.server.log.entries().at(-1)?.seq ?? 0
    const id = world.network.newMessageId()
    const sent = session.connection.send({ id, to: asJid(bob.jid), raw, stored: stored.promise })
    // Ready for the wire; the pause is what a message that did not wait would need by far.
    await ratchet.promise
    session.vault.onCommit(() => undefined)
    await Bun.sleep(20)
    expect(atServer(after)).toBe(0)
    stored.resolve()
    await sent
    expect(atServer(after)).toBe(1)
  })

  test('the ratchet is on disk before its message is on the wire', async () => {
    const order: string[] = []
    session.vault.onCommit(async (writes) => {
      if (!writes.some(({ type }) => type === 'session')) return
      await Bun.sleep(30)
      order.push('committed')
    })
    const after = world.server.log.entries().at(-1)?.seq ?? 0
    const { acknowledged } = world.say(session, bob.jid, 'in order')
    await until(
      'the message at the server',
      () => {
        const there = world.server.log
          .entries({ after, phoneNumber: alice.phoneNumber, tag: 'message' })
          .some(({ direction, deviceId }) => direction === 'in' && deviceId !== 0)
        return there ? true : null
      },
      5_000,
      1,
    )
    order.push('on the wire')
    await acknowledged
    session.vault.onCommit(() => undefined)
    expect(order.indexOf('on the wire')).toBe(order.length - 1)
    expect(order.length).toBeGreaterThan(1)
  })

  test('a quote and a mention arrive, and come back', async () => {
    const { id: original } = await bob.send(alice.jid, 'quote me')
    const incoming = await until(
      'the message',
      () =>
        session
          .of('messages')
          .flatMap(({ messages }) => messages)
          .find((message) => message.id === asMessageId(original)) ?? null,
    )
    const raw = world.network.encode(
      { type: 'text', text: 'as you said @491700000002' },
      context({
        chat: asJid(bob.jid),
        mentions: [asJid(bob.jid)],
        quoted: {
          id: original,
          raw: incoming.raw,
          chat: asJid(bob.jid),
          sender: asJid(bob.lid),
          fromMe: false,
        },
      }),
    )
    const id = world.network.newMessageId()
    const arrived = bob.waitForMessage((message) => message.id === id)
    await session.connection.send({ id, to: asJid(bob.jid), raw })
    expect((await arrived).content).toEqual(
      expect.objectContaining({ text: 'as you said @491700000002', quotedMessageId: original }),
    )
    const answer = session.next('messages')
    await bob.send(alice.jid, { type: 'text', text: 'right', quotedMessageId: id })
    const [message] = (await answer).messages
    expect(message?.quoted).toEqual({ messageId: id, from: 'me', text: 'as you said @491700000002' })
  })

  /** Sends with a spent key, which the phone cannot read; resolves when it has asked for the message again. */
  async function sendUnreadable(text: string, isRemembered: boolean) {
    const before = session.vault.get('session', session.vault.ids('session'))
    await world.say(session, bob.jid, `before ${text}`).acknowledged
    await heard(bob, `before ${text}`)
    await session.vault.commit([...before].map(([id, value]) => ({ type: 'session', id, value })))
    const raw = world.network.encode({ type: 'text', text }, context())
    const id = world.network.newMessageId()
    if (isRemembered) remember(session, id, raw)
    await session.connection.send({ id, to: asJid(bob.jid), raw })
    await until('the retry receipt', () => {
      const retries = world.server.log
        .entries({ phoneNumber: alice.phoneNumber, tag: 'receipt' })
        .filter(
          ({ direction, stanza }) =>
            direction === 'out' && stanza.attrs.type === 'retry' && stanza.attrs.id === id,
        )
      return retries.length > 0 ? true : null
    })
    return id
  }

  test('a retry is answered from what was stored', async () => {
    const arrived = heard(bob, 'again please')
    const id = await sendUnreadable('again please', true)
    expect((await arrived).id).toBe(id)
  })

  test('upstream: without a stored message the retry stays unanswered', async () => {
    await sendUnreadable('gone', false)
    await bob.send(alice.jid, 'marker')
    await world.say(session, bob.jid, 'after the retry').acknowledged.catch(() => undefined)
    await bob.settled()
    expect(bob.messages().filter((message) => textOf(message) === 'gone')).toEqual([])
  })

  test('groups: both directions, with the sender by both names', async () => {
    const carol = world.phone('491700000003')
    const group = await bob.createGroup('Plans', [alice.jid, carol.jid])
    const incoming = session.next('messages')
    await bob.send(group.jid, 'to all')
    const [message] = (await incoming).messages
    expect(message).toEqual(
      expect.objectContaining({
        chat: group.jid,
        chatParty: { lid: null, phoneNumber: null },
        sender: { lid: bob.lid, phoneNumber: bob.phoneNumber },
        content: { type: 'text', text: 'to all' },
      }),
    )
    const [atBob, atCarol] = [heard(bob, 'from the session'), heard(carol, 'from the session')]
    await world.say(session, group.jid, 'from the session').acknowledged
    expect((await atBob).chat).toBe(group.jid)
    await atCarol
  })

  test('looks numbers up', async () => {
    const found = await session.connection.lookUp([bob.phoneNumber, '491799999999'])
    expect(found).toEqual([
      { phoneNumber: bob.phoneNumber, exists: true, lid: asJid(bob.lid) },
      { phoneNumber: '491799999999', exists: false, lid: null },
    ])
  })

  test('what is under way when the connection ends is unconfirmed', async () => {
    world.server.faults.add({ kind: 'slow_ack', phoneNumber: alice.phoneNumber, ms: 60_000 })
    const { acknowledged } = world.say(session, bob.jid, 'never acknowledged')
    const closed = session.next('closed')
    await heard(bob, 'never acknowledged')
    world.server.faults.add({ kind: 'drop', phoneNumber: alice.phoneNumber })
    expect(acknowledged).rejects.toBeInstanceOf(SendUnconfirmed)
    await closed
    world.server.faults.clear()
    expect(world.say(session, bob.jid, 'too late').acknowledged).rejects.toBeInstanceOf(SendUnconfirmed)
  })
})

describe('upstream', () => {
  test('upstream: stock Baileys tells nothing of the server’s acknowledgement', async () => {
    const dora = world.phone('491700000004')
    const stock = await world.linked(dora)
    await stock.connection.close()
    stock.vault = stock.vault.next()
    const auth = openAuthState(stock.vault, () => undefined)
    const sock = makeWASocket({ auth, logger: baileysLogger(silentLog), waWebSocketUrl: world.server.url })
    const opened = Promise.withResolvers<void>()
    sock.ev.on('connection.update', ({ connection }) => connection === 'open' && opened.resolve())
    await opened.promise
    const sent: number[] = []
    const events: unknown[] = []
    sock.ev.on('messages.update', (updates) => events.push(...updates.map(({ update }) => update.status)))
    const acknowledged = Promise.withResolvers<void>()
    sock.ws.on('CB:ack,class:message', () => acknowledged.resolve())
    sock.ev.on('messages.upsert', ({ messages }) => sent.push(...messages.map(({ status }) => status ?? 0)))
    await sock.sendMessage('491799990000@s.whatsapp.net', { text: 'to nobody' }).catch(() => undefined)
    await sock.sendMessage(bob.jid, { text: 'hello' })
    await acknowledged.promise
    expect(events).not.toContain(proto.WebMessageInfo.Status.SERVER_ACK)
    expect(sent).not.toContain(proto.WebMessageInfo.Status.SERVER_ACK)
    await sock.end(undefined)
  })
})

test('a message whose own commit fails never leaves, and the connection ends', async () => {
  const carol = world.phone('491700000003')
  const other = await world.linked(carol)
  const raw = world.network.encode({ type: 'text', text: 'unstored' }, context())
  const closed = other.next('closed')
  const id = world.network.newMessageId()
  const stored = Promise.reject(new Error('the disk is full'))
  const outcome = await other.connection
    .send({ id, to: asJid(bob.jid), raw, stored })
    .catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(SendUnconfirmed)
  expect((await closed).why.reason).toBe('storage_failed')
  await bob.settled()
  expect(bob.messages().filter((message) => textOf(message) === 'unstored')).toEqual([])
})
