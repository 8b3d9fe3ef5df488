/** What an update makes of a session: given values replace, all others stay; the connection goes on. */
import type { NewEvent } from '../domain/events'
import type { Session, SessionSettings } from '../domain/session'
import { sessionEvent } from './payload'
import type { SessionUpdate } from './supervisor'

const differs = (a: unknown, b: unknown) => JSON.stringify(a) !== JSON.stringify(b)

/** The session after the update with the event that names what changed (never the values); null when nothing did. */
export function edited(
  session: Session,
  input: SessionUpdate,
  now: number,
): { session: Session; events: NewEvent[] } | null {
  const changed: string[] = []
  if (input.name !== undefined && input.name !== session.name) changed.push('name')
  if (input.description !== undefined && input.description !== session.description)
    changed.push('description')
  const given = input.settings ?? {}
  for (const key of Object.keys(given) as (keyof SessionSettings)[])
    if (given[key] !== undefined && differs(given[key], session.settings[key]))
      changed.push(`settings.${key}`)
  if (changed.length === 0) return null
  const settings = { ...session.settings, ...given }
  const { state } = session
  return {
    session: {
      ...session,
      name: input.name ?? session.name,
      description: input.description === undefined ? session.description : input.description,
      settings,
      // Who switches reconnecting off does not want the attempt that is already planned.
      state: state.status === 'disconnected' && !settings.autoReconnect ? { ...state, retryAt: null } : state,
      updatedAt: now,
    },
    events: [sessionEvent(session, 'session.settings_updated', { changed })],
  }
}
