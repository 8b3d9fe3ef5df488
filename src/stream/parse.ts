/** What a stream client may say: the query of the upgrade, and its frames. */
import { type Static, Type } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import { isEventPattern } from '../domain/events'
import { asSessionId, SESSION_ID_PATTERN, type SessionId } from '../domain/ids'

const MAX_PATTERNS = 100
const MAX_SESSIONS = 1_000

const SubscribeFrame = Type.Object(
  {
    type: Type.Literal('subscribe'),
    events: Type.Optional(Type.Array(Type.String({ maxLength: 64 }), { maxItems: MAX_PATTERNS })),
    sessionIds: Type.Optional(
      Type.Array(Type.String({ pattern: SESSION_ID_PATTERN }), { maxItems: MAX_SESSIONS }),
    ),
    after: Type.Optional(Type.Union([Type.String({ maxLength: 64 }), Type.Null()])),
  },
  { additionalProperties: false },
)
const PingFrame = Type.Object({ type: Type.Literal('ping') }, { additionalProperties: false })

/** What to send: the union of all patterns, of the sessions named (null = all that are visible). */
export type Wish = {
  /** Patterns of `domain/events.ts`; empty = all. */
  events: string[]
  sessionIds: SessionId[] | null
  /** A cursor's text; null = from now on (in a later frame: go on where the stream is). */
  after: string | null
}

export type ClientFrame = ({ type: 'subscribe' } & Wish) | { type: 'ping' }
export type Parsed<T> = { ok: true; value: T } | { ok: false; says: string }

const wrong = (says: string) => ({ ok: false, says }) as const

function wishOf(frame: Static<typeof SubscribeFrame>): Parsed<Wish> {
  const events = frame.events ?? []
  const unknown = events.find((pattern) => !isEventPattern(pattern))
  if (unknown !== undefined) return wrong(`There is no event ${JSON.stringify(unknown)}`)
  return {
    ok: true,
    value: {
      events,
      sessionIds: frame.sessionIds?.length ? frame.sessionIds.map(asSessionId) : null,
      after: frame.after || null,
    },
  }
}

/** Reads one text frame. */
export function parseFrame(text: string): Parsed<ClientFrame> {
  let frame: unknown
  try {
    frame = JSON.parse(text)
  } catch {
    return wrong('The frame is not JSON')
  }
  if (Value.Check(PingFrame, frame)) return { ok: true, value: { type: 'ping' } }
  if (!Value.Check(SubscribeFrame, frame)) {
    const first = Value.Errors(SubscribeFrame, frame).First()
    return wrong(first ? `${first.path || '/'}: ${first.message}` : 'The frame is not valid')
  }
  const wish = wishOf(frame)
  return wish.ok ? { ok: true, value: { type: 'subscribe', ...wish.value } } : wish
}

const list = (text: string | undefined): string[] =>
  (text ?? '')
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

/** Reads the query `events`, `sessionIds` (both comma separated) and `after`; null when it holds none of them. */
export function parseWish(query: {
  events?: string | undefined
  sessionIds?: string | undefined
  after?: string | undefined
}): Parsed<Wish | null> {
  const { events, sessionIds, after } = query
  if (events === undefined && sessionIds === undefined && after === undefined)
    return { ok: true, value: null }
  const frame = {
    type: 'subscribe' as const,
    events: list(events),
    sessionIds: list(sessionIds),
    after: after ?? null,
  }
  if (!Value.Check(SubscribeFrame, frame)) {
    const first = Value.Errors(SubscribeFrame, frame).First()
    return wrong(first ? `${first.path.slice(1)}: ${first.message}` : 'The query is not valid')
  }
  return wishOf(frame)
}
