/** A clock that only moves when a test moves it. */
import type { Clock } from '../../src/lib/clock'

type Timer = { at: number; task: () => void }

export interface ManualClock extends Clock {
  /** Lets `ms` pass: timers run in order, and after each of them everything that they set going comes to rest. */
  advance(ms: number): Promise<void>
  /** Sets the time of day without any time passing, as an operator or NTP does. */
  jump(ms: number): void
  /** Timers that wait. */
  readonly waiting: number
}

/** Lets promises and input or output that is under way go on. */
export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 12; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve))
}

export function createManualClock(start = Date.UTC(2026, 0, 1)): ManualClock {
  let passed = 0
  let offset = start
  const timers = new Set<Timer>()
  const clock: ManualClock = {
    now: () => offset + passed,
    monotonic: () => passed,
    after(ms, task) {
      const timer = { at: passed + Math.max(0, ms), task }
      timers.add(timer)
      return () => timers.delete(timer)
    },
    sleep(ms, signal) {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      if (signal?.aborted) {
        reject(signal.reason)
        return promise
      }
      const cancel = clock.after(ms, resolve)
      signal?.addEventListener(
        'abort',
        () => {
          cancel()
          reject(signal.reason)
        },
        { once: true },
      )
      return promise
    },
    async advance(ms) {
      const end = passed + ms
      await settle()
      for (;;) {
        const next = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
        if (!next) break
        timers.delete(next)
        passed = Math.max(passed, next.at)
        next.task()
        await settle()
      }
      passed = end
      await settle()
    },
    jump(ms) {
      offset += ms
    },
    get waiting() {
      return timers.size
    },
  }
  return clock
}
