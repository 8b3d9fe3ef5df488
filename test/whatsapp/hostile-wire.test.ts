/** What a server, or whoever stands on the way to it, can do to one session: it says why it ends, and the others go on. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { deflateSync } from 'node:zlib'
import { proto } from '@whiskeysockets/baileys'
import { systemClock } from '../../src/lib/clock'
import { createTunnels } from '../../src/lib/tunnel'
import { signGrant } from '../../src/sandbox/adv'
import { certificateChain } from '../../src/sandbox/certificate'
import type { Connection } from '../../src/sandbox/connection'
import { node } from '../../src/sandbox/node'
import { keyPairOf, Responder } from '../../src/sandbox/noise'
import type { Phone } from '../../src/sandbox/phone'
import { STREAM_HEADER } from '../../src/sandbox/wire'
import { openAuthState } from '../../src/whatsapp/baileys/auth-state'
import { isPaired } from '../../src/whatsapp/baileys/upstream/pairing'
import { startProxy, type TestProxy } from '../harness/proxy'
import { createWorld, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let proxy: TestProxy
let roguePort: number | null = null
let owner: Phone
let friend: Phone
let victim: TestSession
let bystander: TestSession
const ROOT = randomBytes(32)

beforeAll(async () => {
  proxy = await startProxy('http', { leadsTo: () => roguePort })
  world = await createWorld({
    server: { rootKey: ROOT },
    network: { tunnels: createTunnels({ clock: systemClock, allowNetworks: ['127.0.0.0/8'] }) },
  })
  owner = world.phone('491700000001')
  const other = world.phone('491700000002')
  friend = world.phone('491700000003')
  victim = await world.linked(owner)
  bystander = await world.linked(other)
  bystanderNumber = other.jid
})
afterAll(async () => {
  await world.stop()
  await proxy.stop()
})

let bystanderNumber = ''
/** Messages come through to this session. */
async function hears(session: TestSession, jid: string): Promise<void> {
  const since = session.reports.length
  const { id } = await friend.send(jid, 'still there?')
  await session.next('messages', ({ messages }) => messages.some((one) => one.id === id), since)
}

/** A server that has its own idea of a handshake. */
type Hello = (ws: { send(bytes: Uint8Array): void; close(): void }, ephemeral: Buffer) => void
const framed = (bytes: Uint8Array): Buffer => {
  const frame = Buffer.alloc(3 + bytes.length)
  frame.writeUIntBE(bytes.length, 0, 3)
  frame.set(bytes, 3)
  return frame
}
const helloOf = (serverHello: proto.HandshakeMessage.IServerHello) =>
  framed(proto.HandshakeMessage.encode({ serverHello }).finish())
/** Answers as WhatsApp would, with these certificates. */
const answering =
  (certificates: (server: { public: Buffer }) => Uint8Array): Hello =>
  (ws, ephemeral) => {
    const server = keyPairOf(randomBytes(32))
    const noise = new Responder(server, keyPairOf(randomBytes(32)), STREAM_HEADER)
    ws.send(helloOf(noise.hello(ephemeral, certificates(server))))
  }
const chain = (root: Buffer, key: Buffer) =>
  certificateChain(keyPairOf(root), keyPairOf(randomBytes(32)), key, Math.floor(Date.now() / 1_000))

/** The key in a client's first frame; null in any other. */
function ephemeralIn(frame: Buffer): Buffer | null {
  try {
    const { clientHello } = proto.HandshakeMessage.decode(frame)
    return clientHello?.ephemeral ? Buffer.from(clientHello.ephemeral) : null
  } catch {
    return null
  }
}

/** Opens a session that meets such a server, and tells how that ends. */
async function meeting(hello: Hello) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request, running) => (running.upgrade(request) ? undefined : new Response('no')),
    websocket: {
      message(ws, data) {
        const frame = Buffer.from(data as Buffer).subarray(STREAM_HEADER.length + 3)
        const ephemeral = ephemeralIn(frame)
        if (ephemeral) hello({ send: (bytes) => ws.send(bytes), close: () => ws.close() }, ephemeral)
      },
    },
  })
  roguePort = server.port ?? 0
  const session = world.session()
  session.proxyUrl = proxy.url
  try {
    session.open()
    return (await session.next('closed', undefined, 0)).why
  } finally {
    roguePort = null
    await server.stop(true)
  }
}

describe('97: a handshake', () => {
  test.each<[string, string, Hello]>([
    [
      'of no length',
      'connection_lost',
      (ws) => {
        ws.send(Buffer.alloc(3))
        ws.close()
      },
    ],
    [
      'that announces 16 MB and brings nothing',
      'connection_lost',
      (ws) => {
        ws.send(Buffer.from([0xff, 0xff, 0xff, 1, 2]))
        ws.close()
      },
    ],
    [
      'that is cut',
      'connection_lost',
      (ws) => {
        ws.send(
          helloOf({ ephemeral: randomBytes(32), static: randomBytes(48), payload: randomBytes(99) }).subarray(
            0,
            60,
          ),
        )
        ws.close()
      },
    ],
    ['that is no message', 'connection_lost', (ws) => ws.send(framed(randomBytes(200)))],
    [
      'with a wrong tag',
      'connection_lost',
      (ws) =>
        ws.send(helloOf({ ephemeral: randomBytes(32), static: randomBytes(48), payload: randomBytes(99) })),
    ],
    ['without a key', 'connection_lost', (ws) => ws.send(helloOf({}))],
    ['without certificates', 'untrusted_server', answering(() => new Uint8Array())],
    ['with certificates that are none', 'untrusted_server', answering(() => Buffer.from([0x0a, 0]))],
    ['under another root', 'untrusted_server', answering(({ public: key }) => chain(randomBytes(32), key))],
    [
      'with WhatsApp’s own certificates and another key',
      'untrusted_server',
      answering(() => chain(ROOT, randomBytes(32))),
    ],
  ])('%s ends as %s, and concerns nobody else', async (_, reason, hello) => {
    expect((await meeting(hello)).reason as string).toBe(reason)
    await hears(bystander, bystanderNumber)
  })

  test('the control: with the right certificates it goes on', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const outcome = meeting((ws, ephemeral) => {
      answering(({ public: key }) => chain(ROOT, key))(ws, ephemeral)
      // The next frame is the client's finish, which this server does not read.
      setTimeout(() => {
        resolve()
        ws.close()
      }, 200)
    })
    await promise
    expect((await outcome).reason).toBe('connection_lost')
  })
})

describe('98: a frame', () => {
  const line = (): Connection => {
    const device = world.server.world.directory.byPhoneNumber(owner.phoneNumber)?.devices.get(1)
    if (!device?.link) throw new Error('the session is not there')
    return device.link as Connection
  }
  const LIST = 248
  const TAG = 3
  /** Lists in lists, as bytes: what no encoder would write. */
  const levels = (depth: number): Buffer =>
    Buffer.concat([
      Buffer.from([0]),
      ...Array.from({ length: depth }, () => Buffer.from([LIST, 2, TAG, LIST, 1])),
      Buffer.from([LIST, 1, TAG]),
    ])

  test.each<[string, Uint8Array]>([
    ['of nothing but flags', Buffer.from([0])],
    ['with a word that is in no dictionary', Buffer.from([0, LIST, 1, 241])],
    ['that is cut', Buffer.from([0, LIST, 200, TAG])],
    ['that is said to be compressed and is not', Buffer.from([2, 1, 2, 3])],
    ['of no list', Buffer.from([0, TAG])],
    ['a hundred thousand levels deep', levels(100_000)],
    [
      'a hundred thousand levels deep, compressed',
      Buffer.concat([Buffer.from([2]), deflateSync(levels(100_000).subarray(1))]),
    ],
  ])('%s is dropped and counted', async (_, bytes) => {
    const before = world.network.dropped(victim.id).unreadable
    const closed = victim.of('closed').length
    line().sendBytes(bytes)
    await hears(victim, owner.jid)
    await hears(bystander, bystanderNumber)
    expect(world.network.dropped(victim.id).unreadable).toBe(before + 1)
    expect(victim.of('closed').length).toBe(closed)
  })

  test.each([
    ['of an unknown kind', () => node('xyzzy', { id: 'A', from: 'nobody', type: 'plugh' })],
    ['of an unknown kind, 10 MB', () => node('xyzzy', {}, Buffer.alloc(10_000_000))],
    [
      'a notification of an unknown kind',
      () => node('notification', { id: 'N1', from: 's.whatsapp.net', type: 'plugh', t: '1' }),
    ],
    ['a call of nobody', () => node('call', { id: 'C1' }, [node('offer')])],
    ['a receipt for nothing', () => node('receipt', { id: 'R1', from: 'nobody' })],
    ['an answer that nobody has asked for', () => node('iq', { id: 'no-such-question', type: 'result' })],
    ['an acknowledgement of nothing', () => node('ack', { class: 'message', id: 'no-such-message' })],
    [
      'a thousand levels',
      () =>
        Array.from({ length: 1_000 }).reduce<ReturnType<typeof node>>(
          (inner) => node('x', {}, [inner]),
          node('x'),
        ),
    ],
  ])('that holds %s is passed over', async (_, stanza) => {
    const closed = victim.of('closed').length
    line().send(stanza())
    await hears(victim, owner.jid)
    await hears(bystander, bystanderNumber)
    expect(victim.of('closed').length).toBe(closed)
  })

  test('of no length puts the ciphers out of step: the session ends, and comes back', async () => {
    const closed = victim.next('closed')
    for (let index = 0; index < 3; index += 1) line().sendBytes(null)
    expect((await closed).why.reason).toBe('stream_error')
    await hears(bystander, bystanderNumber)
    const opened = victim.next('opened')
    victim.vault = victim.vault.next()
    victim.open()
    await opened
    await hears(victim, owner.jid)
  })
})

describe('105: a device is linked', () => {
  /** Offers a session that shows its code a place in an account, without any phone. */
  async function offered(grant: (code: { identity: Buffer; secret: Buffer }) => Buffer) {
    const session = world.session()
    session.open()
    const { text } = await session.next('qr', undefined, 0)
    const [ref = '', , identity = '', secret = ''] = text.slice(text.indexOf('#') + 1).split(',')
    const waiting = [...world.server.world.registrations].find(({ companion }) =>
      companion.refs.includes(ref),
    )
    if (!waiting) throw new Error('nobody shows this code')
    const device = { jid: '491700000666:7@s.whatsapp.net', lid: '666:7@lid' }
    waiting.line.send(
      node('iq', { from: 's.whatsapp.net', type: 'set', xmlns: 'md', id: 'FORGED', t: '1' }, [
        node('pair-success', {}, [
          node(
            'device-identity',
            {},
            grant({ identity: Buffer.from(identity, 'base64'), secret: Buffer.from(secret, 'base64') }),
          ),
          node('platform', { name: 'android' }),
          node('device', device),
        ]),
      ]),
    )
    return session
  }
  const grantOf = (companionIdentity: Buffer, advSecret: Buffer) =>
    signGrant({
      primary: keyPairOf(randomBytes(32)),
      companionIdentity,
      advSecret,
      rawId: 1,
      keyIndex: 1,
      timestamp: 1,
    })

  test.each<[string, string, (code: { identity: Buffer; secret: Buffer }) => Buffer]>([
    [
      'by somebody who has not seen its code',
      'pairing_failed',
      ({ identity }) => grantOf(identity, randomBytes(32)),
    ],
    [
      'with a signature over another device',
      'pairing_failed',
      ({ secret }) => grantOf(randomBytes(32), secret),
    ],
    ['with nothing signed at all', 'connection_lost', () => Buffer.alloc(0)],
  ])('never %s', async (_, reason, grant) => {
    const session = await offered(grant)
    const { why } = await session.next('closed', undefined, 0)
    expect([why.reason, session.of('paired')]).toEqual([reason as never, []])
    expect(isPaired(openAuthState(session.vault, () => undefined).creds)).toBe(false)
    await hears(bystander, bystanderNumber)
  })

  test('the control: by somebody who has, it is', async () => {
    const session = await offered(({ identity, secret }) => grantOf(identity, secret))
    expect((await session.next('paired', undefined, 0)).me.phoneNumber).toBe('491700000666')
    await session.connection.close()
  })
})
