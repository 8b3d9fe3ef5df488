/** Voice notes, decoded again by a decoder and a container reader that the product does not use. */
import { expect, test } from 'bun:test'
import { parseBuffer } from 'music-metadata'
import { OggOpusDecoder } from 'ogg-opus-decoder'
import { sniff } from '../../src/media/sniff'
import { createBreath, UnreadableSound } from '../../src/media/sound'
import { isVoiceAlready, type VoiceFacts, voiceNote } from '../../src/media/voice'
import { collect, inPieces, loudThenSilent, mp3, opus, tone, vorbis, type WavKind, wav } from './sounds'

const limits = { maxSeconds: 7200, breath: createBreath(() => performance.now()) }

async function made(
  file: Buffer,
  options: { keep?: boolean; piece?: number; maxSeconds?: number } = {},
): Promise<{ file: Buffer; facts: VoiceFacts }> {
  const note = voiceNote(inPieces(file, options.piece), sniff(file).mimetype, options.keep ?? false, {
    ...limits,
    maxSeconds: options.maxSeconds ?? limits.maxSeconds,
  })
  const out = await collect(note.bytes)
  return { file: out, facts: note.facts() }
}

/** What an independent decoder hears. */
async function heard(file: Buffer): Promise<{ samples: Float32Array; channels: number }> {
  const decoder = new OggOpusDecoder({ forceStereo: false })
  await decoder.ready
  const { channelData, errors } = await decoder.decodeFile(file)
  decoder.free()
  expect(errors).toEqual([])
  return { samples: channelData[0] ?? new Float32Array(), channels: channelData.length }
}

const loudness = (samples: Float32Array): number =>
  Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / Math.max(1, samples.length))

/** Share of a signal's energy at one frequency (Goertzel). */
function purity(samples: Float32Array, frequency: number): number {
  let [re, im] = [0, 0]
  for (const [at, sample] of samples.entries()) {
    re += sample * Math.cos((2 * Math.PI * frequency * at) / 48_000)
    im += sample * Math.sin((2 * Math.PI * frequency * at) / 48_000)
  }
  const energy = samples.reduce((sum, sample) => sum + sample * sample, 0)
  return (2 * (re * re + im * im)) / (samples.length * energy)
}

const half = (rate: number, seconds = 4) => tone(rate, seconds, loudThenSilent)
const sources: Record<string, () => Promise<Buffer> | Buffer> = {
  'MP3, stereo, 44.1 kHz': () => mp3([half(44_100), half(44_100)], 44_100),
  'MP3, mono, 22.05 kHz': () => mp3([half(22_050)], 22_050),
  'OGG/Vorbis, stereo, 44.1 kHz': () => vorbis([half(44_100), half(44_100)], 44_100),
  'OGG/Vorbis, mono, 16 kHz': () => vorbis([half(16_000)], 16_000),
  'OGG/Opus, stereo': () => opus([half(48_000), half(48_000)]),
  'WAV, 8 kHz, 8 bits': () => wav([half(8000)], 8000, 'u8'),
  'WAV, 44.1 kHz, 16 bits, stereo': () => wav([half(44_100), half(44_100)], 44_100, 's16'),
  'WAV, 48 kHz, 24 bits': () => wav([half(48_000)], 48_000, 's24'),
  'WAV, 96 kHz, 32 bits': () => wav([half(96_000)], 96_000, 's32'),
  'WAV, 192 kHz, floats': () => wav([half(192_000)], 192_000, 'f32'),
  'WAV, 11.025 kHz, long header': () => wav([half(11_025)], 11_025, 's16', { extensible: true, junk: 4001 }),
  'WAV from a pipe': () => wav([half(16_000)], 16_000, 's16', { unknownLength: true }),
  'WAV of a rate that shares nothing with 48 kHz': () => wav([half(44_101)], 44_101),
}

for (const [name, source] of Object.entries(sources))
  test(`${name}: one channel of Opus, right length, right shape`, async () => {
    const { file, facts } = await made(await source())
    expect(sniff(file).mimetype).toBe('audio/ogg; codecs=opus')
    expect(isVoiceAlready(file)).toBe(true)
    const { samples, channels } = await heard(file)
    expect(channels).toBe(1)
    // MP3 adds a few hundredths of a second of its own.
    expect(Math.abs(samples.length - 4 * 48_000)).toBeLessThan(name.startsWith('MP3') ? 6000 : 600)
    const [loud, silent] = [samples.subarray(9600, 86_400), samples.subarray(105_600, 182_400)]
    expect(loudness(loud)).toBeWithin(0.38, 0.47)
    expect(loudness(silent)).toBeLessThan(0.005)
    expect(purity(loud, 440)).toBeGreaterThan(0.98)
    expect(facts.seconds).toBe(4)
    expect(facts.waveform).toHaveLength(64)
    expect(facts.waveform.every((point) => Number.isInteger(point) && point >= 0 && point <= 100)).toBe(true)
    expect(Math.min(...facts.waveform.slice(1, 30))).toBeGreaterThan(80)
    expect(Math.max(...facts.waveform.slice(34))).toBeLessThan(5)
  })

test('a voice note that is one already passes untouched and is measured all the same', async () => {
  const file = await opus([half(48_000)])
  expect(isVoiceAlready(file)).toBe(true)
  expect(isVoiceAlready(await opus([half(48_000), half(48_000)]))).toBe(false)
  const kept = await made(file, { keep: true, piece: 777 })
  expect(kept.file.equals(file)).toBe(true)
  expect(kept.facts.seconds).toBe(4)
  expect(Math.min(...kept.facts.waveform.slice(1, 30))).toBeGreaterThan(80)
  expect(Math.max(...kept.facts.waveform.slice(34))).toBeLessThan(5)
})

test('every packet is one frame of 20 ms, positions and order are right', async () => {
  const { file } = await made(wav([tone(48_000, 2.5)], 48_000))
  let [at, sequence, packets] = [0, 0, 0]
  let granule = 0n
  while (at < file.length) {
    const segments = file.readUInt8(at + 26)
    const table = file.subarray(at + 27, at + 27 + segments)
    let body = at + 27 + segments
    expect(file.toString('latin1', at, at + 4)).toBe('OggS')
    expect(file.readUInt32LE(at + 18)).toBe(sequence)
    expect(file.readUInt8(at + 5)).toBe(sequence === 0 ? 2 : body + sum(table) === file.length ? 4 : 0)
    if (sequence > 1) {
      expect(file.readBigInt64LE(at + 6) > granule).toBe(true)
      granule = file.readBigInt64LE(at + 6)
      for (let packet = body, index = 0; index < table.length; index += 1) {
        const size = table[index] ?? 0
        if (index === 0 || (table[index - 1] ?? 0) < 255) {
          packets += 1
          // 20 ms at configuration 15, 19, 23, 27 or 31 with hybrid and SILK modes below; code 0 = a single frame.
          expect((file[packet] ?? 0) & 3).toBe(0)
        }
        packet += size
      }
    }
    body += sum(table)
    at = body
    sequence += 1
  }
  expect(granule).toBe(BigInt(2.5 * 48_000 + 312))
  expect(packets).toBe(Math.ceil((2.5 * 48_000 + 312) / 960))
})
const sum = (table: Uint8Array): number => table.reduce((total, size) => total + size, 0)

test('the shortest sounds, and sounds of every bit width, come out whole', async () => {
  for (const samples of [1, 479, 480, 959, 960, 961, 48_000]) {
    const { file, facts } = await made(wav([tone(48_000, samples / 48_000)], 48_000))
    // The position of the last page counts the encoder's look-ahead, which is not played (RFC 7845, section 4).
    expect((await parseBuffer(file, 'audio/ogg')).format).toMatchObject({
      codec: 'Opus',
      numberOfChannels: 1,
      duration: expect.closeTo(samples / 48_000, 6),
    })
    expect(facts).toMatchObject({ seconds: 1 })
    expect(facts.waveform).toHaveLength(64)
  }
  for (const kind of ['u8', 's16', 's24', 's32', 'f32', 'f64'] as WavKind[]) {
    const { samples } = await heard((await made(wav([tone(48_000, 1)], 48_000, kind))).file)
    expect(loudness(samples)).toBeWithin(0.33, 0.37)
  }
})

test('silence is a flat line; what is no number is silence', async () => {
  expect((await made(wav([new Float32Array(48_000)], 48_000))).facts.waveform).toEqual(new Array(64).fill(0))
  const broken = new Float32Array(48_000).fill(Number.NaN)
  const { file } = await made(wav([broken], 48_000, 'f32'))
  expect(loudness((await heard(file)).samples)).toBeLessThan(0.001)
})

test('the gain in an Opus header is applied', async () => {
  const plain = await heard((await made(await opus([tone(48_000, 1), tone(48_000, 1)]))).file)
  const softer = await heard((await made(await opus([tone(48_000, 1), tone(48_000, 1)], { gain: -12 }))).file)
  expect(loudness(softer.samples) / loudness(plain.samples)).toBeWithin(0.22, 0.28)
})

const refused = async (file: Buffer, mimetype: string, keep = false, maxSeconds = 7200): Promise<string> => {
  const note = voiceNote(inPieces(file), mimetype, keep, { ...limits, maxSeconds })
  try {
    await collect(note.bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(UnreadableSound)
    expect(() => note.facts()).toThrow()
    return (error as Error).message
  }
  return 'accepted'
}

test('sounds that are longer than allowed are refused', async () => {
  const file = wav([tone(8000, 3)], 8000)
  expect(await refused(file, 'audio/wav', false, 2)).toContain('longer than 2 seconds')
  expect(await refused(file, 'audio/wav', false, 3)).toBe('accepted')
})

test('damaged, cut and empty files are refused with a reason', async () => {
  const good = await opus([tone(48_000, 2)])
  const flipped = Buffer.from(good)
  flipped.writeUInt8(flipped.readUInt8(9000) ^ 1, 9000)
  const vorbisFile = await vorbis([tone(16_000, 2)], 16_000)
  const table: [string, Buffer, string, string][] = [
    ['bit flipped', flipped, 'audio/ogg; codecs=opus', 'damaged'],
    ['cut off', good.subarray(0, good.length - 10), 'audio/ogg; codecs=opus', 'cut short'],
    ['headers only', good.subarray(0, 47 + 45), 'audio/ogg; codecs=opus', ''],
    ['two streams', Buffer.concat([good, good]), 'audio/ogg; codecs=opus', 'several streams'],
    ['no page at all', Buffer.alloc(5000, 65), 'audio/ogg; codecs=opus', 'damaged'],
    ['Vorbis, cut off', vorbisFile.subarray(0, 3000), 'audio/ogg; codecs=vorbis', ''],
    ['Vorbis that is Opus', good, 'audio/ogg; codecs=vorbis', 'headers'],
    ['noise called MP3', Buffer.alloc(200_000, 0x55), 'audio/mpeg', 'no sound'],
    ['WAV without data', wav([tone(8000, 1)], 8000).subarray(0, 40), 'audio/wav', 'no sound'],
    ['WAV of no samples', wav([new Float32Array()], 8000), 'audio/wav', 'no sound'],
    ['nothing', Buffer.alloc(0), 'audio/wav', 'no sound'],
    ['a type without decoder', Buffer.alloc(10), 'audio/flac', 'cannot be decoded'],
  ]
  for (const [what, file, mimetype, says] of table) {
    const message = await refused(file, mimetype)
    expect([what, message]).toEqual([what, expect.stringContaining(says)])
    expect([what, message]).not.toEqual([what, 'accepted'])
  }
  expect(await refused(flipped, 'audio/ogg; codecs=opus', true)).toContain('damaged')
  expect(await refused(good, 'audio/ogg; codecs=opus', true)).toBe('accepted')
})

test('ten minutes are made in small steps: the event loop gets its turn all the time', async () => {
  const file = wav([tone(16_000, 600)], 16_000)
  let turns = 0
  let running = true
  const count = () => {
    turns += 1
    if (running) setImmediate(count)
  }
  count()
  const { facts } = await made(file, { piece: 65_536 })
  running = false
  expect(facts.seconds).toBe(600)
  expect(turns).toBeGreaterThan(100)
}, 60_000)
