/** What concerns the account beside messages: stars, reading marks, presence, restrictions, and the phone's history. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { asJid, asMessageId } from '../../src/domain/ids'
import type { IncomingMessage } from '../../src/domain/whatsapp'
import type { Phone } from '../../src/sandbox/phone'
import { until } from '../harness/measure'
import { POLL } from './content/samples'
import { createWorld, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let bob: Phone
let session: TestSession
let second: TestSession

beforeAll(async () => {
  world = await createWorld()
  alice = world.phone('491700000001')
  bob = world.phone('491700000002')
  session = await world.linked(alice)
  second = await world.linked(alice)
})
afterAll(() => world.stop())

const received = (at: TestSession, id: string): Promise<IncomingMessage> =>
  until(`message ${id}`, () => {
    const all = at.of('messages').flatMap(({ messages }) => messages)
    return all.find((message) => message.id === asMessageId(id)) ?? null
  })
/** What the session's companion has said to the server. */
const said = (tag: string, fits: (attrs: Record<string, string>) => boolean) =>
  until(`a <${tag}>`, () => {
    const logged = world.server.log.entries({ phoneNumber: alice.phoneNumber, tag })
    const own = logged.filter(({ direction, deviceId }) => direction === 'in' && deviceId !== 0)
    return own.find(({ stanza }) => fits(stanza.attrs))?.stanza ?? null
  })

describe('stars', () => {
  const starAt = (at: TestSession, id: string, starred: boolean) =>
    until(`star ${id} ${starred}`, () => {
      const all = at.of('stars').flatMap(({ stars }) => stars)
      return all.find((star) => star.messageId === asMessageId(id) && star.starred === starred) ?? null
    })

  test('are set and taken away on all devices of the account, and told', async () => {
    // The keys of what devices share come from the phone, after the first history.
    await until('keys', () => (session.of('history').length > 0 ? true : null))
    const { id } = await bob.send(alice.jid, 'a star for this')
    const message = await received(session, id)
    const ref = { id, chat: message.chat, fromMe: false, sender: asJid(bob.lid) }
    await session.connection.star(ref, true)
    expect(await starAt(session, id, true)).toMatchObject({ fromMe: false })
    expect(await starAt(second, id, true)).toMatchObject({ fromMe: false })
    await second.connection.star(ref, false)
    await starAt(second, id, false)
    await starAt(session, id, false)
  })

  test('in a group name the author, without whom no other device finds the message', async () => {
    const group = await bob.createGroup('Stars', [alice.jid])
    const { id } = await bob.send(group.jid, 'in the group')
    await received(second, id)
    const ref = { id, chat: asJid(group.jid), fromMe: false, sender: asJid(bob.lid) }
    await session.connection.star(ref, true)
    await starAt(second, id, true)
  })
})

test('reading marks go to the authors, in groups by author', async () => {
  const group = await bob.createGroup('Read', [alice.jid])
  const direct = await bob.send(alice.jid, 'read me')
  const shared = await bob.send(group.jid, 'read me too')
  const refs = [
    { id: direct.id, chat: (await received(session, direct.id)).chat, fromMe: false, sender: asJid(bob.lid) },
    { id: shared.id, chat: asJid(group.jid), fromMe: false, sender: asJid(bob.lid) },
  ]
  await received(session, shared.id)
  await session.connection.markRead(refs)
  await until('read', () => (bob.status(direct.id) === 'read' ? true : null))
  await until('read in the group', () => (bob.status(shared.id) === 'read' ? true : null))
  expect((await said('receipt', ({ id, type }) => id === shared.id && type === 'read')).attrs).toMatchObject({
    to: group.jid,
    participant: bob.lid,
  })
})

test('presence: typing is shown in one chat, being there to all', async () => {
  await session.connection.showPresence(asJid(bob.lid), 'composing')
  await session.connection.showPresence(asJid(bob.lid), 'recording')
  const shown = await said('chatstate', ({ to }) => to === bob.lid)
  expect(shown.attrs.from).toStartWith(alice.lid.split('@')[0] ?? '')
  await session.connection.showPresence(null, 'available')
  await said('presence', ({ type }) => type === 'available')
  await session.connection.showPresence(null, 'unavailable')
  await said('presence', ({ type }) => type === 'unavailable')
})

describe('restrictions', () => {
  test('are told when WhatsApp imposes and lifts them, and known when asked', async () => {
    expect(await session.connection.restriction()).toBeNull()
    const until = Date.now() + 60 * 60_000
    const imposed = session.next('restriction', ({ restriction }) => restriction !== null)
    const fault = world.server.faults.add({
      kind: 'restrict',
      phoneNumber: alice.phoneNumber,
      type: 'BIZ_QUALITY',
      until,
    })
    const { restriction } = await imposed
    expect(restriction).toMatchObject({ type: 'BIZ_QUALITY' })
    expect(Math.abs((restriction?.until ?? 0) - until)).toBeLessThan(1_000)
    const lifted = session.next('restriction', ({ restriction }) => restriction === null)
    world.server.faults.clear(fault.id)
    await lifted
  })

  test('a cap on new chats is one while it is reached', async () => {
    const imposed = session.next('restriction', ({ restriction }) => restriction !== null)
    const fault = world.server.faults.add({ kind: 'cap', phoneNumber: alice.phoneNumber, quota: 0 })
    expect((await imposed).restriction?.type).toBe('NEW_CHAT_MESSAGES_CAPPED')
    const lifted = session.next('restriction', ({ restriction }) => restriction === null)
    world.server.faults.clear(fault.id)
    await lifted
  })
})

test('a device that is linked later is told what was said before, and nothing of it as new', async () => {
  const carol = world.phone('491700000003')
  const dave = world.phone('491700000004')
  const { id: text } = await dave.send(carol.jid, 'long ago')
  await carol.waitForMessage((message) => message.id === text)
  const { id: poll } = await carol.send(dave.jid, { ...POLL })
  await dave.waitForMessage((message) => message.id === poll)

  const late = await world.linked(carol)
  const history = await late.next('history', ({ messages }) => messages.length > 0, 0)
  expect(history.messages.map(({ id, fromMe, content }) => [id as string, fromMe, content.type])).toEqual([
    [text, false, 'text'],
    [poll, true, 'poll'],
  ])
  expect(history.messages[0]?.chatParty).toMatchObject({ phoneNumber: dave.phoneNumber })
  await until('the stanza to be done', () => (late.vault.inbox().length === 0 ? true : null))
  expect(late.of('messages').flatMap(({ messages }) => messages)).toEqual([])
})
