/** Accounts over HTTP: the own one, those that administrators look after, and what becomes of what is open. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { openStream } from '../harness/stream'

setDefaultTimeout(30_000)

const PASSWORD = 'correct horse battery'

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  // The owner of the fixed key.
  await server.ok('GET', '/api/auth/profile')
})
afterAll(() => server.stop())

type Registered = { token: string; apiKey: string; user: { id: string } }
const register = (username: string) =>
  server.ok<Registered>('POST', '/api/auth/register', {
    key: null,
    body: { username, email: `${username}@example.com`, password: PASSWORD },
  })
const login = (username: string, password = PASSWORD) =>
  server.call<Registered & { code: string }>('POST', '/api/auth/login', {
    key: null,
    body: { username, password },
  })
const by = (token: string) => ({ key: null, headers: { authorization: `Bearer ${token}` } })
const codeOf = async (...given: Parameters<TestApp['call']>) => {
  const { status, body } = await server.call(...given)
  return [status, body.code]
}
const socket = (headers: Record<string, string>) => openStream(`${server.url}/api/events/ws`, headers)
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('the own account', () => {
  test('its profile is changed in parts; an address belongs to one', async () => {
    const { token } = await register('ada')
    await register('bob')
    const changed = await server.ok<{ message: string; user: object }>('PUT', '/api/auth/profile', {
      ...by(token),
      body: { firstName: 'Ada', lastName: 'Lovelace' },
    })
    expect(changed).toMatchObject({
      message: 'Profile updated successfully',
      user: { username: 'ada', email: 'ada@example.com', firstName: 'Ada', lastName: 'Lovelace' },
    })
    await server.ok('PUT', '/api/auth/profile', {
      ...by(token),
      body: { email: 'ada@example.org', lastName: null },
    })
    const { user } = await server.ok<{ user: object }>('GET', '/api/auth/profile', by(token))
    expect(user).toMatchObject({ email: 'ada@example.org', firstName: 'Ada', lastName: null })
    const put = (body: object) => codeOf('PUT', '/api/auth/profile', { ...by(token), body })
    expect(await put({ email: 'Bob@example.com' })).toEqual([409, 'EMAIL_TAKEN'])
    for (const body of [
      {},
      { role: 'admin' },
      { plan: 'enterprise' },
      { username: 'x' },
      { firstName: '' },
    ]) {
      expect(await put(body)).toEqual([400, 'VALIDATION_ERROR'])
    }
  })

  test('a new password ends the other tokens and what they have open, and nothing else', async () => {
    const { token, apiKey } = await register('carl')
    const { body: second } = await login('carl')
    const [mine, others, byKey] = await Promise.all([
      socket(bearer(token)),
      socket(bearer(second.token)),
      socket({ 'x-api-key': apiKey }),
    ])
    const source = await openEventSource(`${server.url}/api/events/stream`, bearer(second.token))
    const held = server.call('GET', '/api/events?wait=60', by(second.token))
    const change = (currentPassword: string) =>
      codeOf('POST', '/api/auth/change-password', {
        ...by(token),
        body: { currentPassword, newPassword: 'another horse' },
      })
    expect(await change('wrong')).toEqual([401, 'AUTH_INVALID_CREDENTIALS'])
    expect(await change(PASSWORD)).toEqual([200, undefined])
    expect((await others.closed).code).toBe(4401)
    await source.ended
    const { status, body } = await held
    expect([status, body.code]).toEqual([401, 'AUTH_INVALID_TOKEN'])
    expect(await codeOf('GET', '/api/auth/profile', by(second.token))).toEqual([401, 'AUTH_INVALID_TOKEN'])
    expect((await login('carl')).status).toBe(401)
    expect((await login('carl', 'another horse')).status).toBe(200)
    // Those of the key, and of the token that it was done with, go on.
    const { session } = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      ...by(token),
      body: { name: 'Still here' },
    })
    for (const stream of [mine, byKey]) {
      await stream.event('session.created', session.id)
      stream.close()
    }
  })

  test('closing it logs its devices out and leaves nothing that opens anything', async () => {
    const { token, apiKey, user } = await register('dora')
    await server.phone('4917000031')
    const { session } = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      key: apiKey,
      body: { name: 'Dora’s' },
    })
    const path = `/api/sessions/${session.id}`
    await server.ok('POST', `${path}/start`, { key: apiKey })
    const { qrText } = await server.ok<{ qrText: string }>('GET', `${path}/qr`, { key: apiKey })
    await server.ok('POST', '/sandbox/phones/4917000031/scan', { body: { qr: qrText } })
    const stream = await socket({ 'x-api-key': apiKey })
    for (;;) {
      const { status } = await server.ok<{ status: string }>('GET', `${path}/status`, { key: apiKey })
      if (status === 'connected') break
      await Bun.sleep(10)
    }
    type Phones = { phones: { phoneNumber: string; devices: object[] }[] }
    const devices = async () => {
      const { phones } = await server.ok<Phones>('GET', '/sandbox/phones')
      return phones.find(({ phoneNumber }) => phoneNumber.endsWith('4917000031'))?.devices.length
    }
    expect(await devices()).toBe(1)
    const { body: limited } = await server.call('POST', '/api/auth/api-keys', {
      key: apiKey,
      body: { name: 'Limited', ipAllowlist: ['127.0.0.0/8'] },
    })
    expect(await codeOf('DELETE', '/api/auth/account', { key: String(limited.apiKey) })).toEqual([
      403,
      'FORBIDDEN',
    ])
    const closed = await server.ok('DELETE', '/api/auth/account', by(token))
    expect(closed).toEqual({ success: true, message: 'Account deleted successfully' })
    expect((await stream.closed).code).toBe(4401)
    while ((await devices()) !== 0) await Bun.sleep(10)
    expect(await codeOf('GET', path, { key: apiKey })).toEqual([401, 'AUTH_INVALID_API_KEY'])
    expect(await codeOf('GET', path, by(token))).toEqual([401, 'AUTH_ACCOUNT_INACTIVE'])
    expect(await codeOf('POST', '/api/auth/refresh', { key: null, body: { token } })).toEqual([
      401,
      'AUTH_ACCOUNT_INACTIVE',
    ])
    expect((await login('dora')).body.code).toBe('AUTH_INVALID_CREDENTIALS')
    expect(await codeOf('GET', `/api/admin/users/${user.id}`)).toEqual([404, 'USER_NOT_FOUND'])
    expect(server.app.supervisor.find(session.id as never)).toBeNull()
    // The name is free again.
    expect((await register('dora')).user.id).not.toBe(user.id)
  })

  test('a removal that was interrupted is carried out at the next start', async () => {
    const { apiKey, user } = await register('emil')
    await server.ok('POST', '/api/sessions', { key: apiKey, body: { name: 'Emil’s' } })
    const { accounts, sessions } = server.app.storage
    const id = user.id as Parameters<typeof accounts.beginRemoval>[0]
    expect(await accounts.beginRemoval(id)).toBe('begun')
    expect(sessions.countOf(id)).toBe(1)
    await server.restart()
    for (;;) {
      if (server.app.storage.accounts.userById(id) === null) break
      await Bun.sleep(10)
    }
    expect(server.app.storage.sessions.countOf(id)).toBe(0)
  })
})

describe('administrators', () => {
  type Account = { id: string; username: string; plan: string; role: string; counts: Record<string, number> }

  test('see accounts and how much is in them, page by page', async () => {
    const fred = await register('fred')
    await server.ok('POST', '/api/sessions', { key: fred.apiKey, body: { name: 'Secret business' } })
    const page = await server.ok<{ accounts: Account[]; total: number; hasMore: boolean }>(
      'GET',
      '/api/admin/users?limit=2',
    )
    expect(page).toMatchObject({ limit: 2, offset: 0, hasMore: true })
    expect(page.accounts.map(({ username }) => username)).toEqual(['owner', 'ada'])
    const rest = await server.ok<{ accounts: Account[]; hasMore: boolean }>(
      'GET',
      `/api/admin/users?limit=100&offset=${page.total - 1}`,
    )
    expect(rest.hasMore).toBe(false)
    expect(rest.accounts).toMatchObject([
      {
        username: 'fred',
        plan: 'free',
        role: 'user',
        counts: { sessions: 1, connectedSessions: 0, apiKeys: 1 },
      },
    ])
    const text = JSON.stringify([page, rest])
    for (const secret of ['Secret business', 'argon2', fred.apiKey, 'passwordHash']) {
      expect(text).not.toContain(secret)
    }
    for (const [method, path] of [
      ['GET', '/api/admin/users'],
      ['POST', '/api/admin/users'],
      ['GET', `/api/admin/users/${fred.user.id}`],
      ['PATCH', `/api/admin/users/${fred.user.id}`],
      ['DELETE', `/api/admin/users/${fred.user.id}`],
    ] as const) {
      const body = method === 'POST' || method === 'PATCH' ? { body: { plan: 'enterprise' } } : {}
      expect(await codeOf(method, path, { key: fred.apiKey, ...body })).toEqual([403, 'FORBIDDEN'])
    }
  })

  test('make accounts whatever registration says; a repetition makes no second one', async () => {
    const given = {
      body: {
        username: 'gina',
        email: 'gina@example.com',
        password: PASSWORD,
        plan: 'pro',
        firstName: 'Gina',
      },
      headers: { 'idempotency-key': 'make-gina' },
    }
    const made = await server.call<{ account: Account; apiKey: string }>('POST', '/api/admin/users', given)
    expect([made.status, made.body.account]).toMatchObject([
      201,
      { username: 'gina', plan: 'pro', role: 'user' },
    ])
    const again = await server.call('POST', '/api/admin/users', given)
    expect(again.headers.get('idempotency-replayed')).toBe('true')
    expect(again.body).toEqual(made.body)
    expect((await server.call('GET', '/api/sessions', { key: made.body.apiKey })).status).toBe(200)
    expect((await login('gina')).status).toBe(200)
    const taken = { username: 'GINA', email: 'g@example.com', password: PASSWORD }
    expect(await codeOf('POST', '/api/admin/users', { body: taken })).toEqual([409, 'USERNAME_TAKEN'])
  })

  test('an account that is not active has no way in, its streams end and its sessions stop', async () => {
    const { token, apiKey, user } = await register('hugo')
    const path = `/api/admin/users/${user.id}`
    const { session } = await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      key: apiKey,
      body: { name: 'Hugo’s' },
    })
    await server.ok('POST', `/api/sessions/${session.id}/start`, { key: apiKey })
    const streams = await Promise.all([socket(bearer(token)), socket({ 'x-api-key': apiKey })])
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key: apiKey })
    const { account } = await server.ok<{ account: object }>('PATCH', path, { body: { isActive: false } })
    expect(account).toMatchObject({ isActive: false })
    for (const stream of streams) expect((await stream.closed).code).toBe(4401)
    expect(await codeOf('GET', '/api/sessions', { key: apiKey })).toEqual([401, 'AUTH_ACCOUNT_INACTIVE'])
    expect(await codeOf('GET', '/api/sessions', by(token))).toEqual([401, 'AUTH_ACCOUNT_INACTIVE'])
    expect((await login('hugo')).body.code).toBe('AUTH_ACCOUNT_INACTIVE')
    await expect(openStream(`${server.url}/api/events/ws?ticket=${ticket}`, {})).rejects.toThrow('refused')
    expect(server.app.supervisor.find(session.id as never)?.state.status).toBe('inactive')
    await server.ok('PATCH', path, { body: { isActive: true } })
    expect((await server.call('GET', '/api/sessions', { key: apiKey })).status).toBe(200)
  })

  test('a plan is in force with the next request: three sessions, ten, any number', async () => {
    const { apiKey, user } = await register('ida')
    const path = `/api/admin/users/${user.id}`
    const create = () => server.call('POST', '/api/sessions', { key: apiKey, body: { name: 'x' } })
    let made = 0
    for (const [plan, limit] of [
      ['free', 3],
      ['pro', 10],
    ] as const) {
      await server.ok('PATCH', path, { body: { plan } })
      for (; made < limit; made += 1) expect((await create()).status).toBe(201)
      const { status, body } = await create()
      expect([status, body.code, body.details]).toMatchObject([403, 'SESSION_LIMIT_REACHED', { plan, limit }])
    }
    await server.ok('PATCH', path, { body: { plan: 'enterprise' } })
    expect((await create()).status).toBe(201)
    for (const body of [{}, { plan: 'gold' }, { email: 'x@example.com' }, { id: 'x' }]) {
      expect(await codeOf('PATCH', path, { body })).toEqual([400, 'VALIDATION_ERROR'])
    }
  })

  test('a role that is taken away ends what it has opened', async () => {
    const { apiKey, user } = await register('karl')
    const path = `/api/admin/users/${user.id}`
    await server.ok('PATCH', path, { body: { role: 'admin' } })
    expect((await server.call('GET', '/api/admin/users', { key: apiKey })).status).toBe(200)
    const stream = await socket({ 'x-api-key': apiKey })
    await server.ok('PATCH', path, { body: { role: 'user' } })
    expect((await stream.closed).code).toBe(4401)
    expect(await codeOf('GET', '/api/admin/users', { key: apiKey })).toEqual([403, 'FORBIDDEN'])
  })

  test('the last one that can log in stays', async () => {
    const { accounts } = await server.ok<{ accounts: Account[] }>('GET', '/api/admin/users?limit=1')
    const path = `/api/admin/users/${accounts[0]?.id}`
    const refused = [409, 'LAST_ADMIN']
    expect(await codeOf('PATCH', path, { body: { role: 'user' } })).toEqual(refused)
    expect(await codeOf('PATCH', path, { body: { isActive: false } })).toEqual(refused)
    expect(await codeOf('DELETE', path)).toEqual(refused)
    expect(await codeOf('DELETE', '/api/auth/account')).toEqual(refused)
    const { body } = await server.call('DELETE', path)
    expect(body.details).toEqual({ action: 'Make another account an administrator first' })
  })

  test('what is limited cannot make an administrator, and an account is removed by its id', async () => {
    const { apiKey: limited } = await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', {
      body: { name: 'Provisioning', scopes: ['admin'], ipAllowlist: ['127.0.0.0/8'] },
    })
    const body = { username: 'jane', email: 'jane@example.com', password: PASSWORD }
    const made = (more: object) =>
      server.call<{ account: Account; code: string }>('POST', '/api/admin/users', {
        key: limited,
        body: { ...body, ...more },
      })
    expect((await made({ role: 'admin' })).body.code).toBe('FORBIDDEN')
    const { account } = (await made({})).body
    const path = `/api/admin/users/${account.id}`
    expect(await codeOf('PATCH', path, { key: limited, body: { role: 'admin' } })).toEqual([403, 'FORBIDDEN'])
    expect(await codeOf('PATCH', path, { key: limited, body: { plan: 'pro' } })).toEqual([200, undefined])
    expect(await codeOf('DELETE', path, { key: limited })).toEqual([200, undefined])
    expect(await codeOf('GET', path)).toEqual([404, 'USER_NOT_FOUND'])
    expect(await codeOf('DELETE', path)).toEqual([404, 'USER_NOT_FOUND'])
  })
})
