/** One timer for many dates: it rings at the earliest that was asked for since it rang last. */
import type { Clock } from '../../lib/clock'

export interface Alarm {
  /** Rings in `ms` at the latest. */
  within(ms: number): void
  cancel(): void
  /** It never rings again. */
  stop(): void
}

export function createAlarm(clock: Clock, ring: () => void): Alarm {
  let due: number | null = null
  let stopped = false
  let disarm = () => {}
  const cancel = () => {
    disarm()
    due = null
  }
  return {
    within(ms) {
      const at = clock.monotonic() + Math.max(0, ms)
      if (stopped || (due !== null && due <= at)) return
      disarm()
      due = at
      disarm = clock.after(ms, () => {
        due = null
        ring()
      })
    },
    cancel,
    stop() {
      stopped = true
      cancel()
    },
  }
}
