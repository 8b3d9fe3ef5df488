/** The limits of contract §1 over HTTP: who is asked to wait, what is told, and whom that leaves alone. */
import { afterEach, describe, expect, test } from 'bun:test'
import { type Clock, systemClock } from '../../src/lib/clock'
import { type Answer, startApp, type TestApp } from '../harness/app'

/** As an operator has them who sets nothing; the other tests' app takes them away. */
const AS_SHIPPED = {
  '--registration': 'open',
  '--plan-free': 'requests=100',
  '--plan-pro': 'requests=100',
  '--auth-attempts': '5',
  '--auth-failures': '60',
}
const PASSWORD = 'correct horse battery'
const JUNK = `wapi_${'x'.repeat(40)}`

let server: TestApp
/**
 * Time that has passed (ms) by the clock that never jumps, which stands still meanwhile, however slow the machine is; and
 * what the time of day is off by.
 */
let passed = 0
let off = 0
const clock: Clock = {
  ...systemClock,
  now: () => systemClock.now() + passed + off,
  monotonic: () => passed,
}

async function start(flags: Record<string, string | true> = {}): Promise<void> {
  passed = 0
  off = 0
  server = await startApp({ flags: { ...AS_SHIPPED, ...flags }, clock })
  // The owner of the key is the first account; whoever registers is of the default plan.
  await server.ok('GET', '/api/auth/profile')
}
afterEach(() => server.stop())

async function register(username: string): Promise<string> {
  const made = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username, email: `${username}@example.com`, password: PASSWORD },
  })
  return made.apiKey
}

const login = (username: string, password = PASSWORD, headers: Record<string, string> = {}) =>
  server.call('POST', '/api/auth/login', { key: null, body: { username, password }, headers })

const told = ({ headers }: Answer) =>
  ['limit', 'remaining', 'reset'].map((name) => {
    const value = headers.get(`ratelimit-${name}`)
    return value === null ? null : Number(value)
  })
const outcome = ({ status, body }: Answer) => [status, (body as { code?: string }).code ?? null]

/** Asks so often, one after another. */
async function ask(times: number, request: (index: number) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let index = 0; index < times; index += 1) answers.push(await request(index))
  return answers
}

describe('requests of an account', () => {
  test('a hundred in a minute, counted down in every answer; then 429 with the way out; then again', async () => {
    await start()
    const key = await register('bob')
    const answers = await ask(100, () => server.call('GET', '/api/sessions', { key }))
    expect(answers.map(({ status }) => status)).toEqual(new Array(100).fill(200))
    expect(told(answers[0] as Answer)).toEqual([100, 99, 60])
    expect(told(answers[99] as Answer).slice(0, 2)).toEqual([100, 0])

    const beyond = await server.call('GET', '/api/sessions', { key })
    expect(outcome(beyond)).toEqual([429, 'RATE_LIMIT_EXCEEDED'])
    expect(told(beyond).slice(0, 2)).toEqual([100, 0])
    const wait = Number(beyond.headers.get('retry-after'))
    expect(wait).toBe(told(beyond)[2] as number)
    expect(beyond.body.details).toMatchObject({ limit: 100, per: 'minute', retryAfter: wait })

    passed += wait * 1000
    const again = await server.call('GET', '/api/sessions', { key })
    expect([again.status, ...told(again)]).toEqual([200, 100, 99, 60])
  })

  test('the time of day may be set as one likes: windows go by the clock that never jumps', async () => {
    await start({ '--plan-free': 'requests=1' })
    const key = await register('bob')
    await server.ok('GET', '/api/sessions', { key })
    off = 3_600_000
    expect((await server.call('GET', '/api/sessions', { key })).status).toBe(429)
    off = -3_600_000
    const refused = await server.call('GET', '/api/sessions', { key })
    expect([refused.status, refused.headers.get('retry-after')]).toEqual([429, '60'])
    passed += 60_000
    expect((await server.call('GET', '/api/sessions', { key })).status).toBe(200)
  })

  test('all keys and tokens of the account count together, other accounts and enterprise by themselves or not', async () => {
    await start({ '--plan-free': 'requests=3' })
    const key = await register('bob')
    const { body } = await login('bob')
    const bearer = { authorization: `Bearer ${(body as { token: string }).token}` }
    await server.ok('GET', '/api/sessions', { key })
    await server.ok('GET', '/api/sessions', { key: null, headers: bearer })
    await server.ok('GET', '/api/auth/profile', { key })
    expect((await server.call('GET', '/api/sessions', { key: null, headers: bearer })).status).toBe(429)
    const eve = await register('eve')
    expect((await server.call('GET', '/api/sessions', { key: eve })).status).toBe(200)
    const owner = await ask(10, () => server.call('GET', '/api/sessions'))
    expect(owner.map(({ status }) => status)).toEqual(new Array(10).fill(200))
    expect(told(owner[9] as Answer)).toEqual([null, null, null])
  })

  test('an administrator’s change of the plan counts from the next request on', async () => {
    await start({ '--plan-free': 'requests=2' })
    const key = await register('bob')
    const ask3 = () => ask(3, () => server.call('GET', '/api/sessions', { key }))
    expect((await ask3()).map(({ status }) => status)).toEqual([200, 200, 429])
    const { accounts: users } = await server.ok<{ accounts: { id: string; username: string }[] }>(
      'GET',
      '/api/admin/users',
    )
    const bob = users.find(({ username }) => username === 'bob')?.id
    const change = (plan: string) => server.ok('PATCH', `/api/admin/users/${bob}`, { body: { plan } })
    await change('enterprise')
    const free = await ask3()
    expect(free.map(({ status }) => status)).toEqual([200, 200, 200])
    expect(told(free[0] as Answer)).toEqual([null, null, null])
    await change('free')
    expect((await ask3()).map(({ status }) => status)).toEqual([429, 429, 429])
  })

  test('whatever the answer is, it says what is left', async () => {
    await start()
    const key = await register('bob')
    const make = { key, body: { name: 'Shop' }, headers: { 'idempotency-key': 'once' } }
    const made = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', make)
    const { apiKey } = await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', {
      key,
      body: { name: 'Reader', scopes: ['messages:read'] },
    })
    const answers: [string, Promise<Answer>, number][] = [
      ['replayed', server.call('POST', '/api/sessions', make), 201],
      ['not there', server.call('GET', '/api/sessions/nothing', { key }), 404],
      ['not valid', server.call('POST', '/api/sessions', { key, body: { nmae: 'x' } }), 400],
      ['not in this state', server.call('GET', `/api/sessions/${made.session.id}/qr?wait=0`, { key }), 400],
      ['not allowed', server.call('GET', '/api/sessions', { key: apiKey }), 403],
      ['not found out what', server.call('GET', '/api/sessions?limit=x', { key }), 400],
      ['pulled', server.call('GET', '/api/events', { key }), 200],
    ]
    for (const [what, asked, status] of answers) {
      const answer = await asked
      const [limit, remaining] = told(answer)
      expect({ what, status: answer.status, limit }).toEqual({ what, status, limit: 100 })
      expect(remaining).toBeWithin(80, 100)
    }
    const stream = await fetch(`${server.url}/api/events/stream`, { headers: { 'x-api-key': key } })
    expect([stream.status, stream.headers.get('ratelimit-limit')]).toEqual([200, '100'])
    await stream.body?.cancel()
  })

  test('failed ones count, WebSockets and tickets too', async () => {
    await start({ '--plan-free': 'requests=4' })
    const key = await register('bob')
    expect((await server.call('GET', '/api/sessions/nothing', { key })).status).toBe(404)
    expect((await server.call('POST', '/api/sessions', { key, body: {} })).status).toBe(400)
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key })
    const open = async (query: string, headers: Record<string, string> = {}) => {
      const socket = new WebSocket(`${server.url.replace('http', 'ws')}/api/events/ws${query}`, { headers })
      const opened = await new Promise<boolean>((resolve) => {
        socket.onopen = () => resolve(true)
        socket.onerror = () => resolve(false)
      })
      socket.close()
      return opened
    }
    expect(await open(`?ticket=${ticket}`)).toBe(true)
    expect(await open('', { 'x-api-key': key })).toBe(false)
    expect((await server.call('POST', '/api/auth/ticket', { key })).status).toBe(429)
    passed += 60_000
    expect(await open('', { 'x-api-key': key })).toBe(true)
  })

  test('pairings are counted by themselves: the fourth QR code of a minute has to wait', async () => {
    await start({ '--plan-free': 'sessions=4,requests=100' })
    const key = await register('bob')
    const make = async (name: string) =>
      (await server.ok<{ session: { id: string } }>('POST', '/api/sessions', { key, body: { name } })).session
        .id
    const ids = [await make('A'), await make('B'), await make('C'), await make('D')]
    const started = await ask(4, (index) => server.call('POST', `/api/sessions/${ids[index]}/start`, { key }))
    expect(started.map(outcome)).toEqual([
      [200, null],
      [200, null],
      [200, null],
      [429, 'RATE_LIMIT_EXCEEDED'],
    ])
    expect(told(started[3] as Answer).slice(0, 2)).toEqual([3, 0])
    // One that runs already begins nothing.
    expect((await server.call('POST', `/api/sessions/${ids[0]}/start`, { key })).status).toBe(200)
    expect((await server.call('POST', `/api/sessions/${ids[0]}/stop`, { key })).status).toBe(200)
    passed += 60_000
    expect((await server.call('POST', `/api/sessions/${ids[3]}/start`, { key })).status).toBe(200)
  })
})

describe('attempts to authenticate', () => {
  test('five in a minute for an address, whether the account exists or not; nobody’s account is locked', async () => {
    await start({ '--trusted-proxies': '127.0.0.1' })
    const from = (address: string) => ({ 'x-forwarded-for': address })
    const made = await server.call('POST', '/api/auth/register', {
      key: null,
      headers: from('203.0.113.1'),
      body: { username: 'bob', email: 'bob@example.com', password: PASSWORD },
    })
    expect([made.status, ...told(made)]).toEqual([201, 5, 4, 60])
    const wrong = await ask(4, (index) =>
      login(index % 2 === 0 ? 'bob' : 'nobody', 'not the password', from('203.0.113.1')),
    )
    expect(wrong.map(outcome)).toEqual(new Array(4).fill([401, 'AUTH_INVALID_CREDENTIALS']))
    const sixth = await login('bob', PASSWORD, from('203.0.113.1'))
    expect(outcome(sixth)).toEqual([429, 'RATE_LIMIT_EXCEEDED'])
    expect(sixth.headers.get('retry-after')).toBe('60')
    expect(told(sixth).slice(0, 2)).toEqual([5, 0])
    // The account itself is as open as ever.
    expect((await login('bob', PASSWORD, from('203.0.113.2'))).status).toBe(200)
    expect(
      (await server.call('GET', '/api/sessions', { key: (made.body as { apiKey: string }).apiKey })).status,
    ).toBe(200)
    passed += 60_000
    expect((await login('bob', PASSWORD, from('203.0.113.1'))).status).toBe(200)
  })

  test('a /64 of IPv6 is one address, the next one is another', async () => {
    await start({ '--trusted-proxies': '127.0.0.1', '--auth-attempts': '2' })
    const from = (address: string) => login('nobody', PASSWORD, { 'x-forwarded-for': address })
    const statuses = await ask(4, (index) =>
      from(['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:2::3', '2001:db8:1:3::1'][index] ?? ''),
    )
    expect(statuses.map(({ status }) => status)).toEqual([401, 401, 429, 401])
  })

  test('a stolen key tries no more passwords than a stranger does', async () => {
    await start({ '--auth-attempts': '3' })
    const key = await register('bob')
    const change = () =>
      server.call('POST', '/api/auth/change-password', {
        key,
        body: { currentPassword: 'not the password', newPassword: 'another password' },
      })
    const answers = await ask(3, change)
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 429])
    // Who is nobody does not get as far as that.
    const nobody = await ask(5, () => server.call('POST', '/api/auth/change-password', { key: null }))
    expect(nobody.map(({ status }) => status)).toEqual([401, 401, 401, 401, 401])
  })

  test('a forged X-Forwarded-For makes no new address', async () => {
    await start({ '--auth-attempts': '2' })
    const answers = await ask(3, (index) =>
      login('nobody', PASSWORD, { 'x-forwarded-for': `203.0.113.${index}` }),
    )
    expect(answers.map(({ status }) => status)).toEqual([401, 401, 429])
  })
})

describe('refused credentials', () => {
  test('a thousand wrong keys: 401, then 429 with Retry-After, while good keys of the address are served', async () => {
    await start()
    const wrong = await Promise.all(
      Array.from({ length: 1_000 }, () => server.call('GET', '/api/sessions', { key: JUNK })),
    )
    const statuses = wrong.map(({ status }) => status)
    expect(statuses.filter((status) => status === 401)).toHaveLength(60)
    expect(statuses.filter((status) => status === 429)).toHaveLength(940)
    const last = await server.call('GET', '/api/sessions', { key: JUNK })
    expect(outcome(last)).toEqual([429, 'RATE_LIMIT_EXCEEDED'])
    expect(Number(last.headers.get('retry-after'))).toBeWithin(1, 61)
    expect((await server.call('GET', '/api/sessions')).status).toBe(200)
    // Who shows nothing has not tried anything, and passwords are counted elsewhere.
    expect((await server.call('GET', '/api/sessions', { key: null })).status).toBe(401)
    expect((await login('nobody')).status).toBe(401)
    passed += 60_000
    expect((await server.call('GET', '/api/sessions', { key: JUNK })).status).toBe(401)
  })

  test('refused tokens of the exchange and spent tickets count among them; good tokens do not', async () => {
    await start({ '--auth-failures': '3' })
    const key = await register('bob')
    const { body } = await login('bob')
    const { token } = body as { token: string }
    const refresh = (given: string) =>
      server.call('POST', '/api/auth/refresh', { key: null, body: { token: given } })
    const good = await ask(5, () => refresh(token))
    expect(good.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200])
    expect((await refresh('junk')).status).toBe(401)
    expect((await server.call('GET', '/api/events/stream?ticket=junk', { key: null })).status).toBe(401)
    expect((await server.call('GET', '/api/sessions', { key: JUNK })).status).toBe(401)
    expect((await refresh('junk')).status).toBe(429)
    expect((await server.call('GET', '/api/sessions', { key: JUNK })).status).toBe(429)
    expect((await server.call('GET', '/api/sessions', { key })).status).toBe(200)
  })
})
