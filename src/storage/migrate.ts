import type { Database } from 'bun:sqlite'
import { sha256Hex } from '../lib/token'
import { MIGRATIONS } from './migrations/index'
import { StorageRefused } from './refused'

type Step = { name: string; sql: string }

/**
 * Brings the schema up to date, one transaction for each step, and records the hash of what was run.
 * Throws `StorageRefused` for a database that is newer than this program or was made by other steps.
 */
export function migrate(database: Database, now: number, steps: readonly Step[] = MIGRATIONS): void {
  database.run(
    'CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY NOT NULL, name TEXT NOT NULL, hash TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT',
  )
  const applied = database
    .query<{ number: number; name: string; hash: string }, []>(
      'SELECT number, name, hash FROM migrations ORDER BY number',
    )
    .all()
  if (applied.length > steps.length) {
    throw new StorageRefused(
      'newer_database',
      `The database was made by a newer version of this program (schema ${applied.length}, this program knows ${steps.length}); run that version, or restore a backup made before the upgrade`,
    )
  }
  for (const [index, step] of steps.entries()) {
    const hash = sha256Hex(step.sql)
    const before = applied[index]
    if (before) {
      if (before.hash === hash) continue
      throw new StorageRefused(
        'changed_migration',
        `The database was made by another build of this program (step ${before.name} differs)`,
      )
    }
    const record = database.prepare(
      'INSERT INTO migrations (number, name, hash, applied_at) VALUES (?, ?, ?, ?)',
    )
    database
      .transaction(() => {
        database.run(step.sql)
        record.run(index + 1, step.name, hash, now)
      })
      .immediate()
  }
}
