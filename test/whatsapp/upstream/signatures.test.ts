import { afterEach, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import {
  Curve,
  DEFAULT_CONNECTION_CONFIG,
  generateSignalPubKey,
  initAuthCreds,
  makeNoiseHandler,
  NOISE_WA_HEADER,
  proto,
  type SignalKeyStoreWithTransaction,
  WA_CERT_DETAILS,
} from '@whiskeysockets/baileys'
import { silentLog } from '../../../src/lib/log'
import { certificateChain } from '../../../src/sandbox/certificate'
import { keyPairOf, Responder } from '../../../src/sandbox/noise'
import { baileysLogger } from '../../../src/whatsapp/baileys/logger'
import { repairSignatures, type SignatureRepair } from '../../../src/whatsapp/baileys/upstream/signatures'
import { memoryKeys } from '../support/memory-keys'

const logger = baileysLogger(silentLog)
let repair: SignatureRepair | null = null
const install = (native = true, checkDates = false) => {
  repair = repairSignatures({ native, checkDates, now: Date.now })
  return repair
}
afterEach(() => {
  repair?.undo()
  repair = null
})

const statement = () => {
  const pair = Curve.generateKeyPair()
  const message = randomBytes(50)
  return { pair, message, signature: Curve.sign(pair.private, message) }
}

/** A pre-key bundle whose signed key bears this signature. */
const bundle = (forged: boolean) => {
  const identity = Curve.generateKeyPair()
  const signed = Curve.generateKeyPair()
  const publicKey = generateSignalPubKey(signed.public)
  const signature = Curve.sign(forged ? Curve.generateKeyPair().private : identity.private, publicKey)
  return {
    registrationId: 1,
    identityKey: Buffer.from(generateSignalPubKey(identity.public)),
    signedPreKey: { keyId: 1, publicKey: Buffer.from(publicKey), signature: Buffer.from(signature) },
  }
}

const inject = (forged: boolean) => {
  const keys: SignalKeyStoreWithTransaction = memoryKeys()
  const repository = DEFAULT_CONNECTION_CONFIG.makeSignalRepository({ creds: initAuthCreds(), keys }, logger)
  return repository
    .injectE2ESession({ jid: '123@lid', session: bundle(forged) })
    .finally(() => repository.close?.())
}

/** A client's handshake against a server whose leaf certificate names `leafKey` (default: its own static key). */
function handshake(options: { leafKey?: Buffer; root?: Buffer; now?: number } = {}) {
  const root = keyPairOf(randomBytes(32))
  const serverStatic = keyPairOf(randomBytes(32))
  const chain = certificateChain(
    root,
    keyPairOf(randomBytes(32)),
    options.leafKey ?? serverStatic.public,
    options.now ?? Math.floor(Date.now() / 1000),
  )
  const ephemeral = Curve.generateKeyPair()
  const client = makeNoiseHandler({ keyPair: ephemeral, NOISE_HEADER: NOISE_WA_HEADER, logger })
  const server = new Responder(serverStatic, keyPairOf(randomBytes(32)), NOISE_WA_HEADER)
  const serverHello = server.hello(Buffer.from(ephemeral.public), chain)
  const trusted = WA_CERT_DETAILS.PUBLIC_KEY
  WA_CERT_DETAILS.PUBLIC_KEY = Buffer.from(options.root ?? root.public)
  try {
    return client.processHandshake(
      proto.HandshakeMessage.fromObject({ serverHello }),
      Curve.generateKeyPair(),
    )
  } finally {
    WA_CERT_DETAILS.PUBLIC_KEY = trusted
  }
}

describe('signatures', () => {
  test('upstream: Curve.verify accepts a forged signature', () => {
    const { pair, message, signature } = statement()
    message[0] = (message[0] ?? 0) ^ 1
    expect(Curve.verify(pair.public, message, signature)).toBe(true)
  })

  test('upstream: a forged pre-key bundle opens a session', async () => {
    expect(await inject(true)).toBeUndefined()
  })

  test('upstream: a chain signed by anybody, and for any key, passes the handshake', () => {
    expect(() => handshake({ root: randomBytes(32) })).not.toThrow()
    expect(() => handshake({ leafKey: keyPairOf(randomBytes(32)).public })).not.toThrow()
  })

  for (const native of [true, false]) {
    describe(native ? 'native' : 'JavaScript curve', () => {
      test('genuine signatures pass, forged and malformed ones do not', () => {
        expect(install(native).mode).toBe(native ? 'native' : 'javascript')
        const { pair, message, signature } = statement()
        expect(Curve.verify(pair.public, message, signature)).toBe(true)
        expect(Curve.verify(Curve.generateKeyPair().public, message, signature)).toBe(false)
        expect(Curve.verify(pair.public, randomBytes(50), signature)).toBe(false)
        expect(Curve.verify(pair.public, message, signature.subarray(1))).toBe(false)
        // One byte less would be made whole again by the type byte when it happens to be the same.
        expect(Curve.verify(pair.public.subarray(2), message, signature)).toBe(false)
      })

      test('a pre-key bundle must be signed by its identity', async () => {
        install(native)
        expect(await inject(false)).toBeUndefined()
        expect(inject(true)).rejects.toThrow('Invalid signature')
      })

      test('the handshake believes the root, and a leaf that names the server', () => {
        install(native)
        expect(() => handshake()).not.toThrow()
        expect(() => handshake({ root: randomBytes(32) })).toThrow('certificate signature invalid')
        expect(() => handshake({ leafKey: keyPairOf(randomBytes(32)).public })).toThrow(
          'certificate signature invalid',
        )
      })
    })
  }

  test('dates of certificates count where they are known to be true', () => {
    const longAgo = Math.floor(Date.UTC(2000, 0, 1) / 1000)
    install(true, true)
    expect(() => handshake()).not.toThrow()
    expect(() => handshake({ now: longAgo })).toThrow('certificate signature invalid')
    repair?.undo()
    install(true, false)
    expect(() => handshake({ now: longAgo })).not.toThrow()
  })

  test('what the bridge signs, the JavaScript curve accepts, and the other way round', () => {
    const stock = statement()
    install()
    const ours = statement()
    expect(Curve.verify(stock.pair.public, stock.message, stock.signature)).toBe(true)
    repair?.undo()
    const libsignal: {
      verifySignature: (k: Buffer, m: Buffer, s: Buffer) => boolean
    } = require('libsignal/src/curve.js')
    expect(
      libsignal.verifySignature(
        Buffer.from(generateSignalPubKey(ours.pair.public)),
        ours.message,
        Buffer.from(ours.signature),
      ),
    ).toBe(true)
  })

  test('undo puts the originals back', () => {
    const before = { ...Curve }
    install()
    expect(Curve.verify).not.toBe(before.verify)
    repair?.undo()
    expect({ ...Curve }).toEqual(before)
  })
})
