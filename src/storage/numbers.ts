/**
 * Short numbers for session and tenant ids, and the data key of each session.
 *
 * Rows refer to sessions by number: it is small, and it is never given twice, so nothing written for a deleted session
 * can end up in another. A session's data key is random and sealed under the master key; when it is gone, so is
 * everything that was sealed with it.
 */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { asSessionId, asTenantId, type SessionId, type TenantId } from '../domain/ids'
import type { Tx } from './group-commit'
import { createSealer, deriveKey, KEY_BYTES, placeOf, type Sealer } from './seal'

export type NumberedSession = {
  id: SessionId
  number: number
  sealer: Sealer
  /** Key of the hashes by which its messages are found. */
  searchKey: Uint8Array
}

/** A write for a session that was deleted. */
export class SessionGone extends Error {
  constructor() {
    super('This session has been deleted')
    this.name = 'SessionGone'
  }
}

export interface Numbers {
  /** Null when nothing was ever stored for it, and after it was deleted. Inside a transaction, pass it on. */
  session(id: string, tx?: Tx): NumberedSession | null
  /** The number of a session, made if need be. Throws `SessionGone` for a deleted one. */
  ensureSession(tx: Tx, id: string): NumberedSession
  /** True for a session that was deleted. */
  isGone(tx: Tx, id: string): boolean
  /** Its number only, also for a deleted one: the journal tells of it still. */
  ensureSessionNumber(tx: Tx, id: string): number
  sessionId(number: number): SessionId
  /** Destroys the data key. */
  forget(tx: Tx, id: string): void
  /** The last entry of the journal that tells of a deleted session; its number is needed as long as that is there. */
  lastTold(id: string, seq: number): void
  ensureTenant(tx: Tx, id: string): number
  tenantId(number: number): TenantId
  /** The number of an account that has one. */
  tenant(id: TenantId): number | null
  /** The number stands for nobody any more. */
  forgetTenant(tx: Tx, id: TenantId): void
}

type Row = { number: number; id: string; data_key: Uint8Array | null }
type Known = { number: number; alive: NumberedSession | null }

/** Where the data key of a session is sealed for. */
export const placeOfDataKey = (id: string): string => placeOf('session_numbers', id, 'data_key')

/** Numbers over an open database; `master` wraps the data keys. */
export function createNumbers(database: Database, master: Sealer): Numbers {
  const rowById = database.prepare<Row, [string]>('SELECT * FROM session_numbers WHERE id = ?')
  const rowByNumber = database.prepare<Row, [number]>('SELECT * FROM session_numbers WHERE number = ?')
  const addRow = database.prepare<unknown, [string, Uint8Array]>(
    'INSERT INTO session_numbers (id, data_key) VALUES (?, ?)',
  )
  const dropKey = database.prepare<unknown, [string]>(
    'UPDATE session_numbers SET data_key = NULL WHERE id = ?',
  )
  const noteLast = database.prepare<unknown, [number, string]>(
    'UPDATE session_numbers SET last_told = ? WHERE id = ?',
  )
  const tenantByNumber = database.prepare<{ id: string }, [number]>(
    'SELECT id FROM tenant_numbers WHERE number = ?',
  )
  const tenantById = database.prepare<{ number: number }, [string]>(
    'SELECT number FROM tenant_numbers WHERE id = ?',
  )
  const dropTenant = database.prepare<unknown, [string]>('DELETE FROM tenant_numbers WHERE id = ?')
  const addTenant = database.prepare<unknown, [string]>('INSERT INTO tenant_numbers (id) VALUES (?)')

  const sessions = new Map<string, Known>()
  const sessionIds = new Map<number, SessionId>()
  const tenants = new Map<string, number>()
  const tenantIds = new Map<number, TenantId>()

  const made = (id: string, number: number, key: Uint8Array): Known => ({
    number,
    alive: {
      id: asSessionId(id),
      number,
      sealer: createSealer(key),
      searchKey: deriveKey(key, 'search'),
    },
  })

  const knownOf = (row: Row): Known =>
    row.data_key
      ? made(row.id, row.number, master.open(row.data_key, placeOfDataKey(row.id)))
      : { number: row.number, alive: null }

  function remember(id: string, known: Known): void {
    sessions.set(id, known)
    sessionIds.set(known.number, asSessionId(id))
  }

  /** Inside a transaction the row may still be rolled back, so it is remembered only afterwards. */
  function find(id: string, tx: Tx | null): Known | null {
    const known = sessions.get(id)
    if (known) return known
    const row = rowById.get(id)
    if (!row) return null
    const found = knownOf(row)
    if (tx) tx.afterCommit(() => remember(id, found))
    else remember(id, found)
    return found
  }

  function ensure(tx: Tx, id: string): Known {
    const found = find(id, tx)
    if (found) return found
    const key = randomBytes(KEY_BYTES)
    const { lastInsertRowid } = addRow.run(id, master.seal(key, placeOfDataKey(id)))
    const added = made(id, Number(lastInsertRowid), key)
    tx.afterCommit(() => remember(id, added))
    return added
  }

  return {
    session: (id, tx) => find(id, tx ?? null)?.alive ?? null,
    ensureSession(tx, id) {
      const { alive } = ensure(tx, id)
      if (!alive) throw new SessionGone()
      return alive
    },
    isGone: (tx, id) => find(id, tx)?.alive === null,
    ensureSessionNumber: (tx, id) => ensure(tx, id).number,
    sessionId(number) {
      const known = sessionIds.get(number)
      if (known !== undefined) return known
      const row = rowByNumber.get(number)
      return asSessionId(row?.id ?? '')
    },
    forget(tx, id) {
      const known = find(id, tx)
      if (!known) return
      dropKey.run(id)
      tx.afterCommit(() => remember(id, { number: known.number, alive: null }))
    },
    lastTold(id, seq) {
      noteLast.run(seq, id)
    },
    ensureTenant(tx, id) {
      const known = tenants.get(id) ?? tenantById.get(id)?.number
      const number = known ?? Number(addTenant.run(id).lastInsertRowid)
      if (!tenants.has(id)) {
        tx.afterCommit(() => {
          tenants.set(id, number)
          tenantIds.set(number, asTenantId(id))
        })
      }
      return number
    },
    tenantId(number) {
      const known = tenantIds.get(number)
      if (known !== undefined) return known
      return asTenantId(tenantByNumber.get(number)?.id ?? '')
    },
    tenant: (id) => tenants.get(id) ?? tenantById.get(id)?.number ?? null,
    forgetTenant(tx, id) {
      dropTenant.run(id)
      tx.afterCommit(() => {
        const number = tenants.get(id)
        tenants.delete(id)
        if (number !== undefined) tenantIds.delete(number)
      })
    },
  }
}
