import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import { child, childText, node, SERVER } from '../../src/sandbox/node'
import { LinkRefused } from '../../src/sandbox/refusal'
import { createManualClock } from '../harness/clock'
import { makePair } from './support/initiator'
import { type Companion, type Lab, outcome, startLab, Wire } from './support/lab'

let lab: Lab
beforeAll(async () => {
  lab = await startLab()
})
afterAll(() => lab.stop())

describe('linking by QR', () => {
  test('grants a device, restarts the client, and lets it in', async () => {
    const phone = lab.phone('4915100000001')
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    expect(new Set(refs).size).toBe(6)
    const linked = phone.link(refs[0] ?? '', companion)
    const offer = await companion.countersign(wire)
    const success = child(offer, 'pair-success')
    expect(child(success, 'platform')?.attrs.name).toBe('android')
    expect(child(success, 'device')?.attrs).toEqual({
      jid: '4915100000001:1@s.whatsapp.net',
      lid: `${phone.account.lid}:1@lid`,
    })
    companion.device = await linked
    await wire.take('stream:error', { code: '515' })
    await wire.closed

    const { wire: second, first } = await companion.login()
    expect(first).toMatchObject({ tag: 'success', attrs: { lid: `${phone.account.lid}:1@lid` } })
    expect(child(await second.take('ib'), 'edge_routing')).toBeDefined()
    second.close()
  })

  test('names the business of a business phone', async () => {
    const phone = lab.phone('4915100000002', { platform: 'smba' })
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    void phone.link(refs[0] ?? '', companion)
    const offer = await companion.countersign(wire)
    expect(child(child(offer, 'pair-success'), 'biz')?.attrs.name).toBe('Owner of 4915100000002')
    await wire.closed
  })

  test('never gives a device number or key index twice', async () => {
    const phone = lab.phone('4915100000003')
    const seen: [number, number][] = []
    for (let round = 0; round < 3; round++) {
      const { device } = await lab.companion().pair(phone)
      if (device === null) throw new Error('not linked')
      seen.push([device.id, device.keyIndex])
      phone.uplink.unlink(device.id)
    }
    expect(seen).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ])
  })

  test('a ref is spent with its companion', async () => {
    const phone = lab.phone('4915100000004')
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    const linked = phone.link(refs[0] ?? '', companion)
    await companion.countersign(wire)
    await linked
    expect(phone.uplink.companionOf(refs[0] ?? '')).toBeNull()
    expect(await failureOf(phone.link(refs[0] ?? '', companion))).toBeInstanceOf(LinkRefused)
  })

  test('an unlinked client may ping and nothing else', async () => {
    const { wire } = await lab.companion().register()
    await wire.settled()
    expect(outcome(await wire.query('usync', 'get', [node('usync')]))).toBe('401')
    expect(outcome(await wire.query('encrypt', 'get', [node('count')]))).toBe('401')
    wire.close()
  })
})

describe('refs', () => {
  test('live a minute, then twenty seconds each, and the connection with them', async () => {
    const clock = createManualClock()
    const timed = await startLab({ clock })
    const phone = timed.phone('4915100000005')
    const companion = timed.companion()
    const { wire, refs } = await companion.register()
    const alive = () => refs.map((ref) => phone.uplink.companionOf(ref) !== null)
    expect(alive()).toEqual([true, true, true, true, true, true])
    await clock.advance(59_000)
    expect(alive()).toEqual([true, true, true, true, true, true])
    await clock.advance(1_000)
    expect(alive()).toEqual([false, true, true, true, true, true])
    await clock.advance(20_000)
    expect(alive()).toEqual([false, false, true, true, true, true])
    await clock.advance(79_000)
    expect(alive()).toEqual([false, false, false, false, false, true])
    await clock.advance(1_000)
    expect(alive()).toEqual([false, false, false, false, false, false])
    expect(await failureOf(phone.link(refs[5] ?? '', companion))).toBeInstanceOf(LinkRefused)
    await clock.advance(2_000)
    await wire.take('xmlstreamend')
    await wire.closed
    await timed.stop()
  })

  test('live as long as configured', async () => {
    const clock = createManualClock()
    const timed = await startLab({ clock, qrLifetimes: [100, 50] })
    const phone = timed.phone('4915100000006')
    const { refs, wire } = await timed.companion().register()
    expect(refs).toHaveLength(2)
    await clock.advance(149)
    expect(phone.uplink.companionOf(refs[1] ?? '')).not.toBeNull()
    await clock.advance(1)
    expect(phone.uplink.companionOf(refs[1] ?? '')).toBeNull()
    wire.close()
    await timed.stop()
  })
})

describe('a grant is refused', () => {
  const refused: [
    string,
    (phone: ReturnType<Lab['phone']>, companion: Companion) => { grant: Buffer; index: number },
  ][] = [
    [
      'when another key signed it',
      (phone, companion) => ({ grant: phone.grantFor(companion, 1, makePair()), index: 1 }),
    ],
    ['when it names another companion', (phone) => ({ grant: phone.grantFor(lab.companion(), 1), index: 1 })],
    [
      'when it names another key index',
      (phone, companion) => ({ grant: phone.grantFor(companion, 2), index: 1 }),
    ],
    [
      'when the key index is the phone’s',
      (phone, companion) => ({ grant: phone.grantFor(companion, 0), index: 0 }),
    ],
    ['when it is no grant', () => ({ grant: randomBytes(40), index: 1 })],
    [
      'when its signature was changed',
      (phone, companion) => ({ grant: forge(phone.grantFor(companion, 1)), index: 1 }),
    ],
  ]
  test.each(refused)('%s', async (_, make) => {
    const phone = lab.phone(`49152${Math.floor(Math.random() * 1e8)}`)
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    const { grant, index } = make(phone, companion)
    const linking = phone.uplink.link(refs[0] ?? '', { deviceIdentity: grant, keyIndex: index })
    expect(await failureOf(linking)).toBeInstanceOf(LinkRefused)
    // The companion was not bothered, and can still be linked.
    const linked = phone.link(refs[0] ?? '', companion)
    await companion.countersign(wire)
    expect((await linked).account).toBe(phone.account)
  })
})

/** What a promise fails with; waits for it without blocking the loop, which Bun's `rejects` does. */
const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no failure',
    (error: unknown) => error,
  )
const messageOf = async (promise: Promise<unknown>) => String(await failureOf(promise))

/** Changes one bit of the account signature inside a grant. */
function forge(grant: Buffer): Buffer {
  const outer = proto.ADVSignedDeviceIdentityHMAC.decode(grant)
  const inner = proto.ADVSignedDeviceIdentity.decode(outer.details ?? new Uint8Array())
  const signature = Buffer.from(inner.accountSignature ?? [])
  signature.writeUInt8(signature.readUInt8(3) ^ 1, 3)
  inner.accountSignature = signature
  outer.details = proto.ADVSignedDeviceIdentity.encode(inner).finish()
  return Buffer.from(proto.ADVSignedDeviceIdentityHMAC.encode(outer).finish())
}

describe('a companion’s answer is refused', () => {
  const changed = (change: (answer: proto.ADVSignedDeviceIdentity) => void) => (answer: Buffer) => {
    const decoded = proto.ADVSignedDeviceIdentity.decode(answer)
    change(decoded)
    return Buffer.from(proto.ADVSignedDeviceIdentity.encode(decoded).finish())
  }
  const flip = (bytes: Uint8Array | null | undefined) => {
    const copy = Buffer.from(bytes ?? [])
    copy.writeUInt8(copy.readUInt8(0) ^ 1, 0)
    return copy
  }
  test.each([
    [
      'a wrong device signature',
      changed((answer) => {
        answer.deviceSignature = flip(answer.deviceSignature)
      }),
      undefined,
    ],
    [
      'a missing device signature',
      changed((answer) => {
        answer.deviceSignature = Buffer.alloc(0)
      }),
      undefined,
    ],
    [
      'another account signature',
      changed((answer) => {
        answer.accountSignature = flip(answer.accountSignature)
      }),
      undefined,
    ],
    [
      'other details',
      changed((answer) => {
        answer.details = flip(answer.details)
      }),
      undefined,
    ],
    ['bytes that are no answer', () => Buffer.from([0xff, 0xff]), undefined],
    ['another key index', (answer: Buffer) => answer, 9],
  ])('%s', async (_, change, keyIndex) => {
    const phone = lab.phone(`49153${Math.floor(Math.random() * 1e8)}`)
    const companion = lab.companion()
    const { wire, refs } = await companion.register()
    const failed = failureOf(phone.link(refs[0] ?? '', companion))
    await companion.countersign(wire, change, keyIndex)
    expect(await failed).toBeInstanceOf(LinkRefused)
    await wire.take('stream:error', { code: '400' })
    await wire.closed
    expect(phone.account.devices.size).toBe(1)
  })

  test('an error, and silence that ends with the connection', async () => {
    const phone = lab.phone('4915400000001')
    const companion = lab.companion()
    const one = await companion.register()
    const refused = messageOf(phone.link(one.refs[0] ?? '', companion))
    const offer = await one.wire.inbox.take((stanza) => child(stanza, 'pair-success') !== undefined)
    one.wire.send(node('iq', { id: offer.attrs.id, type: 'error', to: SERVER }))
    expect(await refused).toContain('refused the grant')
    const lost = messageOf(phone.link(one.refs[0] ?? '', companion))
    await one.wire.inbox.take((stanza) => child(stanza, 'pair-success') !== undefined)
    one.wire.drop()
    expect(await lost).toContain('went away')
    expect(phone.account.devices.size).toBe(1)
  })

  test('silence that lasts', async () => {
    const clock = createManualClock()
    const timed = await startLab({ clock })
    const phone = timed.phone('4915400000002')
    const companion = timed.companion()
    const { wire, refs } = await companion.register()
    const lost = messageOf(phone.link(refs[0] ?? '', companion))
    await wire.inbox.take((stanza) => child(stanza, 'pair-success') !== undefined)
    await clock.advance(20_000)
    expect(await lost).toContain('did not answer')
    wire.close()
    await timed.stop()
  })
})

describe('registration data is refused', () => {
  test.each([
    ['a signature of somebody else', { eSkeySig: randomBytes(64) }],
    ['a short identity', { eIdent: randomBytes(31) }],
    ['no signed pre-key', { eSkeyVal: new Uint8Array() }],
    ['another key type', { eKeytype: Buffer.from([6]) }],
    ['a short registration id', { eRegid: Buffer.from([1]) }],
    ['no build hash', { buildHash: new Uint8Array() }],
    ['nothing about itself', { deviceProps: null }],
  ])('%s', async (_, changes) => {
    const { wire, first } = await attempt(lab.companion().registration(changes))
    expect(first).toMatchObject({ tag: 'failure', attrs: { reason: '400' } })
    await wire.closed
  })

  test('a client that does not say what it is', async () => {
    const { userAgent: _, ...payload } = lab.companion().registration()
    const { first } = await attempt(payload)
    expect(first).toMatchObject({ tag: 'failure', attrs: { reason: '409' } })
  })
})

async function attempt(payload: proto.IClientPayload) {
  const wire = new Wire(lab.server)
  await wire.handshake(payload, makePair())
  const first = await wire.inbox.take(({ tag }) => tag === 'failure' || tag === 'success')
  return { wire, first }
}

describe('linking by code', () => {
  const TAG = 'link_code_companion_reg'
  const hello = (companion: Companion, jid: string, changes: Record<string, Uint8Array | string> = {}) => {
    const parts: Record<string, Uint8Array | string> = {
      link_code_pairing_wrapped_companion_ephemeral_pub: randomBytes(80),
      companion_server_auth_key_pub: companion.noise.public,
      companion_platform_id: '1',
      companion_platform_display: 'Chrome (Mac OS)',
      link_code_pairing_nonce: '0',
      ...changes,
    }
    const content = Object.entries(parts).map(([tag, value]) => node(tag, {}, value))
    return [node(TAG, { jid, stage: 'companion_hello', should_show_push_notification: 'true' }, content)]
  }
  const primaryHello = (
    phone: ReturnType<Lab['phone']>,
    ref: string,
    identity = phone.keys.identity.public,
    size = 80,
  ) =>
    node('iq', { type: 'set', xmlns: 'md', to: SERVER }, [
      node(TAG, { stage: 'primary_hello' }, [
        node('link_code_pairing_wrapped_primary_ephemeral_pub', {}, randomBytes(size)),
        node('primary_identity_pub', {}, identity),
        node('link_code_pairing_ref', {}, ref),
      ]),
    ])
  const finish = (
    companion: Companion,
    jid: string,
    ref: string,
    size = 156,
    identity = companion.keys.identity.public,
  ) => [
    node(TAG, { jid, stage: 'companion_finish' }, [
      node('link_code_pairing_wrapped_key_bundle', {}, randomBytes(size)),
      node('companion_identity_public', {}, identity),
      node('link_code_pairing_ref', {}, ref),
    ]),
  ]
  const begin = async (wire: Wire, companion: Companion, phone: ReturnType<Lab['phone']>) => {
    const answer = await wire.query('md', 'set', hello(companion, phone.jid))
    return childText(child(answer, TAG), 'link_code_pairing_ref') ?? ''
  }

  test('carries wrapped keys both ways, and ends as with a QR', async () => {
    const phone = lab.phone('4915500000001')
    const companion = lab.companion()
    const { wire } = await companion.register()
    const ref = await begin(wire, companion, phone)
    const asked = await phone.inbox.take(({ attrs }) => attrs.type === TAG)
    expect(child(asked, TAG)?.attrs.stage).toBe('companion_hello')
    expect(childText(child(asked, TAG), 'companion_platform_display')).toBe('Chrome (Mac OS)')
    expect(childText(child(asked, TAG), 'link_code_pairing_ref')).toBe(ref)

    await phone.uplink.query(primaryHello(phone, ref))
    const told = await wire.take('notification', { type: TAG })
    expect(told.attrs.from).toBe(SERVER)
    expect(child(told, TAG)?.attrs.stage).toBe('primary_hello')

    expect(outcome(await wire.query('md', 'set', finish(companion, phone.jid, ref)))).toBe('result')
    await phone.inbox.take((stanza) => child(stanza, TAG)?.attrs.stage === 'companion_finish')
    const linked = phone.link(ref, companion)
    await companion.countersign(wire)
    expect((await linked).account).toBe(phone.account)
    await wire.take('stream:error', { code: '515' })
  })

  test.each<[string, string, Record<string, Uint8Array | string>]>([
    ['a number that is not on WhatsApp', '404', {}],
    [
      'a wrapped key of another size',
      '400',
      { link_code_pairing_wrapped_companion_ephemeral_pub: randomBytes(79) },
    ],
    ['somebody else’s connection key', '400', { companion_server_auth_key_pub: randomBytes(32) }],
    ['no platform', '400', { companion_platform_id: '' }],
    ['a name that is not Browser (System)', '400', { companion_platform_display: 'My Tool' }],
  ])('does not begin for %s', async (_, code, changes) => {
    const companion = lab.companion()
    const phone = lab.server.directory.byPhoneNumber('4915500000002') ? null : lab.phone('4915500000002')
    const { wire } = await companion.register()
    const jid = code === '404' ? '4915599999999@s.whatsapp.net' : '4915500000002@s.whatsapp.net'
    expect(outcome(await wire.query('md', 'set', hello(companion, jid, changes)))).toBe(code)
    expect(phone?.inbox.unread() ?? []).toEqual([])
    wire.close()
  })

  test('does not go on out of turn, for other keys, or for another phone', async () => {
    const phone = lab.phone('4915500000003')
    const stranger = lab.phone('4915500000004')
    const companion = lab.companion()
    const { wire } = await companion.register()
    const ref = await begin(wire, companion, phone)
    expect(outcome(await wire.query('md', 'set', finish(companion, phone.jid, ref)))).toBe('404')
    expect(await messageOf(stranger.uplink.query(primaryHello(stranger, ref)))).toContain('404')
    expect(await messageOf(phone.uplink.query(primaryHello(phone, ref, randomBytes(32))))).toContain('403')
    expect(await messageOf(phone.uplink.query(primaryHello(phone, 'another')))).toContain('404')
    const short = primaryHello(phone, ref, phone.keys.identity.public, 79)
    expect(await messageOf(phone.uplink.query(short))).toContain('400')
    await phone.uplink.query(primaryHello(phone, ref))
    expect(outcome(await wire.query('md', 'set', finish(companion, phone.jid, ref, 20)))).toBe('400')
    const foreign = finish(companion, phone.jid, ref, 156, randomBytes(32))
    expect(outcome(await wire.query('md', 'set', foreign))).toBe('400')
    expect(outcome(await wire.query('md', 'set', [node('shoes')]))).toBe('400')
    expect(outcome(await wire.query('md', 'get', hello(companion, phone.jid)))).toBe('400')
    expect(outcome(await wire.query('md', 'set', finish(companion, phone.jid, ref)))).toBe('result')
    wire.close()
  })

  test('a new code takes the place of the old one', async () => {
    const phone = lab.phone('4915500000005')
    const companion = lab.companion()
    const { wire } = await companion.register()
    const first = await begin(wire, companion, phone)
    const second = await begin(wire, companion, phone)
    expect(phone.uplink.companionOf(first)).toBeNull()
    expect(phone.uplink.companionOf(second)).not.toBeNull()
    wire.close()
  })
})

test('a phone set up anew logs its companions out and has another identity', async () => {
  const { companion } = await lab.linked('4915600000001')
  const wire = await companion.online()
  const again = lab.phone('4915600000001')
  expect((await wire.take('stream:error')).attrs.code).toBe('401')
  await wire.closed
  expect(again.account.devices.size).toBe(1)
  expect(again.account.devices.get(0)?.identityKey).toEqual(again.keys.identity.public)
  const { first } = await companion.login()
  expect(first.attrs.reason).toBe('401')
})

test('a phone with forged keys is not switched on', async () => {
  const keys = { ...lab.phone('4915600000002').keys }
  keys.signedPreKey = { ...keys.signedPreKey, signature: randomBytes(64) }
  expect(() => lab.phone('4915600000003', { keys })).toThrow('bad-signature')
  expect(() => lab.phone('12ab')).toThrow('bad-phone-number')
  // Nor does it take the place of one that is there.
  const { companion } = await lab.linked('4915600000004')
  const forged = { ...keys, identity: makePair() }
  expect(() => lab.phone('4915600000004', { keys: forged })).toThrow('bad-signature')
  expect((await companion.login()).first.tag).toBe('success')
})

test('a phone cannot unlink itself', () => {
  const phone = lab.phone('4915600000005')
  expect(() => phone.uplink.unlink(0)).toThrow('403')
  expect(() => phone.uplink.unlink(5)).toThrow('404')
})
