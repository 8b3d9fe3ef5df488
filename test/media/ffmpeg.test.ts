/** Conversions by a program from outside: a stand-in shows what it is given and how it ends; the real one, if installed. */
import { afterAll, afterEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemClock } from '../../src/lib/clock'
import { ConversionFailed, clearConversions, createFfmpeg, findFfmpeg } from '../../src/media/ffmpeg'
import { imageSize } from '../../src/media/image-size'
import { isoFacts } from '../../src/media/iso-media'
import { inMemory } from '../../src/media/range-reader'
import { sniff } from '../../src/media/sniff'
import { film } from './films'
import { gif, png } from './pictures'
import { type MediaRig, mediaRig, OWNER, refusal } from './rig'
import { collect, inPieces, tone, wav } from './sounds'

const folder = mkdtempSync(join(tmpdir(), 'wabun-ffmpeg-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let scripts = 0
/** A stand-in for ffmpeg: a shell script that runs in the private directory. */
function standIn(script: string): string {
  scripts += 1
  const path = join(folder, `ffmpeg-${scripts}`)
  writeFileSync(path, `#!/bin/sh\nPATH=/usr/bin:/bin\n${script}\n`)
  chmodSync(path, 0o700)
  return path
}

function converter(script: string, timeoutMs = 20_000) {
  const temporary = mkdtempSync(join(folder, 'temporary-'))
  const ffmpeg = createFfmpeg({
    program: standIn(script),
    temporary,
    clock: systemClock,
    timeoutMs,
    maxInputBytes: 100_000,
  })
  return { ffmpeg, left: () => readdirSync(temporary) }
}
const source = (bytes: Buffer = Buffer.from('a sound'), mimetype = 'audio/flac') => ({
  bytes: inPieces(bytes),
  mimetype,
})
const failure = (bytes: AsyncIterable<Uint8Array>): Promise<string> =>
  collect(bytes).then(
    () => 'made',
    (error: unknown) => {
      expect(error).toBeInstanceOf(ConversionFailed)
      return (error as Error).message
    },
  )

describe('the program', () => {
  test('gets arguments and a file in a private directory, no secrets, and is told the format', async () => {
    const note = join(folder, 'note')
    const { ffmpeg, left } = converter(
      `{ echo "$@"; env; stat -c '%a' .; cat input; } > ${note}; printf sound`,
    )
    const out = await collect(ffmpeg.wav(source(), 10))
    expect(out.toString()).toBe('sound')
    const seen = readFileSync(note, 'utf8')
    expect(seen).toContain('-protocol_whitelist file -f flac -i file:input')
    // Our own environment holds keys; a shell adds these few by itself.
    const variables = [...seen.matchAll(/^(\w+)=/gm)].map(([, name]) => name)
    expect(
      variables.filter((name) => !['HOME', 'PATH', 'PWD', 'OLDPWD', 'SHLVL', '_'].includes(name ?? '')),
    ).toEqual([])
    expect(seen).not.toContain(`HOME=${process.env.HOME}\n`)
    expect(seen).toMatch(/^700$/m)
    expect(seen.endsWith('a sound')).toBe(true)
    expect(left()).toEqual([])
  })

  test('that fails, makes nothing, too much, or is given too much, leaves nothing', async () => {
    const table: [string, string, string][] = [
      ['exit 1', 'printf half; exit 1', 'cannot be converted'],
      ['nothing', 'exit 0', 'cannot be converted'],
      ['endless', 'exec cat /dev/zero', 'too large'],
    ]
    for (const [what, script, says] of table) {
      const { ffmpeg, left } = converter(script)
      expect([what, await failure(ffmpeg.wav(source(), 1))]).toEqual([what, expect.stringContaining(says)])
      expect([what, left()]).toEqual([what, []])
    }
    const { ffmpeg, left } = converter('printf sound')
    expect(await failure(ffmpeg.wav(source(Buffer.alloc(100_001)), 1))).toContain('too large to be converted')
    expect(await failure(ffmpeg.wav(source(Buffer.from('#EXTM3U'), 'text/plain'), 1))).toContain(
      'cannot be converted',
    )
    const big = converter('head -c 5000 /dev/zero > output')
    expect(await failure(big.ffmpeg.film(source(gif(9, 9, 2), 'image/gif'), 4000))).toContain('too large')
    expect([...left(), ...big.left()]).toEqual([])
  })

  test('that does not end is ended', async () => {
    const note = join(folder, 'pid')
    const { ffmpeg, left } = converter(`echo $$ > ${note}; exec sleep 600`, 300)
    expect(await failure(ffmpeg.wav(source(), 1))).toContain('too long')
    expect(left()).toEqual([])
    expect(existsSync(`/proc/${readFileSync(note, 'utf8').trim()}`)).toBe(false)
  })

  test('is ended when nobody reads on', async () => {
    const note = join(folder, 'pid2')
    const { ffmpeg, left } = converter(`echo $$ > ${note}; printf sound; exec sleep 600`)
    for await (const _ of ffmpeg.wav(source(), 1)) break
    expect(left()).toEqual([])
    expect(existsSync(`/proc/${readFileSync(note, 'utf8').trim()}`)).toBe(false)
  })

  test('a source that breaks off leaves nothing', async () => {
    const { ffmpeg, left } = converter('printf sound')
    const broken = (async function* () {
      yield Buffer.from('a')
      throw new Error('the line is dead')
    })()
    await expect(collect(ffmpeg.wav({ bytes: broken, mimetype: 'audio/flac' }, 1))).rejects.toThrow(
      'the line is dead',
    )
    expect(left()).toEqual([])
  })

  test('what a crash has left is cleared, and nothing else', async () => {
    const temporary = mkdtempSync(join(folder, 'crashed-'))
    mkdirSync(join(temporary, 'convert-abc'))
    writeFileSync(join(temporary, 'convert-abc', 'input'), 'x')
    writeFileSync(join(temporary, 'other'), 'x')
    await clearConversions(temporary)
    expect(readdirSync(temporary)).toEqual(['other'])
  })

  test('is found on PATH alone', () => {
    expect(findFfmpeg('/nowhere')).toBeNull()
    const place = mkdtempSync(join(folder, 'path-'))
    writeFileSync(join(place, 'ffmpeg'), '#!/bin/sh\n', { mode: 0o755 })
    expect(findFfmpeg(place)).toBe(join(place, 'ffmpeg'))
  })
})

describe('the desk with it', () => {
  let rig: MediaRig
  afterEach(() => rig.clear())
  const base64 = (file: Buffer) => file.toString('base64')
  const m4a = film({ brand: 'M4A ', video: false })

  test('makes voice notes of what it cannot decode itself', async () => {
    const sound = join(folder, 'sound.wav')
    writeFileSync(sound, wav([tone(48_000, 2)], 48_000, 's16', { unknownLength: true }))
    rig = await mediaRig({ ffmpeg: standIn(`cat ${sound}`) })
    const staged = await rig.desk.stage(OWNER, { type: 'audio', ptt: true, audioBase64: base64(m4a) })
    expect(staged.media).toMatchObject({
      mimetype: 'audio/ogg; codecs=opus',
      seconds: 2,
      waveform: expect.any(Array),
    })
    expect(readdirSync(rig.temporary)).toEqual([])
  })

  test('says that a file is damaged when it fails, and keeps nothing', async () => {
    rig = await mediaRig({ ffmpeg: standIn('exit 1') })
    const error = await refusal(rig.desk.stage(OWNER, { type: 'audio', ptt: true, audioBase64: base64(m4a) }))
    expect(error).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      details: { reason: 'The file cannot be converted' },
    })
    expect(rig.left()).toEqual([])
    // The picture of a film is an ornament.
    const staged = await rig.desk.stage(OWNER, { type: 'video', videoBase64: base64(film()) })
    expect(staged.thumbnail).toBeNull()
  })

  test('loops GIFs, moves stickers, shows films', async () => {
    for (const [name, file] of Object.entries({ film: film({ seconds: 2 }), poster: png(200, 100) }))
      writeFileSync(join(folder, name), file)
    rig = await mediaRig({
      ffmpeg: standIn(`case "$*" in *mjpeg*) cat ${folder}/poster;; *) cp ${folder}/film output;; esac`),
    })
    const looped = await rig.desk.stage(OWNER, {
      type: 'video',
      gifPlayback: true,
      videoBase64: base64(gif(9, 9, 2)),
    })
    expect(looped.media).toMatchObject({ mimetype: 'video/mp4', seconds: 2, width: 640 })
    expect(imageSize(looped.thumbnail ?? Buffer.alloc(0), 'image/jpeg')).toMatchObject({
      width: 100,
      height: 50,
    })
    const moved = await rig.desk.stage(OWNER, { type: 'sticker', stickerBase64: base64(gif(9, 9, 2)) })
    expect(moved).toMatchObject({ animated: true, media: { mimetype: 'image/webp', width: 512 } })
    expect(readdirSync(rig.temporary)).toEqual([])
  })
})

const real = findFfmpeg(process.env.PATH)
// The product works without ffmpeg; `.ci/run` installs it, so that these are never left out there.
describe.skipIf(real === null)('the real ffmpeg', () => {
  const make = () => {
    const temporary = mkdtempSync(join(folder, 'real-'))
    const options = {
      program: real ?? '',
      temporary,
      clock: systemClock,
      timeoutMs: 30_000,
      maxInputBytes: 1e8,
    }
    return { ffmpeg: createFfmpeg(options), left: () => readdirSync(temporary) }
  }

  test('makes sound, film and sticker', async () => {
    const { ffmpeg, left } = make()
    const sound = await collect(
      ffmpeg.wav({ bytes: inPieces(wav([tone(22_050, 2)], 22_050)), mimetype: 'audio/wav' }, 10),
    )
    expect(sniff(sound).mimetype).toBe('audio/wav')
    expect(sound.length).toBeWithin(192_000, 193_000)
    const looped = await collect(ffmpeg.film({ bytes: inPieces(gif(40, 30, 5)), mimetype: 'image/gif' }, 1e6))
    expect(await isoFacts(inMemory(looped))).toMatchObject({ width: 40, height: 30, hasVideo: true })
    expect(sniff(await ffmpeg.poster({ bytes: inPieces(looped), mimetype: 'video/mp4' })).mimetype).toBe(
      'image/jpeg',
    )
    const sticker = await collect(
      ffmpeg.sticker({ bytes: inPieces(gif(40, 30, 5)), mimetype: 'image/gif' }, 1e6),
    )
    expect(imageSize(sticker, 'image/webp')).toEqual({ width: 512, height: 512, frames: 2 })
    expect(left()).toEqual([])
  })

  test('does not follow playlists to other files', async () => {
    const { ffmpeg, left } = make()
    const secret = join(folder, 'secret.wav')
    writeFileSync(secret, wav([tone(8000, 1)], 8000))
    for (const playlist of [
      `#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://${secret}\n#EXT-X-ENDLIST\n`,
      `ffconcat version 1.0\nfile '${secret}'\n`,
    ])
      for (const mimetype of ['audio/aac', 'audio/mpeg', 'audio/wav', 'audio/flac', 'video/mp4', 'audio/amr'])
        expect(await failure(ffmpeg.wav({ bytes: inPieces(Buffer.from(playlist)), mimetype }, 5))).toContain(
          'cannot be converted',
        )
    expect(left()).toEqual([])
  })
})
