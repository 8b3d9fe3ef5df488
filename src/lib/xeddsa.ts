/**
 * XEdDSA signatures (Signal's "XEdDSA and VXEdDSA", revision 1) checked by the platform's own Ed25519.
 * A Montgomery key `u` is the Edwards point with `y = (u - 1) / (u + 1)`; the sign of its `x` travels in the top bit of
 * the signature, where WhatsApp and libsignal put it.
 */
import { createPublicKey, verify } from 'node:crypto'

const P = 2n ** 255n - 19n
const TOP_BIT = 0x80
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex')

/**
 * Tells whether `signature` (64 bytes) was made over `message` with the private half of `publicKey` (32 bytes, or 33
 * with the type byte 05). Malformed input is `false`, never an exception.
 */
export function verifyXEdDSA(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = publicKey.length === 33 && publicKey[0] === 5 ? publicKey.subarray(1) : publicKey
  if (key.length !== 32 || signature.length !== 64) return false

  const plain = Buffer.from(signature)
  const last = plain.readUInt8(63)
  plain.writeUInt8(last & ~TOP_BIT, 63)

  const edwards = montgomeryToEdwards(key)
  if (edwards === null) return false
  edwards.writeUInt8(edwards.readUInt8(31) | (last & TOP_BIT), 31)

  try {
    const spki = Buffer.concat([ED25519_SPKI, edwards])
    return verify(null, message, createPublicKey({ key: spki, format: 'der', type: 'spki' }), plain)
  } catch {
    // Not every 32 bytes are a point of the curve; a key that is none has signed nothing.
    return false
  }
}

/** The Edwards `y`, little endian, with sign bit 0; null for the one `u` that has none. */
function montgomeryToEdwards(key: Uint8Array): Buffer | null {
  const u = littleEndian(key) & ((1n << 255n) - 1n)
  const divisor = (u + 1n) % P
  if (divisor === 0n) return null
  const y = (((u - 1n + P) % P) * inverse(divisor)) % P
  return Buffer.from(y.toString(16).padStart(64, '0'), 'hex').reverse()
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString('hex')}`)
}

/** Extended Euclid; a tenth of the cost of Fermat's power. */
function inverse(value: bigint): bigint {
  let [a, b] = [value % P, P]
  let [x, y] = [1n, 0n]
  while (b !== 0n) {
    const quotient = a / b
    ;[a, b] = [b, a - quotient * b]
    ;[x, y] = [y, x - quotient * y]
  }
  return ((x % P) + P) % P
}
