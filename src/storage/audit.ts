/**
 * The audit log on disk: a chain of keyed hashes (HMAC-SHA-256) over rows that are only added.
 *
 * The key of the chain is kept sealed under the master key, so who can only write the file can neither add a row nor
 * change one and everything after it. The number and hash of the last row (head) and of the last one that retention has
 * removed (anchor) lie in `meta`, under a MAC of the same key. What stays out of sight is a file that is set back as a whole,
 * or whose end is cut off together with a head that was copied earlier: for that the head has to be kept elsewhere.
 */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import {
  AUDIT_INTERRUPTED,
  type Audit,
  type AuditEntry,
  type AuditFilter,
  type AuditRow,
  type AuditWord,
  ownEntry,
} from '../domain/audit'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { type AuditMark, createAuditMarks, ForgedMark } from './audit-marks'
import { originHash, type RawAuditRow, type RawOrigin, rowHash } from './audit-row'
import { verifyAudit } from './audit-verify'
import type { GroupCommit } from './group-commit'
import type { Meta } from './meta'

export interface StoredAudit extends Audit {
  /** Removes rows from the front as long as they are older than `before` (ms); resolves with how many. */
  prune(before: number): Promise<number>
  /** An entry about the store itself; part of the transaction in which it is called. */
  note(action: AuditWord): void
  /** Erases from where an account has acted; part of the transaction that removes the account. */
  forgetAccount(account: string): void
  /** Puts into the log what the last process has begun and not ended. */
  resume(): void
}

/** Rows that one transaction removes. */
const CHUNK = 2_000
const SALT = 16

/** Makes the log over an open database; `key` is that of the chain. */
export function createAudit(parts: {
  database: Database
  writer: GroupCommit
  meta: Meta
  key: Uint8Array
  clock: Clock
  log: Log
}): StoredAudit {
  const { database, writer, key, clock, log } = parts
  const { mark, setMark } = createAuditMarks(parts)
  const lastRow = database.prepare<{ number: number | null }, []>(
    'SELECT max(coalesce((SELECT max(number) FROM audit), 0), coalesce((SELECT max(number) FROM audit_origins), 0)) AS number',
  )
  const insert = database.prepare<unknown, (string | number | Uint8Array | null)[]>(
    `INSERT INTO audit (number, at, account, credential, action, object, session, result, count, fields, origin, hash)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  )
  const insertOrigin = database.prepare<unknown, [number, Uint8Array, string | null, string | null]>(
    'INSERT INTO audit_origins (number, salt, address, agent) VALUES (?, ?, ?, ?)',
  )
  const accountLives = database.prepare<{ id: string }, [string]>('SELECT id FROM users WHERE id = ?')
  const open = database.prepare<{ id: number }, [string]>(
    'INSERT INTO audit_open (entry) VALUES (?) RETURNING id',
  )
  const openRows = database.prepare<{ id: number; entry: string }, []>(
    'SELECT id, entry FROM audit_open ORDER BY id',
  )
  const close = database.prepare<unknown, [number]>('DELETE FROM audit_open WHERE id = ?')
  const oldest = database.prepare<{ number: number; at: number; hash: Uint8Array }, [number]>(
    'SELECT number, at, hash FROM audit ORDER BY number LIMIT ?',
  )
  const drop = database.prepare<unknown, [number]>('DELETE FROM audit WHERE number <= ?')
  const dropOrigins = database.prepare<unknown, [number]>('DELETE FROM audit_origins WHERE number <= ?')
  const forget = database.prepare<unknown, [string]>(
    'DELETE FROM audit_origins WHERE number IN (SELECT number FROM audit WHERE account = ?)',
  )

  /**
   * What the next row follows. Rows that were taken from the end leave a gap, and rows or a head that are not ours make a
   * hash that does not fit: going on must not hide them.
   */
  function end(): AuditMark {
    const last = lastRow.get()?.number ?? 0
    try {
      const head = mark('head')
      return { number: Math.max(head.number, last), hash: head.hash }
    } catch (error) {
      if (!(error instanceof ForgedMark)) throw error
      return { number: last, hash: new Uint8Array(32) }
    }
  }

  /** Inside a transaction. */
  function add(entry: AuditEntry): void {
    const before = end()
    const number = before.number + 1
    // Of an account that is gone only its id stays.
    const gone = entry.account !== null && accountLives.get(entry.account) === null
    const from: RawOrigin | null =
      gone || (entry.address === null && entry.agent === null)
        ? null
        : { salt: randomBytes(SALT), address: entry.address, agent: entry.agent }
    const row = {
      ...entry,
      number,
      fields: JSON.stringify(entry.fields),
      origin: from && originHash(key, from),
    }
    const hash = rowHash(key, before.hash, row)
    const { at, account, credential, action, object, session, result, count, fields, origin } = row
    insert.run(number, at, account, credential, action, object, session, result, count, fields, origin, hash)
    if (from) insertOrigin.run(number, from.salt, from.address, from.agent)
    setMark('head', { number, hash })
  }

  async function prune(before: number): Promise<number> {
    let last: AuditMark | null = null
    for (let sum = 0; ; ) {
      const gone = await writer.run(() => {
        const rows = oldest.all(CHUNK)
        const kept = rows.findIndex(({ at }) => at >= before)
        const old = kept === -1 ? rows : rows.slice(0, kept)
        const edge = old.at(-1)
        if (!edge) return 0
        setMark('anchor', edge)
        drop.run(edge.number)
        dropOrigins.run(edge.number)
        last = edge
        return old.length
      })
      sum += gone
      if (gone === CHUNK) continue
      const edge = last as AuditMark | null
      if (edge) await writer.run(() => add(ownEntry('audit.pruned', clock.now(), String(edge.number))))
      return sum
    }
  }

  return {
    begin(entry) {
      const begun = writer
        .run(() => open.get(JSON.stringify(entry))?.id ?? null)
        .catch((): number | null => null)
      return {
        async end(ended) {
          const id = await begun
          try {
            await writer.run(() => {
              if (id !== null) close.run(id)
              add(ended)
            })
          } catch (error) {
            if (id === null) throw error
            log.warn('An entry of the audit log stays open, and will be told as interrupted', {
              error: String(error),
            })
          }
        },
      }
    },
    append: (entry) => writer.run(() => add(entry)),
    list: (filter) => listRows(database, filter),
    verify: (known) => verifyAudit({ database, key, mark, known }),
    prune,
    note: (action) => add(ownEntry(action, clock.now())),
    forgetAccount(account) {
      forget.run(account)
    },
    resume() {
      if (openRows.all().length === 0) return
      writer
        .run(() => {
          for (const { id, entry } of openRows.all()) {
            add({ ...(JSON.parse(entry) as AuditEntry), result: AUDIT_INTERRUPTED })
            close.run(id)
          }
        })
        .catch((error) =>
          log.error('What was cut off cannot be put into the audit log', { error: String(error) }),
        )
    },
  }
}

type ListedRow = Omit<RawAuditRow, 'origin'> & { address: string | null; agent: string | null }

function listRows(database: Database, filter: AuditFilter): AuditRow[] {
  const { account, action, session, since, until, before, limit } = filter
  const conditions: [string, string | number | undefined][] = [
    ['account = ?', account],
    ['session = ?', session],
    ['substr(action, 1, length(?)) = ?', action],
    ['at >= ?', since],
    ['at <= ?', until],
    ['audit.number < ?', before],
  ]
  const given = conditions.flatMap(([sql, value]) => (value === undefined ? [] : [{ sql, value }]))
  const where = given.length === 0 ? '' : `WHERE ${given.map(({ sql }) => sql).join(' AND ')}`
  const values = given.flatMap(({ sql, value }) =>
    sql
      .split('?')
      .slice(1)
      .map(() => value),
  )
  return database
    .query<ListedRow, (string | number)[]>(
      `SELECT audit.*, address, agent FROM audit LEFT JOIN audit_origins USING (number)
       ${where} ORDER BY audit.number DESC LIMIT ?`,
    )
    .all(...values, limit)
    .map((row) => {
      const { number, at, credential, object, result, count, address, agent } = row
      return {
        number,
        at,
        account: row.account,
        credential,
        action: row.action,
        object,
        session: row.session,
        address,
        agent,
        result,
        count,
        fields: JSON.parse(row.fields) as string[],
        hash: Buffer.from(row.hash).toString('hex'),
      }
    })
}
