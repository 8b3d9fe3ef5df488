/** Sound as it flows from a decoder to an encoder. */

/** A piece of sound: samples in −1…1, one array a channel, all of one length; valid until the next one is asked for. */
export type Sound = { rate: number; channels: Float32Array[] }

/** Thrown by decoders; the message may be shown to the caller. */
export class UnreadableSound extends Error {
  constructor(says: string, options?: ErrorOptions) {
    super(says, options)
    this.name = 'UnreadableSound'
  }
}

/** Mixes channels into one; what is no number is silence, what is too loud is cut off. */
export class Mixer {
  #mono = new Float32Array()

  /** The mean of all channels; valid until the next call. */
  mix({ channels }: Sound): Float32Array {
    const length = channels[0]?.length ?? 0
    if (this.#mono.length < length) this.#mono = new Float32Array(length)
    const mono = this.#mono.subarray(0, length).fill(0)
    for (const channel of channels)
      for (let at = 0; at < length; at += 1) mono[at] = (mono[at] ?? 0) + (channel[at] ?? 0)
    for (let at = 0; at < length; at += 1) {
      const value = (mono[at] ?? 0) / channels.length
      mono[at] = Number.isFinite(value) ? Math.max(-1, Math.min(1, value)) : 0
    }
    return mono
  }
}

/** Gives the event loop a turn whenever it was held for longer than a few milliseconds. */
export type Breath = () => Promise<void> | undefined

const LONGEST_HOLD = 10

/** Makes such a breath; `monotonic` in milliseconds. */
export function createBreath(monotonic: () => number): Breath {
  let since = monotonic()
  return () => {
    if (monotonic() - since < LONGEST_HOLD) return undefined
    return new Promise((resolve) =>
      setImmediate(() => {
        since = monotonic()
        resolve()
      }),
    )
  }
}
