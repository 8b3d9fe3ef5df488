import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'bun:test'
import { type AccessOptions, createAccess, type Revocation } from '../../src/access/access'
import { isApiKey, maskApiKey, newApiKey } from '../../src/access/api-keys'
import { createPasswords, type Hasher } from '../../src/access/passwords'
import { AppError } from '../../src/domain/errors'
import { asSessionId, asTenantId } from '../../src/domain/ids'
import { type KeyLimits, type Principal, SCOPES } from '../../src/domain/principal'
import { silentLog } from '../../src/lib/log'
import type { Storage } from '../../src/storage/open'
import { createManualClock } from '../harness/clock'
import { makeRig, movableClock, type Rig } from '../storage/rig'

const SECRET = 's'.repeat(32)
const PASSWORD = 'correct horse battery'
const ADA = { username: 'ada', email: 'ada@example.com', password: PASSWORD }
const CARL = { username: 'carl', email: 'carl@example.com', password: PASSWORD }
const BOB = { username: 'bob', email: 'bob@example.com', password: PASSWORD }

let rig: Rig
let storage: Storage
let clock = movableClock()

beforeEach(() => {
  rig = makeRig()
  storage = rig.open()
  clock = movableClock()
})
afterEach(() => rig.clear())

/** Bun's own at the least cost, for all that is not about cost. */
const cheap: Hasher = {
  hash: (password) => Bun.password.hash(password, { algorithm: 'argon2id', memoryCost: 8, timeCost: 1 }),
  verify: Bun.password.verify,
}

const make = (also: Partial<AccessOptions> = {}) =>
  createAccess({
    accounts: storage.accounts,
    clock,
    jwtSecret: SECRET,
    registration: 'open',
    defaultPlan: 'free',
    log: silentLog,
    hasher: cheap,
    ...also,
  })

const codeOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work
  } catch (error) {
    if (error instanceof AppError) return error.code
    throw error
  }
  return 'no error'
}
const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

describe('registration', () => {
  test('the first account owns the server, later ones are users of the default plan', async () => {
    const access = make()
    const ada = await access.register(ADA)
    const bob = await access.register(BOB)
    expect(ada.user).toMatchObject({ role: 'admin', plan: 'enterprise', isActive: true })
    expect(bob.user).toMatchObject({ role: 'user', plan: 'free' })
    const principal = await access.authenticate({ apiKey: ada.apiKey })
    expect(principal).toMatchObject({ tenantId: ada.user.id, scopes: SCOPES, by: { kind: 'key' } })
    expect((await access.authenticate(bearer(bob.token))).scopes).not.toContain('admin')
  })

  test('of two at the same moment only one owns the server', async () => {
    const access = make()
    const [one, two] = await Promise.all([access.register(ADA), access.register(BOB)])
    expect([one.user.role, two.user.role].sort()).toEqual(['admin', 'user'])
  })

  test('is closed after the first when so configured, also for two at once', async () => {
    const access = make({ registration: 'first' })
    const codes = await Promise.all([codeOf(access.register(ADA)), codeOf(access.register(BOB))])
    expect(codes.sort()).toEqual(['REGISTRATION_CLOSED', 'no error'])
    expect(await codeOf(access.register({ ...BOB, username: 'carl' }))).toBe('REGISTRATION_CLOSED')
  })

  test('names and addresses are taken without regard to case', async () => {
    const access = make()
    await access.register(ADA)
    expect(await codeOf(access.register({ ...BOB, username: 'ADA' }))).toBe('USERNAME_TAKEN')
    expect(await codeOf(access.register({ ...BOB, email: 'Ada@Example.com' }))).toBe('EMAIL_TAKEN')
  })
})

describe('login and tokens', () => {
  test('by name or address; wrong ones are one and the same failure', async () => {
    const access = make()
    await access.register(ADA)
    expect((await access.login({ username: 'Ada', password: PASSWORD })).expiresIn).toBe('24h')
    const { token } = await access.login({ email: 'ada@example.com', password: PASSWORD })
    expect((await access.authenticate(bearer(token))).username).toBe('ada')
    for (const wrong of [
      { username: 'ada', password: 'wrong horse' },
      { username: 'nobody', password: PASSWORD },
      { password: PASSWORD },
    ]) {
      expect(await codeOf(access.login(wrong))).toBe('AUTH_INVALID_CREDENTIALS')
    }
  })

  test('logging out takes this token back at once, and says so', async () => {
    const access = make()
    const { token, user } = await access.register(ADA)
    const told: Revocation[] = []
    const leave = access.onRevoked((who) => told.push(who))
    const principal = await access.authenticate(bearer(token))
    const second = await access.refresh(token)
    await access.logout(principal)
    expect(await codeOf(access.authenticate(bearer(token)))).toBe('AUTH_INVALID_TOKEN')
    expect(await codeOf(access.refresh(token))).toBe('AUTH_INVALID_TOKEN')
    expect((await access.authenticate(bearer(second.token))).tenantId).toBe(user.id)
    expect(told).toEqual([{ tenantId: user.id, jti: (principal.by as { jti: string }).jti }])
    leave()
    // Another process life: the revocation is on disk.
    await storage.close()
    storage = rig.open()
    expect(await codeOf(make().authenticate(bearer(token)))).toBe('AUTH_INVALID_TOKEN')
  })

  test('end after 24 hours, remembered or not', async () => {
    const access = make()
    const { token } = await access.register(ADA)
    clock.shift = 86_000_000
    expect((await access.authenticate(bearer(token))).username).toBe('ada')
    clock.shift = 86_401_000
    expect(await codeOf(access.authenticate(bearer(token)))).toBe('AUTH_TOKEN_EXPIRED')
    expect(await codeOf(make().authenticate(bearer(token)))).toBe('AUTH_TOKEN_EXPIRED')
  })

  test('forged, foreign and malformed ones are refused', async () => {
    const access = make()
    const { token } = await access.register(ADA)
    const [head = '', body = '', signature = ''] = token.split('.')
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const payload = JSON.parse(Buffer.from(body, 'base64url').toString()) as Record<string, unknown>
    const foreign = make({ jwtSecret: 'x'.repeat(32) })
    const { token: otherKey } = await foreign.login({ username: 'ada', password: PASSWORD })
    const forged = [
      `${encode({ alg: 'none', typ: 'JWT' })}.${body}.`,
      `${encode({ alg: 'HS256', typ: 'JWT', jwk: {} })}.${body}.${signature}`,
      `${head}.${encode({ ...payload, sub: 'usr_other' })}.${signature}`,
      `${head}.${encode({ ...payload, exp: 1 })}.${signature}`,
      `${head}.${body}.${signature.slice(1)}`,
      `${head}.${body}`,
      otherKey,
      'x',
      'a'.repeat(10_000),
    ]
    for (const one of forged)
      expect(await codeOf(access.authenticate(bearer(one)))).toBe('AUTH_INVALID_TOKEN')
    expect(await codeOf(access.authenticate({ authorization: 'Basic abc' }))).toBe('AUTH_INVALID_TOKEN')
    expect(await codeOf(access.authenticate({}))).toBe('AUTH_REQUIRED')
    expect((await access.authenticate({ authorization: `bearer ${token}` })).username).toBe('ada')
  })

  test('a token of another audience, issuer or without an end is refused although its signature is right', async () => {
    const { jwt } = await import('@elysiajs/jwt')
    const { user } = await make().register(ADA)
    const good = { name: 'jwt', secret: SECRET, alg: 'HS256', iss: 'wabun', aud: 'wabun-api' } as const
    const exp = Math.floor(Date.now() / 1_000) + 60
    const claims = { sub: user.id, jti: 'j', exp }
    const sign = (options: object, payload: object) =>
      jwt({ ...good, ...options }).decorator.jwt.sign(payload as never)
    expect((await make().authenticate(bearer(await sign({}, claims)))).username).toBe('ada')
    for (const one of [
      await sign({ aud: 'other' }, claims),
      await sign({ iss: 'other' }, claims),
      await sign({ typ: 'other' }, claims),
      await sign({ alg: 'HS512' }, claims),
      await sign({}, { sub: user.id, jti: 'j' }),
      await sign({}, { sub: user.id, exp }),
    ]) {
      expect(await codeOf(make().authenticate(bearer(one)))).toBe('AUTH_INVALID_TOKEN')
    }
  })

  test('a token that is signed by us and says more than it should is refused all the same', async () => {
    const { user } = await make().register(ADA)
    const exp = Math.floor(Date.now() / 1_000) + 60
    const sign = (header: object, claims: object) => {
      const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
      const text = `${encode(header)}.${encode({ iss: 'wabun', aud: 'wabun-api', sub: user.id, jti: 'j', exp, ...claims })}`
      return `${text}.${new Bun.CryptoHasher('sha256', SECRET).update(text).digest('base64url')}`
    }
    const header = { alg: 'HS256', typ: 'JWT' }
    // The control: this is how ours are made.
    expect((await make().authenticate(bearer(sign(header, {})))).username).toBe('ada')
    for (const one of [
      sign({ ...header, kid: '../../dev/null' }, {}),
      sign({ ...header, jku: 'https://evil.example/keys' }, {}),
      sign({ ...header, jwk: { kty: 'oct', k: 'AA' } }, {}),
      sign({ ...header, x5u: 'https://evil.example/x' }, {}),
      sign({ ...header, crit: [] }, {}),
      sign({ ...header, alg: 'none' }, {}),
      sign({ ...header, alg: 'RS256' }, {}),
      sign({ alg: 'HS256' }, {}),
      sign(header, { nbf: exp }),
      sign(header, { aud: 'other' }),
      sign(header, { exp: undefined }),
      sign(header, { ep: 'x' }),
      sign(header, { sub: 7 }),
    ]) {
      expect(await codeOf(make().authenticate(bearer(one)))).toBe('AUTH_INVALID_TOKEN')
    }
    expect(await codeOf(make().authenticate(bearer(sign(header, { exp: 1 }))))).toBe('AUTH_TOKEN_EXPIRED')
  })

  test('a short secret is refused', () => {
    expect(() => make({ jwtSecret: 'short' })).toThrow(RangeError)
  })
})

describe('API keys', () => {
  test('have a form that can be checked without a look-up', () => {
    for (let i = 0; i < 50; i += 1) {
      const key = newApiKey()
      expect(key).toMatch(/^wapi_[A-Za-z0-9_-]{38}$/)
      expect(isApiKey(key)).toBe(true)
      const at = 5 + (i % 30)
      const changed = `${key.slice(0, at)}${key[at] === 'A' ? 'B' : 'A'}${key.slice(at + 1)}`
      expect(isApiKey(changed)).toBe(false)
    }
    expect(isApiKey('wapi_')).toBe(false)
    expect(maskApiKey('wapi_12345678901234567890abcdef')).toBe('wapi_12…cdef')
  })

  test('junk is refused without touching the database', async () => {
    const accounts = {
      ...storage.accounts,
      keyByHash: () => {
        throw new Error('looked up')
      },
    }
    const access = make({ accounts })
    expect(await codeOf(access.authenticate({ apiKey: 'wapi_junk' }))).toBe('AUTH_INVALID_API_KEY')
    // The control: a well-formed key is looked up.
    await expect(access.authenticate({ apiKey: newApiKey() })).rejects.toThrow('looked up')
  })

  test('decide when a token is given as well', async () => {
    const access = make()
    const ada = await access.register(ADA)
    const bob = await access.register(BOB)
    const who = await access.authenticate({ ...bearer(ada.token), apiKey: bob.apiKey })
    expect(who.username).toBe('bob')
    expect(await codeOf(access.authenticate({ ...bearer(ada.token), apiKey: newApiKey() }))).toBe(
      'AUTH_INVALID_API_KEY',
    )
  })

  test('are limited to their scopes, and cannot widen them', async () => {
    const access = make()
    const { token } = await access.register(ADA)
    const ada = await access.authenticate(bearer(token))
    const { apiKey, key } = await access.createKey(ada, { name: 'Reports', scopes: ['messages:read'] })
    expect(key).toMatchObject({ name: 'Reports', scopes: ['messages:read'], isDefault: false })
    const limited = await access.authenticate({ apiKey })
    expect(limited.scopes).toEqual(['messages:read'])
    expect(await codeOf(access.createKey(limited, { name: 'More' }))).toBe('FORBIDDEN')
    expect(await codeOf(access.regenerateKey(limited))).toBe('FORBIDDEN')
    expect(await codeOf(access.removeKey(limited, key.id))).toBe('FORBIDDEN')
    const { apiKey: all } = await access.createKey(ada, { name: 'All', scopes: ['admin'] })
    expect((await access.authenticate({ apiKey: all })).scopes).toEqual(SCOPES)
    const bob = await access.authenticate(bearer((await access.register(BOB)).token))
    expect(await codeOf(access.createKey(bob, { name: 'Admin', scopes: ['admin'] }))).toBe('FORBIDDEN')
    expect(await codeOf(access.logout(limited))).toBe('FORBIDDEN')
  })

  test('are listed masked, removed, and replaced; others’ keys do not exist', async () => {
    const access = make()
    const ada = await access.register(ADA)
    const bob = await access.authenticate(bearer((await access.register(BOB)).token))
    const principal = await access.authenticate(bearer(ada.token))
    const told: Revocation[] = []
    access.onRevoked((who) => told.push(who))
    const { key, apiKey } = await access.createKey(principal, { name: 'Second' })
    expect(access.listKeys(principal).map((one) => [one.name, one.isDefault])).toEqual([
      ['Default', true],
      ['Second', false],
    ])
    expect(JSON.stringify(access.listKeys(principal))).not.toContain(apiKey)
    expect(await codeOf(access.removeKey(bob, key.id))).toBe('API_KEY_NOT_FOUND')
    await access.removeKey(principal, key.id)
    expect(await codeOf(access.authenticate({ apiKey }))).toBe('AUTH_INVALID_API_KEY')
    const fresh = await access.regenerateKey(principal)
    expect(await codeOf(access.authenticate({ apiKey: ada.apiKey }))).toBe('AUTH_INVALID_API_KEY')
    expect((await access.authenticate({ apiKey: fresh.apiKey })).username).toBe('ada')
    expect(told.map((who) => who.tenantId)).toEqual([ada.user.id, ada.user.id])
    expect(access.listKeys(principal)).toHaveLength(1)
  })

  test('the key of the configuration is the owner’s', async () => {
    const fixedApiKey = 'f'.repeat(32)
    const access = make({ fixedApiKey, registration: 'first' })
    const owners = await Promise.all([1, 2, 3].map(() => access.authenticate({ apiKey: fixedApiKey })))
    expect(new Set(owners.map((one) => one.tenantId)).size).toBe(1)
    expect(owners[0]).toMatchObject({ username: 'owner', role: 'admin', plan: 'enterprise', scopes: SCOPES })
    expect(await codeOf(access.authenticate({ apiKey: `${fixedApiKey}x` }))).toBe('AUTH_INVALID_API_KEY')
    expect(await codeOf(access.login({ username: 'owner', password: '!' }))).toBe('AUTH_INVALID_CREDENTIALS')
  })

  test('belongs to the one who registered first when there is one', async () => {
    const fixedApiKey = 'f'.repeat(32)
    const access = make({ fixedApiKey })
    const { user } = await access.register(ADA)
    expect((await access.authenticate({ apiKey: fixedApiKey })).tenantId).toBe(user.id)
  })
})

test('credentials hold until they are taken back, run out, or their account is gone', async () => {
  const access = make()
  const ada = await access.register(ADA)
  const admin = await access.authenticate({ apiKey: ada.apiKey })
  const { apiKey, key } = await access.createKey(admin, { name: 'Second' })
  const login = async () => access.authenticate(bearer((await access.login(ADA)).token))
  const [byKey, loggedOut, expiring] = [await access.authenticate({ apiKey }), await login(), await login()]
  for (const principal of [admin, byKey, loggedOut, expiring]) expect(access.holds(principal)).toBe(true)
  await access.removeKey(admin, key.id)
  await access.logout(loggedOut)
  expect([admin, byKey, loggedOut, expiring].map(access.holds)).toEqual([true, false, false, true])
  clock.shift += 24 * 3_600_000
  expect([admin, expiring].map(access.holds)).toEqual([true, false])
  await access.regenerateKey(admin)
  expect(access.holds(admin)).toBe(false)
  const bob = await access.register(BOB)
  const bobs = await access.authenticate({ apiKey: bob.apiKey })
  await storage.accounts.removeUser(bob.user.id)
  expect(access.holds(bobs)).toBe(false)
})

test('a removed account takes its keys, answers and endpoints along, and leaves others theirs', async () => {
  const access = make()
  const ada = await access.register(ADA)
  const bob = await access.register(BOB)
  for (const { user } of [ada, bob]) {
    await storage.webhooks.saveEndpoint({
      id: `ep_${user.id}`,
      tenantId: user.id,
      sessionId: null,
      url: 'https://example.com',
      description: null,
      events: [],
      headers: {},
      secret: 'whsec_x',
      previousSecret: null,
      isActive: true,
      disabledReason: null,
      failingSince: null,
      fromSettings: false,
      isConfig: false,
      createdAt: 1,
    })
    await storage.idempotency.begin(user.id, 'key', 'hash')
    await storage.idempotency.finish(user.id, 'key', { status: 200, body: 'x' })
  }
  await storage.accounts.removeUser(ada.user.id)
  expect(await codeOf(access.authenticate({ apiKey: ada.apiKey }))).toBe('AUTH_INVALID_API_KEY')
  expect(await codeOf(access.authenticate(bearer(ada.token)))).toBe('AUTH_ACCOUNT_INACTIVE')
  expect(storage.webhooks.endpointsOf(ada.user.id, 's' as never)).toEqual([])
  expect(await storage.idempotency.begin(ada.user.id, 'key', 'hash')).toBe('new')
  expect((await access.authenticate({ apiKey: bob.apiKey })).username).toBe('bob')
  expect(storage.webhooks.endpointsOf(bob.user.id, 's' as never)).toHaveLength(1)
  expect(await storage.idempotency.begin(bob.user.id, 'key', 'hash')).toEqual({ status: 200, body: 'x' })
})

test('no secret of an account is in the database files', async () => {
  const access = make()
  const { apiKey, token } = await access.register(ADA)
  await storage.close()
  const bytes = Buffer.from(await Bun.file(rig.file).arrayBuffer()).toString('latin1')
  expect(bytes).toContain('ada@example.com')
  for (const secret of [apiKey, token, PASSWORD, apiKey.slice(8, 36)]) expect(bytes).not.toContain(secret)
})

describe('passwords', () => {
  let hash = ''
  const passwords = createPasswords()
  beforeAll(async () => {
    hash = await passwords.hash(PASSWORD)
  })

  test('are argon2id', async () => {
    expect(hash).toStartWith('$argon2id$')
    expect(await passwords.verify(PASSWORD, hash)).toBe(true)
    expect(await passwords.verify('other', hash)).toBe(false)
    expect(await passwords.verify(PASSWORD, null)).toBe(false)
    expect(await passwords.verify(PASSWORD, '!')).toBe(false)
  })

  /** Notes what it would have computed. */
  const counted = () => {
    const runs: string[] = []
    const hasher: Hasher = {
      hash: async (password, how) => {
        const { memoryCost, timeCost } = how as { memoryCost: number; timeCost: number }
        return `$argon2id$v=19$m=${memoryCost},t=${timeCost},p=1$salt$${password}`
      },
      verify: async (password, hash) => {
        runs.push(String(hash).split('$').slice(1, 4).join(' '))
        return String(hash).endsWith(`$${password}`)
      },
    }
    return { runs, hasher }
  }

  test('whoever logs in, it is one run of one and the same cost', async () => {
    const { runs, hasher } = counted()
    const access = make({ hasher })
    const ada = await access.register(ADA)
    const bob = await access.register(BOB)
    const admin = await access.authenticate(bearer(ada.token))
    await access.changeAccount(admin, bob.user.id, { isActive: false })
    // Of the configuration's key: an account without password.
    await storage.accounts.changeUser(ada.user.id, { passwordHash: '!' }, 1)
    runs.length = 0
    const tries = [
      [{ username: 'nobody', password: PASSWORD }, 'AUTH_INVALID_CREDENTIALS'],
      [{ password: PASSWORD }, 'AUTH_INVALID_CREDENTIALS'],
      [{ username: 'bob', password: 'wrong' }, 'AUTH_INVALID_CREDENTIALS'],
      [{ username: 'bob', password: PASSWORD }, 'AUTH_ACCOUNT_INACTIVE'],
      [{ username: 'ada', password: '!' }, 'AUTH_INVALID_CREDENTIALS'],
    ] as const
    for (const [given, code] of tries) expect(await codeOf(access.login(given))).toBe(code)
    expect(runs).toEqual(tries.map(() => 'argon2id v=19 m=19456,t=2,p=1'))
  })

  test('are computed two at a time; who finds too many waiting is told when to come back', async () => {
    let running = 0
    let most = 0
    const gate = Promise.withResolvers<void>()
    const passwords = createPasswords({
      hash: async () => 'x',
      verify: async () => {
        running += 1
        most = Math.max(most, running)
        await gate.promise
        running -= 1
        return true
      },
    })
    const all = Array.from({ length: 70 }, () => passwords.verify('x', null))
    const outcomes = Promise.allSettled(all)
    gate.resolve()
    const refused = (await outcomes).flatMap((one) => (one.status === 'rejected' ? [one.reason] : []))
    expect(most).toBe(2)
    expect(refused).toHaveLength(70 - 2 - 64)
    expect(refused[0]).toMatchObject({ code: 'RATE_LIMIT_EXCEEDED', details: { retryAfter: 1 } })
  })

  test('a new one makes all tokens void but the one it was changed with, on disk as well', async () => {
    const access = make()
    const { token: first } = await access.register(ADA)
    const { token: other } = await access.login(ADA)
    const principal = await access.authenticate(bearer(first))
    const others = await access.authenticate(bearer(other))
    const told: Revocation[] = []
    access.onRevoked((who) => told.push(who))
    const change = { currentPassword: PASSWORD, newPassword: 'another horse' }
    expect(await codeOf(access.changePassword(principal, { ...change, currentPassword: 'wrong' }))).toBe(
      'AUTH_INVALID_CREDENTIALS',
    )
    expect(access.holds(others)).toBe(true)
    await access.changePassword(principal, change)
    expect(told).toEqual([{ tenantId: principal.tenantId }])
    expect([principal, others].map(access.holds)).toEqual([true, false])
    expect(await codeOf(access.authenticate(bearer(other)))).toBe('AUTH_INVALID_TOKEN')
    expect(await codeOf(access.refresh(other))).toBe('AUTH_INVALID_TOKEN')
    expect(await codeOf(access.login(ADA))).toBe('AUTH_INVALID_CREDENTIALS')
    await storage.close()
    storage = rig.open()
    const again = make()
    expect(await codeOf(again.authenticate(bearer(other)))).toBe('AUTH_INVALID_TOKEN')
    expect((await again.authenticate(bearer(first))).username).toBe('ada')
    const { token: fresh } = await again.refresh(first)
    // Another change, with a token of the new epoch: now the first one goes too.
    await again.changePassword(await again.authenticate(bearer(fresh)), {
      currentPassword: 'another horse',
      newPassword: PASSWORD,
    })
    expect(await codeOf(again.authenticate(bearer(first)))).toBe('AUTH_INVALID_TOKEN')
    expect((await again.authenticate(bearer(fresh))).username).toBe('ada')
  })
})

describe('limits of keys', () => {
  test('a key that runs out is none any more, and what it has open does not hold', async () => {
    const access = make()
    const { token } = await access.register(ADA)
    const ada = await access.authenticate(bearer(token))
    const expiresAt = Date.now() + 60_000
    const { apiKey } = await access.createKey(ada, { name: 'Short', expiresAt })
    const principal = await access.authenticate({ apiKey })
    expect(access.holds(principal)).toBe(true)
    clock.shift = 61_000
    expect(await codeOf(access.authenticate({ apiKey }))).toBe('AUTH_INVALID_API_KEY')
    expect(access.holds(principal)).toBe(false)
  })

  test('whatever limits a key keeps it from keys, passwords and accounts', async () => {
    const access = make()
    await access.register(ADA)
    const { token } = await access.register(BOB)
    const bob = await access.authenticate(bearer(token))
    const limits: Partial<KeyLimits>[] = [
      { scopes: ['sessions:read'] },
      { sessionIds: [asSessionId('a'.repeat(32))] },
      { ipAllowlist: ['10.0.0.0/8'] },
      { expiresAt: Date.now() + 60_000 },
    ]
    const attempts = (who: Principal, id: string): Promise<unknown>[] => [
      access.createKey(who, { name: 'Wider' }),
      access.changeKey(who, id, { expiresAt: null }),
      access.removeKey(who, id),
      access.regenerateKey(who),
      access.changeProfile(who, { firstName: 'Eve' }),
      access.changePassword(who, { currentPassword: PASSWORD, newPassword: 'another horse' }),
      access.close(who),
      access.createAccount(who, { ...CARL, role: 'admin' }),
      access.changeAccount(who, who.tenantId, { role: 'admin' }),
    ]
    for (const limit of limits) {
      const { apiKey, key } = await access.createKey(bob, { name: 'Limited', ...limit })
      const who = await access.authenticate({ apiKey })
      for (const attempt of attempts(who, key.id)) expect(await codeOf(attempt)).toBe('FORBIDDEN')
    }
    // The control: a key without limits may.
    const { apiKey, key } = await access.createKey(bob, { name: 'Whole' })
    const whole = await access.authenticate({ apiKey })
    expect(await codeOf(access.createKey(whole, { name: 'Another' }))).toBe('no error')
    expect(await codeOf(access.changeKey(whole, key.id, { name: 'Renamed' }))).toBe('no error')
  })

  test('a key of some sessions is no administrator’s, and says which sessions', async () => {
    const access = make()
    const { token } = await access.register(ADA)
    const ada = await access.authenticate(bearer(token))
    const sessionIds = [asSessionId('a'.repeat(32))]
    const { apiKey, key } = await access.createKey(ada, { name: 'One', sessionIds })
    const who = await access.authenticate({ apiKey })
    expect(who.sessionIds).toEqual(sessionIds)
    expect(who.scopes).not.toContain('admin')
    expect(await codeOf(access.createKey(ada, { name: 'x', sessionIds, scopes: ['admin'] }))).toBe(
      'FORBIDDEN',
    )
    expect(await codeOf(access.changeKey(ada, key.id, { scopes: ['admin'] }))).toBe('FORBIDDEN')
    // A change ends what the key has open, since it was opened with other rights.
    await access.changeKey(ada, key.id, { sessionIds: [asSessionId('b'.repeat(32))] })
    expect(access.holds(who)).toBe(false)
    expect((await access.authenticate({ apiKey })).sessionIds).toEqual([asSessionId('b'.repeat(32))])
  })

  test('the last use is noted in memory, and written once a minute at most', async () => {
    const manual = createManualClock()
    const writes: number[] = []
    const accounts = {
      ...storage.accounts,
      usedKeys: (times: ReadonlyMap<string, number>) => {
        writes.push(times.size)
        return storage.accounts.usedKeys(times)
      },
    }
    const access = make({ accounts, clock: manual })
    const { apiKey, user } = await access.register(ADA)
    const who = await access.authenticate({ apiKey })
    const shown = () => access.listKeys(who)[0]?.lastUsedAt
    const stored = () => storage.accounts.keysOf(user.id)[0]?.lastUsedAt
    for (let n = 0; n < 1_000; n += 1) await access.authenticate({ apiKey })
    expect([shown(), stored(), writes.length]).toEqual([manual.now(), null, 0])
    await manual.advance(60_000)
    expect(writes).toEqual([1])
    expect(stored()).toBe(manual.now() - 60_000)
    await access.authenticate({ apiKey })
    await access.stop()
    expect(stored()).toBe(manual.now())
    expect(writes).toEqual([1, 1])
    expect(manual.waiting).toBe(0)
  })
})

describe('administrators', () => {
  test('one that can log in stays as long as there is anybody', async () => {
    const access = make()
    const ada = await access.register(ADA)
    const admin = await access.authenticate(bearer(ada.token))
    const bob = await access.register(BOB)
    const lastOnes = () => [
      access.changeAccount(admin, ada.user.id, { role: 'user' }),
      access.changeAccount(admin, ada.user.id, { isActive: false }),
      access.closeAccount(ada.user.id),
      access.close(admin),
    ]
    for (const one of lastOnes()) expect(await codeOf(one)).toBe('LAST_ADMIN')
    // One who cannot log in does not count.
    await access.changeAccount(admin, bob.user.id, { role: 'admin', isActive: false })
    for (const one of lastOnes()) expect(await codeOf(one)).toBe('LAST_ADMIN')
    await access.changeAccount(admin, bob.user.id, { isActive: true })
    const both = await Promise.all([
      codeOf(access.changeAccount(admin, ada.user.id, { role: 'user' })),
      codeOf(access.changeAccount(admin, bob.user.id, { role: 'user' })),
    ])
    expect(both.sort()).toEqual(['LAST_ADMIN', 'no error'])
    expect(await codeOf(access.changeAccount(admin, asTenantId('usr_none'), { plan: 'pro' }))).toBe(
      'USER_NOT_FOUND',
    )
  })

  test('the only account can go', async () => {
    const access = make()
    const { token, user } = await access.register(ADA)
    const principal = await access.authenticate(bearer(token))
    await access.close(principal)
    expect(access.holds(principal)).toBe(false)
    expect(storage.accounts.leaving().map(({ id }) => id)).toEqual([user.id])
    expect(await codeOf(access.login(ADA))).toBe('AUTH_ACCOUNT_INACTIVE')
  })

  test('a role, a plan and a state are in force at once; less of them ends what is open', async () => {
    const access = make()
    const ada = await access.register(ADA)
    const bob = await access.register(BOB)
    const admin = await access.authenticate(bearer(ada.token))
    await access.changeAccount(admin, bob.user.id, { role: 'admin', plan: 'pro' })
    const asAdmin = await access.authenticate({ apiKey: bob.apiKey })
    expect(asAdmin).toMatchObject({ role: 'admin', plan: 'pro', scopes: SCOPES })
    await access.changeAccount(admin, bob.user.id, { plan: 'free' })
    expect(access.holds(asAdmin)).toBe(true)
    expect(access.current(asAdmin)?.plan).toBe('free')
    await access.changeAccount(admin, bob.user.id, { role: 'user' })
    expect(access.holds(asAdmin)).toBe(false)
    const asUser = await access.authenticate({ apiKey: bob.apiKey })
    await access.changeAccount(admin, bob.user.id, { isActive: false })
    expect(access.holds(asUser)).toBe(false)
    expect(access.current(asUser)).toBeNull()
    expect(await codeOf(access.authenticate({ apiKey: bob.apiKey }))).toBe('AUTH_ACCOUNT_INACTIVE')
  })
})

test('an address belongs to one account; names may be given and taken away', async () => {
  const access = make()
  const ada = await access.authenticate(bearer((await access.register(ADA)).token))
  await access.register(BOB)
  expect(await codeOf(access.changeProfile(ada, { email: 'BOB@example.com' }))).toBe('EMAIL_TAKEN')
  const changed = await access.changeProfile(ada, { email: 'Ada@Example.com', firstName: 'Ada' })
  expect(changed).toMatchObject({ email: 'Ada@Example.com', firstName: 'Ada', lastName: null })
  expect((await access.login({ email: 'ada@example.com', password: PASSWORD })).user.firstName).toBe('Ada')
  expect((await access.changeProfile(ada, { firstName: null })).firstName).toBeNull()
})
