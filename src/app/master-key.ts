/**
 * The master key: given, read from a file, or made on the first start and kept in the data directory.
 *
 * It is changed by a second key, the next one, that lies as `master.key.next` in the data directory or stands in
 * MASTER_KEY_NEXT. Whoever finds it (a start, or a running server) makes it the master key of the database in one
 * transaction, and then puts it in the place of the old one where that is ours. A crash in between leaves a database that
 * one of the two opens, and the next start goes on from there.
 */
import { randomBytes } from 'node:crypto'
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, ConfigError } from '../config'
import { AppError } from '../domain/errors'
import type { Log } from '../lib/log'
import type { Keys } from '../storage/open'

/** Name of the database in the data directory. */
export const DATABASE = 'wabun.sqlite'
const FILE = 'master.key'
const BYTES = 32

export type KeyConfig = Pick<Config, 'masterKey' | 'masterKeyFile' | 'masterKeyNext' | 'dataDir'>
export type MasterKeys = {
  key: Uint8Array
  /** Where that one stands: our own file can be replaced, the others are the operator's. */
  source: 'MASTER_KEY' | 'MASTER_KEY_FILE' | 'own file'
  /** The key to which it is being changed. */
  next: Uint8Array | null
}

/** Where the next master key lies while it waits for its turn. */
export const nextKeyFile = (dataDir: string): string => join(dataDir, `${FILE}.next`)
export const newMasterKey = (): Uint8Array => randomBytes(BYTES)

/** The keys of 32 bytes; throws `ConfigError` when a file cannot be read or holds something else. */
export function masterKeys(config: KeyConfig, log: Log): MasterKeys {
  const next = nextKey(config)
  if (config.masterKey !== null)
    return { key: decode(config.masterKey, 'MASTER_KEY'), source: 'MASTER_KEY', next }
  if (config.masterKeyFile !== null)
    return { key: readKey(config.masterKeyFile, 'MASTER_KEY_FILE'), source: 'MASTER_KEY_FILE', next }
  const file = join(config.dataDir, FILE)
  if (existsSync(file)) {
    if ((statSync(file).mode & 0o077) !== 0) {
      log.warn('The master key can be read by other users of this machine', { file })
    }
    return { key: readKey(file, 'DATA_DIR'), source: 'own file', next }
  }
  if (!existsSync(join(config.dataDir, DATABASE)))
    return { key: makeKey(file, log), source: 'own file', next }
  // A new key would open nothing, and stand there as if it did.
  if (next) return { key: next, source: 'own file', next }
  const says = `There is a database in ${config.dataDir} but no master key: put back ${file}, or give MASTER_KEY`
  throw new ConfigError([{ name: 'DATA_DIR', says }])
}

/** The key to which the master key is to be changed, or null. */
export function nextKey(config: KeyConfig): Uint8Array | null {
  if (config.masterKeyNext !== null) return decode(config.masterKeyNext, 'MASTER_KEY_NEXT')
  const file = nextKeyFile(config.dataDir)
  return existsSync(file) ? readKey(file, 'DATA_DIR') : null
}

/**
 * Makes `next` the master key of an open store, unless it is that already, and puts it where the next start finds it or
 * tells the operator to do so. Throws `STORAGE_UNAVAILABLE` when the disk does not take it; then nothing has changed.
 */
export function changeMasterKey(
  { config, given, keys, log }: { config: KeyConfig; given: MasterKeys; keys: Keys; log: Log },
  next: Uint8Array,
): void {
  if (!keys.isMaster(next)) {
    const { sessions, keys: others } = keys.rotate(next)
    log.info('The master key was changed', { sessions, keys: others })
  }
  const waiting = nextKeyFile(config.dataDir)
  if (given.source === 'own file') {
    const file = join(config.dataDir, FILE)
    if (existsSync(waiting) && same(readKey(waiting, 'DATA_DIR'), next)) {
      renameSync(waiting, file)
      syncDirectory(config.dataDir)
    } else writeKey(file, next)
    log.warn('The master key beside the database is a new one: keep a copy elsewhere', { file })
  } else if (!keys.isMaster(given.key)) {
    log.warn(`The master key was changed: put the new one into ${given.source} before the next start`)
  } else rmSync(waiting, { force: true })
}

/**
 * After the store is open: goes on with a change that was begun, and clears up after one that is done. A disk that is full
 * puts it off to another time; the old key holds until then.
 */
export function settleMasterKey(parts: Parameters<typeof changeMasterKey>[0]): void {
  const { given, log } = parts
  if (!given.next) return
  try {
    changeMasterKey(parts, given.next)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    log.error('The master key cannot be changed now', { error: String(error) })
  }
}

/** Writes a key as a whole: readers see none or all of it. */
export function writeKey(file: string, key: Uint8Array): void {
  const draft = `${file}.${randomBytes(4).toString('hex')}.draft`
  writeFileSync(draft, `${Buffer.from(key).toString('base64')}\n`, { mode: 0o600, flag: 'wx', flush: true })
  renameSync(draft, file)
  syncDirectory(dirname(file))
}

function syncDirectory(path: string): void {
  const directory = openSync(path, 'r')
  try {
    fsyncSync(directory)
  } finally {
    closeSync(directory)
  }
}

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).equals(b)

function makeKey(file: string, log: Log): Uint8Array {
  const key = randomBytes(BYTES)
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  // `wx`: a key that another process has just written must not be replaced.
  writeFileSync(file, `${key.toString('base64')}\n`, { mode: 0o600, flag: 'wx' })
  log.warn(
    'Made a new master key beside the database: keep a copy elsewhere, without it nothing can be read',
    {
      file,
    },
  )
  return key
}

function readKey(file: string, name: string): Uint8Array {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new ConfigError([{ name, says: `The key file cannot be read: ${String(error)}` }])
  }
  return decode(text.trim(), name)
}

function decode(text: string, name: string): Uint8Array {
  const key = Buffer.from(text, 'base64')
  if (key.length !== BYTES)
    throw new ConfigError([{ name, says: 'The master key must be 32 bytes in base64' }])
  return key
}
