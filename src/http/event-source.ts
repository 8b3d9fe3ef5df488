/** Server-sent events: the stream for whoever has an `EventSource`, `curl -N`, or a proxy that passes no WebSockets. */
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import type { SessionId } from '../domain/ids'
import { checkCursor, parseCursor } from '../domain/journal'
import { serverSentEvents } from '../stream/sse'
import type { Stream } from '../stream/streams'
import { notes } from './docs'
import {
  admits,
  EVENT_SCOPES,
  EVENT_TAGS,
  EventParams,
  type EventRoutesParts,
  roomForStream,
  StreamQuery,
  wishOf,
} from './event-query'
import type { Caller } from './guard'
import { forScopes } from './linking-codes'

/** How long a client that takes nothing may keep the connection after the last words (s). */
const FAREWELL = 10

type Server = { timeout(request: Request, seconds: number): void } | null

const HEADERS = {
  'content-type': 'text/event-stream;charset=utf-8',
  'cache-control': 'no-cache, no-store, no-transform',
  // nginx would collect events otherwise.
  'x-accel-buffering': 'no',
}

/** Makes the routes. */
export function eventSourceRoutes(parts: EventRoutesParts) {
  const { guard, gate, streams, journal, watch } = parts

  function events(
    caller: Caller,
    query: StreamQuery,
    one: SessionId | null,
    request: Request,
    server: Server,
  ) {
    const asked = wishOf(parts, caller, query, one)
    // A browser that comes back opens the same address, so what it says of its own place counts for more.
    const wish = { ...asked, after: request.headers.get('last-event-id') || asked.after }
    if (wish.after !== null) {
      const check = checkCursor(journal, parseCursor(wish.after))
      if (check === 'expired') throw fail('CURSOR_EXPIRED')
      if (check === 'invalid') throw fail('INVALID_CURSOR')
    }
    if (request.method === 'HEAD') return new Response(null, { headers: HEADERS })
    roomForStream(parts, caller)
    let stream: Stream | null = null
    let leave = () => {}
    const gone = () => {
      leave()
      stream?.stop()
    }
    const { socket, body } = serverSentEvents({
      epoch: journal.epoch,
      onDrained: () => stream?.drained(),
      onEnd() {
        leave()
        server?.timeout(request, FAREWELL)
      },
      onGone: gone,
    })
    server?.timeout(request, 0)
    stream = streams.open({
      tenantId: caller.principal.tenantId,
      sessionId: one,
      wish,
      knows: () => true,
      allows: admits(parts, caller),
      socket: forScopes(caller, socket),
    })
    const opened = stream
    leave = watch(caller.principal, () => opened.end(4401))
    request.signal.addEventListener('abort', gone, { once: true })
    return new Response(body, { headers: HEADERS })
  }

  const route = (of: string) => ({
    access: EVENT_SCOPES,
    query: StreamQuery,
    detail: notes({
      summary: `Events of ${of} as server-sent events`,
      description:
        'Each event is a data line with its cursor as id, so that an EventSource which comes back goes on where it was (Last-Event-ID; it counts for more than after). Momentary events (QR codes, typing) have no id. A stream that the server ends says why in a last event named end, with the words of the WebSocket’s close codes: AUTH_REVOKED, SLOW_CONSUMER, CURSOR_EXPIRED, GOING_AWAY. A ticket is good for one connection; a browser that comes back needs a new one.',
      tags: EVENT_TAGS,
      errors: [
        'VALIDATION_ERROR',
        'INVALID_CURSOR',
        'CURSOR_EXPIRED',
        'SESSION_NOT_FOUND',
        'IP_NOT_ALLOWED',
        'RATE_LIMIT_EXCEEDED',
      ],
      content: { 'text/event-stream': 'The events, without an end' },
      headers: { 'Last-Event-ID': 'Cursor: everything after it' },
    }),
  })

  return new Elysia({ normalize: false })
    .use(guard)
    .get(
      '/events/stream',
      ({ caller, query, request, server }) => events(caller, query, null, request, server),
      route('all sessions'),
    )
    .get(
      '/sessions/:id/events/stream',
      ({ caller, params: { id }, query, request, server }) =>
        events(caller, query, gate(caller, id).id, request, server),
      { ...route('one session'), params: EventParams },
    )
}
