/** Sounds made up in code, as samples and as files of every kind that the product reads. */
import { join } from 'node:path'
import { createEncoder } from 'wasm-media-encoders'
import { OggWriter } from '../../src/media/ogg'

/** A tone of `seconds`, whose loudness at each moment (0…1 of its length) is `envelope`. */
export function tone(
  rate: number,
  seconds: number,
  envelope: (share: number) => number = () => 0.5,
  frequency = 440,
): Float32Array {
  const samples = new Float32Array(Math.round(rate * seconds))
  for (let at = 0; at < samples.length; at += 1)
    samples[at] = envelope(at / samples.length) * Math.sin((2 * Math.PI * frequency * at) / rate)
  return samples
}

/** Loud in its first half and silent in its second. */
export const loudThenSilent = (share: number): number => (share < 0.5 ? 0.6 : 0)

export type WavKind = 'u8' | 's16' | 's24' | 's32' | 'f32' | 'f64'
const BITS: Record<WavKind, number> = { u8: 8, s16: 16, s24: 24, s32: 32, f32: 32, f64: 64 }

/** A WAV file; `extensible` writes the long header, `unknownLength` what a pipe would. */
export function wav(
  channels: Float32Array[],
  rate: number,
  kind: WavKind = 's16',
  options: { extensible?: boolean; unknownLength?: boolean; junk?: number } = {},
): Buffer {
  const width = BITS[kind] / 8
  const frames = channels[0]?.length ?? 0
  const data = Buffer.alloc(frames * channels.length * width)
  const write: Record<WavKind, (value: number, at: number) => void> = {
    u8: (value, at) => data.writeUInt8(Math.round(value * 127) + 128, at),
    s16: (value, at) => data.writeInt16LE(Math.round(value * 32767), at),
    s24: (value, at) => data.writeIntLE(Math.round(value * 8388607), at, 3),
    s32: (value, at) => data.writeInt32LE(Math.round(value * 2147483647), at),
    f32: (value, at) => data.writeFloatLE(value, at),
    f64: (value, at) => data.writeDoubleLE(value, at),
  }
  for (let frame = 0; frame < frames; frame += 1)
    for (const [index, channel] of channels.entries())
      write[kind](channel[frame] ?? 0, (frame * channels.length + index) * width)

  const code = kind.startsWith('f') ? 3 : 1
  const format = Buffer.alloc(options.extensible ? 40 : 16)
  format.writeUInt16LE(options.extensible ? 0xfffe : code, 0)
  format.writeUInt16LE(channels.length, 2)
  format.writeUInt32LE(rate, 4)
  format.writeUInt32LE(rate * channels.length * width, 8)
  format.writeUInt16LE(channels.length * width, 12)
  format.writeUInt16LE(BITS[kind], 14)
  if (options.extensible) {
    format.writeUInt16LE(22, 16)
    format.writeUInt16LE(code, 24)
  }
  const chunk = (name: string, body: Buffer, length = body.length) => {
    const head = Buffer.alloc(8)
    head.write(name, 'latin1')
    head.writeUInt32LE(length, 4)
    return Buffer.concat([head, body, Buffer.alloc(body.length & 1)])
  }
  const body = Buffer.concat([
    Buffer.from('WAVE'),
    ...(options.junk ? [chunk('LIST', Buffer.alloc(options.junk, 7))] : []),
    chunk('fmt ', format),
    chunk('data', data, options.unknownLength ? 0xffffffff : data.length),
  ])
  return chunk('RIFF', body, options.unknownLength ? 0xffffffff : body.length)
}

const WASM = join(import.meta.dir, '../../node_modules/wasm-media-encoders/wasm')

/** An MP3 of 128 kbit/s. */
export async function mp3(channels: Float32Array[], rate: number): Promise<Buffer> {
  const encoder = await createEncoder('audio/mpeg', await Bun.file(join(WASM, 'mp3.wasm')).arrayBuffer())
  encoder.configure({ sampleRate: rate as 44100, channels: channels.length === 2 ? 2 : 1, bitrate: 128 })
  return Buffer.concat([Buffer.from(encoder.encode(channels)), Buffer.from(encoder.finalize())])
}

/** An OGG file with Vorbis. */
export async function vorbis(channels: Float32Array[], rate: number): Promise<Buffer> {
  const encoder = await createEncoder('audio/ogg', await Bun.file(join(WASM, 'ogg.wasm')).arrayBuffer())
  encoder.configure({ sampleRate: rate, channels: channels.length === 2 ? 2 : 1, vbrQuality: 3 })
  return Buffer.concat([Buffer.from(encoder.encode(channels)), Buffer.from(encoder.finalize())])
}

/** An OGG file with Opus of one or two channels at 48 kHz; `gain` in dB is only told in its header. */
export async function opus(
  channels: Float32Array[],
  options: { gain?: number; packetsAPage?: number } = {},
): Promise<Buffer> {
  const { createEncoder: createOpus } = await import('libopus-wasm')
  const count = channels.length === 2 ? 2 : 1
  const encoder = await createOpus({ sampleRate: 48_000, channels: count, bitrate: 64_000 })
  const preSkip = encoder.getLookahead()
  const head = Buffer.alloc(19)
  head.write('OpusHead', 'latin1')
  head.writeUInt8(1, 8)
  head.writeUInt8(count, 9)
  head.writeUInt16LE(preSkip, 10)
  head.writeUInt32LE(44_100, 12)
  head.writeInt16LE(Math.round((options.gain ?? 0) * 256), 16)
  const ogg = new OggWriter(4711)
  const pages = [ogg.page([head], 0), ogg.page([Buffer.from('OpusTags\x01\0\0\0t\0\0\0\0', 'latin1')], 0)]
  const length = channels[0]?.length ?? 0
  const total = length + preSkip
  let packets: Uint8Array[] = []
  for (let at = 0; at < total; at += 960) {
    const frame = new Float32Array(960 * count)
    for (let sample = 0; sample < 960; sample += 1)
      for (const [index, channel] of channels.entries())
        frame[sample * count + index] = channel[at + sample] ?? 0
    packets.push(Uint8Array.from(encoder.encodeFloat(frame)))
    const last = at + 960 >= total
    if (last || packets.length === (options.packetsAPage ?? 20)) {
      pages.push(ogg.page(packets, last ? total : at + 960, last))
      packets = []
    }
  }
  encoder.free()
  return Buffer.concat(pages)
}

/** The bytes as a stream in pieces of `size`. */
export async function* inPieces(bytes: Uint8Array, size = 4096): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield Uint8Array.from(bytes.subarray(at, at + size))
}

export async function collect(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = []
  for await (const part of bytes) parts.push(part)
  return Buffer.concat(parts)
}
