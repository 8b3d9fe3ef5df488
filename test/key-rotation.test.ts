/** `wabun key rotate` as an operator meets it: with a running server, without one, and after a crash in between. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp } from '../src/app'
import { loadConfig } from '../src/config'
import { StorageRefused } from '../src/storage/refused'
import { until } from './harness/measure'
import { type Child, startChild } from './harness/process'

const ROOT = join(import.meta.dir, '..')
const MAIN = join(ROOT, 'src', 'main.ts')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wabun-keys-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const dirOf = (name: string) => join(folder, name)
const keyFile = (name: string) => join(dirOf(name), 'master.key')
const keyIn = (name: string) => readFileSync(keyFile(name), 'utf8').trim()
const nextFile = (name: string) => `${keyFile(name)}.next`
const newKey = () => randomBytes(32).toString('base64')

async function rotate(name: string, env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, MAIN, 'key', 'rotate', '--data-dir', dirOf(name)], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder, ...env },
    stdin: 'ignore',
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code, out, err }
}
const server = (name: string, env: Record<string, string> = {}) =>
  startChild({
    name,
    args: [MAIN, 'serve', '--port', '0', '--data-dir', dirOf(name)],
    env: { REGISTRATION: 'open', ...env },
    cwd: folder,
  })

type Told = { token: string; apiKey: string; session: { id: string } }
async function call(
  url: string,
  method: string,
  path: string,
  given: { body?: object; token?: string } = {},
) {
  const response = await fetch(url + path, {
    method,
    headers: {
      'content-type': 'application/json',
      ...(given.token ? { authorization: `Bearer ${given.token}` } : {}),
    },
    ...(given.body ? { body: JSON.stringify(given.body) } : {}),
  })
  return { status: response.status, body: (await response.json()) as Told }
}
const register = async (url: string, username: string) => {
  const { body } = await call(url, 'POST', '/api/auth/register', {
    body: { username, email: `${username}@example.com`, password: 'correct horse battery 1A!' },
  })
  return body.token
}
const isKnown = async (url: string, token: string) =>
  (await call(url, 'GET', '/api/sessions', { token })).status === 200
const refused = async (start: Promise<Child>): Promise<string> => {
  try {
    await (await start).kill()
    return 'started'
  } catch (error) {
    return String(error)
  }
}

/** A server that is put together and stopped, in this process; how that ended. */
async function once(name: string, env: Record<string, string> = {}): Promise<string> {
  try {
    const app = await createApp(loadConfig({ env, flags: { '--data-dir': dirOf(name) } }))
    await app.stop()
    return 'started'
  } catch (error) {
    return error instanceof StorageRefused ? error.reason : String(error)
  }
}

describe('a key of our own', () => {
  test('is changed with the server running; tokens hold; the next start finds the new one', async () => {
    let child = await server('own')
    const token = await register(child.url, 'ada')
    const first = keyIn('own')
    const { code, out } = await rotate('own')
    expect(code).toBe(0)
    expect(out).toContain(keyFile('own'))
    const second = keyIn('own')
    expect(second).not.toBe(first)
    expect(out).not.toContain(second)
    expect(statSync(keyFile('own')).mode & 0o777).toBe(0o600)
    expect(existsSync(nextFile('own'))).toBe(false)
    expect(await isKnown(child.url, token)).toBe(true)
    const { body } = await call(child.url, 'POST', '/api/sessions', {
      token,
      body: { name: 'Made afterwards' },
    })
    expect(child.output()).not.toContain(second)
    // No time to close: what counts is on disk.
    await child.kill()
    child = await server('own')
    expect(await isKnown(child.url, token)).toBe(true)
    expect((await call(child.url, 'GET', `/api/sessions/${body.session.id}`, { token })).status).toBe(200)
    expect(await child.stop()).toBe(0)
    // Control: the old key is of no use.
    const says = await refused(server('own', { MASTER_KEY: first }))
    expect(says).toContain('exit code 78')
    expect(says).toContain('The master key is not the one this database was made with')
  })

  test('is changed without a server', async () => {
    expect(await once('off')).toBe('started')
    const first = keyIn('off')
    expect((await rotate('off')).code).toBe(0)
    expect(keyIn('off')).not.toBe(first)
    expect(await once('off')).toBe('started')
  })

  test('a crash before the change, or before the old key was replaced, is made good by the next start', async () => {
    expect(await once('crash')).toBe('started')
    const first = keyIn('crash')
    const next = newKey()
    writeFileSync(nextFile('crash'), `${next}\n`, { mode: 0o600 })
    // Before: the database is still under the old one.
    expect(await once('crash')).toBe('started')
    expect(keyIn('crash')).toBe(next)
    expect(existsSync(nextFile('crash'))).toBe(false)
    // After: it is under the new one, and the file of the old one is still there.
    writeFileSync(nextFile('crash'), `${next}\n`, { mode: 0o600 })
    writeFileSync(keyFile('crash'), `${first}\n`, { mode: 0o600 })
    expect(await once('crash')).toBe('started')
    expect(keyIn('crash')).toBe(next)
    expect(existsSync(nextFile('crash'))).toBe(false)
    // Control: without the next one, the old one opens nothing.
    writeFileSync(keyFile('crash'), `${first}\n`, { mode: 0o600 })
    expect(await once('crash')).toBe('wrong_master_key')
    // A key that is lost is not replaced by one that opens nothing.
    rmSync(keyFile('crash'))
    expect(await once('crash')).toContain('but no master key')
    expect(existsSync(keyFile('crash'))).toBe(false)
    writeFileSync(nextFile('crash'), `${next}\n`, { mode: 0o600 })
    expect(await once('crash')).toBe('started')
    expect(keyIn('crash')).toBe(next)
  })
})

describe('a key of the operator', () => {
  test('is changed with the server running, which starts with either of both until the new one stands in its place', async () => {
    const first = newKey()
    const second = newKey()
    let child = await server('env', { MASTER_KEY: first })
    const token = await register(child.url, 'grace')
    const { code, out } = await rotate('env', { MASTER_KEY: first, MASTER_KEY_NEXT: second })
    expect(code).toBe(0)
    expect(out).toContain('MASTER_KEY before the next start')
    expect(out).not.toContain(second)
    expect(existsSync(keyFile('env'))).toBe(false)
    // The file may hold the only copy of the key: another change must not take its place.
    const third = await rotate('env', { MASTER_KEY: first, MASTER_KEY_NEXT: newKey() })
    expect(third.code).toBe(2)
    expect(third.err).toContain('holds another key')
    expect(readFileSync(nextFile('env'), 'utf8').trim()).toBe(second)
    await child.kill()
    child = await server('env', { MASTER_KEY: first })
    const { output } = child
    await until('the advice', async () =>
      output().includes('put the new one into MASTER_KEY') ? true : null,
    )
    expect(await isKnown(child.url, token)).toBe(true)
    await child.stop()
    child = await server('env', { MASTER_KEY: second })
    expect(await isKnown(child.url, token)).toBe(true)
    expect(existsSync(nextFile('env'))).toBe(false)
    await child.stop()
    expect(await once('env', { MASTER_KEY: first })).toBe('wrong_master_key')
  })

  test('is changed by a start that is given both, and no file ever holds one', async () => {
    const first = newKey()
    const second = newKey()
    expect(await once('both', { MASTER_KEY: first })).toBe('started')
    expect(await once('both', { MASTER_KEY: first, MASTER_KEY_NEXT: second })).toBe('started')
    expect(await once('both', { MASTER_KEY: second, MASTER_KEY_NEXT: second })).toBe('started')
    expect(await once('both', { MASTER_KEY: second })).toBe('started')
    expect(existsSync(nextFile('both'))).toBe(false)
    expect(existsSync(keyFile('both'))).toBe(false)
    expect(await once('both', { MASTER_KEY: first })).toBe('wrong_master_key')
  })
})
