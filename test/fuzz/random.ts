/** Chance that can be repeated: the same seed, the same inputs. */
export interface Chance {
  /** Below `end`, from 0. */
  below(end: number): number
  /** True once in `many`. */
  oneIn(many: number): boolean
  of<T>(list: readonly T[]): T
  bytes(length: number): Uint8Array
}

/** Marsaglia's xorshift with 32 bits of state. */
export function chanceOf(seed: number): Chance {
  let state = (seed ^ 0x9e3779b9) >>> 0 || 1
  const next = (): number => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    state >>>= 0
    return state
  }
  const below = (end: number): number => (end <= 0 ? 0 : next() % end)
  return {
    below,
    oneIn: (many) => below(many) === 0,
    of(list) {
      const found = list[below(list.length)]
      if (found === undefined) throw new Error('There is nothing to choose from')
      return found
    },
    bytes(length) {
      const out = new Uint8Array(length)
      for (let at = 0; at < length; at += 1) out[at] = next() & 255
      return out
    },
  }
}

/** Texts and numbers that have been trouble somewhere. */
export const STRANGE: readonly string[] = [
  '',
  ' ',
  '\0',
  '\u202e',
  '\ud800',
  '\ufeff',
  '\u0301',
  '💥',
  'a'.repeat(300),
  '9'.repeat(30),
  '../../etc/passwd',
  '%00',
  '%2e%2e%2f',
  "'; DROP TABLE x; --",
  '<script>',
  '{{name}}',
  '__proto__',
  'constructor',
  'toString',
  '-1',
  '0x10',
  '1e309',
  'NaN',
  'null',
  '\r\n',
  '127.0.0.1',
  '@',
  ':',
  '[',
]

/** A few small changes to a text: cut, doubled, swapped, strange things put in. */
export function mutated(chance: Chance, text: string): string {
  let out = text
  for (let left = 1 + chance.below(4); left > 0; left -= 1) {
    const at = chance.below(out.length + 1)
    const to = Math.min(out.length, at + chance.below(8))
    switch (chance.below(6)) {
      case 0:
        out = out.slice(0, at) + out.slice(to)
        break
      case 1:
        out = out.slice(0, at) + chance.of(STRANGE) + out.slice(at)
        break
      case 2:
        out = out.slice(0, to) + out.slice(at)
        break
      case 3:
        out =
          out.slice(0, at) +
          String.fromCharCode(chance.below(chance.oneIn(4) ? 65_536 : 128)) +
          out.slice(at + 1)
        break
      case 4:
        out = out.slice(at) + out.slice(0, at)
        break
      default:
        out = chance.oneIn(20) ? out.repeat(1 + chance.below(20)) : out.toUpperCase()
    }
  }
  return out
}
