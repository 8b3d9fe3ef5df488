/**
 * The one write queue of the process.
 *
 * Work queued in one turn of the event loop shares one transaction, and so one fsync: a lone writer waits for nobody, and
 * a crowd pays once. Work is synchronous, because a transaction that waits for a promise is no transaction.
 */
import type { Database, Statement } from 'bun:sqlite'
import { fail } from '../domain/errors'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'

/** What work gets beside the open transaction. */
export interface Tx {
  /** The same object for all work of one transaction. */
  readonly transaction: object
  /**
   * Runs `task` once the transaction is on disk and before its promises resolve. Work may run twice (after another
   * member of the batch has failed), so everything it does outside the database belongs in here.
   */
  afterCommit(task: () => void): void
}

export interface GroupCommit {
  /**
   * Runs `work` inside a transaction; resolves with its result when that is on disk. Rejects with `STORAGE_UNAVAILABLE`
   * when the storage fails, or with what `work` has thrown; either way nothing of it is written. `soon` goes along with the
   * next work that is due at once, in its place in the queue, or by itself after `SOON`.
   */
  run<T>(work: (tx: Tx) => T, when?: Due): Promise<T>
  /** False while the last attempt to write has failed; asks the disk again, at most once a second. */
  healthy(): boolean
  /** Writes what is queued, then refuses. */
  close(): void
}

/** `now`: with the present turn of the event loop. `soon`: nobody waits for it, so it may join somebody else's commit. */
export type Due = 'now' | 'soon'

type Job = {
  work: (tx: Tx) => unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
  result?: unknown
  error?: { thrown: unknown }
  tasks: (() => void)[]
}

/** Longest batch: keeps one transaction from holding up the event loop. */
const BATCH = 512
/** Longest that `soon` waits (ms). */
const SOON = 5
/** Milliseconds between two questions to a disk that has failed. */
const PROBE_EVERY = 1_000

/** Result codes of SQLite that blame the disk and not the statement; extended codes begin with them. */
const FAULTS = [
  'SQLITE_FULL',
  'SQLITE_IOERR',
  'SQLITE_READONLY',
  'SQLITE_CANTOPEN',
  'SQLITE_CORRUPT',
  'SQLITE_NOTADB',
  'SQLITE_BUSY',
  'SQLITE_LOCKED',
  'SQLITE_NOMEM',
  'SQLITE_PROTOCOL',
  'SQLITE_NOLFS',
  'SQLITE_PERM',
]

/** The code of a failure of the storage itself, or null for every other error. */
export function storageFault(error: unknown): string | null {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return FAULTS.some((fault) => code.startsWith(fault)) ? code : null
}

export class AsyncTransaction extends Error {
  constructor() {
    super('Work inside a transaction must be synchronous')
    this.name = 'AsyncTransaction'
  }
}

/** Makes the queue over an open database. */
export function createGroupCommit(parts: { database: Database; clock: Clock; log: Log }): GroupCommit {
  const { database, clock, log } = parts
  const statement = (sql: string): Statement<unknown, []> => database.prepare<unknown, []>(sql)
  const begin = statement('BEGIN IMMEDIATE')
  const commit = statement('COMMIT')
  const rollback = statement('ROLLBACK')
  const mark = statement('SAVEPOINT work')
  const keep = statement('RELEASE work')
  const undo = statement('ROLLBACK TO work')
  const probe = statement("INSERT OR REPLACE INTO meta (name, value) VALUES ('probe', '')")

  let queue: Job[] = []
  let scheduled = false
  /** A real timer, whatever clock the product runs on: it is about the disk, not about anybody's time. */
  let due: Timer | null = null
  let closed = false
  let fault: string | null = null
  let probedAt = Number.NEGATIVE_INFINITY

  function backOut(): void {
    // SQLite ends some transactions by itself when the disk fails.
    if (database.inTransaction) rollback.run()
  }

  function runOne(job: Job, transaction: object): void {
    job.tasks = []
    delete job.error
    job.result = job.work({ transaction, afterCommit: (task) => job.tasks.push(task) })
    if (job.result instanceof Promise) {
      job.result.catch(() => undefined)
      throw new AsyncTransaction()
    }
  }

  /** One transaction over the batch; null when it is on disk. With `apart` a failing member spoils only itself. */
  function attempt(batch: readonly Job[], apart: boolean): { thrown: unknown } | null {
    const transaction = {}
    try {
      begin.run()
      for (const job of batch) {
        if (!apart) {
          runOne(job, transaction)
          continue
        }
        mark.run()
        try {
          runOne(job, transaction)
        } catch (thrown) {
          if (storageFault(thrown)) throw thrown
          job.error = { thrown }
          undo.run()
        }
        keep.run()
      }
      commit.run()
      return null
    } catch (thrown) {
      try {
        backOut()
      } catch (error) {
        log.error('A transaction could not be rolled back', { error: String(error) })
      }
      return { thrown }
    }
  }

  function noteFault(thrown: unknown): string | null {
    const code = storageFault(thrown)
    if (code && code !== fault) log.error('The storage does not accept writes', { code })
    if (code) {
      fault = code
      probedAt = clock.monotonic()
    }
    return code
  }

  function settle(batch: readonly Job[]): void {
    let failure = attempt(batch, false)
    if (failure && batch.length > 1 && !storageFault(failure.thrown)) failure = attempt(batch, true)
    if (failure) {
      const { thrown } = failure
      const unavailable = noteFault(thrown) ? fail('STORAGE_UNAVAILABLE') : null
      for (const job of batch) job.reject(unavailable ?? thrown)
      return
    }
    if (fault) log.info('The storage accepts writes again')
    fault = null
    for (const job of batch) {
      if (job.error) continue
      for (const task of job.tasks) {
        try {
          task()
        } catch (error) {
          log.error('A task after a commit has failed', { error: String(error) })
        }
      }
    }
    for (const job of batch) {
      if (job.error) job.reject(job.error.thrown)
      else job.resolve(job.result as never)
    }
  }

  function flush(): void {
    scheduled = false
    if (due) clearTimeout(due)
    due = null
    if (queue.length === 0) return
    const batch = queue.slice(0, BATCH)
    queue = queue.slice(BATCH)
    if (queue.length > 0) schedule()
    settle(batch)
  }

  function schedule(): void {
    if (scheduled) return
    scheduled = true
    setImmediate(flush)
  }

  function scheduleSoon(): void {
    if (!scheduled) due ??= setTimeout(flush, SOON)
  }

  return {
    run(work, when = 'now') {
      if (closed) return Promise.reject(fail('STORAGE_UNAVAILABLE', undefined, 'The storage is closed'))
      return new Promise((resolve, reject) => {
        queue.push({ work, resolve, reject, tasks: [] })
        if (when === 'now') schedule()
        else scheduleSoon()
      })
    },
    healthy() {
      if (closed) return false
      if (!fault) return true
      if (clock.monotonic() - probedAt < PROBE_EVERY) return false
      try {
        probe.run()
        fault = null
        log.info('The storage accepts writes again')
      } catch (error) {
        noteFault(error)
      }
      return fault === null
    },
    close() {
      closed = true
      while (queue.length > 0) flush()
    },
  }
}
