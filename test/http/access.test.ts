/** Who may call what: deny by default, scopes, tenants, tickets. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Elysia } from 'elysia'
import { ASK_TYPES } from '../../src/domain/content'
import { assertGuarded, PUBLIC_ROUTES } from '../../src/http/guard'
import { sendExample } from '../../src/http/send-types'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openStream } from '../harness/stream'

let server: TestApp
/** Two further accounts. */
let ada: { token: string; apiKey: string }
let bob: { token: string; apiKey: string }
let adasSession = ''

const register = (username: string) =>
  server.ok<{ token: string; apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username, email: `${username}@example.com`, password: 'a long password' },
  })

beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  await server.ok('GET', '/api/auth/profile')
  ada = await register('ada')
  bob = await register('bob')
  const made = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
    key: ada.apiKey,
    body: { name: 'Ada’s' },
  })
  adasSession = made.session.id
})
afterAll(() => server.stop())

type Document = { paths: Record<string, Record<string, { security: object[] }>> }
const routes = async () => {
  const { paths } = await server.ok<Document>('GET', '/docs/openapi.json')
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  )
}

describe('without credentials', () => {
  test('every route but the public ones answers 401, whatever the body', async () => {
    const all = await routes()
    expect(all.length).toBeGreaterThan(40)
    for (const { method, path } of all) {
      if (PUBLIC_ROUTES.includes(`${method} ${path}`)) continue
      const socket = path.endsWith('/ws')
      const { status, headers, body } = await server.call(method, path.replace(/\{\w+\}/g, 'x'), {
        key: null,
        ...(method === 'GET' ? {} : { body: {} }),
        headers: socket
          ? {
              connection: 'upgrade',
              upgrade: 'websocket',
              'sec-websocket-version': '13',
              'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
            }
          : {},
      })
      expect({ route: `${method} ${path}`, status, code: body.code }).toEqual({
        route: `${method} ${path}`,
        status: 401,
        code: 'AUTH_REQUIRED',
      })
      expect(headers.get('www-authenticate')).toStartWith('Bearer')
    }
  })

  test('the public ones answer', async () => {
    for (const path of [
      '/api/status/health',
      '/api/status/info',
      '/healthz',
      '/readyz',
      '/docs',
      '/docs/openapi.json',
    ]) {
      expect((await server.call('GET', path, { key: null })).status).toBe(200)
    }
  })

  test('an API with an unguarded route does not assemble', () => {
    const app = new Elysia().get('/api/secret', () => 'x')
    expect(() => assertGuarded(app.routes)).toThrow('GET /api/secret')
  })
})

describe('credentials', () => {
  test.each([
    ['a key that is none', { 'x-api-key': 'wapi_no' }, 'AUTH_INVALID_API_KEY'],
    ['a key in the right form', { 'x-api-key': `wapi_${'x'.repeat(38)}` }, 'AUTH_INVALID_API_KEY'],
    ['no bearer', { authorization: 'Basic YTpi' }, 'AUTH_INVALID_TOKEN'],
    [
      'a forged token',
      { authorization: 'Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.' },
      'AUTH_INVALID_TOKEN',
    ],
    ['a huge token', { authorization: `Bearer ${'a'.repeat(8000)}` }, 'AUTH_INVALID_TOKEN'],
  ])('%s', async (_, headers, code) => {
    const { status, body } = await server.call('GET', '/api/sessions', { key: null, headers })
    expect({ status, code: body.code }).toEqual({ status: 401, code })
  })

  test('a key in the query is not looked at', async () => {
    const { status, body } = await server.call(
      'GET',
      `/api/auth/profile?apiKey=${OWNER_KEY}&ticket=${OWNER_KEY}`,
      {
        key: null,
      },
    )
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'AUTH_REQUIRED' })
  })

  test('with both, the key decides', async () => {
    const { user } = await server.ok<{ user: { username: string } }>('GET', '/api/auth/profile', {
      key: bob.apiKey,
      headers: { authorization: `Bearer ${ada.token}` },
    })
    expect(user.username).toBe('bob')
  })

  test('log in, refresh, log out', async () => {
    const login = await server.ok<{ token: string; expiresIn: string; message: string }>(
      'POST',
      '/api/auth/login',
      {
        key: null,
        body: { email: 'ada@example.com', password: 'a long password' },
      },
    )
    expect(login).toMatchObject({ message: 'Login successful', expiresIn: '24h' })
    const { token } = await server.ok<{ token: string }>('POST', '/api/auth/refresh', {
      key: null,
      body: { token: login.token },
    })
    const headers = { authorization: `Bearer ${token}` }
    await server.ok('POST', '/api/auth/logout', { key: null, headers })
    const { status, body } = await server.call('GET', '/api/auth/profile', { key: null, headers })
    expect({ status, code: body.code }).toEqual({ status: 401, code: 'AUTH_INVALID_TOKEN' })
    const wrong = await server.call('POST', '/api/auth/login', {
      key: null,
      body: { username: 'ada', password: 'another password' },
    })
    expect({ status: wrong.status, code: wrong.body.code }).toEqual({
      status: 401,
      code: 'AUTH_INVALID_CREDENTIALS',
    })
  })

  test('a key with scopes does what they say; a deleted one nothing', async () => {
    const made = await server.ok<{ apiKey: string; key: { id: string } }>('POST', '/api/auth/api-keys', {
      key: ada.apiKey,
      body: { name: 'Reader', scopes: ['sessions:read'] },
    })
    const read = await server.call('GET', '/api/sessions', { key: made.apiKey })
    expect(read.status).toBe(200)
    for (const [method, path] of [
      ['POST', `/api/sessions/${adasSession}/start`],
      ['GET', `/api/sessions/${adasSession}/qr`],
      ['POST', '/api/messages/send/text'],
      ['GET', `/api/messages/history/${adasSession}`],
      ['GET', '/api/events'],
      ['GET', '/sandbox/phones'],
      ['POST', '/api/auth/api-keys'],
    ] as const) {
      const { status, body } = await server.call(method, path, {
        key: made.apiKey,
        ...(path.endsWith('/text') ? { body: { sessionId: 'x', to: '1234567', text: 'x' } } : {}),
        ...(path.endsWith('/api-keys') ? { body: { name: 'x' } } : {}),
      })
      expect({ path, status, code: body.code }).toEqual({ path, status: 403, code: 'FORBIDDEN' })
    }
    const list = await server.ok<{ apiKeys: { name: string; masked: string }[] }>(
      'GET',
      '/api/auth/api-keys',
      {
        key: ada.apiKey,
      },
    )
    expect(JSON.stringify(list)).not.toContain(made.apiKey)
    await server.ok('DELETE', `/api/auth/api-keys/${made.key.id}`, { key: ada.apiKey })
    expect((await server.call('GET', '/api/sessions', { key: made.apiKey })).status).toBe(401)
  })
})

/** A good body for every route that sends. */
const sends = (sessionId: string): Record<string, object> => ({
  ...Object.fromEntries(ASK_TYPES.map((type) => [`/${type}`, { ...sendExample(type), sessionId }])),
  '': { sessionId, to: '1234567', content: { type: 'text', text: 'x' } },
  '/status': { sessionId, audience: ['1234567'], content: { type: 'text', text: 'x' } },
  '/bulk': { sessionId, messages: [{ to: '1234567', text: 'x' }] },
  '/presence': { sessionId, presence: 'available' },
  '/star': { sessionId, messageId: 'x' },
  '/read': { sessionId, messageIds: ['x'] },
})

describe('tenants', () => {
  test('another tenant’s session does not exist, on any route', async () => {
    const foreign = (await routes()).filter(({ path }) => /\/(sessions\/\{id\}|\{sessionId\})/.test(path))
    expect(foreign.length).toBeGreaterThan(15)
    for (const { method, path } of foreign) {
      if (path.endsWith('/ws')) continue
      const filled = path
        .replace('{id}', adasSession)
        .replace('{sessionId}', adasSession)
        .replace('{messageId}', 'x')
      const bodies: Record<string, object> = {
        '/api/sessions/{id}/settings': { name: 'Mine' },
        '/api/sessions/{id}/pairing-code': { phoneNumber: '1234567' },
        '/api/webhook/config/{sessionId}': { url: 'https://example.com/' },
      }
      const { status, body } = await server.call(method, filled, {
        key: bob.apiKey,
        ...(bodies[path] && method !== 'GET' && method !== 'DELETE' ? { body: bodies[path] } : {}),
      })
      expect({ route: `${method} ${path}`, status, code: body.code }).toEqual({
        route: `${method} ${path}`,
        status: 404,
        code: 'SESSION_NOT_FOUND',
      })
    }
    for (const [path, body] of Object.entries(sends(adasSession))) {
      const sent = await server.call('POST', `/api/messages/send${path}`, { key: bob.apiKey, body })
      expect({ path, status: sent.status, code: sent.body.code }).toEqual({
        path,
        status: 404,
        code: 'SESSION_NOT_FOUND',
      })
      // Control: to her own session the same body gets further.
      const own = await server.call('POST', `/api/messages/send${path}`, { key: ada.apiKey, body })
      expect({ path, code: own.body.code }).not.toEqual({ path, code: 'SESSION_NOT_FOUND' })
      expect({ path, code: own.body.code }).not.toEqual({ path, code: 'VALIDATION_ERROR' })
    }
    const cancelled = await server.call('DELETE', `/api/messages/queue/x?sessionId=${adasSession}`, {
      key: bob.apiKey,
    })
    expect(cancelled.body.code).toBe('SESSION_NOT_FOUND')
    const { sessions } = await server.ok<{ sessions: object[] }>('GET', '/api/sessions', { key: bob.apiKey })
    expect(sessions).toEqual([])
    const named = await server.call('GET', `/api/events?sessionIds=${adasSession}`, { key: bob.apiKey })
    expect(named.body.code).toBe('SESSION_NOT_FOUND')
    await expect(
      openStream(`${server.url}/api/sessions/${adasSession}/ws`, { 'x-api-key': bob.apiKey }),
    ).rejects.toThrow('refused')
    // Control: the owner of the session gets in.
    const own = await openStream(`${server.url}/api/sessions/${adasSession}/ws`, { 'x-api-key': ada.apiKey })
    own.close()
  })

  test('nor do its events', async () => {
    const page = await server.ok<{ events: unknown[] }>('GET', '/api/events', { key: bob.apiKey })
    expect(page.events).toEqual([])
    const own = await server.ok<{ events: { event: string }[] }>('GET', '/api/events', { key: ada.apiKey })
    expect(own.events.map(({ event }) => event)).toContain('session.created')
  })

  test('a session with a list of addresses is closed to others', async () => {
    const id = await server.session('Fenced', { ipWhitelist: ['10.0.0.0/8'] })
    const { status, body } = await server.call('GET', `/api/sessions/${id}`)
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'IP_NOT_ALLOWED' })
    const forged = await server.call('GET', `/api/sessions/${id}`, {
      headers: { 'x-forwarded-for': '10.0.0.1' },
    })
    expect(forged.status).toBe(403)
    const open = await server.session('Fenced wider', { ipWhitelist: ['127.0.0.0/8', '::1'] })
    expect((await server.call('GET', `/api/sessions/${open}`)).status).toBe(200)
  })

  test('the fourth session of the free plan is refused, with plan and limit', async () => {
    const create = () =>
      server.call('POST', '/api/sessions', { key: bob.apiKey, body: { name: 'One of many' } })
    for (let count = 0; count < 3; count += 1) expect((await create()).status).toBe(201)
    const { status, body } = await create()
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'SESSION_LIMIT_REACHED' })
    expect(body.details).toMatchObject({ plan: 'free', limit: 3 })
  })
})

describe('tickets', () => {
  test('open one WebSocket, once', async () => {
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket')
    const stream = await openStream(`${server.url}/api/events/ws?ticket=${ticket}`, {})
    stream.close()
    await expect(openStream(`${server.url}/api/events/ws?ticket=${ticket}`, {})).rejects.toThrow('refused')
  })
})

describe('browsers', () => {
  test('a WebSocket from a foreign page is refused, from the own page it opens', async () => {
    const headers = { 'x-api-key': OWNER_KEY }
    await expect(
      openStream(`${server.url}/api/events/ws`, { ...headers, origin: 'https://evil.example' }),
    ).rejects.toThrow('refused')
    const own = await openStream(`${server.url}/api/events/ws`, { ...headers, origin: server.url })
    own.close()
  })

  test('no page is let in by CORS unless it is named', async () => {
    const { headers } = await server.call('GET', '/api/status/health', {
      headers: { origin: 'https://evil.example' },
    })
    expect(headers.get('access-control-allow-origin')).toBeNull()
  })
})
