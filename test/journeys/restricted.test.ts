/** A number that WhatsApp restricts: unmodified Baileys sockets, and a server that locks and caps new chats. */
import { afterAll, beforeAll, beforeEach, expect, test } from 'bun:test'
import { phoneJid, type SessionId } from '../../src/domain/ids'
import type { SendRequest } from '../../src/domain/sending'
import type { Phone } from '../../src/sandbox/phone'
import { type AppParts, createAppParts } from '../harness/app-parts'

let parts: AppParts
let count = 0
let ours: Phone
let ada: Phone
let strangers: Phone[]
let id: SessionId

beforeAll(async () => {
  parts = await createAppParts()
})
afterAll(() => parts.stop())

/** Another number for each test: a restriction is on the account. */
beforeEach(async () => {
  count += 10
  const phone = (index: number, name: string) =>
    parts.sandbox.addPhone({ phoneNumber: String(4915100000000 + count + index), name })
  ours = phone(0, 'Support')
  ada = phone(1, 'Ada')
  strangers = [2, 3, 4, 5, 6].map((index) => phone(index, `Stranger ${index}`))
  id = await parts.link(ours)
  const hello = await ada.send(ours.phoneNumber, 'hello')
  await parts.event(id, 'message.received', ({ messageId }) => messageId === hello.id)
})

const send = async (phone: Phone | undefined, text: string, also: Partial<SendRequest> = {}) => {
  const to = phoneJid(phone?.phoneNumber ?? '')
  return (await parts.supervisor.send(id, { to, ask: { type: 'text', text }, ...also })).message
}
const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'no failure', details: {} as Record<string, unknown> }),
    (error: { code: string; details: Record<string, unknown> }) => error,
  )

test('the lock is told once with its end; established chats go on; its end is told', async () => {
  const until = Date.now() + 3_600_000
  const fault = parts.sandbox.server.faults.add({
    kind: 'restrict',
    phoneNumber: ours.phoneNumber,
    until,
    type: 'WEB_COMPANION_ONLY',
  })
  const told = await parts.event(id, 'session.restricted')
  expect(told.type).toBe('WEB_COMPANION_ONLY')
  // WhatsApp tells whole seconds.
  expect(Math.abs(Date.parse(String(told.until)) - until)).toBeLessThan(1_001)
  expect(await failure(send(strangers[0], 'hi'))).toMatchObject({
    code: 'SESSION_RESTRICTED',
    details: { until: told.until },
  })
  const reply = await send(ada, 'we are here')
  await ada.waitForMessage((message) => message.id === reply.id)
  expect(parts.session(id).restriction).toMatchObject({ type: 'WEB_COMPANION_ONLY' })
  parts.sandbox.server.faults.clear(fault.id)
  await parts.event(id, 'session.unrestricted')
  const first = await send(strangers[0], 'hi')
  await strangers[0]?.waitForMessage((message) => message.id === first.id)
  expect(parts.life(id).filter((name) => name.includes('restricted'))).toEqual([
    'session.restricted',
    'session.unrestricted',
  ])
})

test('a cap on new chats: what is over it fails in plain words, and nothing more is tried', async () => {
  parts.sandbox.server.faults.add({ kind: 'cap', phoneNumber: ours.phoneNumber, quota: 2, window: 3_600_000 })
  const tried = () => parts.sandbox.server.stats.snapshot().messages
  for (const stranger of strangers.slice(0, 2)) expect((await send(stranger, 'hi')).status).toBe('sent')
  await parts.event(id, 'session.restricted')
  const before = tried()
  expect(await failure(send(strangers[2], 'hi'))).toMatchObject({ code: 'SESSION_RESTRICTED' })
  expect((await send(strangers[0], 'again')).status).toBe('sent')
  expect(tried()).toBe(before + 1)
})

test('messages that wait when the lock comes fail with it, each told, none sent', async () => {
  await parts.supervisor.update(id, { settings: { queuePaused: true } })
  const queued = await Promise.all(strangers.map((stranger) => send(stranger, 'hi')))
  const reply = await send(ada, 'hi Ada')
  parts.sandbox.server.faults.add({ kind: 'restrict', phoneNumber: ours.phoneNumber, for: 3_600_000 })
  await parts.event(id, 'session.restricted')
  await parts.supervisor.update(id, { settings: { queuePaused: false } })
  for (const { id: messageId } of queued) {
    const failed = await parts.event(id, 'message.failed', (told) => told.messageId === messageId)
    expect(failed.code).toBe('SESSION_RESTRICTED')
  }
  await ada.waitForMessage((message) => message.id === reply.id)
  for (const stranger of strangers) expect(stranger.messages()).toEqual([])
})

test('over a restart it is still in force', async () => {
  parts.sandbox.server.faults.add({ kind: 'restrict', phoneNumber: ours.phoneNumber, for: 3_600_000 })
  await parts.event(id, 'session.restricted')
  await parts.crash()
  await parts.reach(id, 'connected')
  expect(await failure(send(strangers[0], 'hi'))).toMatchObject({ code: 'SESSION_RESTRICTED' })
})
