/**
 * The routes of a real server, as an account with a linked session: good requests of the document with their bodies, paths and
 * queries changed. Every answer has one of the two shapes, and none is an internal error.
 */
import { type CallOptions, startApp, type TestApp } from '../harness/app'
import { type Route, routesOf } from '../http/two-accounts'
import { anyValue } from './bodies'
import { type Chance, mutated, STRANGE } from './random'
import type { Target } from './run'

type Input = { method: string; path: string; options: CallOptions }

/**
 * They take a password, whose hash is meant to cost what it costs; end the key or the session that all the others need; or
 * hold the answer until something happens.
 */
const APART =
  /^(POST \/api\/auth\/(register|login|change-password|regenerate-api-key)|DELETE \/api\/(auth\/account|sessions)|POST .*\/(stop|restart|logout|clear-auth|pause)$|GET .*\/(qr|ws|stream)$)/
const QUERIES = [
  'limit',
  'offset',
  'after',
  'events',
  'sessionIds',
  'status',
  'type',
  'search',
  'from',
  'validate',
  'format',
]

function makeFor(routes: readonly Route[], own: readonly string[]) {
  const [first = ''] = own
  const part = (chance: Chance): string =>
    encodeURIComponent(
      (!chance.oneIn(4)
        ? first
        : chance.oneIn(2)
          ? mutated(chance, chance.of(own))
          : chance.of(STRANGE)
      ).toWellFormed(),
    ) || 'x'
  const bodyOf = (chance: Chance, example: unknown): CallOptions => {
    const body: Record<string, unknown> =
      typeof example === 'object' && example !== null ? { ...example } : { name: 'x' }
    if ('sessionId' in body && !chance.oneIn(10)) body.sessionId = first
    for (let left = chance.below(4); left > 0; left -= 1) {
      const name = chance.oneIn(4) ? chance.of(STRANGE) : chance.of(['sessionId', ...Object.keys(body)])
      if (chance.oneIn(3)) delete body[name]
      else body[name] = anyValue(chance)
    }
    const text = JSON.stringify(body)
    const type = chance.oneIn(30)
      ? chance.of(['text/plain', 'multipart/form-data; boundary=B', ''])
      : 'application/json'
    // Nobody waits for WhatsApp here.
    const headers = { 'content-type': type, prefer: 'respond-async' }
    return { raw: chance.oneIn(5) ? mutated(chance, text) : text, headers }
  }
  return (chance: Chance): Input => {
    const { method, path, example } = chance.of(routes)
    const filled = path.replace(/\{\w+\}/g, () => part(chance))
    const query = chance.oneIn(3)
      ? `?${Array.from({ length: 1 + chance.below(3) }, () => `${chance.of(QUERIES)}=${part(chance)}`).join('&')}`
      : ''
    const hasBody = method !== 'GET' && method !== 'DELETE'
    return { method, path: filled + query, options: hasBody ? bodyOf(chance, example) : {} }
  }
}

const open = async () => {
  const server: TestApp = await startApp({
    flags: { '--registration': 'open', '--log-level': 'error' },
    outside: { resolve: () => Promise.reject(new Error('There is nothing outside here')) },
  })
  await server.ok('GET', '/api/auth/profile')
  const { apiKey: key } = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: 'fuzz', email: 'fuzz@example.com', password: 'a long password' },
  })
  const made = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
    key,
    body: { name: 'x' },
  })
  const id = made.session.id
  const [phone, friend] = ['491703390001', '1234567890']
  await server.phone(phone)
  await server.phone(friend)
  await server.ok('POST', `/api/sessions/${id}/start`, { key })
  const { qrText } = await server.ok<{ qrText: string }>('GET', `/api/sessions/${id}/qr`, { key })
  await server.ok('POST', `/sandbox/phones/${phone}/scan`, { body: { qr: qrText } })
  for (let status = ''; status !== 'connected'; ) {
    const { session } = await server.ok<{ session: { status: string } }>('GET', `/api/sessions/${id}`, {
      key,
    })
    status = session.status
  }
  const routes = (await routesOf(server)).filter(
    ({ route, scopes }) => !APART.test(route) && !scopes.includes('admin'),
  )
  const make = makeFor(routes, [id, '3EB0C767D26A8B5F1A2B', 'f'.repeat(32)])
  let seen = 0

  async function take({ method, path, options }: Input): Promise<void> {
    const { status, body } = await server.call<{ success?: boolean; code?: string }>(method, path, {
      ...options,
      key,
    })
    const isFile = typeof body === 'string'
    if (status === 401 && !path.startsWith('/api/auth/refresh'))
      throw new Error('The key does not count any more')
    if (status === 500) throw new Error(`Internal error: ${JSON.stringify(body)}`)
    if (status >= 400 && (isFile || body.success !== false || !body.code))
      throw new Error(`No envelope: ${status}`)
    for (; seen < server.lines.length; seen += 1) {
      const line = server.lines[seen] ?? ''
      if (line.includes('not in the catalogue')) throw new Error(line.slice(0, 500))
    }
  }
  return { make, take, end: () => server.stop() }
}

export const routes: Target<Input> = {
  name: 'routes',
  open,
  show: ({ method, path, options }) =>
    `${method} ${path.slice(0, 150)} ${String(options.raw ?? '').slice(0, 300)}`,
}
