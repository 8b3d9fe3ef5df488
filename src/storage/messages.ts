/** The read side of messages: one message, a page of history, the send queue. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import type { MessageFilter, Messages } from '../domain/message'
import { bodyOf, MESSAGE_ROWS, type MessageRow, messageOf } from './message-rows'
import { createMessageStats } from './message-stats'
import type { Numbers } from './numbers'
import type { Parties } from './parties'

export function createMessages(database: Database, numbers: Numbers, parties: Parties): Messages {
  const byId = database.prepare<MessageRow, [number, string]>(
    `${MESSAGE_ROWS} WHERE m.session = ? AND m.id = ? ORDER BY m.from_me DESC LIMIT 1`,
  )
  const queued = database.prepare<MessageRow, [number]>(
    `${MESSAGE_ROWS} WHERE m.session = ? AND m.status = 'queued' ORDER BY m.number`,
  )
  const queueLength = database.prepare<{ n: number }, [number]>(
    "SELECT count(*) AS n FROM messages WHERE session = ? AND status = 'queued'",
  )
  type Body = Pick<MessageRow, 'id' | 'from_me' | 'type' | 'body'>
  const body = database.prepare<Body, [number, string]>(
    'SELECT id, from_me, type, body FROM messages WHERE session = ? AND id = ? ORDER BY from_me DESC LIMIT 1',
  )

  /** The filter as SQL over `m`; null when it names somebody of whom nothing is stored. */
  function conditionsOf(
    session: number,
    filter: MessageFilter,
  ): { where: string; values: SQLQueryBindings[] } | null {
    const parts: string[] = ['m.session = ?']
    const values: SQLQueryBindings[] = [session]
    const also = (sql: string, ...given: SQLQueryBindings[]) => {
      parts.push(sql)
      values.push(...given)
    }
    if (filter.from === 'me') also('m.from_me = 1')
    else if (filter.from !== undefined) {
      const party = parties.find(session, filter.from)
      if (party === null) return null
      also('m.from_me = 0 AND (m.sender = ? OR (m.sender IS NULL AND m.chat = ?))', party, party)
    }
    if (filter.to === 'me') also('m.from_me = 0')
    else if (filter.to !== undefined) {
      const party = parties.find(session, filter.to)
      if (party === null) return null
      also('m.from_me = 1 AND m.chat = ?', party)
    }
    if (filter.chat !== undefined) {
      const party = parties.find(session, filter.chat)
      if (party === null) return null
      also('m.chat = ?', party)
    }
    if (filter.type !== undefined) also('m.type = ?', filter.type)
    if (filter.status !== undefined) also('m.status = ?', filter.status)
    if (filter.start !== undefined) also('m.timestamp >= ?', filter.start)
    if (filter.end !== undefined) also('m.timestamp <= ?', filter.end)
    return { where: parts.join(' AND '), values }
  }

  return {
    get(sessionId, id) {
      const session = numbers.session(sessionId)
      const row = session && byId.get(session.number, id)
      return session && row ? messageOf(sessionId, session.sealer, row) : null
    },
    list(filter) {
      const session = numbers.session(filter.sessionId)
      const conditions = session && conditionsOf(session.number, filter)
      if (!session || !conditions) return { messages: [], total: 0 }
      const { where, values } = conditions
      // `query` keeps prepared statements by their text, and there are only so many combinations of filters.
      const rows = database
        .query<MessageRow, SQLQueryBindings[]>(
          `${MESSAGE_ROWS} WHERE ${where} ORDER BY m.timestamp DESC, m.number DESC LIMIT ? OFFSET ?`,
        )
        .all(...values, filter.limit, filter.offset)
      const total = database
        .query<{ n: number }, SQLQueryBindings[]>(`SELECT count(*) AS n FROM messages m WHERE ${where}`)
        .get(...values)
      return {
        messages: rows.map((row) => messageOf(filter.sessionId, session.sealer, row)),
        total: total?.n ?? 0,
      }
    },
    queued(sessionId) {
      const session = numbers.session(sessionId)
      if (!session) return []
      return queued.all(session.number).map((row) => messageOf(sessionId, session.sealer, row))
    },
    queueLengths(ids) {
      return new Map(
        ids.map((id) => {
          const session = numbers.session(id)
          return [id, session ? (queueLength.get(session.number)?.n ?? 0) : 0] as const
        }),
      )
    },
    raw(sessionId, id) {
      const session = numbers.session(sessionId)
      const row = session && body.get(session.number, id)
      return session && row ? bodyOf(sessionId, session.sealer, row).raw : null
    },
    ...createMessageStats(database, numbers),
  }
}
