/** `wabun user` as a process: accounts with the server stopped. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startChild } from './harness/process'

const MAIN = join(import.meta.dir, '..', 'src', 'main.ts')
let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'wabun-cli-user-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(args: string[], input = '') {
  const child = Bun.spawn([process.execPath, MAIN, 'user', ...args, '--data-dir', join(folder, 'data')], {
    cwd: folder,
    env: { PATH: process.env.PATH ?? '', HOME: folder },
    stdin: new TextEncoder().encode(input),
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

test('the first account owns the server; a forgotten password is replaced, and older tokens are void', async () => {
  const none = await run(['list'])
  expect([none.code, none.err]).toEqual([2, expect.stringContaining('There is no database')])
  const first = await run(['create', '--username', 'ada', '--email', 'ada@example.com'])
  const [, apiKey = '', made = ''] = /API key (wapi_\S+)\npassword (\S+)\n/.exec(first.out) ?? []
  expect([first.code, made.length]).toEqual([0, 24])
  const taken = await run(['create', '--username', 'Ada', '--email', 'other@example.com'])
  expect([taken.code, taken.err]).toEqual([1, 'This username is taken\n'])

  const serve = () =>
    startChild({
      name: 'server',
      args: [MAIN, 'serve', '--port', '0', '--data-dir', join(folder, 'data')],
      env: {},
      cwd: folder,
    })
  const login = async (url: string, password: string) => {
    const response = await fetch(`${url}/api/auth/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username: 'ada', password }),
    })
    return { status: response.status, token: String(((await response.json()) as { token?: string }).token) }
  }
  const profile = async (url: string, headers: Record<string, string>) =>
    (await fetch(`${url}/api/auth/profile`, { headers })).status

  const running = await serve()
  const { status, token } = await login(running.url, made)
  expect(status).toBe(200)
  const busy = await run(['list'])
  expect([busy.code, busy.err]).toEqual([78, expect.stringContaining('/api/admin/users')])
  await running.stop()

  const short = await run(['reset-password', '--username', 'ada', '--password-stdin'], 'short\n')
  expect(short.code).toBe(2)
  const reset = await run(['reset-password', '--username', 'ada', '--password-stdin'], 'a new password\n')
  expect([reset.code, reset.out]).toEqual([0, 'The password of ada was changed.\n'])
  const listed = await run(['list'])
  expect(listed.out).toMatch(/^usr_\S+\tada\tada@example\.com\tadmin\tenterprise\tactive\n$/)

  const again = await serve()
  expect((await login(again.url, made)).status).toBe(401)
  expect((await login(again.url, 'a new password')).status).toBe(200)
  expect(await profile(again.url, { authorization: `Bearer ${token}` })).toBe(401)
  expect(await profile(again.url, { 'x-api-key': apiKey })).toBe(200)
  await again.stop()

  const database = new Database(join(folder, 'data', 'wabun.sqlite'), { readonly: true })
  const commands = database
    .query<{ action: string; object: string }, []>(
      "SELECT action, object FROM audit WHERE action LIKE 'wabun %' ORDER BY number",
    )
    .all()
  database.close()
  const id = listed.out.split('\t')[0] ?? ''
  expect(commands).toEqual([
    { action: 'wabun user create', object: id },
    { action: 'wabun user reset-password', object: id },
  ])
}, 60_000)
