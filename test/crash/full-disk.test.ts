/**
 * A disk that is full, for a running service: every route that writes says so, nothing is acknowledged to WhatsApp or to a
 * client, reads go on, and all of it recovers by itself.
 *
 * Two kinds of fault: a file system of its own that is filled up (ENOSPC; where this process may mount one), and a limit
 * of the system on the process's files, below which every write fails (EFBIG).
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { type Sink, startSink } from '../harness/sink'
import { API_KEY, numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

setDefaultTimeout(120_000)

const run = (...command: string[]): boolean =>
  Bun.spawnSync(command, { stdout: 'ignore', stderr: 'ignore' }).exitCode === 0

type Disk = { folder: string; fill(pid: number): void; free(pid: number): void; end(): void }

function smallFileSystem(): Disk | null {
  const folder = mkdtempSync(join(tmpdir(), 'wabun-disk-'))
  if (!run('mount', '-t', 'tmpfs', '-o', 'size=48m', 'tmpfs', folder)) {
    rmSync(folder, { recursive: true })
    return null
  }
  const ballast = join(folder, 'ballast')
  return {
    folder,
    fill() {
      const file = openSync(ballast, 'w')
      try {
        for (let size = 1 << 20; size >= 1; size >>= 4) writeUntilFull(file, size)
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(ballast),
    end() {
      run('umount', folder)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function writeUntilFull(file: number, size: number): void {
  const piece = new Uint8Array(size)
  try {
    for (;;) writeSync(file, piece)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
  }
}

function limitedFiles(): Disk | null {
  if (Bun.which('prlimit') === null) return null
  const folder = mkdtempSync(join(tmpdir(), 'wabun-disk-'))
  return {
    folder,
    fill: (pid) => expect(run('prlimit', `--pid=${pid}`, '--fsize=0:unlimited')).toBe(true),
    free: (pid) => expect(run('prlimit', `--pid=${pid}`, '--fsize=unlimited:unlimited')).toBe(true),
    end: () => rmSync(folder, { recursive: true, force: true }),
  }
}

const DISKS: [name: string, disk: Disk | null][] = [
  ['a file system without room', smallFileSystem()],
  ['a limit on files', limitedFiles()],
]

// Of the whole file: also when only one of them is tested.
afterAll(() => {
  for (const [, disk] of DISKS) disk?.end()
})

/** Routes that write, each with a body that is right. */
const WRITING = (id: string, to: string): [method: string, path: string, body?: object][] => [
  ['POST', '/api/sessions', { name: 'Another' }],
  ['PUT', `/api/sessions/${id}/settings`, { name: 'Renamed' }],
  ['POST', `/api/sessions/${id}/stop`],
  ['POST', `/api/sessions/${id}/logout`],
  ['POST', `/api/sessions/${id}/clear-auth`],
  ['DELETE', `/api/sessions/${id}`],
  ['POST', '/api/messages/send/text', { sessionId: id, to, text: 'refused at once' }],
  ['POST', '/api/messages/send/text', { sessionId: id, to, text: 'refused in the queue', queue: true }],
  ['POST', `/api/messages/queue/${id}/pause`],
  ['PUT', `/api/webhook/config/${id}`, { url: 'http://127.0.0.1:9999/', events: ['*'] }],
  ['DELETE', `/api/webhook/config/${id}`],
  ['POST', '/api/webhook/endpoints', { url: 'http://127.0.0.1:9999/', events: ['*'] }],
  ['POST', `/api/webhook/rotate-secret/${id}`],
  ['POST', '/api/messages/send/bulk', { sessionId: id, messages: [{ to, text: 'refused in a bulk' }] }],
  ['POST', '/api/auth/api-keys', { name: 'Another key' }],
]
const READING = (id: string): string[] => [
  '/api/sessions',
  `/api/sessions/${id}`,
  `/api/sessions/${id}/status`,
  `/api/messages/history/${id}`,
  `/api/messages/stats/${id}`,
  `/api/messages/queue/${id}`,
  `/api/webhook/config/${id}`,
  '/api/events?limit=10',
  '/api/status',
  '/healthz',
]

// Mounting needs a privilege that not every machine gives; the limit on files fills the disk without one.
for (const [name, disk] of DISKS) {
  describe.skipIf(disk === null)(`${name}`, () => {
    const us = numberOf(0)
    const peer = numberOf(1)
    let sandbox: SandboxProcess
    let sink: Sink
    let gateway: Wabun
    let id = ''
    let pid = 0

    beforeAll(async () => {
      sandbox = await startSandboxProcess()
      sink = startSink()
      await sandbox.addPhone(peer)
      const env = { DATA_DIR: disk?.folder ?? '', LOG_LEVEL: 'warn' }
      gateway = wabunGateway({ sandbox, env })
      await gateway.start()
      pid = gateway.child.pid
      const [paired = ''] = await pairAll(gateway, sandbox, [us])
      id = paired
      await gateway.api('PUT', `/api/webhook/config/${id}`, { url: sink.url, events: ['*'] })
      await gateway.send(id, peer, 'before')
      await sandbox.say(peer, us, 'heard before')
      await until('what was said before', async () => (told().includes('heard before') ? true : null), 10_000)
    })
    afterAll(async () => {
      await gateway.end()
      await sink.stop()
      await sandbox.stop()
    })

    const told = () =>
      sink.deliveries.filter(({ event }) => event === 'message.received').map(({ body }) => String(body.text))
    const atPhone = async () => (await sandbox.received(peer)).map(({ text }) => text)

    test('is told by every route that writes, acknowledged by nobody, and got over without a restart', async () => {
      disk?.fill(pid)
      for (const [method, path, body] of WRITING(id, peer)) {
        const answer = await gateway.call(method, path, body)
        const { code } = (await answer.json()) as { code?: string }
        expect({ route: `${method} ${path}`, status: answer.status, code }).toEqual({
          route: `${method} ${path}`,
          status: 503,
          code: 'STORAGE_UNAVAILABLE',
        })
      }
      const form = new FormData()
      form.set('file', new Blob([new Uint8Array(2_000_000).fill(7)]), 'large.bin')
      const upload = await fetch(`${gateway.child.url}/api/messages/upload`, {
        method: 'POST',
        headers: { 'x-api-key': API_KEY },
        body: form,
      })
      expect({ status: upload.status, body: await upload.json() }).toMatchObject({
        status: 503,
        body: { code: 'STORAGE_UNAVAILABLE' },
      })
      await sandbox.say(peer, us, 'said to a full disk')
      await until('the end of the connection', async () =>
        (await gateway.statusOf(id)) === 'connected' ? null : true,
      )
      for (const path of READING(id))
        expect({ path, status: (await gateway.call('GET', path)).status }).toEqual({ path, status: 200 })
      expect((await gateway.call('GET', '/readyz')).status).toBe(503)
      const { diagnosis } = await gateway.api<{ diagnosis: Record<string, unknown> }>(
        'GET',
        `/api/sessions/${id}/diagnosis`,
      )
      expect(diagnosis).toMatchObject({ code: 'storage_full' })
      // Again, now that the session has lost its connection to the disk.
      for (const queue of [true, false]) {
        const body = { sessionId: id, to: peer, text: 'refused later', queue }
        const answer = await gateway.call('POST', '/api/messages/send/text', body)
        expect(answer.status).toBe(503)
      }
      expect(told()).not.toContain('said to a full disk')

      disk?.free(pid)
      await until('the session', async () => ((await gateway.statusOf(id)) === 'connected' ? true : null))
      await until('what WhatsApp had to keep', async () =>
        told().includes('said to a full disk') ? true : null,
      )
      await gateway.send(id, peer, 'after')
      expect((await gateway.call('GET', '/readyz')).status).toBe(200)
      expect(gateway.child.pid).toBe(pid)
      expect(await atPhone()).toEqual(['before', 'after'])
      const texts = (await gateway.history(id)).map(({ text }) => text).sort()
      expect(texts).toEqual(['after', 'before', 'heard before', 'said to a full disk'])
      const { session } = await gateway.api<{ session: { name: string } }>('GET', `/api/sessions/${id}`)
      expect(session.name).not.toBe('Renamed')
      await until('both events of it', async () => {
        const events = sink.deliveries.map(({ event }) => event)
        return events.includes('session.stalled') && events.includes('session.gap') ? true : null
      })
    })
  })
}
