/** The send queue with unmodified Baileys against the sandbox, over crashes: paused, scheduled, called back, out of time. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Ask } from '../../src/domain/content'
import { phoneJid, type SessionId } from '../../src/domain/ids'
import type { SendRequest } from '../../src/domain/sending'
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

const send = async (ask: Ask, also: Partial<SendRequest> = {}) =>
  (await parts.supervisor.send(id, { to: phoneJid(ada.phoneNumber), ask, ...also })).message
const text = (words: string): Ask => ({ type: 'text', text: words })
const set = (settings: Parameters<AppParts['supervisor']['update']>[1]['settings'] & object) =>
  parts.supervisor.update(id, { settings })
const textsAt = (phone: Phone) =>
  phone.messages().flatMap(({ content }) => (content.type === 'text' ? [String(content.text)] : []))

test('what waits while paused survives a crash with its order and its files, each exactly once', async () => {
  await set({ queuePaused: true })
  const words = Array.from({ length: 20 }, (_, index) => `paused ${index}`)
  for (const one of words) await send(text(one))
  const file = Buffer.from('a file that waited').toString('base64')
  const document = await send({ type: 'document', documentBase64: file, filename: 'wait.txt' })
  await parts.crash()
  await parts.reach(id, 'connected')
  expect(textsAt(ada)).toEqual([])
  expect(parts.supervisor.queueState(id)).toMatchObject({ waiting: 21, hold: 'paused' })
  await set({ queuePaused: false })
  const arrived = await ada.waitForMessage((message) => message.id === document.id)
  expect(arrived.content).toMatchObject({ type: 'document' })
  expect(textsAt(ada).filter((one) => one.startsWith('paused'))).toEqual(words)
  await parts.event(id, 'message.delivered', ({ messageId }) => messageId === document.id)
  await ada.settled()
  expect(ada.messages()).toHaveLength(21)
})

test('scheduled over a crash: at its moment; called back: never; out of time: failed', async () => {
  const now = Date.now()
  const due = await send(text('due'), { sendAt: now + 1_500 })
  const never = await send(text('never'), { sendAt: now + 1_500 })
  await parts.supervisor.cancel(id, never.id)
  await set({ queuePaused: true })
  const late = await send(text('too late'), { ttlMs: 1_000 })
  await parts.crash()
  await parts.reach(id, 'connected')
  const failed = await parts.event(id, 'message.failed', ({ messageId }) => messageId === late.id)
  expect(failed.code).toBe('MESSAGE_EXPIRED')
  await set({ queuePaused: false })
  const arrived = await ada.waitForMessage((message) => message.id === due.id)
  expect(arrived.timestamp).toBeGreaterThanOrEqual(Math.floor((now + 1_500) / 1_000))
  await ada.settled()
  expect(textsAt(ada)).not.toContain('never')
  expect(textsAt(ada)).not.toContain('too late')
  const statusOf = (messageId: string) => parts.storage.messages.get(id, messageId)?.status
  expect([statusOf(never.id), statusOf(late.id)]).toEqual(['failed', 'failed'])
})

test('a reconnect is waited out when asked', async () => {
  parts.sandbox.server.faults.add({ kind: 'drop', phoneNumber: ours.phoneNumber })
  await parts.reach(id, 'disconnected')
  const message = await send(text('after the break'), { queue: true })
  expect(message.status).toBe('queued')
  expect(parts.supervisor.queueState(id)).toMatchObject({ waiting: 1, hold: 'not_connected' })
  await ada.waitForMessage((one) => one.id === message.id)
})

test('waits for the other side to have got it, and to have read it', async () => {
  expect((await send(text('got it?'), { waitFor: 'delivered' })).status).toBe('delivered')
  const reading = send(text('read it?'), { waitFor: 'read' })
  const { id: arrived } = await ada.waitForMessage(
    ({ content }) => content.type === 'text' && content.text === 'read it?',
  )
  await ada.read(arrived)
  expect((await reading).status).toBe('read')
})

test('an album arrives whole, its items in order behind it', async () => {
  const pixel =
    'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const items = ['one', 'two', 'three'].map((caption) => ({
    type: 'image' as const,
    imageBase64: pixel,
    caption,
  }))
  const sent = await parts.supervisor.send(id, {
    to: phoneJid(ada.phoneNumber),
    ask: { type: 'album', items },
  })
  expect(sent.items.map(({ status }) => status)).toEqual(['sent', 'sent', 'sent'])
  await ada.waitForMessage((message) => message.id === sent.items[2]?.id)
  const order = [sent.message.id, ...sent.items.map((item) => item.id)]
  expect(
    ada
      .messages()
      .map((message) => message.id)
      .filter((one) => (order as string[]).includes(one)),
  ).toEqual(order)
})
