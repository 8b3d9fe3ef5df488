import { describe, expect, test } from 'bun:test'
import { createCipheriv, hkdfSync, randomBytes } from 'node:crypto'
import { aesDecryptCTR, Curve, derivePairingCodeKey } from '@whiskeysockets/baileys'
import {
  beginCodePairing,
  finishCodePairing,
  generateKeyPair,
  PairingError,
  parseQr,
  unwrapPublicKey,
  wrapPublicKey,
} from '../../src/sandbox/phone-pairing'

describe('a QR code', () => {
  const [noise, identity, secret] = [randomBytes(32), randomBytes(32), randomBytes(32)]
  const fields = ['2@abc', ...[noise, identity, secret].map((k) => k.toString('base64'))]

  test.each([
    ['bare', fields.join(',')],
    ['bare, with platform', [...fields, '1'].join(',')],
    ['behind the link', `https://wa.me/settings/linked_devices#${[...fields, '1'].join(',')}`],
  ])('is read %s', (_, text) => {
    const code = parseQr(text)
    expect(code.ref).toBe('2@abc')
    expect(code.noiseKey).toEqual(noise)
    expect(code.identityKey).toEqual(identity)
    expect(code.advSecret).toEqual(secret)
  })

  test.each([
    ['nothing', ''],
    ['a web page', 'https://example.org/#hello'],
    ['a short key', ['2@abc', 'AAAA', ...fields.slice(2)].join(',')],
    ['a missing key', fields.slice(0, 3).join(',')],
    ['one field too many', [...fields, '1', 'x'].join(',')],
  ])('is not %s', (_, text) => {
    expect(() => parseQr(text)).toThrow(PairingError)
  })
})

/** The companion's half, as Baileys does it when it hears `primary_hello`. */
function companionAnswer(
  ephemeral: { private: Uint8Array },
  identity: { private: Uint8Array; public: Uint8Array },
  primaryEphemeral: Uint8Array,
  primaryIdentity: Buffer,
) {
  const shared = Curve.sharedKey(ephemeral.private, primaryEphemeral)
  const [random, salt, iv] = [randomBytes(32), randomBytes(32), randomBytes(12)]
  const info = 'link_code_pairing_key_bundle_encryption_key'
  const cipher = createCipheriv('aes-256-gcm', Buffer.from(hkdfSync('sha256', shared, salt, info, 32)), iv)
  const plain = Buffer.concat([identity.public, primaryIdentity, random])
  const sealed = Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()])
  const secretInput = Buffer.concat([shared, Curve.sharedKey(identity.private, primaryIdentity), random])
  return {
    bundle: Buffer.concat([salt, iv, sealed]),
    advSecret: Buffer.from(hkdfSync('sha256', secretInput, Buffer.alloc(0), 'adv_secret', 32)),
  }
}

describe('a pairing code', () => {
  test('wraps a key that Baileys unwraps', async () => {
    const publicKey = randomBytes(32)
    const wrapped = wrapPublicKey('ABCD1234', publicKey)
    const derived = await derivePairingCodeKey('ABCD1234', wrapped.subarray(0, 32))
    expect(aesDecryptCTR(wrapped.subarray(48), derived, wrapped.subarray(32, 48))).toEqual(publicKey)
  })

  test('makes both ends derive one secret; a wrong code is noticed by the phone', () => {
    const primary = generateKeyPair()
    const companion = generateKeyPair()
    const companionEphemeral = generateKeyPair()
    const shown = wrapPublicKey('ABCD1234', companionEphemeral.public)

    for (const typed of ['ABCD1234', 'ABCD1235']) {
      const pairing = beginCodePairing(typed, shown)
      const heard = unwrapPublicKey('ABCD1234', pairing.wrapped)
      const answer = companionAnswer(companionEphemeral, companion, heard, primary.public)
      const finish = () => finishCodePairing(pairing, primary, companion.public, answer.bundle)
      if (typed === 'ABCD1234') expect(finish().advSecret).toEqual(answer.advSecret)
      else expect(finish).toThrow('The pairing code is wrong')
    }
  })

  test('does not accept a bundle that names another companion than the stanza', () => {
    const primary = generateKeyPair()
    const companion = generateKeyPair()
    const companionEphemeral = generateKeyPair()
    const pairing = beginCodePairing('ABCD1234', wrapPublicKey('ABCD1234', companionEphemeral.public))
    const heard = unwrapPublicKey('ABCD1234', pairing.wrapped)
    const { bundle } = companionAnswer(companionEphemeral, companion, heard, primary.public)
    expect(() => finishCodePairing(pairing, primary, generateKeyPair().public, bundle)).toThrow(PairingError)
  })
})
