/** The list of addresses of a session, on every route of the document: a new route cannot be forgotten. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { PUBLIC_ROUTES } from '../../src/http/guard'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { startReceiver } from '../harness/receiver'
import { openStream } from '../harness/stream'

setDefaultTimeout(30_000)

let server: TestApp
let fenced = ''
let endpoint = ''
let delivery = ''
let message = ''

const NAME = 'Behind the fence'
/** We are a trusted proxy, and so is the one at 10.0.0.1; nobody else is. */
const INSIDE = { 'x-forwarded-for': '192.0.2.77, 10.0.0.1' }
const INSIDE_V6 = { 'x-forwarded-for': '[2001:db8:7::1]:50000' }
const OUTSIDE = { 'x-forwarded-for': '192.0.3.1' }
/** Claims an address of the list, and lets a stranger's proxy say so. */
const FORGED = { 'x-forwarded-for': '192.0.2.77, 198.51.100.9, 10.0.0.1' }
const GARBAGE = { 'x-forwarded-for': '192.0.2.77, unknown' }

beforeAll(async () => {
  server = await startApp({ flags: { '--trusted-proxies': '127.0.0.1,10.0.0.1' } })
  fenced = await server.linked('4917000001')
  await server.phone('4917000002')
  await server.ok('POST', `/api/messages/queue/${fenced}/pause`)
  const sent = await server.ok<{ messageId: string }>('POST', '/api/messages/send/text', {
    body: { sessionId: fenced, to: '4917000002', text: 'kept from strangers', queue: true },
  })
  message = sent.messageId
  const made = await server.ok<{ endpoint: { id: string } }>('POST', '/api/webhook/endpoints', {
    body: { url: 'http://127.0.0.1:49151/hook', sessionId: fenced },
  })
  endpoint = made.endpoint.id
  await server.ok('PUT', `/api/sessions/${fenced}/settings`, { body: { name: NAME } })
  while (delivery === '') {
    const { deliveries } = await server.ok<{ deliveries: { id: string }[] }>(
      'GET',
      `/api/webhook/deliveries/${fenced}`,
    )
    delivery = deliveries[0]?.id ?? ''
    await Bun.sleep(5)
  }
  await server.ok('PUT', `/api/sessions/${fenced}/settings`, {
    body: { settings: { ipWhitelist: ['192.0.2.0/24', '2001:db8:7::/48'] } },
  })
})
afterAll(() => server.stop())

type Operation = { requestBody?: { content: Record<string, { example?: object; examples?: object }> } }
type Route = { method: string; path: string; body: Record<string, unknown> | null }

/** Every route that may tell of a session, with the body of its own example. */
async function routes(): Promise<Route[]> {
  const { paths } = await server.ok<{ paths: Record<string, Record<string, Operation>> }>(
    'GET',
    '/docs/openapi.json',
  )
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([name, { requestBody }]) => {
      const method = name.toUpperCase()
      if (PUBLIC_ROUTES.includes(`${method} ${path}`) || /^\/(?:sandbox|metrics)/.test(path)) return []
      const json = requestBody?.content['application/json']
      const [first] = Object.values(json?.examples ?? {}) as { value?: object }[]
      const body = (json?.example ?? first?.value ?? null) as Record<string, unknown> | null
      return [{ method, path, body }]
    }),
  )
}

/** Concern no session that exists by name, whoever asks: accounts, keys, what is made anew, what is tried out. */
const ELSEWHERE =
  /^(?:\w+ \/api\/(?:auth|admin)\b|POST \/api\/sessions$|POST \/api\/messages\/upload$|POST \/api\/webhook\/test$|GET \/api\/events\/(?:ws|stream)$)/
const FENCED_BODY = /^POST \/api\/(?:messages\/send|webhook\/replay|webhook\/endpoints$)/

const filled = ({ path }: Route): string =>
  path
    .replace('/endpoints/{id}', `/endpoints/${endpoint}`)
    .replace('/deliveries/{id}', `/deliveries/${delivery}`)
    .replace(/\{(?:id|sessionId)\}/, fenced)
    .replace('{messageId}', message)

const ask = (route: Route, headers: Record<string, string>) => {
  const body = FENCED_BODY.test(`${route.method} ${route.path}`)
    ? { ...route.body, sessionId: fenced }
    : route.body
  const sends = route.method !== 'GET' && route.method !== 'DELETE' && body !== null
  return server.call(route.method, filled(route), { headers, ...(sends ? { body } : {}) })
}

describe('a session with a list of addresses', () => {
  test('is shut to others on every route that names it, and left out of all that do not', async () => {
    const shut: string[] = []
    const quiet: string[] = []
    for (const route of await routes()) {
      const name = `${route.method} ${route.path}`
      if (ELSEWHERE.test(name)) continue
      if (route.path.endsWith('/ws')) {
        const headers = { 'x-api-key': OWNER_KEY, ...OUTSIDE }
        await expect(openStream(server.url + filled(route), headers)).rejects.toThrow('refused')
        shut.push(name)
        continue
      }
      const { status, body } = await ask(route, OUTSIDE)
      const names = filled(route) !== route.path || FENCED_BODY.test(name)
      if (names) {
        expect({ name, status, code: body.code }).toEqual({ name, status: 403, code: 'IP_NOT_ALLOWED' })
        shut.push(name)
      } else {
        expect({ name, ok: status < 300 }).toEqual({ name, ok: true })
        quiet.push(name)
      }
      const told = JSON.stringify(body)
      for (const secret of [fenced, endpoint, delivery, message, NAME, 'kept from strangers'])
        expect({ name, told: told.includes(secret) }).toEqual({ name, told: false })
    }
    expect(shut.length).toBeGreaterThan(60)
    expect(quiet.sort()).toEqual([
      'GET /api/events',
      'GET /api/sessions',
      'GET /api/status',
      'GET /api/status/stats',
      'GET /api/webhook/endpoints',
      'GET /api/webhook/event-types',
      'GET /api/webhook/queue',
    ])
  })

  test('is open to those on it, by v4 and by v6 (the control)', async () => {
    for (const headers of [INSIDE, INSIDE_V6]) {
      for (const route of await routes()) {
        if (route.method !== 'GET' || ELSEWHERE.test(`GET ${route.path}`)) continue
        if (/\/(?:ws|stream|qr|media)$/.test(route.path)) continue
        const { status } = await ask(route, headers)
        // Not all that may be asked for is there.
        expect({ path: route.path, open: [200, 404].includes(status) }).toEqual({
          path: route.path,
          open: true,
        })
      }
      expect(JSON.stringify((await server.call('GET', '/api/sessions', { headers })).body)).toContain(NAME)
    }
  })

  test.each([
    ['a forged address before a stranger’s', FORGED],
    ['something that is no address', GARBAGE],
    ['no header: the proxy itself', {}],
  ])('is shut to %s', async (_, headers) => {
    const { status, body } = await server.call('GET', `/api/sessions/${fenced}`, { headers })
    expect([status, body.code]).toEqual([403, 'IP_NOT_ALLOWED'])
  })

  test('is shut to others also where they repeat what was asked from inside', async () => {
    const hook = { url: 'http://127.0.0.1:49151/again' }
    const asked: [string, object | undefined][] = [
      ['/api/sessions', { name: 'Made twice', settings: { ipWhitelist: ['192.0.2.0/24'] } }],
      ['/api/webhook/endpoints', { ...hook, sessionId: fenced }],
      [`/api/webhook/endpoints/${endpoint}/rotate-secret`, undefined],
      [`/api/webhook/rotate-secret/${fenced}`, undefined],
      ['/api/messages/send/text', { sessionId: fenced, to: '4917000002', text: 'again', queue: true }],
      ['/api/messages/send/bulk', { sessionId: fenced, messages: [{ to: '4917000002' }], queue: true }],
    ]
    await server.ok('PUT', `/api/webhook/config/${fenced}`, { headers: INSIDE, body: hook })
    for (const [path, body] of asked) {
      const ask = (from: Record<string, string>) =>
        server.call('POST', path, {
          headers: { ...from, 'idempotency-key': path.replaceAll('/', '-') },
          ...(body ? { body } : {}),
        })
      const first = await ask(INSIDE)
      expect({ path, ok: first.status < 300 }).toEqual({ path, ok: true })
      const again = await ask(INSIDE)
      expect({ path, replayed: again.headers.get('idempotency-replayed') }).toEqual({
        path,
        replayed: 'true',
      })
      expect(again.body).toEqual(first.body)
      const { status, body: told } = await ask(OUTSIDE)
      expect({ path, status, code: told.code }).toEqual({ path, status: 403, code: 'IP_NOT_ALLOWED' })
    }
  })

  test('has nothing signed in its name for others', async () => {
    const receiver = startReceiver()
    try {
      const body = { url: receiver.url, sessionId: fenced, headers: { 'X-Token': 'of the endpoint' } }
      await server.ok('POST', '/api/webhook/endpoints', { headers: INSIDE, body })
      for (const [headers, token] of [
        [INSIDE, 'of the endpoint'],
        [OUTSIDE, null],
      ] as const) {
        const { secret, eventId } = await server.ok<{ secret?: string; eventId: string }>(
          'POST',
          '/api/webhook/test',
          { headers, body: { url: receiver.url } },
        )
        const post = await receiver.waitFor((posts) => posts.find(({ id }) => id === eventId))
        expect([post.headers['x-token'] ?? null, secret === undefined]).toEqual([token, token !== null])
      }
    } finally {
      receiver.stop()
    }
  })

  test('does not believe anybody when nobody is trusted', async () => {
    const alone = await startApp()
    try {
      const id = await alone.session('Fenced', { ipWhitelist: ['192.0.2.0/24'] })
      const claimed = await alone.call('GET', `/api/sessions/${id}`, {
        headers: { 'x-forwarded-for': '192.0.2.77' },
      })
      expect(claimed.body.code).toBe('IP_NOT_ALLOWED')
      const own = await alone.session('Our own', { ipWhitelist: ['127.0.0.1'] })
      const { status } = await alone.call('GET', `/api/sessions/${own}`, {
        headers: { 'x-forwarded-for': '192.0.2.77' },
      })
      expect(status).toBe(200)
    } finally {
      await alone.stop()
    }
  })
})
