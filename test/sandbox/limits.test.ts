/** WhatsApp's limits on new chats: the reach-out time lock and the cap, as refusals, as answers and as news. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type BinaryNode, QueryIds, ReachoutTimelockEnforcementType } from '@whiskeysockets/baileys'
import type { FaultInput } from '../../src/sandbox/faults'
import { child, childText, node } from '../../src/sandbox/node'
import { createSandbox } from '../../src/sandbox/sandbox'
import { createManualClock, type ManualClock } from '../harness/clock'
import { hasStatus, pairWithBaileys, startSandbox } from '../harness/sandbox'
import { control } from './support/control'
import { type Companion, enc, type Lab, type LabPhone, message, startLab, to, type Wire } from './support/lab'

const ME = '4931000000001'
const HOUR = 60 * 60 * 1000
const DAY = 24 * HOUR

describe('by hand', () => {
  let clock: ManualClock
  let lab: Lab
  let me: { phone: LabPhone; companion: Companion }
  let wire: Wire
  let ids = 0
  beforeEach(async () => {
    clock = createManualClock()
    lab = await startLab({ clock })
    me = await lab.linked(ME)
    wire = await me.companion.online()
  })
  afterEach(() => lab.stop())

  const stranger = () => lab.phone(String(4931100000000 + ++ids))
  /** The code of the acknowledgement, or `taken`. */
  const write = async (other: LabPhone, attrs: Record<string, string> = {}) => {
    const id = `L${++ids}`
    wire.send(message(id, other.jid, [to(other.jid), to(me.phone.jid)], [], attrs))
    const ack = await wire.take('ack', { class: 'message', id })
    return ack.attrs.error ?? 'taken'
  }
  const writeFrom = async (phone: LabPhone, other: LabPhone) => {
    const id = `L${++ids}`
    const devices = [...other.account.devices.keys()].map((device) =>
      to(other.jid.replace('@', device === 0 ? '@' : `:${device}@`)),
    )
    phone.uplink.send(message(id, other.jid, devices))
    const ack = await phone.inbox.take(({ tag, attrs }) => tag === 'ack' && attrs.id === id)
    return ack.attrs.error ?? 'taken'
  }
  const add = (fault: Omit<FaultInput, 'phoneNumber'>) => lab.server.faults.add({ ...fault, phoneNumber: ME })
  const ask = async (id: string) => {
    const answer = await wire.query('w:mex', 'get', [
      node('query', { query_id: id }, JSON.stringify({ variables: {} })),
    ])
    const [value] = Object.values(JSON.parse(childText(answer, 'result') ?? '{}').data)
    return value as Record<string, unknown>
  }
  const lock = () => ask(QueryIds.REACHOUT_TIMELOCK)
  const cap = () => ask(QueryIds.MESSAGE_CAPPING_INFO)
  const news = async (operation: string) => {
    const told = await wire.inbox.take(
      (stanza: BinaryNode) => child(stanza, 'update')?.attrs.op_name === operation,
    )
    expect(told.attrs).toMatchObject({ from: '@s.whatsapp.net', type: 'mex' })
    const [value] = Object.values(JSON.parse(childText(told, 'update') ?? '{}').data)
    return value as Record<string, unknown>
  }
  const lockNews = () => news('NotificationUserReachoutTimelockUpdate')
  const capNews = () => news('MessageCappingInfoNotification')

  test('an account without limits may write to anybody', async () => {
    expect(await write(stranger())).toBe('taken')
    expect(await lock()).toEqual({ is_active: false })
    expect(await cap()).toMatchObject({ used_quota: 0, capping_status: 'NONE' })
  })

  describe('the time lock', () => {
    test('refuses new chats, and leaves those alone in which anybody has written', async () => {
      const [mine, theirs, never] = [stranger(), stranger(), stranger()]
      expect(await write(mine)).toBe('taken')
      expect(await writeFrom(theirs, me.phone)).toBe('taken')
      const fault = add({ kind: 'restrict' })
      expect(await write(never)).toBe('463')
      expect(await write(mine)).toBe('taken')
      expect(await write(theirs)).toBe('taken')
      // A refused message opens no chat.
      expect(await write(never)).toBe('463')
      expect(fault.hits).toBe(2)
      await writeFrom(never, me.phone)
      expect(await write(never)).toBe('taken')
    })

    test('leaves alone a contact that has given a privacy token', async () => {
      const friend = stranger()
      await friend.uplink.query(
        node('iq', { xmlns: 'privacy', type: 'set' }, [
          node('tokens', {}, [node('token', { jid: me.phone.jid, t: '1700000000' })]),
        ]),
      )
      add({ kind: 'restrict' })
      expect(await write(friend)).toBe('taken')
    })

    test('is on the account: its phone is locked too, and nobody else is', async () => {
      add({ kind: 'restrict' })
      const other = stranger()
      expect(await writeFrom(me.phone, other)).toBe('463')
      expect(await writeFrom(other, stranger())).toBe('taken')
    })

    test('for companions only leaves the phone free', async () => {
      add({ kind: 'restrict', type: 'WEB_COMPANION_ONLY' })
      expect(await write(stranger())).toBe('463')
      expect(await writeFrom(me.phone, stranger())).toBe('taken')
    })

    test('is nobody else’s news', async () => {
      const other = await lab.linked('4931000000055')
      const elsewhere = await other.companion.online()
      add({ kind: 'restrict' })
      await lockNews()
      await elsewhere.settled()
      expect(elsewhere.inbox.unread('notification')).toEqual([])
    })

    test('aimed at one client is on its account', async () => {
      lab.server.faults.add({ kind: 'restrict', noiseKey: me.companion.noise.public.toString('hex') })
      expect(await write(stranger())).toBe('463')
      expect(await writeFrom(me.phone, stranger())).toBe('463')
    })

    test('spares groups and the account itself', async () => {
      add({ kind: 'restrict' })
      wire.send(message('SELF', me.phone.jid, [to(me.phone.jid)]))
      expect((await wire.take('ack', { id: 'SELF' })).attrs.error).toBeUndefined()
      const participant = node('participant', { jid: stranger().jid })
      const made = await wire.query(
        'w:g2',
        'set',
        [node('create', { subject: 'G', key: 'k' }, [participant])],
        { to: '@g.us' },
      )
      const group = `${child(made, 'group')?.attrs.id}@g.us`
      wire.send(message('GROUP', group, [], [enc('skmsg')]))
      expect((await wire.take('ack', { id: 'GROUP' })).attrs.error).toBeUndefined()
    })

    test('is not got around by what looks like a re-send', async () => {
      add({ kind: 'restrict' })
      const other = stranger()
      wire.send(message('AGAIN', other.jid, [], [enc('msg')], { device_fanout: 'false' }))
      expect((await wire.take('ack', { id: 'AGAIN' })).attrs.error).toBe('463')
    })

    test('is told when it begins and when it ends, and can be asked for', async () => {
      const ends = String((clock.now() + HOUR) / 1000)
      add({ kind: 'restrict', for: HOUR, type: 'BIZ_QUALITY' })
      const told = { is_active: true, time_enforcement_ends: ends, enforcement_type: 'BIZ_QUALITY' }
      expect(await lockNews()).toEqual(told)
      expect(await lock()).toEqual(told)
      await clock.advance(HOUR)
      expect(await lockNews()).toEqual({ is_active: false })
      expect(await lock()).toEqual({ is_active: false })
      expect(await write(stranger())).toBe('taken')
    })

    test('lasts a day unless told otherwise, and ends when it is cleared', async () => {
      const { id } = add({ kind: 'restrict' })
      expect(await lockNews()).toMatchObject({
        time_enforcement_ends: String((clock.now() + DAY) / 1000),
        enforcement_type: 'DEFAULT',
      })
      lab.server.faults.clear(id)
      expect(await lockNews()).toEqual({ is_active: false })
    })

    test('of an unknown type is refused', () => {
      expect(() => add({ kind: 'restrict', type: 'WHIM' as 'DEFAULT' })).toThrow(TypeError)
    })
  })

  describe('the cap', () => {
    test('allows so many new chats, warns on the way, and then refuses', async () => {
      add({ kind: 'cap', quota: 4 })
      expect(await capNews()).toMatchObject({ total_quota: 4, used_quota: 0, capping_status: 'NONE' })
      const first = stranger()
      expect(await write(first)).toBe('taken')
      expect(await write(first)).toBe('taken')
      expect(await cap()).toMatchObject({ used_quota: 1, capping_status: 'NONE' })
      expect(await write(stranger())).toBe('taken')
      expect(await capNews()).toMatchObject({ used_quota: 2, capping_status: 'FIRST_WARNING' })
      expect(await write(stranger())).toBe('taken')
      expect(await write(stranger())).toBe('taken')
      expect(await capNews()).toMatchObject({ used_quota: 4, capping_status: 'CAPPED' })
      expect(await write(stranger())).toBe('463')
      expect(await write(first)).toBe('taken')
    })

    test('counts only chats that this account opens', async () => {
      add({ kind: 'cap', quota: 1 })
      wire.send(message('TO-ME', me.phone.jid, [to(me.phone.jid)]))
      await wire.take('ack', { id: 'TO-ME' })
      const friend = stranger()
      await friend.uplink.query(
        node('iq', { xmlns: 'privacy', type: 'set' }, [
          node('tokens', {}, [node('token', { jid: me.phone.jid, t: '1700000000' })]),
        ]),
      )
      expect(await write(friend)).toBe('taken')
      const caller = stranger()
      await writeFrom(caller, me.phone)
      expect(await write(caller)).toBe('taken')
      expect(await cap()).toMatchObject({ used_quota: 0 })
    })

    test('counts anew in each cycle, and says so', async () => {
      const start = clock.now()
      add({ kind: 'cap', quota: 1, window: HOUR })
      await capNews()
      expect(await write(stranger())).toBe('taken')
      expect(await capNews()).toMatchObject({
        capping_status: 'CAPPED',
        cycle_start_timestamp: String(start / 1000),
        cycle_end_timestamp: String((start + HOUR) / 1000),
      })
      expect(await write(stranger())).toBe('463')
      await clock.advance(HOUR)
      expect(await capNews()).toMatchObject({
        used_quota: 0,
        capping_status: 'NONE',
        cycle_start_timestamp: String((start + HOUR) / 1000),
      })
      expect(await write(stranger())).toBe('taken')
      expect(await write(stranger())).toBe('463')
    })

    test('of none closes new chats, with a code of its own, until it is cleared', async () => {
      const { id } = add({ kind: 'cap', quota: 0, code: 475 })
      expect(await capNews()).toMatchObject({ capping_status: 'CAPPED' })
      expect(await write(stranger())).toBe('475')
      lab.server.faults.clear(id)
      expect(await capNews()).toMatchObject({ capping_status: 'NONE' })
      expect(await write(stranger())).toBe('taken')
    })
  })

  test('a refusal for one contact leaves the others alone', async () => {
    const [one, other] = [stranger(), stranger()]
    add({ kind: 'reject_messages', code: 463, contact: one.phoneNumber })
    expect(await write(one)).toBe('463')
    expect(await write(other)).toBe('taken')
    expect(await write(one)).toBe('463')
  })
})

test('the control API sets limits, and phones in one spelling', async () => {
  const sandbox = createSandbox()
  const call = control<{ fault: Record<string, unknown>; code: string }>(sandbox)
  const phoneNumber = '5511987654321'
  expect((await call('POST', '/phones', { phoneNumber, name: 'Ana' })).status).toBe(201)
  expect((await call('POST', '/phones', { phoneNumber: '551187654321', name: 'Ana' })).body.code).toBe(
    'PHONE_EXISTS',
  )
  const add = async (fault: object) => await call('POST', '/faults', { phoneNumber, ...fault })
  const until = '2030-01-01T00:00:00.000Z'
  expect((await add({ kind: 'restrict', until, type: 'BIZ_QUALITY' })).body.fault).toMatchObject({
    kind: 'restrict',
    until: Date.parse(until),
    type: 'BIZ_QUALITY',
    hits: 0,
  })
  expect((await add({ kind: 'cap', quota: 3, window: 60_000 })).body.fault).toMatchObject({
    quota: 3,
    window: 60_000,
  })
  const refusal = await add({ kind: 'reject_messages', code: 463, contact: '+55 11 98765-4322' })
  expect(refusal.body.fault).toMatchObject({ contact: '5511987654322' })
  expect((await add({ kind: 'restrict', type: 'WHIM' })).status).toBe(400)
  expect((await add({ kind: 'cap', quota: -1 })).status).toBe(400)
  await sandbox.stop()
})

test('who has a chat with whom is remembered', async () => {
  const stateFile = join(mkdtempSync(join(tmpdir(), 'limits-')), 'state.sqlite')
  const first = createSandbox({ stateFile })
  const [anna, ben] = ['Anna', 'Ben', 'Carl'].map((name, at) =>
    first.addPhone({ phoneNumber: `493100000010${at}`, name }),
  )
  await ben?.send(anna?.jid ?? '', 'Hello')
  await first.stop()

  const again = createSandbox({ stateFile })
  again.server.faults.add({ kind: 'restrict', phoneNumber: '4931000000100' })
  const restored = again.phone('4931000000100')
  await restored.send('4931000000101', 'Hello Ben')
  await expect(restored.send('4931000000102', 'Hello Carl')).rejects.toThrow('463')
  await again.stop()
})

test('real Baileys reads the lock and the cap, hears of both, and its messages fail with 463', async () => {
  const sandbox = await startSandbox()
  const anna = sandbox.addPhone({ phoneNumber: ME, name: 'Anna' })
  const ben = sandbox.addPhone({ phoneNumber: '4931000000002', name: 'Ben' })
  const carl = sandbox.addPhone({ phoneNumber: '4931000000003', name: 'Carl' })
  const client = await pairWithBaileys(sandbox, anna)
  await ben.send(anna.jid, 'Write to me')

  const ends = Math.ceil((Date.now() + HOUR) / 1000) * 1000
  const { id } = sandbox.server.faults.add({
    kind: 'restrict',
    phoneNumber: anna.phoneNumber,
    until: ends,
    type: 'BIZ_QUALITY',
  })
  const locked = (isActive: boolean) =>
    client.until(
      (event) =>
        event.name === 'connection.update' &&
        event.data.reachoutTimeLock?.isActive === isActive &&
        event.data.reachoutTimeLock,
    )
  const told = {
    isActive: true,
    timeEnforcementEnds: new Date(ends),
    enforcementType: ReachoutTimelockEnforcementType.BIZ_QUALITY,
  }
  expect(await locked(true)).toEqual(told)
  expect(await client.sock.fetchAccountReachoutTimelock()).toEqual(told)

  const refused = await client.sock.sendMessage(carl.jid, { text: 'Hello Carl' })
  await client.until((event) => hasStatus(event, refused?.key.id ?? '', 0))
  await client.sock.sendMessage(ben.jid, { text: 'Hello Ben' })
  await ben.waitForMessage(({ content }) => content.text === 'Hello Ben')
  expect(carl.messages()).toEqual([])
  sandbox.server.faults.clear(id)
  await locked(false)

  sandbox.server.faults.add({ kind: 'cap', phoneNumber: anna.phoneNumber, quota: 1 })
  await client.sock.sendMessage(carl.jid, { text: 'Now?' })
  await carl.waitForMessage(({ content }) => content.text === 'Now?')
  const capped = await client.until(
    (event) =>
      event.name === 'message-capping.update' && event.data.capping_status === 'CAPPED' && event.data,
  )
  expect(capped).toMatchObject({ total_quota: 1, used_quota: 1 })
  expect(await client.sock.fetchNewChatMessageCap()).toMatchObject({ capping_status: 'CAPPED' })
  await client.close()
  await sandbox.stop()
})
