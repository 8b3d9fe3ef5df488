/**
 * Finding messages by their words although what they say is sealed.
 *
 * A word stands in the index as a hash under a key of its session, so the index tells nobody what was written; it does
 * tell how often the same unknown word occurs in one session. Messages are indexed later than they are stored, in the
 * order of their numbers up to a mark; what lies behind the mark is opened and read when somebody searches.
 */
import type { Database } from 'bun:sqlite'
import { hash } from 'node:crypto'
import { type Content, wordsOf } from '../domain/content'
import { FIRST_ACTION } from './codes'
import type { Tx } from './group-commit'
import type { StoredBody } from './message-bodies'
import { bodyOf, FLAG } from './message-rows'
import type { Meta } from './meta'
import type { NumberedSession, Numbers } from './numbers'
import { holds, soughtIn, wordsIn } from './words'

export interface SearchIndex {
  /** Indexes the next messages, in the running transaction; returns how many it has looked at. */
  advance(tx: Tx, limit: number): number
  /** Messages that are stored and not indexed, at most `limit`. */
  behind(limit: number): number
  /** A stored message says something else now, or nothing any more. */
  changed(session: NumberedSession, row: StoredBody, content: Content | null): void
  /** The numbers of what is sought, as SQL that yields them; null when nothing is. */
  find(session: NumberedSession, text: string): { sql: string; values: [match: string, more: string] } | null
  /** Before these messages go. */
  forget(messages: readonly number[]): void
  /** After they went: their numbers may be given again. */
  rewind(): void
}

const MARK = 'search_upto'
/** Hashed words kept at hand. */
const REMEMBERED = 50_000
/** Forty bits: in a session of a million words one of them meets another by chance. */
const HASH_DIGITS = 10

type Row = StoredBody & { session: number }

export function createSearchIndex(parts: { database: Database; meta: Meta; numbers: Numbers }): SearchIndex {
  const { database, meta, numbers } = parts
  const next = database.prepare<Row, [number, number]>(
    'SELECT number, session, id, from_me, type, flags, body FROM messages WHERE number > ? ORDER BY number LIMIT ?',
  )
  const tail = database.prepare<Row, [number, number]>(
    `SELECT number, session, id, from_me, type, flags, body FROM messages
     WHERE number > ? AND +session = ? AND +type < ${FIRST_ACTION}`,
  )
  const countBehind = database.prepare<{ n: number }, [number, number]>(
    'SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE number > ? LIMIT ?)',
  )
  const add = database.prepare<unknown, [number, string]>('INSERT INTO search (rowid, words) VALUES (?, ?)')
  const drop = database.prepare<unknown, [number]>('DELETE FROM search WHERE rowid = ?')
  const dropSome = database.prepare<unknown, [string, number]>(
    'DELETE FROM search WHERE rowid IN (SELECT value FROM json_each(?) WHERE value <= ?)',
  )
  const highest = database.prepare<{ number: number | null }, []>(
    'SELECT max(number) AS number FROM messages',
  )

  const mark = (): number => Number(meta.get(MARK) ?? 0)

  const remembered = new Map<string, string>()
  function tokenOf(session: NumberedSession, word: string): string {
    const name = `${session.number} ${word}`
    const known = remembered.get(name)
    if (known !== undefined) return known
    const digest = hash('sha256', Buffer.concat([session.searchKey, Buffer.from(word)]), 'hex')
    const token = Number.parseInt(digest.slice(0, HASH_DIGITS), 16).toString(32)
    if (remembered.size >= REMEMBERED) remembered.clear()
    remembered.set(name, token)
    return token
  }

  function tokensOf(session: NumberedSession, content: Content): string | null {
    const text = wordsOf(content)
    if (text === null) return null
    const tokens = new Set<string>()
    for (const word of wordsIn(text)) tokens.add(tokenOf(session, word))
    return tokens.size === 0 ? null : [...tokens].join(' ')
  }

  const isSought = (row: StoredBody): boolean =>
    row.type < FIRST_ACTION && (row.flags & FLAG.keepContent) !== 0 && row.body !== null

  return {
    advance(tx, limit) {
      const rows = next.all(mark(), limit)
      for (const row of rows) {
        const session = isSought(row) ? numbers.session(numbers.sessionId(row.session), tx) : null
        const tokens = session && tokensOf(session, bodyOf(session.id, session.sealer, row).content)
        if (tokens) add.run(row.number, tokens)
      }
      const last = rows.at(-1)
      if (last) meta.set(MARK, String(last.number))
      return rows.length
    },
    behind: (limit) => countBehind.get(mark(), limit)?.n ?? 0,
    changed(session, row, content) {
      if (row.number > mark()) return
      drop.run(row.number)
      const tokens = content && tokensOf(session, content)
      if (tokens) add.run(row.number, tokens)
    },
    find(session, text) {
      const sought = soughtIn(text)
      if (sought.length === 0) return null
      const more = tail
        .all(mark(), session.number)
        .filter((row) => {
          if (!isSought(row)) return false
          const words = wordsOf(bodyOf(session.id, session.sealer, row).content)
          return words !== null && holds(words, sought)
        })
        .map((row) => row.number)
      return {
        sql: 'SELECT rowid FROM search WHERE search MATCH ? UNION ALL SELECT value FROM json_each(?)',
        values: [sought.map((word) => tokenOf(session, word)).join(' AND '), JSON.stringify(more)],
      }
    },
    forget(messages) {
      dropSome.run(JSON.stringify(messages), mark())
    },
    rewind() {
      const last = highest.get()?.number ?? 0
      if (last < mark()) meta.set(MARK, String(last))
    },
  }
}
