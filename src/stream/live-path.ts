/** One listener on the journal for all streams: each new entry is handed to the readers of its tenant. */
import type { TenantId } from '../domain/ids'
import type { Entry, Journal } from '../domain/journal'

export type LiveListener = (entry: Entry) => void

export interface LivePath {
  /** Entries of this tenant from now on, in order; returns how to leave. */
  join(tenantId: TenantId, listener: LiveListener): () => void
  /** The highest number that was handed out, 0 before the first. */
  last(): number
  stop(): void
}

/** Starts listening at once. */
export function createLivePath(journal: Pick<Journal, 'onEntries'>): LivePath {
  const tenants = new Map<TenantId, Set<LiveListener>>()
  let last = 0
  const stop = journal.onEntries((entries) => {
    for (const entry of entries) {
      const listeners = tenants.get(entry.tenantId)
      // A listener may leave while it is called; the set's own iteration allows that.
      if (listeners) for (const listener of listeners) listener(entry)
      last = entry.seq ?? last
    }
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
      tenants.clear()
    },
  }
}
