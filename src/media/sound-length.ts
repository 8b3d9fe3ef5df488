/** How long a sound is that is sent as it is, without decoding it. */
import { isoFacts } from './iso-media'
import { readOpusHead } from './opus-head'
import { inMemory } from './range-reader'

/** Whole seconds (at least 1) of a sniffed sound; null when its format does not tell cheaply. */
export async function soundSeconds(file: Uint8Array, mimetype: string): Promise<number | null> {
  const measure = MEASURES[mimetype]
  const seconds = measure ? await measure(file) : null
  return seconds !== null && Number.isFinite(seconds) && seconds > 0 ? Math.max(1, Math.round(seconds)) : null
}

const MEASURES: Record<string, (file: Uint8Array) => number | null | Promise<number | null>> = {
  'audio/mpeg': mpegSeconds,
  'audio/aac': adtsSeconds,
  'audio/amr': amrSeconds,
  'audio/wav': wavSeconds,
  'audio/flac': flacSeconds,
  'audio/mp4': async (file) => (await isoFacts(inMemory(file)))?.seconds ?? null,
  'audio/ogg; codecs=opus': oggSeconds,
  'audio/ogg; codecs=vorbis': oggSeconds,
}

const bufferOf = (file: Uint8Array): Buffer => Buffer.from(file.buffer, file.byteOffset, file.byteLength)

/** Where the last page may begin: a page has at most 65,307 bytes, and some programs leave something behind it. */
const LAST_PAGE = 2 * 65_536

/** The last page's position, over the rate in the first one. */
function oggSeconds(file: Uint8Array): number | null {
  const bytes = bufferOf(file)
  const first = bytes.subarray(27 + (bytes[26] ?? 0))
  const opus = readOpusHead(first)
  const rate = opus ? 48_000 : first.length >= 16 ? first.readUInt32LE(12) : 0
  const tail = bytes.subarray(-LAST_PAGE)
  const at = tail.lastIndexOf('OggS', tail.length, 'latin1')
  const last = tail.subarray(Math.max(0, at))
  if (rate === 0 || at < 0 || last.length < 27) return null
  const end = last.readBigInt64LE(6)
  return end < 0n ? null : (Number(end) - (opus?.preSkip ?? 0)) / rate
}

const MPEG_RATES = [44_100, 48_000, 32_000]
/** kbit/s of Layer III by index: MPEG 1, then MPEG 2 and 2.5. */
const MPEG_BITRATES = [
  [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
  [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
] as const

/** Bytes between frames before a file is given up. */
const MAX_JUNK = 2 ** 20

/** Walks over the frames of Layer III; tags in front and behind are jumped over. */
function mpegSeconds(file: Uint8Array): number | null {
  let at = 0
  if (bufferOf(file).toString('latin1', 0, 3) === 'ID3' && file.length > 10)
    at = 10 + [6, 7, 8, 9].reduce((size, index) => (size << 7) | ((file[index] ?? 0) & 0x7f), 0)
  let seconds = 0
  for (let junk = 0; at + 4 <= file.length && junk < MAX_JUNK; ) {
    const second = file[at + 1] ?? 0
    const third = file[at + 2] ?? 0
    const version = (second >> 3) & 3
    const rate = (MPEG_RATES[(third >> 2) & 3] ?? 0) / (version === 3 ? 1 : version === 2 ? 2 : 4)
    const bitrate = (MPEG_BITRATES[version === 3 ? 0 : 1][third >> 4] ?? 0) * 1000
    const isFrame =
      file[at] === 0xff && (second & 0xe0) === 0xe0 && version !== 1 && ((second >> 1) & 3) === 1
    if (!isFrame || rate === 0 || bitrate === 0) {
      at += 1
      junk += 1
      continue
    }
    const samples = version === 3 ? 1152 : 576
    seconds += samples / rate
    at += Math.floor(((samples / 8) * bitrate) / rate) + ((third >> 1) & 1)
  }
  return seconds
}

const ADTS_RATES = [
  96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8000, 7350,
]

function adtsSeconds(file: Uint8Array): number | null {
  let seconds = 0
  for (let at = 0; at + 7 <= file.length; ) {
    const bytes = file.subarray(at, at + 7)
    const [first = 0, second = 0, third = 0, fourth = 0, fifth = 0, sixth = 0, seventh = 0] = bytes
    const length = ((fourth & 3) << 11) | (fifth << 3) | (sixth >> 5)
    const rate = ADTS_RATES[(third >> 2) & 15]
    if (first !== 0xff || (second & 0xf6) !== 0xf0 || rate === undefined || length < 7) break
    seconds += (1024 * ((seventh & 3) + 1)) / rate
    at += length
  }
  return seconds
}

/** Bytes of a narrow-band AMR frame by its type, 20 ms each (RFC 4867). */
const AMR_FRAMES = [13, 14, 16, 18, 20, 21, 27, 32, 6, 1, 1, 1, 1, 1, 1, 1]

function amrSeconds(file: Uint8Array): number | null {
  let frames = 0
  for (let at = 6; at < file.length; frames += 1) at += AMR_FRAMES[((file[at] ?? 0) >> 3) & 15] ?? 1
  return frames * 0.02
}

function wavSeconds(file: Uint8Array): number | null {
  const bytes = bufferOf(file)
  let perSecond = 0
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = bytes.toString('latin1', at, at + 4)
    const size = bytes.readUInt32LE(at + 4)
    if (name === 'fmt ' && at + 20 <= bytes.length) perSecond = bytes.readUInt32LE(at + 16)
    if (name === 'data') return perSecond === 0 ? null : Math.min(size, bytes.length - at - 8) / perSecond
    at += 8 + size + (size & 1)
  }
  return null
}

/** STREAMINFO comes first: 20 bits of rate, then 36 bits of samples. */
function flacSeconds(file: Uint8Array): number | null {
  const bytes = bufferOf(file)
  if (bytes.length < 26) return null
  const rate = bytes.readUIntBE(18, 3) >> 4
  const samples = (bytes.readUInt8(21) & 15) * 2 ** 32 + bytes.readUInt32BE(22)
  return rate === 0 || samples === 0 ? null : samples / rate
}
