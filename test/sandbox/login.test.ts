import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { child, node } from '../../src/sandbox/node'
import { makePair } from './support/initiator'
import { enc, type Lab, message, startLab, tagged, to } from './support/lab'

let lab: Lab
beforeAll(async () => {
  lab = await startLab()
})
afterAll(() => lab.stop())

describe('a login is refused', () => {
  test('with another Noise key', async () => {
    const { companion } = await lab.linked('4916000000001')
    const { wire, first } = await companion.login({}, { noise: makePair() })
    expect(first).toMatchObject({ tag: 'failure', attrs: { reason: '401' } })
    await wire.closed
    expect((await companion.login()).first.tag).toBe('success')
  })

  test.each([
    ['an unknown number', { username: 4916099999999 }],
    ['an unknown device', { device: 7 }],
    ['the phone’s own place', { device: 0 }],
  ])('as %s', async (_, payload) => {
    const phoneNumber = `49161${Math.floor(Math.random() * 1e8)}`
    const { companion } = await lab.linked(phoneNumber)
    const { first } = await companion.login(payload)
    expect(first).toMatchObject({ tag: 'failure', attrs: { reason: '401' } })
  })

  test('without a device number, as after an abandoned pairing code', async () => {
    lab.phone('4916000000002')
    const companion = lab.companion()
    const { device: _, ...payload } = companion.loginPayload({ username: 4916000000002 })
    const { first } = await companion.login({ ...payload, device: null })
    expect(first).toMatchObject({ tag: 'failure', attrs: { reason: '401' } })
  })

  test('once the phone has removed the device', async () => {
    const { phone, companion } = await lab.linked('4916000000003')
    const wire = await companion.online()
    phone.uplink.unlink(1)
    const last = await wire.take('stream:error', { code: '401' })
    expect(child(last, 'conflict')?.attrs.type).toBe('device_removed')
    await wire.closed
    expect((await companion.login()).first).toMatchObject({ tag: 'failure', attrs: { reason: '401' } })
  })

  test('once the device has left', async () => {
    const { phone, companion } = await lab.linked('4916000000004')
    const wire = await companion.online()
    const leave = node('remove-companion-device', { jid: companion.jid(), reason: 'user_initiated' })
    await wire.query('md', 'set', [leave])
    await wire.closed
    expect(phone.account.devices.size).toBe(1)
    await phone.inbox.take(tagged('notification', { type: 'devices' }))
    expect((await companion.login()).first.attrs.reason).toBe('401')
  })

  test('below the lowest version', async () => {
    const strict = await startLab({ minimumVersion: [2, 3000, 2_000_000_000] })
    const companion = strict.companion()
    expect((await companion.login()).first).toMatchObject({ tag: 'failure', attrs: { reason: '405' } })
    await strict.stop()
  })
})

test('a second login takes the place of the first', async () => {
  const { companion } = await lab.linked('4916200000001')
  const first = await companion.online()
  const { wire: second } = await companion.login()
  const last = await first.take('stream:error')
  expect(last.attrs.code).toBeUndefined()
  expect(child(last, 'conflict')?.attrs.type).toBe('replaced')
  await first.closed
  await second.settled()
  expect(lab.server.stats.live('4916200000001')).toBe(1)
  second.close()
  await second.closed
})

describe('what was missed', () => {
  const missed = async (phoneNumber: string, count: number) => {
    const { phone, companion } = await lab.linked(phoneNumber)
    const sender = lab.phone(`${phoneNumber}9`)
    for (let at = 0; at < count; at++) {
      sender.uplink.send(message(`M${at}`, phone.jid, [to(phone.jid), to(companion.jid())]))
    }
    return { phone, companion, sender }
  }

  test('comes counted, in order, between the two marks', async () => {
    const { companion, sender } = await missed('491630000001', 3)
    // A receipt of the phone's own reading makes the queue of different kinds.
    expect(companion.device?.pending.map(({ tag }) => tag)).toEqual(['message', 'message', 'message'])
    const { wire } = await companion.login()
    // Nothing comes before the client says that it is ready.
    await wire.settled()
    expect(wire.inbox.unread('message')).toEqual([])
    await wire.query('passive', 'set', [node('active')])
    await wire.inbox.take((stanza) => child(stanza, 'offline') !== undefined)
    const told = wire.inbox.all.filter(({ tag }) => tag === 'message' || tag === 'ib')
    expect(
      told.map(({ tag, attrs, content }) => attrs.id ?? (Array.isArray(content) && content[0]?.tag) ?? tag),
    ).toEqual(['edge_routing', 'offline_preview', 'M0', 'M1', 'M2', 'offline'])
    const preview = told.map((stanza) => child(stanza, 'offline_preview')).find((item) => item !== undefined)
    expect(preview?.attrs).toEqual({ count: '3', message: '3', receipt: '0', notification: '0', call: '0' })
    expect(told.filter(({ tag }) => tag === 'message').map(({ attrs }) => attrs.offline)).toEqual([
      '1',
      '2',
      '3',
    ])
    expect(sender.inbox.unread('ack')).toHaveLength(3)
    wire.close()
  })

  test('comes again until it is confirmed, by receipt or by ack', async () => {
    const { companion, sender } = await missed('491630000002', 4)
    const first = await companion.online()
    const told = await first.inbox.take(tagged('message', { id: 'M0' }))
    first.send(node('receipt', { id: 'M0', to: told.attrs.from, type: 'inactive' }))
    first.send(node('ack', { id: 'M2', class: 'message', to: told.attrs.from, error: '500' }))
    first.send(
      node('receipt', { id: 'M3', to: told.attrs.from, type: 'retry' }, [
        node('retry', { count: '1', id: 'M3', t: '1', v: '1' }),
        node('registration', {}, Buffer.alloc(4)),
      ]),
    )
    await first.settled()
    first.drop()
    await first.closed
    await sender.inbox.take(tagged('receipt', { id: 'M0' }))

    const second = await companion.online()
    expect(second.inbox.all.filter(({ tag }) => tag === 'message').map(({ attrs }) => attrs.id)).toEqual([
      'M1',
    ])
    second.close()
  })

  test('one receipt may confirm many', async () => {
    const { companion } = await missed('491630000003', 3)
    const wire = await companion.online()
    const told = await wire.inbox.take(tagged('message', { id: 'M0' }))
    const items = ['M1', 'M2'].map((id) => node('item', { id }))
    wire.send(node('receipt', { id: 'M0', to: told.attrs.from, type: 'read' }, [node('list', {}, items)]))
    await wire.settled()
    expect(companion.device?.pending).toEqual([])
    wire.close()
  })

  test('the end mark comes even when there was nothing', async () => {
    const { companion } = await lab.linked('491630000004')
    const { wire } = await companion.login()
    await wire.query('passive', 'set', [node('active')])
    const end = await wire.inbox.take((stanza) => child(stanza, 'offline') !== undefined)
    expect(child(end, 'offline')?.attrs.count).toBe('0')
    wire.close()
  })

  test('comes at once to a client that does not start passive', async () => {
    const { companion } = await missed('491630000005', 1)
    const { wire } = await companion.login({ passive: false })
    await wire.inbox.take(tagged('message', { id: 'M0' }))
    wire.close()
  })

  test('live stanzas follow the backlog', async () => {
    const { phone, companion, sender } = await missed('491630000006', 2)
    const { wire } = await companion.login()
    sender.uplink.send(message('LATE', phone.jid, [to(phone.jid), to(companion.jid())]))
    await wire.query('passive', 'set', [node('active')])
    sender.uplink.send(message('LIVE', phone.jid, [to(phone.jid), to(companion.jid())]))
    const live = await wire.inbox.take(tagged('message', { id: 'LIVE' }))
    expect(live.attrs.offline).toBeUndefined()
    expect(wire.inbox.all.filter(({ tag }) => tag === 'message').map(({ attrs }) => attrs.id)).toEqual([
      'M0',
      'M1',
      'LATE',
      'LIVE',
    ])
    wire.close()
  })
})

test('counters tell connections, logins and who is live', async () => {
  const own = await startLab()
  const { companion } = await own.linked('4916400000001')
  const wire = await companion.online()
  expect(own.server.stats.snapshot()).toMatchObject({
    connections: 2,
    open: 1,
    handshakes: 2,
    registrations: 1,
    pairings: 1,
    logins: 1,
    loginsOf: { '4916400000001': 1 },
    live: { '4916400000001': 1 },
  })
  wire.close()
  await wire.closed
  await companion.login({}, { noise: makePair() })
  expect(own.server.stats.snapshot()).toMatchObject({ logins: 1, loginFailures: 1, live: {} })
  await own.stop()
})

test('the log names stanzas and sizes, and no content', async () => {
  const own = await startLab()
  const { phone, companion } = await own.linked('4916400000002')
  const sender = own.phone('4916400000003')
  const wire = await companion.online()
  const secret = enc('msg')
  sender.uplink.send(message('L1', phone.jid, [to(phone.jid), to(companion.jid(), secret)]))
  await wire.inbox.take(tagged('message', { id: 'L1' }))
  const entries = own.server.log.entries({ phoneNumber: '4916400000002', tag: 'message' })
  expect(entries).toMatchObject([
    { direction: 'out', phoneNumber: '4916400000002', deviceId: 0 },
    { direction: 'out', phoneNumber: '4916400000002', deviceId: 1 },
  ])
  expect(entries[1]?.stanza.children?.[0]).toEqual({ tag: 'enc', attrs: { v: '2', type: 'msg' }, bytes: 48 })
  const whole = JSON.stringify(own.server.log.entries())
  for (const bytes of [secret.content as Buffer, companion.noise.public, Buffer.from(own.server.mediaAuth)]) {
    for (const form of ['hex', 'base64', 'latin1'] as const) expect(whole).not.toContain(bytes.toString(form))
  }
  const [last] = own.server.log.entries().slice(-1)
  expect(own.server.log.entries({ after: last?.seq ?? 0 })).toEqual([])
  wire.close()
  await own.stop()
})
