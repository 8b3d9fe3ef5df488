/**
 * Life of a connection: the age of the last frame, and a question when it has been silent for too long.
 *
 * Baileys pings every 25 s; two more without any frame mean that a ping went unanswered. One more question, with its own
 * deadline, decides: a connection that is dead is shown as connected for 34 s at most. One on which frames flow is never
 * asked.
 */
import type { Clock } from '../../lib/clock'

export const WATCH = { everyMs: 2_000, silentMs: 27_000, answerMs: 5_000 } as const
export type WatchTimes = { everyMs: number; silentMs: number; answerMs: number }

export type WatchdogParts = {
  clock: Clock
  times: WatchTimes
  /** Asks the server; resolves with whether it answered within `answerMs`. */
  ask: (timeoutMs: number) => Promise<boolean>
  /** Called at most once; the watch is over then. */
  onDead: () => void
  /** Called at every turn, for work that recurs. */
  onTurn?: () => void
}

export interface Watchdog {
  /** Something came from the server. */
  heard(): void
  /** Milliseconds since the last frame. */
  silentFor(): number
  stop(): void
}

/** Starts watching at once. */
export function startWatchdog({ clock, times, ask, onDead, onTurn }: WatchdogParts): Watchdog {
  let lastFrame = clock.monotonic()
  let asking = false
  let cancel = clock.after(times.everyMs, turn)

  function turn(): void {
    cancel = clock.after(times.everyMs, turn)
    onTurn?.()
    if (asking || clock.monotonic() - lastFrame < times.silentMs) return
    asking = true
    const askedAt = clock.monotonic()
    ask(times.answerMs)
      .catch(() => false)
      .then((answered) => {
        asking = false
        if (answered || lastFrame >= askedAt) return
        cancel()
        onDead()
      })
  }

  return {
    heard() {
      lastFrame = clock.monotonic()
    },
    silentFor: () => clock.monotonic() - lastFrame,
    stop: () => cancel(),
  }
}
