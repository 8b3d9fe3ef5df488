import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createServer, type Server, type Socket } from 'node:net'
import { DisconnectReason, makeWASocket } from '@whiskeysockets/baileys'
import { silentLog } from '../../src/lib/log'
import type { Phone } from '../../src/sandbox/phone'
import { openAuthState } from '../../src/whatsapp/baileys/auth-state'
import { closingOf, closingOfUpgrade, disconnectOf } from '../../src/whatsapp/baileys/close-codes'
import { baileysLogger } from '../../src/whatsapp/baileys/logger'
import { until } from '../harness/measure'
import { createMemoryVault } from './support/memory-vault'
import { createWorld, type TestSession, type TestWorld } from './support/world'

let world: TestWorld
let alice: Phone
let session: TestSession

beforeAll(async () => {
  world = await createWorld({ network: { watch: { everyMs: 50, silentMs: 200, answerMs: 200 } } })
  alice = world.phone('491700000001')
  session = await world.linked(alice)
})
afterAll(() => world.stop())

async function reopen(of: TestSession): Promise<void> {
  of.vault = of.vault.next()
  const opened = of.next('opened')
  of.open()
  await opened
}

/** Opens on the present credentials and resolves with how it ended. */
async function endOf(of: TestSession) {
  of.vault = of.vault.next()
  const closed = of.next('closed')
  of.open()
  return (await closed).why
}

describe('codes', () => {
  const reason = (code: number, message = 'Connection Failure', attrs = {}) =>
    closingOf({ code, message, attrs }, 1_000).reason

  test.each([
    [401, 'logged_out'],
    [402, 'temporarily_banned'],
    [403, 'account_locked'],
    [405, 'client_outdated'],
    [406, 'banned'],
    [409, 'client_refused'],
    [411, 'client_refused'],
    [415, 'client_refused'],
    [418, 'client_refused'],
    [428, 'connection_lost'],
    [440, 'replaced'],
    [500, 'stream_error'],
    [503, 'server_unavailable'],
    [515, 'restart_required'],
    [599, 'stream_error'],
  ] as const)('%d is %s', (code, expected) => {
    expect(reason(code)).toBe(expected)
  })

  test('every code that Baileys names has a row', () => {
    const named = Object.values(DisconnectReason).filter(
      (value): value is number => typeof value === 'number',
    )
    for (const code of named) expect(closingOf({ code, message: '', attrs: {} }, 0).reason).not.toBeEmpty()
  })

  test('408 and 500 mean what their sentence says', () => {
    expect(reason(408, 'QR refs attempts ended')).toBe('qr_timeout')
    expect(reason(408, 'Connection was lost')).toBe('connection_lost')
    expect(reason(500, 'Invalid account signature')).toBe('pairing_failed')
    expect(reason(400, 'noise certificate signature invalid')).toBe('untrusted_server')
    expect(reason(401, 'WebSocket Error (Unexpected server response: 401)')).toBe('upgrade_refused')
  })

  test('an HTTP status says nothing about the account', () => {
    expect(closingOfUpgrade(401).reason).toBe('upgrade_refused')
    expect(closingOfUpgrade(403).reason).toBe('upgrade_refused')
    expect(closingOfUpgrade(429).reason).toBe('rate_limited')
    expect(closingOfUpgrade(503).reason).toBe('server_unavailable')
  })

  test('a temporary ban tells its end', () => {
    expect(closingOf({ code: 402, message: 'x', attrs: { expire: '60' } }, 1_000).until).toBe(61_000)
    expect(closingOf({ code: 402, message: 'x', attrs: {} }, 1_000).until).toBeUndefined()
  })

  test('an error of ours is a lost connection; numbers never get into the sentence', () => {
    const closing = closingOf(disconnectOf(new Error('bad jid 491700000001')), 0)
    expect(closing).toEqual({ reason: 'connection_lost', code: null, detail: 'bad jid #' })
  })
})

describe('a connection ends', () => {
  const faults = () => world.server.faults

  test('cut by the network', async () => {
    const closed = session.next('closed')
    faults().add({ kind: 'drop', phoneNumber: alice.phoneNumber })
    expect((await closed).why).toEqual(expect.objectContaining({ reason: 'connection_lost' }))
    await reopen(session)
  })

  test('by a stream error, a replacement, a ban', async () => {
    for (const [fault, expected] of [
      [
        { kind: 'stream_error', code: 503 },
        { reason: 'server_unavailable', code: 503 },
      ],
      [{ kind: 'replace' }, { reason: 'replaced', code: 440 }],
    ] as const) {
      const closed = session.next('closed')
      faults().add({ ...fault, phoneNumber: alice.phoneNumber })
      expect((await closed).why).toEqual(expect.objectContaining(expected))
      await reopen(session)
    }
    await session.connection.close()
    faults().add({ kind: 'ban', phoneNumber: alice.phoneNumber, code: 406 })
    expect(await endOf(session)).toEqual(expect.objectContaining({ reason: 'banned', code: 406 }))
    faults().clear()
    await reopen(session)
  })

  test('refused at the upgrade, with the true status, at once', async () => {
    await session.connection.close()
    faults().add({ kind: 'refuse', all: true, status: 403, times: 1 })
    expect(await endOf(session)).toEqual(expect.objectContaining({ reason: 'upgrade_refused', code: 403 }))
    faults().add({ kind: 'refuse', all: true, status: 503, times: 1 })
    expect(await endOf(session)).toEqual(expect.objectContaining({ reason: 'server_unavailable', code: 503 }))
    await reopen(session)
  })

  test('when the server says nothing any more', async () => {
    const closed = session.next('closed')
    faults().add({ kind: 'stall', phoneNumber: alice.phoneNumber })
    expect((await closed).why).toEqual(expect.objectContaining({ reason: 'connection_lost' }))
    faults().clear()
    await reopen(session)
  })

  test('never because it is quiet: the watchdog’s question is answered', async () => {
    const since = session.reports.length
    const pings = () =>
      world.server.log
        .entries({ phoneNumber: alice.phoneNumber, tag: 'iq' })
        .filter(({ stanza }) => stanza.attrs.xmlns === 'w:p').length
    const before = pings()
    await until('five questions of the watchdog', () => (pings() >= before + 5 ? true : null))
    expect(session.reports.slice(since).filter(({ kind }) => kind === 'closed')).toEqual([])
  })

  test('not by one corrupt frame', async () => {
    const since = session.reports.length
    faults().add({ kind: 'corrupt_frame', phoneNumber: alice.phoneNumber })
    const bob = world.phone('491700000005')
    const arrived = session.next('messages')
    await bob.send(alice.jid, 'still there?')
    await arrived
    expect(session.reports.slice(since).filter(({ kind }) => kind === 'closed')).toEqual([])
  })

  test('by many of them', async () => {
    const closed = session.next('closed')
    for (let index = 0; index < 3; index += 1)
      faults().add({ kind: 'corrupt_frame', phoneNumber: alice.phoneNumber })
    expect((await closed).why.reason).toBe('stream_error')
    await reopen(session)
  })

  test('by us, without a report, and at once', async () => {
    const since = session.reports.length
    await session.connection.close()
    await session.connection.close()
    await until('the server to see it', () =>
      (world.server.stats.snapshot().live[alice.phoneNumber] ?? 0) === 0 ? true : null,
    )
    expect(session.reports.slice(since).filter(({ kind }) => kind === 'closed')).toEqual([])
    await reopen(session)
  })

  test('by a vault that belongs to a newer socket: no receipt, no report, no write', async () => {
    const bob = world.phone('491700000007')
    const since = session.reports.length
    const after = world.server.log.entries().at(-1)?.seq ?? 0
    const newer = session.vault.next()
    const rows = newer.size
    const { id } = await bob.send(alice.jid, 'for the newer socket')
    await until('the stale socket to go', () =>
      (world.server.stats.snapshot().live[alice.phoneNumber] ?? 0) === 0 ? true : null,
    )
    expect(
      session.reports.slice(since).filter(({ kind }) => kind === 'closed' || kind === 'messages'),
    ).toEqual([])
    expect(newer.size).toBe(rows)
    expect(newer.inbox()).toEqual([])
    const receipts = world.server.log
      .entries({ after, phoneNumber: alice.phoneNumber, tag: 'receipt' })
      .filter(
        ({ direction, deviceId, stanza }) => direction === 'in' && deviceId !== 0 && stanza.attrs.id === id,
      )
    expect(receipts).toEqual([])
    session.vault = newer
    await reopen(session)
  })

  test('by logging out: the phone no longer lists the device', async () => {
    expect(alice.devices().length).toBe(1)
    const since = session.reports.length
    await session.connection.logout()
    expect(alice.devices().length).toBe(0)
    expect(session.reports.slice(since).filter(({ kind }) => kind === 'closed')).toEqual([])
    expect(await endOf(session)).toEqual(expect.objectContaining({ reason: 'logged_out', code: 401 }))
  })

  test('unlinked by the phone', async () => {
    const owner = world.phone('491700000006')
    const other = await world.linked(owner)
    const closed = other.next('closed')
    await owner.unlink(owner.devices()[0]?.id ?? 0)
    expect((await closed).why).toEqual(expect.objectContaining({ reason: 'logged_out', code: 401 }))
  })

  test('at a server that cannot prove to be WhatsApp', async () => {
    const impostor = await createWorld()
    // The second world's root is trusted now; the first world's server is the impostor.
    const stranger = world.session()
    const closed = stranger.next('closed')
    stranger.open()
    expect((await closed).why.reason).toBe('untrusted_server')
    await impostor.stop()
  })

  test('with a vault that cannot be read', async () => {
    const vault = createMemoryVault()
    const broken = Object.assign(Object.create(vault), {
      get: () => {
        throw new Error('unseal')
      },
    })
    const { promise, resolve } = Promise.withResolvers<string>()
    world.network.open(
      { sessionId: 'broken', vault: broken, markOnline: false, proxyUrl: null, raw: () => null },
      (report) => {
        if (report.kind === 'closed') resolve(report.why.reason)
      },
    )
    expect(await promise).toBe('storage_failed')
  })
})

describe('upstream', () => {
  const servers: Server[] = []
  const open: Socket[] = []
  afterAll(() => {
    for (const socket of open) socket.destroy()
    for (const server of servers) server.close()
  })

  /** A stock socket to a TCP server that answers each connection by `answer`. */
  async function stock(answer: (socket: Socket) => void, connectTimeoutMs: number) {
    const server = createServer((socket) => {
      open.push(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => answer(socket))
    })
    servers.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const auth = openAuthState(createMemoryVault(), () => undefined)
    const sock = makeWASocket({
      auth,
      logger: baileysLogger(silentLog),
      waWebSocketUrl: `ws://127.0.0.1:${port}/`,
      connectTimeoutMs,
    })
    const { promise, resolve } = Promise.withResolvers<{ code: number | null; message: string }>()
    sock.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      if (connection === 'close') resolve(disconnectOf(lastDisconnect?.error))
    })
    return promise
  }

  test('upstream: a refused upgrade is told as a time-out', async () => {
    const end = await stock(
      (socket) => socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n'),
      300,
    )
    expect(end.code).toBe(408)
  })
})
