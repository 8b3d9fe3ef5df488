/** What may be asked of the ways out of the journal, and what all of them have in common. */
import { Type } from '@sinclair/typebox'
import { fail } from '../domain/errors'
import { concernsAccount } from '../domain/events'
import type { SessionId } from '../domain/ids'
import type { Journal } from '../domain/journal'
import type { Plans } from '../domain/plans'
import { reaches } from '../domain/principal'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { Allows } from '../stream/filter'
import { parseWish, type Wish } from '../stream/parse'
import type { Streams } from '../stream/streams'
import type { CredentialWatch } from './credential-watch'
import { type Caller, type Guard, isAdmitted, type SessionGate } from './guard'
import { invalid } from './query'

export type EventRoutesParts = {
  guard: Guard
  gate: SessionGate
  find(id: SessionId): Session | null
  streams: Streams
  journal: Journal
  clock: Clock
  watch: CredentialWatch
  plans: Plans
}

export const EVENT_TAGS = ['Events']
export const EVENT_SCOPES = ['sessions:read', 'messages:read'] as const

export const eventParameters = {
  events: Type.Optional(
    Type.String({
      maxLength: 4096,
      description: 'Comma separated names, prefixes like message.*, or *; all when missing',
      examples: ['message.*,session.connected'],
    }),
  ),
  sessionIds: Type.Optional(
    Type.String({
      maxLength: 65_536,
      description: 'Comma separated; all sessions of the account when missing',
    }),
  ),
  after: Type.Optional(Type.String({ maxLength: 64, description: 'Cursor: everything after it' })),
}

/** Of the routes that browsers open without headers. */
export const StreamQuery = Type.Object(
  {
    ...eventParameters,
    ticket: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'From POST /api/auth/ticket, for clients that cannot set headers',
      }),
    ),
  },
  { additionalProperties: false },
)
export type StreamQuery = typeof StreamQuery.static

export const EventParams = Type.Object({ id: Type.String({ description: 'Session id' }) })

/** Whether the plan has room for one more open stream. Throws `RATE_LIMIT_EXCEEDED`. */
export function roomForStream(
  { streams, plans }: Pick<EventRoutesParts, 'streams' | 'plans'>,
  { principal: { tenantId, plan } }: Caller,
): void {
  const limit = plans[plan].streams
  if (limit === null || streams.countOf(tenantId) < limit) return
  throw fail('RATE_LIMIT_EXCEEDED', { plan, limit, what: 'open streams', retryAfter: STREAM_RETRY })
}
/** When it is worth trying again to open one (s). */
const STREAM_RETRY = 10

/** The query as a wish; `one` is the session of the address. Throws `VALIDATION_ERROR` and what the gate throws. */
export function wishOf(
  { gate }: Pick<EventRoutesParts, 'gate'>,
  caller: Caller,
  query: Pick<StreamQuery, 'events' | 'sessionIds' | 'after'>,
  one: SessionId | null,
): Wish {
  const parsed = parseWish(query)
  if (!parsed.ok) throw invalid('query', [{ path: '/', message: parsed.says }])
  const wish = parsed.value ?? { events: [], sessionIds: null, after: null }
  for (const id of wish.sessionIds ?? []) {
    gate(caller, id)
    if (one !== null && id !== one) throw fail('SESSION_NOT_FOUND')
  }
  return one === null ? wish : { ...wish, sessionIds: [one] }
}

/**
 * Whether this caller may hear of an event: the list of its key and the session's whitelist hold wherever events come
 * out. It is asked for each event, since settings change; of a session that is no more, its id alone can be judged.
 */
export const admits =
  ({ find }: Pick<EventRoutesParts, 'find'>, { principal, address }: Caller) =>
  (entry: Parameters<Allows>[0]): boolean => {
    const session = find(entry.sessionId)
    const { tenantId, sessionIds } = principal
    if (!reaches(principal, { id: entry.sessionId, tenantId })) return false
    if (sessionIds !== null && concernsAccount(entry)) return false
    return session === null || isAdmitted(session, address)
  }
