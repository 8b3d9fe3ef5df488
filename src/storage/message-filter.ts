/** A filter of messages as SQL. */
import type { SQLQueryBindings } from 'bun:sqlite'
import { ACTION_TYPES } from '../domain/content'
import type { MessageFilter } from '../domain/message'
import { FIRST_ACTION, STATUS_CODE, TYPE_CODE } from './codes'
import type { Counts } from './message-counts'
import { END } from './message-counts'
import { FLAG } from './message-rows'
import type { NumberedSession } from './numbers'
import type { Parties } from './parties'
import type { SearchIndex } from './search-index'

export type Conditions = {
  where: string
  values: SQLQueryBindings[]
  /**
   * SQL that yields the numbers among which all hits are, when that may be a short way to them; `implied` when `where`
   * says as much.
   */
  among: { sql: string; values: SQLQueryBindings[]; implied: boolean } | null
}

const isActionType = (type: MessageFilter['type']): boolean =>
  (ACTION_TYPES as readonly unknown[]).includes(type)

/**
 * The conditions over `m`; null when nothing can meet them. Types and statuses are written out as numbers and some
 * conditions twice, because SQLite uses a partial index only when the query repeats its condition word for word.
 */
export function conditionsOf(
  session: NumberedSession,
  filter: MessageFilter,
  parts: { parties: Parties; search: SearchIndex },
): Conditions | null {
  const texts: string[] = ['m.session = ?']
  const values: SQLQueryBindings[] = [session.number]
  const also = (sql: string, ...given: SQLQueryBindings[]): void => {
    texts.push(sql)
    values.push(...given)
  }
  const party = (text: string): number | null => parts.parties.find(session.number, text)
  let among: Conditions['among'] = null

  if (filter.type === undefined || filter.type === 'text') also(`m.type < ${FIRST_ACTION}`)
  else if (isActionType(filter.type)) also('m.type > 0')
  else also(`m.type < ${FIRST_ACTION} AND m.type > 0`)
  if (filter.type !== undefined) also(`m.type = ${TYPE_CODE[filter.type]}`)
  if (filter.status !== undefined) also(`m.status = ${STATUS_CODE[filter.status]}`)
  if (filter.starred !== undefined) {
    also(filter.starred ? `m.flags & ${FLAG.starred} <> 0` : `m.flags & ${FLAG.starred} = 0`)
  }

  if (filter.from === 'me') also('m.from_me = 1')
  else if (filter.from !== undefined) {
    const who = party(filter.from)
    if (who === null) return null
    also('m.from_me = 0 AND (m.sender = ? OR (m.sender IS NULL AND m.chat = ?))', who, who)
    among = {
      sql: `SELECT number FROM messages WHERE sender = ? UNION ALL
            SELECT number FROM messages WHERE chat = ? AND sender IS NULL AND type < ${FIRST_ACTION} UNION ALL
            SELECT number FROM messages WHERE chat = ? AND sender IS NULL AND type >= ${FIRST_ACTION}`,
      values: [who, who, who],
      implied: true,
    }
  }
  if (filter.to === 'me') also('m.from_me = 0')
  else if (filter.to !== undefined) {
    const who = party(filter.to)
    if (who === null) return null
    also('m.from_me = 1 AND m.chat = ?', who)
  }
  if (filter.chat !== undefined) {
    const who = party(filter.chat)
    if (who === null) return null
    also('m.chat = ?', who)
  }
  if (filter.start !== undefined) also('m.timestamp >= ?', filter.start)
  if (filter.end !== undefined) also('m.timestamp <= ?', filter.end)
  if (filter.search !== undefined) {
    const found = parts.search.find(session, filter.search)
    if (!found) return null
    // Who has written it and what stands in it: the words are the shorter way.
    among = { ...found, implied: false }
  }
  return { where: texts.join(' AND '), values, among }
}

/** Whether the counters know how many messages a filter admits. */
export const isCounted = ({ from, to, chat, search, starred }: MessageFilter): boolean =>
  [from, to].every((side) => side === undefined || side === 'me') &&
  [chat, search, starred].every((one) => one === undefined)

/** How many of these counts a filter admits that `isCounted`. */
export function sumOfCounts(counts: readonly Counts[], filter: MessageFilter): number {
  let sum = 0
  for (const { type, status, fromMe, n } of counts) {
    if (filter.type === undefined ? isActionType(type) : type !== filter.type) continue
    if (filter.status !== undefined && status !== filter.status) continue
    if (filter.from === 'me' && !fromMe) continue
    if (filter.to === 'me' && fromMe) continue
    sum += n
  }
  return sum
}

/** The span of a filter: `message-counts.ts` counts from and to moments that are inclusive. */
export const spanOfFilter = ({ start, end }: MessageFilter): [from: number, to: number] => [
  Math.max(0, start ?? 0),
  end ?? END,
]
