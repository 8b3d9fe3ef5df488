/** The audit log over HTTP: what goes into it, what never does, and that no route can be forgotten. */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import type { AuditEntry } from '../../src/domain/audit'
import { createRepeats } from '../../src/http/audit-repeats'
import { auditModeOf } from '../../src/http/audit-rules'
import { idOf } from '../../src/http/audit-trail'
import { PUBLIC_ROUTES } from '../../src/http/guard'
import { startApp, type TestApp } from '../harness/app'
import { createManualClock } from '../harness/clock'
import { openStream } from '../harness/stream'

type Entry = {
  number: number
  accountId: string | null
  credential: string | null
  action: string
  object: string | null
  sessionId: string | null
  address: string | null
  userAgent: string | null
  result: string
  count: number
  fields: string[]
}

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  await server.ok('GET', '/api/auth/profile')
})
afterAll(() => server.stop())

/** Every entry so far, oldest first; read from the storage, because reading it over HTTP makes entries. */
function entries(of: TestApp = server): Entry[] {
  return of.app.storage.audit
    .list({ limit: 1_000_000 })
    .map(({ account, session, agent, ...rest }) => ({
      ...rest,
      accountId: account,
      sessionId: session,
      userAgent: agent,
      fields: [...rest.fields],
    }))
    .reverse()
}
const last = (action: string): Entry | undefined => entries().findLast((entry) => entry.action === action)
const until = async (look: () => unknown): Promise<void> => {
  const deadline = performance.now() + 20_000
  while (!look()) {
    if (performance.now() > deadline) throw new Error(`Still not: ${look}`)
    await Bun.sleep(5)
  }
}
const owner = async () => (await server.ok<{ user: { id: string } }>('GET', '/api/auth/profile')).user.id

type Document = { paths: Record<string, Record<string, unknown>> }
const routes = async (): Promise<string[]> => {
  const { paths } = await server.ok<Document>('GET', '/docs/openapi.json')
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  )
}
const QR = 'GET /api/sessions/{id}/qr'
/** What the log is for, said without its rules. */
const isWanted = (route: string): boolean =>
  route.includes(' /api/admin/') ||
  route === QR ||
  (!route.startsWith('GET ') &&
    !/ \/(?:sandbox|api\/messages)\b/.test(route) &&
    route !== 'POST /api/auth/ticket')

describe('every route of the document', () => {
  test('that changes something, or is for administrators, leaves an entry for each call; no other does', async () => {
    const all = await routes()
    expect(all.filter(isWanted).length).toBeGreaterThan(20)
    for (const route of all) {
      // Ends what the test itself calls with.
      if (route === 'POST /api/auth/regenerate-api-key') continue
      const [method = '', path = ''] = route.split(' ')
      if (path.endsWith('/ws') || path.endsWith('/events/stream')) continue
      const before = entries().length
      await server.call(method, path.replace(/\{\w+\}/g, 'x'), method === 'GET' ? {} : { body: {} })
      const found = () =>
        entries()
          .slice(before)
          .filter(({ action }) => action !== 'credential.used')
          .map(({ action }) => action)
      // What strangers are refused, and looking at a code, is written behind the answer.
      if (isWanted(route) && (PUBLIC_ROUTES.includes(route) || route === QR))
        await until(() => found().length > 0)
      expect({ route, found: found() }).toEqual({ route, found: isWanted(route) ? [route] : [] })
    }
  })

  test('is of the right kind by what the route documents; a new one needs no entry in any list', () => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      expect(auditModeOf(`${method} /api/new/{id}`, ['sessions:write'])).toBe('each')
      expect(auditModeOf(`${method} /api/new`, ['account'])).toBe('each')
      expect(auditModeOf(`${method} /api/new`, [])).toBe('each')
      expect(auditModeOf(`${method} /api/new`, ['messages:write'])).toBe('never')
      expect(auditModeOf(`${method} /api/new`, ['messages:write', 'sessions:write'])).toBe('each')
    }
    expect(auditModeOf('GET /api/new', ['admin'])).toBe('each')
    expect(auditModeOf('GET /api/new', ['sessions:read'])).toBe('never')
    expect(auditModeOf('GET /api/sessions/{id}/qr', ['sessions:write'])).toBe('together')
  })
})

describe('an entry', () => {
  test('says who did what to which session, from where, with which result; names of fields, no values', async () => {
    const id = await server.session('Named Confidential', {
      webhookUrl: 'https://hook.example.com/secret-path',
    })
    const account = await owner()
    expect(last('POST /api/sessions')).toMatchObject({
      accountId: account,
      credential: 'fixed',
      object: id,
      sessionId: id,
      address: '127.0.0.1',
      userAgent: expect.stringContaining('Bun'),
      result: 'ok',
      count: 1,
      fields: ['name', 'settings.webhookUrl'],
    })
    await server.ok('PUT', `/api/sessions/${id}/settings`, {
      body: { description: 'Also confidential', settings: { autoReconnect: false } },
      headers: { 'user-agent': `x${'y'.repeat(300)}\u00e9` },
    })
    expect(last('PUT /api/sessions/{id}/settings')).toMatchObject({
      object: id,
      sessionId: id,
      fields: ['description', 'settings.autoReconnect'],
    })
    expect(last('PUT /api/sessions/{id}/settings')?.userAgent).toHaveLength(120)
    for (const command of ['start', 'restart', 'stop', 'clear-auth', 'logout']) {
      await server.ok('POST', `/api/sessions/${id}/${command}`)
      expect(last(`POST /api/sessions/{id}/${command}`)).toMatchObject({ sessionId: id, result: 'ok' })
    }
    await server.call('POST', `/api/sessions/${id}/pairing-code`, { body: { phoneNumber: '+491701234567' } })
    expect(last('POST /api/sessions/{id}/pairing-code')).toMatchObject({
      sessionId: id,
      result: 'SESSION_NOT_STARTED',
      fields: ['phoneNumber'],
    })
    await server.ok('PUT', `/api/webhook/config/${id}`, {
      body: {
        url: 'https://hook.example.com/other-path',
        events: ['*'],
        secret: 'a-secret-of-a-webhook-0123',
      },
    })
    expect(last('PUT /api/webhook/config/{sessionId}')).toMatchObject({
      sessionId: id,
      fields: ['url', 'events', 'secret'],
    })
    await server.ok('DELETE', `/api/sessions/${id}`)
    expect(last('DELETE /api/sessions/{id}')).toMatchObject({ object: id, sessionId: id, result: 'ok' })
    await server.call('DELETE', `/api/sessions/${id}`)
    expect(last('DELETE /api/sessions/{id}')).toMatchObject({ result: 'SESSION_NOT_FOUND' })
    const all = JSON.stringify(entries())
    for (const value of ['onfidential', 'example.com', '491701234567', '1701234567', 'a-secret-of'])
      expect(all).not.toContain(value)
  })

  test('of a new account, a login, a refresh and a key says whose it is', async () => {
    const password = 'a long password'
    const made = await server.ok<{ user: { id: string } }>('POST', '/api/auth/register', {
      key: null,
      body: { username: 'grace', email: 'grace@example.com', password },
    })
    expect(last('POST /api/auth/register')).toMatchObject({ accountId: made.user.id, credential: null })
    const { token } = await server.ok<{ token: string }>('POST', '/api/auth/login', {
      key: null,
      body: { username: 'grace', password },
    })
    expect(last('POST /api/auth/login')).toMatchObject({
      accountId: made.user.id,
      object: made.user.id,
      result: 'ok',
    })
    await server.ok('POST', '/api/auth/refresh', { key: null, body: { token } })
    expect(last('POST /api/auth/refresh')).toMatchObject({ accountId: made.user.id, result: 'ok' })
    const headers = { authorization: `Bearer ${token}` }
    const { key } = await server.ok<{ key: { id: string } }>('POST', '/api/auth/api-keys', {
      key: null,
      headers,
      body: { name: 'Reader', scopes: ['sessions:read'] },
    })
    expect(last('POST /api/auth/api-keys')).toMatchObject({
      accountId: made.user.id,
      credential: expect.stringMatching(/^token:/),
      object: key.id,
    })
    await server.ok('DELETE', `/api/auth/api-keys/${key.id}`, { key: null, headers })
    expect(last('DELETE /api/auth/api-keys/{id}')).toMatchObject({ object: key.id })
    expect(JSON.stringify(entries())).not.toContain('grace')
    expect(JSON.stringify(entries())).not.toContain(token)
  })

  test('of an account that closes itself stays, without address and user agent; those of others keep theirs', async () => {
    const password = 'a long password'
    const { user, apiKey } = await server.ok<{ user: { id: string }; apiKey: string }>(
      'POST',
      '/api/auth/register',
      {
        key: null,
        body: { username: 'linus', email: 'linus@example.com', password },
      },
    )
    await server.ok('POST', '/api/sessions', { key: apiKey, body: { name: 'Of Linus' } })
    const of = () => entries().filter(({ accountId }) => accountId === user.id)
    expect(of().every(({ address, userAgent }) => address !== null && userAgent !== null)).toBe(true)
    await server.ok('DELETE', '/api/auth/account', { key: apiKey })
    expect(
      of()
        .map(({ action }) => action)
        .filter((action) => action !== 'credential.used'),
    ).toEqual(['POST /api/auth/register', 'POST /api/sessions', 'DELETE /api/auth/account'])
    expect(of().some(({ address, userAgent }) => address !== null || userAgent !== null)).toBe(false)
    expect((await server.app.storage.audit.verify()).problems).toEqual([])
    expect(last('POST /api/auth/register')?.address ?? null).toBeNull()
    expect(entries().find(({ action }) => action === 'PUT /api/webhook/config/{sessionId}')?.address).toBe(
      '127.0.0.1',
    )
  })

  test.each([
    ['0123456789abcdef0123456789abcdef', '0123456789abcdef0123456789abcdef'],
    ['12345678901234567890123456789012', '12345678901234567890123456789012'],
    ['+491701234567', '…4567'],
    ['491701234567@s.whatsapp.net', '…4567@s.whatsapp.net'],
    ['491701234567:3%40s.whatsapp.net', '…4567:3@s.whatsapp.net'],
    ['4917012345-1600000000@g.us', '…0000@g.us'],
    ['a b', '(no id)'],
    ['%00', '(no id)'],
    ['x'.repeat(81), '(no id)'],
    ['%E0%A4%A', '(no id)'],
  ])('the id %s is kept as %s', (given, kept) => {
    expect(idOf(given)).toBe(kept)
  })
})

describe('credentials', () => {
  test('are told when they are first used from an address, not with every request', async () => {
    const { apiKey, key } = await server.ok<{ apiKey: string; key: { id: string } }>(
      'POST',
      '/api/auth/api-keys',
      {
        body: { name: 'Used' },
      },
    )
    for (let time = 0; time < 5; time++) await server.ok('GET', '/api/sessions', { key: apiKey })
    const stream = await openStream(`${server.url}/api/events/ws`, { 'x-api-key': apiKey })
    await stream.close()
    const uses = () =>
      entries().filter(({ action, credential }) => action === 'credential.used' && credential === key.id)
    await until(() => uses().length > 0)
    await server.ok('POST', '/api/auth/ticket', { key: apiKey })
    expect(uses()).toMatchObject([{ address: '127.0.0.1', count: 1, accountId: await owner() }])
  })

  test('that are refused are told once a minute and address, with their number', async () => {
    const mine = await startApp({ flags: { '--trusted-proxies': '127.0.0.1', '--registration': 'open' } })
    try {
      await mine.ok('GET', '/api/auth/profile')
      const knock = (from: string, key = 'wapi_no') =>
        mine.call('GET', '/api/sessions', { key, headers: { 'x-forwarded-for': from } })
      for (let time = 0; time < 4; time++) await knock('203.0.113.9')
      // Whoever has one address of a network has all of them.
      for (let time = 0; time < 4; time++) await knock(`2001:db8:0:1::${time + 1}`)
      await mine.call('POST', '/api/auth/login', {
        key: null,
        headers: { 'x-forwarded-for': '203.0.113.9' },
        body: { username: 'owner', password: 'not the one' },
      })
      await mine.call('GET', '/api/sessions', { key: null })
      const refused = () =>
        entries(mine)
          .filter(({ result }) => result.startsWith('AUTH_'))
          .map(({ action, address, object, result, count, accountId }) => ({
            action,
            address,
            object,
            result,
            count,
            accountId,
          }))
      await until(() => refused().length === 3)
      const account = (await mine.ok<{ user: { id: string } }>('GET', '/api/auth/profile')).user.id
      const one = {
        action: 'auth.failed',
        object: null,
        result: 'AUTH_INVALID_API_KEY',
        count: 1,
        accountId: null,
      }
      const login = { action: 'POST /api/auth/login', object: account, result: 'AUTH_INVALID_CREDENTIALS' }
      expect(refused()).toEqual([
        { ...one, address: '203.0.113.9' },
        { ...one, address: '2001:db8:0:1::1' },
        { ...one, ...login, address: '203.0.113.9' },
      ])
      // What was only counted is written at the latest when the server ends.
      await mine.restart()
      const [first, second, third, ...later] = refused()
      expect([first, second, third].every((entry) => entry?.count === 1)).toBe(true)
      expect(later).toEqual([
        { ...one, address: '203.0.113.9', count: 3 },
        { ...one, address: '2001:db8:0:1::1', count: 3 },
      ])
      expect(
        entries(mine)
          .map(({ action }) => action)
          .filter((action) => action.startsWith('server.')),
      ).toEqual(['server.started', 'server.stopped', 'server.started'])
      expect(JSON.stringify(entries(mine))).not.toContain('not the one')
    } finally {
      await mine.stop()
    }
  })

  test('that ask too often are told once a minute, with their number', async () => {
    const mine = await startApp({ flags: { '--registration': 'open', '--plan-free': 'requests=2' } })
    try {
      await mine.ok('GET', '/api/auth/profile')
      const { user, apiKey } = await mine.ok<{ user: { id: string }; apiKey: string }>(
        'POST',
        '/api/auth/register',
        {
          key: null,
          body: { username: 'eager', email: 'eager@example.com', password: 'a long password' },
        },
      )
      for (let time = 0; time < 6; time++) await mine.call('GET', '/api/sessions', { key: apiKey })
      await mine.restart()
      const limited = entries(mine).filter(({ action }) => action === 'rate.limited')
      expect(limited.map(({ accountId, result, count }) => [accountId, result, count])).toEqual([
        [user.id, 'RATE_LIMIT_EXCEEDED', 1],
        [user.id, 'RATE_LIMIT_EXCEEDED', 3],
      ])
    } finally {
      await mine.stop()
    }
  })

  test('that are good and not enough are told', async () => {
    const { apiKey, key } = await server.ok<{ apiKey: string; key: { id: string } }>(
      'POST',
      '/api/auth/api-keys',
      {
        body: { name: 'Reader', scopes: ['sessions:read'] },
      },
    )
    await server.call('POST', '/api/sessions', { key: apiKey, body: { name: 'x' } })
    expect(last('POST /api/sessions')).toMatchObject({
      credential: key.id,
      result: 'FORBIDDEN',
      object: null,
    })
    await server.call('GET', '/api/admin/audit', { key: apiKey })
    expect(last('GET /api/admin/audit')).toMatchObject({ credential: key.id, result: 'FORBIDDEN' })
    await server.call('GET', '/api/events', { key: apiKey })
    await until(() => last('access.denied')?.credential === key.id)
  })
})

describe('like entries of a minute', () => {
  const entry = (also: Partial<AuditEntry> = {}): AuditEntry => ({
    at: 0,
    account: null,
    credential: null,
    action: 'auth.failed',
    object: null,
    session: null,
    address: '203.0.113.1',
    agent: null,
    result: 'AUTH_INVALID_API_KEY',
    count: 1,
    fields: [],
    ...also,
  })

  test('a million of them make two entries, and addresses without end a bounded number', async () => {
    const clock = createManualClock()
    const written: AuditEntry[] = []
    const repeats = createRepeats({ clock, write: (one) => written.push(one) })
    for (let time = 0; time < 1_000_000; time++) repeats.note(entry())
    expect(written).toHaveLength(1)
    await clock.advance(60_000)
    expect(written.map(({ count }) => count)).toEqual([1, 999_999])
    for (let time = 0; time < 100_000; time++)
      repeats.note(entry({ address: `198.51.${time >> 8}.${time & 255}` }))
    await clock.advance(60_000)
    const later = written.slice(2)
    expect(later.length).toBe(200 + 2)
    expect(later.reduce((sum, { count }) => sum + count, 0)).toBe(100_000)
    expect(later.at(-1)).toMatchObject({ address: null, count: 100_000 - 201 })
    repeats.note(entry())
    expect(written.at(-1)).toMatchObject({ count: 1 })
    repeats.flush()
    expect(clock.waiting).toBe(0)
  })
})

describe('over HTTP', () => {
  test('it is read by pages, filtered, and only by administrators', async () => {
    const id = await server.session('Paged')
    for (let time = 0; time < 4; time++) await server.ok('POST', `/api/sessions/${id}/stop`)
    type Page = { entries: (Entry & { hash: string })[]; hasMore: boolean; nextCursor: string | null }
    const page = (query: string) => server.ok<Page>('GET', `/api/admin/audit?${query}`)
    const first = await page(`sessionId=${id}&limit=3`)
    expect(first.entries.map(({ action }) => action)).toEqual(Array(3).fill('POST /api/sessions/{id}/stop'))
    expect(first.hasMore).toBe(true)
    const second = await page(`sessionId=${id}&limit=3&cursor=${first.nextCursor}`)
    expect(second.entries.map(({ action }) => action)).toEqual([
      'POST /api/sessions/{id}/stop',
      'POST /api/sessions',
    ])
    expect(second).toMatchObject({ hasMore: false, nextCursor: null })
    expect(
      (await page(`sessionId=${id}&action=${encodeURIComponent('POST /api/sessions/')}`)).entries,
    ).toHaveLength(4)
    expect((await page(`accountId=${await owner()}&limit=1`)).entries).toHaveLength(1)
    expect((await page('accountId=usr_nobody')).entries).toEqual([])
    expect((await page('until=2020-01-01')).entries).toEqual([])
    expect((await page(`since=${new Date(Date.now() - 60_000).toISOString()}&limit=1`)).entries).toHaveLength(
      1,
    )
    for (const [query, code] of [
      ['cursor=17', 'INVALID_CURSOR'],
      ['cursor=aud_0', 'INVALID_CURSOR'],
      ['since=yesterday', 'VALIDATION_ERROR'],
      ['limit=101', 'VALIDATION_ERROR'],
      ['account=x', 'VALIDATION_ERROR'],
    ])
      expect((await server.call('GET', `/api/admin/audit?${query}`)).body.code).toBe(code)
    const { apiKey } = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
      key: null,
      body: { username: 'mallory', email: 'mallory@example.com', password: 'a long password' },
    })
    for (const path of ['/api/admin/audit', '/api/admin/audit/verify'])
      expect((await server.call('GET', path, { key: apiKey })).status).toBe(403)
  })

  test('it is sound, compares with a head of before, and tells what was changed', async () => {
    type Verdict = { sound: boolean; entries: number; last: number; head: string; problems: object[] }
    const verify = (known?: string) =>
      server.ok<Verdict>('GET', `/api/admin/audit/verify${known ? `?known=${known}` : ''}`)
    const before = await verify()
    expect(before).toMatchObject({ sound: true, problems: [] })
    expect(before.entries).toBe(before.last)
    await server.session('One more')
    expect(await verify(before.head)).toMatchObject({ sound: true })
    expect(await verify(`${before.last}.${'0'.repeat(64)}`)).toMatchObject({
      sound: false,
      problems: [{ number: before.last, kind: 'unknown', says: expect.any(String) }],
    })
    expect((await server.call('GET', '/api/admin/audit/verify?known=1')).body.code).toBe('INVALID_CURSOR')
    const database = new Database(join(server.dataDir, 'wabun.sqlite'))
    database.run('DROP TRIGGER audit_is_not_changed')
    database.run("UPDATE audit SET account = 'usr_somebody_else' WHERE number = 2")
    database.close()
    expect(await verify()).toMatchObject({
      sound: false,
      problems: [{ number: 2, kind: 'changed' }],
    })
  })
})

test('a change is not answered before its entry is on disk', async () => {
  const mine = await startApp()
  try {
    const id = await mine.session('Cut off')
    await mine.ok('POST', `/api/sessions/${id}/stop`)
    // Another connection sees it as soon as the answer is here.
    const database = new Database(join(mine.dataDir, 'wabun.sqlite'), { readonly: true })
    const row = database
      .query<{ action: string }, []>('SELECT action FROM audit ORDER BY number DESC LIMIT 1')
      .get()
    const open = database.query<{ n: number }, []>('SELECT count(*) AS n FROM audit_open').get()
    database.close()
    expect(row?.action).toBe('POST /api/sessions/{id}/stop')
    expect(open?.n).toBe(0)
  } finally {
    await mine.stop()
  }
})
