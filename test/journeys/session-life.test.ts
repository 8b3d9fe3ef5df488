import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asTenantId, phoneJid } from '../../src/domain/ids'
import type { Phone } from '../../src/sandbox/phone'
import { type AppParts, createAppParts } from '../harness/app-parts'

let parts: AppParts
let ours: Phone
let ada: Phone
beforeEach(async () => {
  parts = await createAppParts()
  ours = parts.sandbox.addPhone({ phoneNumber: '4915111111111', name: 'Support' })
  ada = parts.sandbox.addPhone({ phoneNumber: '4915122222222', name: 'Ada' })
})
afterEach(() => parts.stop())

const say = async (id: Parameters<AppParts['supervisor']['send']>[0], text: string) => {
  const ask = { type: 'text' as const, text }
  return (await parts.supervisor.send(id, { to: phoneJid(ada.phoneNumber), ask })).message
}

describe('restart', () => {
  test('after a crash sessions come back without a code, and talk on', async () => {
    const id = await parts.link(ours)
    await say(id, 'before')
    const codes = () => parts.told.filter(({ event }) => event === 'session.qr_generated').length
    const before = codes()
    await parts.crash()
    await parts.reach(id, 'connected')
    expect(codes()).toBe(before)
    const after = await say(id, 'after')
    await ada.waitForMessage((message) => message.id === after.id)
    const answer = await ada.send(ours.phoneNumber, 'still there?')
    await parts.event(id, 'message.received', ({ messageId }) => messageId === answer.id)
    expect(parts.online(ours)).toBe(1)
  })

  test('an orderly end is not a stop: sessions come back, stopped ones do not', async () => {
    const running = await parts.link(ours)
    const stopped = await parts.link(ada)
    await parts.supervisor.command(stopped, 'stop')
    await parts.reach(stopped, 'inactive')
    await parts.restart()
    await parts.reach(running, 'connected')
    expect(parts.session(stopped)).toMatchObject({ state: { status: 'inactive' }, credentials: 'linked' })
    expect(parts.life(running)).not.toContain('session.stopped')
  })

  test('ten sessions come back together', async () => {
    const phones = Array.from({ length: 10 }, (_, index) =>
      parts.sandbox.addPhone({ phoneNumber: `491600000000${index}`, name: `Phone ${index}` }),
    )
    const ids = []
    for (const phone of phones) ids.push(await parts.link(phone))
    await parts.crash()
    await Promise.all(ids.map((id) => parts.reach(id, 'connected')))
    expect(phones.map((phone) => parts.online(phone))).toEqual(phones.map(() => 1))
  })
})

describe('stop, start, restart', () => {
  test('keep the link', async () => {
    const id = await parts.link(ours)
    await parts.supervisor.command(id, 'stop')
    await parts.reach(id, 'inactive')
    expect(ours.devices()).toHaveLength(1)
    await parts.supervisor.command(id, 'start')
    await parts.reach(id, 'connected')
    await parts.supervisor.command(id, 'restart')
    await parts.reach(id, 'connected')
    expect(parts.told.filter(({ event }) => event === 'session.qr_generated')).toHaveLength(1)
    expect(ours.devices()).toHaveLength(1)
    expect((await say(id, 'hello')).status).toBe('sent')
  })
})

describe('the phone removes the device', () => {
  test('the session says so, tries nothing, and the next start shows a new code', async () => {
    const id = await parts.link(ours)
    const [device] = ours.devices()
    await ours.unlink(device?.id ?? 0)
    const told = await parts.event(id, 'session.disconnected')
    expect(told).toMatchObject({ reason: 'logged_out', code: 401, willReconnect: false })
    expect(parts.session(id)).toMatchObject({
      credentials: 'revoked',
      me: { phoneNumber: '4915111111111' },
    })
    expect(say(id, 'x')).rejects.toMatchObject({ code: 'AUTH_EXPIRED' })
    await parts.supervisor.command(id, 'start')
    await parts.scan(id, ours)
    await parts.reach(id, 'connected')
    expect(ours.devices()).toHaveLength(1)
    expect((await say(id, 'back')).status).toBe('sent')
  })
})

describe('clear-auth', () => {
  test('unlinks on the phone and goes on to a new code', async () => {
    const id = await parts.link(ours)
    const answer = await parts.supervisor.command(id, 'clear_auth')
    expect(answer.state.status).toBe('connecting')
    await parts.supervisor.waitForQr(id, 20_000)
    expect(ours.devices()).toEqual([])
    await parts.scan(id, ada)
    await parts.reach(id, 'connected')
    expect(parts.session(id).me?.phoneNumber).toBe('4915122222222')
  })

  test('of a stopped session unlinks too, and stays inactive', async () => {
    const id = await parts.link(ours)
    await parts.supervisor.command(id, 'stop')
    await parts.reach(id, 'inactive')
    await parts.supervisor.command(id, 'clear_auth')
    // The next command waits for its turn: by then the unlinking is over.
    await parts.supervisor.command(id, 'stop')
    expect(ours.devices()).toEqual([])
    expect(parts.session(id)).toMatchObject({ state: { status: 'inactive' }, credentials: 'none' })
  })
})

test('logout unlinks and keeps the session', async () => {
  const id = await parts.link(ours)
  await parts.supervisor.command(id, 'logout')
  await parts.supervisor.command(id, 'stop')
  expect(ours.devices()).toEqual([])
  expect(parts.session(id)).toMatchObject({ state: { status: 'inactive' }, me: null })
})

describe('delete', () => {
  test('unlinks on the phone and leaves nothing', async () => {
    const id = await parts.link(ours)
    await ada.send(ours.phoneNumber, 'hello')
    await parts.event(id, 'message.received')
    await parts.supervisor.remove(id)
    await parts.event(id, 'session.deleted')
    expect(ours.devices()).toEqual([])
    expect(parts.supervisor.find(id)).toBeNull()
    expect(parts.storage.sessions.get(id)).toBeNull()
    expect(parts.told.at(-1)).toMatchObject({ event: 'session.deleted', sessionId: id })
    expect(parts.supervisor.command(id, 'start')).rejects.toMatchObject({ code: 'SESSION_NOT_FOUND' })
  })

  test('a stopped session is unlinked as well', async () => {
    const id = await parts.link(ours)
    await parts.supervisor.command(id, 'stop')
    await parts.supervisor.remove(id)
    expect(ours.devices()).toEqual([])
  })

  test('works although WhatsApp cannot be reached', async () => {
    const id = await parts.link(ours)
    parts.sandbox.server.faults.add({ kind: 'stall', phoneNumber: ours.phoneNumber })
    await parts.supervisor.remove(id)
    expect(parts.supervisor.find(id)).toBeNull()
  }, 20_000)
})

test('one session per number: the second is unlinked, the first is untouched', async () => {
  const first = await parts.link(ours)
  const second = await parts.make({}, asTenantId('somebody else'))
  await parts.supervisor.command(second, 'start')
  await parts.scan(second, ours)
  const told = await parts.event(second, 'session.disconnected')
  expect(told).toMatchObject({ reason: 'duplicate_phone_number', willReconnect: false })
  // The next command waits until the unlinking is over.
  await parts.supervisor.command(second, 'stop')
  expect(ours.devices()).toHaveLength(1)
  expect(parts.session(first).state.status).toBe('connected')
  expect((await say(first, 'mine')).status).toBe('sent')
  expect(parts.life(second)).not.toContain('session.connected')
})

describe('trouble on the line', () => {
  test('a cut line is told with the planned attempt, and comes back', async () => {
    const id = await parts.link(ours)
    parts.sandbox.server.faults.add({ kind: 'drop', phoneNumber: ours.phoneNumber })
    const told = await parts.event(id, 'session.disconnected')
    expect(told).toMatchObject({ reason: 'connection_lost', willReconnect: true })
    expect(Date.parse(String(told.nextAttemptAt))).toBeGreaterThan(Date.parse(told.timestamp))
    await parts.reach(id, 'connected')
    expect(parts.online(ours)).toBe(1)
  })

  test('a stop while a retry is planned means no further connection', async () => {
    const id = await parts.link(ours, { reconnectInterval: 1_000 })
    parts.sandbox.server.faults.add({ kind: 'refuse', all: true })
    parts.sandbox.server.faults.add({ kind: 'drop', phoneNumber: ours.phoneNumber })
    await parts.event(id, 'session.disconnected')
    await parts.supervisor.command(id, 'stop')
    const { connections, refused } = parts.sandbox.server.stats.snapshot()
    // Longer than the longest wait of this session, which is one second.
    await Bun.sleep(1_500)
    const after = parts.sandbox.server.stats.snapshot()
    expect(after.connections + after.refused).toBe(connections + refused)
    expect(parts.session(id).state.status).toBe('inactive')
  })
})
