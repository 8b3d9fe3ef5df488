/** Whole numbers in as few bytes as they need, seven bits in each, the lowest first; up to 2^53. */

export function varint(value: number): number[] {
  const bytes: number[] = []
  for (let rest = value; ; rest = Math.floor(rest / 0x80)) {
    if (rest < 0x80) return [...bytes, rest]
    bytes.push((rest % 0x80) | 0x80)
  }
}

/** The number that begins at `from`, and where the next thing begins. */
export function readVarint(bytes: Uint8Array, from: number): { value: number; next: number } {
  let value = 0
  for (let at = from, scale = 1; ; scale *= 0x80) {
    const byte = bytes[at++] ?? 0
    value += (byte & 0x7f) * scale
    if (byte < 0x80) return { value, next: at }
  }
}
