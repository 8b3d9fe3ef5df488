import { expect, test } from 'bun:test'
import { inflateSync } from 'node:zlib'
import jsQR from 'jsqr'
import { qrDataUrl, qrPng, qrSvg, qrTerminal } from '../../src/sessions/qr-image'

/** As long as the texts that WhatsApp's registration gives: reference, three keys of 32 bytes, platform. */
const TEXT = `https://wa.me/settings/linked_devices#2@${'aB3/'.repeat(38)},${'Q'.repeat(43)}=,${'x'.repeat(43)}=,${'7'.repeat(43)}=,1`

type Picture = { size: number; dark(x: number, y: number): boolean }

/** Reads the PNG as any reader would: header, data, one bit a pixel. */
function readPng(png: Buffer): Picture {
  expect(png.subarray(0, 8).toString('hex')).toBe('89504e470d0a1a0a')
  const width = png.readUInt32BE(16)
  expect(png.readUInt32BE(20)).toBe(width)
  const at = png.indexOf('IDAT')
  const rows = inflateSync(png.subarray(at + 4, at + 4 + png.readUInt32BE(at - 4)))
  const stride = 1 + Math.ceil(width / 8)
  return {
    size: width,
    dark: (x, y) => (((rows[y * stride + 1 + (x >> 3)] ?? 0) >> (7 - (x & 7))) & 1) === 0,
  }
}

/** What a phone's camera reads, the picture enlarged. */
function scan(picture: Picture, scale: number): string | null {
  const width = picture.size * scale
  const pixels = new Uint8ClampedArray(width * width * 4)
  for (let y = 0; y < width; y += 1)
    for (let x = 0; x < width; x += 1) {
      const shade = picture.dark(Math.floor(x / scale), Math.floor(y / scale)) ? 0 : 255
      pixels.set([shade, shade, shade, 255], (y * width + x) * 4)
    }
  return jsQR(pixels, width, width, { inversionAttempts: 'dontInvert' })?.data ?? null
}

test('the PNG is 256 by 256 pixels and scans to its text', async () => {
  for (const text of ['short', TEXT, 'x'.repeat(900)]) {
    const picture = readPng(await qrPng(text))
    expect(picture.size).toBe(256)
    expect(scan(picture, 2)).toBe(text)
  }
})

test('the data URL holds exactly the PNG', async () => {
  const url = await qrDataUrl(TEXT)
  const prefix = 'data:image/png;base64,'
  expect(url).toStartWith(prefix)
  expect(Buffer.from(url.slice(prefix.length), 'base64').equals(await qrPng(TEXT))).toBe(true)
})

test('a code that is asked for again is not drawn again', async () => {
  expect(await qrPng(TEXT)).toBe(await qrPng(TEXT))
})

test('a text that does not fit is refused, not drawn badly', async () => {
  expect(qrPng('x'.repeat(3_000))).rejects.toThrow()
})

test('the terminal blocks scan on a dark and on a light terminal: they bring their own colours', async () => {
  const text = await qrTerminal(TEXT)
  const lines = text.trimEnd().split('\n')
  const rows = lines.flatMap((line) => {
    expect(line).toStartWith('\u001b[38;5;16;48;5;231m')
    expect(line).toEndWith('\u001b[0m')
    const cells = [...line.replace(/\u001b\[[0-9;]*m/g, '')]
    return [cells.map((cell) => '█▀'.includes(cell)), cells.map((cell) => '█▄'.includes(cell))]
  })
  const size = rows[0]?.length ?? 0
  expect(scan({ size, dark: (x, y) => rows[y]?.[x] ?? false }, 3)).toBe(TEXT)
})

test('the SVG draws the same modules', async () => {
  const svg = await qrSvg(TEXT)
  const size = Number(/viewBox="0 0 (\d+) /.exec(svg)?.[1])
  const dark = new Set<string>()
  for (const [, x, y, run] of svg.matchAll(/M(\d+) (\d+)h(\d+)v1h-\d+z/g))
    for (let step = 0; step < Number(run); step += 1) dark.add(`${Number(x) + step},${y}`)
  expect(scan({ size, dark: (x, y) => dark.has(`${x},${y}`) }, 3)).toBe(TEXT)
  expect(svg).not.toContain('http://www.w3.org/1999')
  expect(svg).not.toContain('<script')
})
