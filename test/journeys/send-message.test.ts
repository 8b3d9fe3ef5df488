import { afterAll, beforeAll, expect, test } from 'bun:test'
import { asJid, phoneJid, type SessionId } from '../../src/domain/ids'
import type { SendRequest } from '../../src/domain/sending'
import type { Phone } from '../../src/sandbox/phone'
import { type AppParts, createAppParts } from '../harness/app-parts'
import { until } from '../harness/measure'

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

const send = async (text: string, also: Partial<SendRequest> = {}) => {
  const to = phoneJid('4915122222222')
  return (await parts.supervisor.send(id, { to, ask: { type: 'text', text }, ...also })).message
}
const textsOf = (phone: Phone) =>
  phone.messages().map(({ content }) => (content.type === 'text' ? content.text : content.type))

test('a text leaves, the recipient decrypts it, and its status climbs to read', async () => {
  const message = await send('hello Ada')
  expect(message).toMatchObject({ status: 'sent', viaApi: true, chat: ada.lid })
  expect(message.ackedAt).toBeGreaterThan(0)
  const got = await ada.waitForMessage(({ id: arrived }) => arrived === message.id)
  expect(got.content).toEqual({ type: 'text', text: 'hello Ada' })
  const of = { messageId: message.id, from: 'me', to: '4915122222222', type: 'text', viaApi: true }
  const mine = ({ messageId }: Record<string, unknown>) => messageId === message.id
  expect(await parts.event(id, 'message.delivered', mine)).toMatchObject(of)
  await ada.read(message.id)
  expect(await parts.event(id, 'message.read', mine)).toMatchObject(of)
  expect(parts.storage.messages.get(id, message.id)?.status).toBe('read')
  const names = parts.told.filter(mine).map(({ event }) => event)
  expect(names).toEqual(['message.queued', 'message.sent', 'message.delivered', 'message.read'])
})

test('a LID and a phone number reach the same person in the same chat', async () => {
  const byLid = await send('by LID', { to: asJid(ada.lid) })
  const byNumber = await send('by number')
  expect(byLid.chat).toBe(byNumber.chat)
  await ada.waitForMessage(({ id: arrived }) => arrived === byLid.id)
  await ada.waitForMessage(({ id: arrived }) => arrived === byNumber.id)
})

test('a note to oneself reaches the own phone, and so does the next', async () => {
  for (const text of ['first note', 'second note']) {
    const note = await send(text, { to: phoneJid('4915111111111') })
    expect(note).toMatchObject({ status: 'sent', chat: ours.lid })
    const got = await ours.waitForMessage(({ id: arrived }) => arrived === note.id)
    expect(got.content).toEqual({ type: 'text', text })
  }
})

test('a number without a phone is not on WhatsApp', async () => {
  const nobody = { to: phoneJid('4915199999999') }
  expect(send('x', nobody)).rejects.toMatchObject({ code: 'NUMBER_NOT_ON_WHATSAPP' })
})

test('fifty at once arrive in order', async () => {
  const wanted = Array.from({ length: 50 }, (_, index) => `message ${index}`)
  await Promise.all(wanted.map((text) => send(text)))
  await ada.waitForMessage(({ content }) => content.type === 'text' && content.text === 'message 49')
  expect(textsOf(ada).filter((text) => String(text).startsWith('message '))).toEqual(wanted)
})

test('an answer that quotes shows the quoted message to the recipient', async () => {
  const question = await ada.send(ours.phoneNumber, 'what time?')
  await parts.event(id, 'message.received', ({ messageId }) => messageId === question.id)
  const answer = await send('noon', { quotedMessageId: question.id })
  expect(answer.quoted).toEqual({ messageId: question.id, from: '4915122222222', text: 'what time?' })
  const got = await ada.waitForMessage(({ id: arrived }) => arrived === answer.id)
  expect(got.content).toMatchObject({ type: 'text', text: 'noon' })
  expect(JSON.stringify(got)).toContain(question.id)
})

test('WhatsApp rejects: failed with its code, told once, never tried again', async () => {
  const fault = parts.sandbox.server.faults.add({
    kind: 'reject_messages',
    phoneNumber: ours.phoneNumber,
    code: 463,
  })
  const failure = await send('refused').catch((error: unknown) => error)
  expect(failure).toMatchObject({ code: 'MESSAGE_REJECTED', details: { code: '463' } })
  const { details } = failure as { details: { messageId: string } }
  const failed = await parts.event(id, 'message.failed')
  expect(failed).toMatchObject({ messageId: details.messageId, code: '463' })
  expect(parts.storage.messages.get(id, details.messageId)?.status).toBe('failed')
  parts.sandbox.server.faults.clear(fault.id)
  expect((await send('accepted again')).status).toBe('sent')
})

test('a slow acknowledgement: the caller is told the id, the message is sent when it comes', async () => {
  const fault = parts.sandbox.server.faults.add({
    kind: 'slow_ack',
    phoneNumber: ours.phoneNumber,
    ms: 400,
  })
  // Receipts of either phone would tell us what the acknowledgement does not.
  for (const phone of [ada, ours]) phone.setReachable(false)
  const failure = (await send('slow', { waitMs: 50 }).catch((error: unknown) => error)) as {
    code: string
    details: { messageId: string; status: string }
  }
  expect(failure).toMatchObject({ code: 'MESSAGE_TIMEOUT', details: { status: 'queued' } })
  parts.sandbox.server.faults.clear(fault.id)
  const { messageId } = failure.details
  await parts.event(id, 'message.sent', (told) => told.messageId === messageId)
  for (const phone of [ada, ours]) phone.setReachable(true)
  await ada.waitForMessage((message) => message.id === messageId)
  await ada.settled()
  expect(ada.messages().filter((message) => message.id === messageId)).toHaveLength(1)
})

test('a receipt that comes before the acknowledgement proves as much', async () => {
  const fault = parts.sandbox.server.faults.add({
    kind: 'slow_ack',
    phoneNumber: ours.phoneNumber,
    ms: 60_000,
  })
  const message = await send('overtaken')
  expect(message.status).toBe('sent')
  const mine = ({ messageId }: Record<string, unknown>) => messageId === message.id
  await parts.event(id, 'message.delivered', mine)
  expect(parts.told.filter(mine).map(({ event }) => event)).toEqual([
    'message.queued',
    'message.sent',
    'message.delivered',
  ])
  parts.sandbox.server.faults.clear(fault.id)
})

test('the line breaks before the acknowledgement: sent again under the same id, and nobody sees it twice', async () => {
  const fault = parts.sandbox.server.faults.add({
    kind: 'slow_ack',
    phoneNumber: ours.phoneNumber,
    ms: 60_000,
  })
  for (const phone of [ada, ours]) phone.setReachable(false)
  const accepted = parts.sandbox.server.stats.snapshot().messages
  const sending = send('over the break')
  await until('the server has the message', () =>
    parts.sandbox.server.stats.snapshot().messages > accepted ? true : null,
  )
  parts.sandbox.server.faults.clear(fault.id)
  parts.sandbox.server.faults.add({ kind: 'drop', phoneNumber: ours.phoneNumber })
  const message = await sending
  expect(message.status).toBe('sent')
  for (const phone of [ada, ours]) phone.setReachable(true)
  await ada.waitForMessage(({ id: arrived }) => arrived === message.id)
  await ada.settled()
  expect(ada.messages().filter(({ id: arrived }) => arrived === message.id)).toHaveLength(1)
  const mine = ({ messageId }: Record<string, unknown>) => messageId === message.id
  await parts.event(id, 'message.delivered', mine)
  expect(parts.told.filter((told) => told.event === 'message.sent' && mine(told))).toHaveLength(1)
})
