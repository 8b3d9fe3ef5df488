/** Reads the PNGs that the product draws: 8 or fewer bits, grey or palette-free, not interlaced. */
import { inflateSync } from 'node:zlib'

export type Picture = { width: number; height: number /** RGBA. */; data: Uint8ClampedArray }

/** Decodes a grey PNG of 1 or 8 bits with filter 0; throws on anything else. */
export function decodePng(file: Buffer): Picture {
  if (file.toString('latin1', 1, 4) !== 'PNG') throw new Error('Not a PNG')
  const width = file.readUInt32BE(16)
  const height = file.readUInt32BE(20)
  const depth = file[24] ?? 0
  if (file[25] !== 0 || (depth !== 1 && depth !== 8)) throw new Error('Not a grey PNG of 1 or 8 bits')
  const parts: Buffer[] = []
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at)
    if (file.toString('latin1', at + 4, at + 8) === 'IDAT') parts.push(file.subarray(at + 8, at + 8 + length))
    at += length + 12
  }
  const rows = inflateSync(Buffer.concat(parts))
  const stride = 1 + Math.ceil((width * depth) / 8)
  const data = new Uint8ClampedArray(width * height * 4)
  for (let y = 0; y < height; y += 1) {
    if (rows[y * stride] !== 0) throw new Error('A row is filtered')
    for (let x = 0; x < width; x += 1) {
      const byte = rows[y * stride + 1 + ((x * depth) >> 3)] ?? 0
      const light = depth === 8 ? byte : (byte >> (7 - (x & 7))) & 1 ? 255 : 0
      data.fill(light, (y * width + x) * 4, (y * width + x) * 4 + 3)
      data[(y * width + x) * 4 + 3] = 255
    }
  }
  return { width, height, data }
}
