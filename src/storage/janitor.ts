/** Removes what has had its time, a little at once, so that nobody waits for it. */
import type { Database } from 'bun:sqlite'
import { IDEMPOTENCY_KEPT } from '../domain/idempotency'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { StoredAudit } from './audit'
import type { GroupCommit } from './group-commit'
import type { StoredJournal } from './journal'

export interface Janitor extends Part {
  /** One round; resolves with the number of rows that went. */
  sweep(): Promise<number>
}

const HOUR = 3_600_000
/** How long finished deliveries stay listed (ms); dead ones stay as long as their event. */
const DONE_KEPT = 7 * 24 * HOUR
/** Rows that one transaction removes. */
const CHUNK = 2_000

export function createJanitor(parts: {
  database: Database
  writer: GroupCommit
  journal: StoredJournal
  webhooks: Pick<Webhooks, 'position'>
  /** Files that have had their time, and what crashes have left of others. */
  media: { sweep(now: number): Promise<number>; tidy(): Promise<number> }
  audit: Pick<StoredAudit, 'prune'>
  clock: Clock
  log: Log
  /** Age at which events go (ms). */
  eventsKept: number
  /** Age at which entries of the audit log go (ms). */
  auditKept: number
}): Janitor {
  const { database, writer, journal, webhooks, media, audit, clock, log, eventsKept, auditKept } = parts
  const oldIdempotency = database.prepare<unknown, [number, number]>(
    'DELETE FROM idempotency WHERE created_at < ? LIMIT ?',
  )
  const oldTokens = database.prepare<unknown, [number, number]>(
    'DELETE FROM revoked_tokens WHERE expires_at < ? LIMIT ?',
  )
  const oldDone = database.prepare<unknown, [number, number]>(
    "DELETE FROM deliveries WHERE finished_at < ? AND state = 'done' LIMIT ?",
  )
  const orphans = database.prepare<unknown, [number, number]>(
    "DELETE FROM deliveries WHERE seq <= ? AND state IN ('done', 'dead') LIMIT ?",
  )
  const oldestOpen = database.prepare<{ seq: number | null }, []>(
    `SELECT min(seq) AS seq FROM (SELECT min(seq) AS seq FROM deliveries WHERE state = 'open'
       UNION ALL SELECT min(seq) FROM deliveries WHERE state = 'aside')`,
  )
  const tooLate = database.prepare<unknown, [number, number]>(
    `DELETE FROM deliveries WHERE state IN ('open', 'aside') AND created_at < ?
       AND endpoint IN (SELECT number FROM endpoints WHERE is_active = 0) LIMIT ?`,
  )
  const unusedNumbers = database.prepare<unknown, [number, number]>(
    `DELETE FROM session_numbers WHERE data_key IS NULL AND coalesce(last_told, 0) <= ?
     AND number NOT IN (SELECT session FROM deliveries) LIMIT ?`,
  )

  /** Repeats a step in transactions of their own until it leaves less than a chunk. */
  async function drain(step: (limit: number) => number): Promise<number> {
    for (let sum = 0; ; ) {
      const gone = await writer.run(() => step(CHUNK))
      sum += gone
      if (gone < CHUNK) return sum
    }
  }

  async function pruneJournal(now: number): Promise<number> {
    for (let sum = 0; ; ) {
      const gone = await writer.run((tx) => {
        // An event that still has to be delivered is needed whatever its age.
        const open = oldestOpen.get()?.seq ?? Number.MAX_SAFE_INTEGER
        return journal.prune(tx, Math.min(webhooks.position(), open - 1), now - eventsKept, CHUNK)
      })
      sum += gone
      if (gone < CHUNK) return sum
    }
  }

  async function sweep(): Promise<number> {
    const now = clock.now()
    let gone = await drain((limit) => oldIdempotency.run(now - IDEMPOTENCY_KEPT, limit).changes)
    gone += await drain((limit) => oldTokens.run(now, limit).changes)
    gone += await drain((limit) => oldDone.run(now - DONE_KEPT, limit).changes)
    // What waits for an endpoint that is switched off waits no longer than events are kept.
    gone += await drain((limit) => tooLate.run(now - eventsKept, limit).changes)
    gone += await pruneJournal(now)
    gone += await drain((limit) => orphans.run(journal.floor(), limit).changes)
    gone += await media.sweep(now)
    gone += await audit.prune(now - auditKept)
    gone += await drain((limit) => unusedNumbers.run(journal.floor(), limit).changes)
    return gone
  }

  let stopped = false
  let cancel: (() => void) | null = null
  let round: Promise<void> = Promise.resolve()

  function again(): void {
    if (stopped) return
    cancel = clock.after(HOUR, () => {
      round = sweep().then(
        (gone) => {
          if (gone > 0) log.debug('Old rows were removed', { rows: gone })
          again()
        },
        (error) => {
          log.error('Old rows cannot be removed', { error: String(error) })
          again()
        },
      )
    })
  }

  return {
    name: 'janitor',
    sweep,
    start() {
      round = media.tidy().then(again, (error) => {
        log.error('What crashes have left cannot be removed', { error: String(error) })
        again()
      })
    },
    async stop() {
      stopped = true
      cancel?.()
      await round
    },
  }
}
