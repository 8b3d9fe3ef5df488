/** Which entries a reader gets. */
import { eventFilter } from '../domain/events'
import type { SessionId, TenantId } from '../domain/ids'
import type { Entry } from '../domain/journal'

export type Selection = {
  tenantId: TenantId
  /** Null = all sessions of the tenant. */
  sessionIds: readonly SessionId[] | null
  /** Patterns; empty = all. */
  events: readonly string[]
}

/** Makes the test for a selection. */
export function entryFilter(selection: Selection): (entry: Entry) => boolean {
  const sessions = selection.sessionIds === null ? null : new Set<string>(selection.sessionIds)
  const wanted = eventFilter(selection.events)
  return (entry) =>
    entry.tenantId === selection.tenantId &&
    (sessions === null || sessions.has(entry.sessionId)) &&
    wanted(entry.event)
}
