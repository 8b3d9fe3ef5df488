/** What is left of bad requests beside the numbered table (`hard-input.test.ts`): lists, pages, request ids. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'

let server: TestApp
beforeAll(async () => {
  server = await startApp()
})
afterAll(() => server.stop())

test('a list of addresses with something else in it', async () => {
  const { status, body } = await server.call<{ details: { fields: { path: string }[] } }>(
    'POST',
    '/api/sessions',
    { body: { name: 'a', settings: { ipWhitelist: ['10.0.0.1', '10.0.0.0/33', 'home'] } } },
  )
  expect(status).toBe(400)
  expect(body.details.fields.map(({ path }) => path)).toEqual([
    '/settings/ipWhitelist/1',
    '/settings/ipWhitelist/2',
  ])
})

test('the default page holds fifty, and says what is left', async () => {
  for (let made = 0; made < 51; made += 1) await server.session(`Number ${made}`)
  const page = await server.ok<{ sessions: object[]; total: number }>('GET', '/api/sessions')
  expect(page.sessions).toHaveLength(50)
  expect(page).toMatchObject({ limit: 50, offset: 0, hasMore: true })
  expect(page.total).toBeGreaterThan(50)
})

test('a sane request id is taken over, another one is replaced', async () => {
  const sane = await server.call('GET', '/healthz', { headers: { 'x-request-id': 'abc-123' } })
  expect(sane.headers.get('x-request-id')).toBe('abc-123')
  const strange = await server.call('GET', '/healthz', { headers: { 'x-request-id': 'a b<script>' } })
  expect(strange.headers.get('x-request-id')).toMatch(/^req_/)
})
