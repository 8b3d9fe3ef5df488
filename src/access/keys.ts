/**
 * API keys of an account. They are managed with the whole power of the account alone: what is limited in what it can do,
 * where, or for how long must not make itself something greater.
 */
import { fail } from '../domain/errors'
import type { Accounts, ApiKey, KeyLimits, Principal, User } from '../domain/principal'
import type { Clock } from '../lib/clock'
import { createRoom } from '../lib/room'
import { randomToken } from '../lib/token'
import type { Access } from './access'
import { hashApiKey, maskApiKey, newApiKey } from './api-keys'
import type { Revoked } from './revocation'
import { isLimited, scopesOfUser } from './scopes'

const UNLIMITED: KeyLimits = { scopes: null, sessionIds: null, ipAllowlist: [], expiresAt: null }

type Made = { key: ApiKey; apiKey: string }

/** The account of a caller that holds all of it. Throws `FORBIDDEN`, `AUTH_ACCOUNT_INACTIVE`. */
export function wholeAccount(accounts: Pick<Accounts, 'userById'>, principal: Principal): User {
  const user = accounts.userById(principal.tenantId)
  if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
  if (isLimited(principal)) {
    const missing = scopesOfUser(user).find((scope) => !principal.scopes.includes(scope))
    throw fail('FORBIDDEN', missing === undefined ? LIMITED : { requiredScope: missing, ...LIMITED })
  }
  return user
}
const LIMITED = { action: 'Use a token, or a key without limits' }

/** Makes what is done with keys. */
export function createKeys(parts: {
  accounts: Accounts
  clock: Clock
  revoked: Revoked
  upToDate(key: ApiKey): ApiKey
  /** Keys that an account of a plan may have; null = any number. */
  maxKeys?: (plan: User['plan']) => number | null
}): Pick<Access, 'holdsAll' | 'listKeys' | 'createKey' | 'changeKey' | 'removeKey' | 'regenerateKey'> & {
  make(tenantId: User['id'], name: string, also?: Partial<Pick<ApiKey, 'isDefault'> & KeyLimits>): Made
} {
  const { accounts, clock, revoked } = parts
  const room = createRoom()

  function make(
    tenantId: User['id'],
    name: string,
    also: Partial<Pick<ApiKey, 'isDefault'> & KeyLimits> = {},
  ): Made {
    const apiKey = newApiKey()
    return {
      apiKey,
      key: {
        id: `key_${randomToken(12)}`,
        tenantId,
        name,
        hash: hashApiKey(apiKey),
        masked: maskApiKey(apiKey),
        lastUsedAt: null,
        isDefault: false,
        createdAt: clock.now(),
        ...UNLIMITED,
        ...also,
      },
    }
  }

  function refuseBeyond(user: User, { scopes, sessionIds }: Partial<KeyLimits>): void {
    const beyond = scopes?.find((scope) => !scopesOfUser(user).includes(scope))
    if (beyond !== undefined) throw fail('FORBIDDEN', { requiredScope: beyond })
    if (sessionIds && scopes?.includes('admin')) {
      throw fail('FORBIDDEN', undefined, 'A key of some sessions cannot have the scope admin')
    }
  }

  return {
    make,
    holdsAll(principal) {
      wholeAccount(accounts, principal)
    },
    listKeys(principal) {
      if (principal.sessionIds !== null) throw fail('FORBIDDEN', LIMITED)
      return accounts.keysOf(principal.tenantId).map(parts.upToDate)
    },
    async createKey(principal, { name, ...limits }) {
      const user = wholeAccount(accounts, principal)
      refuseBeyond(user, limits)
      const made = make(user.id, name, limits)
      const limit = parts.maxKeys?.(user.plan) ?? null
      const refuse = (underWay: number) => {
        if (limit === null || accounts.keysOf(user.id).length + underWay < limit) return
        throw fail('API_KEY_LIMIT_REACHED', { plan: user.plan, limit })
      }
      await room.take(user.id, refuse, () => accounts.saveKey(made.key))
      return made
    },
    async changeKey(principal, id, change) {
      const user = wholeAccount(accounts, principal)
      const present = accounts.keyById(id)
      if (present?.tenantId !== user.id) throw fail('API_KEY_NOT_FOUND')
      const key = { ...parts.upToDate(present), ...change }
      refuseBeyond(user, key)
      await accounts.saveKey(key)
      revoked({ tenantId: user.id })
      return key
    },
    async removeKey(principal, id) {
      const { id: tenantId } = wholeAccount(accounts, principal)
      if (!(await accounts.removeKey(tenantId, id))) throw fail('API_KEY_NOT_FOUND')
      revoked({ tenantId, keyId: id })
    },
    async regenerateKey(principal) {
      const { id: tenantId } = wholeAccount(accounts, principal)
      const old = accounts.keysOf(tenantId).filter((key) => key.isDefault)
      const made = make(tenantId, 'Default', { isDefault: true })
      await accounts.replaceDefaultKey(made.key)
      for (const key of old) revoked({ tenantId, keyId: key.id })
      return made
    },
  }
}
