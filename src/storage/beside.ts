/**
 * What a stored message and the event that tells of it have in common stands on disk once: the event is packed beside the
 * message's own blob. Before a message says something else, its event is written out (`journal.ts`, `detach`).
 */
import type { Database } from 'bun:sqlite'
import { isoTime } from '../lib/clock'
import { PLAIN } from './body'
import { unpackId } from './codes'
import { placeOfBody } from './message-rows'
import type { Numbers } from './numbers'

/** A larger one holds a thumbnail or a long text; packing beside it costs more than it saves. */
const LARGEST = 1_024

/** The bytes that an event is packed beside; null when that is not worth it. */
export const besideOf = (blob: Uint8Array, id: string, timestamp: number): Uint8Array | null =>
  blob.length > LARGEST ? null : Buffer.concat([blob.subarray(1), Buffer.from(`${id}${isoTime(timestamp)}`)])

/** A message that was just stored; `beside` is null when its event stands for itself. */
export type StoredRow = { number: number; beside: Uint8Array | null }

/** The bytes beside which the event of a stored message was packed. Throws when there is no such message. */
export type BesideOf = (number: number) => Uint8Array

export function createBeside(database: Database, numbers: Numbers): BesideOf {
  type Row = {
    session: number
    id: Uint8Array | string
    from_me: number
    timestamp: number
    body: Uint8Array | null
  }
  const read = database.prepare<Row, [number]>(
    'SELECT session, id, from_me, timestamp, body FROM messages WHERE number = ?',
  )
  return (number) => {
    const row = read.get(number)
    const session = row && numbers.session(numbers.sessionId(row.session))
    const id = row && unpackId(row.id)
    const blob =
      row?.body && session && id !== null
        ? row.body[0] === PLAIN
          ? row.body
          : session.sealer.open(row.body, placeOfBody(session.id, row.from_me === 1, id))
        : null
    const beside = row && blob && id !== null ? besideOf(blob, id, row.timestamp) : null
    if (!beside) throw new Error(`The message of a stored event is gone: ${number}`)
    return beside
  }
}
