/** A large file costs a little memory, whatever is made of it. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { film } from './films'
import { tone, wav } from './sounds'

const SIZE = 100_000_000
const folder = mkdtempSync(join(tmpdir(), 'wabun-large-'))
const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request) => new Response(Bun.file(join(folder, new URL(request.url).pathname))),
})
beforeAll(async () => {
  const heads = {
    document: Buffer.from('%PDF-1.7'),
    upload: Buffer.from('%PDF-1.7'),
    // The first 1,200 bytes hold the index; all that follows is pictures.
    film: film({ indexFirst: true, data: SIZE }).subarray(0, 1200),
    // A WAV of unknown length that goes on in silence: nine minutes of stereo, 24 MB of it whole.
    sound: wav([tone(48_000, 2), tone(48_000, 2)], 48_000, 's16', { unknownLength: true }),
  }
  for (const [name, head] of Object.entries(heads)) {
    const file = await open(join(folder, name), 'w')
    await file.write(head)
    await file.truncate(name === 'film' ? film({ indexFirst: true, data: SIZE }).length : SIZE)
    await file.close()
  }
})
afterAll(async () => {
  await server.stop(true)
  rmSync(folder, { recursive: true, force: true })
})

test.each([
  ['document', 50],
  ['upload', 50],
  ['film', 50],
  // The thread that makes voice notes has a heap of its own, which goes with it when there is no more work.
  ['sound', 128],
])(
  '%s of 100 MB',
  async (sort, most) => {
    const child = Bun.spawn(
      [
        process.execPath,
        join(import.meta.dir, 'large-files.ts'),
        `${server.url}${sort}`,
        sort,
        String(SIZE + 10_000),
      ],
      { stdout: 'pipe', stderr: 'pipe' },
    )
    const [code, out, err] = await Promise.all([
      child.exited,
      new Response(child.stdout).text(),
      new Response(child.stderr).text(),
    ])
    expect({ code, err }).toEqual({ code: 0, err: '' })
    const growth = Number(out)
    expect(growth).toBeWithin(0, most)
  },
  60_000,
)
