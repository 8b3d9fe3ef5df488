/** The master key: given, read from a file, or made on the first start and kept in the data directory. */
import { hkdfSync, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type Config, ConfigError } from '../config'
import type { Log } from '../lib/log'

const FILE = 'master.key'
const BYTES = 32

/** 32 bytes; throws `ConfigError` when a file cannot be read or holds something else. */
export function masterKey(
  config: Pick<Config, 'masterKey' | 'masterKeyFile' | 'dataDir'>,
  log: Log,
): Uint8Array {
  if (config.masterKey !== null) return decode(config.masterKey, 'MASTER_KEY')
  if (config.masterKeyFile !== null) return readKey(config.masterKeyFile, 'MASTER_KEY_FILE')
  const file = join(config.dataDir, FILE)
  if (existsSync(file)) {
    if ((statSync(file).mode & 0o077) !== 0) {
      log.warn('The master key can be read by other users of this machine', { file })
    }
    return readKey(file, 'DATA_DIR')
  }
  return makeKey(file, log)
}

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

/** The secret that signs tokens when none is configured: it follows from the master key (RFC 5869). */
export const derivedJwtSecret = (key: Uint8Array): string =>
  Buffer.from(hkdfSync('sha256', key, '', 'wabun jwt v1', BYTES)).toString('base64url')

/** The key that seals the links of uploads. */
export const derivedLinkKey = (key: Uint8Array): Uint8Array =>
  new Uint8Array(hkdfSync('sha256', key, '', 'wabun upload links v1', BYTES))
