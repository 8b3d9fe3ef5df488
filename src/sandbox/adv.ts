/**
 * The signed statements that make a companion part of an account: who signs what, over which bytes.
 * Pure functions over raw keys; public keys are 32 bytes without a type byte. Source: the protocol as
 * Baileys' `configureSuccessfulPairing` checks it.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import { calculateSignature, verifySignature } from 'whatsapp-rust-bridge'

const ACCOUNT_SIGNATURE = Buffer.from([6, 0])
const DEVICE_SIGNATURE = Buffer.from([6, 1])
const KEY_INDEX_LIST_SIGNATURE = Buffer.from([6, 2])
const KEY_TYPE = Buffer.from([5])

/** A Curve25519 pair as raw bytes, the public half without type byte. */
export type KeyPair = { private: Buffer; public: Buffer }

/** What the phone states about the companion it accepts. */
export type GrantInput = {
  primary: KeyPair
  companionIdentity: Buffer
  /** The 32 bytes that only the companion's screen (or the pairing code) revealed. */
  advSecret: Buffer
  rawId: number
  keyIndex: number
  /** Seconds since 1970. */
  timestamp: number
}

/** XEdDSA signature, 64 bytes, with a Curve25519 private key. */
export const sign = (privateKey: Uint8Array, message: Uint8Array): Buffer =>
  Buffer.from(calculateSignature(privateKey, message))

/** Whether an XEdDSA signature fits a 32-byte public key; malformed input is simply "no". */
export const verify = (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    return verifySignature(Buffer.concat([KEY_TYPE, publicKey]), message, signature)
  } catch {
    return false
  }
}

/** An encoded `ADVSignedDeviceIdentityHMAC`: the grant that the server passes on in `pair-success`. */
export function signGrant(input: GrantInput): Buffer {
  const details = proto.ADVDeviceIdentity.encode({
    rawId: input.rawId,
    timestamp: input.timestamp,
    keyIndex: input.keyIndex,
    accountType: proto.ADVEncryptionType.E2EE,
    deviceType: proto.ADVEncryptionType.E2EE,
  }).finish()
  const signed = proto.ADVSignedDeviceIdentity.encode({
    details,
    accountSignatureKey: input.primary.public,
    accountSignature: sign(
      input.primary.private,
      Buffer.concat([ACCOUNT_SIGNATURE, details, input.companionIdentity]),
    ),
  }).finish()
  return Buffer.from(
    proto.ADVSignedDeviceIdentityHMAC.encode({
      details: signed,
      hmac: createHmac('sha256', input.advSecret).update(signed).digest(),
      accountType: proto.ADVEncryptionType.E2EE,
    }).finish(),
  )
}

/** The signed identity inside a grant, and the key index it names; throws on bytes that do not decode. */
export function openGrant(grant: Uint8Array): { signed: Buffer; keyIndex: number; accountKey: Buffer } {
  const { details } = proto.ADVSignedDeviceIdentityHMAC.decode(grant)
  if (!details) throw new Error('grant without details')
  const signed = proto.ADVSignedDeviceIdentity.decode(details)
  const identity = proto.ADVDeviceIdentity.decode(signed.details ?? new Uint8Array())
  return {
    signed: Buffer.from(details),
    keyIndex: identity.keyIndex ?? 0,
    accountKey: Buffer.from(signed.accountSignatureKey ?? new Uint8Array()),
  }
}

/** Whether a grant bears the HMAC of this ADV secret: the companion's own test of who scanned it. */
export function grantMatchesSecret(grant: Uint8Array, advSecret: Uint8Array): boolean {
  const { details, hmac } = proto.ADVSignedDeviceIdentityHMAC.decode(grant)
  if (!details || !hmac) return false
  const expected = createHmac('sha256', advSecret).update(details).digest()
  return expected.length === hmac.length && timingSafeEqual(expected, hmac)
}

/** Whether the account's own identity key signed this companion's identity key in `signed`. */
export function accountSigned(signed: Uint8Array, companionIdentity: Uint8Array): boolean {
  const { details, accountSignature, accountSignatureKey } = proto.ADVSignedDeviceIdentity.decode(signed)
  if (!details || !accountSignature || !accountSignatureKey) return false
  return verify(
    accountSignatureKey,
    Buffer.concat([ACCOUNT_SIGNATURE, details, companionIdentity]),
    accountSignature,
  )
}

/** The companion's countersignature over a grant's `signed` part; the answer bears no signature key. */
export function countersign(signed: Uint8Array, companion: KeyPair): Buffer {
  const { details, accountSignature, accountSignatureKey } = proto.ADVSignedDeviceIdentity.decode(signed)
  if (!details || !accountSignature || !accountSignatureKey) throw new Error('incomplete signed identity')
  const deviceSignature = sign(
    companion.private,
    Buffer.concat([DEVICE_SIGNATURE, details, companion.public, accountSignatureKey]),
  )
  return Buffer.from(
    proto.ADVSignedDeviceIdentity.encode({ details, accountSignature, deviceSignature }).finish(),
  )
}

/**
 * Joins a companion's answer with the grant it answers: the full identity that travels beside every first
 * message, or null when the answer speaks of other details, or its signature is not the companion's.
 */
export function completeIdentity(
  signed: Uint8Array,
  answer: Uint8Array,
  companionIdentity: Uint8Array,
): Buffer | null {
  const granted = proto.ADVSignedDeviceIdentity.decode(signed)
  const answered = proto.ADVSignedDeviceIdentity.decode(answer)
  const { details, accountSignature, accountSignatureKey } = granted
  const { deviceSignature } = answered
  if (!details || !accountSignature || !accountSignatureKey || !deviceSignature) return null
  if (!answered.details || !Buffer.from(details).equals(answered.details)) return null
  if (!answered.accountSignature || !Buffer.from(accountSignature).equals(answered.accountSignature))
    return null
  const message = Buffer.concat([DEVICE_SIGNATURE, details, companionIdentity, accountSignatureKey])
  if (!verify(companionIdentity, message, deviceSignature)) return null
  return Buffer.from(
    proto.ADVSignedDeviceIdentity.encode({
      details,
      accountSignatureKey,
      accountSignature,
      deviceSignature,
    }).finish(),
  )
}

/** An encoded `ADVSignedKeyIndexList`: which key indexes of the account are in use, signed by the phone. */
export function signKeyIndexList(
  primary: KeyPair,
  list: { rawId: number; timestamp: number; validIndexes: number[] },
): Buffer {
  const details = proto.ADVKeyIndexList.encode({
    rawId: list.rawId,
    timestamp: list.timestamp,
    currentIndex: Math.max(0, ...list.validIndexes),
    validIndexes: list.validIndexes,
    accountType: proto.ADVEncryptionType.E2EE,
  }).finish()
  return Buffer.from(
    proto.ADVSignedKeyIndexList.encode({
      details,
      accountSignature: sign(primary.private, Buffer.concat([KEY_INDEX_LIST_SIGNATURE, details])),
    }).finish(),
  )
}
