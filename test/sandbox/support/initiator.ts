/**
 * The calling side of WhatsApp's Noise handshake, written from the protocol and not from the sandbox's own code, with
 * the checks that a careful client makes of the certificate chain.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync } from 'node:crypto'
import { Curve, proto } from '@whiskeysockets/baileys'
import { verifyXEdDSA } from '../../../src/lib/xeddsa'

export type Pair = { private: Buffer; public: Buffer }

export const makePair = (): Pair => {
  const pair = Curve.generateKeyPair()
  return { private: Buffer.from(pair.private), public: Buffer.from(pair.public) }
}

class Gcm {
  #counter = 0
  constructor(readonly key: Buffer) {}
  #iv() {
    const iv = Buffer.alloc(12)
    iv.writeUInt32BE(this.#counter++, 8)
    return iv
  }
  encrypt(plain: Uint8Array, data: Uint8Array = Buffer.alloc(0)) {
    const cipher = createCipheriv('aes-256-gcm', this.key, this.#iv()).setAAD(data)
    return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  }
  decrypt(sealed: Uint8Array, data: Uint8Array = Buffer.alloc(0)) {
    const decipher = createDecipheriv('aes-256-gcm', this.key, this.#iv()).setAAD(data)
    decipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
  }
}

export class Initiator {
  readonly ephemeral = makePair()
  #hash: Buffer
  #chain: Buffer
  #gcm: Gcm

  constructor(prologue: Buffer) {
    const name = Buffer.from('Noise_XX_25519_AESGCM_SHA256\0\0\0\0')
    this.#hash = name
    this.#chain = name
    this.#gcm = new Gcm(name)
    this.#absorb(prologue)
    this.#absorb(this.ephemeral.public)
  }

  hello(): Buffer {
    const message = proto.HandshakeMessage.encode({ clientHello: { ephemeral: this.ephemeral.public } })
    return Buffer.from(message.finish())
  }

  /** Checks the server's answer and its certificates; returns the last message and the ciphers of both directions. */
  finish(
    answer: Buffer,
    own: Pair,
    payload: Uint8Array,
    trust: { root: Buffer; now: number },
  ): { message: Buffer; out: Gcm; in: Gcm } {
    const hello = proto.HandshakeMessage.decode(answer).serverHello
    if (!hello?.ephemeral || !hello.static || !hello.payload) throw new Error('no server hello')
    this.#absorb(hello.ephemeral)
    this.#mix(dh(this.ephemeral, hello.ephemeral))
    const serverStatic = this.#open(hello.static)
    this.#mix(dh(this.ephemeral, serverStatic))
    checkChain(this.#open(hello.payload), serverStatic, trust)

    const sealedStatic = this.#seal(own.public)
    this.#mix(dh(own, hello.ephemeral))
    const clientFinish = { static: sealedStatic, payload: this.#seal(payload) }
    const keys = Buffer.from(hkdfSync('sha256', '', this.#chain, '', 64))
    return {
      message: Buffer.from(proto.HandshakeMessage.encode({ clientFinish }).finish()),
      out: new Gcm(keys.subarray(0, 32)),
      in: new Gcm(keys.subarray(32)),
    }
  }

  #absorb(data: Uint8Array) {
    this.#hash = createHash('sha256').update(this.#hash).update(data).digest()
  }
  #mix(secret: Buffer) {
    const keys = Buffer.from(hkdfSync('sha256', secret, this.#chain, '', 64))
    this.#chain = keys.subarray(0, 32)
    this.#gcm = new Gcm(keys.subarray(32))
  }
  #seal(plain: Uint8Array) {
    const sealed = this.#gcm.encrypt(plain, this.#hash)
    this.#absorb(sealed)
    return sealed
  }
  #open(sealed: Uint8Array) {
    const plain = this.#gcm.decrypt(sealed, this.#hash)
    this.#absorb(sealed)
    return plain
  }
}

const dh = (own: Pair, theirs: Uint8Array) => Buffer.from(Curve.sharedKey(own.private, theirs))

/** Signatures, issuers, dates, and that the leaf vouches for the key that was just used. */
export function checkChain(
  encoded: Uint8Array,
  serverStatic: Buffer,
  trust: { root: Buffer; now: number },
): void {
  const { intermediate, leaf } = proto.CertChain.decode(encoded)
  const parts = [intermediate, leaf].map((part) => {
    if (!part?.details || !part.signature) throw new Error('incomplete certificate chain')
    const details = proto.CertChain.NoiseCertificate.Details.decode(part.details)
    return { ...part, details, signed: part.details, signature: part.signature }
  })
  const [middle, end] = parts
  if (!middle?.details.key || !end?.details.key) throw new Error('a certificate without key')
  if (!verifyXEdDSA(trust.root, middle.signed, middle.signature)) throw new Error('not signed by the root')
  if (!verifyXEdDSA(middle.details.key, end.signed, end.signature))
    throw new Error('not signed by the issuer')
  if (middle.details.issuerSerial !== 0) throw new Error('not issued by the root')
  if (end.details.issuerSerial !== middle.details.serial) throw new Error('not issued by the intermediate')
  for (const { details } of parts) {
    const [from, to] = [Number(details.notBefore), Number(details.notAfter)]
    if (!(from <= trust.now && trust.now <= to)) throw new Error('not valid today')
  }
  if (!serverStatic.equals(end.details.key)) throw new Error('the certificate is for another key')
}
