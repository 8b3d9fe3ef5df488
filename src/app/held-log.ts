/** Lines that are held back until the line that others wait for has been written. */
export interface HeldLines {
  write(line: string): void
  /** Writes `first`, then everything held; from now on lines pass through. */
  release(first: string | null): void
}

/** Makes a holder in front of `out`. */
export function holdLines(out: (line: string) => void): HeldLines {
  let held: string[] | null = []
  return {
    write(line) {
      if (held) held.push(line)
      else out(line)
    },
    release(first) {
      const lines = held ?? []
      held = null
      if (first !== null) out(first)
      for (const line of lines) out(line)
    },
  }
}
