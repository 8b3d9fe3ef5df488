/** The proxy of a session as its owner sees it: taken or refused, masked, kept sealed, told of in words. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { errorRow } from '../../src/domain/errors'
import { startApp, type TestApp } from '../harness/app'
import { formsInBytes, leaksIn, type Secret, secretText } from '../harness/secrets'
import { FORBIDDEN_URLS } from '../lib/forbidden-urls'

const PASSWORD = 'correct-horse-battery-staple'
const SECRET: Secret = secretText('the password of a proxy', PASSWORD)
const URL_ = `socks5://someone:${PASSWORD}@127.0.0.1:49151`
const SHOWN = 'socks5://someone:***@127.0.0.1:49151'

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--proxy-allow-networks': '127.0.0.0/8' } })
})
afterAll(() => server.stop())

type Shown = { session: { id: string; settings: { proxyUrl: string | null } } }
const settings = (id: string, proxyUrl: string | null) =>
  server.call<Shown & { code?: string; error?: string }>('PUT', `/api/sessions/${id}/settings`, {
    body: { settings: { proxyUrl } },
  })

describe('an address that no proxy may have', () => {
  /** The text of a URL for a webhook, as it would be that of a proxy. */
  const asProxy = (url: string) => url.replace(/^(https?:\/\/[^/]*)\/.*$/, '$1')
  const BAD = [
    ...FORBIDDEN_URLS.filter((url) => url !== '' && url.length <= 2048 && !url.includes('@')).map(asProxy),
    'socks5://10.0.0.1:1080',
    'socks5://2130706433:1080',
    'socks5://[::ffff:7f00:1]:1080',
    'socks5://metadata.google.internal:1080',
    'socks5://user:pass@169.254.169.254:1080',
    'socks4://proxy.example.com:1080',
    'http://proxy.example.com:3128/path',
    'http://proxy.example.com:25',
    'proxy.example.com:3128',
    'http://user%0d%0aX-Injected:pass@proxy.example.com',
  ]

  test('is refused with one sentence for every reason, before anything is stored', async () => {
    const strict = await startApp()
    try {
      const id = await strict.session('Session')
      for (const proxyUrl of BAD) {
        for (const [method, path, body] of [
          ['POST', '/api/sessions', { name: 'a', settings: { proxyUrl } }],
          ['PUT', `/api/sessions/${id}/settings`, { settings: { proxyUrl } }],
        ] as const) {
          const { status, body: told } = await strict.call(method, path, { body })
          const { code, error } = told
          expect({ proxyUrl, status, code, error }).toEqual({
            proxyUrl,
            status: 400,
            code: 'PROXY_URL_FORBIDDEN',
            error: errorRow('PROXY_URL_FORBIDDEN').says,
          })
        }
      }
      const { body } = await strict.call<{ total: number }>('GET', '/api/sessions')
      expect(body.total).toBe(1)
    } finally {
      await strict.stop()
    }
  })

  test('longer than any address, or no text, is refused by its form', async () => {
    const id = await server.session('Session')
    for (const proxyUrl of [`http://${'a'.repeat(2048)}`, '', 7, {}] as never[])
      expect((await settings(id, proxyUrl)).body.code).toBe('VALIDATION_ERROR')
  })

  test('the control: the same server takes public ones, and those of networks that were opened', async () => {
    const id = await server.session('Session')
    for (const proxyUrl of [
      'http://proxy.example.com:3128',
      'https://proxy.example.com',
      'socks5h://1.1.1.1',
      URL_,
    ])
      expect((await settings(id, proxyUrl)).status).toBe(200)
    expect((await settings(id, null)).body.session.settings.proxyUrl).toBe(null)
  })
})

test('its password is shown to nobody, and the shown address is the present one', async () => {
  const id = await server.session('Masked', { proxyUrl: URL_ })
  const answers = [
    (await server.call<Shown>('GET', `/api/sessions/${id}`)).body,
    (await settings(id, URL_)).body,
    (await settings(id, SHOWN)).body,
    (await server.call('GET', '/api/sessions')).body,
    (await server.call('GET', `/api/sessions/${id}/events?limit=100`)).body,
    (await server.call('GET', `/api/sessions/${id}/diagnosis`)).body,
  ]
  expect(answers.slice(0, 3).map((body) => (body as Shown).session.settings.proxyUrl)).toEqual([
    SHOWN,
    SHOWN,
    SHOWN,
  ])
  expect(leaksIn(JSON.stringify(answers), [SECRET])).toEqual([])
  // Nothing has changed by what was shown.
  await server.ok('POST', `/api/sessions/${id}/start`)
  await server.until(id, ({ status }) => status === 'disconnected')
  const { diagnosis } = await server.ok<{
    diagnosis: { lastError: { reason: string; detail: string; says: string }; action: string }
  }>('GET', `/api/sessions/${id}/diagnosis`)
  expect(diagnosis.lastError).toMatchObject({ reason: 'proxy_failed', detail: 'The proxy cannot be reached' })
  expect(diagnosis.action).toContain('settings.proxyUrl')
  await server.ok('POST', `/api/sessions/${id}/stop`)
  expect(leaksIn(server.lines.join('\n'), [SECRET])).toEqual([])
})

test('it is sealed on disk, outlives a restart, and another session’s does not open in its place', async () => {
  const id = await server.session('Sealed', { proxyUrl: URL_ })
  const other = await server.session('Other', { proxyUrl: `http://x:${PASSWORD}2@127.0.0.1:49151` })
  await server.restart()
  const shown = async (of: string) =>
    (await server.ok<Shown>('GET', `/api/sessions/${of}`)).session.settings.proxyUrl
  expect([await shown(id), await shown(other)]).toEqual([SHOWN, 'http://x:***@127.0.0.1:49151'])
  const file = join(server.dataDir, 'wabun.sqlite')
  for (const name of [file, `${file}-wal`]) expect(formsInBytes(readFileSync(name), SECRET)).toEqual([])
  const database = new Database(file, { readonly: true })
  const rows = database
    .query<{ proxy: Uint8Array | null; settings: string }, [string]>(
      'SELECT proxy, settings FROM sessions WHERE id = ?',
    )
    .all(id)
  database.close()
  expect(rows).toEqual([
    { proxy: expect.any(Uint8Array), settings: expect.stringContaining('"proxyUrl":null') },
  ])
})
