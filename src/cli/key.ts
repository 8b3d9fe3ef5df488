/** `wabun key rotate`: another master key, with the server running or not. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import {
  DATABASE,
  masterKeys,
  newMasterKey,
  nextKey,
  nextKeyFile,
  settleMasterKey,
  writeKey,
} from '../app/master-key'
import { type Config, ConfigError } from '../config'
import { systemClock } from '../lib/clock'
import { createLog } from '../lib/log'
import { fileHasMaster } from '../storage/keys'
import { openStorage, type Storage } from '../storage/open'
import { StorageRefused } from '../storage/refused'
import { EX_CONFIG, logFormat } from './serve'

/** Longest wait for a running server (ms). */
const WITHIN = 60_000

/** Resolves with the exit code. */
export async function rotateKey(config: Config): Promise<number> {
  const { dataDir } = config
  const file = join(dataDir, DATABASE)
  if (!existsSync(file))
    throw new ConfigError([{ name: 'DATA_DIR', says: `There is no database in ${dataDir}` }])
  const log = createLog({
    level: 'warn',
    format: logFormat(config),
    write: (line) => process.stderr.write(`${line}\n`),
    now: systemClock.now,
  })
  const waiting = nextKeyFile(dataDir)
  // One that lies there already was begun and not ended: it may be the only copy of the key of the moment.
  const begun = nextKey({ ...config, masterKeyNext: null })
  const next = nextKey(config) ?? newMasterKey()
  if (begun && !Buffer.from(begun).equals(next)) {
    const says = `${waiting} holds another key, to which a change was begun: end that one first, without MASTER_KEY_NEXT`
    throw new ConfigError([{ name: 'MASTER_KEY_NEXT', says }])
  }
  if (!begun) writeKey(waiting, next)
  const given = masterKeys({ ...config, masterKeyNext: Buffer.from(next).toString('base64') }, log)
  try {
    const storage = openHere(config, file, given.key, next, log)
    if (storage) {
      try {
        settleMasterKey({ config, given, keys: storage.keys, log })
        if (!storage.keys.isMaster(next)) return 1
      } finally {
        await storage.close()
      }
    } else if (!(await changedByServer(file, next))) {
      process.stderr.write(
        `The server that runs on ${dataDir} has not changed its master key; its log may say why. It goes on with ${waiting} at its next start.\n`,
      )
      return 1
    }
  } catch (error) {
    if (!(error instanceof StorageRefused)) throw error
    process.stderr.write(`The master key cannot be changed:\n${error.message}\n`)
    return EX_CONFIG
  }
  process.stdout.write(
    given.source === 'own file'
      ? `The master key was changed; ${join(dataDir, 'master.key')} holds the new one. Keep a copy elsewhere, and the old one as long as backups from before.\n`
      : `The master key was changed. Put the new one, which lies in ${waiting}, into ${given.source} before the next start; keep the old one as long as backups from before.\n`,
  )
  return 0
}

/** Null when a server is running on this directory. */
function openHere(
  config: Config,
  file: string,
  masterKey: Uint8Array,
  nextMasterKey: Uint8Array,
  log: Parameters<typeof openStorage>[0]['log'],
): Storage | null {
  try {
    return openStorage({ file, masterKey, nextMasterKey, clock: systemClock, sync: config.dbSync, log })
  } catch (error) {
    if (error instanceof StorageRefused && error.reason === 'in_use') return null
    throw error
  }
}

/** The database itself tells under which key it is. */
async function changedByServer(file: string, next: Uint8Array): Promise<boolean> {
  const end = systemClock.monotonic() + WITHIN
  while (!fileHasMaster(file, next)) {
    if (systemClock.monotonic() > end) return false
    await systemClock.sleep(100)
  }
  return true
}
