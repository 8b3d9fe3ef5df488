/**
 * Voice notes: any sound that can be decoded here becomes one channel of Opus in OGG at 48 kHz, piece by piece.
 *
 * Every packet holds one frame of 20 ms: some phones do not play packets of several frames.
 */
import { DECODERS } from './decode'
import { OggWriter, segmentsOf } from './ogg'
import { readOpusHead, writeOpusHead, writeOpusTags } from './opus-head'
import { OPUS_RATE, Resampler } from './resample'
import { type Breath, Mixer, type Sound, UnreadableSound } from './sound'
import { Waveform } from './waveform'

export const VOICE_MIMETYPE = 'audio/ogg; codecs=opus'

const FRAME = 960
const BITRATE = 32_000
/** Of 10; above this a voice gains nothing that is heard, and takes a third longer. */
const COMPLEXITY = 6
/** A page a second, as other programs write them. */
const PACKETS_A_PAGE = 50

/** What is told of a voice note beside its bytes; known once all bytes were read. */
export type VoiceFacts = { seconds: number; waveform: number[] }

export type VoiceNote = {
  bytes: AsyncIterable<Uint8Array>
  /** Throws while the bytes were not read to their end. */
  facts(): VoiceFacts
}

export type VoiceLimits = {
  /** Longest sound; a longer one is refused while it is read. */
  maxSeconds: number
  breath: Breath
}

/** Whether a sound of this sniffed type can be made a voice note without help from outside. */
export const isVoiceSource = (mimetype: string): boolean => mimetype in DECODERS

/** Whether it is a voice note already: one stream of one channel of Opus, by the first bytes of an OGG file. */
export function isVoiceAlready(head: Uint8Array): boolean {
  const segments = head[26] ?? 0
  const opus = readOpusHead(head.subarray(27 + segments))
  return opus?.channels === 1 && opus.family === 0
}

/**
 * Makes a voice note of a sound. With `keep` the bytes are passed on as they are and only listened to. Iterating
 * throws `UnreadableSound` when the sound is damaged, empty or too long.
 */
export function voiceNote(
  source: AsyncIterable<Uint8Array>,
  mimetype: string,
  keep: boolean,
  limits: VoiceLimits,
): VoiceNote {
  const waveform = new Waveform()
  let samples = 0
  let done = false

  async function* heard(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Float32Array> {
    const decode = DECODERS[mimetype]
    if (!decode) throw new UnreadableSound(`${mimetype} cannot be decoded here`)
    for await (const piece of atOpusRate(decode(bytes))) {
      samples += piece.length
      if (samples > limits.maxSeconds * OPUS_RATE)
        throw new UnreadableSound(`The sound is longer than ${limits.maxSeconds} seconds`)
      waveform.add(piece)
      yield piece
      await limits.breath()
    }
    if (samples === 0) throw new UnreadableSound('The file holds no sound')
    done = true
  }

  return {
    bytes: keep ? passedOn(source, heard) : encoded(heard(source), limits.breath),
    facts() {
      if (!done) throw new Error('The sound was not read to its end')
      return { seconds: Math.max(1, Math.round(samples / OPUS_RATE)), waveform: waveform.points() }
    },
  }
}

async function* atOpusRate(sounds: AsyncIterable<Sound>): AsyncGenerator<Float32Array> {
  const mixer = new Mixer()
  let resampler: Resampler | null = null
  for await (const sound of sounds) {
    if (resampler?.rate !== sound.rate) {
      if (resampler) yield resampler.end()
      resampler = new Resampler(sound.rate)
    }
    // Short pieces, so that the one who reads can give the event loop its turn in between.
    const mono = mixer.mix(sound)
    for (let at = 0; at < mono.length; at += 4 * FRAME)
      yield resampler.push(mono.subarray(at, at + 4 * FRAME))
  }
  if (resampler) yield resampler.end()
}

/** Gives the bytes on unchanged while the listener hears them too. */
async function* passedOn(
  source: AsyncIterable<Uint8Array>,
  listen: (bytes: AsyncIterable<Uint8Array>) => AsyncGenerator<unknown>,
): AsyncGenerator<Uint8Array> {
  const waiting: Uint8Array[] = []
  async function* tapped(): AsyncGenerator<Uint8Array> {
    for await (const chunk of source) {
      waiting.push(chunk)
      yield chunk
    }
  }
  for await (const _ of listen(tapped())) yield* waiting.splice(0)
  yield* waiting.splice(0)
}

async function* encoded(sound: AsyncIterable<Float32Array>, breath: Breath): AsyncGenerator<Uint8Array> {
  const { Application, createEncoder, Signal } = await import('libopus-wasm')
  const encoder = await createEncoder({
    sampleRate: OPUS_RATE,
    channels: 1,
    application: Application.Voip,
    signal: Signal.Voice,
    bitrate: BITRATE,
    complexity: COMPLEXITY,
    frameSize: FRAME,
  })
  try {
    const preSkip = encoder.getLookahead()
    const ogg = new OggWriter(crypto.getRandomValues(new Uint32Array(1))[0] ?? 1)
    yield ogg.page([writeOpusHead(preSkip, OPUS_RATE)], 0)
    yield ogg.page([writeOpusTags('wabun')], 0)

    const frame = new Float32Array(FRAME)
    let filled = 0
    let taken = 0
    let packets: Uint8Array[] = []
    /** Where the packets given out so far end. */
    let granule = 0
    const encodeFrame = () => {
      packets.push(Uint8Array.from(encoder.encodeFloat(frame)))
      filled = 0
    }
    const isFull = () =>
      packets.length >= PACKETS_A_PAGE || packets.reduce((sum, packet) => sum + segmentsOf(packet), 0) > 240

    for await (const piece of sound) {
      taken += piece.length
      for (let at = 0; at < piece.length; ) {
        // One page is held back: the last one must say that it is the last.
        if (filled === 0 && isFull()) {
          granule += packets.length * FRAME
          yield ogg.page(packets, granule)
          packets = []
        }
        const part = piece.subarray(at, at + FRAME - filled)
        frame.set(part, filled)
        filled += part.length
        at += part.length
        if (filled === FRAME) encodeFrame()
      }
      await breath()
    }
    // The encoder answers late by its look-ahead: silence pushes the last samples out.
    const total = preSkip + taken
    while (granule + packets.length * FRAME < total) {
      frame.fill(0, filled)
      encodeFrame()
    }
    yield ogg.page(packets, total, true)
  } finally {
    encoder.free()
  }
}
