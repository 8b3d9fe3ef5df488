/** What commands do to the database itself, while no server runs on it. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DATABASE, masterKeys } from '../app/master-key'
import { type Config, ConfigError } from '../config'
import { systemClock } from '../lib/clock'
import { silentLog } from '../lib/log'
import { openStorage, type Storage } from '../storage/open'
import { StorageRefused } from '../storage/refused'
import { EX_CONFIG } from './serve'

export type Stopped = {
  /** A new database is made when there is none; otherwise that is a `ConfigError`. */
  makes: boolean
  /** Told when the storage refuses: `The accounts cannot be opened`. */
  refused: string
  /** Where to turn when a server runs: `a running server has /api/admin/users`. */
  running: string
}

/** Opens the storage for `work`, whose exit code it resolves with. */
export async function whileStopped(
  config: Config,
  { makes, refused, running }: Stopped,
  work: (storage: Storage) => Promise<number>,
): Promise<number> {
  const file = join(config.dataDir, DATABASE)
  if (!makes && !existsSync(file))
    throw new ConfigError([{ name: 'DATA_DIR', says: `There is no database in ${config.dataDir}` }])
  try {
    const { key, next } = masterKeys(config, silentLog)
    const storage = openStorage({
      file,
      masterKey: key,
      ...(next ? { nextMasterKey: next } : {}),
      clock: systemClock,
      sync: config.dbSync,
      log: silentLog,
    })
    try {
      return await work(storage)
    } finally {
      await storage.close()
    }
  } catch (error) {
    if (!(error instanceof StorageRefused)) throw error
    const advice = error.reason === 'in_use' ? `; ${running}` : ''
    process.stderr.write(`${refused}: ${error.message}${advice}\n`)
    return EX_CONFIG
  }
}
