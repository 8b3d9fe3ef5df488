import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { FaultInput } from '../../src/sandbox/faults'
import { FAULT_KINDS, Faults } from '../../src/sandbox/faults'
import { child, node } from '../../src/sandbox/node'
import { LinkRefused } from '../../src/sandbox/refusal'
import { createManualClock, type ManualClock } from '../harness/clock'
import {
  type Companion,
  enc,
  type Lab,
  type LabPhone,
  message,
  outcome,
  startLab,
  tagged,
  to,
  VERSION,
  Wire,
} from './support/lab'

let lab: Lab
let clock: ManualClock
let me: { phone: LabPhone; companion: Companion }
let other: { phone: LabPhone; companion: Companion }
const MINE = '4925000000001'

beforeEach(async () => {
  clock = createManualClock()
  lab = await startLab({ clock })
  me = await lab.linked(MINE)
  other = await lab.linked('4925000000002')
})
afterEach(() => lab.stop())

const add = (fault: Omit<FaultInput, 'phoneNumber'>) =>
  lab.server.faults.add(fault.all || fault.noiseKey ? fault : { ...fault, phoneNumber: MINE })
const say = (id: string) =>
  message(id, other.phone.jid, [to(other.phone.jid), to(other.companion.jid()), to(me.phone.jid)])

describe('at once', () => {
  let wire: Wire
  let bystander: Wire
  beforeEach(async () => {
    wire = await me.companion.online()
    bystander = await other.companion.online()
  })
  afterEach(async () => {
    // A fault for one number never touches another.
    await bystander.settled()
  })

  test('drop cuts without a word', async () => {
    add({ kind: 'drop' })
    expect(await wire.closed).toBe(1006)
    expect(wire.inbox.unread().filter(({ tag }) => tag !== 'ib')).toEqual([])
    expect((await me.companion.login()).first.tag).toBe('success')
  })

  test.each([
    [503, {}],
    [500, { code: 500 }],
  ])('stream_error says %d and closes', async (code, more) => {
    add({ kind: 'stream_error', ...more })
    expect((await wire.take('stream:error')).attrs.code).toBe(String(code))
    await wire.closed
  })

  test('logout removes the device, here or away', async () => {
    add({ kind: 'logout' })
    expect(child(await wire.take('stream:error', { code: '401' }), 'conflict')?.attrs.type).toBe(
      'device_removed',
    )
    await wire.closed
    expect((await me.companion.login()).first.attrs.reason).toBe('401')
    const away = await lab.companion().pair(me.phone)
    add({ kind: 'logout', noiseKey: away.noise.public.toString('hex') })
    expect((await away.login()).first.attrs.reason).toBe('401')
  })

  test('replace says conflict', async () => {
    add({ kind: 'replace' })
    expect(child(await wire.take('stream:error'), 'conflict')?.attrs.type).toBe('replaced')
    await wire.closed
    expect((await me.companion.login()).first.tag).toBe('success')
  })

  test('corrupt_frame does not decrypt, and the next one does', async () => {
    const broken = Promise.withResolvers<unknown>()
    wire.onBroken = broken.resolve
    add({ kind: 'corrupt_frame' })
    expect(String(await broken.promise)).toMatch(/auth|decrypt/i)
    await wire.settled()
  })

  test('ban ends the connection, and the next logins', async () => {
    add({ kind: 'ban' })
    expect((await wire.take('failure')).attrs.reason).toBe('403')
    await wire.closed
    expect((await me.companion.login()).first.attrs.reason).toBe('403')
    lab.server.faults.clear()
    expect((await me.companion.login()).first.tag).toBe('success')
  })

  test('a ban for a while says for how long', async () => {
    add({ kind: 'ban', for: 60_000 })
    expect((await wire.take('failure')).attrs).toMatchObject({ reason: '402', code: '101', expire: '60' })
    await clock.advance(20_000)
    expect((await me.companion.login()).first.attrs).toMatchObject({ reason: '402', expire: '40' })
    await clock.advance(40_000)
    expect((await me.companion.login()).first.tag).toBe('success')
  })

  test('stall is silence in both directions, and nothing is lost', async () => {
    const fault = add({ kind: 'stall' })
    wire.send(say('S1'))
    const pinging = wire.settled()
    other.phone.uplink.send(message('S2', me.phone.jid, [to(me.phone.jid), to(me.companion.jid())]))
    await bystander.settled()
    expect(wire.inbox.unread('message')).toEqual([])
    expect(lab.server.directory.byPhoneNumber('4925000000002')?.devices.get(1)?.pending).toEqual([])
    lab.server.faults.clear(fault.id)
    await pinging
    await wire.take('message', { id: 'S2' })
    await bystander.take('message', { id: 'S1' })
  })

  test('stall ends by itself, and a spent one holds on to whom it met', async () => {
    add({ kind: 'stall', for: 5_000, times: 1 })
    const pinging = wire.settled()
    const { wire: second, first } = await me.companion.login({}, {})
    expect(first.tag).toBe('success')
    second.close()
    await clock.advance(4_999)
    expect(lab.server.faults.list()).toHaveLength(1)
    await clock.advance(1)
    expect(lab.server.faults.list()).toEqual([])
    // The first line was replaced meanwhile and hears it now, after the answer that was held back.
    await Promise.race([pinging, wire.closed])
  })
})

describe('later', () => {
  test('refuse answers the upgrade for all, and the login for one', async () => {
    add({ kind: 'refuse', all: true, times: 1, status: 502 })
    const http = lab.server.url.replace('ws://', 'http://')
    expect((await fetch(http)).status).toBe(502)
    expect(lab.server.stats.snapshot().refused).toBe(1)
    add({ kind: 'refuse' })
    expect((await me.companion.login()).first.attrs.reason).toBe('503')
    expect((await other.companion.login()).first.tag).toBe('success')
  })

  test('rate_limit answers the upgrade, and messages and look-ups of those who are in', async () => {
    const wire = await me.companion.online()
    add({ kind: 'rate_limit' })
    wire.send(say('L1'))
    expect((await wire.take('ack', { id: 'L1' })).attrs.error).toBe('429')
    expect(outcome(await wire.query('w:g2', 'get', [node('participating')], { to: '@g.us' }))).toBe('429')
    await wire.settled()
    lab.server.faults.clear()
    add({ kind: 'rate_limit', all: true, times: 1 })
    expect((await fetch(lab.server.url.replace('ws://', 'http://'))).status).toBe(429)
  })

  test('stall for all keeps the socket open and never answers', async () => {
    const handshakesBefore = lab.server.stats.snapshot().handshakes
    add({ kind: 'stall', all: true })
    const wire = new Wire(lab.server)
    const handshake = wire.handshake(me.companion.loginPayload(), me.companion.noise)
    await wire.opened()
    // The hello left before this question, which the same server does answer.
    expect((await fetch(lab.server.url.replace('ws://', 'http://'))).status).toBe(426)
    expect(lab.server.stats.snapshot()).toMatchObject({ open: 1, handshakes: handshakesBefore })
    lab.server.faults.clear()
    await handshake
    await wire.take('success')
  })

  test('outdated turns away clients below a version', async () => {
    const [a, b, c] = VERSION
    add({ kind: 'outdated', version: [a, b, c + 1] })
    expect((await me.companion.login()).first.attrs.reason).toBe('405')
    const userAgent = { appVersion: { primary: a, secondary: b, tertiary: c + 1 } }
    expect((await me.companion.login({ userAgent })).first.tag).toBe('success')
    lab.server.faults.clear()
    add({ kind: 'outdated', version: VERSION.join('.') })
    expect((await me.companion.login()).first.tag).toBe('success')
    add({ kind: 'outdated', all: true })
    const wire = new Wire(lab.server)
    await wire.handshake(lab.companion().registration(), me.companion.noise)
    expect((await wire.take('failure')).attrs.reason).toBe('405')
  })

  test('reject_messages, so many times, with a code', async () => {
    const wire = await me.companion.online()
    add({ kind: 'reject_messages', code: 463, times: 2 })
    const codes: (string | undefined)[] = []
    for (const id of ['J1', 'J2', 'J3']) {
      wire.send(say(id))
      codes.push((await wire.take('ack', { id })).attrs.error)
    }
    expect(codes).toEqual(['463', '463', undefined])
    expect(lab.server.faults.list()).toEqual([])
  })

  test('slow_ack takes its time, the message does not', async () => {
    const wire = await me.companion.online()
    const listener = await other.companion.online()
    add({ kind: 'slow_ack', ms: 3_000 })
    wire.send(say('W1'))
    await listener.take('message', { id: 'W1' })
    await wire.settled()
    await clock.advance(2_999)
    await wire.settled()
    expect(wire.inbox.unread('ack')).toEqual([])
    await clock.advance(1)
    expect((await wire.take('ack', { id: 'W1' })).attrs.error).toBeUndefined()
  })

  test('duplicate delivers twice, to be confirmed once', async () => {
    const wire = await me.companion.online()
    add({ kind: 'duplicate', times: 1 })
    const send = (id: string) =>
      other.phone.uplink.send(
        message(id, me.phone.jid, [to(me.companion.jid(), enc('msg')), to(me.phone.jid)]),
      )
    send('U1')
    send('U2')
    await wire.take('message', { id: 'U2' })
    const copies = wire.inbox.all.filter(tagged('message', { id: 'U1' }))
    expect(copies).toHaveLength(2)
    expect(copies[0]).toEqual(copies[1] ?? node('none'))
    expect(me.companion.device?.pending).toHaveLength(2)
  })

  test('media_gone waits for the media host to ask', () => {
    add({ kind: 'media_gone', all: true, times: 1 })
    expect(lab.server.faults.hit('media_gone', {})).toBeDefined()
    expect(lab.server.faults.hit('media_gone', {})).toBeUndefined()
  })
})

describe('while pairing', () => {
  test('pair_refresh tells a waiting companion, or the next one', async () => {
    const companion = lab.companion()
    const { wire } = await companion.register()
    add({ kind: 'pair_refresh', noiseKey: companion.noise.public.toString('hex') })
    const told = await wire.take('notification', { type: 'companion_reg_refresh' })
    expect(told.attrs.from).toBe('@s.whatsapp.net')
    expect(lab.server.faults.list()).toEqual([])

    const next = lab.companion()
    add({ kind: 'pair_refresh', noiseKey: next.noise.public.toString('hex') })
    const { wire: later, refs } = await next.register()
    await later.take('notification', { type: 'companion_reg_refresh' })
    expect(lab.server.faults.list()).toEqual([])
    // The refs are still good: only the secret beside them is not.
    const linked = me.phone.link(refs[0] ?? '', next)
    await next.countersign(later)
    expect((await linked).account).toBe(me.phone.account)
    wire.close()
  })

  test('passkey ends the hope of this connection', async () => {
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    add({ kind: 'passkey', all: true })
    await wire.take('notification', { type: 'passkey_prologue_request' })
    const failure = await me.phone.link(refs[0] ?? '', companion).catch((error: unknown) => error)
    expect(failure).toBeInstanceOf(LinkRefused)
    await wire.settled()
    wire.close()
  })

  test('a companion with a pairing code is known by the number it is for', async () => {
    const companion = lab.companion()
    const { wire } = await companion.register()
    const part = (tag: string, content: Uint8Array | string) => node(tag, {}, content)
    await wire.query('md', 'set', [
      node('link_code_companion_reg', { jid: me.phone.jid, stage: 'companion_hello' }, [
        part('link_code_pairing_wrapped_companion_ephemeral_pub', Buffer.alloc(80)),
        part('companion_server_auth_key_pub', companion.noise.public),
        part('companion_platform_id', '1'),
        part('companion_platform_display', 'Chrome (Linux)'),
      ]),
    ])
    add({ kind: 'drop' })
    await wire.closed
  })
})

describe('a fault', () => {
  test('stands as often and as long as it says', async () => {
    const faults = new Faults(clock)
    const ended: string[] = []
    faults.onEnd(({ id }) => ended.push(id))
    const twice = faults.add({ kind: 'duplicate', all: true, times: 2 })
    const timed = faults.add({ kind: 'slow_ack', phoneNumber: '1', for: 100 })
    const until = faults.add({ kind: 'slow_ack', phoneNumber: '2', until: clock.now() + 50 })
    const open = faults.add({ kind: 'reject_messages', noiseKey: 'ab' })
    expect(faults.hit('duplicate', {})?.hits).toBe(1)
    expect(faults.hit('slow_ack', { phoneNumber: '3' })).toBeUndefined()
    expect(faults.hit('reject_messages', { noiseKey: 'ab' })?.id).toBe(open.id)
    expect(faults.hit('duplicate', { phoneNumber: 'x' })?.id).toBe(twice.id)
    expect(faults.hit('duplicate', {})).toBeUndefined()
    await clock.advance(60)
    await clock.advance(60)
    expect(ended).toEqual([twice.id, until.id, timed.id])
    expect(faults.list().map(({ id }) => id)).toEqual([open.id])
    expect(faults.clear('nothing')).toBe(0)
    expect(faults.clear()).toBe(1)
  })

  test('that acted at once counts whom it met', () => {
    const faults = new Faults(clock)
    faults.onAdd(() => 2)
    expect(faults.add({ kind: 'ban', all: true, times: 2 })).toMatchObject({ hits: 2 })
    expect(faults.list()).toEqual([])
    expect(faults.add({ kind: 'ban', all: true, times: 3 })).toMatchObject({ hits: 2 })
    expect(faults.hit('ban', {})).toBeDefined()
    expect(faults.hit('ban', {})).toBeUndefined()
    expect(faults.add({ kind: 'drop', all: true })).toMatchObject({ hits: 2 })
    expect(faults.list()).toEqual([])
  })

  test.each([
    ['without a target', { kind: 'drop' }],
    ['of no known kind', { kind: 'earthquake', all: true }],
    ['named like what every object has', { kind: 'constructor', all: true }],
  ])('%s is a mistake', (_, fault) => {
    expect(() => new Faults(clock).add(fault as FaultInput)).toThrow(TypeError)
  })

  test('of every kind says what it does', () => {
    for (const { now, later, says } of Object.values(FAULT_KINDS)) {
      expect(now || later).toBe(true)
      expect(says.length).toBeGreaterThan(10)
    }
  })
})
