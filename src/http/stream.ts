/** The ways out of the journal: WebSocket for all sessions or one, server-sent events, and pull. */
import { Elysia } from 'elysia'
import type { Access as AccessGate } from '../access/access'
import type { SessionId } from '../domain/ids'
import { closeReason } from '../stream/close-codes'
import { parseWish } from '../stream/parse'
import { type RawSocket, webSocketEnd } from '../stream/socket'
import type { Stream } from '../stream/streams'
import { createCredentialWatch } from './credential-watch'
import { notes } from './docs'
import { eventPullRoutes } from './event-pull'
import {
  admits,
  EVENT_SCOPES,
  EVENT_TAGS,
  EventParams,
  type EventRoutesParts,
  roomForStream,
  StreamQuery,
} from './event-query'
import { eventSourceRoutes } from './event-source'
import type { Caller, SessionGate } from './guard'
import { forScopes } from './linking-codes'

export type StreamRoutesParts = Omit<EventRoutesParts, 'watch'> & {
  access: Pick<AccessGate, 'onRevoked' | 'holds'>
}

/** Makes the event routes. */
export function streamRoutes(given: StreamRoutesParts) {
  const parts: EventRoutesParts = { ...given, watch: createCredentialWatch(given) }
  const { guard, gate, streams, watch } = parts
  const open = new WeakMap<object, { stream: Stream; leave: () => void }>()

  function begin(raw: RawSocket, caller: Caller, sessionId: SessionId | null, query: StreamQuery): void {
    const wish = parseWish(query)
    const socket = forScopes(caller, webSocketEnd(raw))
    if (!wish.ok) {
      socket.notice({ type: 'error', error: wish.says, code: 'VALIDATION_ERROR' })
      raw.close(4400, closeReason(4400))
      return
    }
    const stream = streams.open({
      tenantId: caller.principal.tenantId,
      sessionId,
      wish: wish.value,
      knows: (id) => isVisible(gate, caller, id),
      allows: admits(parts, caller),
      socket,
    })
    open.set(raw, { stream, leave: watch(caller.principal, () => stream.end(4401)) })
  }

  const socketRoute = (fixed: 'one session' | 'all sessions') => ({
    access: EVENT_SCOPES,
    query: StreamQuery,
    detail: notes({
      summary: `Events of ${fixed} by WebSocket`,
      description:
        'Say what you want in the query, or in a first frame {"type":"subscribe","events":[…],"sessionIds":[…],"after":"…"}. With after the stream replays everything since that cursor and goes on live, without gap or duplicate. Frames with a field "event" are events; others are {"type":"subscribed"}, {"type":"pong"} and {"type":"error"}. Close codes: 4400 bad frame, 4401 credentials revoked or expired, 4404 unknown session, 4408 slow consumer (the reason ends with the last cursor), 4410 cursor expired, 1008 more than 20 frames in a second, 1001 the server stops.',
      tags: EVENT_TAGS,
      errors: ['SESSION_NOT_FOUND', 'UPGRADE_REQUIRED', 'RATE_LIMIT_EXCEEDED'],
    }),
    error: () => JSON.stringify({ type: 'error', error: 'Internal error', code: 'INTERNAL_ERROR' }),
  })
  const frames = {
    message(ws: { raw: object }, frame: unknown) {
      // Elysia has parsed JSON frames already; binary ones are none of ours and end as a bad frame.
      open.get(ws.raw)?.stream.message(typeof frame === 'string' ? frame : JSON.stringify(frame))
    },
    drain(ws: { raw: object }) {
      open.get(ws.raw)?.stream.drained()
    },
    close(ws: { raw: object }) {
      open.get(ws.raw)?.stream.stop()
      open.get(ws.raw)?.leave()
    },
  }

  return new Elysia({ prefix: '/api', normalize: false })
    .use(guard)
    .ws('/events/ws', {
      ...socketRoute('all sessions'),
      ...frames,
      beforeHandle: ({ caller }) => roomForStream(parts, caller),
      open: (ws) => begin(ws.raw as unknown as RawSocket, ws.data.caller, null, ws.data.query),
    })
    .ws('/sessions/:id/ws', {
      ...socketRoute('one session'),
      ...frames,
      params: EventParams,
      beforeHandle: ({ caller, params: { id } }) => {
        gate(caller, id)
        roomForStream(parts, caller)
      },
      open: (ws) =>
        begin(ws.raw as unknown as RawSocket, ws.data.caller, ws.data.params.id as SessionId, ws.data.query),
    })
    .use(eventSourceRoutes(parts))
    .use(eventPullRoutes(parts))
}

function isVisible(gate: SessionGate, caller: Caller, id: SessionId): boolean {
  try {
    gate(caller, id)
    return true
  } catch {
    // Unknown, foreign and closed to this address look the same from outside.
    return false
  }
}
