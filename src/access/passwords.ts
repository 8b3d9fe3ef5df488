/** Passwords: argon2id, a few at a time, and the same work whether the account exists or not. */
import { fail } from '../domain/errors'

export interface Passwords {
  /** PHC string. Rejects with `RATE_LIMIT_EXCEEDED` when too many are waiting. */
  hash(password: string): Promise<string>
  /** Null stands for an account that does not exist: takes as long, and is false. */
  verify(password: string, hash: string | null): Promise<boolean>
}

/** What computes hashes; tests count its runs. */
export type Hasher = Pick<typeof Bun.password, 'hash' | 'verify'>

/** OWASP's recommendation for argon2id: 19 MiB, two passes. */
const COST = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const
/** Hashes computed at once; each holds its memory and one core. */
const AT_ONCE = 2
/** Requests that may wait for their turn. */
const WAITING = 64
/** What a password is compared with where there is no hash: of the usual cost, and the hash of nothing that is known. */
const NOBODY = `$argon2id$v=19$m=${COST.memoryCost},t=${COST.timeCost},p=1$${'Tm9ib2R5'.repeat(5)}Tm8$${'bm9ib2R5'.repeat(5)}bm8`

/** Makes the hasher. */
export function createPasswords(hasher: Hasher = Bun.password): Passwords {
  let running = 0
  const waiting: (() => void)[] = []

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running < AT_ONCE) running += 1
    else if (waiting.length >= WAITING) throw fail('RATE_LIMIT_EXCEEDED', { retryAfter: 1 })
    // Whoever finishes hands its place on, so `running` does not change here.
    else await new Promise<void>((resolve) => waiting.push(resolve))
    try {
      return await work()
    } finally {
      const next = waiting.shift()
      if (next) next()
      else running -= 1
    }
  }

  return {
    hash: (password) => inTurn(() => hasher.hash(password, COST)),
    async verify(password, stored) {
      // A stored text that is no hash belongs to an account without password; it costs as much as any other.
      const usable = stored?.startsWith('$argon2id$') ? stored : null
      const matches = await inTurn(() => hasher.verify(password, usable ?? NOBODY))
      return matches && usable !== null
    },
  }
}
