import { afterEach, describe, expect, test } from 'bun:test'
import { initAuthCreds, makeWASocket } from '@whiskeysockets/baileys'
import { AppError } from '../../../src/domain/errors'
import { silentLog } from '../../../src/lib/log'
import { openAuthState } from '../../../src/whatsapp/baileys/auth-state'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import {
  forgetAbandonedPairing,
  isPaired,
  withPresentSecret,
} from '../../../src/whatsapp/baileys/upstream/pairing'
import { until } from '../../harness/measure'
import { createMemoryVault } from '../support/memory-vault'
import { createWorld, type TestSession, type TestWorld } from '../support/world'

let world: TestWorld
afterEach(() => world.stop())

const fieldsOf = (qr: string) => qr.slice(qr.indexOf('#') + 1).split(',')
const credsOf = (session: TestSession) => openAuthState(session.vault, () => undefined).creds

describe('a pairing window', () => {
  test('a retired secret gives the same ref with a new secret, and the phone can scan it', async () => {
    world = await createWorld()
    const alice = world.phone('491700000001')
    const session = world.session()
    session.open()
    const first = await session.next('qr', undefined, 0)
    const again = session.next('qr')
    world.server.faults.add({ kind: 'pair_refresh', all: true })
    const second = await again
    expect(fieldsOf(second.text)[0]).toBe(fieldsOf(first.text)[0] ?? '')
    expect(fieldsOf(second.text)[3]).not.toBe(fieldsOf(first.text)[3] ?? '')
    expect(second.expiresAt).toBe(first.expiresAt)
    expect(credsOf(session).advSecretKey).toBe(fieldsOf(second.text)[3] ?? '')

    await until('the acknowledgement', () => {
      const acks = world.server.log.entries({ tag: 'ack' }).filter(({ direction }) => direction === 'in')
      return acks.some(({ stanza }) => stanza.attrs.type === 'companion_reg_refresh') ? true : null
    })

    const closed = session.next('closed')
    await alice.scan(second.text)
    expect((await closed).why.reason).toBe('restart_required')
  })

  test('a passkey prologue ends it', async () => {
    world = await createWorld()
    const session = world.session()
    session.open()
    await session.next('qr', undefined, 0)
    const closed = session.next('closed')
    world.server.faults.add({ kind: 'passkey', all: true })
    expect((await closed).why.reason).toBe('passkey_required')
  })

  test('nobody scans: six codes, each true to its expiry, then qr_timeout', async () => {
    world = await createWorld({ network: { qrTimeoutMs: 30 } })
    const session = world.session()
    session.open()
    expect((await session.next('closed', undefined, 0)).why).toEqual(
      expect.objectContaining({ reason: 'qr_timeout', code: 408 }),
    )
    const refs = session.of('qr').map(({ text }) => fieldsOf(text)[0])
    expect(new Set(refs).size).toBe(6)
  })

  test('the true life of codes: 60 s, then 20 s each', async () => {
    world = await createWorld()
    const session = world.session()
    const before = Date.now()
    session.open()
    const { expiresAt } = await session.next('qr', undefined, 0)
    expect(expiresAt).toBeGreaterThanOrEqual(before + 60_000)
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + 60_000)
  })

  test('a pairing code links the phone, and stays the same while asked for', async () => {
    world = await createWorld()
    const alice = world.phone('491700000001')
    const session = world.session()
    session.open()
    const [one, two] = await Promise.all([
      session.connection.pairingCode(alice.phoneNumber),
      session.connection.pairingCode(alice.phoneNumber),
    ])
    expect(one.code).toMatch(/^[1-9A-HJ-NP-TV-Z]{8}$/)
    expect(two).toEqual(one)
    expect(one.expiresAt).toBeGreaterThan(Date.now())
    const closed = session.next('closed')
    await alice.enterPairingCode(one.code)
    expect((await closed).why.reason).toBe('restart_required')
    session.vault = session.vault.next()
    const opened = session.next('opened')
    session.open()
    expect((await opened).me.phoneNumber).toBe(alice.phoneNumber)
  })

  test('a refused code is an error, and leaves nothing behind', async () => {
    world = await createWorld()
    const session = world.session()
    session.open()
    const error = await session.connection.pairingCode('123').catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(AppError)
    expect((error as AppError).code).toBe('PAIRING_CODE_REFUSED')
    expect(credsOf(session).me).toBeUndefined()
  })

  test('an abandoned code gives a QR at the next opening, not a login', async () => {
    world = await createWorld()
    const alice = world.phone('491700000001')
    const session = world.session()
    session.open()
    await session.connection.pairingCode(alice.phoneNumber)
    await session.connection.close()
    expect(credsOf(session).me).toBeDefined()
    session.vault = session.vault.next()
    const qr = session.next('qr')
    session.open()
    await qr
    expect(credsOf(session).me).toBeUndefined()
  })

  test('credentials are on disk before the pairing is answered', async () => {
    world = await createWorld()
    const alice = world.phone('491700000001')
    const session = world.session()
    session.open()
    const { text } = await session.next('qr', undefined, 0)
    const order: string[] = []
    session.vault.onCommit(async (writes) => {
      if (!writes.some(({ type }) => type === 'creds')) return
      await Bun.sleep(30)
      order.push('committed')
    })
    const closed = session.next('closed')
    await alice.scan(text)
    order.push('linked')
    await closed
    expect(order[0]).toBe('committed')
    expect(isPaired(credsOf(session))).toBe(true)
  })
})

describe('credentials', () => {
  test('paired means an account, not a number and not `registered`', () => {
    const creds = initAuthCreds()
    creds.me = { id: '49@s.whatsapp.net' }
    creds.registered = true
    creds.pairingCode = 'ABCDEFGH'
    expect(isPaired(creds)).toBe(false)
    expect(forgetAbandonedPairing(creds)).toBe(true)
    expect(creds.me).toBeUndefined()
    expect(creds.registered).toBe(false)
    expect(forgetAbandonedPairing(creds)).toBe(false)
    creds.account = {}
    creds.me = { id: '49:1@s.whatsapp.net' }
    expect(forgetAbandonedPairing(creds)).toBe(false)
    expect(creds.me).toBeDefined()
  })

  test('the QR bears the present secret, with and without WhatsApp’s address in front', () => {
    const creds = { ...initAuthCreds(), advSecretKey: 'NEW' }
    expect(withPresentSecret('https://wa.me/settings/linked_devices#r,n,i,OLD,1', creds)).toBe(
      'https://wa.me/settings/linked_devices#r,n,i,NEW,1',
    )
    expect(withPresentSecret('r,n,i,OLD,1', creds)).toBe('r,n,i,NEW,1')
  })
})

describe('upstream', () => {
  const stock = async (vault = createMemoryVault()) => {
    const auth = openAuthState(vault, () => undefined)
    const qrs: string[] = []
    const sock = makeWASocket({ auth, logger: baileysLogger(silentLog), waWebSocketUrl: world.server.url })
    sock.ev.on('creds.update', () => void auth.saveCreds())
    sock.ev.on('connection.update', ({ qr }) => void (qr && qrs.push(qr)))
    await until('a QR', () => (qrs.length > 0 ? true : null))
    return { sock, qrs, auth }
  }

  test('upstream: a retired secret is neither heard nor acknowledged', async () => {
    world = await createWorld()
    const { sock, qrs, auth } = await stock()
    const before = auth.creds.advSecretKey
    const told = Promise.withResolvers<void>()
    sock.ws.on('CB:notification,type:companion_reg_refresh', () => setTimeout(told.resolve, 50))
    world.server.faults.add({ kind: 'pair_refresh', all: true })
    await told.promise
    expect(auth.creds.advSecretKey).toBe(before)
    expect(qrs.length).toBe(1)
    expect(world.server.log.entries({ tag: 'ack' }).filter(({ direction }) => direction === 'in')).toEqual([])
    await sock.end(undefined)
  })

  test('upstream: an abandoned pairing code makes the next connect a login', async () => {
    world = await createWorld()
    const vault = createMemoryVault()
    const { sock, auth } = await stock(vault)
    await sock.requestPairingCode('491700000001')
    await auth.saveCreds()
    await sock.end(undefined)
    const again = openAuthState(vault.next(), () => undefined)
    const next = makeWASocket({
      auth: again,
      logger: baileysLogger(silentLog),
      waWebSocketUrl: world.server.url,
    })
    const { promise, resolve } = Promise.withResolvers<number | undefined>()
    next.ev.on('connection.update', ({ connection, lastDisconnect }) => {
      const error = lastDisconnect?.error as { output?: { statusCode: number } } | undefined
      if (connection === 'close') resolve(error?.output?.statusCode)
    })
    expect(await promise).toBe(401)
  })
})
