/** Passwords: argon2id, a few at a time, and the same work whether the account exists or not. */
import { fail } from '../domain/errors'

export interface Passwords {
  /** PHC string. Rejects with `RATE_LIMIT_EXCEEDED` when too many are waiting. */
  hash(password: string): Promise<string>
  /** Null stands for an account that does not exist: takes as long, and is false. */
  verify(password: string, hash: string | null): Promise<boolean>
}

/** OWASP's recommendation for argon2id: 19 MiB, two passes. */
const COST = { algorithm: 'argon2id', memoryCost: 19_456, timeCost: 2 } as const
/** Hashes computed at once; each holds its memory and one core. */
const AT_ONCE = 2
/** Requests that may wait for their turn. */
const WAITING = 64

/** Makes the hasher. */
export function createPasswords(): Passwords {
  let running = 0
  const waiting: (() => void)[] = []
  let nobody: Promise<string> | null = null

  async function inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (running < AT_ONCE) running += 1
    else if (waiting.length >= WAITING) throw fail('RATE_LIMIT_EXCEEDED')
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

  const hash = (password: string): Promise<string> => inTurn(() => Bun.password.hash(password, COST))

  /** A hash that no password opens, made once. A failed try must not stand for ever. */
  function nobodysHash(): Promise<string> {
    nobody ??= hash(crypto.randomUUID()).catch((error) => {
      nobody = null
      throw error
    })
    return nobody
  }

  return {
    hash,
    async verify(password, stored) {
      // A stored text that is no hash belongs to an account without password; it costs as much as any other.
      const usable = stored?.startsWith('$argon2id$') ? stored : null
      const against = usable ?? (await nobodysHash())
      const matches = await inTurn(() => Bun.password.verify(password, against))
      return matches && usable !== null
    },
  }
}
