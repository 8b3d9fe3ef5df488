/** What WhatsApp forbids for a while: told once, kept, looked at again, and nothing sent that cannot succeed. */
import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { Ask } from '../../src/domain/content'
import { asJid, asMessageId, phoneJid, type SessionId } from '../../src/domain/ids'
import type { SendRequest } from '../../src/domain/sending'
import { SendRefused } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { ADA } from './scripted-whatsapp'

let rig: Rig
let id: SessionId
beforeEach(async () => {
  rig = await createRig()
  id = await rig.link()
  // Ada has written before; nobody else has.
  rig.whatsapp.last().message({ id: asMessageId('HELLO') })
  await settle()
})
afterEach(() => rig.end())

const HOUR = 3_600_000
const STRANGER = phoneJid('49304444444')
const OTHER = phoneJid('49305555555')
const text = (words: string): Ask => ({ type: 'text', text: words })
const send = (to: SendRequest['to'], also: Partial<SendRequest> = {}) =>
  rig.supervisor.send(id, { to, ask: text('x'), ...also })
type Failure = { code: string; details: Record<string, unknown> }
const failure = (promise: Promise<unknown>): Promise<Failure> =>
  promise.then(
    () => {
      throw new Error('expected a failure')
    },
    (error: Failure) => error,
  )
const asked = () => rig.whatsapp.last().deeds.filter(({ did }) => did === 'asked for restrictions').length
const told = () => rig.events(id, 'session.').filter((name) => name.includes('restricted'))
const lock = (hours = 24) => ({
  type: 'RESTRICT',
  until: rig.clock.now() + hours * HOUR,
  since: rig.clock.now(),
})
const tellOf = async (restriction: ReturnType<typeof lock> | null) => {
  rig.whatsapp.last().report({ kind: 'restriction', restriction })
  await settle()
}
const refuse = { code: '463', says: 'WhatsApp has restricted this number from starting new chats' }

test('a refusal makes us ask, tell and keep; new chats are refused, others go on', async () => {
  const restriction = lock()
  rig.whatsapp.forbidden = restriction
  rig.whatsapp.acknowledges = false
  const first = failure(send(STRANGER))
  await settle()
  rig.whatsapp.last().sends[0]?.fail(new SendRefused(refuse))
  expect(await first).toMatchObject({
    code: 'MESSAGE_REJECTED',
    details: { code: '463', reason: refuse.says },
  })
  await settle()
  expect(told()).toEqual(['session.restricted'])
  const until = new Date(restriction.until).toISOString()
  expect(rig.told.find(({ event }) => event === 'session.restricted')).toMatchObject({
    until,
    type: 'RESTRICT',
  })
  expect(rig.session(id).restriction).toEqual(restriction)
  rig.whatsapp.acknowledges = true
  expect(await failure(send(OTHER))).toMatchObject({ code: 'SESSION_RESTRICTED', details: { until } })
  expect(await failure(rig.supervisor.examine(id, { to: OTHER, ask: text('x') }))).toMatchObject({
    code: 'SESSION_RESTRICTED',
  })
  const [outcome] = await rig.supervisor.sendMany(id, [{ to: OTHER, ask: text('x') }], {
    queue: false,
    waitMs: 1,
  })
  expect(outcome).toMatchObject({ ok: false, code: 'SESSION_RESTRICTED' })
  for (const to of [ADA.lid, asJid('120363@g.us')]) expect((await send(to)).message.status).toBe('sent')
  expect(rig.whatsapp.last().sends).toHaveLength(3)
})

test('fifty queued messages to strangers: one question, and what comes after the answer is not even tried', async () => {
  rig.whatsapp.forbidden = lock()
  rig.whatsapp.acknowledges = false
  await rig.supervisor.update(id, { settings: { sendPacing: { messagesPerMinute: 60 } } })
  for (let index = 0; index < 50; index += 1)
    await send(phoneJid(String(49_170_000_000 + index)), { queue: true })
  await settle()
  rig.whatsapp.last().sends[0]?.fail(new SendRefused(refuse))
  await rig.clock.advance(1_000)
  expect(rig.whatsapp.last().sends).toHaveLength(1)
  expect(asked()).toBe(1)
  const codes = rig.told.filter(({ event }) => event === 'message.failed').map(({ code }) => code)
  expect(codes).toEqual(['463', ...Array(49).fill('SESSION_RESTRICTED')])
  expect(rig.storage.messages.queued(id)).toEqual([])
  expect(told()).toEqual(['session.restricted'])
})

test('a refusal that is about one contact alone restricts nothing', async () => {
  rig.whatsapp.acknowledges = false
  const refused = failure(send(STRANGER))
  await settle()
  rig.whatsapp.last().sends[0]?.fail(new SendRefused(refuse))
  await refused
  await settle()
  expect(asked()).toBe(1)
  expect(told()).toEqual([])
  rig.whatsapp.acknowledges = true
  expect((await send(OTHER)).message.status).toBe('sent')
})

test('what WhatsApp tells unasked counts at once, and is told once', async () => {
  const restriction = lock()
  await tellOf(restriction)
  await tellOf({ ...restriction, since: restriction.since + 5 })
  expect(told()).toEqual(['session.restricted'])
  expect((await failure(send(STRANGER))).code).toBe('SESSION_RESTRICTED')
  await tellOf(null)
  expect(told()).toEqual(['session.restricted', 'session.unrestricted'])
  expect(rig.session(id).restriction).toBeNull()
  expect((await send(STRANGER)).message.status).toBe('sent')
})

test('when its time is over WhatsApp is asked, and may say that it goes on', async () => {
  await tellOf(lock(1))
  rig.whatsapp.forbidden = lock(3)
  await rig.clock.advance(HOUR)
  expect(asked()).toBe(1)
  expect(told()).toEqual(['session.restricted', 'session.restricted'])
  rig.whatsapp.forbidden = null
  await rig.clock.advance(2 * HOUR)
  expect(told().at(-1)).toBe('session.unrestricted')
  expect((await send(STRANGER)).message.status).toBe('sent')
})

test('stays over a restart, and ends while nobody could ask', async () => {
  await tellOf(lock(1))
  await rig.crash()
  expect(rig.session(id).restriction).toMatchObject({ type: 'RESTRICT' })
  rig.whatsapp.last().opened()
  await settle()
  expect((await failure(send(STRANGER))).code).toBe('SESSION_RESTRICTED')
  await rig.supervisor.command(id, 'stop')
  await rig.clock.advance(HOUR)
  expect(rig.session(id).restriction).toBeNull()
  expect(told()).toEqual(['session.restricted', 'session.unrestricted'])
})

test('a message for the time after it is taken', async () => {
  await tellOf(lock(1))
  const at = rig.clock.now() + 2 * HOUR
  const { message } = await send(STRANGER, { sendAt: at })
  expect((await failure(send(STRANGER, { sendAt: at - HOUR - 1 }))).code).toBe('SESSION_RESTRICTED')
  await rig.clock.advance(2 * HOUR)
  expect(rig.storage.messages.get(id, message.id)?.status).toBe('sent')
})

test('one without an end is asked about every hour', async () => {
  await tellOf({ type: 'DEFAULT', until: null, since: rig.clock.now() } as never)
  rig.whatsapp.forbidden = { type: 'DEFAULT', until: null, since: 0 }
  await rig.clock.advance(3 * HOUR)
  expect(asked()).toBe(3)
  expect(told()).toEqual(['session.restricted'])
  rig.whatsapp.forbidden = null
  await rig.clock.advance(HOUR)
  expect(told()).toEqual(['session.restricted', 'session.unrestricted'])
})

test('a disk that refuses: in force at once, told with the next commit', async () => {
  rig.diskFull = true
  await tellOf(lock())
  rig.diskFull = false
  expect((await failure(send(STRANGER))).code).toBe('SESSION_RESTRICTED')
  rig.whatsapp.last().message({ id: asMessageId('NEXT') })
  await settle()
  expect(told()).toEqual(['session.restricted'])
})

test('belongs to the number: another phone starts free', async () => {
  await tellOf(lock())
  await rig.supervisor.command(id, 'clear_auth')
  await settle()
  expect(rig.session(id).restriction).toBeNull()
  rig.whatsapp.last().qr()
  rig.whatsapp.last().paired({ phoneNumber: '49309999999', lid: '777@lid' })
  rig.whatsapp.last().closed('restart_required', 515)
  await rig.clock.advance(1_000)
  rig.whatsapp.last().opened({ phoneNumber: '49309999999', lid: '777@lid' })
  await settle()
  expect((await send(STRANGER)).message.status).toBe('sent')
})
