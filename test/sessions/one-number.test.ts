import { afterEach, beforeEach, expect, test } from 'bun:test'
import { asTenantId } from '../../src/domain/ids'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

/** Links a phone to a new session of another account, up to the login. */
const linkAgain = async (phoneNumber?: string) => {
  const { id } = await rig.supervisor.create(asTenantId('somebody else'), { name: 'Second' }, null)
  await rig.supervisor.command(id, 'start')
  await settle()
  const me = phoneNumber === undefined ? {} : { phoneNumber }
  rig.whatsapp.last().qr()
  rig.whatsapp.last().paired(me)
  rig.whatsapp.last().closed('restart_required', 515)
  await settle()
  const connection = rig.whatsapp.last()
  connection.opened(me)
  await settle()
  return { id, connection }
}

test('a second session of a number is unlinked again; the first is untouched', async () => {
  const first = await rig.link()
  const firstConnection = rig.whatsapp.last()
  const { id, connection } = await linkAgain()
  expect(connection).toMatchObject({ isUnlinked: true, isClosed: true })
  expect(rig.session(id)).toMatchObject({
    state: { status: 'disconnected', why: { reason: 'duplicate_phone_number' }, retryAt: null },
    credentials: 'revoked',
  })
  expect(rig.events(id, 'session.connected')).toEqual([])
  expect(rig.told.at(-1)).toMatchObject({
    event: 'session.disconnected',
    reason: 'duplicate_phone_number',
    willReconnect: false,
  })
  expect(firstConnection.isClosed).toBe(false)
  expect(rig.status(first)).toBe('connected')
})

test('a stopped session still holds its number; deleting or clearing it gives the number back', async () => {
  const first = await rig.link()
  await rig.supervisor.command(first, 'stop')
  expect((await linkAgain()).connection.isUnlinked).toBe(true)
  const clearing = rig.supervisor.command(first, 'clear_auth')
  await rig.clock.advance(10_000)
  await clearing
  const { id } = await linkAgain()
  expect(rig.status(id)).toBe('connected')
})

test('a number whose link was revoked is free', async () => {
  await rig.link()
  rig.whatsapp.last().closed('logged_out', 401)
  await settle()
  expect(rig.status((await linkAgain()).id)).toBe('connected')
})

test('the rule holds over a restart', async () => {
  const first = await rig.link()
  await rig.crash()
  const { connection } = await linkAgain()
  expect(connection.isUnlinked).toBe(true)
  expect(rig.session(first).credentials).toBe('linked')
})

test('other numbers do not mind', async () => {
  await rig.link()
  expect(rig.status((await linkAgain('49309999999')).id)).toBe('connected')
})
