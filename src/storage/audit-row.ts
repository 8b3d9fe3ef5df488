/** How a row of the audit log and its origin are hashed. */
import { createHmac, timingSafeEqual } from 'node:crypto'

/** A row as it lies there. */
export type RawAuditRow = {
  number: number
  at: number
  account: string | null
  credential: string | null
  action: string
  object: string | null
  session: string | null
  result: string
  count: number
  fields: string
  origin: Uint8Array | null
  hash: Uint8Array
}
export type RawOrigin = { salt: Uint8Array; address: string | null; agent: string | null }

/** The hash of a row behind the one with the hash `before`. */
export function rowHash(key: Uint8Array, before: Uint8Array, row: Omit<RawAuditRow, 'hash'>): Buffer {
  const { number, at, account, credential, action, object, session, result, count, fields, origin } = row
  const told = [number, at, account, credential, action, object, session, result, count, fields]
  return createHmac('sha256', key)
    .update(before)
    .update(JSON.stringify([...told, origin === null ? null : Buffer.from(origin).toString('hex')]))
    .digest()
}

/** What stands in a row for address and user agent; salted, because there are few addresses. */
export const originHash = (key: Uint8Array, { salt, address, agent }: RawOrigin): Buffer =>
  createHmac('sha256', key)
    .update(salt)
    .update(JSON.stringify([address, agent]))
    .digest()

export const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && timingSafeEqual(a, b)
