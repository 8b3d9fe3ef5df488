/**
 * Who is who: one row for everything that has an address in a session.
 *
 * Messages refer to these rows and not to addresses. When WhatsApp tells that a phone number and a LID are one person,
 * one row learns the other address; only when both had rows already do messages move.
 */
import type { Database } from 'bun:sqlite'
import { asJid, isLid, type Jid, type Party, phoneJid, phoneOf, withoutDevice } from '../domain/ids'
import type { Identities } from '../domain/message'
import type { Tx } from './group-commit'
import type { Numbers } from './numbers'

export type PartyRow = { lid: string | null; phone: string | null; jid: string | null }

/** The address under which a chat is known: LID before phone number. */
export const chatOf = (row: PartyRow): Jid =>
  asJid(row.lid ?? (row.phone === null ? (row.jid ?? 'unknown') : phoneJid(row.phone)))

/** Both names of a person; both null for groups and channels. */
export const partyOfRow = (row: PartyRow): Party => ({
  lid: row.lid === null ? null : asJid(row.lid),
  phoneNumber: row.phone,
})

export interface Parties extends Identities {
  /** The row of an address, made if need be. */
  ensure(tx: Tx, session: number, jid: string): number
  /** The row of a person of whom one or both addresses are given; two addresses are learned as a pair. */
  ensureParty(tx: Tx, session: number, party: Party): number | null
  /** Joins both addresses of a person; false when that was known. */
  learn(tx: Tx, session: number, lid: string, phoneNumber: string): boolean
  /** The row meant by digits, a LID, or any other address; null when nothing is stored under it. */
  find(session: number, text: string): number | null
  forget(tx: Tx, session: number): void
}

/** Rows kept in memory for `resolve`. */
const CACHE = 20_000
const NOBODY: Party = { lid: null, phoneNumber: null }

type Row = PartyRow & { number: number }

export function createParties(
  database: Database,
  numbers: Numbers,
  /** The row `from` has become part of `to`; messages have moved already. */
  onJoined: (tx: Tx, session: number, from: number, to: number) => void,
): Parties {
  const select = (column: string) =>
    database.prepare<Row, [number, string]>(
      `SELECT number, lid, phone, jid FROM parties WHERE session = ? AND ${column} = ?`,
    )
  const byLid = select('lid')
  const byPhone = select('phone')
  const byJid = select('jid')
  const add = (column: string) =>
    database.prepare<unknown, [number, string]>(`INSERT INTO parties (session, ${column}) VALUES (?, ?)`)
  const addLid = add('lid')
  const addPhone = add('phone')
  const addJid = add('jid')
  const addPair = database.prepare<unknown, [number, string, string]>(
    'INSERT INTO parties (session, lid, phone) VALUES (?, ?, ?)',
  )
  const setLid = database.prepare<unknown, [string, number]>('UPDATE parties SET lid = ? WHERE number = ?')
  const setPhone = database.prepare<unknown, [string | null, number]>(
    'UPDATE parties SET phone = ? WHERE number = ?',
  )
  const moveChat = database.prepare<unknown, [number, number]>(
    'UPDATE messages SET chat = ? WHERE chat = ? AND type < 64',
  )
  const moveActions = database.prepare<unknown, [number, number]>(
    'UPDATE messages SET chat = ? WHERE chat = ? AND type >= 64',
  )
  // Whoever has written their own chat stands in no row as its sender.
  const moveSender = database.prepare<unknown, [number, number]>(
    'UPDATE messages SET sender = CASE WHEN chat = ?1 THEN NULL ELSE ?1 END WHERE sender = ?2',
  )
  const drop = database.prepare<unknown, [number]>('DELETE FROM parties WHERE number = ?')
  const dropAll = database.prepare<unknown, [number]>('DELETE FROM parties WHERE session = ?')

  /** Keyed by session number and address; emptied when full. */
  const cache = new Map<string, Party>()
  const keyOf = (session: number, jid: string): string => `${session}/${jid}`

  function rowOf(session: number, jid: string): Row | null {
    const phone = phoneOf(jid)
    if (phone !== null) return byPhone.get(session, phone)
    return isLid(jid) ? byLid.get(session, jid) : byJid.get(session, jid)
  }

  const made = (result: { lastInsertRowid: number | bigint }): number => Number(result.lastInsertRowid)

  function ensure(session: number, jid: string): number {
    const found = rowOf(session, jid)
    if (found) return found.number
    const phone = phoneOf(jid)
    if (phone !== null) return made(addPhone.run(session, phone))
    return made(isLid(jid) ? addLid.run(session, jid) : addJid.run(session, jid))
  }

  function learn(tx: Tx, session: number, lid: string, phone: string): { number: number; news: boolean } {
    const anchor = byLid.get(session, lid)
    const other = byPhone.get(session, phone)
    if (anchor && anchor.phone === phone) return { number: anchor.number, news: false }
    tx.afterCommit(() => {
      cache.delete(keyOf(session, lid))
      cache.delete(keyOf(session, phoneJid(phone)))
      if (anchor?.phone) cache.delete(keyOf(session, phoneJid(anchor.phone)))
      if (other?.lid) cache.delete(keyOf(session, other.lid))
    })
    if (!anchor) {
      if (!other) return { number: made(addPair.run(session, lid, phone)), news: true }
      if (other.lid === null) {
        setLid.run(lid, other.number)
        return { number: other.number, news: true }
      }
      // The number has moved to another account: its old LID keeps its chats, but no longer this number.
      setPhone.run(null, other.number)
      return { number: made(addPair.run(session, lid, phone)), news: true }
    }
    let joined: number | null = null
    if (other && other.lid === null) {
      moveChat.run(anchor.number, other.number)
      moveActions.run(anchor.number, other.number)
      moveSender.run(anchor.number, other.number)
      drop.run(other.number)
      joined = other.number
    } else if (other) {
      setPhone.run(null, other.number)
    }
    setPhone.run(phone, anchor.number)
    if (joined !== null) onJoined(tx, session, joined, anchor.number)
    return { number: anchor.number, news: true }
  }

  return {
    resolve(sessionId, address) {
      const session = numbers.session(sessionId)
      const jid = withoutDevice(address)
      const phone = phoneOf(jid)
      if (phone === null && !isLid(jid)) return NOBODY
      const itself: Party = { lid: phone === null ? jid : null, phoneNumber: phone }
      if (!session) return itself
      const key = keyOf(session.number, jid)
      const cached = cache.get(key)
      if (cached) return cached
      const row = rowOf(session.number, jid)
      const party = row ? partyOfRow(row) : itself
      if (cache.size >= CACHE) cache.clear()
      cache.set(key, party)
      return party
    },
    ensure: (_, session, jid) => ensure(session, withoutDevice(jid)),
    ensureParty(tx, session, party) {
      if (party.lid !== null && party.phoneNumber !== null) {
        return learn(tx, session, party.lid, party.phoneNumber).number
      }
      if (party.lid !== null) return ensure(session, party.lid)
      return party.phoneNumber === null ? null : ensure(session, phoneJid(party.phoneNumber))
    },
    learn: (tx, session, lid, phoneNumber) => learn(tx, session, withoutDevice(lid), phoneNumber).news,
    find(session, text) {
      const jid = text.includes('@') ? withoutDevice(text) : phoneJid(text.replace(/^\+/, ''))
      return rowOf(session, jid)?.number ?? null
    },
    forget(tx, session) {
      dropAll.run(session)
      tx.afterCommit(() => {
        for (const key of cache.keys()) if (key.startsWith(`${session}/`)) cache.delete(key)
      })
    },
  }
}
