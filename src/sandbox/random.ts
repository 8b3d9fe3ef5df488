/** The one source of randomness of a sandbox; a test may give a seeded one. */
import { createHash, randomBytes } from 'node:crypto'

/** That many random bytes. */
export type Random = (size: number) => Buffer

/** The operating system's. */
export const systemRandom: Random = (size) => randomBytes(size)

/** The same bytes for the same seed; for reproducible runs only. */
export function seededRandom(seed: string): Random {
  let block = 0
  return (size) => {
    const out = Buffer.alloc(size)
    for (let at = 0; at < size; at += 32) {
      createHash('sha256').update(`${seed}/${block++}`).digest().copy(out, at)
    }
    return out
  }
}
