/**
 * Replay in turns: a thousand clients that come back at once must not hold up the process until each has what it missed.
 *
 * All readers that are behind share a few milliseconds of each turn of the event loop; who has more to do lines up again.
 */
import type { Clock } from '../lib/clock'

/** Of one turn (ms). */
const BUDGET = 5

export interface Turns {
  /** Runs the task now, or in its turn when this one is used up. Returns how to withdraw it. */
  now(task: () => void): () => void
  /** Runs the task in one of the next turns. */
  next(task: () => void): () => void
  stop(): void
}

/** Makes the queue; it has a timer only while there is work. */
export function createTurns(clock: Pick<Clock, 'after' | 'monotonic'>): Turns {
  const waiting = new Set<() => void>()
  let began: number | null = null
  let cancel: (() => void) | null = null

  const isOver = (): boolean => began !== null && clock.monotonic() - began >= BUDGET
  const arm = (): void => {
    cancel ??= clock.after(0, turn)
  }

  function turn(): void {
    cancel = null
    began = null
    if (waiting.size === 0) return
    began = clock.monotonic()
    arm()
    // Who lines up again meanwhile is not among these.
    for (const task of [...waiting]) {
      if (isOver()) return
      if (waiting.delete(task)) task()
    }
  }

  const next = (task: () => void): (() => void) => {
    // A place of its own, so that one task can stand in line twice.
    const own = () => task()
    waiting.add(own)
    arm()
    return () => {
      waiting.delete(own)
    }
  }

  return {
    now(task) {
      if (isOver()) return next(task)
      began ??= clock.monotonic()
      arm()
      task()
      return () => undefined
    },
    next,
    stop() {
      cancel?.()
      cancel = null
      began = null
      waiting.clear()
    },
  }
}
