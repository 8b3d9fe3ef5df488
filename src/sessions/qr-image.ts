/**
 * A QR text as picture: PNG of exactly 256×256 pixels (sessions manual, "QR Code Properties"), SVG, or terminal blocks.
 *
 * Modules are drawn in whole pixels and centred, so that no scanner meets modules of unequal width.
 */
import { crc32, deflateSync } from 'node:zlib'
import { create } from 'qrcode'

/** Width and height of the PNG in pixels. */
export const QR_PIXELS = 256
/** Light modules around the code that the standard asks for. */
const QUIET = 4

type Grid = { size: number; dark(x: number, y: number): boolean }

/** The code with its quiet zone; coordinates count modules from the top left. */
function gridOf(text: string): Grid {
  const { modules } = create(text, { errorCorrectionLevel: 'M' })
  const inside = (n: number) => n >= QUIET && n < QUIET + modules.size
  return {
    size: modules.size + 2 * QUIET,
    dark: (x, y) => inside(x) && inside(y) && modules.get(y - QUIET, x - QUIET) === 1,
  }
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const framed = Buffer.alloc(body.length + 8)
  framed.writeUInt32BE(data.length, 0)
  body.copy(framed, 4)
  framed.writeUInt32BE(crc32(body), body.length + 4)
  return framed
}

/** A black and white PNG with one bit a pixel (PNG specification, colour type 0). */
function encodePng(pixels: number, dark: (x: number, y: number) => boolean): Buffer {
  const stride = 1 + Math.ceil(pixels / 8)
  const rows = Buffer.alloc(stride * pixels)
  for (let y = 0; y < pixels; y += 1) {
    for (let x = 0; x < pixels; x += 1) {
      const at = y * stride + 1 + (x >> 3)
      if (!dark(x, y)) rows[at] = (rows[at] ?? 0) | (0x80 >> (x & 7))
    }
  }
  const header = Buffer.alloc(13)
  header.writeUInt32BE(pixels, 0)
  header.writeUInt32BE(pixels, 4)
  header.set([1, 0, 0, 0, 0], 8)
  return Buffer.concat([
    Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]),
    chunk('IHDR', header),
    chunk('IDAT', deflateSync(rows)),
    chunk('IEND', new Uint8Array(0)),
  ])
}

function draw(text: string): Buffer {
  const grid = gridOf(text)
  const scale = Math.floor(QR_PIXELS / grid.size)
  if (scale < 1) throw new RangeError('This text is too long for a QR picture of 256 pixels')
  const margin = Math.floor((QR_PIXELS - scale * grid.size) / 2)
  const module = (pixel: number) => Math.floor((pixel - margin) / scale)
  return encodePng(QR_PIXELS, (x, y) => grid.dark(module(x), module(y)))
}

/** Pictures of the codes on show; a poller costs a lookup, not a drawing. */
const CACHED = 256
const drawn = new Map<string, Buffer>()

/** The code as PNG file. Rejects with `RangeError` when the text does not fit. */
export async function qrPng(text: string): Promise<Buffer> {
  const known = drawn.get(text)
  if (known) return known
  const png = draw(text)
  const oldest = drawn.keys().next().value
  if (drawn.size >= CACHED && oldest !== undefined) drawn.delete(oldest)
  drawn.set(text, png)
  return png
}

/** The PNG as `data:image/png;base64,…`. */
export const qrDataUrl = async (text: string): Promise<string> =>
  `data:image/png;base64,${(await qrPng(text)).toString('base64')}`

/** The code as SVG document that scales to any size. */
export async function qrSvg(text: string): Promise<string> {
  const grid = gridOf(text)
  const runs: string[] = []
  for (let y = 0; y < grid.size; y += 1) {
    for (let x = 0; x < grid.size; x += 1) {
      if (!grid.dark(x, y)) continue
      const from = x
      while (grid.dark(x + 1, y)) x += 1
      runs.push(`M${from} ${y}h${x + 1 - from}v1h-${x + 1 - from}z`)
    }
  }
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${QR_PIXELS}" height="${QR_PIXELS}" ` +
    `viewBox="0 0 ${grid.size} ${grid.size}" shape-rendering="crispEdges">` +
    `<path fill="#fff" d="M0 0h${grid.size}v${grid.size}H0z"/><path fill="#000" d="${runs.join('')}"/></svg>\n`
  )
}

/** Black on white whatever the terminal's own colours are: many scanners refuse an inverted code. */
const INK = '\u001b[38;5;16;48;5;231m'
const PLAIN = '\u001b[0m'

/** The code in half-block characters with colour escapes, two rows a line. */
export async function qrTerminal(text: string): Promise<string> {
  const grid = gridOf(text)
  const lines: string[] = []
  for (let y = 0; y < grid.size; y += 2) {
    let line = ''
    for (let x = 0; x < grid.size; x += 1) {
      const upper = grid.dark(x, y)
      const lower = grid.dark(x, y + 1)
      line += upper ? (lower ? '█' : '▀') : lower ? '▄' : ' '
    }
    lines.push(`${INK}${line}${PLAIN}\n`)
  }
  return lines.join('')
}
