/**
 * Whom credentials name, and whether they still do. Every request looks its account, its key and its revocations up anew
 * (reads of microseconds), so taking a right away works at once; only the judgement of a signature is remembered.
 */
import { fail } from '../domain/errors'
import { asTenantId } from '../domain/ids'
import type { Accounts, ApiKey, Principal, User } from '../domain/principal'
import type { Clock } from '../lib/clock'
import { hashApiKey, isApiKey } from './api-keys'
import type { Tokens } from './jwt'
import type { KeyUse } from './key-use'
import { scopesOfKey, scopesOfUser } from './scopes'

export interface Judge {
  /** Throws an `AUTH_*` error. With both credentials the API key decides. */
  authenticate(given: { authorization?: string | null; apiKey?: string | null }): Promise<Principal>
  byToken(token: string): Promise<Principal>
  /** What the credentials of a caller are worth now; null = nothing any more. */
  current(principal: Pick<Principal, 'tenantId' | 'by'>): Principal | null
}

const BEARER = /^Bearer +([^\s]+) *$/i
/** Id of the key from the configuration. */
export const FIXED_KEY_ID = 'fixed'

type ByKey = Extract<Principal['by'], { kind: 'key' }>
type ByToken = Extract<Principal['by'], { kind: 'token' }>

const UNLIMITED = { sessionIds: null, ipAllowlist: [] } as const

const who = ({ id, username, role, plan }: User) => ({ tenantId: id, username, role, plan })

const ofAccount = (user: User, by: Principal['by']): Principal => ({
  ...who(user),
  scopes: scopesOfUser(user),
  ...UNLIMITED,
  by,
})

const ofKey = (user: User, key: ApiKey): Principal => ({
  ...who(user),
  scopes: scopesOfKey(user, key),
  sessionIds: key.sessionIds,
  ipAllowlist: key.ipAllowlist,
  by: { kind: 'key', keyId: key.id, expiresAt: key.expiresAt },
})

const FIXED: ByKey = { kind: 'key', keyId: FIXED_KEY_ID, expiresAt: null }

/** Makes the judge. */
export function createJudge(parts: {
  accounts: Accounts
  tokens: Tokens
  keyUse: Pick<KeyUse, 'noted'>
  clock: Clock
  fixedApiKey: string | undefined
  /** The account that the key of the configuration belongs to; made when there is none. */
  owner(): Promise<User | null>
}): Judge {
  const { accounts, tokens, keyUse, clock, fixedApiKey } = parts

  const isOver = ({ expiresAt }: Pick<ApiKey, 'expiresAt'>): boolean =>
    expiresAt !== null && expiresAt <= clock.now()

  /** Of another epoch are those that a new password has made void. */
  const isCurrent = (user: User, { jti, epoch }: Pick<ByToken, 'jti' | 'epoch'>): boolean =>
    (epoch === user.tokenEpoch || jti === user.keptToken) && !accounts.isRevoked(jti)

  const fixedHash = fixedApiKey === undefined ? null : hashApiKey(fixedApiKey)

  async function byKey(apiKey: string): Promise<Principal> {
    const hash = hashApiKey(apiKey)
    if (hash === fixedHash) {
      const user = await parts.owner()
      if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
      return ofAccount(user, FIXED)
    }
    const key = isApiKey(apiKey) ? accounts.keyByHash(hash) : null
    if (!key || isOver(key)) throw fail('AUTH_INVALID_API_KEY')
    const user = accounts.userById(key.tenantId)
    if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
    keyUse.noted(key.id)
    return ofKey(user, key)
  }

  async function byToken(token: string): Promise<Principal> {
    const checked = await tokens.check(token)
    if (checked === 'expired') throw fail('AUTH_TOKEN_EXPIRED')
    if (checked === 'invalid') throw fail('AUTH_INVALID_TOKEN')
    const { sub, ...claims } = checked
    const user = accounts.userById(asTenantId(sub))
    if (user && !isCurrent(user, claims)) throw fail('AUTH_INVALID_TOKEN')
    if (!user?.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
    return ofAccount(user, { kind: 'token', ...claims })
  }

  return {
    byToken,
    async authenticate({ authorization, apiKey }) {
      if (apiKey) return byKey(apiKey)
      if (!authorization) throw fail('AUTH_REQUIRED')
      const token = BEARER.exec(authorization)?.[1]
      if (token === undefined) throw fail('AUTH_INVALID_TOKEN')
      return byToken(token)
    },
    current({ tenantId, by }) {
      const user = accounts.userById(tenantId)
      if (!user?.isActive) return null
      if (by.kind === 'token') {
        return by.expiresAt > clock.now() && isCurrent(user, by) ? ofAccount(user, by) : null
      }
      if (by.keyId === FIXED_KEY_ID) return accounts.owner()?.id === tenantId ? ofAccount(user, FIXED) : null
      const key = accounts.keyById(by.keyId)
      return key?.tenantId === tenantId && !isOver(key) ? ofKey(user, key) : null
    },
  }
}

/** True when what the credentials are worth now is still all that they were worth then. */
export const isStillWorth = (now: Principal | null, then: Principal): boolean =>
  now !== null &&
  then.scopes.every((scope) => now.scopes.includes(scope)) &&
  sameList(now.sessionIds, then.sessionIds) &&
  sameList(now.ipAllowlist, then.ipAllowlist)

const sameList = (one: readonly string[] | null, other: readonly string[] | null): boolean =>
  one === other || JSON.stringify(one) === JSON.stringify(other)
