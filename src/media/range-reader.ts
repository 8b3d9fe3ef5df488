/** A file that can be read anywhere, in memory or on disk. */

export type RangeReader = {
  size: number
  /** The bytes from `start` up to and without `end`; fewer at the end of the file. */
  read(start: number, end: number): Promise<Uint8Array>
}

export const inMemory = (file: Uint8Array): RangeReader => ({
  size: file.length,
  read: async (start, end) => file.subarray(start, Math.max(start, end)),
})

const WINDOW = 16_384

/** Reads ahead in windows of 16 KB, so that looking at many small fields costs few reads. */
export function windowed(file: RangeReader): RangeReader {
  let from = 0
  let held = new Uint8Array()
  return {
    size: file.size,
    async read(start, end) {
      const stop = Math.min(end, file.size)
      if (start >= stop) return new Uint8Array()
      if (start < from || stop > from + held.length) {
        from = start
        held = Uint8Array.from(await file.read(start, Math.min(file.size, Math.max(stop, start + WINDOW))))
      }
      return held.subarray(start - from, stop - from)
    },
  }
}
