/**
 * The phone's side of linking a companion: reading its QR code, and the key agreement behind an eight-character
 * code. Pure functions; the formulas are those of Baileys' `requestPairingCode` seen from the other end.
 */
import { createCipheriv, createDecipheriv, hkdfSync, pbkdf2Sync, randomBytes } from 'node:crypto'
import { Curve } from '@whiskeysockets/baileys'
import type { KeyPair } from './adv'

/** What a companion shows on its screen. */
export type QrCode = {
  ref: string
  noiseKey: Buffer
  identityKey: Buffer
  advSecret: Buffer
  /** As the companion names its browser; absent in older codes. */
  platformId: string | null
}

/** Thrown when a QR text or a code cannot be what a companion shows. */
export class PairingError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'PairingError'
  }
}

/** Reads `ref,noiseKey,identityKey,advSecret[,platform]`, bare or after `https://wa.me/settings/linked_devices#`. */
export function parseQr(text: string): QrCode {
  const bare = text.includes('#') ? text.slice(text.indexOf('#') + 1) : text
  const [ref, noise, identity, secret, platformId, ...rest] = bare.trim().split(',')
  if (!ref || !noise || !identity || !secret || rest.length > 0) {
    throw new PairingError('This is not the QR code of a companion')
  }
  return {
    ref,
    noiseKey: key(noise),
    identityKey: key(identity),
    advSecret: key(secret),
    platformId: platformId ?? null,
  }
}

function key(base64: string): Buffer {
  const bytes = Buffer.from(base64, 'base64')
  if (bytes.length !== 32) throw new PairingError('A key in this QR code is not 32 bytes long')
  return bytes
}

const PBKDF2_ROUNDS = 131_072
const codeKey = (code: string, salt: Buffer) => pbkdf2Sync(code, salt, PBKDF2_ROUNDS, 32, 'sha256')

/** A public key under a pairing code: salt 32, iv 16, AES-256-CTR of 32 bytes. */
export function wrapPublicKey(code: string, publicKey: Buffer): Buffer {
  const salt = randomBytes(32)
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-ctr', codeKey(code, salt), iv)
  return Buffer.concat([salt, iv, cipher.update(publicKey), cipher.final()])
}

/** The key inside `wrapPublicKey`'s 80 bytes. A wrong code yields another key, not an error: CTR has no seal. */
export function unwrapPublicKey(code: string, wrapped: Uint8Array): Buffer {
  if (wrapped.length !== 80) throw new PairingError('A wrapped key is 80 bytes long')
  const bytes = Buffer.from(wrapped)
  const decipher = createDecipheriv(
    'aes-256-ctr',
    codeKey(code, bytes.subarray(0, 32)),
    bytes.subarray(32, 48),
  )
  return Buffer.concat([decipher.update(bytes.subarray(48)), decipher.final()])
}

/** The two halves of a pairing by code that only the phone holds until the companion answers. */
export type CodePairing = { ephemeral: KeyPair; companionEphemeral: Buffer }

/** A fresh Curve25519 pair. */
export function generateKeyPair(): KeyPair {
  const pair = Curve.generateKeyPair()
  return { private: Buffer.from(pair.private), public: Buffer.from(pair.public) }
}

/** First half: what the phone sends when the user has typed the code. */
export function beginCodePairing(
  code: string,
  wrappedCompanion: Uint8Array,
): CodePairing & { wrapped: Buffer } {
  const ephemeral = generateKeyPair()
  return {
    ephemeral,
    companionEphemeral: unwrapPublicKey(code, wrappedCompanion),
    wrapped: wrapPublicKey(code, ephemeral.public),
  }
}

/**
 * Second half: opens the companion's key bundle (salt 32, iv 12, AES-256-GCM) and derives the ADV secret.
 * Throws `PairingError` when the code was wrong (the bundle does not authenticate) or the keys inside are not
 * the ones both sides named in the clear.
 */
export function finishCodePairing(
  pairing: CodePairing,
  identity: KeyPair,
  companionIdentity: Uint8Array,
  bundle: Uint8Array,
): { advSecret: Buffer; companionIdentity: Buffer } {
  const sealed = Buffer.from(bundle)
  const shared = Curve.sharedKey(pairing.ephemeral.private, pairing.companionEphemeral)
  const bundleKey = Buffer.from(
    hkdfSync('sha256', shared, sealed.subarray(0, 32), 'link_code_pairing_key_bundle_encryption_key', 32),
  )
  const opened = openGcm(bundleKey, sealed.subarray(32, 44), sealed.subarray(44))
  if (opened?.length !== 96) throw new PairingError('The pairing code is wrong')
  const [companion, primary, random] = [opened.subarray(0, 32), opened.subarray(32, 64), opened.subarray(64)]
  if (!companion.equals(companionIdentity) || !primary.equals(identity.public)) {
    throw new PairingError('The companion sealed other identity keys than those it named')
  }
  const identityShared = Curve.sharedKey(identity.private, companion)
  const secret = hkdfSync(
    'sha256',
    Buffer.concat([shared, identityShared, random]),
    Buffer.alloc(0),
    'adv_secret',
    32,
  )
  return { advSecret: Buffer.from(secret), companionIdentity: Buffer.from(companion) }
}

function openGcm(key: Buffer, iv: Buffer, sealed: Buffer): Buffer | null {
  if (sealed.length < 16) return null
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, iv)
    decipher.setAuthTag(sealed.subarray(-16))
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
  } catch {
    return null
  }
}
