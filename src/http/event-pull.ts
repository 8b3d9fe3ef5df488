/** Events by request: a page after a cursor, held until there is one when asked to. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { EventEnvelope } from '../domain/events'
import type { SessionId } from '../domain/ids'
import { readEvents } from '../stream/pull'
import { answer, notes } from './docs'
import {
  admits,
  EVENT_SCOPES,
  EVENT_TAGS,
  EventParams,
  type EventRoutesParts,
  eventParameters,
  wishOf,
} from './event-query'
import type { Caller } from './guard'
import { LONGEST_WAIT } from './limits'
import { limitParameter, waitParameter } from './query'

const PullQuery = Type.Object(
  { ...eventParameters, limit: limitParameter, wait: waitParameter(0) },
  { additionalProperties: false },
)
type PullQuery = typeof PullQuery.static

const PullAnswer = answer({
  events: Type.Array(EventEnvelope),
  cursor: Type.String({ description: 'Pass it as after of the next request' }),
  hasMore: Type.Boolean(),
})

type Server = { timeout(request: Request, seconds: number): void } | null

/** Makes the routes. */
export function eventPullRoutes(parts: EventRoutesParts) {
  const { guard, gate, streams, journal, clock, watch } = parts

  async function pull(
    caller: Caller,
    query: PullQuery,
    one: SessionId | null,
    request: Request,
    server: Server,
  ) {
    const { events, sessionIds, after } = wishOf(parts, caller, query, one)
    server?.timeout(request, LONGEST_WAIT + 30)
    const revoked = new AbortController()
    const leave = watch(caller.principal, () => revoked.abort())
    const page = await readEvents(
      { journal, clock },
      {
        tenantId: caller.principal.tenantId,
        events,
        sessionIds,
        allows: admits(parts, caller),
        after,
        limit: query.limit,
        waitMs: query.wait * 1000,
        signal: AbortSignal.any([request.signal, streams.ending, revoked.signal]),
      },
    ).finally(leave)
    if (revoked.signal.aborted) throw fail('AUTH_INVALID_TOKEN', undefined, 'These credentials were revoked')
    // The very bytes of the journal: the same text on every way out.
    const body = `{"success":true,"events":[${page.events.join(',')}],"cursor":${JSON.stringify(page.cursor)},"hasMore":${page.hasMore}}`
    return new Response(body, { headers: { 'content-type': 'application/json;charset=utf-8' } })
  }

  const route = (of: string) => ({
    access: EVENT_SCOPES,
    query: PullQuery,
    detail: notes({
      summary: `Events of ${of} by request`,
      description:
        'Without after it begins at the oldest event that is kept. With wait the request is held until there is an event. Momentary events (QR codes, typing) are not among them.',
      tags: EVENT_TAGS,
      errors: ['VALIDATION_ERROR', 'INVALID_CURSOR', 'CURSOR_EXPIRED', 'SESSION_NOT_FOUND', 'IP_NOT_ALLOWED'],
      schema: PullAnswer,
    }),
  })

  return new Elysia({ normalize: false })
    .use(guard)
    .get(
      '/events',
      ({ caller, query, request, server }) => pull(caller, query, null, request, server),
      route('all sessions'),
    )
    .get(
      '/sessions/:id/events',
      ({ caller, params: { id }, query, request, server }) =>
        pull(caller, query, gate(caller, id).id, request, server),
      { ...route('one session'), params: EventParams },
    )
}
