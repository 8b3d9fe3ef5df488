/** Pictures made up in code. */
import { deflateSync } from 'node:zlib'
import { encodePng } from '../../src/media/png'

/** A PNG of colours that differ from pixel to pixel; opaque. */
export function png(width: number, height: number): Buffer {
  const data = new Uint8Array(width * height * 4)
  for (let at = 0; at < data.length; at += 4)
    data.set([(at * 7) & 255, (at >> 6) & 255, (at >> 10) & 255, 255], at)
  return encodePng({ width, height, data })
}

export const jpeg = (width: number, height: number): Promise<Buffer> =>
  new Bun.Image(png(width, height)).jpeg().buffer()
export const webp = (width: number, height: number): Promise<Buffer> =>
  new Bun.Image(png(width, height)).webp().buffer()

/** A PNG that promises so many pixels and holds a few bytes. */
export function hugePng(width: number, height: number): Buffer {
  const file = encodePng({ width: 1, height: 1, data: new Uint8Array(4) })
  file.writeUInt32BE(width, 16)
  file.writeUInt32BE(height, 20)
  file.writeUInt32BE(Bun.hash.crc32(file.subarray(12, 29)), 29)
  return Buffer.concat([file.subarray(0, 33), pngChunk('IDAT', deflateSync(Buffer.alloc(1000)))])
}

function pngChunk(name: string, data: Buffer): Buffer {
  const out = Buffer.alloc(12 + data.length)
  out.writeUInt32BE(data.length, 0)
  out.write(name, 4, 'latin1')
  out.set(data, 8)
  out.writeUInt32BE(Bun.hash.crc32(out.subarray(4, 8 + data.length)), 8 + data.length)
  return out
}

/** A GIF of one colour with so many pictures. */
export function gif(width: number, height: number, frames: number): Buffer {
  const head = Buffer.from('GIF89a\0\0\0\0\x80\0\0\xff\0\0\0\0\xff', 'latin1')
  head.writeUInt16LE(width, 6)
  head.writeUInt16LE(height, 8)
  const frame = Buffer.concat([
    Buffer.from('\x21\xf9\x04\0\x0a\0\0\0\x2c\0\0\0\0\x01\0\x01\0\0', 'latin1'),
    Buffer.from('\x02\x02\x44\x01\0', 'latin1'),
  ])
  return Buffer.concat([head, ...new Array<Buffer>(frames).fill(frame), Buffer.from(';')])
}

/** An animated WebP: the frame of `picture` (a simple WebP) twice. */
export function movingWebp(picture: Buffer, width: number, height: number): Buffer {
  const chunk = (name: string, body: Buffer): Buffer => {
    const head = Buffer.alloc(8)
    head.write(name, 'latin1')
    head.writeUInt32LE(body.length, 4)
    return Buffer.concat([head, body, Buffer.alloc(body.length & 1)])
  }
  const extended = Buffer.alloc(10)
  extended.writeUInt8(2, 0)
  extended.writeUIntLE(width - 1, 4, 3)
  extended.writeUIntLE(height - 1, 7, 3)
  const frame = Buffer.alloc(16)
  frame.writeUIntLE(width - 1, 6, 3)
  frame.writeUIntLE(height - 1, 9, 3)
  frame.writeUIntLE(100, 12, 3)
  const moving = chunk('ANMF', Buffer.concat([frame, picture.subarray(12)]))
  const body = Buffer.concat([
    Buffer.from('WEBP'),
    chunk('VP8X', extended),
    chunk('ANIM', Buffer.alloc(6)),
    moving,
    moving,
  ])
  return chunk('RIFF', body)
}
