/** JSON bodies as text: nothing is taken that JSON.parse does not take, and what is taken is the same value. */
import { isDeepStrictEqual } from 'node:util'
import { AppError } from '../../src/domain/errors'
import { parseJson } from '../../src/http/json'
import { type Chance, mutated, STRANGE } from './random'
import type { Target } from './run'

/** Any value, a few levels deep. */
export function anyValue(chance: Chance, depth = 0): unknown {
  switch (chance.below(depth > 4 ? 5 : 7)) {
    case 0:
      return chance.of([null, true, false])
    case 1:
      return chance.of([0, -1, 1.5, 2 ** 31, 2 ** 53, -(2 ** 63), 1e300])
    case 2:
    case 3:
      return chance.of(STRANGE)
    case 4:
      return chance.below(100)
    case 5:
      return Array.from({ length: chance.below(4) }, () => anyValue(chance, depth + 1))
    default:
      return Object.fromEntries(
        Array.from({ length: chance.below(5) }, () => [chance.of(STRANGE), anyValue(chance, depth + 1)]),
      )
  }
}

function make(chance: Chance): string {
  if (chance.oneIn(300))
    return chance.of(['[', '{"a":', '[[],', '"', '\\', '{"a":1,']).repeat(chance.below(20_000))
  const text = JSON.stringify(anyValue(chance))
  return chance.oneIn(3) ? text : mutated(chance, text)
}

function take(text: string): void {
  let ours: unknown
  try {
    ours = parseJson(text)
  } catch (error) {
    // A refusal is an answer; anything else is not.
    if (error instanceof AppError) return
    throw error
  }
  if (!isDeepStrictEqual(ours, JSON.parse(text))) throw new Error('Another value than the text says')
}

export const bodies: Target<string> = {
  name: 'bodies',
  open: async () => ({ make, take, end: async () => undefined }),
  show: (text) => `${text.length} characters ${JSON.stringify(text.slice(0, 200))}`,
}
