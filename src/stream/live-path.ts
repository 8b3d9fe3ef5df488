/**
 * One listener on the journal for all streams: each new entry is handed to the readers of its tenant.
 *
 * What comes in one commit is handed over as one batch, which is one write to each socket. When handing over takes its
 * time (a thousand readers), as long a pause follows, in which more entries gather for the next batch: so fan-out takes
 * half of the process at most, and the more happens, the cheaper each event becomes.
 */
import type { TenantId } from '../domain/ids'
import type { Entry, Journal } from '../domain/journal'
import type { Clock } from '../lib/clock'

export type LiveListener = (entries: readonly Entry[]) => void

export interface LivePath {
  /** Entries of this tenant from now on, in order; returns how to leave. */
  join(tenantId: TenantId, listener: LiveListener): () => void
  /** The highest number that was handed out, 0 before the first. */
  last(): number
  stop(): void
}

/** Below this nobody notices, and no pause follows; none is longer than this (ms). */
const SHORTEST = 1
const LONGEST = 10

/** Starts listening at once. */
export function createLivePath(parts: {
  journal: Pick<Journal, 'onEntries'>
  clock: Pick<Clock, 'after' | 'monotonic'>
}): LivePath {
  const { journal, clock } = parts
  const tenants = new Map<TenantId, Set<LiveListener>>()
  let last = 0
  let gathered: Entry[] = []
  let quietUntil = Number.NEGATIVE_INFINITY
  let cancel: (() => void) | null = null

  function handOver(): void {
    cancel = null
    const began = clock.monotonic()
    const entries = gathered
    gathered = []
    for (const [tenantId, batch] of Map.groupBy(entries, (entry) => entry.tenantId)) {
      const listeners = tenants.get(tenantId)
      // A listener may leave while it is called; the set's own iteration allows that.
      if (listeners) for (const listener of listeners) listener(batch)
    }
    last = entries.findLast(({ seq }) => seq !== null)?.seq ?? last
    const now = clock.monotonic()
    if (now - began >= SHORTEST) quietUntil = now + Math.min(now - began, LONGEST)
  }

  const stop = journal.onEntries((entries) => {
    gathered.push(...entries)
    if (cancel) return
    const pause = quietUntil - clock.monotonic()
    if (pause > 0) cancel = clock.after(pause, handOver)
    else handOver()
  })
  return {
    join(tenantId, listener) {
      const listeners = tenants.get(tenantId) ?? new Set()
      tenants.set(tenantId, listeners)
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
        if (listeners.size === 0 && tenants.get(tenantId) === listeners) tenants.delete(tenantId)
      }
    },
    last: () => last,
    stop() {
      stop()
      cancel?.()
      cancel = null
      gathered = []
      tenants.clear()
    },
  }
}
