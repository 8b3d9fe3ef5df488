/**
 * One server with two accounts that both have one of everything: a linked session with messages and a file, webhook
 * endpoints with deliveries, uploads, keys. And how to ask every route of the document for the things of either.
 */
import { Database } from 'bun:sqlite'
import { createHmac } from 'node:crypto'
import { join } from 'node:path'
import { type Answer, type CallOptions, OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { type Receiver, startReceiver } from '../harness/receiver'
import { png } from '../media/pictures'

/** Signs the server's tokens, so that a test can make one that has expired. */
const JWT_SECRET = 'a secret of two accounts that signs tokens, long enough'
const PASSWORD = 'a long password'

export type Household = {
  name: string
  userId: string
  email: string
  /** The default key, and one of its own for use by tests. */
  apiKey: string
  key: string
  keyId: string
  token: string
  phone: string
  session: string
  endpoint: string
  /** For all sessions. */
  wholeEndpoint: string
  delivery: string
  /** A text that was sent, a picture that was, and a text that waits for next year. */
  message: string
  picture: string
  waiting: string
  /** Path of an upload's link. */
  upload: string
  uploadId: string
  /** A request that was answered under an Idempotency-Key, and its answer. */
  once: { key: string; body: object; messageId: string }
  cursor: string
}
/** What stands in a path: ids by the beginning of the route and the parameter's name. */
export type Ids = Pick<
  Household,
  'userId' | 'keyId' | 'session' | 'endpoint' | 'delivery' | 'message' | 'upload'
>

export type Route = {
  /** `POST /api/sessions`. */
  route: string
  method: string
  path: string
  isPublic: boolean
  isSocket: boolean
  scopes: string[]
  takesBody: boolean
  example: unknown
}

export interface TwoAccounts {
  readonly server: TestApp
  readonly ada: Household
  readonly bob: Household
  readonly receiver: Receiver
  readonly routes: readonly Route[]
  /** Registers a further account; resolves with its key. */
  register(name: string): Promise<{ apiKey: string; token: string; userId: string }>
  newKey(of: Household, body: object): Promise<{ apiKey: string; id: string }>
  /** A token of that account that ran out a minute ago. */
  expiredToken(of: Household): string
  /** Both sessions stopped, everything delivered: from now on nothing changes by itself. */
  rest(): Promise<void>
  /** Every row of the database, as text, under its table and whose it is. */
  rows(): Map<string, 'ada' | 'bob' | 'nobody'>
  stop(): Promise<void>
}

type Document = {
  paths: Record<
    string,
    Record<
      string,
      {
        security: object[]
        'x-scopes'?: string[]
        requestBody?: { content: Record<string, { example?: unknown }> }
        responses: Record<string, unknown>
      }
    >
  >
}

export async function routesOf(server: TestApp): Promise<Route[]> {
  const { paths } = await server.ok<Document>('GET', '/docs/openapi.json', { key: null })
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path}`,
      method: method.toUpperCase(),
      path,
      isPublic: operation.security.length === 0,
      isSocket: '101' in operation.responses,
      scopes: operation['x-scopes'] ?? [],
      takesBody: operation.requestBody !== undefined,
      example: operation.requestBody?.content['application/json']?.example,
    })),
  )
}

/** What each parameter of a path names; a route with one that is not here has to be thought about. */
const PARAMETERS: readonly [RegExp, (ids: Ids) => string][] = [
  [/^\/api\/sessions\/\{id\}/, ({ session }) => session],
  [/\{sessionId\}/, ({ session }) => session],
  [/\{messageId\}/, ({ message }) => message],
  [/^\/api\/webhook\/endpoints\/\{id\}/, ({ endpoint }) => endpoint],
  [/^\/api\/webhook\/deliveries\/\{id\}/, ({ delivery }) => delivery],
  [/^\/api\/auth\/api-keys\/\{id\}/, ({ keyId }) => keyId],
  [/^\/api\/admin\/users\/\{id\}/, ({ userId }) => userId],
  [/^\/media\/\{name\}/, ({ upload }) => upload],
  [/^\/sandbox\//, () => '1'],
]

/** The route's path with the ids of somebody's things in it. */
export function pathFor({ route, path }: Route, ids: Ids): string {
  return path.replace(/\{(\w+)\}/g, (parameter, name: string) => {
    const found = PARAMETERS.find(
      ([{ source }, _]) =>
        new RegExp(source).test(path) && (source.includes(`{${name}\\}`) || source.includes('sandbox')),
    )
    if (!found) throw new Error(`Nobody has said what ${parameter} of ${route} names`)
    return encodeURIComponent(found[1](ids))
  })
}

/** Bodies for routes whose example is missing, or would do what a test must not. */
const BODIES: Record<string, object> = {
  'PUT /api/auth/profile': { firstName: 'Somebody' },
  'POST /api/webhook/test': { url: 'https://nowhere.example/hook' },
}

/** A good body for the route, about somebody's session; undefined where there is none. */
export function bodyFor({ route, method, example }: Route, { session, message }: Ids): object | undefined {
  if (method === 'GET' || method === 'DELETE') return undefined
  const body = BODIES[route] ?? example
  if (typeof body !== 'object' || body === null) return undefined
  const ids = { sessionId: session, targetMessageId: message, messageId: message, messageIds: [message] }
  return Object.fromEntries(
    Object.entries(body).map(([name, value]) => [name, name in ids ? ids[name as 'sessionId'] : value]),
  )
}

const UPGRADE = {
  connection: 'upgrade',
  upgrade: 'websocket',
  'sec-websocket-version': '13',
  'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
}

/**
 * Asks a route; a stream is read no further than its head, and an upgrade that is granted is told as 101 and closed.
 */
export async function ask(
  server: TestApp,
  route: Pick<Route, 'method' | 'isSocket'>,
  path: string,
  { key = null, headers = {}, body }: CallOptions = {},
): Promise<Answer<{ code?: string } & Record<string, unknown>>> {
  if (route.isSocket) {
    const granted = await opens(server.url + path, {
      ...headers,
      ...(key === null ? {} : { 'x-api-key': key }),
    })
    if (granted) return { status: 101, headers: new Headers(), body: {} }
  }
  const leave = new AbortController()
  const response = await fetch(server.url + path, {
    method: route.method,
    headers: {
      ...(key === null ? {} : { 'x-api-key': key }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      ...(route.isSocket ? UPGRADE : {}),
      ...headers,
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: leave.signal,
  })
  const type = response.headers.get('content-type') ?? ''
  if (type.startsWith('text/event-stream')) {
    leave.abort()
    return { status: response.status, headers: response.headers, body: {} }
  }
  const text = await response.text()
  const json = type.startsWith('application/json') && text !== ''
  return {
    status: response.status,
    headers: response.headers,
    body: json ? JSON.parse(text) : ({ text } as Record<string, unknown>),
  }
}

/** Whether a WebSocket opens. */
function opens(url: string, headers: Record<string, string>): Promise<boolean> {
  return new Promise((resolve) => {
    // Bun's client takes headers, which the web's type does not know.
    const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers } as unknown as string[])
    socket.onopen = () => {
      socket.close(1000)
      resolve(true)
    }
    socket.onerror = () => resolve(false)
  })
}

export async function startTwoAccounts(): Promise<TwoAccounts> {
  const receiver = startReceiver()
  const server = await startApp({
    flags: { '--registration': 'open', '--jwt-secret': JWT_SECRET },
    outside: { resolve: () => Promise.reject(new Error('There is nothing outside here')) },
  })
  await server.ok('GET', '/api/auth/profile')

  const register = async (name: string) => {
    const made = await server.ok<{ token: string; apiKey: string; user: { id: string } }>(
      'POST',
      '/api/auth/register',
      { key: null, body: { username: name, email: `${name}@example.com`, password: PASSWORD } },
    )
    return { apiKey: made.apiKey, token: made.token, userId: made.user.id }
  }
  const newKey = async ({ apiKey }: Pick<Household, 'apiKey'>, body: object) => {
    const made = await server.ok<{ apiKey: string; key: { id: string } }>('POST', '/api/auth/api-keys', {
      key: apiKey,
      body,
    })
    return { apiKey: made.apiKey, id: made.key.id }
  }

  async function household(name: string, phone: string, friend: string): Promise<Household> {
    const account = await register(name)
    const { apiKey, id: keyId } = await newKey(account, { name: `Key of ${name}` })
    const as = { key: apiKey }
    const made = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      ...as,
      body: { name: `Session of ${name}`, settings: { enableEncryption: false } },
    })
    const session = made.session.id
    await server.phone(phone)
    await server.phone(friend)
    await server.ok('POST', `/api/sessions/${session}/start`, as)
    const { qrText } = await server.ok<{ qrText: string }>('GET', `/api/sessions/${session}/qr`, as)
    await server.ok('POST', `/sandbox/phones/${phone}/scan`, { body: { qr: qrText } })
    while (!(await isStatus(session, apiKey, 'connected'))) await Bun.sleep(10)
    const endpoint = async (body: object) => {
      const { endpoint: one } = await server.ok<{ endpoint: { id: string } }>(
        'POST',
        '/api/webhook/endpoints',
        { ...as, body: { url: `${receiver.url}${name}`, description: `Endpoint of ${name}`, ...body } },
      )
      return one.id
    }
    const own = await endpoint({ sessionId: session })
    const wholeEndpoint = await endpoint({})
    const send = async (type: string, body: object, headers: Record<string, string> = {}) =>
      (
        await server.ok<{ messageId: string }>('POST', `/api/messages/send/${type}`, {
          ...as,
          body: { sessionId: session, to: friend, ...body },
          headers,
        })
      ).messageId
    const form = new FormData()
    form.append('file', new File([`upload of ${name}`], `${name}.txt`, { type: 'text/plain' }))
    const { data } = await server.ok<{ data: { url: string; filename: string; uploadId: string } }>(
      'POST',
      '/api/messages/upload',
      { ...as, raw: form as unknown as Uint8Array },
    )
    const once = { key: `once-${name}`, body: { sessionId: session, to: friend, text: `once by ${name}` } }
    const message = await send('text', { text: `text of ${name}` })
    const picture = await send('image', { imageBase64: png(4, 4).toString('base64'), caption: `of ${name}` })
    const waiting = await send('text', {
      text: `waiting of ${name}`,
      sendAt: new Date(Date.now() + 30 * 86_400_000).toISOString(),
    })
    const messageId = await send('text', once.body, { 'idempotency-key': once.key })
    await server.ok('PUT', `/api/webhook/config/${session}`, {
      ...as,
      body: { url: `${receiver.url}${name}/config` },
    })
    const { cursor } = await server.ok<{ cursor: string }>('GET', '/api/events?limit=100', as)
    return {
      name,
      ...account,
      email: `${name}@example.com`,
      key: apiKey,
      keyId,
      phone,
      session,
      endpoint: own,
      wholeEndpoint,
      delivery: '',
      message,
      picture,
      waiting,
      upload: new URL(data.url).pathname.replace('/media/', ''),
      uploadId: data.uploadId,
      once: { ...once, messageId },
      cursor,
    }
  }

  const isStatus = async (session: string, key: string, wanted: string) =>
    (await server.ok<{ session: { status: string } }>('GET', `/api/sessions/${session}`, { key })).session
      .status === wanted

  const [ada, bob] = await Promise.all([
    household('adalove', '491703380001', '491703380002'),
    household('bobmarl', '491703380003', '491703380004'),
  ])

  async function rest(): Promise<void> {
    for (const one of [ada, bob]) {
      const as = { key: one.key }
      await server.ok('POST', `/api/sessions/${one.session}/stop`, as)
      while (!(await isStatus(one.session, one.key, 'inactive'))) await Bun.sleep(10)
      for (;;) {
        const { queue } = await server.ok<{ queue: Record<string, number> }>('GET', '/api/webhook/queue', as)
        if (queue.pending === 0 && queue.processing === 0 && queue.retrying === 0) break
        await Bun.sleep(10)
      }
      const { deliveries } = await server.ok<{ deliveries: { id: string }[] }>(
        'GET',
        `/api/webhook/deliveries/${one.session}`,
        as,
      )
      one.delivery = deliveries[0]?.id ?? ''
    }
  }
  await rest()
  const file = join(server.dataDir, 'wabun.sqlite')

  return {
    server,
    ada,
    bob,
    receiver,
    routes: await routesOf(server),
    register,
    newKey,
    expiredToken({ userId }) {
      const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const exp = Math.floor(Date.now() / 1000) - 60
      const claims = { sub: userId, jti: 'run-out', iss: 'wabun', aud: 'wabun-api', exp }
      const said = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`
      return `${said}.${createHmac('sha256', JWT_SECRET).update(said).digest('base64url')}`
    },
    rest,
    rows: () => rowsOf(file, { ada: ada.userId, bob: bob.userId }),
    async stop() {
      await server.stop()
      await receiver.stop()
    },
  }
}

type Owner = 'ada' | 'bob' | 'nobody'

/** Rows of all tables but those of the search index's own, each told whose it is by what it refers to. */
function rowsOf(file: string, users: { ada: string; bob: string }): Map<string, Owner> {
  const db = new Database(file, { readonly: true })
  const all = <Row>(sql: string): Row[] => db.query<Row, []>(sql).all()
  const ownerOf = (tenant: unknown): Owner =>
    tenant === users.ada ? 'ada' : tenant === users.bob ? 'bob' : 'nobody'
  try {
    const tenants = new Map<unknown, Owner>()
    for (const { number, id } of all<{ number: number; id: string }>(
      'SELECT number, id FROM tenant_numbers',
    )) {
      tenants.set(number, ownerOf(id))
    }
    const sessions = new Map<unknown, Owner>()
    for (const { number, id, tenant } of all<{ number: number; id: string; tenant: string }>(
      'SELECT number, id, tenant FROM sessions',
    )) {
      sessions.set(number, ownerOf(tenant))
      sessions.set(id, ownerOf(tenant))
    }
    const endpoints = new Map<unknown, Owner>()
    for (const { number, tenant } of all<{ number: number; tenant: unknown }>(
      'SELECT number, tenant FROM endpoints',
    )) {
      endpoints.set(number, tenants.get(tenant) ?? ownerOf(tenant))
    }
    const ownerOfRow = (table: string, row: Record<string, unknown>): Owner | undefined => {
      if (table === 'users' || table === 'tenant_numbers') return ownerOf(row.id)
      if (table === 'session_numbers') return sessions.get(row.id)
      // It tells of what was done to her things too, and of some of it a while later.
      if (table === 'audit') return 'nobody'
      if (row.session !== undefined && row.session !== null) return sessions.get(row.session)
      if (row.tenant !== undefined) return tenants.get(row.tenant) ?? ownerOf(row.tenant)
      return row.endpoint === undefined ? 'nobody' : endpoints.get(row.endpoint)
    }
    const rows = new Map<string, Owner>()
    const tables = all<{ name: string }>("SELECT name FROM sqlite_schema WHERE type = 'table'")
    for (const { name } of tables) {
      if (/^sqlite_|_(data|idx|content|docsize|config)$/.test(name)) continue
      for (const row of all<Record<string, unknown>>(`SELECT * FROM "${name}"`)) {
        const owner = ownerOfRow(name, row)
        // When a key was last used is written a while later.
        const text = JSON.stringify({ ...row, last_used_at: null }, (_, value) =>
          value instanceof Uint8Array ? Buffer.from(value).toString('hex') : value,
        )
        rows.set(`${name} ${text}`, owner ?? 'nobody')
      }
    }
    return rows
  } finally {
    db.close()
  }
}

export { OWNER_KEY }
