/** One channel of any rate to 48 kHz: a windowed-sinc filter in as many phases as the two rates need. */

export const OPUS_RATE = 48_000

/** Zero crossings of the filter on each side; sixteen keep mirror images below hearing. */
const CROSSINGS = 16
/** Share of the usable band that is kept; the rest is the filter's slope. */
const PASS = 0.94
const MAX_PHASES = 1024

/** Takes samples piece by piece and gives back samples at 48 kHz; nothing is delayed or lost. */
export class Resampler {
  readonly #step: number
  readonly #half: number
  readonly #phases: Float32Array[]
  /** Samples from `#start` on; before the first and after the last one there is silence. */
  #kept: Float32Array
  #start: number
  #taken = 0
  #given = 0

  constructor(readonly rate: number) {
    this.#step = rate / OPUS_RATE
    // When the rate goes down, the filter must also keep what the lower rate cannot hold away.
    const cutoff = Math.min(1, OPUS_RATE / rate) * PASS
    this.#half = Math.ceil(CROSSINGS / Math.min(1, OPUS_RATE / rate))
    const exact = OPUS_RATE / greatestCommonDivisor(OPUS_RATE, rate)
    const count = Math.min(exact, MAX_PHASES)
    this.#phases = Array.from({ length: count }, (_, phase) => taps(phase / count, this.#half, cutoff))
    this.#kept = new Float32Array(this.#half)
    this.#start = -this.#half
  }

  /** The samples that are certain after `input`. */
  push(input: Float32Array): Float32Array {
    if (this.rate === OPUS_RATE) return input
    this.#taken += input.length
    return this.#filter(input)
  }

  /** The rest, once no more input comes. */
  end(): Float32Array {
    if (this.rate === OPUS_RATE) return new Float32Array()
    const total = Math.round(this.#taken / this.#step)
    const out = this.#filter(new Float32Array(2 * this.#half + 2))
    return out.subarray(0, Math.max(0, out.length - (this.#given - total)))
  }

  #filter(input: Float32Array): Float32Array {
    const kept = new Float32Array(this.#kept.length + input.length)
    kept.set(this.#kept)
    kept.set(input, this.#kept.length)
    const end = this.#start + kept.length
    // An output sample at position p needs input from floor(p) − half + 1 to floor(p) + half + 1.
    const count = Math.max(0, Math.ceil((end - this.#half - 1) / this.#step) - this.#given)
    const out = new Float32Array(count)
    for (let index = 0; index < count; index += 1) {
      const position = (this.#given + index) * this.#step
      let whole = Math.floor(position)
      let phase = Math.round((position - whole) * this.#phases.length)
      if (phase === this.#phases.length) {
        phase = 0
        whole += 1
      }
      const filter = this.#phases[phase] ?? new Float32Array()
      const from = whole - this.#half + 1 - this.#start
      let sum = 0
      for (let tap = 0; tap < filter.length; tap += 1) sum += (filter[tap] ?? 0) * (kept[from + tap] ?? 0)
      out[index] = sum
    }
    this.#given += count
    const needed = Math.max(0, Math.floor(this.#given * this.#step) - this.#half + 1 - this.#start)
    this.#kept = kept.slice(Math.min(needed, kept.length))
    this.#start += Math.min(needed, kept.length)
    return out
  }
}

/** The filter for outputs that lie `offset` (0…1) behind an input sample; its taps sum up to one. */
function taps(offset: number, half: number, cutoff: number): Float32Array {
  const filter = new Float32Array(2 * half)
  let sum = 0
  for (let tap = 0; tap < filter.length; tap += 1) {
    const distance = tap - (half - 1) - offset
    const angle = Math.PI * distance * cutoff
    const sinc = angle === 0 ? 1 : Math.sin(angle) / angle
    const reach = distance / half
    const window =
      Math.abs(reach) >= 1 ? 0 : 0.42 + 0.5 * Math.cos(Math.PI * reach) + 0.08 * Math.cos(2 * Math.PI * reach)
    filter[tap] = sinc * window
    sum += sinc * window
  }
  return filter.map((value) => value / sum)
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b)
}
