/** Lets so many tasks run at a time; the others wait in the order in which they came. */
export type Turnstile = <T>(task: () => Promise<T>) => Promise<T>

/** `width`: how many run at the same time. */
export function createTurnstile(width: number): Turnstile {
  const waiting: (() => void)[] = []
  let running = 0
  return async (task) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running += 1
    try {
      return await task()
    } finally {
      // The place passes on; it is given back only when nobody waits for it.
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }
}
