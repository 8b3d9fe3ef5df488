/** The command line as a process: exit codes, first line, data directories that do not fit. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './harness/measure'
import { startChild } from './harness/process'

const ROOT = join(import.meta.dir, '..')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wabun-cli-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs to the end. */
async function run(args: string[], env: Record<string, string> = {}) {
  const child = Bun.spawn([process.execPath, join(ROOT, 'src', 'main.ts'), ...args], {
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

const server = (name: string, env: Record<string, string> = {}, args: string[] = []) =>
  startChild({
    name,
    args: [join(ROOT, 'src', 'main.ts'), 'serve', '--port', '0', '--data-dir', join(folder, name), ...args],
    env,
    cwd: folder,
  })

const API_KEY = 'x'.repeat(40)
type Told = { session: { id: string; status: string }; qrText: string }
type Client = (method: string, path: string, body?: object) => Promise<Told>
const client =
  (url: string): Client =>
  async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { 'x-api-key': API_KEY, 'content-type': 'application/json' },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    return (await response.json()) as Told
  }

/** Starts a session and lets a new sandbox phone scan its code; resolves when it is connected. */
async function link(api: Client, sandbox: Client, id: string, phoneNumber: string): Promise<void> {
  await sandbox('POST', '/sandbox/phones', { phoneNumber, name: 'Phone' })
  await api('POST', `/api/sessions/${id}/start`)
  const { qrText } = await api('GET', `/api/sessions/${id}/qr`)
  await sandbox('POST', `/sandbox/phones/${phoneNumber}/scan`, { qr: qrText })
  while ((await api('GET', `/api/sessions/${id}`)).session.status !== 'connected') await Bun.sleep(10)
}

describe('commands', () => {
  test('help names all of them and every setting', async () => {
    const { code, out } = await run(['help'])
    expect(code).toBe(0)
    for (const word of [
      'serve',
      'sandbox',
      'demo',
      'check-config',
      'openapi',
      'sbom',
      'version',
      '--port',
      'WHATSAPP_URL',
    ]) {
      expect(out).toContain(word)
    }
    expect((await run(['--help'])).out).toBe(out)
  })

  test('version is that of package.json', async () => {
    const { version } = await import('../package.json')
    expect(await run(['version'])).toMatchObject({ code: 0, out: `${version}\n` })
  })

  test('sbom prints the bill of materials', async () => {
    const { code, out } = await run(['sbom'])
    expect(code).toBe(0)
    expect(JSON.parse(out)).toMatchObject({ bomFormat: 'CycloneDX', specVersion: '1.6' })
  })

  test('openapi prints the document, whole also into a pipe', async () => {
    const { code, out } = await run(['openapi'])
    expect(code).toBe(0)
    expect(Object.keys(JSON.parse(out).paths).length).toBeGreaterThan(30)
  })

  test.each([
    [['serv'], 'did you mean "serve"?'],
    [['serve', 'now'], 'takes no further words'],
    [['serve', '--prot', '1'], 'did you mean --port?'],
    [['serve', '--port', 'x'], 'whole number'],
    [['version', '--port', '1'], 'no such flag'],
  ])('%p ends with 2 and says why', async (args, says) => {
    const { code, err } = await run(args)
    expect(code).toBe(2)
    expect(err).toContain(says)
  })

  test('an unknown variable with our prefix ends with 2', async () => {
    const { code, err } = await run(['serve'], { WABUN_DATADIR: 'x' })
    expect(code).toBe(2)
    expect(err).toContain('WABUN_DATADIR: There is no such setting; did you mean WABUN_DATA_DIR?')
  })

  test('check-config explains values, sources and problems, and shows no secret', async () => {
    const secret = 'super-secret-key-of-the-owner-0123456789'
    const good = await run(['check-config'], { PORT: '4000', API_KEY: secret })
    expect(good.code).toBe(0)
    expect(good.out).toMatch(/PORT +4000 {2}\(PORT\)/)
    expect(good.out).toMatch(/HOST +127\.0\.0\.1 {2}\(default\)/)
    expect(good.out).not.toContain(secret)
    const bad = await run(['check-config'], { WHATSAPP_ROOT_KEY: 'ab'.repeat(32) })
    expect(bad.code).toBe(2)
    expect(bad.out).toContain(
      'WHATSAPP_ROOT_KEY: A root key of your own is accepted only together with a WHATSAPP_URL',
    )
  })
})

describe('serve', () => {
  test('the first line says where; keys are private; SIGTERM ends with 0', async () => {
    const child = await server('first')
    const [line = ''] = child.output().split('\n')
    expect(JSON.parse(line).says).toBe(`listening on ${child.url}`)
    expect((await fetch(`${child.url}/readyz`)).status).toBe(200)
    expect((await fetch(`${child.url}/sandbox/phones`)).status).toBe(404)
    const key = join(folder, 'first', 'master.key')
    expect(statSync(key).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'first')).mode & 0o777).toBe(0o700)
    expect(child.output()).toContain('Made a new master key')
    expect(await child.stop()).toBe(0)
  })

  test('says so also when nothing is to be logged', async () => {
    const child = await server('silent', { LOG_LEVEL: 'silent' })
    expect(child.output().trim().split('\n')).toHaveLength(1)
    await child.stop()
  })

  test('a secret that was given as a flag is told to be seen by others', async () => {
    const child = await server('flag', {}, ['--api-key', API_KEY])
    await until('the advice', () => (child.output().includes('give API_KEY as a variable') ? true : null))
    expect(child.output()).not.toContain(API_KEY)
    await child.stop()
  })

  test('a second process on the same directory is refused', async () => {
    const child = await server('shared')
    await expect(server('shared')).rejects.toThrow('exit code 78')
    await child.stop()
  })

  test('a port that is taken is told plainly', async () => {
    const child = await server('port-a')
    const port = new URL(child.url).port
    const { code, err } = await run(['serve', '--port', port, '--data-dir', join(folder, 'port-b')])
    expect(code).toBe(1)
    expect(err).toContain('the port is taken')
    await child.stop()
  })

  test('a directory with pairings of the sandbox is refused for WhatsApp itself; an unused one is not', async () => {
    const env = { API_KEY }
    const first = await server('purpose', env, ['--sandbox'])
    const { session } = await client(first.url)('POST', '/api/sessions', { name: 'x' })
    await first.stop()
    // Nothing is linked yet: the directory may change its purpose, and change back.
    await (await server('purpose', env)).stop()
    const again = await server('purpose', env, ['--sandbox'])
    await link(client(again.url), client(again.url), session.id, '491704440001')
    await again.stop()
    await expect(server('purpose', env)).rejects.toThrow('pairing(s) with the sandbox')
    // Control: it is still good for what it was made for.
    await (await server('purpose', env, ['--sandbox'])).stop()
  })
})

test('a sandbox of its own: its printed variables point a server at it', async () => {
  const sandbox = await startChild({
    name: 'sandbox',
    args: [join(ROOT, 'src', 'main.ts'), 'sandbox', '--port', '0', '--data-dir', join(folder, 'sandbox')],
    env: { API_KEY },
    cwd: folder,
  })
  const variables = Object.fromEntries(
    [...sandbox.output().matchAll(/^([A-Z_]+)=(.*)$/gm)].map(([, name, value]) => [name, value]),
  )
  expect(Object.keys(variables)).toEqual([
    'WHATSAPP_URL',
    'WHATSAPP_ROOT_KEY',
    'WHATSAPP_MEDIA_HOSTS',
    'NODE_EXTRA_CA_CERTS',
  ])
  const child = await server('pointed', { ...variables, API_KEY })
  const api = client(child.url)
  const { session } = await api('POST', '/api/sessions', { name: 'x' })
  await link(api, client(sandbox.url), session.id, '491704440002')
  expect(await child.stop()).toBe(0)
  expect(await sandbox.stop()).toBe(0)
})

test('demo --once shows the round trip and leaves nothing behind', async () => {
  const { code, out } = await run(['demo', '--once'], { TMPDIR: folder })
  expect(out).toContain('The round trip is complete.')
  expect(out).toMatch(/⇢ websocket message\.received/)
  expect(out).toMatch(/⇢ webhook {3}message\.received/)
  expect(out).toContain('█')
  expect(code).toBe(0)
  expect([...new Bun.Glob('wabun-demo-*').scanSync({ cwd: folder, onlyFiles: false })]).toEqual([])
  expect(existsSync(join(folder, 'data'))).toBe(false)
})

describe('audit verify', () => {
  test('needs a stopped server; says sound and its head, compares one of before, and finds what was changed', async () => {
    const child = await server('audited', { API_KEY })
    const at = ['--data-dir', join(folder, 'audited')]
    const api = client(child.url)
    const { session } = await api('POST', '/api/sessions', { name: 'x' })
    const busy = await run(['audit', 'verify', ...at])
    expect(busy.code).toBe(78)
    expect(busy.err).toContain('GET /api/admin/audit/verify')
    await api('POST', `/api/sessions/${session.id}/stop`)
    expect(await child.stop()).toBe(0)
    const good = await run(['audit', 'verify', ...at])
    // Started, first use of the key, session made and stopped, server stopped.
    expect({ code: good.code, err: good.err }).toEqual({ code: 0, err: '' })
    expect(good.out).toStartWith('5 entries, from 1 to 5\n')
    const [, head = ''] = /head (5\.[0-9a-f]{64})\n/.exec(good.out) ?? []
    expect((await run(['audit', 'verify', '--known', head, ...at])).code).toBe(0)
    expect((await run(['audit', 'verify', '--known', `5.${'0'.repeat(64)}`, ...at])).code).toBe(1)
    expect((await run(['audit', 'verify', '--known', 'x', ...at])).code).toBe(2)
    expect((await run(['audit', ...at])).code).toBe(2)
    const database = new Database(join(folder, 'audited', 'wabun.sqlite'))
    database.run('DROP TRIGGER audit_goes_from_the_front')
    database.run('DELETE FROM audit WHERE number >= 4')
    database.close()
    const bad = await run(['audit', 'verify', ...at])
    expect(bad.code).toBe(1)
    expect(bad.out).toContain('3: Entries after this one are gone')
    expect(bad.out).toEndWith('NOT SOUND\n')
    expect((await run(['audit', 'verify', '--data-dir', join(folder, 'nowhere')])).code).toBe(2)
  }, 60_000)
})
