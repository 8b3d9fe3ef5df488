import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { makeWASocket, type WAMessage } from '@whiskeysockets/baileys'
import { asJid } from '../../src/domain/ids'
import { type Clock, systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { Phone } from '../../src/sandbox/phone'
import { openAuthState } from '../../src/whatsapp/baileys/auth-state'
import { PLAINTEXT_KEPT_MS } from '../../src/whatsapp/baileys/inbound-journal'
import { baileysLogger } from '../../src/whatsapp/baileys/logger'
import { until } from '../harness/measure'
import { context, createWorld, remember, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession

/** Added to the time of day. */
let later = 0
const clock: Clock = { ...systemClock, now: () => Date.now() + later }

beforeEach(async () => {
  later = 0
  world = await createWorld({ network: { clock, watch: { everyMs: 5, silentMs: 60_000, answerMs: 1_000 } } })
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
})
afterEach(() => world.stop())

const texts = (of: TestSession, since = 0) =>
  of.reports
    .slice(since)
    .flatMap((report) => (report.kind === 'messages' ? report.messages : []))
    .map(({ content }) => (content.type === 'text' ? content.text : content.type))

/** What the companion of this number has said to the server. */
const said = (phoneNumber: string, tag: string, after = 0) =>
  world.server.log
    .entries({ phoneNumber, tag, after })
    .filter(({ direction, deviceId }) => direction === 'in' && deviceId !== 0)
    .map(({ stanza }) => stanza)

/** Resolves when the server has got so many receipts for a message. */
const receipts = (id: string, count: number) =>
  until(`${count} receipts`, () =>
    said('491700000001', 'receipt').filter(({ attrs }) => attrs.id === id).length >= count ? true : null,
  )

const lastSeq = () => world.server.log.entries().at(-1)?.seq ?? 0

/** Ends the present connection and opens the next on what is on disk. */
async function reopen(of: TestSession): Promise<void> {
  await of.connection.close()
  of.vault = of.vault.next()
  const opened = of.next('opened')
  of.open()
  await opened
}

describe('the inbound journal', () => {
  test('a message that was receipted but not stored is reported again after a restart', async () => {
    session.recording = false
    const first = session.next('messages')
    const { id } = await bob.send(alice.jid, 'do not lose me')
    await first
    await receipts(id, 1)
    expect(session.vault.inbox().length).toBeGreaterThan(0)

    const again = session.next('messages', ({ messages }) => (messages[0]?.id as string) === id)
    await reopen(session)
    const [message] = (await again).messages
    expect(message?.content).toEqual({ type: 'text', text: 'do not lose me' })
    expect(message?.offline).toBe(true)
    expect(message?.sender).toEqual({ lid: asJid(bob.lid), phoneNumber: bob.phoneNumber })

    session.recording = true
    await session.vault.discard([message?.inboxId ?? 0])
    const since = session.reports.length
    await reopen(session)
    const marker = session.next('messages')
    await bob.send(alice.jid, 'marker')
    await marker
    expect(texts(session, since)).toEqual(['marker'])
  })

  test('a row goes with its message, and stanzas without a message are told as handled', async () => {
    const arrived = session.next('messages')
    await bob.send(alice.jid, 'hello')
    const [message] = (await arrived).messages
    expect(message?.inboxId).toBeGreaterThan(0)
    // The key share and the history that the phone sent after linking hold nothing to store.
    expect(session.of('handled').length).toBeGreaterThan(0)
    await session.connection.close()
    expect(session.vault.inbox()).toEqual([])
  })

  test('what comes while a connection is being closed is not let in, and comes again; nothing is left half-done', async () => {
    const arrived = session.next('messages')
    await bob.send(alice.jid, 'hello')
    await arrived
    await until('nothing to be handled', () => (session.vault.inbox().length === 0 ? true : null))
    const before = session.reports.length
    // The first is on disk and not handled until the gate opens.
    const gate = Promise.withResolvers<void>()
    const { vault } = session
    let letIn = 0
    vault.onReceive(async () => {
      letIn += 1
      await gate.promise
    })
    await bob.send(alice.jid, 'taken')
    await until('the first', () => (letIn > 0 ? true : null))
    const closing = session.connection.close()
    const atClosing = letIn
    const { id } = await bob.send(alice.jid, 'too late')
    const isOut = () =>
      world.server.log
        .entries({ phoneNumber: '491700000001', tag: 'message' })
        .some(
          ({ direction, stanza, deviceId }) =>
            direction === 'out' && deviceId !== 0 && stanza.attrs.id === id,
        )
    await until('the second on its way', () => (isOut() ? true : null))
    await Bun.sleep(20)
    gate.resolve()
    await closing
    expect(letIn).toBe(atClosing)
    expect(vault.inbox()).toEqual([])
    expect(texts(session, before)).toEqual(['taken'])
    const again = session.next('messages')
    await reopen(session)
    await again
    expect(texts(session, before)).toEqual(['taken', 'too late'])
  })

  test('a journal that refuses a stanza ends the socket before any receipt', async () => {
    const after = lastSeq()
    session.vault.onReceive(() => {
      throw new Error('disk full')
    })
    const closed = session.next('closed')
    const { id } = await bob.send(alice.jid, 'cannot be written')
    expect((await closed).why.reason).toBe('storage_failed')
    expect(said('491700000001', 'receipt', after).filter(({ attrs }) => attrs.id === id)).toEqual([])
    expect(said('491700000001', 'ack', after).filter(({ attrs }) => attrs.id === id)).toEqual([])

    session.vault = session.vault.next()
    const delivered = session.next('messages')
    session.open()
    expect((await delivered).messages[0]?.id as string).toBe(id)
  })

  test('a ratchet that cannot be stored ends the socket before any receipt', async () => {
    const after = lastSeq()
    session.vault.onCommit((writes) => {
      if (writes.some(({ type }) => type === 'session')) throw new Error('disk full')
    })
    const closed = session.next('closed')
    const { id } = await bob.send(alice.jid, 'cannot be decrypted')
    expect((await closed).why.reason).toBe('storage_failed')
    expect(said('491700000001', 'receipt', after).filter(({ attrs }) => attrs.id === id)).toEqual([])

    session.vault = session.vault.next()
    const delivered = session.next('messages')
    session.open()
    expect((await delivered).messages[0]?.id as string).toBe(id)
  })

  test('plaintext and ratchet are one commit', async () => {
    const batches: string[][] = []
    session.vault.onCommit((writes) => void batches.push(writes.map(({ type }) => type)))
    const arrived = session.next('messages')
    await bob.send(alice.jid, 'hello')
    await arrived
    const withPlaintext = batches.filter((types) => types.includes('plaintext'))
    expect(withPlaintext.length).toBe(1)
    expect(withPlaintext[0]).toContain('session')
  })

  test('plaintexts go once their messages are stored and old, never before', async () => {
    const first = session.next('messages')
    await bob.send(alice.jid, 'stored')
    await first
    await until('an empty inbox', () => (session.vault.inbox().length === 0 ? true : null))
    session.recording = false
    const arrived = session.next('messages')
    await bob.send(alice.jid, 'kept')
    const [message] = (await arrived).messages
    await session.vault.discard(session.of('handled').flatMap(({ inboxIds }) => inboxIds))
    const plaintexts = () => session.vault.ids('plaintext').length
    later = PLAINTEXT_KEPT_MS + 1_000
    await until('the older ones to go', () => (plaintexts() === 1 ? true : null))
    await Bun.sleep(200)
    expect(plaintexts()).toBe(1)
    await session.vault.discard([message?.inboxId ?? 0])
    await until('the last to go', () => (plaintexts() === 0 ? true : null))
  })

  test('a stanza delivered twice is receipted twice and never refused', async () => {
    world.server.faults.add({ kind: 'duplicate', all: true })
    const after = lastSeq()
    const { id } = await bob.send(alice.jid, 'twice')
    const marker = session.next(
      'messages',
      ({ messages }) => messages[0]?.content.type === 'text' && messages[0].content.text === 'marker',
      0,
    )
    await bob.send(alice.jid, 'marker')
    await marker
    await receipts(id, 2)
    expect(said('491700000001', 'ack', after).filter(({ attrs }) => attrs.error !== undefined)).toEqual([])
    expect(said('491700000001', 'receipt', after).filter(({ attrs }) => attrs.type === 'retry')).toEqual([])
  })

  test('messages sent while we were away are reported as offline, in order, each once', async () => {
    await session.connection.close()
    const sent: string[] = []
    for (let index = 0; index < 20; index += 1) sent.push((await bob.send(alice.jid, `offline ${index}`)).id)
    const since = session.reports.length
    session.vault = session.vault.next()
    const last = session.next('messages', ({ messages }) => messages[0]?.id === sent.at(-1))
    session.open()
    await last
    const messages = session.reports
      .slice(since)
      .flatMap((report) => (report.kind === 'messages' ? report.messages : []))
    expect(messages.map(({ id }) => id as string)).toEqual(sent)
    expect(messages.every(({ offline }) => offline)).toBe(true)
  })

  test('a drop in the middle of the backlog loses nothing', async () => {
    await session.connection.close()
    const sent: string[] = []
    for (let index = 0; index < 30; index += 1) sent.push((await bob.send(alice.jid, `backlog ${index}`)).id)
    const since = session.reports.length
    session.vault = session.vault.next()
    const tenth = session.next('messages', ({ messages }) => messages[0]?.id === sent[9])
    session.open()
    await tenth
    const closed = session.next('closed')
    world.server.faults.add({ kind: 'drop', phoneNumber: '491700000001' })
    await closed
    session.vault = session.vault.next()
    const last = session.next('messages', ({ messages }) => messages[0]?.id === sent.at(-1))
    session.open()
    await last
    const got = session.reports
      .slice(since)
      .flatMap((report) => (report.kind === 'messages' ? report.messages : []))
    expect(new Set(got.map(({ id }) => id as string))).toEqual(new Set(sent))
  })

  test('what is done to messages is reported once, and once more after a crash, votes opened', async () => {
    const poll = { type: 'poll' as const, question: '?', options: ['a', 'b'], selectable: 1 }
    const raw = world.network.encode(poll, context({ chat: asJid(bob.lid), me: asJid(alice.lid) }))
    const id = world.network.newMessageId()
    remember(session, id, raw)
    await session.connection.send({ id, to: asJid(bob.lid), raw })
    await bob.waitForMessage((message) => message.id === id)
    const { id: text } = await bob.send(alice.jid, 'frist')
    await session.next('messages', ({ messages }) => messages[0]?.id === text, 0)

    session.recording = false
    const done: PhoneContent[] = [
      { type: 'vote', targetMessageId: id, options: ['b'] },
      { type: 'reaction', targetMessageId: id, emoji: '👍' },
      { type: 'edit', targetMessageId: text, text: 'first' },
      { type: 'pin', targetMessageId: id, pinned: true, seconds: 86_400 },
      { type: 'delete', targetMessageId: text },
    ]
    const ids: string[] = []
    for (const content of done) ids.push((await bob.send(alice.jid, content)).id)
    const contents = (since: number) =>
      session.reports
        .slice(since)
        .flatMap((report) => (report.kind === 'messages' ? report.messages : []))
        .filter((message) => ids.includes(message.id))
        .map(({ content }) => content)
    await until('all of it', () => (contents(0).length >= done.length ? true : null))
    expect(contents(0)).toEqual(done as never)

    const since = session.reports.length
    await reopen(session)
    await until('all of it again', () => (contents(since).length >= done.length ? true : null))
    const marker = session.next('messages', ({ messages }) => messages[0]?.content.type === 'text')
    await bob.send(alice.jid, 'marker')
    await marker
    expect(contents(since)).toEqual(done as never)
  })

  test('a history that was not stored is told again after a crash', async () => {
    const carol = world.phone('491700000003')
    const { id } = await carol.send(bob.jid, 'before linking')
    await bob.waitForMessage((message) => message.id === id)
    const late = world.session()
    late.recording = false
    late.open()
    const { text } = await late.next('qr', undefined, 0)
    const closed = late.next('closed')
    await bob.scan(text)
    await closed
    const histories = (since: number) =>
      late.reports
        .slice(since)
        .flatMap((report) => (report.kind === 'history' ? report.messages : []))
        .filter((message) => (message.id as string) === id)
    await reopen(late)
    await until('the history', () => (histories(0).length > 0 ? true : null))
    await until('its stanza to be done', () => (late.of('handled').length > 0 ? true : null))
    const since = late.reports.length
    await reopen(late)
    await until('the history again', () => (histories(since).length > 0 ? true : null))
    expect(late.of('messages')).toEqual([])
  })

  test('a message by another own device is ours, in its chat', async () => {
    const arrived = session.next('messages')
    await alice.send(bob.jid, 'from my phone')
    const [message] = (await arrived).messages
    expect(message).toEqual(
      expect.objectContaining({
        fromMe: true,
        sender: null,
        status: 'sent',
        chatParty: { lid: bob.lid, phoneNumber: bob.phoneNumber },
      }),
    )
  })
})

describe('upstream', () => {
  /** Stock Baileys on the same credentials: receipts of `crashed` leave, but nobody stored the messages. */
  test('upstream: what was receipted before a crash never comes again', async () => {
    await session.connection.close()
    session.vault = session.vault.next()
    const messages: WAMessage[] = []
    const open = async () => {
      const auth = openAuthState(session.vault, () => undefined)
      const sock = makeWASocket({ auth, logger: baileysLogger(silentLog), waWebSocketUrl: world.server.url })
      const { promise, resolve } = Promise.withResolvers<void>()
      sock.ev.on('creds.update', () => void auth.saveCreds())
      sock.ev.on('messages.upsert', (upsert) => messages.push(...upsert.messages))
      sock.ev.on(
        'connection.update',
        ({ receivedPendingNotifications }) => receivedPendingNotifications && resolve(),
      )
      await promise
      return sock
    }
    const crashed = await open()
    const { id } = await bob.send(alice.jid, 'lost')
    await receipts(id, 1)
    crashed.ev.removeAllListeners('messages.upsert')
    await crashed.end(undefined)
    messages.length = 0

    const restarted = await open()
    await bob.send(alice.jid, 'marker')
    await until('the marker', () =>
      messages.some(({ message }) => message?.conversation === 'marker') ? true : null,
    )
    expect(messages.filter(({ message }) => message?.conversation === 'lost')).toEqual([])
    await restarted.end(undefined)
  })
})
