import { afterEach, beforeEach, expect, test } from 'bun:test'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { adaPhone } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (error: { code?: string }) => error.code,
  )

test('a message that cannot be stored closes the connection, so that nothing more is acknowledged', async () => {
  const id = await rig.link()
  const connection = rig.whatsapp.last()
  rig.diskFull = true
  connection.message()
  await settle()
  expect(connection).toMatchObject({ isClosed: true, isUnlinked: false })
  expect(rig.session(id).state).toMatchObject({ status: 'disconnected', why: { reason: 'storage_failed' } })
  expect(rig.events(id).at(-1)).toBe('session.connected')
})

test('it comes back by itself when the disk does, and tells then what it could not tell', async () => {
  const id = await rig.link()
  rig.diskFull = true
  rig.whatsapp.last().message()
  await rig.clock.advance(60_000)
  expect(rig.whatsapp.live()).toHaveLength(0)
  rig.diskFull = false
  await rig.clock.advance(10_000)
  expect(rig.whatsapp.live()).toHaveLength(1)
  rig.whatsapp.last().opened()
  await settle()
  expect(rig.status(id)).toBe('connected')
  expect(rig.events(id).slice(-3)).toEqual([
    'session.disconnected',
    'session.connecting',
    'session.connected',
  ])
  expect(rig.storage.sessions.get(id)?.state.status).toBe('connected')
})

test('a command that cannot be stored is refused and changes nothing', async () => {
  const id = await rig.link()
  rig.diskFull = true
  expect(await codeOf(rig.supervisor.command(id, 'stop'))).toBe('STORAGE_UNAVAILABLE')
  expect(await codeOf(rig.supervisor.update(id, { name: 'x' }))).toBe('STORAGE_UNAVAILABLE')
  expect(await codeOf(rig.supervisor.create(rig.session(id).tenantId, { name: 'x' }, null))).toBe(
    'STORAGE_UNAVAILABLE',
  )
  expect(rig.session(id)).toMatchObject({ name: 'Support', state: { status: 'connected' } })
  expect(rig.whatsapp.live()).toHaveLength(1)
})

test('a message is not sent before it is on disk', async () => {
  const id = await rig.link()
  rig.diskFull = true
  const ask = { type: 'text' as const, text: 'x' }
  expect(await codeOf(rig.supervisor.send(id, { to: adaPhone, ask }))).toBe('STORAGE_UNAVAILABLE')
  expect(rig.whatsapp.last().sends).toEqual([])
})

test('a message that WhatsApp has but the disk has not goes out again under its id', async () => {
  rig.whatsapp.acknowledges = false
  const id = await rig.link()
  const ask = { type: 'text' as const, text: 'x' }
  const sending = codeOf(rig.supervisor.send(id, { to: adaPhone, ask }))
  await settle()
  rig.diskFull = true
  rig.whatsapp.last().sends[0]?.acknowledge()
  expect(await sending).toBe('STORAGE_UNAVAILABLE')
  rig.diskFull = false
  rig.whatsapp.acknowledges = true
  await rig.clock.advance(30_000)
  const ids = rig.whatsapp.last().sends.map((one) => one.id)
  expect(ids).toHaveLength(2)
  expect(new Set(ids).size).toBe(1)
  expect(rig.storage.messages.queued(id)).toEqual([])
})

test('a delete that cannot be stored leaves the session', async () => {
  const id = await rig.link()
  rig.diskFull = true
  expect(await codeOf(rig.supervisor.remove(id))).toBe('STORAGE_UNAVAILABLE')
  expect(rig.supervisor.find(id)).not.toBeNull()
  rig.diskFull = false
  const again = rig.supervisor.remove(id)
  await rig.clock.advance(15_000)
  await again
  expect(rig.supervisor.find(id)).toBeNull()
})

test('a deletion that cannot be stored leaves the device linked', async () => {
  const id = await rig.link()
  rig.diskFull = true
  expect(await codeOf(rig.supervisor.remove(id))).toBe('STORAGE_UNAVAILABLE')
  expect(rig.whatsapp.connections.map(({ isUnlinked }) => isUnlinked)).not.toContain(true)
  rig.diskFull = false
  await rig.supervisor.remove(id)
  expect(rig.whatsapp.connections.map(({ isUnlinked }) => isUnlinked)).toContain(true)
})
