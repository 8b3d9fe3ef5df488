/** The read side of messages: one message, a page of history, the send queue. */
import type { Database, SQLQueryBindings } from 'bun:sqlite'
import { asSessionId, isLid, shownParty } from '../domain/ids'
import type { Messages, StoredMessage } from '../domain/message'
import { createAfterlives } from './afterlife'
import { FIRST_ACTION, packId, STATUS_CODE } from './codes'
import { createMessageCounts } from './message-counts'
import { type Conditions, conditionsOf, isCounted, spanOfFilter, sumOfCounts } from './message-filter'
import { bodyOf, FLAG, MESSAGE_HEADS, MESSAGE_ROWS, type MessageRow, messageOf } from './message-rows'
import { createMessageStats } from './message-stats'
import type { NumberedSession, Numbers } from './numbers'
import type { Parties } from './parties'
import type { SearchIndex } from './search-index'
import type { Totals } from './session-totals'

const QUEUED = STATUS_CODE.queued
/** Hits that are sorted at once rather than met on a walk by time. */
const FEW = 2_000

export function createMessages(parts: {
  database: Database
  numbers: Numbers
  parties: Parties
  totals: Pick<Totals, 'of'>
  search: SearchIndex
  /** Resolves when everything stored is indexed. */
  searchable: () => Promise<void>
  now: () => number
}): Messages {
  const { database, numbers } = parts
  const countsOf = createMessageCounts(database)
  const afterlives = createAfterlives(database, parts.now)
  type Id = Uint8Array | string
  const byId = database.prepare<MessageRow, [number, Id]>(
    `${MESSAGE_ROWS} WHERE m.session = ? AND m.id = ? ORDER BY m.from_me DESC LIMIT 1`,
  )
  const queued = database.prepare<MessageRow, [number]>(
    `${MESSAGE_ROWS} WHERE m.session = ? AND m.status = ${QUEUED} ORDER BY m.number`,
  )
  const queuePage = database.prepare<MessageRow, [number, number, number]>(
    `${MESSAGE_HEADS} WHERE m.session = ? AND m.status = ${QUEUED} ORDER BY m.number LIMIT ? OFFSET ?`,
  )
  type Body = Pick<MessageRow, 'id' | 'from_me' | 'type' | 'body' | 'flags'>
  const body = database.prepare<Body, [number, Id]>(
    'SELECT id, from_me, type, body, flags FROM messages WHERE session = ? AND id = ? ORDER BY from_me DESC LIMIT 1',
  )
  const owner = database.prepare<{ id: string }, [Id, string]>(
    `SELECT s.id FROM sessions s JOIN messages m ON m.session = s.number AND m.id = ? AND m.from_me = 1
     WHERE s.tenant = ? LIMIT 1`,
  )
  const established = database.prepare<{ one: number }, [number]>(
    `SELECT 1 AS one FROM messages WHERE chat = ? AND type < ${FIRST_ACTION}
     AND status NOT IN (${QUEUED}, ${STATUS_CODE.failed}) LIMIT 1`,
  )

  function shown(session: NumberedSession, rows: readonly MessageRow[]): StoredMessage[] {
    const afterlifeOf = afterlives(session, rows)
    return rows.map((row) => named(messageOf(session.id, session.sealer, row, afterlifeOf(row))))
  }

  /** Who was named by an address alone, and whose number has become known since, is named by the number. */
  function named(message: StoredMessage): StoredMessage {
    const { sessionId, mentions, quoted } = message
    const nameOf = (shown: string) =>
      isLid(shown) ? shownParty(parts.parties.resolve(sessionId, shown)) : shown
    if (!mentions.some(isLid) && !(quoted?.from && isLid(quoted.from))) return message
    return {
      ...message,
      mentions: mentions.map(nameOf),
      quoted: quoted && { ...quoted, from: quoted.from && nameOf(quoted.from) },
    }
  }

  /**
   * `query` keeps prepared statements by their text, and there are only so many combinations of filters. Where the hits
   * are few and can be named, they are looked up one by one; otherwise the newest are met soon on a walk by time. SQLite
   * cannot know which, hence the plus signs: they keep it from using an index.
   */
  function queryOf({ where, values, among }: Conditions, few: boolean): Pick<Conditions, 'where' | 'values'> {
    if (!among || (among.implied && !few)) return { where, values }
    const rest = few ? where.replace('m.session', '+m.session') : where
    return { where: `m.number IN (${among.sql}) AND ${rest}`, values: [...among.values, ...values] }
  }

  function countRows(conditions: Conditions): number {
    const { where, values } = queryOf(conditions, true)
    const row = database
      .query<{ n: number }, SQLQueryBindings[]>(`SELECT count(*) AS n FROM messages m WHERE ${where}`)
      .get(...values)
    return row?.n ?? 0
  }

  function pageOf(
    conditions: Conditions,
    total: number,
    page: { limit: number; offset: number },
  ): MessageRow[] {
    const few = conditions.among !== null && total <= FEW
    const { where, values } = queryOf(conditions, few)
    return database
      .query<MessageRow, SQLQueryBindings[]>(
        `${MESSAGE_ROWS} WHERE ${where} ORDER BY ${few ? '+' : ''}m.timestamp DESC, m.number DESC LIMIT ? OFFSET ?`,
      )
      .all(...values, page.limit, page.offset)
  }

  return {
    get(sessionId, id) {
      const session = numbers.session(sessionId)
      const row = session && byId.get(session.number, packId(id))
      return session && row ? (shown(session, [row])[0] ?? null) : null
    },
    list(filter) {
      const session = numbers.session(filter.sessionId)
      const conditions = session && conditionsOf(session, filter, parts)
      if (!session || !conditions) return { messages: [], total: 0 }
      const total = isCounted(filter)
        ? sumOfCounts(countsOf(session.number, ...spanOfFilter(filter)), filter)
        : countRows(conditions)
      const rows = total > filter.offset ? pageOf(conditions, total, filter) : []
      return { messages: shown(session, rows), total }
    },
    searchable: parts.searchable,
    queued(sessionId) {
      const session = numbers.session(sessionId)
      return session ? shown(session, queued.all(session.number)) : []
    },
    queuePage(sessionId, { limit, offset }) {
      const session = numbers.session(sessionId)
      if (!session) return { messages: [], total: 0 }
      return {
        messages: shown(session, queuePage.all(session.number, limit, offset)),
        total: parts.totals.of(session.number).queued,
      }
    },
    sessionOf(tenantId, messageId) {
      const row = owner.get(packId(messageId), tenantId)
      return row ? asSessionId(row.id) : null
    },
    isEstablished(sessionId, chat) {
      const session = numbers.session(sessionId)
      const party = session && parts.parties.find(session.number, chat)
      return party !== null && established.get(party) !== null
    },
    queueLengths(ids) {
      return new Map(
        ids.map((id) => {
          const session = numbers.session(id)
          return [id, session ? parts.totals.of(session.number).queued : 0] as const
        }),
      )
    },
    raw(sessionId, id) {
      const session = numbers.session(sessionId)
      const row = session && body.get(session.number, packId(id))
      if (!session || !row || (row.flags & FLAG.outdated) !== 0) return null
      return bodyOf(sessionId, session.sealer, row).raw
    },
    ...createMessageStats({ database, numbers, countsOf }),
  }
}
