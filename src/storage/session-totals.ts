/**
 * What the list of sessions says about messages, remembered until a commit touches it: views of sessions are asked for far
 * more often than messages are written, and a read costs a lock of the file.
 */
import type { Database } from 'bun:sqlite'
import type { MessageCounts } from '../domain/session'
import { STATUS_CODE } from './codes'

export type SessionTotals = MessageCounts & { queued: number }

export interface Totals {
  of(session: number): SessionTotals
  /** Must be called in every transaction that writes one of these numbers; reads never come in between. */
  changed(session: number): void
}

export function createTotals(database: Database): Totals {
  const counts = database.prepare<MessageCounts, [number]>(
    'SELECT sent, received, failed FROM message_totals WHERE session = ?',
  )
  const queued = database.prepare<{ n: number }, [number]>(
    `SELECT count(*) AS n FROM messages WHERE session = ? AND status = ${STATUS_CODE.queued}`,
  )
  const known = new Map<number, SessionTotals>()
  return {
    of(session) {
      const before = known.get(session)
      if (before) return before
      const { sent = 0, received = 0, failed = 0 } = counts.get(session) ?? {}
      const found = { sent, received, failed, queued: queued.get(session)?.n ?? 0 }
      known.set(session, found)
      return found
    },
    changed: (session) => known.delete(session),
  }
}
