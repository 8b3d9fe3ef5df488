/**
 * Sealing: AES-256-GCM, so that a row read from disk is secret, unchanged, and in the place where it was written.
 *
 * A sealed blob is `version (1) | key id (1) | nonce (12) | ciphertext | tag (16)`. The place (table, session, type, id)
 * is authenticated with it, so a row moved to another place does not open.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomFillSync } from 'node:crypto'

const VERSION = 1
const NONCE = 12
const TAG = 16
const HEAD = 2
/** Bytes that sealing adds. */
export const SEAL_OVERHEAD = HEAD + NONCE + TAG
export const KEY_BYTES = 32

/** A sealed row that does not open: another key, another place, or changed bytes. */
export class Unsealable extends Error {
  constructor(place: string) {
    super(`A stored secret cannot be opened: ${place}`)
    this.name = 'Unsealable'
  }
}

export interface Sealer {
  /** `place` names table, session, type and id; the same text is needed to open. */
  seal(plain: Uint8Array, place: string): Uint8Array
  /** Throws `Unsealable`. */
  open(sealed: Uint8Array, place: string): Uint8Array
}

/** The random number with which a blob was sealed: never drawn twice, no secret. */
export const nonceOf = (sealed: Uint8Array): Uint8Array => sealed.subarray(HEAD, HEAD + NONCE)

/** Joins the parts of a place; the separator occurs in none of them unescaped. */
export function placeOf(...parts: readonly string[]): string {
  let place = escaped(parts[0] ?? '')
  for (let n = 1; n < parts.length; n += 1) place += `|${escaped(parts[n] ?? '')}`
  return place
}

const escaped = (part: string): string =>
  part.includes('\\') || part.includes('|') ? part.replaceAll('\\', '\\\\').replaceAll('|', '\\|') : part

/** A key of its own for each purpose. */
export const deriveKey = (master: Uint8Array, purpose: string): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', master, new Uint8Array(), `wabun/${purpose}`, KEY_BYTES))

const nonces = new Uint8Array(NONCE * 256)
let nextNonce = nonces.length

/** Random numbers are drawn in bulk: one call to the system for each nonce costs more than the encryption. */
function drawNonce(): Uint8Array {
  if (nextNonce >= nonces.length) {
    randomFillSync(nonces)
    nextNonce = 0
  }
  nextNonce += NONCE
  return nonces.subarray(nextNonce - NONCE, nextNonce)
}

/**
 * The byte by which a blob names its key. It is a hint that saves work: of two keys out of 256 it is the same, and only the
 * tag proves the right one. Keys of which several may open the same rows are drawn so that their bytes differ.
 */
export const keyIdOf = (key: Uint8Array): number =>
  createHash('sha256').update('wabun key id').update(key).digest()[0] ?? 0

/** Seals and opens with one 32-byte key, whose byte is `id`. */
export function createSealer(key: Uint8Array): Sealer & { readonly id: number } {
  if (key.length !== KEY_BYTES) throw new RangeError(`A key has ${KEY_BYTES} bytes, this one ${key.length}`)
  const keyId = keyIdOf(key)
  return {
    id: keyId,
    seal(plain, place) {
      const sealed = Buffer.allocUnsafe(SEAL_OVERHEAD + plain.length)
      sealed[0] = VERSION
      sealed[1] = keyId
      const nonce = drawNonce()
      sealed.set(nonce, HEAD)
      const cipher = createCipheriv('aes-256-gcm', key, nonce)
      cipher.setAAD(Buffer.from(place))
      sealed.set(cipher.update(plain), HEAD + NONCE)
      cipher.final()
      sealed.set(cipher.getAuthTag(), sealed.length - TAG)
      return sealed
    },
    open(sealed, place) {
      if (sealed.length < SEAL_OVERHEAD || sealed[0] !== VERSION || sealed[1] !== keyId) {
        throw new Unsealable(place)
      }
      const opener = createDecipheriv('aes-256-gcm', key, sealed.subarray(HEAD, HEAD + NONCE))
      opener.setAAD(Buffer.from(place))
      opener.setAuthTag(sealed.subarray(sealed.length - TAG))
      const plain = opener.update(sealed.subarray(HEAD + NONCE, sealed.length - TAG))
      try {
        opener.final()
      } catch {
        throw new Unsealable(place)
      }
      return plain
    },
  }
}
