import { afterEach, beforeEach, expect, test } from 'bun:test'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { asFileId } from '../../src/domain/media'
import { makeRig, type Rig } from './rig'

let rig: Rig
beforeEach(() => {
  rig = makeRig()
})
afterEach(() => rig.clear())

const CHILD = join(import.meta.dir, 'media-child.ts')
const filesOnDisk = (): string[] => {
  const directory = join(rig.file, '..', 'media')
  if (!existsSync(directory)) return []
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ name }) => name)
    .sort()
}

test('kill -9 in the middle of writes loses no file that was promised and leaves no other', async () => {
  const promised = new Set<string>()
  for (let round = 0; round < 4; round += 1) {
    const child = Bun.spawn([process.execPath, CHILD, 'write', rig.file], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    const reader = child.stdout.getReader()
    const decoder = new TextDecoder()
    const wanted = promised.size + 5 + round * 7
    let text = ''
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      text += decoder.decode(value)
      for (const line of text.split('\n').slice(0, -1)) promised.add(line)
      if (promised.size >= wanted) child.kill('SIGKILL')
    }
    await child.exited
    const storage = rig.open()
    await storage.janitor.start()
    await storage.janitor.stop()
    const names = filesOnDisk()
    for (const id of promised) expect(names).toContain(id)
    // What is there beyond it is whole as well: kept, but killed before it could be told.
    for (const id of names) {
      let size = 0
      for await (const piece of storage.media.read(asFileId(id))) size += piece.length
      expect([0, 1024 * 1024, 2 * 1024 * 1024]).toContain(size)
    }
    await storage.close()
  }
}, 60_000)

test('a disk that is full refuses a file with nothing of it left, and takes it again without a restart', async () => {
  // A limit on the size of files is a full disk; the signal that comes with it has to be ignored first.
  const child = Bun.spawn(
    [
      'bash',
      '-c',
      'trap "" XFSZ; ulimit -S -f 2000; exec "$0" "$@"',
      process.execPath,
      CHILD,
      'fill',
      rig.file,
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  )
  const lines: string[] = []
  for await (const chunk of child.stdout) {
    lines.push(...new TextDecoder().decode(chunk).trim().split('\n'))
    if (lines.length === 1) Bun.spawnSync(['prlimit', '--pid', String(child.pid), '--fsize=unlimited'])
  }
  await child.exited
  expect(lines).toEqual(['STORAGE_UNAVAILABLE, left 0', 'kept true'])
  expect(filesOnDisk()).toHaveLength(1)
}, 60_000)

test('a file of 100 MB never lies in memory', async () => {
  const child = Bun.spawn([process.execPath, CHILD, 'large', rig.file], { stdout: 'pipe', stderr: 'inherit' })
  const told = JSON.parse(await new Response(child.stdout).text()) as Record<string, number | boolean>
  expect(told.same).toBe(true)
  expect(told.keepingMib).toBeLessThan(50)
  expect(told.readingMib).toBeLessThan(50)
}, 60_000)
