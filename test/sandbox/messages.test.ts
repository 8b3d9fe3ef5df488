import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { BinaryNode } from '@whiskeysockets/baileys'
import { child, children, node } from '../../src/sandbox/node'
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
  type Wire,
} from './support/lab'

let lab: Lab
let numbers = 4919000000000
const fresh = async (options?: { addressing: 'lid' | 'pn' }) => {
  const { phone, companion } = await lab.linked(String(++numbers), options)
  return { phone, companion, wire: await companion.online() }
}
type Party = { phone: LabPhone; companion: Companion; wire: Wire }

beforeAll(async () => {
  lab = await startLab()
})
afterAll(() => lab.stop())

const identity = node('device-identity', {}, Buffer.from('signed identity'))
const tell = async (wire: Wire, stanza: BinaryNode) => {
  wire.send(stanza)
  return await wire.take('ack', { id: stanza.attrs.id ?? '', class: 'message' })
}
/** A message of A's companion to all devices of both accounts. */
const fanOut = (id: string, a: Party, b: Party, more: BinaryNode[] = []) =>
  message(id, b.phone.jid, [to(b.phone.jid), to(b.companion.jid()), to(a.phone.jid)], more)

describe('a message between two people', () => {
  test('reaches every device with its own ciphertext, LID-addressed as today’s accounts have it', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const forPhone = enc('msg')
    const forCompanion = enc('pkmsg', { mediatype: 'image', phash: '2:xyz' })
    const reporting = node('reporting', {}, Buffer.from('r'))
    const token = node('tctoken', {}, Buffer.from('t'))
    const stanza = message(
      'D1',
      b.phone.jid,
      [to(b.phone.jid, forPhone), to(b.companion.jid(), forCompanion), to(a.phone.jid)],
      [identity, reporting, token],
      { edit: '1' },
    )
    const ack = await tell(a.wire, stanza)
    expect(ack.attrs).toMatchObject({ from: b.phone.jid, t: expect.stringMatching(/^\d+$/) })
    expect(ack.attrs.error).toBeUndefined()
    expect(ack.attrs.phash).toBeUndefined()

    const got = await b.wire.take('message', { id: 'D1' })
    expect(got.attrs).toEqual({
      id: 'D1',
      from: a.companion.jid('lid'),
      addressing_mode: 'lid',
      sender_pn: a.phone.jid,
      type: 'text',
      edit: '1',
      t: expect.stringMatching(/^\d+$/),
      notify: `Owner of ${a.phone.phoneNumber}`,
    })
    expect(children(got).map(({ tag }) => tag)).toEqual(['enc', 'device-identity', 'reporting'])
    expect(child(got, 'enc')?.attrs).toEqual({ v: '2', type: 'pkmsg', mediatype: 'image' })
    expect(child(got, 'enc')?.content).toEqual(forCompanion.content)

    const atPhone = await b.phone.inbox.take(tagged('message', { id: 'D1' }))
    expect(child(atPhone, 'enc')?.content).toEqual(forPhone.content)
    // The identity proves who opened the session; this one was open already.
    expect(child(atPhone, 'device-identity')).toBeUndefined()
  })

  test('names the chat, not the sender, in the copy for an own device', async () => {
    const [a, b] = [await fresh(), await fresh()]
    await tell(a.wire, fanOut('D2', a, b))
    const copy = await a.phone.inbox.take(tagged('message', { id: 'D2' }))
    expect(copy.attrs).toMatchObject({
      from: a.companion.jid('lid'),
      recipient: b.phone.lid,
      peer_recipient_pn: b.phone.jid,
      addressing_mode: 'lid',
    })
    expect(copy.attrs.sender_pn).toBeUndefined()
    expect(copy.attrs.sender_lid).toBeUndefined()
  })

  test('is addressed by phone number for an account of the older kind', async () => {
    const [a, b] = [await fresh(), await fresh({ addressing: 'pn' })]
    await tell(a.wire, fanOut('D3', a, b))
    const got = await b.wire.take('message', { id: 'D3' })
    expect(got.attrs).toMatchObject({ from: a.companion.jid(), sender_lid: a.phone.lid })
    expect(got.attrs.addressing_mode).toBeUndefined()

    await tell(b.wire, fanOut('D4', b, a))
    const copy = await b.phone.inbox.take(tagged('message', { id: 'D4' }))
    expect(copy.attrs).toMatchObject({
      from: b.companion.jid(),
      recipient: a.phone.jid,
      peer_recipient_lid: a.phone.lid,
    })
  })

  test('may be addressed by LID', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const devices = [b.phone.lid, b.companion.jid('lid'), a.phone.lid].map((jid) => to(jid))
    expect((await tell(a.wire, message('D5', b.phone.lid, devices))).attrs).toMatchObject({
      from: b.phone.lid,
    })
    expect((await b.wire.take('message', { id: 'D5' })).attrs.from).toBe(a.companion.jid('lid'))
  })

  test('is acknowledged with the hash of the true device list when devices were left out', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const partial = await tell(a.wire, message('D6', b.phone.jid, [to(b.phone.jid)]))
    expect(partial.attrs.error).toBeUndefined()
    expect(partial.attrs.phash).toMatch(/^2:.{8}$/)
    await b.phone.inbox.take(tagged('message', { id: 'D6' }))
  })

  test('to oneself goes to the own devices', async () => {
    const a = await fresh()
    const ack = await tell(a.wire, message('D7', a.phone.jid, [to(a.phone.jid)]))
    expect([ack.attrs.error, ack.attrs.phash]).toEqual([undefined, undefined])
    const copy = await a.phone.inbox.take(tagged('message', { id: 'D7' }))
    expect(copy.attrs.recipient).toBe(a.phone.lid)
  })

  test('of somebody who is blocked is acknowledged and goes nowhere', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const block = node('item', { action: 'block', jid: a.phone.lid, pn_jid: a.phone.jid })
    expect(outcome(await b.wire.query('blocklist', 'set', [block]))).toBe('result')
    expect((await tell(a.wire, fanOut('D8', a, b))).attrs.error).toBeUndefined()
    await b.wire.query('blocklist', 'set', [node('item', { action: 'unblock', jid: a.phone.lid })])
    await tell(a.wire, fanOut('D9', a, b))
    await b.wire.take('message', { id: 'D9' })
    expect(b.wire.inbox.unread('message')).toEqual([])
  })
})

describe('a peer message', () => {
  test('goes to the phone, and from there to a companion, without a chat', async () => {
    const a = await fresh()
    const meta = node('meta', { appdata: 'default' })
    const attrs = { category: 'peer', push_priority: 'high_force' }
    await tell(a.wire, message('P1', a.phone.jid, [], [enc('msg'), meta], attrs))
    const got = await a.phone.inbox.take(tagged('message', { id: 'P1' }))
    expect(got.attrs).toMatchObject({ from: a.companion.jid(), category: 'peer' })
    expect(got.attrs.recipient).toBeUndefined()
    expect(child(got, 'meta')?.attrs.appdata).toBe('default')

    a.phone.uplink.send(message('P2', a.companion.jid('lid'), [], [enc('msg')], { category: 'peer' }))
    const back = await a.wire.take('message', { id: 'P2' })
    expect(back.attrs).toMatchObject({ from: a.phone.lid, category: 'peer' })
  })
})

describe('receipts', () => {
  test('tell every device of the author; in the background counts as delivered', async () => {
    const [a, b] = [await fresh(), await fresh()]
    await tell(a.wire, fanOut('R1', a, b))
    const got = await b.wire.take('message', { id: 'R1' })
    b.wire.send(node('receipt', { id: 'R1', to: got.attrs.from, type: 'inactive' }))
    expect((await b.wire.take('ack', { class: 'receipt', id: 'R1' })).attrs.error).toBeUndefined()
    const told = await a.wire.take('receipt', { id: 'R1' })
    expect(told.attrs).toMatchObject({ from: b.companion.jid('lid'), t: expect.stringMatching(/^\d+$/) })
    expect(told.attrs.type).toBeUndefined()
    await a.phone.inbox.take(tagged('receipt', { id: 'R1' }))

    b.wire.send(node('receipt', { id: 'R1', to: a.phone.lid, type: 'read', t: '1' }))
    expect((await a.wire.take('receipt', { type: 'read' })).attrs.from).toBe(b.companion.jid('lid'))
    // And b's phone knows that it was read here.
    const own = await b.phone.inbox.take(tagged('receipt', { type: 'read' }))
    expect(own.attrs).toMatchObject({ from: b.companion.jid('lid'), recipient: a.phone.lid })
  })

  test('of one who does not tell go to the own devices alone', async () => {
    const [a, b] = [await fresh(), await fresh()]
    b.wire.send(node('receipt', { id: 'R2', to: a.phone.lid, type: 'read-self' }))
    await b.phone.inbox.take(tagged('receipt', { type: 'read-self' }))
    await b.wire.settled()
    await a.wire.settled()
    expect(a.wire.inbox.unread('receipt')).toEqual([])
  })

  test('for a copy go to the sending device alone, also when the client leaves out whom it means', async () => {
    const [a, b] = [await fresh({ addressing: 'pn' }), await fresh()]
    const second = await lab.companion().pair(a.phone)
    const listener = await second.online()
    await tell(a.wire, message('R3', b.phone.jid, [to(b.phone.jid), to(b.companion.jid()), to(second.jid())]))
    await listener.take('message', { id: 'R3' })
    listener.send(node('receipt', { id: 'R3', recipient: b.phone.jid, type: 'sender' }))
    const told = await a.wire.take('receipt', { id: 'R3' })
    expect(told.attrs).toMatchObject({ from: second.jid(), recipient: b.phone.jid, type: 'sender' })
    await listener.settled()
    expect(a.phone.inbox.unread('receipt')).toEqual([])
  })

  test('wait for an author who is away', async () => {
    const [a, b] = [await fresh(), await fresh()]
    await tell(a.wire, fanOut('R4', a, b))
    a.wire.close()
    await a.wire.closed
    const got = await b.wire.take('message', { id: 'R4' })
    b.wire.send(node('receipt', { id: 'R4', to: got.attrs.from }))
    await b.wire.settled()
    b.phone.uplink.send(node('receipt', { id: 'R4', to: got.attrs.from }))
    const again = await a.companion.online()
    const told = again.inbox.all.filter(({ tag }) => tag === 'receipt')
    expect(told.map(({ attrs }) => [attrs.from, attrs.offline])).toEqual([
      [b.companion.jid('lid'), '1'],
      [b.phone.lid, '2'],
    ])
    // Two receipts with one id are told apart by who they are from.
    again.send(node('ack', { class: 'receipt', id: 'R4', to: b.phone.lid }))
    await again.settled()
    expect(a.companion.device?.pending.map(({ attrs }) => attrs.from)).toEqual([b.companion.jid('lid')])
    again.close()
  })
})

describe('a request to send again', () => {
  const retry = (id: string, recipient: string, keys: BinaryNode[] = [], more = {}) =>
    node('receipt', { id, to: recipient, type: 'retry', ...more }, [
      node('retry', { count: '1', id, t: '1', v: '1', error: '0' }),
      node('registration', {}, Buffer.from([0, 0, 18, 103])),
      ...(keys.length > 0 ? [node('keys', {}, keys)] : []),
    ])
  const keysOf = (companion: Companion) =>
    companion.uploadOf(900, 1).filter(({ tag }) => tag !== 'registration' && tag !== 'list')

  test('goes to the device that sent it, and its answer to the device that asked', async () => {
    const [a, b] = [await fresh(), await fresh()]
    await tell(a.wire, fanOut('T1', a, b))
    const got = await b.wire.take('message', { id: 'T1' })
    b.wire.send(retry('T1', got.attrs.from ?? '', keysOf(b.companion)))
    const asked = await a.wire.take('receipt', { type: 'retry' })
    expect(asked.attrs.from).toBe(b.companion.jid('lid'))
    expect(children(asked).map(({ tag }) => tag)).toEqual(['retry', 'registration', 'keys'])
    expect(a.phone.inbox.unread('receipt')).toEqual([])

    const again = message('T1', b.companion.jid('lid'), [], [enc('pkmsg', { count: '1' }), identity], {
      device_fanout: 'false',
    })
    expect((await tell(a.wire, again)).attrs.error).toBeUndefined()
    const resent = await b.wire.take('message', { id: 'T1' })
    expect(child(resent, 'enc')?.attrs).toEqual({ v: '2', type: 'pkmsg', count: '1' })
    expect(b.phone.inbox.unread('message')).toHaveLength(1)
  })

  test('from an own device comes back to it with the chat', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const second = await lab.companion().pair(a.phone)
    const listener = await second.online()
    await tell(a.wire, message('T2', b.phone.jid, [to(b.phone.jid), to(second.jid())]))
    const copy = await listener.take('message', { id: 'T2' })
    listener.send(retry('T2', copy.attrs.from ?? '', [], { recipient: b.phone.lid }))
    const asked = await a.wire.take('receipt', { type: 'retry' })
    expect(asked.attrs).toMatchObject({ from: second.jid('lid'), recipient: b.phone.lid })
    const again = message('T2', second.jid('lid'), [], [enc('msg', { count: '1' })], {
      recipient: b.phone.jid,
      device_fanout: 'false',
    })
    await tell(a.wire, again)
    expect((await listener.take('message', { id: 'T2' })).attrs).toMatchObject({ recipient: b.phone.lid })
  })

  test('with keys that are not its own is refused', async () => {
    const [a, b] = [await fresh(), await fresh()]
    const stranger = lab.companion()
    const forged = keysOf(b.companion).map((item) =>
      item.tag === 'skey' ? (keysOf(stranger).at(-1) ?? item) : item,
    )
    for (const [keys, code] of [
      [keysOf(stranger), '409'],
      [forged, '406'],
    ] as const) {
      b.wire.send(retry('T3', a.companion.jid('lid'), [...keys]))
      expect((await b.wire.take('ack', { class: 'receipt', id: 'T3' })).attrs.error).toBe(code)
    }
    await a.wire.settled()
    expect(a.wire.inbox.unread('receipt')).toEqual([])
  })
})

describe('typing and presence', () => {
  test('are told to those who are there, and lost on the others', async () => {
    const [a, b] = [await fresh(), await fresh()]
    a.wire.send(node('chatstate', { to: b.phone.jid }, [node('composing', { media: 'audio' })]))
    const typing = await b.wire.take('chatstate')
    expect(typing.attrs.from).toBe(a.phone.lid)
    expect(child(typing)?.attrs.media).toBe('audio')
    b.wire.close()
    await b.wire.closed
    a.wire.send(node('chatstate', { to: b.phone.jid }, [node('paused')]))
    await a.wire.settled()
    expect(b.companion.device?.pending).toEqual([])
  })

  test('a subscriber hears the present state and every change of it', async () => {
    const [a, b] = [await fresh(), await fresh()]
    b.wire.send(node('presence', { type: 'subscribe', to: a.phone.jid }))
    expect((await b.wire.take('presence')).attrs).toEqual({
      from: a.phone.lid,
      type: 'unavailable',
      last: 'deny',
    })
    a.wire.send(node('presence', { type: 'available', name: 'Anna' }))
    expect((await b.wire.take('presence')).attrs).toEqual({ from: a.phone.lid })
    a.phone.uplink.send(node('presence', { type: 'available' }))
    a.wire.send(node('presence', { type: 'unavailable' }))
    await a.wire.settled()
    await b.wire.settled()
    // The phone is still there.
    expect(b.wire.inbox.unread('presence')).toEqual([])
    a.phone.uplink.send(node('presence', { type: 'unavailable' }))
    const gone = await b.wire.take('presence', { type: 'unavailable' })
    expect(gone.attrs.last).toMatch(/^\d+$/)
    await tell(a.wire, fanOut('N1', a, b))
    expect((await b.wire.take('message', { id: 'N1' })).attrs.notify).toBe('Anna')
  })

  test('a device that goes away is not there any more', async () => {
    const [a, b] = [await fresh(), await fresh()]
    a.wire.send(node('presence', { type: 'available' }))
    await a.wire.settled()
    b.wire.send(node('presence', { type: 'subscribe', to: a.phone.jid }))
    await b.wire.take('presence')
    a.wire.drop()
    await b.wire.take('presence', { type: 'unavailable' })
  })
})

describe('a call', () => {
  test('rings on every device, and its refusal goes back', async () => {
    const [a, b] = [await fresh(), await fresh()]
    a.phone.uplink.send(
      node('call', { id: 'C1', to: b.phone.jid }, [
        node('offer', { 'call-id': 'X', 'call-creator': a.phone.lid }, [node('video')]),
      ]),
    )
    const ringing = await b.wire.take('call')
    expect(ringing.attrs.from).toBe(a.phone.lid)
    expect(child(ringing, 'offer')?.attrs).toEqual({
      'call-id': 'X',
      'call-creator': a.phone.lid,
      caller_pn: a.phone.jid,
    })
    expect(child(child(ringing, 'offer'), 'video')).toBeDefined()
    await b.phone.inbox.take(tagged('call'))
    b.wire.send(
      node('call', { id: 'C2', to: a.phone.lid }, [
        node('reject', { 'call-id': 'X', 'call-creator': a.phone.lid, count: '0' }),
      ]),
    )
    expect((await b.wire.take('ack', { class: 'call', id: 'C2' })).attrs).toMatchObject({ type: 'reject' })
    const refused = await a.phone.inbox.take((stanza) => child(stanza, 'reject') !== undefined)
    expect(refused.attrs.from).toBe(b.companion.jid('lid'))
  })

  test('may be a link for later, and cannot reach nobody', async () => {
    const a = await fresh()
    a.wire.send(node('call', { id: 'C3', to: '@call' }, [node('link_create', { media: 'audio' })]))
    expect(child(await a.wire.take('ack', { id: 'C3' }), 'link_create')?.attrs.token).toMatch(/.{20}/)
    a.wire.send(
      node('call', { id: 'C4', to: '4919999999999@s.whatsapp.net' }, [node('offer', { 'call-id': 'Y' })]),
    )
    expect((await a.wire.take('ack', { id: 'C4' })).attrs.error).toBe('404')
  })
})

test('a phone answers for a lost file, and nobody else does', async () => {
  const a = await fresh()
  const b = await fresh()
  a.wire.send(
    node('receipt', { id: 'F1', to: a.phone.jid, type: 'server-error' }, [node('rmr', { jid: b.phone.jid })]),
  )
  await a.phone.inbox.take(tagged('receipt', { type: 'server-error' }))
  a.phone.uplink.send(
    node('notification', { id: 'F1', to: a.companion.jid(), type: 'mediaretry' }, [node('rmr')]),
  )
  expect((await a.wire.take('notification', { type: 'mediaretry' })).attrs).toMatchObject({
    id: 'F1',
    from: a.phone.jid,
  })
  b.phone.uplink.send(
    node('notification', { id: 'F2', to: a.companion.jid(), type: 'mediaretry' }, [node('rmr')]),
  )
  await a.wire.settled()
  expect(a.wire.inbox.unread('notification')).toEqual([])
})
