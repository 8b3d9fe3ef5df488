/** WAV: whole numbers of 8, 16, 24 and 32 bits and floats of 32 and 64, as a stream. */
import type { Sound } from './sound'
import { UnreadableSound } from './sound'

type Format = { float: boolean; channels: number; rate: number; bits: number }

const PCM = 1
const FLOAT = 3
const EXTENSIBLE = 0xfffe

/** Samples converted at once: a second of stereo at 48 kHz would be twice as many. */
const BATCH = 8192

/** Decodes a WAV stream. Throws `UnreadableSound` when it is no PCM or breaks off in its header. */
export async function* wavSound(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Sound> {
  let rest = Buffer.alloc(0)
  let format: Format | null = null
  let channels: Float32Array[] = []
  /** Bytes of the data chunk still to come; null before it. */
  let left: number | null = null
  let skip = 12
  for await (const chunk of bytes) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    while (left === null) {
      const dropped = Math.min(skip, rest.length)
      rest = rest.subarray(dropped)
      skip -= dropped
      if (skip > 0 || rest.length < 8) break
      const name = rest.toString('latin1', 0, 4)
      const size = rest.readUInt32LE(4)
      if (name === 'data') {
        rest = rest.subarray(8)
        // Written to a pipe, the length is unknown: 0 or all ones; then the sound goes on to the end.
        left = size === 0 || size >= 0xffffff00 ? Number.POSITIVE_INFINITY : size
      } else if (name === 'fmt ') {
        if (size < 16 || size > 1024) throw new UnreadableSound('The format of the WAV file is not valid')
        if (rest.length < 8 + size) break
        format = readFormat(rest.subarray(8, 8 + size))
        skip = 8 + size + (size & 1)
      } else skip = 8 + size + (size & 1)
    }
    if (left === null) continue
    if (!format) throw new UnreadableSound('The WAV file does not say its format')
    const frame = (format.bits >> 3) * format.channels
    if (channels.length === 0)
      channels = Array.from({ length: format.channels }, () => new Float32Array(BATCH))
    for (;;) {
      const usable = Math.min(rest.length, left, frame * BATCH)
      const whole = usable - (usable % frame)
      if (whole === 0) break
      yield samplesOf(rest.subarray(0, whole), format, channels)
      rest = rest.subarray(whole)
      left -= whole
    }
    if (left < frame) return
  }
  if (left === null) throw new UnreadableSound('The WAV file holds no sound')
}

function readFormat(bytes: Buffer): Format {
  let code = bytes.readUInt16LE(0)
  if (code === EXTENSIBLE && bytes.length >= 26) code = bytes.readUInt16LE(24)
  const format = {
    float: code === FLOAT,
    channels: bytes.readUInt16LE(2),
    rate: bytes.readUInt32LE(4),
    bits: bytes.readUInt16LE(14),
  }
  const widths = code === PCM ? [8, 16, 24, 32] : code === FLOAT ? [32, 64] : []
  if (!widths.includes(format.bits)) throw new UnreadableSound('This kind of WAV file is not plain PCM')
  if (format.channels < 1 || format.channels > 32)
    throw new UnreadableSound('The number of channels is not valid')
  if (format.rate < 4000 || format.rate > 384_000) throw new UnreadableSound('The sample rate is not valid')
  return format
}

/** One sample at `at` as a number in −1…1. */
const READ: Record<string, (bytes: Buffer, at: number) => number> = {
  // Eight bits are the only ones without a sign.
  '8': (bytes, at) => (bytes.readUInt8(at) - 128) / 128,
  '16': (bytes, at) => bytes.readInt16LE(at) / 0x8000,
  '24': (bytes, at) => bytes.readIntLE(at, 3) / 0x800000,
  '32': (bytes, at) => bytes.readInt32LE(at) / 0x80000000,
  f32: (bytes, at) => bytes.readFloatLE(at),
  f64: (bytes, at) => bytes.readDoubleLE(at),
}

/** Fills `channels` anew. */
function samplesOf(bytes: Buffer, format: Format, channels: readonly Float32Array[]): Sound {
  const read = READ[`${format.float ? 'f' : ''}${format.bits}`]
  if (!read) throw new UnreadableSound('This kind of WAV file is not plain PCM')
  const width = format.bits >> 3
  const frames = bytes.length / (width * format.channels)
  for (const [index, channel] of channels.entries())
    for (let frame = 0; frame < frames; frame += 1)
      channel[frame] = read(bytes, (frame * format.channels + index) * width)
  return { rate: format.rate, channels: channels.map((channel) => channel.subarray(0, frames)) }
}
