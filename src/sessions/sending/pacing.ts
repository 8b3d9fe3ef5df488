/**
 * How fast a session's queue sends: a pause after each message, and “typing…” before a text (`settings.sendPacing`); and
 * never more in a minute than the plan allows, of which any number may leave at once.
 */
import type { SessionSettings } from '../../domain/session'
import type { Clock } from '../../lib/clock'

const MINUTE = 60_000
/** How long somebody types one character (ms), and the bounds of what is shown for a whole text. */
const PER_CHARACTER = 60
const SHORTEST_TYPING = 600
const LONGEST_TYPING = 8_000

export interface Pacer {
  /** Milliseconds until the next message may leave. */
  wait(): number
  /** A message leaves now. */
  spend(): void
  /** It has not left after all. */
  refund(): void
  /** “typing…” is shown before texts. */
  readonly shows: boolean
  /** How long to show “typing…” before a text of this length; 0 = not at all. */
  typing(length: number): number
}

export function createPacer(parts: {
  settings: () => Pick<SessionSettings, 'sendPacing'>
  /** Messages that the plan lets a session send in a minute; null = any number. */
  mostPerMinute: () => number | null
  clock: Clock
  random: () => number
}): Pacer {
  const { clock, random } = parts
  let last = Number.NEGATIVE_INFINITY
  let lastBut = last
  /** Drawn once for each pause, so that looking twice does not change it. */
  let draw = 0
  /** When the messages of the last minute left, oldest first; no more than the plan counts. */
  let left: number[] = []
  const planWait = (): number => {
    const most = parts.mostPerMinute()
    if (most === null) return 0
    const now = clock.monotonic()
    const first = left.findIndex((at) => at + MINUTE > now)
    left = first < 0 ? [] : left.slice(Math.max(first, left.length - most))
    return left.length < most ? 0 : (left[0] ?? now) + MINUTE - now
  }
  /** `base`, varied by a random share of at most `jitter` up or down. */
  const varied = (base: number, jitter: number, by: number) => base * (1 + jitter * (2 * by - 1))

  return {
    wait() {
      const pacing = parts.settings().sendPacing
      if (pacing === null) return planWait()
      const pause = varied(MINUTE / pacing.messagesPerMinute, pacing.jitter ?? 0, draw)
      return Math.max(0, last + pause - clock.monotonic(), planWait())
    },
    spend() {
      if (parts.mostPerMinute() !== null) left.push(clock.monotonic())
      if (parts.settings().sendPacing === null) return
      lastBut = last
      last = clock.monotonic()
      draw = random()
    },
    refund() {
      left.pop()
      last = lastBut
    },
    get shows() {
      return parts.settings().sendPacing?.typing === true
    },
    typing(length) {
      const pacing = parts.settings().sendPacing
      if (pacing?.typing !== true || length === 0) return 0
      const time = varied(length * PER_CHARACTER, pacing.jitter ?? 0, random())
      return Math.min(LONGEST_TYPING, Math.max(SHORTEST_TYPING, time))
    },
  }
}
