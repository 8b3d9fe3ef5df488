/** The libraries that decode and encode must live inside the single program: it is run in an empty directory. */
import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBinary } from '../../build/binary'
import { encodePng } from '../../src/media/png'
import { mp3, opus, tone, vorbis, wav } from './sounds'

const folder = mkdtempSync(join(tmpdir(), 'wabun-media-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(command: string[], env?: Record<string, string>): Promise<string> {
  const child = Bun.spawn(command, { cwd: folder, stdout: 'pipe', stderr: 'pipe', ...(env ? { env } : {}) })
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  if (code !== 0) throw new Error(`${out}${err}`)
  expect(err.replace(/^.*(?:bundle|compile).*$/gm, '').trim()).toBe('')
  return out
}

test('MP3, WAV, Vorbis and Opus become voice notes in the compiled program, a PNG a sticker', async () => {
  const sound = tone(44_100, 2)
  const files: Record<string, Uint8Array> = {
    'a.mp3': await mp3([sound, sound], 44_100),
    'a.wav': wav([sound], 44_100),
    'vorbis.ogg': await vorbis([sound], 44_100),
    'opus.ogg': await opus([tone(48_000, 2), tone(48_000, 2)]),
    'a.png': encodePng({ width: 40, height: 20, data: new Uint8Array(40 * 20 * 4).fill(200) }),
  }
  for (const [name, bytes] of Object.entries(files)) await Bun.write(join(folder, name), bytes)
  const program = join(folder, 'program')
  await buildBinary(program, join(import.meta.dir, 'compiled.ts'))
  const out = await run([program, ...Object.keys(files)], { PATH: '' })
  expect(out.trim().split('\n')).toEqual([
    'audio/mpeg 2 64 true',
    'audio/wav 2 64 true',
    'audio/ogg; codecs=vorbis 2 64 true',
    'audio/ogg; codecs=opus 2 64 true',
    'image/webp 512',
  ])
}, 120_000)
