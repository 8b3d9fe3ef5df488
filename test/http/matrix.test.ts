/**
 * Every route of the document × every kind of credentials. What must happen follows from what the document says of the
 * route; a route about which that says nothing has to be put into a table here, else the test fails.
 */

import { afterAll, beforeAll, expect, test } from 'bun:test'
import type { Answer, CallOptions } from '../harness/app'
import {
  ask,
  bodyFor,
  type Ids,
  pathFor,
  type Route,
  startTwoAccounts,
  type TwoAccounts,
} from './two-accounts'

let world: TwoAccounts
/** Of Ada's: one that may only read, one that was taken back, one that has run out, a token that was revoked. */
let reader = ''
let revoked = ''
let expired = ''
let revokedToken = ''
const READS = ['sessions:read', 'messages:read', 'webhooks:read']
/** What the reader may do with routes that ask for no scope; everything else that changes the account is forbidden. */
const READER: Record<string, number> = {
  'POST /api/auth/ticket': 201,
  'GET /api/auth/profile': 200,
  'GET /api/auth/api-keys': 200,
}
/** Routes that name no object of anybody: what a whole account of its own gets there. */
const ACCOUNT: Record<string, number> = {
  'GET /api/status': 200,
  'GET /api/status/stats': 200,
  'POST /api/auth/logout': 403,
  'POST /api/auth/ticket': 201,
  'GET /api/auth/profile': 200,
  'PUT /api/auth/profile': 200,
  'POST /api/auth/change-password': 401,
  'POST /api/auth/regenerate-api-key': 200,
  'DELETE /api/auth/account': 200,
  'GET /api/auth/api-keys': 200,
  'POST /api/auth/api-keys': 201,
  'POST /api/sessions': 201,
  'GET /api/sessions': 200,
  'POST /api/messages/upload': 415,
  'GET /api/events': 200,
  'GET /api/events/ws': 101,
  'GET /api/events/stream': 200,
  'GET /api/webhook/event-types': 200,
  'POST /api/webhook/endpoints': 201,
  'GET /api/webhook/endpoints': 200,
  'GET /api/webhook/queue': 200,
  'POST /api/webhook/test': 200,
}
/** Routes without credentials: what they answer to anybody. */
const PUBLIC: Record<string, number> = {
  'POST /api/auth/register': 201,
  'POST /api/auth/login': 200,
  'POST /api/auth/refresh': 400,
  'GET /api/status/health': 200,
  'GET /api/status/info': 200,
  'GET /healthz': 200,
  'GET /readyz': 200,
  'GET /docs': 200,
  'GET /docs/openapi.json': 200,
  'GET /metrics': 200,
  'GET /media/{name}': 200,
}
/** What is missing there, when it is not a session. */
const MISSING: readonly [RegExp, string][] = [
  [/^\/api\/webhook\/endpoints\/\{id\}/, 'WEBHOOK_NOT_FOUND'],
  [/^\/api\/webhook\/deliveries\/\{id\}/, 'DELIVERY_NOT_FOUND'],
  [/^\/api\/auth\/api-keys\/\{id\}/, 'API_KEY_NOT_FOUND'],
  [/^\/api\/messages\/queue\/\{messageId\}/, 'MESSAGE_NOT_FOUND'],
]

beforeAll(async () => {
  world = await startTwoAccounts()
  const { server, ada } = world
  reader = (await world.newKey(ada, { name: 'Reader', scopes: READS })).apiKey
  const gone = await world.newKey(ada, { name: 'Gone' })
  await server.ok('DELETE', `/api/auth/api-keys/${gone.id}`, { key: ada.apiKey })
  revoked = gone.apiKey
  const soon = Date.now() + 300
  const short = { name: 'Short', expiresAt: new Date(soon).toISOString() }
  expired = (await world.newKey(ada, short)).apiKey
  while (Date.now() <= soon) await Bun.sleep(20)
  revokedToken = (await world.register('leaver')).token
  const headers = { authorization: `Bearer ${revokedToken}` }
  await server.ok('POST', '/api/auth/logout', { key: null, headers })
})
afterAll(() => world.stop())

const guarded = () => world.routes.filter(({ isPublic }) => !isPublic)
const askAs = (route: Route, options: CallOptions, ids: Ids = world.ada) =>
  ask(world.server, route, pathFor(route, ids), { body: bodyFor(route, ids), ...options })
const told = ({ route }: Route, { status, body }: Awaited<ReturnType<typeof ask>>) => ({
  route,
  status,
  code: body.code ?? null,
})

test('the document says who may ask each route', () => {
  expect(world.routes.length).toBeGreaterThan(100)
  expect(guarded().filter(({ scopes }) => scopes.includes('admin')).length).toBeGreaterThan(25)
  expect(world.routes.filter(({ isPublic }) => isPublic).map(({ route }) => route)).toEqual(
    expect.arrayContaining(['POST /api/auth/login', 'GET /media/{name}']),
  )
})

test('credentials that are none open no route', async () => {
  const { ada } = world
  const bearer = (token: string) => ({ key: null, headers: { authorization: `Bearer ${token}` } })
  const kinds: [CallOptions, string][] = [
    [{ key: null }, 'AUTH_REQUIRED'],
    [{ key: `${ada.apiKey.slice(0, -1)}${ada.apiKey.endsWith('A') ? 'B' : 'A'}` }, 'AUTH_INVALID_API_KEY'],
    [{ key: 'wapi_' }, 'AUTH_INVALID_API_KEY'],
    [{ key: ada.apiKey.toLowerCase() }, 'AUTH_INVALID_API_KEY'],
    [{ key: ada.token }, 'AUTH_INVALID_API_KEY'],
    [{ key: revoked }, 'AUTH_INVALID_API_KEY'],
    [{ key: expired }, 'AUTH_INVALID_API_KEY'],
    [bearer(world.expiredToken(ada)), 'AUTH_TOKEN_EXPIRED'],
    [bearer(revokedToken), 'AUTH_INVALID_TOKEN'],
    [bearer(ada.apiKey), 'AUTH_INVALID_TOKEN'],
    [bearer(`${ada.token.slice(0, -3)}AAA`), 'AUTH_INVALID_TOKEN'],
  ]
  for (const route of guarded()) {
    for (const [options, code] of kinds) {
      const answer = await askAs(route, options)
      expect({ ...told(route, answer), kind: code }).toEqual({
        route: route.route,
        status: 401,
        code,
        kind: code,
      })
      expect(answer.headers.get('www-authenticate')).toStartWith('Bearer')
    }
  }
})

test('a body that no route has asked for is not read, broken or not', async () => {
  const bare = guarded().filter(({ method, takesBody }) => method !== 'GET' && !takesBody)
  expect(bare.length).toBeGreaterThan(20)
  for (const route of bare) {
    const headers = { 'content-type': 'application/json' }
    const { status } = await world.server.call(route.method, pathFor(route, world.ada), {
      key: null,
      raw: '{]}',
      headers,
    })
    // A control API of the sandbox reads it first, within the bounds of every body.
    const isSandbox = route.path.startsWith('/sandbox/')
    expect({ route: route.route, status }).toEqual({ route: route.route, status: isSandbox ? 400 : 401 })
  }
})

test('routes without credentials answer what they are listed for', async () => {
  for (const route of world.routes.filter(({ isPublic }) => isPublic)) {
    const { status } = await askAs(route, { key: null })
    expect({ route: route.route, status }).toEqual({ route: route.route, status: PUBLIC[route.route] ?? -1 })
  }
})

test('a key that may only read opens what its scopes say', async () => {
  for (const route of guarded()) {
    const missing = route.scopes.find((scope) => !READS.includes(scope))
    const answer = await askAs(route, { key: reader })
    if (missing !== undefined || (route.scopes.length === 0 && !(route.route in READER))) {
      expect(told(route, answer)).toEqual({ route: route.route, status: 403, code: 'FORBIDDEN' })
    } else if (route.scopes.length === 0) {
      expect(told(route, answer)).toEqual({
        route: route.route,
        status: READER[route.route] ?? -1,
        code: null,
      })
    } else {
      // The file of a text is not there; everything else of Ada's is.
      const isFile = route.path.endsWith('/media')
      expect({ route: route.route, ok: answer.status < 300 }).toEqual({ route: route.route, ok: !isFile })
    }
  }
})

/** Ids of the same form that name nothing. */
const nothing = (): Ids => ({
  userId: `${world.ada.userId.slice(0, -4)}AAAA`,
  keyId: `${world.ada.keyId.slice(0, -4)}AAAA`,
  session: 'f'.repeat(32),
  endpoint: 'f'.repeat(world.ada.endpoint.length),
  delivery: world.ada.delivery.replace(/[0-9]/g, '9'),
  message: '3EB0FFFFFFFFFFFFFFFFFF',
  upload: world.ada.upload.replace(/^.{4}/, 'AAAA'),
})
/** What a caller can tell an answer by. */
const looks = ({ status, headers, body }: Answer<object>) => ({
  status,
  body,
  headers: [...headers].filter(([name]) => !/^(x-request-id|date|ratelimit-.*)$/.test(name)),
})

test('another account’s key: what is not its own is as if it were not there, to the last header and look-up', async () => {
  const eve = await world.register('evelina')
  for (const route of guarded()) {
    if (route.scopes.includes('admin')) {
      const answer = await askAs(route, { key: eve.apiKey })
      expect(told(route, answer)).toEqual({ route: route.route, status: 403, code: 'FORBIDDEN' })
      continue
    }
    const names =
      route.path.includes('{') || JSON.stringify(bodyFor(route, world.ada) ?? '').includes(world.ada.session)
    if (!names) {
      // An account of its own for each: some of them end it.
      const key =
        route.route in ACCOUNT ? (await world.register(`route${world.routes.indexOf(route)}`)).apiKey : ''
      const { status } = await askAs(route, { key })
      expect({ route: route.route, status }).toEqual({
        route: route.route,
        status: ACCOUNT[route.route] ?? -1,
      })
      continue
    }
    const code = MISSING.find(([pattern]) => pattern.test(route.path))?.[1] ?? 'SESSION_NOT_FOUND'
    let [theirs, lookUps] = await counted(() => askAs(route, { key: eve.apiKey }))
    expect(told(route, theirs)).toEqual({ route: route.route, status: 404, code })
    let [none, lookUpsOfNone] = await counted(() => askAs(route, { key: eve.apiKey }, nothing()))
    for (let again = 0; again < 3 && lookUps.join() !== lookUpsOfNone.join(); again += 1) {
      // Something behind an earlier request may have come in between; what the routes themselves do is the same each time.
      ;[theirs, lookUps] = await counted(() => askAs(route, { key: eve.apiKey }))
      ;[none, lookUpsOfNone] = await counted(() => askAs(route, { key: eve.apiKey }, nothing()))
    }
    expect({ route: route.route, ...looks(theirs), lookUps }).toEqual({
      route: route.route,
      ...looks(none),
      lookUps: lookUpsOfNone,
    })
  }
})

test('control: look-ups are seen, and to their owner the same requests are there', async () => {
  const history = { method: 'GET', isSocket: false }
  const path = `/api/messages/history/${world.ada.session}`
  const [{ status: found }, lookUps] = await counted(() =>
    ask(world.server, history, path, { key: world.ada.key }),
  )
  expect({ found, seen: lookUps.includes('messages.list') }).toEqual({ found: 200, seen: true })
  for (const route of guarded()) {
    if (!route.path.includes('{') || route.method !== 'GET' || route.scopes.includes('admin')) continue
    const { status } = await askAs(route, { key: world.ada.key })
    if (/\/(media|qr)$/.test(route.path)) continue
    expect({ route: route.route, ok: status < 300 }).toEqual({ route: route.route, ok: true })
  }
})

/** Runs `work` and notes what the storage is asked meanwhile, in its order. */
async function counted<T>(work: () => Promise<T>): Promise<[T, string[]]> {
  const asked: string[] = []
  const undo: (() => void)[] = []
  for (const [name, port] of Object.entries(world.server.app.storage)) {
    // The audit log is written behind the answers of others.
    if (typeof port !== 'object' || port === null || name === 'audit' || name === 'meta') continue
    const methods = port as Record<string, unknown>
    for (const [method, own] of Object.entries(methods)) {
      if (typeof own !== 'function') continue
      methods[method] = (...given: unknown[]) => {
        asked.push(`${name}.${method}`)
        return own.apply(port, given)
      }
      undo.push(() => {
        methods[method] = own
      })
    }
  }
  try {
    return [await work(), asked]
  } finally {
    for (const each of undo) each()
  }
}
