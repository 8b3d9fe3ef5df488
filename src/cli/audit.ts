/** `wabun audit verify`: proves, with the server stopped, that nothing of the audit log was changed. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { masterKeys } from '../app/master-key'
import { type Config, ConfigError } from '../config'
import { AUDIT_PROBLEMS } from '../domain/audit'
import { systemClock } from '../lib/clock'
import { silentLog } from '../lib/log'
import { openStorage } from '../storage/open'
import { StorageRefused } from '../storage/refused'
import { printWhole } from './print'
import { EX_CONFIG } from './serve'

const KNOWN = /^([1-9]\d{0,14})\.([0-9a-f]{64})$/

/** `known`: a head that was kept elsewhere. Resolves with the exit code: 0 when all of it is as it was written. */
export async function verifyAuditLog(config: Config, known: string | null): Promise<number> {
  const file = join(config.dataDir, 'wabun.sqlite')
  const [, number, hash = ''] = known === null ? [] : (KNOWN.exec(known) ?? [])
  if (known !== null && number === undefined)
    throw new ConfigError([{ name: '--known', says: 'Give the head as it was told: <number>.<hash>' }])
  if (!existsSync(file))
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
      const verdict = await storage.audit.verify(
        number === undefined ? undefined : { number: Number(number), hash },
      )
      const { sound, entries, first, last, head, problems } = verdict
      await printWhole(
        [
          `${entries} entries, from ${first} to ${last}`,
          `head ${last}.${head}`,
          ...problems.map((problem) => `${problem.number}: ${AUDIT_PROBLEMS[problem.kind]}`),
          sound ? 'sound' : 'NOT SOUND',
          '',
        ].join('\n'),
      )
      return sound ? 0 : 1
    } finally {
      await storage.close()
    }
  } catch (error) {
    if (!(error instanceof StorageRefused)) throw error
    const advice =
      error.reason === 'in_use' ? '; a running server verifies it at GET /api/admin/audit/verify' : ''
    process.stderr.write(`The audit log cannot be read: ${error.message}${advice}\n`)
    return EX_CONFIG
  }
}
