/** `wabun audit verify`: proves, with the server stopped, that nothing of the audit log was changed. */
import { type Config, ConfigError } from '../config'
import { AUDIT_PROBLEMS } from '../domain/audit'
import { printWhole } from './print'
import { whileStopped } from './stopped'

const KNOWN = /^([1-9]\d{0,14})\.([0-9a-f]{64})$/
const STOPPED = {
  makes: false,
  refused: 'The audit log cannot be read',
  running: 'a running server verifies it at GET /api/admin/audit/verify',
}

/** `known`: a head that was kept elsewhere. Resolves with the exit code: 0 when all of it is as it was written. */
export async function verifyAuditLog(config: Config, known: string | null): Promise<number> {
  const [, number, hash = ''] = known === null ? [] : (KNOWN.exec(known) ?? [])
  if (known !== null && number === undefined)
    throw new ConfigError([{ name: '--known', says: 'Give the head as it was told: <number>.<hash>' }])
  return await whileStopped(config, STOPPED, async (storage) => {
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
  })
}
