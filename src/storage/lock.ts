import { Database } from 'bun:sqlite'
import { storageFault } from './group-commit'
import { StorageRefused } from './refused'

/**
 * Makes this process the only one on a data directory; returns how to let go.
 *
 * The lock is SQLite's exclusive lock on a small database of its own. The kernel drops it with the process, however that
 * ends, so there is nothing to clean up after a crash. Two owners of one set of Signal keys would destroy both.
 */
export function takeInstanceLock(file: string): () => void {
  const lock = new Database(file, { create: true })
  try {
    lock.run('PRAGMA busy_timeout = 0')
    lock.run('BEGIN EXCLUSIVE')
  } catch (error) {
    lock.close()
    if (storageFault(error)?.startsWith('SQLITE_BUSY')) {
      throw new StorageRefused(
        'in_use',
        `Another process is already running on this data directory (${file})`,
      )
    }
    throw error
  }
  return () => {
    lock.run('ROLLBACK')
    lock.close()
  }
}
