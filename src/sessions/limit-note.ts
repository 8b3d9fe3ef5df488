/** Tells an account that it was refused a session because of its plan. */
import type { Ledger } from '../domain/changes'
import type { TenantId } from '../domain/ids'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { sessionEvent } from './payload'

/** Told once in so long (ms), however often it is tried. */
const AT_MOST_EVERY = 60_000

/**
 * Makes the note. A session that was refused does not exist, so the event is told by the newest one of the account; an
 * account without any has nobody to tell.
 */
export function createLimitNote({ ledger, clock, log }: { ledger: Ledger; clock: Clock; log: Log }) {
  const told = new Map<TenantId, number>()
  return async (
    tenantId: TenantId,
    sessions: readonly Session[],
    fields: Record<string, unknown>,
  ): Promise<void> => {
    const newest = [...sessions].sort((a, b) => b.createdAt - a.createdAt)[0]
    const last = told.get(tenantId)
    const now = clock.monotonic()
    if (!newest || (last !== undefined && now - last < AT_MOST_EVERY)) return
    told.set(tenantId, now)
    try {
      const events = [sessionEvent(newest, 'session.limit_reached', fields)]
      await ledger.commit([{ change: { kind: 'told' }, events }])
    } catch (error) {
      // The refusal itself is what counts.
      log.warn('A session limit could not be told', { error: String(error) })
    }
  }
}
