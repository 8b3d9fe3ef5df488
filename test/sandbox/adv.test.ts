import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { Curve, configureSuccessfulPairing, proto } from '@whiskeysockets/baileys'
import {
  accountSigned,
  completeIdentity,
  countersign,
  grantMatchesSecret,
  type KeyPair,
  openGrant,
  sign,
  signGrant,
  signKeyIndexList,
  verify,
} from '../../src/sandbox/adv'

const pair = (): KeyPair => {
  const made = Curve.generateKeyPair()
  return { private: Buffer.from(made.private), public: Buffer.from(made.public) }
}
const flipped = (bytes: Buffer, at: number) => {
  const copy = Buffer.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ 1
  return copy
}

function grantFor(companion: KeyPair) {
  const primary = pair()
  const advSecret = randomBytes(32)
  const grant = signGrant({
    primary,
    companionIdentity: companion.public,
    advSecret,
    rawId: 7,
    keyIndex: 3,
    timestamp: 1_700_000_000,
  })
  return { primary, advSecret, grant, ...openGrant(grant) }
}

describe('a grant', () => {
  test('is taken by Baileys, and its answer completes the identity', () => {
    const companion = pair()
    const { grant, advSecret, signed, keyIndex, primary } = grantFor(companion)
    expect(keyIndex).toBe(3)
    const { reply } = configureSuccessfulPairing(
      {
        tag: 'iq',
        attrs: { id: '1' },
        content: [
          {
            tag: 'pair-success',
            attrs: {},
            content: [
              { tag: 'device-identity', attrs: {}, content: grant },
              { tag: 'device', attrs: { jid: '491:1@s.whatsapp.net', lid: '9:1@lid' } },
            ],
          },
        ],
      },
      {
        advSecretKey: advSecret.toString('base64'),
        signedIdentityKey: companion,
        signalIdentities: [],
      },
    )
    const sign = Array.isArray(reply.content) ? reply.content[0] : undefined
    const identity = Array.isArray(sign?.content) ? sign.content[0] : undefined
    expect(identity?.attrs['key-index']).toBe('3')
    const full = completeIdentity(signed, identity?.content as Uint8Array, companion.public)
    expect(full).not.toBeNull()
    const decoded = proto.ADVSignedDeviceIdentity.decode(full ?? new Uint8Array())
    expect(primary.public.equals(decoded.accountSignatureKey ?? new Uint8Array())).toBe(true)
  })

  test('names its secret and its companion, and no other', () => {
    const companion = pair()
    const { grant, advSecret, signed } = grantFor(companion)
    expect(grantMatchesSecret(grant, advSecret)).toBe(true)
    expect(grantMatchesSecret(grant, randomBytes(32))).toBe(false)
    expect(accountSigned(signed, companion.public)).toBe(true)
    expect(accountSigned(signed, pair().public)).toBe(false)
  })

  test('is completed only by its own companion', () => {
    const companion = pair()
    const { signed } = grantFor(companion)
    expect(completeIdentity(signed, countersign(signed, companion), companion.public)).not.toBeNull()
    expect(completeIdentity(signed, countersign(signed, pair()), companion.public)).toBeNull()
    const other = grantFor(companion)
    expect(completeIdentity(signed, countersign(other.signed, companion), companion.public)).toBeNull()
  })
})

test('a signature fits its key, its message and itself, and nothing else', () => {
  const key = pair()
  const message = randomBytes(40)
  const signature = sign(key.private, message)
  expect(verify(key.public, message, signature)).toBe(true)
  expect(verify(key.public, flipped(message, 0), signature)).toBe(false)
  expect(verify(key.public, message, flipped(signature, 5))).toBe(false)
  expect(verify(pair().public, message, signature)).toBe(false)
  expect(verify(key.public.subarray(1), message, signature)).toBe(false)
})

test('a key index list is signed under its own prefix', () => {
  const primary = pair()
  const list = proto.ADVSignedKeyIndexList.decode(
    signKeyIndexList(primary, { rawId: 1, timestamp: 2, validIndexes: [0, 1, 4] }),
  )
  const details = list.details ?? new Uint8Array()
  const signature = list.accountSignature ?? new Uint8Array()
  expect(verify(primary.public, Buffer.concat([Buffer.from([6, 2]), details]), signature)).toBe(true)
  expect(verify(primary.public, Buffer.concat([Buffer.from([6, 0]), details]), signature)).toBe(false)
  expect(proto.ADVKeyIndexList.decode(details).currentIndex).toBe(4)
})
