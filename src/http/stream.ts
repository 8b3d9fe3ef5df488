/** The ways out of the journal: WebSocket for all sessions or one, and pull. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access as AccessGate } from '../access/access'
import { EventEnvelope } from '../domain/events'
import type { SessionId } from '../domain/ids'
import type { Journal } from '../domain/journal'
import type { Clock } from '../lib/clock'
import { parseWish } from '../stream/parse'
import { readEvents } from '../stream/pull'
import type { Stream, Streams } from '../stream/streams'
import type { StreamSocket } from '../stream/subscription'
import { answer, notes } from './docs'
import type { Caller, Guard, SessionGate } from './guard'
import { LONGEST_WAIT } from './limits'
import { invalid, limitParameter, waitParameter } from './query'

export type StreamRoutesParts = {
  guard: Guard
  gate: SessionGate
  streams: Streams
  journal: Journal
  clock: Clock
  access: Pick<AccessGate, 'onRevoked'>
}

const tags = ['Events']
const READS = ['sessions:read', 'messages:read'] as const

const wishParameters = {
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
const SocketQuery = Type.Object(
  {
    ...wishParameters,
    ticket: Type.Optional(
      Type.String({
        maxLength: 128,
        description: 'From POST /api/auth/ticket, for clients that cannot set headers',
      }),
    ),
  },
  { additionalProperties: false },
)
type SocketQuery = typeof SocketQuery.static

const PullQuery = Type.Object(
  { ...wishParameters, limit: limitParameter, wait: waitParameter(0) },
  { additionalProperties: false },
)
type PullQuery = typeof PullQuery.static

const PullAnswer = answer({
  events: Type.Array(EventEnvelope),
  cursor: Type.String({ description: 'Pass it as after of the next request' }),
  hasMore: Type.Boolean(),
})

/** Bun's socket below Elysia's. */
type RawSocket = {
  send(data: string): number
  close(code: number, reason: string): void
  getBufferedAmount(): number
  ping(): number
  cork<T>(sends: () => T): T
}

/** Makes the event routes. */
export function streamRoutes(parts: StreamRoutesParts) {
  const { guard, gate, streams, journal, clock } = parts
  const open = new WeakMap<object, Stream>()
  const watchEnd = credentialWatch(parts)

  function begin(raw: RawSocket, caller: Caller, sessionId: SessionId | null, query: SocketQuery): void {
    const wish = parseWish(query)
    if (!wish.ok) {
      raw.send(JSON.stringify({ type: 'error', error: wish.says, code: 'VALIDATION_ERROR' }))
      raw.close(4400, 'VALIDATION_ERROR')
      return
    }
    const stream = streams.open({
      tenantId: caller.principal.tenantId,
      sessionId,
      wish: wish.value,
      knows: (id) => isVisible(gate, caller, id),
      socket: forScopes(caller, adapted(raw)),
    })
    open.set(raw, stream)
    watchEnd(raw, caller, () => stream.end(4401))
  }

  const socketRoute = (fixed: 'one session' | 'all sessions') => ({
    access: READS,
    query: SocketQuery,
    detail: notes({
      summary: `Events of ${fixed} by WebSocket`,
      description:
        'Say what you want in the query, or in a first frame {"type":"subscribe","events":[…],"sessionIds":[…],"after":"…"}. With after the stream replays everything since that cursor and goes on live, without gap or duplicate. Frames with a field "event" are events; others are {"type":"subscribed"}, {"type":"pong"} and {"type":"error"}. Close codes: 4400 bad frame, 4401 credentials revoked or expired, 4404 unknown session, 4408 slow consumer (the reason ends with the last cursor), 4410 cursor expired, 1001 the server stops.',
      tags,
      errors: ['SESSION_NOT_FOUND', 'UPGRADE_REQUIRED'],
    }),
    error: () => JSON.stringify({ type: 'error', error: 'Internal error', code: 'INTERNAL_ERROR' }),
  })
  const frames = {
    message(ws: { raw: object }, frame: unknown) {
      // Elysia has parsed JSON frames already; binary ones are none of ours and end as a bad frame.
      open.get(ws.raw)?.message(typeof frame === 'string' ? frame : JSON.stringify(frame))
    },
    drain(ws: { raw: object }) {
      open.get(ws.raw)?.drained()
    },
    close(ws: { raw: object }) {
      open.get(ws.raw)?.stop()
      watchEnd.leave(ws.raw)
    },
  }

  const pull = async (
    caller: Caller,
    query: PullQuery,
    fixed: SessionId | null,
    request: Request,
    server: { timeout(request: Request, seconds: number): void } | null,
  ) => {
    const wish = parseWish(query)
    if (!wish.ok) throw invalid('query', [{ path: '/', message: wish.says }])
    const { events, sessionIds, after } = wish.value ?? { events: [], sessionIds: null, after: null }
    for (const id of sessionIds ?? []) gate(caller, id)
    server?.timeout(request, LONGEST_WAIT + 30)
    const page = await readEvents(
      { journal, clock },
      {
        tenantId: caller.principal.tenantId,
        events,
        sessionIds: fixed === null ? sessionIds : [fixed],
        after,
        limit: query.limit,
        waitMs: query.wait * 1000,
        signal: request.signal,
      },
    )
    // The very bytes of the journal: the same text on every way out.
    const body = `{"success":true,"events":[${page.events.join(',')}],"cursor":${JSON.stringify(page.cursor)},"hasMore":${page.hasMore}}`
    return new Response(body, { headers: { 'content-type': 'application/json;charset=utf-8' } })
  }
  const pullRoute = (of: string) => ({
    access: READS,
    query: PullQuery,
    detail: notes({
      summary: `Events of ${of} by request`,
      description:
        'Without after it begins at the oldest event that is kept. With wait the request is held until there is an event. Momentary events (QR codes, typing) are not among them.',
      tags,
      errors: ['INVALID_CURSOR', 'CURSOR_EXPIRED', 'SESSION_NOT_FOUND'],
      schema: PullAnswer,
    }),
  })
  const params = Type.Object({ id: Type.String({ description: 'Session id' }) })

  return new Elysia({ prefix: '/api', normalize: false })
    .use(guard)
    .ws('/events/ws', {
      ...socketRoute('all sessions'),
      ...frames,
      open: (ws) => begin(ws.raw as unknown as RawSocket, ws.data.caller, null, ws.data.query),
    })
    .ws('/sessions/:id/ws', {
      ...socketRoute('one session'),
      ...frames,
      params,
      beforeHandle: ({ caller, params: { id } }) => {
        gate(caller, id)
      },
      open: (ws) =>
        begin(ws.raw as unknown as RawSocket, ws.data.caller, ws.data.params.id as SessionId, ws.data.query),
    })
    .get(
      '/events',
      ({ caller, query, request, server }) => pull(caller, query, null, request, server),
      pullRoute('all sessions'),
    )
    .get(
      '/sessions/:id/events',
      ({ caller, params: { id }, query, request, server }) =>
        pull(caller, query, gate(caller, id).id, request, server),
      { ...pullRoute('one session'), params },
    )
}

/** Bun's socket as the subscription wants it. */
function adapted(raw: RawSocket): StreamSocket {
  return {
    send: (frame) => raw.send(frame),
    bufferedAmount: () => raw.getBufferedAmount(),
    close: (code, reason) => raw.close(code, reason),
    ping: () => {
      raw.ping()
    },
    cork: (sends) => {
      raw.cork(sends)
    },
  }
}

/** In the JSON text of an event; inside a string its quotes would be escaped, so nobody can write it there. */
const CODES = ['"event":"session.qr_generated"', '"event":"session.pairing_code"']

/** Codes that link a phone are for those who may also ask for them; to others they are as good as sent. */
function forScopes({ principal }: Caller, socket: StreamSocket): StreamSocket {
  if (principal.scopes.includes('sessions:write')) return socket
  const isCode = (frame: string): boolean => CODES.some((mark) => frame.includes(mark))
  return { ...socket, send: (frame) => (isCode(frame) ? frame.length : socket.send(frame)) }
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

/** Ends a stream whose credentials are taken back or run out. */
function credentialWatch({ access, clock }: Pick<StreamRoutesParts, 'access' | 'clock'>) {
  const leaving = new WeakMap<object, () => void>()
  const watch = (raw: object, { principal }: Caller, end: () => void): void => {
    const { by, tenantId } = principal
    const leave = access.onRevoked((who) => {
      const same = by.kind === 'token' ? who.jti === by.jti : who.keyId === by.keyId
      if (who.tenantId === tenantId && same) end()
    })
    const cancel = by.kind === 'token' ? clock.after(by.expiresAt - clock.now(), end) : () => undefined
    leaving.set(raw, () => {
      leave()
      cancel()
    })
  }
  return Object.assign(watch, { leave: (raw: object) => leaving.get(raw)?.() })
}
