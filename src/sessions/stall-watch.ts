/**
 * Looks, while a session connects or is connected, at what could have stopped moving without a word: its mailbox, its send queue, and
 * received stanzas that no connection gets through. What is found is told once as `session.stalled`; a queue that does not
 * move gets a new connection.
 *
 * Silence of WhatsApp is the adapter's to notice, and a disk that refuses shows at once; both are told with the end of the
 * connection.
 */
import type { Session, SessionStatus, Sessions } from '../domain/session'
import type { Stall } from '../domain/stalls'
import type { Clock } from '../lib/clock'
import type { Progress } from './sending/queue'

/** Time between two looks while something is going on (ms) … */
export const LOOK_EVERY = 15_000
/** … and while nothing is. */
export const LOOK_IDLE = 60_000
/** A step of the session that takes longer than this (ms) is stuck. */
export const STEP_LIMIT = 30_000
/** A queue from which nothing leaves for this long (ms) has tried each message twice. */
export const QUEUE_LIMIT = 120_000
/** Connections that a received stanza may outlast. */
export const CONNECTS_LIMIT = 3
/** What an earlier connection has left is handled well before this time (ms) after the login. */
const REPLAYED_AFTER = 30_000

export type StallWatchParts = {
  session: () => Session
  sessions: Pick<Sessions, 'inbox'>
  progress: () => Progress
  /** How long the present step of the session has taken (ms); null when it is idle. */
  busyFor: () => number | null
  /** Tells of it. */
  tell: (stall: Stall) => void
  /** Ends the connection because of it, so that another one is made. */
  reconnect: (stall: Stall) => void
  clock: Clock
}

export interface StallWatch {
  moved(to: SessionStatus): void
  /** What was found and holds still. */
  found(): Stall | null
  stop(): void
}

export function createStallWatch(parts: StallWatchParts): StallWatch {
  const { clock } = parts
  let cancel = () => {}
  let connectedAt = 0
  let stuckStep: Stall | null = null
  /** Since when the queue could have moved, by the clock that never jumps, and how many had left it then. */
  let free: { since: number; ended: number } | null = null
  /** How many connections each stanza has outlasted. */
  let outlasted = new Map<number, number>()
  let leftovers: Stall | null = null
  let hasCounted = false

  const ago = (ms: number): number => clock.now() - ms

  const lookAtStep = () => {
    const busy = parts.busyFor()
    if (busy === null || busy < STEP_LIMIT) {
      stuckStep = null
      return
    }
    if (stuckStep !== null) return
    stuckStep = { reason: 'intake', since: ago(busy) }
    parts.tell(stuckStep)
  }

  const lookAtQueue = () => {
    const { ended, isFree } = parts.progress()
    if (!isFree) {
      free = null
      return
    }
    if (free === null || free.ended !== ended) free = { since: clock.monotonic(), ended }
    const stuck = clock.monotonic() - free.since
    if (stuck < QUEUE_LIMIT) return
    free = null
    parts.reconnect({ reason: 'queue', since: ago(stuck) })
  }

  /** Once for each connection: whatever is older than the login should have been handled. */
  const lookAtInbox = () => {
    const { state, id } = parts.session()
    if (hasCounted || state.status !== 'connected' || clock.monotonic() - connectedAt < REPLAYED_AFTER) return
    hasCounted = true
    const left = parts.sessions.inbox(id).filter(({ at }) => at < state.since)
    const before = outlasted
    outlasted = new Map(left.map((row) => [row.id, (before.get(row.id) ?? 0) + 1]))
    const stuck = left.filter((row) => (outlasted.get(row.id) ?? 0) >= CONNECTS_LIMIT)
    const [oldest] = stuck
    leftovers = oldest ? { reason: 'message', since: oldest.at } : null
    if (leftovers && stuck.some((row) => outlasted.get(row.id) === CONNECTS_LIMIT)) parts.tell(leftovers)
  }

  const look = () => {
    const isIdle = hasCounted && free === null && parts.busyFor() === null
    cancel = clock.after(isIdle ? LOOK_IDLE : LOOK_EVERY, look)
    lookAtStep()
    lookAtInbox()
    lookAtQueue()
  }

  return {
    moved(to) {
      cancel()
      free = null
      if (to === 'inactive' || to === 'disconnected') return
      connectedAt = clock.monotonic()
      hasCounted = false
      cancel = clock.after(LOOK_EVERY, look)
    },
    found: () => stuckStep ?? leftovers,
    stop() {
      cancel()
    },
  }
}
