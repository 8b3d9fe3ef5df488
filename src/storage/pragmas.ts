import type { Database } from 'bun:sqlite'
import type { Log } from '../lib/log'
import { StorageRefused } from './refused'

/** `full`: a commit survives a power cut. `normal`: it survives a crash of the process, and costs no fsync. */
export type Sync = 'full' | 'normal'

/** Sets how SQLite works and reads every setting back: a pragma that SQLite does not take fails silently. */
export function applyPragmas(database: Database, sync: Sync, log: Log): void {
  const read = (name: string): unknown => {
    const row = database.query<Record<string, unknown>, []>(`PRAGMA ${name}`).get()
    return row ? Object.values(row)[0] : undefined
  }
  database.run('PRAGMA journal_mode = WAL')
  // Some network file systems have no shared memory; SQLite then keeps a rollback journal, which is slower but as safe.
  if (read('journal_mode') !== 'wal') log.warn('This file system does not allow a write-ahead log')
  const wanted: [name: string, value: string, readsAs: unknown][] = [
    ['synchronous', sync.toUpperCase(), sync === 'full' ? 2 : 1],
    ['foreign_keys', 'ON', 1],
    ['busy_timeout', '5000', 5_000],
    ['secure_delete', 'ON', 1],
    ['temp_store', 'MEMORY', 2],
    ['cache_size', '-16000', -16_000],
    // A small log is soon written over in place, which syncs about twice as fast as letting it grow.
    ['wal_autocheckpoint', '1000', 1_000],
    ['journal_size_limit', '67108864', 67_108_864],
    ['trusted_schema', 'OFF', 0],
  ]
  for (const [name, value, readsAs] of wanted) {
    database.run(`PRAGMA ${name} = ${value}`)
    const got = read(name)
    if (got !== readsAs) {
      throw new StorageRefused('unusable', `SQLite does not take ${name} = ${value} (it says ${String(got)})`)
    }
  }
}
