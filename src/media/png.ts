/** Pixels in and out of PNG: 8 bits a channel, RGB or RGBA, not interlaced; what `Bun.Image` itself writes. */
import { deflateSync, inflateSync } from 'node:zlib'

/** Four bytes a pixel (red, green, blue, opacity), rows from the top. */
export type Pixels = { width: number; height: number; data: Uint8Array }

const SIGNATURE = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1')

/** Decodes such a PNG; throws on any other. */
export function decodePng(file: Uint8Array): Pixels {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  const [width, height] = [bytes.readUInt32BE(16), bytes.readUInt32BE(20)]
  const channels = bytes[25] === 6 ? 4 : bytes[25] === 2 ? 3 : 0
  if (bytes[24] !== 8 || channels === 0 || bytes[28] !== 0) throw new Error('Not a plain 8-bit PNG in colour')
  const packed: Buffer[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = bytes.readUInt32BE(at)
    if (bytes.toString('latin1', at + 4, at + 8) === 'IDAT')
      packed.push(bytes.subarray(at + 8, at + 8 + length))
    at += length + 12
  }
  const stride = width * channels
  const rows = unfiltered(inflateSync(Buffer.concat(packed)), stride, height, channels)
  if (channels === 4) return { width, height, data: rows }
  const data = new Uint8Array(width * height * 4).fill(255)
  for (let pixel = 0; pixel < width * height; pixel += 1)
    data.set(rows.subarray(pixel * 3, pixel * 3 + 3), pixel * 4)
  return { width, height, data }
}

/** Undoes the five row filters (PNG specification, 9.2). */
function unfiltered(raw: Uint8Array, stride: number, height: number, channels: number): Uint8Array {
  if (raw.length < (stride + 1) * height) throw new Error('The pixels are cut short')
  const out = new Uint8Array(stride * height)
  for (let row = 0; row < height; row += 1) {
    const filter = raw[row * (stride + 1)] ?? 0
    const predict = FILTERS[filter]
    if (!predict) throw new Error(`There is no row filter ${filter}`)
    const [here, above] = [row * stride, (row - 1) * stride]
    for (let x = 0; x < stride; x += 1) {
      const left = x >= channels ? (out[here + x - channels] ?? 0) : 0
      const up = row > 0 ? (out[above + x] ?? 0) : 0
      const corner = row > 0 && x >= channels ? (out[above + x - channels] ?? 0) : 0
      out[here + x] = (raw[row * (stride + 1) + 1 + x] ?? 0) + predict(left, up, corner)
    }
  }
  return out
}

const FILTERS: readonly ((left: number, up: number, corner: number) => number)[] = [
  () => 0,
  (left) => left,
  (_, up) => up,
  (left, up) => (left + up) >> 1,
  (left, up, corner) => {
    const guess = left + up - corner
    const [a, b, c] = [Math.abs(guess - left), Math.abs(guess - up), Math.abs(guess - corner)]
    return a <= b && a <= c ? left : b <= c ? up : corner
  },
]

/** Encodes pixels as PNG, lightly packed: it is an intermediate. */
export function encodePng({ width, height, data }: Pixels): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  header.set([8, 6, 0, 0, 0], 8)
  const rows = Buffer.alloc((width * 4 + 1) * height)
  for (let row = 0; row < height; row += 1)
    rows.set(data.subarray(row * width * 4, (row + 1) * width * 4), row * (width * 4 + 1) + 1)
  return Buffer.concat([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows, { level: 1 })),
    chunk('IEND', Buffer.alloc(0)),
  ])
}

function chunk(name: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(name, 'latin1'), data])
  const out = Buffer.alloc(body.length + 8)
  out.writeUInt32BE(data.length, 0)
  out.set(body, 4)
  out.writeUInt32BE(Bun.hash.crc32(body), body.length + 4)
  return out
}

/** Lays `picture` in the middle of a see-through square with sides of `side` pixels; it must fit. */
export function centred(picture: Pixels, side: number): Pixels {
  const data = new Uint8Array(side * side * 4)
  const [left, top] = [(side - picture.width) >> 1, (side - picture.height) >> 1]
  for (let row = 0; row < picture.height; row += 1)
    data.set(
      picture.data.subarray(row * picture.width * 4, (row + 1) * picture.width * 4),
      ((top + row) * side + left) * 4,
    )
  return { width: side, height: side, data }
}
