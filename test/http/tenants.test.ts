/**
 * Two accounts, every route, and the tricks by which one might get at the other's things. Nothing of Ada's may be seen in
 * an answer to Bob, counted in one, or be another row of the database afterwards.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import type { CallOptions } from '../harness/app'
import { openStream } from '../harness/stream'
import {
  ask,
  bodyFor,
  type Household,
  type Ids,
  pathFor,
  type Route,
  startTwoAccounts,
  type TwoAccounts,
} from './two-accounts'

let world: TwoAccounts
let before: ReturnType<TwoAccounts['rows']>
/** What Bob counted before he tried anything. */
let counts: object
beforeAll(async () => {
  world = await startTwoAccounts()
  before = world.rows()
  counts = await countsOf(world.bob)
})
afterAll(() => world.stop())

/** What only Ada and her answers know. */
const secretsOf = (of: Household): string[] => [
  of.name,
  of.userId,
  of.keyId,
  of.apiKey,
  of.session,
  of.endpoint,
  of.wholeEndpoint,
  of.delivery,
  of.message,
  of.picture,
  of.waiting,
  of.once.messageId,
  of.uploadId,
  of.phone,
]

/** Ends of what Bob himself owns are not tried with his own ids. */
const ENDS =
  /^(DELETE|POST .*\/(logout|clear-auth|change-password|regenerate-api-key|rotate-secret)|PATCH \/api\/auth)/
const tried = () =>
  world.routes.filter(
    ({ isPublic, scopes, path }) => !isPublic && !scopes.includes('admin') && path !== '/metrics',
  )

type Trick = {
  says: string
  /** Whose things the path names, and what comes along. */
  asks(route: Route): { ids: Ids; query?: string; options?: CallOptions; path?: string } | null
}
const own = (route: Route, more: { query?: string; options?: CallOptions }) =>
  ENDS.test(route.route) ? null : { ids: world.bob, ...more }

const NAMES = [
  'sessionId',
  'session',
  'id',
  'instanceName',
  'tenantId',
  'tenant',
  'userId',
  'ownerId',
  'accountId',
]
const tricks = (): Trick[] => {
  const { ada, bob } = world
  const fields = Object.fromEntries(
    NAMES.map((name) => [name, /tenant|user|owner|account/i.test(name) ? ada.userId : ada.session]),
  )
  return [
    { says: 'her ids in the path', asks: () => ({ ids: ada }) },
    {
      says: 'her ids in the path, his in the body and the query',
      asks: (route) => ({
        ids: ada,
        query: `sessionId=${bob.session}`,
        options: { body: bodyFor(route, bob) },
      }),
    },
    ...NAMES.map(
      (name): Trick => ({
        says: `her ${name} in the query`,
        asks: (route) => own(route, { query: `${name}=${encodeURIComponent(String(fields[name]))}` }),
      }),
    ),
    {
      says: 'her session in lists of the query',
      asks: (route) => own(route, { query: `sessionIds=${bob.session},${ada.session}` }),
    },
    {
      says: 'her things in filters of the query',
      asks: (route) =>
        own(route, {
          query: `endpointId=${ada.endpoint}&chat=${ada.phone}&from=${ada.phone}&search=adalove`,
        }),
    },
    {
      says: 'her ids in the body beside his own',
      asks: (route) => own(route, { options: { body: { ...bodyFor(route, bob), ...fields } } }),
    },
    {
      says: 'her ids in the body in place of his own',
      asks: (route) => own(route, { options: { body: bodyFor(route, ada) } }),
    },
    {
      says: 'her messages, uploads and endpoints in the body, over his session',
      asks: (route) => {
        const body = bodyFor(route, bob)
        if (!body) return null
        const swapped = Object.fromEntries(
          Object.entries(body).map(([name, value]) => {
            if (/messageId/i.test(name)) return [name, Array.isArray(value) ? [ada.message] : ada.message]
            if (/Url$/.test(name)) return ['uploadId', ada.uploadId]
            return [name, value]
          }),
        )
        return own(route, {
          options: { body: { ...swapped, ...('after' in body ? { endpointId: ada.endpoint } : {}) } },
        })
      },
    },
    {
      says: 'her ids in headers',
      asks: (route) =>
        own(route, {
          options: {
            headers: {
              'x-session': ada.session,
              'x-session-id': ada.session,
              'x-tenant-id': ada.userId,
              'x-user-id': ada.userId,
              'x-forwarded-user': ada.name,
              'x-original-url': `/api/sessions/${ada.session}`,
              'x-rewrite-url': `/api/sessions/${ada.session}`,
              'x-http-method-override': 'DELETE',
              cookie: `session=${ada.session}; token=${ada.token}`,
            },
          },
        }),
    },
    {
      says: 'her Idempotency-Key with his own request',
      asks: (route) => own(route, { options: { headers: { 'idempotency-key': ada.once.key } } }),
    },
    {
      says: 'her cursor',
      asks: (route) =>
        own(route, { query: `after=${ada.cursor}`, options: { headers: { 'last-event-id': ada.cursor } } }),
    },
    {
      says: 'her request id',
      asks: (route) => own(route, { options: { headers: { 'x-request-id': 'hers' } } }),
    },
    {
      says: 'his path that climbs into hers',
      asks: (route) =>
        ENDS.test(route.route) || !route.path.includes('{')
          ? null
          : {
              ids: { ...bob, session: `${bob.session}/../${ada.session}`, endpoint: `x/../${ada.endpoint}` },
            },
    },
    {
      says: 'another spelling of her id',
      asks: () => ({
        ids: {
          ...ada,
          session: ada.session.toUpperCase(),
          endpoint: ` ${ada.endpoint}`,
          keyId: `${ada.keyId} `,
        },
      }),
    },
    {
      says: 'his session, her message',
      asks: (route) =>
        route.path.includes('{messageId}') ? { ids: { ...bob, message: ada.message } } : null,
    },
    {
      says: 'her session, his message',
      asks: (route) =>
        route.path.includes('{messageId}') ? { ids: { ...ada, message: bob.message } } : null,
    },
  ]
}

describe('every route and every trick', () => {
  test('no answer shows anything of hers', async () => {
    const { bob, ada, server } = world
    const secrets = secretsOf(ada)
    let asked = 0
    for (const route of tried()) {
      // What ends something of the caller's own account has nobody else's name in it.
      if (ENDS.test(route.route) && !route.path.includes('{')) continue
      for (const { says, asks } of tricks()) {
        const trick = asks(route)
        if (!trick) continue
        const { ids, query, options = {} } = trick
        const hasBody = route.method !== 'GET' && route.method !== 'DELETE'
        const body = hasBody ? (options.body ?? bodyFor(route, ids)) : undefined
        const path = `${pathFor(route, ids)}${query === undefined ? '' : `?${query}`}`
        const answer = await ask(server, route, path, { ...options, key: bob.key, body })
        asked += 1
        const text = JSON.stringify([answer.body, [...answer.headers]])
        // A refusal may repeat what he has said himself. (Of a stream only the head is looked at here.)
        const said = answer.status >= 400 ? JSON.stringify([path, options, body]) : ''
        const shown = secrets.filter((secret) => text.includes(secret) && !said.includes(secret))
        expect({ route: route.route, says, shown, broken: answer.status >= 500 }).toEqual({
          route: route.route,
          says,
          shown: [],
          broken: false,
        })
      }
    }
    expect(asked).toBeGreaterThan(1_000)
  })

  test('no other method does on her paths what the documented ones do not', async () => {
    const { ada, bob, server } = world
    const documented = new Map<string, Set<string>>()
    const shape = (path: string) => path.replace(/\{\w+\}/g, '{}')
    for (const { path, method } of tried()) {
      documented.set(shape(path), (documented.get(shape(path)) ?? new Set()).add(method))
    }
    for (const path of new Set(tried().map((route) => route.path))) {
      const methods = documented.get(shape(path)) ?? new Set()
      if (!path.includes('{')) continue
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
        if (methods.has(method)) continue
        const route = { route: `${method} ${path}`, path } as Route
        const body = /^P/.test(method) ? { body: { sessionId: ada.session } } : {}
        const { status } = await ask(server, { method, isSocket: false }, pathFor(route, ada), {
          key: bob.key,
          ...body,
        })
        const expected = method === 'HEAD' && methods.has('GET') ? [404, 405] : [405]
        expect({ route: route.route, isRefused: expected.includes(status) }).toEqual({
          route: route.route,
          isRefused: true,
        })
      }
    }
  })

  test('no row of hers is another afterwards, none has come to her, and his counts count his own', async () => {
    const after = world.rows()
    const hers = (rows: typeof after) =>
      [...rows]
        .filter(([, owner]) => owner === 'ada')
        .map(([row]) => row)
        .sort()
    expect(hers(before).length).toBeGreaterThan(100)
    const [was, is] = [new Set(hers(before)), new Set(hers(after))]
    expect({
      gone: [...was].filter((row) => !is.has(row)),
      come: [...is].filter((row) => !was.has(row)),
    }).toEqual({ gone: [], come: [] })
    // Nobody else's row has taken up her things.
    const named = [...after].filter(
      ([row, owner]) => owner !== 'ada' && !before.has(row) && row.includes(world.ada.session),
    )
    expect(named.filter(([row]) => !row.startsWith('audit'))).toEqual([])
    expect(world.receiver.posts.filter(({ path }) => path.startsWith(`/${world.ada.name}`)).length).toBe(
      world.receiver.posts.filter(
        ({ body, path }) => path.startsWith(`/${world.ada.name}`) && body.includes(world.ada.session),
      ).length,
    )
  })

  test('control: his own rows have changed, so something was carried out', () => {
    const his = (rows: typeof before) =>
      new Set([...rows].filter(([, owner]) => owner === 'bob').map(([row]) => row))
    const was = his(before)
    expect([...his(world.rows())].filter((row) => !was.has(row)).length).toBeGreaterThan(10)
  })
})

/** Everything that is a number or a list in what an account may ask about itself. */
async function countsOf({ key, session }: Household): Promise<object> {
  const { server } = world
  const get = (path: string) => server.ok<Record<string, unknown>>('GET', path, { key })
  const sessions = await get('/api/sessions')
  const status = await get('/api/status')
  const profile = await get('/api/auth/profile')
  const keys = await get('/api/auth/api-keys')
  const endpoints = await get('/api/webhook/endpoints')
  const history = await get(`/api/messages/history/${session}`)
  return {
    sessions: sessions.total,
    status: (status.sessions as { total: number }).total,
    profile: profile.stats,
    keys: keys.total,
    endpoints: (endpoints.endpoints as object[]).length,
    history: history.total,
  }
}

describe('what is counted', () => {
  test('is one’s own, to the last', async () => {
    expect(counts).toEqual(await countsOf(world.ada))
    expect(counts).toMatchObject({ sessions: 1, status: 1, history: 4 })
  })

  test('and is not more when the other has more', async () => {
    const { ada, bob, server } = world
    const his = await countsOf(bob)
    await server.ok('POST', '/api/sessions', { key: ada.key, body: { name: 'One more' } })
    await world.newKey(ada, { name: 'One more' })
    expect(await countsOf(bob)).toEqual(his)
  })
})

describe('streams', () => {
  test('of all sessions tell him nothing of hers, live or again, by WebSocket, server-sent events and pull', async () => {
    const { ada, bob, server } = world
    const epoch = ada.cursor.split('-')[0]
    const sse = new AbortController()
    const source = await fetch(`${server.url}/api/events/stream?after=${epoch}-0`, {
      headers: { 'x-api-key': bob.key, 'last-event-id': `${epoch}-0` },
      signal: sse.signal,
    })
    const stream = await openStream(`${server.url}/api/events/ws?after=${epoch}-0`, { 'x-api-key': bob.key })
    for (const one of [ada, bob]) {
      const body = { description: `changed by ${one.name}` }
      await server.ok('PUT', `/api/sessions/${one.session}/settings`, { key: one.key, body })
    }
    await stream.waitFor(
      ({ event, sessionId }) => event === 'session.settings_updated' && sessionId === bob.session,
    )
    const told = JSON.stringify(stream.frames)
    stream.close()
    const reader = source.body?.getReader()
    let text = ''
    while (reader && !text.includes('changed by bobmarl') && !text.includes('session.settings_updated')) {
      text += new TextDecoder().decode((await reader.read()).value)
    }
    sse.abort()
    const { events } = await server.ok<{ events: object[] }>('GET', '/api/events?limit=100', { key: bob.key })
    for (const secret of secretsOf(ada)) {
      expect({ told: told.includes(secret), text: text.includes(secret) }).toEqual({
        told: false,
        text: false,
      })
      expect(JSON.stringify(events)).not.toContain(secret)
    }
    expect(events.length).toBeGreaterThan(5)
  })

  test('take no ticket of hers for him', async () => {
    const { ada, bob, server } = world
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key: ada.key })
    // A ticket is who it was given to, whoever shows it; beside a key it decides. It is worth nothing anywhere else.
    const { status, body } = await ask(
      server,
      { method: 'GET', isSocket: false },
      `/api/auth/profile?ticket=${ticket}`,
      { key: bob.key },
    )
    expect(status === 400 || JSON.stringify(body).includes(bob.userId)).toBe(true)
    expect(JSON.stringify(body)).not.toContain(ada.userId)
  })
})

describe('answers under an Idempotency-Key', () => {
  test('are given to the account that has asked, whatever the other asks', async () => {
    const { ada, bob, server } = world
    const headers = { 'idempotency-key': ada.once.key }
    const path = '/api/messages/send/text'
    const again = await server.call<{ messageId: string }>('POST', path, {
      key: ada.key,
      headers,
      body: ada.once.body,
    })
    expect({ replayed: again.headers.get('idempotency-replayed'), id: again.body.messageId }).toEqual({
      replayed: 'true',
      id: ada.once.messageId,
    })
    const his = await server.call<{ code: string }>('POST', path, {
      key: bob.key,
      headers,
      body: ada.once.body,
    })
    expect({
      status: his.status,
      code: his.body.code,
      replayed: his.headers.get('idempotency-replayed'),
    }).toEqual({
      status: 404,
      code: 'SESSION_NOT_FOUND',
      replayed: null,
    })
  })
})
