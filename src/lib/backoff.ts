/** How a repeated attempt is spaced. */
export type BackoffPolicy = {
  /** Milliseconds before the first repetition. */
  first: number
  /** Milliseconds that no wait exceeds. */
  cap: number
}

/**
 * Milliseconds to wait before attempt number `attempt` (1 = the first repetition): doubling, capped, and spread over
 * the upper half of the interval so that many sessions do not come back in the same instant.
 */
export function backoffDelay(attempt: number, policy: BackoffPolicy, random: () => number): number {
  const full = Math.min(policy.cap, policy.first * 2 ** Math.min(Math.max(0, attempt - 1), 30))
  return Math.round(full / 2 + (full / 2) * random())
}
