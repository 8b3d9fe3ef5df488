import { randomBytes, timingSafeEqual } from 'node:crypto'

/** 32 lower-case hex characters: the form of session ids. */
export const randomHexId = (): string => randomBytes(16).toString('hex')

/** `bytes` random bytes in URL-safe base64. */
export const randomToken = (bytes: number): string => randomBytes(bytes).toString('base64url')

const DRAWN = 9
const pool = Buffer.allocUnsafeSlow(DRAWN * 500)
let drawn = pool.length

/** A name that comes once, as for a request: 12 random characters. Drawn in advance, so nothing that must stay secret. */
export function freshName(): string {
  if (drawn === pool.length) {
    crypto.getRandomValues(pool)
    drawn = 0
  }
  drawn += DRAWN
  return pool.toString('base64url', drawn - DRAWN, drawn)
}

/** Lower-case hex SHA-256. */
export const sha256Hex = (data: string | Uint8Array): string => Bun.SHA256.hash(data, 'hex')

/** Compares two secrets in time that does not depend on where they differ. */
export function sameSecret(a: string, b: string): boolean {
  return timingSafeEqual(Bun.SHA256.hash(a) as Uint8Array, Bun.SHA256.hash(b) as Uint8Array)
}
