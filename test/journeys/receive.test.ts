import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import type { Phone } from '../../src/sandbox/phone'
import { type AppParts, createAppParts } from '../harness/app-parts'

let parts: AppParts
let ours: Phone
let ada: Phone
let id: SessionId
beforeAll(async () => {
  parts = await createAppParts()
  ours = parts.sandbox.addPhone({ phoneNumber: '4915111111111', name: 'Support' })
  ada = parts.sandbox.addPhone({ phoneNumber: '4915122222222', name: 'Ada' })
  id = await parts.link(ours)
})
afterAll(() => parts.stop())

const told = (name: string, messageId: string) =>
  parts.event(id, name, (event) => event.messageId === messageId)

test('a text arrives with everything that the contract names', async () => {
  const sent = await ada.send(ours.phoneNumber, 'hello')
  expect(await told('message.received', sent.id)).toMatchObject({
    sessionId: id,
    messageId: sent.id,
    from: '4915122222222',
    to: 'me',
    chat: '4915122222222',
    type: 'text',
    text: 'hello',
    contact: { name: 'Ada', profilePicture: null },
    lid: ada.lid,
    phoneNumber: '4915122222222',
    quoted: null,
    fromMe: false,
    offline: false,
  })
  expect(parts.storage.messages.get(id, sent.id)).toMatchObject({ status: 'received', fromMe: false })
  expect(parts.session(id).lastActivity).toBeGreaterThan(0)
})

test('what the owner types on the phone is an own message that the API did not send', async () => {
  const sent = await ours.send(ada.phoneNumber, 'from the phone')
  expect(await told('message.sent', sent.id)).toMatchObject({
    from: 'me',
    to: '4915122222222',
    text: 'from the phone',
    fromMe: true,
    viaApi: false,
  })
  expect(parts.told.filter(({ messageId }) => messageId === sent.id)).toHaveLength(1)
})

test('a message that the server delivers twice is one message and one event', async () => {
  parts.sandbox.server.faults.add({ kind: 'duplicate', phoneNumber: ours.phoneNumber, times: 1 })
  const twice = await ada.send(ours.phoneNumber, 'twice')
  const marker = await ada.send(ours.phoneNumber, 'marker')
  await told('message.received', marker.id)
  expect(parts.told.filter(({ messageId }) => messageId === twice.id)).toHaveLength(1)
  const { messages } = parts.storage.messages.list({ sessionId: id, limit: 100, offset: 0 })
  expect(messages.filter((message) => message.id === twice.id)).toHaveLength(1)
})

test('a group message names its sender and its group', async () => {
  const group = await parts.sandbox.createGroup({
    owner: ada.phoneNumber,
    subject: 'Team',
    members: [ours.phoneNumber],
  })
  const sent = await ada.send(group.jid, 'hello team')
  expect(await told('message.received', sent.id)).toMatchObject({
    from: '4915122222222',
    lid: ada.lid,
    chat: group.jid,
    text: 'hello team',
  })
})

test('a burst is stored once each, in order', async () => {
  const sent = await Promise.all(
    Array.from({ length: 100 }, (_, index) => ada.send(ours.phoneNumber, `burst ${index}`)),
  )
  const last = sent.at(-1)
  if (last) await told('message.received', last.id)
  const texts = parts.told
    .filter(({ event, text }) => event === 'message.received' && String(text).startsWith('burst '))
    .map(({ text }) => text)
  expect(texts).toEqual(Array.from({ length: 100 }, (_, index) => `burst ${index}`))
})

test('messages of the time in which the session was stopped come after its start, marked as such', async () => {
  await parts.supervisor.command(id, 'stop')
  await parts.reach(id, 'inactive')
  const sent = await ada.send(ours.phoneNumber, 'while you were away')
  await parts.supervisor.command(id, 'start')
  expect(await told('message.received', sent.id)).toMatchObject({ offline: true })
  expect(parts.told.filter(({ messageId }) => messageId === sent.id)).toHaveLength(1)
})

test('history is one event, not messages', async () => {
  const received = () => parts.told.filter(({ event }) => event === 'message.received').length
  const before = received()
  const other = parts.sandbox.addPhone({ phoneNumber: '4915133333333', name: 'Other' })
  await ada.send(other.phoneNumber, 'before the link')
  await other.settled()
  const second = await parts.link(other)
  await parts.event(second, 'history.synced')
  expect(received()).toBe(before)
})
