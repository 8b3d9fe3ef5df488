/** Changes the master key of a running server when a next one is put into its data directory. */
import { statSync } from 'node:fs'
import { AppError } from '../domain/errors'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { Keys } from '../storage/open'
import { changeMasterKey, type KeyConfig, type MasterKeys, nextKey, nextKeyFile } from './master-key'

/** Between two looks (ms). Looking is one call to the system, and works on every file system. */
const EVERY = 1_000

/** The mark of the file as it lies there, or null. */
function markOf(file: string): string | null {
  const found = statSync(file, { throwIfNoEntry: false })
  return found ? `${found.ino}/${found.mtimeMs}` : null
}

/** Real time, whatever clock the product runs on: it is about a file, and nobody waits for it. */
export function createKeyWatch(parts: { config: KeyConfig; given: MasterKeys; keys: Keys; log: Log }): Part {
  const { config, keys, log } = parts
  const file = nextKeyFile(config.dataDir)
  let timer: Timer | null = null
  /** A file that was judged already. */
  let seen: string | null = null

  function look(): void {
    try {
      const mark = markOf(file)
      if (mark === seen) return
      const next = mark === null ? null : nextKey({ ...config, masterKeyNext: null })
      if (next && !keys.isMaster(next)) changeMasterKey(parts, next)
      seen = markOf(file)
    } catch (error) {
      log.error('The master key cannot be changed', { error: String(error) })
      // A disk that is full is asked again; a key that is none, or a row that does not open, is not.
      if (!(error instanceof AppError)) seen = markOf(file)
    }
  }

  return {
    name: 'key watch',
    start() {
      timer = setInterval(look, EVERY)
      timer.unref()
    },
    stop() {
      if (timer) clearInterval(timer)
    },
  }
}
