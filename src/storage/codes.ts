/**
 * Types, statuses and message ids as they stand in rows: small, because there are millions of them.
 *
 * A number that was given is never given to anything else. Types that act on another message begin at `FIRST_ACTION`, so
 * that an index can leave them out.
 */
import type { MessageType } from '../domain/content'
import type { MessageStatus } from '../domain/message'

/** Types from here on act on another message and are left out of lists. */
export const FIRST_ACTION = 64

export const TYPE_CODE: { readonly [T in MessageType]: number } = {
  text: 0,
  image: 1,
  video: 2,
  audio: 3,
  document: 4,
  sticker: 5,
  album: 6,
  location: 7,
  contact: 8,
  poll: 9,
  event: 10,
  buttons: 11,
  list: 12,
  choice: 13,
  product: 14,
  invite: 15,
  order: 16,
  comment: 17,
  unknown: 63,
  reaction: 64,
  edit: 65,
  delete: 66,
  pin: 67,
  vote: 68,
  rsvp: 69,
}

export const STATUS_CODE: { readonly [S in MessageStatus]: number } = {
  received: 0,
  sent: 1,
  queued: 2,
  failed: 3,
  delivered: 4,
  read: 5,
  played: 6,
}

const inverse = <Name extends string>(codes: { readonly [N in Name]: number }): Map<number, Name> =>
  new Map((Object.entries(codes) as [Name, number][]).map(([name, code]) => [code, name]))

const TYPES = inverse(TYPE_CODE)
const STATUSES = inverse(STATUS_CODE)

export const typeOf = (code: number): MessageType => TYPES.get(code) ?? 'unknown'
export const statusOf = (code: number): MessageStatus => STATUSES.get(code) ?? 'failed'

/** WhatsApp's ids are upper-case hex, which takes half the room as bytes; every other id stays text. */
export const packId = (id: string): Uint8Array | string =>
  id.length % 2 === 0 && /^[0-9A-F]+$/.test(id) ? Buffer.from(id, 'hex') : id

export const unpackId = (id: Uint8Array | string): string =>
  typeof id === 'string'
    ? id
    : Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('hex').toUpperCase()
