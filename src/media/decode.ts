/** MP3, OGG and WAV to samples, in pieces, without any program from outside. */
import type { createDecoder } from 'libopus-wasm'
import { BrokenOgg, type OggPacket, oggPackets } from './ogg'
import { type OpusHead, opusSamples, readOpusHead } from './opus-head'
import { OPUS_RATE } from './resample'
import { type Sound, UnreadableSound } from './sound'
import { wavSound } from './wav'

/** A stream of sound out of a stream of bytes. Throws `UnreadableSound`. */
export type Decode = (bytes: AsyncIterable<Uint8Array>) => AsyncIterable<Sound>

/** Sniffed type → how it is decoded here. */
export const DECODERS: Readonly<Record<string, Decode>> = {
  'audio/mpeg': mp3Sound,
  'audio/wav': wavSound,
  'audio/ogg; codecs=opus': opusSound,
  'audio/ogg; codecs=vorbis': vorbisSound,
}

/** Bytes given to a decoder at once; at the lowest MP3 rate about sixteen seconds. */
const PIECE = 16_384

/** Damaged frames in a row of which a file is said to be no sound at all. */
const MAX_ERRORS = 50

async function* mp3Sound(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Sound> {
  // Loaded at the first use: they take time and memory that a server which sends no voice notes does not owe.
  const { MPEGDecoder, MPEGDecoderWebWorker } = await import('mpg123-decoder')
  // Its index names both classes; a bundler that drops the unused one breaks the other.
  if (typeof MPEGDecoderWebWorker !== 'function') throw new Error('The MP3 decoder is not whole')
  const decoder = new MPEGDecoder()
  await decoder.ready
  let errors = 0
  try {
    for await (const chunk of bytes)
      for (let at = 0; at < chunk.length; at += PIECE) {
        const {
          channelData,
          sampleRate,
          samplesDecoded,
          errors: told,
        } = decoding('MP3', () => decoder.decode(chunk.subarray(at, at + PIECE)))
        errors = samplesDecoded > 0 && told.length === 0 ? 0 : errors + told.length
        if (errors > MAX_ERRORS) throw new UnreadableSound('The MP3 file is damaged')
        if (samplesDecoded > 0 && sampleRate > 0) yield { rate: sampleRate, channels: channelData }
      }
  } finally {
    decoder.free()
  }
}

/** Translates what the container complains about. */
async function* packetsOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<OggPacket> {
  try {
    yield* oggPackets(bytes)
  } catch (error) {
    if (error instanceof BrokenOgg) throw new UnreadableSound(`The OGG file is damaged: ${error.message}`)
    throw error
  }
}

async function* opusSound(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Sound> {
  let head: OpusHead | null = null
  let tags = false
  let decoder: Awaited<ReturnType<typeof createDecoder>> | null = null
  /** Samples of all packets so far, of which the first `preSkip` are not played. */
  let position = 0
  try {
    for await (const { data, granule, last } of packetsOf(bytes)) {
      if (!head) {
        head = readOpusHead(data)
        if (head?.family !== 0 || head.channels > 2)
          throw new UnreadableSound('OGG/Opus with more than two channels is not supported')
        const { createDecoder } = await import('libopus-wasm')
        decoder = await createDecoder({ sampleRate: OPUS_RATE, channels: head.channels === 2 ? 2 : 1 })
        continue
      }
      if (!tags) {
        tags = true
        continue
      }
      if (!decoder || opusSamples(data) === 0)
        throw new UnreadableSound('The OGG file holds a damaged Opus packet')
      const opus = decoder
      const samples = decoding('OGG', () => opus.decodeFloat(data))
      const length = samples.length / head.channels
      const from = Math.min(length, Math.max(0, head.preSkip - position))
      // The last page's position cuts off what was only padding.
      const to = last && granule !== null ? Math.max(from, Math.min(length, granule - position)) : length
      position += length
      if (to > from) yield { rate: OPUS_RATE, channels: split(samples, head, from, to) }
    }
    if (!head || !tags) throw new UnreadableSound('The OGG file holds no sound')
  } finally {
    decoder?.free()
  }
}

/** A decoder that gives up, or runs out of its own memory, was given damaged bytes. */
function decoding<T>(what: string, work: () => T): T {
  try {
    return work()
  } catch (cause) {
    if (cause instanceof UnreadableSound) throw cause
    throw new UnreadableSound(`The ${what} file is damaged`, { cause })
  }
}

function split(interleaved: Float32Array, head: OpusHead, from: number, to: number): Float32Array[] {
  return Array.from({ length: head.channels }, (_, channel) => {
    const out = new Float32Array(to - from)
    for (let at = 0; at < out.length; at += 1)
      out[at] = (interleaved[(from + at) * head.channels + channel] ?? 0) * head.gain
    return out
  })
}

/**
 * The decoder's inner part, which takes packets. Its outer part parses the container itself, and reads memory that was
 * never written while a file has shown nothing but headers (0.1.20).
 */
type VorbisPackets = {
  sendSetupHeader(packet: Uint8Array): void
  initDsp(): void
  decodePackets(packets: Uint8Array[]): {
    channelData: Float32Array[]
    sampleRate: number
    samplesDecoded: number
  }
}

const VORBIS_MAX_PACKET = 128 * 1024

async function* vorbisSound(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Sound> {
  const { OggVorbisDecoder, OggVorbisDecoderWebWorker } = await import('@wasm-audio-decoders/ogg-vorbis')
  if (typeof OggVorbisDecoderWebWorker !== 'function') throw new Error('The Vorbis decoder is not whole')
  const outer = new OggVorbisDecoder()
  await outer.ready
  const decoder = (outer as unknown as { _decoder: VorbisPackets })._decoder
  const headers: Uint8Array[] = []
  let position = 0
  try {
    for await (const { data, granule, last } of packetsOf(bytes)) {
      if (data.length > VORBIS_MAX_PACKET)
        throw new UnreadableSound('The OGG file holds a packet that is too long')
      if (headers.length < 3) {
        headers.push(data)
        if (headers.length === 3) decoding('OGG', () => setUp(decoder, headers))
        continue
      }
      const { channelData, sampleRate, samplesDecoded } = decoding('OGG', () => decoder.decodePackets([data]))
      const length =
        last && granule !== null ? Math.max(0, Math.min(samplesDecoded, granule - position)) : samplesDecoded
      position += samplesDecoded
      if (length > 0)
        yield { rate: sampleRate, channels: channelData.map((samples) => samples.subarray(0, length)) }
    }
    if (headers.length < 3) throw new UnreadableSound('The OGG file holds no sound')
  } finally {
    outer.free()
  }
}

/** The three header packets (Vorbis I, section 4.2); the comments in the middle are not needed. */
function setUp(decoder: VorbisPackets, [identification, , setup]: Uint8Array[]): void {
  const [channels, rate] = [identification?.[11] ?? 0, identification ? rateOf(identification) : 0]
  const valid = setup?.[0] === 5 && channels >= 1 && channels <= 8 && rate >= 4000 && rate <= 384_000
  if (!identification || !setup || !valid) throw new UnreadableSound('The Vorbis headers are not valid')
  decoder.sendSetupHeader(identification)
  decoder.sendSetupHeader(setup)
  decoder.initDsp()
}

const rateOf = (packet: Uint8Array): number =>
  packet.length < 30 ? 0 : new DataView(packet.buffer, packet.byteOffset).getUint32(12, true)
