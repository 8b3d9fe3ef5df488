/** How many messages of which kind a span of time holds: counters for the days that lie in it whole, rows for the rest. */
import type { Database } from 'bun:sqlite'
import { ACTION_TYPES, type MessageType } from '../domain/content'
import type { MessageStatus } from '../domain/message'
import { FIRST_ACTION, statusOf, TYPE_CODE, typeOf } from './codes'
import { dayOf } from './counters'
import { FLAG } from './message-rows'

export type Counts = {
  day: number
  fromMe: boolean
  type: MessageType
  status: MessageStatus
  history: boolean
  n: number
}

const DAY = 86_400_000
/** Larger than any time stamp. */
export const END = Number.MAX_SAFE_INTEGER

const ACTION_CODES = ACTION_TYPES.map((type) => TYPE_CODE[type]).join()

/**
 * Rows of a session from one moment (?2) to another (?3): two halves, because each has its index. `type > 0` looks
 * idle, but without it SQLite does not see that the index holds the rows.
 */
export const spanOf = (select: string, also = ''): string =>
  [`type < ${FIRST_ACTION}`, `type > 0 AND type IN (${ACTION_CODES})`]
    .map(
      (half) =>
        `SELECT ${select} FROM messages WHERE session = ?1 AND timestamp >= ?2 AND timestamp <= ?3 AND ${half} ${also}`,
    )
    .join(' UNION ALL ')

type DayRow = {
  day: number
  from_me: number
  type: MessageType
  status: MessageStatus
  history: number
  n: number
}
type RowCount = { day: number; from_me: number; type: number; status: number; history: number; n: number }

/** Counts of a session between two moments (ms, inclusive). */
export type CountsOf = (session: number, from: number, to: number) => Counts[]

export function createMessageCounts(database: Database): CountsOf {
  const days = database.prepare<DayRow, [number, number, number]>(
    `SELECT day, from_me, type, status, history, count AS n FROM message_counts
     WHERE session = ? AND day >= ? AND day <= ? AND count > 0`,
  )
  const rows = database.prepare<RowCount, [number, number, number]>(
    spanOf(
      `timestamp / ${DAY} AS day, from_me, type, status, flags & ${FLAG.history} <> 0 AS history, count(*) AS n`,
      'GROUP BY 1, 2, 3, 4, 5',
    ),
  )

  const fromRows = (session: number, from: number, to: number): Counts[] =>
    rows.all(session, from, to).map(({ day, from_me, type, status, history, n }) => ({
      day,
      fromMe: from_me === 1,
      type: typeOf(type),
      status: statusOf(status),
      history: history === 1,
      n,
    }))

  return (session, from, to) => {
    const firstWhole = dayOf(from + DAY - 1)
    const lastWhole = to >= END ? dayOf(END) : dayOf(to + 1) - 1
    if (firstWhole > lastWhole) return fromRows(session, from, to)
    const before = from < firstWhole * DAY ? fromRows(session, from, firstWhole * DAY - 1) : []
    const after = to >= END ? [] : fromRows(session, (lastWhole + 1) * DAY, to)
    const whole = days
      .all(session, firstWhole, lastWhole)
      .map(({ from_me, history, ...row }) => ({ ...row, fromMe: from_me === 1, history: history === 1 }))
    return [...before, ...whole, ...after]
  }
}
