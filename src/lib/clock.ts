/** The time as one injected object; the only file that touches `Date.now` and timers. */
export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. */
  now(): number
  /** Milliseconds from an arbitrary start; never jumps back. Use it for durations. */
  monotonic(): number
  /** Runs `task` once after `ms`; the returned function cancels it. */
  after(ms: number, task: () => void): () => void
  /** Resolves after `ms`; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** `setTimeout` fires at once above this; longer waits are cut into pieces. */
const LONGEST_TIMER = 2 ** 31 - 1

/** The machine's own clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(ms, task) {
    const due = performance.now() + Math.max(0, ms)
    let timer: ReturnType<typeof setTimeout>
    const arm = () => {
      const left = due - performance.now()
      timer = setTimeout(left > LONGEST_TIMER ? arm : task, Math.min(Math.max(0, left), LONGEST_TIMER))
    }
    arm()
    return () => clearTimeout(timer)
  },
  sleep(ms, signal) {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    if (signal?.aborted) {
      reject(signal.reason)
      return promise
    }
    const onAbort = () => {
      cancel()
      reject(signal?.reason)
    }
    const cancel = systemClock.after(ms, () => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    return promise
  },
}

/** A moment in the API's form: ISO 8601, UTC, milliseconds. */
export const isoTime = (ms: number): string => new Date(ms).toISOString()
