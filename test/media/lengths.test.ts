import { expect, test } from 'bun:test'
import { isoFacts } from '../../src/media/iso-media'
import { inMemory } from '../../src/media/range-reader'
import { sniff } from '../../src/media/sniff'
import { soundSeconds } from '../../src/media/sound-length'
import { box, film, movieHeader } from './films'
import { mp3, opus, tone, vorbis, wav } from './sounds'

test('a film tells its size and length, wherever its index stands', async () => {
  const facts = { seconds: 7, width: 640, height: 360, hasVideo: true, hasSound: true }
  const of = (file: Buffer) => isoFacts(inMemory(file))
  expect(await of(film())).toEqual(facts)
  expect(await of(film({ indexFirst: true }))).toEqual(facts)
  expect(await of(film({ long: true, seconds: 7.4 }))).toEqual(facts)
  expect(await of(film({ turned: true }))).toEqual({ ...facts, width: 360, height: 640 })
  expect(await of(film({ sound: false }))).toEqual({ ...facts, hasSound: false })
  expect(await of(film({ video: false }))).toEqual({ ...facts, width: null, height: null, hasVideo: false })
  expect(await of(film({ seconds: 0 }))).toEqual({ ...facts, seconds: null })
  expect(await of(film({ seconds: 0.2 }))).toEqual({ ...facts, seconds: 1 })
})

test('of a large file only the index is read', async () => {
  const file = film({ data: 3_000_000 })
  let bytes = 0
  const facts = await isoFacts({
    size: file.length,
    async read(start, end) {
      bytes += end - start
      return file.subarray(start, end)
    },
  })
  expect(facts?.seconds).toBe(7)
  expect(bytes).toBeLessThan(100_000)
})

test('boxes that lie about their length, nest without end or are cut lead nowhere', async () => {
  const of = (file: Buffer) => isoFacts(inMemory(file))
  const whole = film()
  for (let length = 0; length < whole.length; length += 1) {
    const cut = await of(whole.subarray(0, length))
    expect(cut).toBeNull()
  }
  for (let at = 0; at < whole.length; at += 1) {
    if (at > 40 && at < 1030) continue
    const noisy = Buffer.from(whole)
    noisy.writeUInt8(255 - noisy.readUInt8(at), at)
    await of(noisy)
  }
  const zero = box('moov')
  zero.writeUInt32BE(3, 0)
  expect(await of(zero)).toBeNull()
  const many = box('moov', movieHeader({}), ...new Array<Buffer>(20_000).fill(box('free')))
  let reads = 0
  await isoFacts({
    size: many.length,
    async read(start, end) {
      reads += 1
      return many.subarray(start, end)
    },
  })
  expect(reads).toBeLessThan(20)
})

test('sounds tell their length without being decoded', async () => {
  const [low, high] = [[tone(16_000, 3.1)], [tone(44_100, 3.1), tone(44_100, 3.1)]]
  const files: Record<string, Buffer> = {
    'MP3, 16 kHz': await mp3(low, 16_000),
    'MP3, 44.1 kHz': await mp3(high, 44_100),
    'MP3 with a tag in front': Buffer.concat([
      Buffer.from('ID3\x04\0\0\0\0\x02\x00', 'latin1'),
      Buffer.alloc(256, 0xff),
      await mp3(high, 44_100),
    ]),
    WAV: wav(low, 16_000),
    'OGG/Opus': await opus([tone(48_000, 3.1)]),
    'OGG/Vorbis': await vorbis(high, 44_100),
    AMR: Buffer.concat([
      Buffer.from('#!AMR\n'),
      ...new Array<Buffer>(155).fill(Buffer.from([0x3c, ...new Array(31).fill(0)])),
    ]),
    AAC: Buffer.concat(
      new Array<Buffer>(134).fill(Buffer.from([0xff, 0xf1, 0x50, 0x80, 0x01, 0x1f, 0xfc, 0])),
    ),
    FLAC: flac(3.1),
    M4A: film({ brand: 'M4A ', video: false, seconds: 3.1 }),
  }
  for (const [name, file] of Object.entries(files))
    expect([name, await soundSeconds(file, sniff(file).mimetype)]).toEqual([name, 3])
  expect(await soundSeconds(Buffer.alloc(100), 'audio/aiff')).toBeNull()
  for (const mimetype of [
    'audio/mpeg',
    'audio/wav',
    'audio/flac',
    'audio/aac',
    'audio/amr',
    'audio/ogg; codecs=opus',
  ])
    expect([mimetype, await soundSeconds(Buffer.alloc(3, 9), mimetype)]).toEqual([mimetype, null])
})

/** The header of a FLAC file of 44.1 kHz (its format specification, METADATA_BLOCK_STREAMINFO). */
function flac(seconds: number): Buffer {
  const file = Buffer.alloc(42)
  file.write('fLaC\0\0\0\x22', 'latin1')
  file.writeUIntBE(44_100 << 4, 18, 3)
  file.writeUInt8(0xf0, 21)
  file.writeUInt32BE(Math.round(seconds * 44_100), 22)
  return file
}
