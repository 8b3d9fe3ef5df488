/**
 * The one type of the vault that has its own table: plaintexts, one for each message that comes in, gone after minutes.
 *
 * Rows stand in the order in which they came, and their ids are in memory, so a write touches the last page alone.
 */
import type { Database } from 'bun:sqlite'
import type { Tx } from './group-commit'

/** The vault's type whose rows stand here. */
export const PLAINTEXT = 'plaintext'

export interface Plaintexts {
  read(session: number, id: string): Uint8Array | null
  ids(session: number): string[]
  put(session: number, id: string, value: Uint8Array): void
  drop(tx: Tx, session: number, id: string): void
  /** Removes all of a session. */
  forget(tx: Tx, session: number): void
}

/** Reads all ids. */
export function createPlaintexts(database: Database): Plaintexts {
  const read = database.prepare<{ value: Uint8Array }, [number]>(
    'SELECT value FROM plaintexts WHERE number = ?',
  )
  const put = database.prepare<unknown, [number, number, string, Uint8Array]>(
    'INSERT INTO plaintexts (number, session, id, value) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  const drop = database.prepare<unknown, [number]>('DELETE FROM plaintexts WHERE number = ?')

  /** By session and id. A row that was never written, or is gone, may still have its number here; nothing is read then. */
  const numbers = new Map<number, Map<string, number>>()
  let last = 0

  function ofSession(session: number): Map<string, number> {
    const known = numbers.get(session) ?? new Map<string, number>()
    numbers.set(session, known)
    return known
  }

  const stored = database.query<{ number: number; session: number; id: string }, []>(
    'SELECT number, session, id FROM plaintexts ORDER BY number',
  )
  for (const { number, session, id } of stored.iterate()) {
    ofSession(session).set(id, number)
    last = number
  }

  function numberOf(session: number, id: string): number {
    const known = ofSession(session)
    const before = known.get(id)
    if (before !== undefined) return before
    last += 1
    known.set(id, last)
    return last
  }

  function remove(tx: Tx, session: number, id: string): void {
    const number = numbers.get(session)?.get(id)
    if (number === undefined) return
    drop.run(number)
    tx.afterCommit(() => {
      const known = numbers.get(session)
      known?.delete(id)
      if (known?.size === 0) numbers.delete(session)
    })
  }

  return {
    read(session, id) {
      const number = numbers.get(session)?.get(id)
      return number === undefined ? null : (read.get(number)?.value ?? null)
    },
    ids: (session) => [...(numbers.get(session)?.keys() ?? [])],
    put(session, id, value) {
      put.run(numberOf(session, id), session, id, value)
    },
    drop: remove,
    forget(tx, session) {
      for (const id of [...(numbers.get(session)?.keys() ?? [])]) remove(tx, session, id)
    },
  }
}
