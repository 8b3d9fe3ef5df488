/**
 * Tells of outages: from when until when the session was not through, and how many messages came late because of it.
 *
 * An outage begins in the session's own state (`session-life.ts`) and outlives the process. It is over when the session is
 * connected again and nothing late has come for a while: WhatsApp’s own word for the end of the backlog cannot be relied on,
 * it is sometimes left out. Within one process its length is measured by the clock that never jumps; over a restart there
 * are only the times on disk.
 */
import type { NewEvent } from '../domain/events'
import type { Message } from '../domain/message'
import type { Session, SessionStatus } from '../domain/session'
import { type Clock, isoTime } from '../lib/clock'
import { sessionEvent } from './payload'

/** The backlog is through when nothing of it has come for this long (ms). */
export const BACKLOG_QUIET = 2_000
/** Stanzas that are not handled by then (ms) will not be soon, and are not waited for any longer. */
const BACKLOG_PATIENCE = 60_000
/** Outages in which nothing was missed are told from this length on (ms). */
export const LONG_OUTAGE = 60_000

export type GapWatchParts = {
  session: () => Session
  /** Messages on disk that came late in this outage. */
  lateCount: () => number
  /** Received stanzas are on disk that are not handled yet. */
  isBehind: () => boolean
  /** Milliseconds since the last sign of life; null when there was none in this process. */
  silentFor: () => number | null
  /** Runs `look` in the session's turn; what it returns (unless null) ends the outage. */
  over: (look: () => NewEvent[] | null) => void
  clock: Clock
}

export interface GapWatch {
  /** The session has gone from one state to another. */
  moved(from: SessionStatus, to: SessionStatus): void
  /** Messages that are on disk now. */
  came(messages: readonly Message[]): void
  stop(): void
}

export function createGapWatch(parts: GapWatchParts): GapWatch {
  const { clock } = parts
  /** When the outage began, by the clock that never jumps; null when an earlier process has seen it begin. */
  let began: number | null = null
  /** The last moment of the backlog. */
  let lastLate = 0
  let cancel = () => {}

  const look = (): NewEvent[] | null => {
    const { outage, state } = parts.session()
    if (outage === null || state.status !== 'connected') return null
    const quiet = clock.monotonic() - lastLate
    if (quiet < BACKLOG_QUIET || (quiet < BACKLOG_PATIENCE && parts.isBehind())) {
      arm(Math.max(BACKLOG_QUIET - quiet, BACKLOG_QUIET / 2))
      return null
    }
    const to = clock.now() - (clock.monotonic() - lastLate)
    const from = began === null ? Math.min(outage.from, to) : to - (lastLate - began)
    began = null
    const count = parts.lateCount()
    if (count === 0 && to - from <= LONG_OUTAGE) return []
    const fields = { from: isoTime(from), to: isoTime(to), count, reason: outage.reason }
    return [sessionEvent(parts.session(), 'session.gap', fields)]
  }

  const arm = (ms: number) => {
    cancel()
    cancel = clock.after(ms, () => parts.over(look))
  }

  const backlogGoesOn = () => {
    lastLate = clock.monotonic()
    arm(BACKLOG_QUIET)
  }

  return {
    moved(from, to) {
      cancel()
      if (parts.session().outage === null) began = null
      else if (to === 'connected') backlogGoesOn()
      else if (from === 'connected' && began === null) {
        const silent = parts.silentFor()
        began = silent === null ? null : clock.monotonic() - silent
      }
    },
    came(messages) {
      const { outage, state } = parts.session()
      if (outage === null || state.status !== 'connected') return
      if (messages.some(({ offline }) => offline)) backlogGoesOn()
    },
    stop() {
      cancel()
    },
  }
}
