import { describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { Curve } from '@whiskeysockets/baileys'
import { verifyXEdDSA } from '../../src/lib/xeddsa'

const signed = () => {
  const pair = Curve.generateKeyPair()
  const message = randomBytes(60)
  return {
    pair,
    key: Buffer.from(pair.public),
    message,
    signature: Buffer.from(Curve.sign(pair.private, message)),
  }
}

const flipped = (bytes: Buffer, at: number, mask = 1) => {
  const copy = Buffer.from(bytes)
  copy.writeUInt8(copy.readUInt8(at) ^ mask, at)
  return copy
}

describe('XEdDSA', () => {
  test('accepts what libsignal signs, with and without the type byte', () => {
    for (let round = 0; round < 20; round++) {
      const { key, message, signature } = signed()
      expect(verifyXEdDSA(key, message, signature)).toBe(true)
      expect(verifyXEdDSA(Buffer.concat([Buffer.from([5]), key]), message, signature)).toBe(true)
    }
  })

  test('refuses a changed message, signature or key', () => {
    const { key, message, signature } = signed()
    expect(verifyXEdDSA(key, flipped(message, 0), signature)).toBe(false)
    for (const at of [0, 31, 32, 62]) expect(verifyXEdDSA(key, message, flipped(signature, at))).toBe(false)
    expect(verifyXEdDSA(key, message, flipped(signature, 63, 0x80))).toBe(false)
    expect(verifyXEdDSA(signed().key, message, signature)).toBe(false)
  })

  test('refuses malformed input without throwing', () => {
    const { key, message, signature } = signed()
    expect(verifyXEdDSA(key.subarray(1), message, signature)).toBe(false)
    expect(verifyXEdDSA(key, message, signature.subarray(1))).toBe(false)
    expect(verifyXEdDSA(Buffer.alloc(0), message, Buffer.alloc(0))).toBe(false)
    expect(verifyXEdDSA(Buffer.alloc(32, 0xff), message, signature)).toBe(false)
    // u = -1 has no Edwards counterpart.
    expect(verifyXEdDSA(Buffer.from(`ec${'ff'.repeat(30)}7f`, 'hex'), message, signature)).toBe(false)
  })

  test('documents why it exists: the library’s own check says yes to a forgery', () => {
    const { pair, message, signature } = signed()
    expect(Curve.verify(pair.public, flipped(message, 0), signature)).toBe(true)
  })
})
