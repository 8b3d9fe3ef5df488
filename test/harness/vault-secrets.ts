/** Reads every private key out of a stopped service's data directory, with the names under which findings are told. */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { asSessionId } from '../../src/domain/ids'
import type { Vaults } from '../../src/domain/ownership'
import { systemClock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { openStorage } from '../../src/storage/open'
import { decodeValue } from '../../src/whatsapp/baileys/key-codec'
import type { Secret } from './secrets'

const TYPES = [
  'creds',
  'pre-key',
  'session',
  'sender-key',
  'app-state-sync-key',
  'app-state-sync-version',
  'tctoken',
]
/** Of many alike, some are enough: a leak would show any of them. */
const PER_TYPE = 40
const PRIVATE = /priv|secret|root|chain|messageKeys|keyData|seed|token|companionKey/i
const PUBLIC = /pub|remote|signature|hash|version|timestamp/i
const SHORTEST_KEY = 16

const bytesOf = (value: unknown): Buffer | null => {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (typeof value !== 'string' || !/^[A-Za-z0-9+/]{22,}={0,2}$/.test(value)) return null
  return Buffer.from(value, 'base64')
}

/** Private parts of a decoded value, by the path that leads to them. */
function privateParts(value: unknown, path: string): Secret[] {
  const bytes = bytesOf(value)
  if (bytes !== null) {
    // Sender keys are JSON in bytes; anything else in bytes is a key or a signature.
    if (path === 'sender-key') return privateParts(JSON.parse(bytes.toString('utf8')), `${path}.record`)
    const secret = PRIVATE.test(path) && !PUBLIC.test(path) && bytes.length >= SHORTEST_KEY
    return secret ? [{ name: path, bytes }] : []
  }
  if (typeof value !== 'object' || value === null) return []
  // Records of libsignal name chains and message keys by public keys; the names are no secret.
  return Object.entries(value).flatMap(([name, child]) =>
    privateParts(child, `${path}.${name.length > 40 ? '…' : name}`),
  )
}

/** Opens the directory for a moment; the service must have ended. */
export async function vaultSecrets(
  dataDir: string,
  masterKey: Uint8Array,
  sessionIds: readonly string[],
): Promise<Secret[]> {
  const file = readdirSync(dataDir).find((name) => /\.(sqlite|db)$/.test(name))
  if (file === undefined) throw new Error(`No database in ${dataDir}`)
  const storage = openStorage({
    file: join(dataDir, file),
    masterKey,
    clock: systemClock,
    sync: 'normal',
    log: silentLog,
  })
  try {
    return sessionIds.flatMap((sessionId) => keysOf(storage.vaults, sessionId))
  } finally {
    await storage.close()
  }
}

/** The same of a session that is stopped; whatever had its keys open is fenced. */
export function keysOf(vaults: Vaults, sessionId: string): Secret[] {
  const vault = vaults.open(asSessionId(sessionId))
  return TYPES.flatMap((type) =>
    [...vault.get(type, vault.ids(type).slice(0, PER_TYPE))].flatMap(([, value]) =>
      privateParts(decodeValue(value), type),
    ),
  )
}
