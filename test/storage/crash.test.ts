import { afterEach, beforeEach, expect, test } from 'bun:test'
import { join } from 'node:path'
import { makeRig, type Rig, SESSION } from './rig'

let rig: Rig
beforeEach(() => {
  rig = makeRig()
})
afterEach(() => rig.clear())

test('kill -9 in the middle of writes loses nothing that was promised, again and again', async () => {
  let before = 0
  for (let round = 0; round < 5; round += 1) {
    const child = Bun.spawn([process.execPath, join(import.meta.dir, 'child.ts'), 'write', rig.file], {
      stdout: 'pipe',
      stderr: 'inherit',
    })
    let text = ''
    const reader = child.stdout.getReader()
    const decoder = new TextDecoder()
    const wanted = 20 + round * 17
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      text += decoder.decode(value)
      if (text.split('\n').length > wanted) break
    }
    child.kill('SIGKILL')
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      text += decoder.decode(value)
    }
    await child.exited
    const promised = Number(text.trimEnd().split('\n').at(-1))
    expect(promised).toBeGreaterThan(before)

    // Opens at once: the lock went with the process.
    const storage = rig.open({ sync: 'full' })
    const vault = storage.vaults.open(SESSION)
    const counters = vault.get('counter', ['a', 'b'])
    const [a, b] = ['a', 'b'].map((id) => Number(Buffer.from(counters.get(id) ?? []).toString()))
    expect(a).toBe(b ?? -1)
    expect(a).toBeGreaterThanOrEqual(promised)
    expect(a).toBeLessThanOrEqual(promised + 1)
    const { total } = storage.messages.list({ sessionId: SESSION, limit: 1, offset: 0 })
    expect(total).toBeGreaterThanOrEqual(promised)
    expect(storage.sessions.counts([SESSION]).get(SESSION)?.received).toBe(total)
    const told = storage.journal.read(0, 100_000).filter((entry) => entry.event === 'message.received')
    expect(told).toHaveLength(total)
    // A stanza is either still in the inbox or its message is stored, never neither.
    const waiting = vault.inbox().map((row) => Number(Buffer.from(row.stanza).toString()))
    for (const n of waiting) expect(storage.messages.get(SESSION, `M${n}`)).toBeNull()
    await vault.discard(vault.inbox().map((row) => row.id))
    before = promised
    await storage.close()
  }
}, 60_000)

test('a disk that is full refuses writes with half of nothing, and takes them again without a restart', async () => {
  // A limit on the size of files is a full disk to SQLite; the signal that comes with it has to be ignored first.
  const child = Bun.spawn(
    [
      'bash',
      '-c',
      'trap "" XFSZ; ulimit -S -f 2000; exec "$0" "$@"',
      process.execPath,
      join(import.meta.dir, 'child.ts'),
      'fill',
      rig.file,
    ],
    { stdout: 'pipe', stderr: 'inherit' },
  )
  const lines: string[] = []
  const decoder = new TextDecoder()
  let text = ''
  for await (const chunk of child.stdout) {
    text += decoder.decode(chunk)
    const before = lines.length
    lines.splice(0, lines.length, ...text.split('\n').slice(0, -1))
    if (before === 0 && lines.length > 0) {
      Bun.spawnSync(['prlimit', '--pid', String(child.pid), '--fsize=unlimited'])
    }
  }
  await child.exited
  expect(lines).toEqual(['STORAGE_UNAVAILABLE, healthy false', 'taken again, healthy true, pairs whole true'])
}, 60_000)
