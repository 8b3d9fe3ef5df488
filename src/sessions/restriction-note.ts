/** What WhatsApp's word on restrictions makes of a session, and what is told of it. */
import type { NewEvent } from '../domain/events'
import type { Restriction, Session } from '../domain/session'
import { isoTime } from '../lib/clock'
import { sessionEvent } from './payload'

/** The session with the restriction noted; `null` = nothing is forbidden any more. */
export function noted(session: Session, next: Restriction | null): { session: Session; events: NewEvent[] } {
  const changed: Session = { ...session, restriction: next }
  if (next === null) return { session: changed, events: [sessionEvent(session, 'session.unrestricted')] }
  const until = next.until === null ? null : isoTime(next.until)
  return {
    session: changed,
    events: [sessionEvent(session, 'session.restricted', { until, type: next.type })],
  }
}
