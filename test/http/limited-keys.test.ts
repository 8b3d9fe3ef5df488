/** A key of some sessions, on every route: other sessions do not exist, and the account as a whole is not its business. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { ASK_TYPES } from '../../src/domain/content'
import { PUBLIC_ROUTES } from '../../src/http/guard'
import { sendExample } from '../../src/http/send-types'
import { startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { startReceiver } from '../harness/receiver'
import { openStream } from '../harness/stream'
import { movableClock } from '../storage/rig'

setDefaultTimeout(30_000)

const clock = movableClock()
let server: TestApp
/** The key's session, and one of the same account that it has no business with. */
let own = ''
let other = ''
let key = ''
/** Things of the other session, and of the account as a whole. */
let otherEndpoint = ''
let wholeEndpoint = ''
let otherDelivery = ''
let otherMessage = ''

beforeAll(async () => {
  server = await startApp({ clock })
  own = await server.session('Own')
  await server.phone('4917000002')
  other = await server.linked('4917000001')
  await server.ok('POST', `/api/messages/queue/${other}/pause`)
  const sent = await server.ok<{ messageId: string }>('POST', '/api/messages/send/text', {
    body: { sessionId: other, to: '4917000002', text: 'not for that key', queue: true },
  })
  otherMessage = sent.messageId
  const endpoint = async (body: object) => {
    const made = await server.ok<{ endpoint: { id: string } }>('POST', '/api/webhook/endpoints', {
      body: { url: 'http://127.0.0.1:49151/hook', ...body },
    })
    return made.endpoint.id
  }
  otherEndpoint = await endpoint({ sessionId: other })
  wholeEndpoint = await endpoint({})
  await server.ok('PUT', `/api/sessions/${other}/settings`, { body: { name: 'Other' } })
  for (;;) {
    const { deliveries } = await server.ok<{ deliveries: { id: string }[] }>(
      'GET',
      `/api/webhook/deliveries/${other}`,
    )
    otherDelivery = deliveries[0]?.id ?? ''
    if (otherDelivery !== '') break
    await Bun.sleep(10)
  }
  const made = await server.ok<{ apiKey: string; key: object }>('POST', '/api/auth/api-keys', {
    body: { name: 'One session', sessionIds: [own] },
  })
  expect(made.key).toMatchObject({ sessionIds: [own], ipAllowlist: [], expiresAt: null, lastUsedAt: null })
  key = made.apiKey
})
afterAll(() => server.stop())

type Expected = { status: number; code: string }
const NO_SESSION: Expected = { status: 404, code: 'SESSION_NOT_FOUND' }
const FORBIDDEN: Expected = { status: 403, code: 'FORBIDDEN' }
const missing = (code: string): Expected => ({ status: 404, code })

/** What every route says to the key about the other session; `answers` never names it. */
const routesOf = (): Record<string, { path?: string; body?: object; expected: Expected | 'answers' }> => ({
  ...Object.fromEntries(
    ASK_TYPES.map((type) => [
      `POST /api/messages/send/${type}`,
      { body: { ...sendExample(type), sessionId: other }, expected: NO_SESSION },
    ]),
  ),
  'POST /api/messages/send': {
    body: { sessionId: other, to: '1234567', content: { type: 'text', text: 'x' } },
    expected: NO_SESSION,
  },
  'POST /api/messages/send/status': {
    body: { sessionId: other, audience: ['1234567'], content: { type: 'text', text: 'x' } },
    expected: NO_SESSION,
  },
  'POST /api/messages/send/bulk': {
    body: { sessionId: other, messages: [{ to: '1234567', text: 'x' }] },
    expected: NO_SESSION,
  },
  'POST /api/messages/send/presence': {
    body: { sessionId: other, presence: 'available' },
    expected: NO_SESSION,
  },
  'POST /api/messages/send/star': { body: { sessionId: other, messageId: 'x' }, expected: NO_SESSION },
  'POST /api/messages/send/read': { body: { sessionId: other, messageIds: ['x'] }, expected: NO_SESSION },
  'PUT /api/sessions/{id}/settings': { body: { name: 'Mine' }, expected: NO_SESSION },
  'POST /api/sessions/{id}/pairing-code': { body: { phoneNumber: '1234567' }, expected: NO_SESSION },
  'PUT /api/webhook/config/{sessionId}': { body: { url: 'http://127.0.0.1:49151/' }, expected: NO_SESSION },
  'POST /api/webhook/replay': { body: { sessionId: other, after: 'x' }, expected: NO_SESSION },

  'DELETE /api/messages/queue/{messageId}': {
    path: `/api/messages/queue/${otherMessage}`,
    expected: missing('MESSAGE_NOT_FOUND'),
  },
  'GET /api/webhook/endpoints/{id}': { expected: missing('WEBHOOK_NOT_FOUND') },
  'PATCH /api/webhook/endpoints/{id}': {
    body: { isActive: false },
    expected: missing('WEBHOOK_NOT_FOUND'),
  },
  'DELETE /api/webhook/endpoints/{id}': { expected: missing('WEBHOOK_NOT_FOUND') },
  'POST /api/webhook/endpoints/{id}/rotate-secret': { expected: missing('WEBHOOK_NOT_FOUND') },
  'POST /api/webhook/deliveries/{id}/replay': {
    path: `/api/webhook/deliveries/${otherDelivery}/replay`,
    expected: missing('DELIVERY_NOT_FOUND'),
  },

  'POST /api/sessions': { body: { name: 'Another' }, expected: FORBIDDEN },
  'POST /api/webhook/endpoints': { body: { url: 'http://127.0.0.1:49151/' }, expected: FORBIDDEN },
  'GET /api/webhook/queue': { expected: FORBIDDEN },
  'PUT /api/auth/profile': { body: { firstName: 'Eve' }, expected: FORBIDDEN },
  'POST /api/auth/change-password': {
    body: { currentPassword: 'x', newPassword: 'y'.repeat(9) },
    expected: FORBIDDEN,
  },
  'DELETE /api/auth/account': { expected: FORBIDDEN },
  'POST /api/auth/logout': { expected: FORBIDDEN },
  'POST /api/auth/regenerate-api-key': { expected: FORBIDDEN },
  'GET /api/auth/api-keys': { expected: FORBIDDEN },
  'POST /api/auth/api-keys': { body: { name: 'Wider' }, expected: FORBIDDEN },
  'PATCH /api/auth/api-keys/{id}': { body: { expiresAt: null }, expected: FORBIDDEN },
  'DELETE /api/auth/api-keys/{id}': { expected: FORBIDDEN },

  'GET /api/sessions': { expected: 'answers' },
  'GET /api/webhook/endpoints': { expected: 'answers' },
  'GET /api/webhook/event-types': { expected: 'answers' },
  'POST /api/webhook/test': { body: { url: 'http://127.0.0.1:49151/hook' }, expected: 'answers' },
  'GET /api/events': { expected: 'answers' },
  'GET /api/auth/profile': { expected: 'answers' },
  'POST /api/auth/ticket': { expected: 'answers' },
  'GET /api/status': { expected: 'answers' },
  'GET /api/status/stats': { expected: 'answers' },
})

/** Tried in tests of their own: they answer with streams or take files. */
const APART = ['GET /api/events/ws', 'GET /api/events/stream', 'POST /api/messages/upload']

type Document = { paths: Record<string, Record<string, object>> }
const documented = async () => {
  const { paths } = await server.ok<Document>('GET', '/docs/openapi.json')
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => ({ method: method.toUpperCase(), path })),
  )
}

const snapshot = async () => {
  const [session, queue, endpoints, accounts] = await Promise.all([
    server.ok<{ session: Record<string, unknown> }>('GET', `/api/sessions/${other}`),
    server.ok('GET', `/api/messages/queue/${other}`),
    server.ok('GET', '/api/webhook/endpoints'),
    server.ok('GET', '/api/auth/api-keys'),
  ])
  const { lastActivity: _, ...still } = session.session
  return JSON.stringify([still, queue, endpoints, accounts], (name, value) =>
    name === 'lastUsedAt' ? undefined : value,
  )
}

describe('a key of one session', () => {
  test('finds no trace of the others on any route, and changes nothing of them', async () => {
    const table = routesOf()
    const before = await snapshot()
    const seen = new Set<string>()
    for (const { method, path } of await documented()) {
      const route = `${method} ${path}`
      if (PUBLIC_ROUTES.includes(route) || APART.includes(route)) continue
      // Administrators' routes are closed to it, whatever they are.
      const isAdmins = /^\/(?:api\/admin|sandbox|metrics)/.test(path)
      const ofSession = /^\/api\/(?:sessions\/\{id\}|.*\{sessionId\})/.test(path)
      const {
        expected,
        body,
        path: given,
      } = table[route] ?? {
        expected: isAdmins ? FORBIDDEN : ofSession ? NO_SESSION : undefined,
      }
      expect({ route, isExpected: expected !== undefined }).toEqual({ route, isExpected: true })
      if (expected === undefined) continue
      seen.add(route)
      const ids = path.includes('/endpoints/') ? [otherEndpoint, wholeEndpoint] : [other]
      for (const id of ids) {
        const filled = given ?? path.replace(/\{(?:id|sessionId)\}/, id).replace(/\{\w+\}/g, otherMessage)
        if (path.endsWith('/ws')) {
          const stream = openStream(server.url + filled, { 'x-api-key': key })
          await expect(stream).rejects.toThrow('refused')
          continue
        }
        const sends = method !== 'GET' && method !== 'DELETE'
        const told = await server.call(method, filled, { key, ...(sends && body ? { body } : {}) })
        if (expected === 'answers') {
          expect({ route, ok: told.status < 300 }).toEqual({ route, ok: true })
          const text = JSON.stringify(told.body)
          for (const name of [other, otherEndpoint, wholeEndpoint, otherMessage, 'not for that key']) {
            expect({ route, named: text.includes(name) }).toEqual({ route, named: false })
          }
        } else {
          expect({ route, status: told.status, code: told.body.code }).toEqual({ route, ...expected })
          expect(JSON.stringify(told.body)).not.toContain(other)
        }
      }
    }
    for (const route of Object.keys(table)) expect([...seen]).toContain(route)
    expect(await snapshot()).toBe(before)
  })

  test('counts and lists its own session alone; the whole account sees all (control)', async () => {
    const counts = async (as?: string) => {
      const given = as === undefined ? {} : { key: as }
      const [list, status, profile] = await Promise.all([
        server.ok<{ total: number; sessions: object[] }>('GET', '/api/sessions', given),
        server.ok<{ sessions: { total: number; connected: number } }>('GET', '/api/status', given),
        server.ok<{ stats: { totalSessions: number } }>('GET', '/api/auth/profile', given),
      ])
      const { total, connected } = status.sessions
      return [list.total, list.sessions.length, total, connected, profile.stats.totalSessions]
    }
    expect(await counts(key)).toEqual([1, 1, 1, 0, 1])
    expect(await counts()).toEqual([2, 2, 2, 1, 2])
    expect((await server.call('GET', `/api/sessions/${own}`, { key })).status).toBe(200)
  })

  test('hears its own session alone, by request, by WebSocket, with a ticket, and live', async () => {
    type Page = { events: { sessionId: string }[] }
    const heard = async (as?: string) => {
      const page = await server.ok<Page>('GET', '/api/events', as === undefined ? {} : { key: as })
      return [...new Set(page.events.map(({ sessionId }) => sessionId))].sort()
    }
    expect(await heard(key)).toEqual([own])
    expect(await heard()).toEqual([own, other].sort())
    const named = await server.call('GET', `/api/events?sessionIds=${other}`, { key })
    expect(named.body.code).toBe('SESSION_NOT_FOUND')

    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key })
    const stream = await openStream(`${server.url}/api/events/ws?ticket=${ticket}`, {})
    const source = await openEventSource(`${server.url}/api/events/stream`, { 'x-api-key': key })
    const whole = await openStream(`${server.url}/api/events/ws`, {
      'x-api-key': await newKey({ name: 'Whole' }),
    })
    for (const id of [other, own]) {
      await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { description: 'changed' } })
    }
    await whole.event('session.settings_updated', other)
    await stream.event('session.settings_updated', own)
    expect(stream.frames.filter(({ sessionId }) => sessionId === other)).toEqual([])
    await source.waitFor(({ data }) => data.includes('session.settings_updated') && data.includes(own))
    expect(source.text).not.toContain(other)
    source.close()
    stream.send({ type: 'subscribe', sessionIds: [other] })
    expect((await stream.closed).code).toBe(4404)
    whole.close()
  })

  test('uploads what it sends', async () => {
    const form = new FormData()
    form.append('file', new File([new Uint8Array([0x25, 0x50, 0x44, 0x46, 0x2d, 0x31, 0x2e, 0x34])], 'a.pdf'))
    const { status } = await fetch(`${server.url}/api/messages/upload`, {
      method: 'POST',
      headers: { 'x-api-key': key },
      body: form,
    })
    expect(status).toBe(201)
  })

  test('does not get the answers to what others have asked under the same Idempotency-Key', async () => {
    const asked = [
      ['/api/messages/send/text', { sessionId: other, to: '4917000002', text: 'twice', queue: true }],
      ['/api/webhook/endpoints', { sessionId: other, url: 'http://127.0.0.1:49151/twice' }],
    ] as const
    for (const [path, body] of asked) {
      const given = { body, headers: { 'idempotency-key': path.replaceAll('/', '-') } }
      await server.ok('POST', path, given)
      const replayed = await server.call('POST', path, given)
      expect(replayed.headers.get('idempotency-replayed')).toBe('true')
      const told = await server.call('POST', path, { ...given, key })
      expect({ path, status: told.status, code: told.body.code }).toEqual({ path, ...NO_SESSION })
    }
  })
})

test('a key of one session, and its webhooks, do not hear of a disabled endpoint of the whole account', async () => {
  const heard = startReceiver()
  const all = startReceiver()
  const gone = startReceiver({ answer: () => 410 })
  try {
    const events = ['webhook.disabled', 'session.settings_updated']
    const endpoint = async (body: object) => {
      const path = '/api/webhook/endpoints'
      return (await server.ok<{ endpoint: { id: string } }>('POST', path, { body })).endpoint.id
    }
    await endpoint({ sessionId: own, url: heard.url, events })
    await endpoint({ url: all.url, events })
    const stream = await openStream(`${server.url}/api/events/ws`, { 'x-api-key': key })
    const disabled = { ofAll: '', ofOne: '' }
    /** Makes one that is gone, and waits until the account has been told. */
    const fall = async (body: object) => {
      const id = await endpoint({ ...body, url: gone.url, events: ['session.settings_updated'] })
      await server.ok('PUT', `/api/sessions/${own}/settings`, { body: { description: id } })
      await all.waitFor((posts) => posts.find(({ json }) => json.endpointId === id))
      return id
    }
    disabled.ofAll = await fall({})
    disabled.ofOne = await fall({ sessionId: own })
    // The second of the two is heard everywhere: so whatever there was of the first has come before.
    await heard.waitFor((posts) => posts.find(({ json }) => json.endpointId === disabled.ofOne))
    await stream.event('webhook.disabled', own)
    const last = await server.ok<{ cursor: string }>('GET', '/api/events')
    const beginning = last.cursor.replace(/\d+$/, '0')
    const posted = heard.posts.length
    await server.ok('POST', '/api/webhook/replay', { key, body: { sessionId: own, after: beginning } })
    await heard.waitFor((posts) => posts.slice(posted).find(({ json }) => json.endpointId === disabled.ofOne))
    const page = JSON.stringify(await server.ok('GET', '/api/events?events=webhook.*', { key }))
    for (const [where, text] of [
      ['webhook', JSON.stringify(heard.posts)],
      ['stream', JSON.stringify(stream.frames)],
      ['pull', page],
    ] as const) {
      const told = [text.includes(disabled.ofOne), text.includes(`"endpointId":"${disabled.ofAll}"`)]
      expect({ where, told }).toEqual({ where, told: [true, false] })
    }
    const whole = JSON.stringify(await server.ok('GET', '/api/events?events=webhook.*'))
    expect(whole).toContain(disabled.ofAll)
    stream.close()
  } finally {
    for (const receiver of [heard, all, gone]) receiver.stop()
  }
})

test('a key that can do less gets no key that can do more by repeating what was asked with more', async () => {
  const given = { body: { name: 'Whole account' }, headers: { 'idempotency-key': 'make-a-key' } }
  const first = await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', given)
  expect((await server.call('POST', '/api/auth/api-keys', given)).body.apiKey).toBe(first.apiKey)
  for (const limits of [
    { scopes: ['messages:read'] },
    { ipAllowlist: ['127.0.0.0/8', '::1'] },
    { expiresAt: '2999-01-01' },
  ]) {
    const less = await newKey({ name: 'Less', ...limits })
    const told = await server.call('POST', '/api/auth/api-keys', { ...given, key: less })
    expect({ status: told.status, code: told.body.code }).toEqual(FORBIDDEN)
    expect(JSON.stringify(told.body)).not.toContain(first.apiKey)
  }
})

const newKey = async (body: object): Promise<string> =>
  (await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', { body })).apiKey

describe('limits of a key', () => {
  test.each([
    [{ ipAllowlist: ['10.0.0.0/33'] }, 400, 'VALIDATION_ERROR'],
    [{ ipAllowlist: ['example.com'] }, 400, 'VALIDATION_ERROR'],
    [{ expiresAt: 'tomorrow' }, 400, 'VALIDATION_ERROR'],
    [{ expiresAt: '2001-01-01T00:00:00Z' }, 400, 'VALIDATION_ERROR'],
    [{ sessionIds: [] }, 400, 'VALIDATION_ERROR'],
    [{ scopes: ['everything'] }, 400, 'VALIDATION_ERROR'],
    [{ owner: true }, 400, 'VALIDATION_ERROR'],
    [{ sessionIds: ['f'.repeat(32)] }, 404, 'SESSION_NOT_FOUND'],
  ])('%j is refused', async (limits, status, code) => {
    const told = await server.call('POST', '/api/auth/api-keys', { body: { name: 'x', ...limits } })
    expect({ status: told.status, code: told.body.code }).toEqual({ status, code })
  })

  test('a list of addresses holds for requests, streams and tickets; forged headers count for nothing', async () => {
    const fenced = await newKey({ name: 'Elsewhere', ipAllowlist: ['10.0.0.0/8', '2001:db8::/32'] })
    for (const headers of [{}, { 'x-forwarded-for': '10.0.0.1' }, { forwarded: 'for=10.0.0.1' }]) {
      const told = await server.call('GET', '/api/sessions', { key: fenced, headers })
      expect({ status: told.status, code: told.body.code }).toEqual({ status: 403, code: 'IP_NOT_ALLOWED' })
    }
    await expect(openStream(`${server.url}/api/events/ws`, { 'x-api-key': fenced })).rejects.toThrow()
    const open = await newKey({ name: 'Here', ipAllowlist: ['127.0.0.0/8', '::1'] })
    expect((await server.call('GET', '/api/sessions', { key: open })).status).toBe(200)
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key: open })
    const { apiKeys } = await server.ok<{ apiKeys: { id: string; name: string }[] }>(
      'GET',
      '/api/auth/api-keys',
    )
    const { id = '' } = apiKeys.find(({ name }) => name === 'Here') ?? {}
    const stream = await openStream(`${server.url}/api/events/ws`, { 'x-api-key': open })
    await server.ok('PATCH', `/api/auth/api-keys/${id}`, { body: { ipAllowlist: ['10.0.0.0/8'] } })
    // What was opened or handed out under the old list is judged by the new one.
    expect((await stream.closed).code).toBe(4401)
    await expect(openStream(`${server.url}/api/events/ws?ticket=${ticket}`, {})).rejects.toThrow('refused')
    expect((await server.call('GET', '/api/sessions', { key: open })).body.code).toBe('IP_NOT_ALLOWED')
  })

  test('lists show limits and last use', async () => {
    await newKey({ name: 'Never used', scopes: ['messages:read'], expiresAt: '2999-01-01' })
    type Key = { name: string; lastUsedAt: string | null; expiresAt: string | null; scopes: string[] }
    const { apiKeys } = await server.ok<{ apiKeys: Key[] }>('GET', '/api/auth/api-keys')
    const of = (name: string) => apiKeys.find((one) => one.name === name)
    expect(of('Never used')).toMatchObject({
      lastUsedAt: null,
      expiresAt: '2999-01-01T00:00:00.000Z',
      scopes: ['messages:read'],
    })
    expect(of('One session')?.lastUsedAt).toMatch(/^\d{4}-/)
  })

  test('a key that runs out ends its streams', async () => {
    const expiresAt = new Date(Date.now() + 3_600_000).toISOString()
    const short = await newKey({ name: 'Short', expiresAt })
    const stream = await openStream(`${server.url}/api/events/ws`, { 'x-api-key': short })
    clock.shift = 3_600_000
    expect((await stream.closed).code).toBe(4401)
    const told = await server.call('GET', '/api/sessions', { key: short })
    expect({ status: told.status, code: told.body.code }).toEqual({
      status: 401,
      code: 'AUTH_INVALID_API_KEY',
    })
  })
})
