/** The picture of a voice note: its loudness at 64 points, 0 to 100, as WhatsApp's clients draw it. */

const POINTS = 64
/** Samples at 48 kHz that share one measure: 5 ms, so that two hours take 6 MB. */
const BLOCK = 240

/** Listens to samples at 48 kHz and draws them at the end. */
export class Waveform {
  #levels: Float32Array = new Float32Array(1024)
  #count = 0
  #sum = 0
  #inBlock = 0

  add(samples: Float32Array): void {
    for (const sample of samples) {
      this.#sum += Math.abs(sample)
      this.#inBlock += 1
      if (this.#inBlock === BLOCK) this.#close()
    }
  }

  #close(): void {
    if (this.#count === this.#levels.length) {
      const wider = new Float32Array(this.#levels.length * 2)
      wider.set(this.#levels)
      this.#levels = wider
    }
    this.#levels[this.#count] = this.#sum / this.#inBlock
    this.#count += 1
    this.#sum = 0
    this.#inBlock = 0
  }

  /** Mean loudness of each 64th, where the loudest is 100; silence is all zeros. */
  points(): number[] {
    if (this.#inBlock > 0) this.#close()
    const means = Array.from({ length: POINTS }, (_, point) => {
      const from = Math.floor((point * this.#count) / POINTS)
      const to = Math.max(from + 1, Math.floor(((point + 1) * this.#count) / POINTS))
      const part = this.#levels.subarray(from, Math.min(to, this.#count))
      return part.length === 0 ? 0 : part.reduce((sum, level) => sum + level, 0) / part.length
    })
    const loudest = Math.max(...means)
    // Below a ten-thousandth it is the noise of a codec, not a voice.
    return means.map((mean) => (loudest < 1e-4 ? 0 : Math.round((mean / loudest) * 100)))
  }
}
