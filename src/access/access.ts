/**
 * Who is calling: accounts, bearer tokens and API keys.
 *
 * Every request looks its account and its revocations up anew (two reads of microseconds), so taking a right away works
 * at once; only the judgement of a signature is remembered.
 */
import { fail } from '../domain/errors'
import { asTenantId } from '../domain/ids'
import type { Accounts, ApiKey, Plan, Principal, Scope, User } from '../domain/principal'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { randomToken, sameSecret } from '../lib/token'
import { hashApiKey, isApiKey, maskApiKey, newApiKey } from './api-keys'
import { createTokens } from './jwt'
import { createPasswords } from './passwords'
import { scopesOfKey, scopesOfUser } from './scopes'

export type AccessOptions = {
  accounts: Accounts
  clock: Clock
  /** At least 32 bytes. */
  jwtSecret: string
  registration: 'first' | 'open'
  /** Plan of every account but the owner's. */
  defaultPlan: Plan
  /** A key of the owner from the configuration. */
  fixedApiKey?: string
  log: Log
}

export type Revocation = { tenantId: string; jti?: string; keyId?: string }

export interface Access {
  /** Throws `REGISTRATION_CLOSED`, `USERNAME_TAKEN`, `EMAIL_TAKEN`. The first account owns the server. */
  register(input: {
    username: string
    email: string
    password: string
  }): Promise<{ user: User; token: string; apiKey: string }>
  /** Throws `AUTH_INVALID_CREDENTIALS`, `AUTH_ACCOUNT_INACTIVE`. */
  login(input: {
    username?: string
    email?: string
    password: string
  }): Promise<{ user: User; token: string; expiresIn: '24h' }>
  /** Takes the caller's token back; an API key is deleted instead (`FORBIDDEN`). */
  logout(principal: Principal): Promise<void>
  /** A new token for a good one. Throws `AUTH_INVALID_TOKEN`, `AUTH_TOKEN_EXPIRED`, `AUTH_ACCOUNT_INACTIVE`. */
  refresh(token: string): Promise<{ token: string; expiresIn: '24h' }>
  /** Throws an `AUTH_*` error. With both credentials the API key decides. */
  authenticate(given: { authorization?: string | null; apiKey?: string | null }): Promise<Principal>
  /** False when the credentials have been taken back or have run out, or the account may not be used any more. */
  holds(principal: Principal): boolean
  listKeys(principal: Principal): ApiKey[]
  /** Throws `FORBIDDEN` when the caller may not do all that the new key may. The key itself is shown this once. */
  createKey(
    principal: Principal,
    input: { name: string; scopes?: Scope[] },
  ): Promise<{ key: ApiKey; apiKey: string }>
  /** Throws `API_KEY_NOT_FOUND`, `FORBIDDEN`. */
  removeKey(principal: Principal, id: string): Promise<void>
  /** Puts a new default key in the place of the old one. Throws `FORBIDDEN`. */
  regenerateKey(principal: Principal): Promise<{ key: ApiKey; apiKey: string }>
  /** Called whenever a token or key has been taken back; returns how to leave. */
  onRevoked(listener: (who: Revocation) => void): () => void
}

const BEARER = /^Bearer +([^\s]+) *$/i
/** Id of the key from the configuration. */
const FIXED_KEY_ID = 'fixed'
/** No hash has this form, so no password opens the account. */
const NO_PASSWORD = '!'

type NewUser = { username: string; email: string; passwordHash: string }

/** Makes the gate. */
export function createAccess(options: AccessOptions): Access {
  const { accounts, clock, registration, defaultPlan, fixedApiKey, log } = options
  const passwords = createPasswords()
  const tokens = createTokens({ secret: options.jwtSecret, clock })
  const listeners = new Set<(who: Revocation) => void>()

  function revoked(who: Revocation): void {
    for (const listener of [...listeners]) {
      try {
        listener(who)
      } catch (error) {
        log.error('A listener for revoked credentials has failed', { error: String(error) })
      }
    }
  }

  function makeKey(
    tenantId: User['id'],
    name: string,
    also: { scopes: Scope[] | null; isDefault: boolean },
  ): { key: ApiKey; apiKey: string } {
    const apiKey = newApiKey()
    return {
      apiKey,
      key: {
        id: `key_${randomToken(12)}`,
        tenantId,
        name,
        hash: hashApiKey(apiKey),
        masked: maskApiKey(apiKey),
        scopes: also.scopes,
        isDefault: also.isDefault,
        createdAt: clock.now(),
      },
    }
  }

  function makeUser(input: NewUser, as: Pick<User, 'role' | 'plan'>): User {
    const now = clock.now()
    const id = asTenantId(`usr_${randomToken(12)}`)
    return { id, ...input, ...as, isActive: true, createdAt: now, updatedAt: now }
  }

  /** The first account becomes the owner, decided in the transaction that stores it. */
  async function addUser(input: NewUser): Promise<{ user: User; apiKey: string }> {
    const kinds = [
      { as: { role: 'admin', plan: 'enterprise' }, onlyFirst: true },
      { as: { role: 'user', plan: defaultPlan }, onlyFirst: false },
    ] as const
    for (const { as, onlyFirst } of registration === 'open' ? kinds : kinds.slice(0, 1)) {
      const user = makeUser(input, as)
      const { key, apiKey } = makeKey(user.id, 'Default', { scopes: null, isDefault: true })
      const outcome = await accounts.addUser(user, key, { onlyFirst })
      if (outcome === 'added') return { user, apiKey }
      if (outcome === 'username_taken') throw fail('USERNAME_TAKEN')
      if (outcome === 'email_taken') throw fail('EMAIL_TAKEN')
    }
    throw fail('REGISTRATION_CLOSED')
  }

  function principalOf(
    user: User | null,
    scopes: (user: User) => readonly Scope[],
    by: Principal['by'],
  ): Principal {
    if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
    const { id, username, role, plan } = user
    return { tenantId: id, username, role, plan, scopes: scopes(user), by }
  }

  /** The owner, to whom the key of the configuration belongs; made when nobody has registered yet. */
  async function owner(): Promise<User | null> {
    const present = accounts.owner()
    if (present) return present
    const user = makeUser(
      { username: 'owner', email: 'owner@localhost', passwordHash: NO_PASSWORD },
      { role: 'admin', plan: 'enterprise' },
    )
    const { key } = makeKey(user.id, 'Default', { scopes: null, isDefault: true })
    await accounts.addUser(user, key, { onlyFirst: true })
    return accounts.owner()
  }

  async function byKey(apiKey: string): Promise<Principal> {
    if (fixedApiKey !== undefined && sameSecret(apiKey, fixedApiKey)) {
      return principalOf(await owner(), scopesOfUser, { kind: 'key', keyId: FIXED_KEY_ID })
    }
    const key = isApiKey(apiKey) ? accounts.keyByHash(hashApiKey(apiKey)) : null
    if (!key) throw fail('AUTH_INVALID_API_KEY')
    const user = accounts.userById(key.tenantId)
    return principalOf(user, (who) => scopesOfKey(who, key), { kind: 'key', keyId: key.id })
  }

  async function byToken(token: string): Promise<Principal> {
    const checked = await tokens.check(token)
    if (checked === 'expired') throw fail('AUTH_TOKEN_EXPIRED')
    if (checked === 'invalid' || accounts.isRevoked(checked.jti)) throw fail('AUTH_INVALID_TOKEN')
    const { sub, jti, expiresAt } = checked
    return principalOf(accounts.userById(asTenantId(sub)), scopesOfUser, { kind: 'token', jti, expiresAt })
  }

  const userOf = (principal: Principal): User => {
    const user = accounts.userById(principal.tenantId)
    if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
    return user
  }

  /** Keys are managed with the whole power of the account only: a lesser key must not make itself a greater one. */
  function wholeAccount(principal: Principal): User {
    const user = userOf(principal)
    const missing = scopesOfUser(user).filter((scope) => !principal.scopes.includes(scope))
    if (missing.length > 0) throw fail('FORBIDDEN', { requiredScope: missing[0] })
    return user
  }

  return {
    async register({ username, email, password }) {
      if (registration === 'first' && accounts.countUsers() > 0) throw fail('REGISTRATION_CLOSED')
      const passwordHash = await passwords.hash(password)
      const { user, apiKey } = await addUser({ username, email, passwordHash })
      const { token } = await tokens.issue(user.id)
      log.info('An account was registered', { user: user.id, role: user.role })
      return { user, token, apiKey }
    },
    async login({ username, email, password }) {
      const name = username ?? email
      const user = name === undefined ? null : accounts.userByLogin(name)
      const matches = await passwords.verify(password, user?.passwordHash ?? null)
      if (!matches || !user) throw fail('AUTH_INVALID_CREDENTIALS')
      if (!user.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
      const { token } = await tokens.issue(user.id)
      return { user, token, expiresIn: '24h' }
    },
    async logout({ tenantId, by }) {
      if (by.kind === 'key') {
        throw fail('FORBIDDEN', { action: 'Delete the API key instead' }, 'An API key cannot be logged out')
      }
      await accounts.revokeToken(by.jti, by.expiresAt)
      revoked({ tenantId, jti: by.jti })
    },
    async refresh(token) {
      const { tenantId } = await byToken(token)
      return { token: (await tokens.issue(tenantId)).token, expiresIn: '24h' }
    },
    async authenticate({ authorization, apiKey }) {
      if (apiKey) return byKey(apiKey)
      if (!authorization) throw fail('AUTH_REQUIRED')
      const token = BEARER.exec(authorization)?.[1]
      if (token === undefined) throw fail('AUTH_INVALID_TOKEN')
      return byToken(token)
    },
    holds({ tenantId, by }) {
      if (!accounts.userById(tenantId)?.isActive) return false
      if (by.kind === 'token') return by.expiresAt > clock.now() && !accounts.isRevoked(by.jti)
      return by.keyId === FIXED_KEY_ID || accounts.keysOf(tenantId).some(({ id }) => id === by.keyId)
    },
    listKeys: ({ tenantId }) => accounts.keysOf(tenantId),
    async createKey(principal, { name, scopes }) {
      const user = wholeAccount(principal)
      const beyond = scopes?.find((scope) => !scopesOfUser(user).includes(scope))
      if (beyond !== undefined) throw fail('FORBIDDEN', { requiredScope: beyond })
      const made = makeKey(user.id, name, { scopes: scopes ?? null, isDefault: false })
      await accounts.saveKey(made.key)
      return made
    },
    async removeKey(principal, id) {
      const { id: tenantId } = wholeAccount(principal)
      if (!(await accounts.removeKey(tenantId, id))) throw fail('API_KEY_NOT_FOUND')
      revoked({ tenantId, keyId: id })
    },
    async regenerateKey(principal) {
      const { id: tenantId } = wholeAccount(principal)
      const old = accounts.keysOf(tenantId).filter((key) => key.isDefault)
      const made = makeKey(tenantId, 'Default', { scopes: null, isDefault: true })
      await accounts.replaceDefaultKey(made.key)
      for (const key of old) revoked({ tenantId, keyId: key.id })
      return made
    },
    onRevoked(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
  }
}
