/** Waiting for named things to happen, with an end. */
import { systemClock } from '../lib/clock'

/** Longest that a step of the demo may take (ms). */
const LONGEST = 30_000

export type Waiting = { happened(name: string): void; waitFor(name: string): Promise<void> }

/** Remembers what has happened, so that nothing is missed between two steps; `where` names the source in a failure. */
export function createWaiting(where: string): Waiting {
  const seen = new Map<string, { promise: Promise<void>; resolve: () => void }>()
  const of = (name: string) => {
    const known = seen.get(name) ?? Promise.withResolvers<void>()
    seen.set(name, known)
    return known
  }
  return {
    happened: (name) => of(name).resolve(),
    async waitFor(name) {
      const late = new AbortController()
      const deadline = systemClock.sleep(LONGEST, late.signal).then(
        () => 'late' as const,
        () => 'early' as const,
      )
      const outcome = await Promise.race([of(name).promise, deadline])
      late.abort()
      if (outcome === 'late')
        throw new Error(`No ${name} came over the ${where} within ${LONGEST / 1000} seconds`)
    },
  }
}
