/** Width and height of a picture as its header says them, without decoding a pixel. */

/** In pixels; `frames` is 2 when there is more than one (it is not counted further). */
export type ImageSize = { width: number; height: number; frames: number }

/** Reads the header of a JPEG, PNG, GIF, WebP or BMP; null when it is cut short or not one of these. */
export function imageSize(file: Uint8Array, mimetype: string): ImageSize | null {
  const read = READERS[mimetype]
  if (!read) return null
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength)
  try {
    const size = read(bytes)
    return size && size.width > 0 && size.height > 0 ? size : null
  } catch (error) {
    // A read past the end: the header is cut short.
    if (error instanceof RangeError) return null
    throw error
  }
}

const READERS: Record<string, (bytes: Buffer) => ImageSize | null> = {
  'image/jpeg': jpeg,
  'image/png': png,
  'image/gif': gif,
  'image/webp': webp,
  'image/bmp': bmp,
}

/** Start-of-frame markers; C4, C8 and CC mean other things. */
const isFrame = (marker: number): boolean =>
  marker >= 0xc0 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc

/** Parts in front of the picture: far above what cameras write. */
const MAX_SEGMENTS = 5000

function jpeg(bytes: Buffer): ImageSize | null {
  let turned = false
  let at = 2
  for (let looked = 0; looked < MAX_SEGMENTS; looked += 1) {
    if (bytes.readUInt8(at) !== 0xff) return null
    const marker = bytes.readUInt8(at + 1)
    // Fill bytes and markers without a length.
    if (marker === 0xff) at += 1
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2
    else {
      const length = bytes.readUInt16BE(at + 2)
      if (length < 2 || marker === 0xda || marker === 0xd9) return null
      if (marker === 0xe1) turned ||= isTurned(bytes.subarray(at + 4, at + 2 + length))
      if (isFrame(marker)) {
        const [height, width] = [bytes.readUInt16BE(at + 5), bytes.readUInt16BE(at + 7)]
        return turned ? { width: height, height: width, frames: 1 } : { width, height, frames: 1 }
      }
      at += 2 + length
    }
  }
  return null
}

/** Whether EXIF says that the picture is shown turned by 90° (orientations 5 to 8). */
function isTurned(segment: Buffer): boolean {
  if (segment.toString('latin1', 0, 6) !== 'Exif\0\0') return false
  const tiff = segment.subarray(6)
  const little = tiff.toString('latin1', 0, 2) === 'II'
  const u16 = (at: number) =>
    at + 2 > tiff.length ? 0 : little ? tiff.readUInt16LE(at) : tiff.readUInt16BE(at)
  const u32 = (at: number) =>
    at + 4 > tiff.length ? 0 : little ? tiff.readUInt32LE(at) : tiff.readUInt32BE(at)
  const directory = u32(4)
  for (let entry = 0; entry < Math.min(u16(directory), 64); entry += 1) {
    const at = directory + 2 + entry * 12
    if (u16(at) === 0x0112) return u16(at + 8) >= 5 && u16(at + 8) <= 8
  }
  return false
}

function png(bytes: Buffer): ImageSize | null {
  if (bytes.toString('latin1', 12, 16) !== 'IHDR') return null
  const size = { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) }
  // An animated PNG says so in a chunk in front of the pixels.
  const pixels = bytes.indexOf('IDAT', 33, 'latin1')
  const animated = bytes.subarray(0, pixels < 0 ? bytes.length : pixels).includes('acTL', 33, 'latin1')
  return { ...size, frames: animated ? 2 : 1 }
}

function gif(bytes: Buffer): ImageSize | null {
  const size = { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) }
  return { ...size, frames: gifFrames(bytes) }
}

/** Counts pictures up to 2 by walking over the blocks. */
function gifFrames(bytes: Buffer): number {
  const table = (flags: number) => (flags & 0x80 ? 3 * 2 ** ((flags & 7) + 1) : 0)
  let at = 13 + table(bytes.readUInt8(10))
  let frames = 0
  const skipBlocks = () => {
    while (at < bytes.length && bytes[at] !== 0) at += 1 + (bytes[at] ?? 0)
    at += 1
  }
  while (at < bytes.length && frames < 2) {
    const kind = bytes[at]
    if (kind === 0x21) {
      at += 2
      skipBlocks()
    } else if (kind === 0x2c) {
      frames += 1
      at += 10 + table(bytes[at + 9] ?? 0) + 1
      skipBlocks()
    } else break
  }
  return Math.max(1, frames)
}

function webp(bytes: Buffer): ImageSize | null {
  const kind = bytes.toString('latin1', 12, 16)
  if (kind === 'VP8X') {
    const animated = (bytes.readUInt8(20) & 2) !== 0
    return {
      width: 1 + bytes.readUIntLE(24, 3),
      height: 1 + bytes.readUIntLE(27, 3),
      frames: animated ? 2 : 1,
    }
  }
  if (kind === 'VP8L') {
    if (bytes.readUInt8(20) !== 0x2f) return null
    const bits = bytes.readUInt32LE(21)
    return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >>> 14) & 0x3fff), frames: 1 }
  }
  if (kind === 'VP8 ') {
    if (bytes.readUIntBE(23, 3) !== 0x9d012a) return null
    return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff, frames: 1 }
  }
  return null
}

function bmp(bytes: Buffer): ImageSize | null {
  if (bytes.readUInt32LE(14) === 12)
    return { width: bytes.readUInt16LE(18), height: bytes.readUInt16LE(20), frames: 1 }
  // A negative height means that the rows run from the top.
  return { width: bytes.readInt32LE(18), height: Math.abs(bytes.readInt32LE(22)), frames: 1 }
}
