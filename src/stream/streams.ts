/**
 * All open streams: the protocol on each, and the end of them all.
 *
 * A client says what it wants in the query or in its first frame. Without a query the stream waits a moment for that
 * frame and then sends everything since the upgrade, so that a client that says nothing works as well.
 *
 * On a WebSocket each notice is a frame: `{type:"subscribed", cursor}` after each subscription, `{type:"pong"}`, and
 * `{type:"error", error, code}` before a close for a bad frame; every other frame is the flat JSON of one event, and
 * only those have a field `event`. How it looks as server-sent events, `sse.ts` says.
 */
import type { ErrorCode } from '../domain/errors'
import type { SessionId, TenantId } from '../domain/ids'
import { checkCursor, formatCursor, type Journal, parseCursor } from '../domain/journal'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { CloseCode } from './close-codes'
import type { Allows } from './filter'
import { createLivePath, type LivePath } from './live-path'
import { parseFrame, type Wish } from './parse'
import { createSubscription, type StreamSocket, type Subscription } from './subscription'
import { createTurns, type Turns } from './turns'

/** Frames that a client may say in a second; there is little that it can want to say. */
const FRAMES_A_SECOND = 20
/** How long a stream without a query waits for its first frame (ms). */
const FIRST_FRAME = 500

export type StreamRequest = {
  tenantId: TenantId
  /** The one session of the address, null for all of the tenant's. */
  sessionId: SessionId | null
  /** The parsed query; null when it was empty. */
  wish: Wish | null
  /** Whether a session exists and the caller may see it. */
  knows(sessionId: SessionId): boolean
  /** Whether the caller may see an event just now; all of them unless given. */
  allows?: Allows
  socket: StreamSocket
}

/** What the transport tells an open stream. */
export interface Stream {
  /** A text frame of the client. */
  message(text: string): void
  /** The socket's buffer has shrunk. */
  drained(): void
  /** Closes with a code of `close-codes.ts`. */
  end(code: CloseCode, detail?: string): void
  /** The socket is gone. */
  stop(): void
}

export interface Streams extends Part {
  open(request: StreamRequest): Stream
  readonly count: number
  /** How many of them an account has. */
  countOf(tenantId: TenantId): number
  /** Aborted when the server stops: who waits for events need not wait any longer. */
  readonly ending: AbortSignal
}

/** Makes the part; streams can be opened between `start` and `stop`, which closes them with 1001. */
export function createStreams({ journal, clock }: { journal: Journal; clock: Clock }): Streams {
  const open = new Set<Stream>()
  const ofTenant = new Map<TenantId, number>()
  const count = (tenantId: TenantId, by: 1 | -1): void => {
    const now = (ofTenant.get(tenantId) ?? 0) + by
    if (now > 0) ofTenant.set(tenantId, now)
    else ofTenant.delete(tenantId)
  }
  const turns = createTurns(clock)
  let live: LivePath | null = null
  let ending = new AbortController()
  return {
    name: 'streams',
    get ending() {
      return ending.signal
    },
    get count() {
      return open.size
    },
    countOf: (tenantId) => ofTenant.get(tenantId) ?? 0,
    start() {
      if (live) return
      live = createLivePath({ journal, clock })
      ending = new AbortController()
    },
    stop() {
      ending.abort()
      for (const stream of [...open]) stream.end(1001)
      live?.stop()
      turns.stop()
      live = null
    },
    open(request) {
      if (!live) {
        request.socket.close(1001, '')
        return { message: () => {}, drained: () => {}, end: () => {}, stop: () => {} }
      }
      const { tenantId } = request
      const onEnd = () => {
        if (open.delete(stream)) count(tenantId, -1)
      }
      const stream = createStream(request, { journal, clock, live, turns, onEnd })
      open.add(stream)
      count(tenantId, 1)
      stream.begin()
      return stream
    },
  }
}

type StreamDeps = { journal: Journal; clock: Clock; live: LivePath; turns: Turns; onEnd: () => void }

function createStream(request: StreamRequest, deps: StreamDeps): Stream & { begin(): void } {
  const { journal, clock, live, turns } = deps
  const { socket, tenantId } = request
  let cancelGrace: (() => void) | null = null
  let cancelPing: (() => void) | null = null
  let closed = false
  /** Frames of the client in the running second, which began with the first of them. */
  let second = { from: Number.NEGATIVE_INFINITY, frames: 0 }

  /** Whether the client says more than it may. */
  const isTooMuch = (): boolean => {
    const now = clock.monotonic()
    if (now - second.from >= 1_000) second = { from: now, frames: 0 }
    second.frames += 1
    return second.frames > FRAMES_A_SECOND
  }

  const selectionOf = ({ events, sessionIds }: Pick<Wish, 'events' | 'sessionIds'>) => ({
    tenantId,
    events,
    sessionIds: request.sessionId === null ? sessionIds : [request.sessionId],
    ...(request.allows ? { allows: request.allows } : {}),
  })

  // Held: what happens between the upgrade and the first frame is not lost.
  const subscription: Subscription = createSubscription({
    journal,
    live,
    turns,
    clock,
    socket: { ...bound(socket), close: (code, detail) => finish(() => socket.close(code, detail)) },
    selection: selectionOf({ events: [], sessionIds: null }),
    position: journal.head(),
  })

  /** Forgets everything, once; `last` is the final word to the socket. */
  function finish(last: () => void): void {
    if (closed) return
    closed = true
    cancelGrace?.()
    cancelPing?.()
    deps.onEnd()
    subscription.stop()
    last()
  }

  const cursorAt = (seq: number): string => formatCursor({ epoch: journal.epoch, seq })
  const end = (code: CloseCode, detail?: string): void => subscription.end(code, detail)

  function refuse(code: CloseCode, error: string, word: ErrorCode): void {
    socket.notice({ type: 'error', error, code: word })
    end(code)
  }

  /** What is wrong with a wish, null when nothing is. */
  function trouble({ sessionIds, after }: Wish): (() => void) | null {
    const isForeign = (id: SessionId): boolean =>
      request.sessionId === null ? !request.knows(id) : id !== request.sessionId
    if (sessionIds?.some(isForeign)) {
      return () => refuse(4404, 'Session not found', 'SESSION_NOT_FOUND')
    }
    if (after === null) return null
    const check = checkCursor(journal, parseCursor(after))
    if (check === 'expired') return () => end(4410)
    return check === 'ok' ? null : () => refuse(4400, 'This cursor is not valid', 'INVALID_CURSOR')
  }

  function subscribe(wish: Wish): void {
    const react = trouble(wish)
    if (react) {
      react()
      return
    }
    cancelGrace?.()
    const cursor = wish.after === null ? null : parseCursor(wish.after)
    const position = cursor?.seq ?? subscription.position()
    socket.notice({ type: 'subscribed', cursor: cursorAt(position) })
    subscription.reselect(selectionOf(wish), position)
    subscription.begin()
  }

  /** Keeps proxies from closing a quiet stream. */
  function keepAlive(ping: NonNullable<StreamSocket['ping']>): void {
    cancelPing = clock.after(ping.every, () => {
      ping.send(cursorAt(subscription.position()))
      keepAlive(ping)
    })
  }

  return {
    begin() {
      if (socket.ping) keepAlive(socket.ping)
      const everything: Wish = { events: [], sessionIds: null, after: null }
      if (request.wish) subscribe(request.wish)
      else cancelGrace = clock.after(FIRST_FRAME, () => subscribe(everything))
    },
    message(text) {
      if (closed) return
      if (isTooMuch()) return refuse(1008, 'Too many frames', 'RATE_LIMIT_EXCEEDED')
      const frame = parseFrame(text)
      if (!frame.ok) refuse(4400, frame.says, 'VALIDATION_ERROR')
      else if (frame.value.type === 'ping') socket.notice({ type: 'pong' })
      else subscribe(frame.value)
    },
    drained: () => subscription.drained(),
    end,
    stop: () => finish(() => undefined),
  }
}

/** The socket's functions without its `close`, bound so that a class instance works too. */
function bound(socket: StreamSocket): Omit<StreamSocket, 'close'> {
  return {
    event: (entry) => socket.event(entry),
    notice: (notice) => socket.notice(notice),
    bufferedAmount: () => socket.bufferedAmount(),
    ...(socket.cork ? { cork: (sends: () => void) => socket.cork?.(sends) } : {}),
  }
}
