import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'

/** 32 lower-case hex characters: the form of session ids. */
export const randomHexId = (): string => randomBytes(16).toString('hex')

/** `bytes` random bytes in URL-safe base64. */
export const randomToken = (bytes: number): string => randomBytes(bytes).toString('base64url')

/** Lower-case hex SHA-256. */
export const sha256Hex = (data: string | Uint8Array): string =>
  createHash('sha256').update(data).digest('hex')

/** Compares two secrets in time that does not depend on where they differ. */
export function sameSecret(a: string, b: string): boolean {
  const left = createHash('sha256').update(a).digest()
  const right = createHash('sha256').update(b).digest()
  return timingSafeEqual(left, right)
}
