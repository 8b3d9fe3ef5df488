/**
 * The sandbox's memory: scoped keys and bytes, in a SQLite file or nowhere. A write is on disk (in the
 * operating system's hands) when the call returns, so that killing the process loses nothing it has promised.
 */
import { Database } from 'bun:sqlite'

export interface SandboxState {
  get(scope: string, key: string): Buffer | null
  /** All entries of a scope, ordered by key. */
  entries(scope: string): { key: string; value: Buffer }[]
  /** Writes all of it or nothing; `null` deletes. */
  write(scope: string, changes: ReadonlyMap<string, Uint8Array | null>): void
  /** Forgets a whole scope. */
  drop(scope: string): void
  /** Whether what is written outlives the process. */
  readonly durable: boolean
  close(): void
}

/** Opens the state in `file` (created when missing); without a file everything is forgotten with the process. */
export const openState = (file?: string): SandboxState =>
  file === undefined ? createMemoryState() : openFileState(file)

function openFileState(file: string): SandboxState {
  const database = new Database(file, { create: true, strict: true })
  // A killed process loses nothing with NORMAL; only a power cut could, and this is a toy world.
  database.run('PRAGMA journal_mode = WAL')
  database.run('PRAGMA synchronous = NORMAL')
  database.run('PRAGMA busy_timeout = 5000')
  database.run(
    `CREATE TABLE IF NOT EXISTS entry
       (scope TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (scope, key)) WITHOUT ROWID`,
  )
  const one = database.query<{ value: Uint8Array }, [string, string]>(
    'SELECT value FROM entry WHERE scope = ? AND key = ?',
  )
  const all = database.query<{ key: string; value: Uint8Array }, [string]>(
    'SELECT key, value FROM entry WHERE scope = ? ORDER BY key',
  )
  const put = database.query('INSERT OR REPLACE INTO entry (scope, key, value) VALUES (?, ?, ?)')
  const remove = database.query('DELETE FROM entry WHERE scope = ? AND key = ?')
  const removeAll = database.query('DELETE FROM entry WHERE scope = ?')
  const write = database.transaction((scope: string, changes: ReadonlyMap<string, Uint8Array | null>) => {
    for (const [key, value] of changes) {
      if (value === null) remove.run(scope, key)
      else put.run(scope, key, value)
    }
  })
  return {
    durable: true,
    get(scope, key) {
      const row = one.get(scope, key)
      return row ? Buffer.from(row.value) : null
    },
    entries: (scope) => all.all(scope).map(({ key, value }) => ({ key, value: Buffer.from(value) })),
    write(scope, changes) {
      if (changes.size > 0) write.immediate(scope, changes)
    },
    drop(scope) {
      removeAll.run(scope)
    },
    close: () => database.close(),
  }
}

function createMemoryState(): SandboxState {
  const scopes = new Map<string, Map<string, Buffer>>()
  return {
    durable: false,
    get: (scope, key) => scopes.get(scope)?.get(key) ?? null,
    entries: (scope) =>
      [...(scopes.get(scope) ?? [])]
        .map(([key, value]) => ({ key, value }))
        .sort((a, b) => (a.key < b.key ? -1 : 1)),
    write(scope, changes) {
      let known = scopes.get(scope)
      if (!known) {
        known = new Map()
        scopes.set(scope, known)
      }
      for (const [key, value] of changes) {
        if (value === null) known.delete(key)
        else known.set(key, Buffer.from(value))
      }
    },
    drop(scope) {
      scopes.delete(scope)
    },
    close() {},
  }
}
