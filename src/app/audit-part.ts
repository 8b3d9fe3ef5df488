/** Puts start and end of the server into the audit log. */
import { type Audit, type AuditWord, ownEntry } from '../domain/audit'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'

/** Stops after all that still write entries; `flush` writes what they have only counted. */
export function createAuditPart(parts: {
  audit: Pick<Audit, 'append'>
  flush(): void
  version: string
  clock: Clock
  log: Log
}): Part {
  const { audit, flush, version, clock, log } = parts
  /** A disk that is full keeps nobody from starting or ending. */
  async function note(action: AuditWord): Promise<void> {
    try {
      await audit.append(ownEntry(action, clock.now(), version))
    } catch (error) {
      log.error('The audit log cannot be written', { action, error: String(error) })
    }
  }
  let started = false
  return {
    name: 'audit',
    async start() {
      started = true
      await note('server.started')
    },
    async stop() {
      flush()
      if (started) await note('server.stopped')
      started = false
    },
  }
}
