/** The machine's clock, of which a test can shorten single waits and set the time of day. */
import { type Clock, systemClock } from '../../src/lib/clock'

export interface HastyClock extends Clock {
  /** While `work` runs, waits of these lengths (ms) that begin are over at once. */
  hurry<T>(lengths: readonly number[], work: () => Promise<T>): Promise<T>
  /** Sets the time of day forward (ms) without any time passing. */
  jump(ms: number): void
}

export function createHastyClock(): HastyClock {
  let skew = 0
  let hurried: readonly number[] = []
  const length = (ms: number) => (hurried.includes(ms) ? 20 : ms)
  return {
    now: () => systemClock.now() + skew,
    monotonic: systemClock.monotonic,
    after: (ms, task) => systemClock.after(length(ms), task),
    sleep: (ms, signal) => systemClock.sleep(length(ms), signal),
    async hurry(lengths, work) {
      hurried = lengths
      try {
        return await work()
      } finally {
        hurried = []
      }
    },
    jump(ms) {
      skew += ms
    },
  }
}
