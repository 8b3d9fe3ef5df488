/** Messages that a recipient could not read and asks for again: what is stored now is sent, or nothing. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asJid } from '../../src/domain/ids'
import type { Phone } from '../../src/sandbox/phone'
import { until } from '../harness/measure'
import { pointed } from './content/samples'
import { stockBaileys } from './support/stock'
import { context, createWorld, forget, remember, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession

beforeEach(async () => {
  world = await createWorld()
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
})
afterEach(() => world.stop())

const texts = () => bob.messages().map(({ content }) => content.text)
const heard = (text: string) => bob.waitForMessage(({ content }) => content.text === text)

/** The ratchets with Bob’s devices; our own phone shall go on reading. */
const withBob = ({ vault }: TestSession) =>
  vault.get(
    'session',
    vault.ids('session').filter((id) => id.startsWith(bob.lid.split('@')[0] ?? '')),
  )

/** Says something with a spent key while the phone is away, so that it will not be able to read it. */
async function sayUnreadable(text: string): Promise<string> {
  await world.say(session, bob.lid, `before ${text}`).acknowledged
  await heard(`before ${text}`)
  const before = withBob(session)
  await world.say(session, bob.lid, 'spends the key').acknowledged
  await heard('spends the key')
  await session.vault.commit([...before].map(([id, value]) => ({ type: 'session', id, value })))
  bob.setReachable(false)
  const { id, acknowledged } = world.say(session, bob.lid, text)
  await acknowledged
  return id
}

/** Resolves when the request for this message has been dealt with: a later one of the same kind is. */
async function askedAgain(id: string): Promise<void> {
  bob.setReachable(true)
  await until('the retry receipt', () => {
    const receipts = world.server.log.entries({ phoneNumber: alice.phoneNumber, tag: 'receipt' })
    const acks = world.server.log.entries({ phoneNumber: alice.phoneNumber, tag: 'ack' })
    const asked = receipts.some(({ direction, stanza }) => direction === 'out' && isRetry(stanza.attrs, id))
    const done = acks.some(({ direction, stanza }) => direction === 'in' && isRetry(stanza.attrs, id))
    return asked && done ? true : null
  })
}
const isRetry = (attrs: Record<string, string>, id: string) => attrs.type === 'retry' && attrs.id === id

/** How often a message has come to the server. */
const times = (id: string) =>
  world.server.log
    .entries({ phoneNumber: alice.phoneNumber, tag: 'message' })
    .filter(({ direction, stanza }) => direction === 'in' && stanza.attrs.id === id).length

async function restart(): Promise<void> {
  await session.connection.close()
  session.vault = session.vault.next()
  const opened = session.next('opened')
  session.open()
  await opened
}

describe('a recipient who asks again', () => {
  test('after our restart is answered from what is stored', async () => {
    const id = await sayUnreadable('kept over a restart')
    await restart()
    bob.setReachable(true)
    expect((await heard('kept over a restart')).id).toBe(id)
  })

  test('for something we do not have gets nothing', async () => {
    const id = await sayUnreadable('lost')
    forget(session, id)
    await restart()
    await askedAgain(id)
    expect(times(id)).toBe(1)
  })

  test('after new words gets the new words', async () => {
    const id = await sayUnreadable('old words')
    remember(session, id, pointed({ type: 'text', text: 'new words' }).raw)
    bob.setReachable(true)
    expect((await heard('new words')).id).toBe(id)
    expect(texts()).not.toContain('old words')
  })

  test('for what was taken back gets nothing, while memory still has it', async () => {
    const id = await sayUnreadable('taken back')
    const target = { ...pointed({ type: 'text', text: 'x' }), id, fromMe: true }
    const around = context({ chat: asJid(bob.lid), target })
    const raw = world.network.encode({ type: 'delete', targetMessageId: id }, around)
    forget(session, id)
    await session.connection.send({ id: world.network.newMessageId(), to: asJid(bob.lid), raw })
    await askedAgain(id)
    expect(times(id)).toBe(1)
    expect(texts()).not.toContain('taken back')
  })
})

test('upstream: stock Baileys sends again what was taken back', async () => {
  const stock = await stockBaileys(world, alice)
  await stock.sock.sendMessage(bob.lid, { text: 'first', linkPreview: null })
  await heard('first')
  const before = withBob(stock.session)
  await stock.sock.sendMessage(bob.lid, { text: 'spends the key', linkPreview: null })
  await heard('spends the key')
  await stock.session.vault.commit([...before].map(([id, value]) => ({ type: 'session', id, value })))
  bob.setReachable(false)
  const sent = await stock.sock.sendMessage(bob.lid, { text: 'taken back', linkPreview: null })
  // Baileys writes into the key that it has handed out.
  const key = { ...sent?.key }
  await stock.sock.sendMessage(bob.lid, { delete: { ...key } })
  bob.setReachable(true)
  await until('the message again', () => (times(key.id ?? '') > 1 ? true : null))
  await stock.end()
})
