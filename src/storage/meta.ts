import type { Database } from 'bun:sqlite'
import { fail } from '../domain/errors'
import { storageFault } from './group-commit'

/** A few named values about the database itself. */
export interface Meta {
  get(name: string): string | null
  /** On disk when it returns, or with the transaction in which it is called. Throws `STORAGE_UNAVAILABLE`. */
  set(name: string, value: string): void
}

export function createMeta(database: Database): Meta {
  const read = database.prepare<{ value: string }, [string]>('SELECT value FROM meta WHERE name = ?')
  const write = database.prepare<unknown, [string, string]>(
    'INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value',
  )
  return {
    get: (name) => read.get(name)?.value ?? null,
    set(name, value) {
      try {
        write.run(name, value)
      } catch (error) {
        // Inside a transaction its owner judges the failure.
        throw storageFault(error) && !database.inTransaction ? fail('STORAGE_UNAVAILABLE') : error
      }
    },
  }
}
