/** The single program, built as it is shipped and run in an empty directory. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BUILD_FLAGS, buildBinary } from '../build/binary'
import { startChild } from './harness/process'

let folder = ''
let program = ''
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'wabun-binary-'))
  program = join(folder, 'bin', 'wabun')
  await buildBinary(program)
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const empty = (): string => mkdtempSync(join(folder, 'empty-'))

test('names are left as they are, which Elysia needs', () => {
  expect(BUILD_FLAGS.join(' ')).not.toMatch(/--minify(?:-identifiers)?(?: |$)/)
})

test('nothing in it can arm the fault points of the crash rig', async () => {
  const bytes = Buffer.from(await Bun.file(program).arrayBuffer())
  expect(bytes.includes('Handling stanzas that were left over')).toBe(true)
  for (const words of ['armFaultPoints', 'CRASH_POINT', 'CRASH_WITHOUT'])
    expect(bytes.includes(words)).toBe(false)
})

test('demo --once, from an empty directory', async () => {
  const cwd = empty()
  const child = Bun.spawn([program, 'demo', '--once'], {
    cwd,
    env: { PATH: '/usr/bin:/bin', HOME: cwd },
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [code, out, err] = await Promise.all([
    child.exited,
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  expect(out).toContain('The round trip is complete.')
  expect({ code, err }).toEqual({ code: 0, err: '' })
  expect(readdirSync(cwd)).toEqual([])
}, 60_000)

test('serve makes its database, validates, and reads no bunfig.toml beside it', async () => {
  const cwd = empty()
  writeFileSync(join(cwd, 'evil.ts'), 'require("node:fs").writeFileSync("owned", "x")')
  writeFileSync(join(cwd, 'bunfig.toml'), 'preload = ["./evil.ts"]')
  const apiKey = 'k'.repeat(40)
  const child = await startChild({
    name: 'binary',
    program,
    args: ['serve', '--port', '0'],
    env: { API_KEY: apiKey, SANDBOX: 'true' },
    cwd,
  })
  const call = (method: string, path: string, body?: object) =>
    fetch(child.url + path, {
      method,
      headers: { 'x-api-key': apiKey, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
  expect(existsSync(join(cwd, 'owned'))).toBe(false)
  expect(existsSync(join(cwd, 'data', 'wabun.sqlite'))).toBe(true)
  // Validation reads handlers' sources at run time: a typo must still be an error in the built program.
  const wrong = await call('POST', '/api/sessions', { name: 'x', nmae: 'y' })
  expect(wrong.status).toBe(400)
  const { session } = (await (await call('POST', '/api/sessions', { name: 'x' })).json()) as {
    session: { id: string }
  }
  await call('POST', `/api/sessions/${session.id}/start`)
  const qr = await call('GET', `/api/sessions/${session.id}/qr?format=png`)
  expect([qr.status, qr.headers.get('content-type')]).toEqual([200, 'image/png'])
  const document = (await (await call('GET', '/docs/openapi.json')).json()) as { paths: object }
  expect(Object.keys(document.paths).length).toBeGreaterThan(40)
  expect(await child.stop()).toBe(0)
}, 60_000)

test('it tells what it consists of, as the source does', async () => {
  const tell = async (...command: string[]) => {
    const child = Bun.spawn(command, { cwd: empty(), stdout: 'pipe', stderr: 'pipe' })
    const [code, out] = await Promise.all([child.exited, new Response(child.stdout).text()])
    return { code, out }
  }
  const told = await tell(program, 'sbom')
  expect(told.code).toBe(0)
  expect(told).toEqual(await tell(process.execPath, join(import.meta.dir, '..', 'build', 'sbom.ts')))
})

test('built again, elsewhere, it is the same to the byte', async () => {
  const again = join(folder, 'again', 'wabun')
  await buildBinary(again)
  const hashOf = async (file: string) =>
    new Bun.CryptoHasher('sha256').update(await Bun.file(file).bytes()).digest('hex')
  expect(await hashOf(again)).toBe(await hashOf(program))
}, 120_000)
