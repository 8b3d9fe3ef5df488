/** Which entries a reader gets. */
import { eventFilter } from '../domain/events'
import type { SessionId, TenantId } from '../domain/ids'
import type { Entry } from '../domain/journal'

export type Allows = (entry: Pick<Entry, 'sessionId' | 'event' | 'json'>) => boolean

export type Selection = {
  tenantId: TenantId
  /** Null = all sessions of the tenant. */
  sessionIds: readonly SessionId[] | null
  /** Patterns; empty = all. */
  events: readonly string[]
  /** Whether the reader may see an event just now; all of them unless given. */
  allows?: Allows
}

/** Makes the test for a selection. */
export function entryFilter(selection: Selection): (entry: Entry) => boolean {
  const sessions = selection.sessionIds === null ? null : new Set<string>(selection.sessionIds)
  const wanted = eventFilter(selection.events)
  const { allows } = selection
  return (entry) =>
    entry.tenantId === selection.tenantId &&
    (sessions === null || sessions.has(entry.sessionId)) &&
    wanted(entry.event) &&
    (allows === undefined || allows(entry))
}
