/**
 * The answering side of `Noise_XX_25519_AESGCM_SHA256`, as WhatsApp speaks it (wire notes §2): IV = 8 zero bytes and a
 * big-endian counter that each key mix resets; the handshake hash is the additional data until both sides can send.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject,
} from 'node:crypto'

/** An X25519 key pair, 32 bytes each. */
export type KeyPair = { private: Buffer; public: Buffer }

const NAME = Buffer.from('Noise_XX_25519_AESGCM_SHA256\0\0\0\0')
const TAG_LENGTH = 16
const NOTHING = Buffer.alloc(0)
const X25519_PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex')
const X25519_SPKI = Buffer.from('302a300506032b656e032100', 'hex')

const privateKey = (bytes: Buffer): KeyObject =>
  createPrivateKey({ key: Buffer.concat([X25519_PKCS8, bytes]), format: 'der', type: 'pkcs8' })

const publicKey = (bytes: Uint8Array): KeyObject =>
  createPublicKey({ key: Buffer.concat([X25519_SPKI, bytes]), format: 'der', type: 'spki' })

/** The key pair of 32 random (or remembered) bytes. */
export function keyPairOf(secret: Buffer): KeyPair {
  const spki = createPublicKey(privateKey(secret)).export({ format: 'der', type: 'spki' })
  return { private: secret, public: Buffer.from(spki.subarray(X25519_SPKI.length)) }
}

const agree = (own: KeyPair, theirs: Uint8Array): Buffer =>
  diffieHellman({ privateKey: privateKey(own.private), publicKey: publicKey(theirs) })

/** One direction of an established link; throws on a frame that was not made with its key and turn. */
export class Cipher {
  #turn = 0
  readonly #iv = Buffer.alloc(12)

  constructor(readonly key: Buffer) {}

  #nextIv(): Buffer {
    this.#iv.writeUInt32BE(this.#turn++, 8)
    return this.#iv
  }

  /** Ciphertext and tag, behind `headroom` free bytes. */
  seal(plain: Uint8Array, headroom = 0, data: Buffer = NOTHING): Buffer {
    const cipher = createCipheriv('aes-256-gcm', this.key, this.#nextIv())
    if (data.length > 0) cipher.setAAD(data)
    const body = cipher.update(plain)
    cipher.final()
    const out = Buffer.allocUnsafe(headroom + body.length + TAG_LENGTH)
    body.copy(out, headroom)
    cipher.getAuthTag().copy(out, headroom + body.length)
    return out
  }

  open(sealed: Uint8Array, data: Buffer = NOTHING): Buffer {
    const iv = this.#nextIv()
    if (sealed.length < TAG_LENGTH) throw new Error('Frame shorter than its authentication tag')
    const decipher = createDecipheriv('aes-256-gcm', this.key, iv)
    if (data.length > 0) decipher.setAAD(data)
    decipher.setAuthTag(sealed.subarray(sealed.length - TAG_LENGTH))
    const plain = decipher.update(sealed.subarray(0, sealed.length - TAG_LENGTH))
    decipher.final()
    return plain
  }
}

/** What the client's last handshake message says once opened. */
export type Finish = { clientStatic: Buffer; payload: Buffer; incoming: Cipher; outgoing: Cipher }

/** One handshake. Call `hello` with the client's first message, `finish` with its second; both throw on a forgery. */
export class Responder {
  #hash: Buffer = NAME
  #chain: Buffer = NAME
  #cipher = new Cipher(NAME)

  constructor(
    readonly serverStatic: KeyPair,
    readonly ephemeral: KeyPair,
    prologue: Buffer,
  ) {
    this.#absorb(prologue)
  }

  /** Answers the client's ephemeral key; `certificates` is the encoded chain that vouches for the static key. */
  hello(
    clientEphemeral: Buffer,
    certificates: Uint8Array,
  ): { ephemeral: Buffer; static: Buffer; payload: Buffer } {
    this.#absorb(clientEphemeral)
    this.#absorb(this.ephemeral.public)
    this.#mix(agree(this.ephemeral, clientEphemeral))
    const sealedStatic = this.#seal(this.serverStatic.public)
    this.#mix(agree(this.serverStatic, clientEphemeral))
    return { ephemeral: this.ephemeral.public, static: sealedStatic, payload: this.#seal(certificates) }
  }

  finish(message: { static: Uint8Array; payload: Uint8Array }): Finish {
    const clientStatic = this.#open(message.static)
    this.#mix(agree(this.ephemeral, clientStatic))
    const payload = this.#open(message.payload)
    const keys = Buffer.from(hkdfSync('sha256', NOTHING, this.#chain, '', 64))
    return {
      clientStatic,
      payload,
      incoming: new Cipher(keys.subarray(0, 32)),
      outgoing: new Cipher(keys.subarray(32)),
    }
  }

  #absorb(data: Uint8Array): void {
    this.#hash = createHash('sha256').update(this.#hash).update(data).digest()
  }

  #mix(secret: Buffer): void {
    const keys = Buffer.from(hkdfSync('sha256', secret, this.#chain, '', 64))
    this.#chain = keys.subarray(0, 32)
    this.#cipher = new Cipher(keys.subarray(32))
  }

  #seal(plain: Uint8Array): Buffer {
    const sealed = this.#cipher.seal(plain, 0, this.#hash)
    this.#absorb(sealed)
    return sealed
  }

  #open(sealed: Uint8Array): Buffer {
    const plain = this.#cipher.open(sealed, this.#hash)
    this.#absorb(sealed)
    return plain
  }
}
