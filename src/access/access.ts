/** Accounts, bearer tokens and API keys: who is calling, and what becomes of that. */
import type { Accounts, ApiKey, KeyLimits, Plan, Principal, User } from '../domain/principal'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { createJudge, isStillWorth } from './judge'
import { createTokens } from './jwt'
import { createKeyUse } from './key-use'
import { createKeys } from './keys'
import { createPasswords, type Hasher } from './passwords'
import { createPeople } from './people'
import type { Revocation, Revoked } from './revocation'

export type { Revocation } from './revocation'

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
  /** Bun's own unless given. */
  hasher?: Hasher
  /** API keys that an account of a plan may have; null and absent = any number. */
  maxKeys?: (plan: Plan) => number | null
}

export type NewAccount = { username: string; email: string; password: string }
export type ProfileChange = Partial<Pick<User, 'email' | 'firstName' | 'lastName'>>
export type AccountChange = Partial<Pick<User, 'role' | 'plan' | 'isActive'>>
export type NewKey = { name: string } & Partial<KeyLimits>

export interface Access {
  /** Throws `REGISTRATION_CLOSED`, `USERNAME_TAKEN`, `EMAIL_TAKEN`. The first account owns the server. */
  register(input: NewAccount): Promise<{ user: User; token: string; apiKey: string }>
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
  /** What a caller's credentials are worth now; null = nothing any more. */
  current(principal: Principal): Principal | null
  /** False when the credentials have been taken back, have run out or are worth less, or their account is closed. */
  holds(principal: Principal): boolean

  /** Throws `EMAIL_TAKEN`, `FORBIDDEN` to a limited key. */
  changeProfile(principal: Principal, change: ProfileChange): Promise<User>
  /** Makes all tokens but the caller's own void. Throws `AUTH_INVALID_CREDENTIALS`, `FORBIDDEN` to a limited key. */
  changePassword(principal: Principal, input: { currentPassword: string; newPassword: string }): Promise<void>
  /** By the operator: sets a password and makes all tokens void. Throws `USER_NOT_FOUND`. */
  resetPassword(id: User['id'], password: string): Promise<void>
  /** Closes the caller's account for good; what belongs to it is the caller's to remove. Throws `LAST_ADMIN`, `FORBIDDEN`. */
  close(principal: Principal): Promise<void>

  /** Throws `FORBIDDEN` to a caller that does not hold all of its account. */
  holdsAll(principal: Principal): void
  /** Throws `FORBIDDEN` to a key of some sessions. */
  listKeys(principal: Principal): ApiKey[]
  /** Throws `FORBIDDEN` when the caller may not do all that the new key may. The key itself is shown this once. */
  createKey(principal: Principal, input: NewKey): Promise<{ key: ApiKey; apiKey: string }>
  /** Ends what the key has open. Throws `API_KEY_NOT_FOUND`, `FORBIDDEN`. */
  changeKey(principal: Principal, id: string, change: Partial<NewKey>): Promise<ApiKey>
  /** Throws `API_KEY_NOT_FOUND`, `FORBIDDEN`. */
  removeKey(principal: Principal, id: string): Promise<void>
  /** Puts a new default key in the place of the old one. Throws `FORBIDDEN`. */
  regenerateKey(principal: Principal): Promise<{ key: ApiKey; apiKey: string }>

  /** By an administrator, whatever the mode of registration. Throws `USERNAME_TAKEN`, `EMAIL_TAKEN`, `FORBIDDEN`. */
  createAccount(
    principal: Principal,
    input: NewAccount & AccountChange & ProfileChange,
  ): Promise<{ user: User; apiKey: string }>
  /** By an administrator. Throws `USER_NOT_FOUND`, `LAST_ADMIN`, `FORBIDDEN`. */
  changeAccount(principal: Principal, id: User['id'], change: AccountChange): Promise<User>
  /** By an administrator; see `close`. Throws `USER_NOT_FOUND`, `LAST_ADMIN`. */
  closeAccount(id: User['id']): Promise<void>

  /** Called whenever credentials have been taken back; returns how to leave. */
  onRevoked(listener: (who: Revocation) => void): () => void
  /** Writes when keys were last used. */
  stop(): Promise<void>
}

/** Makes the gate. */
export function createAccess(options: AccessOptions): Access {
  const { accounts, clock, log } = options
  const listeners = new Set<Revoked>()
  const revoked: Revoked = (who) => {
    for (const listener of [...listeners]) {
      try {
        listener(who)
      } catch (error) {
        log.error('A listener for revoked credentials has failed', { error: String(error) })
      }
    }
  }
  const tokens = createTokens({ secret: options.jwtSecret, clock })
  const keyUse = createKeyUse({ accounts, clock, log })
  const keys = createKeys({ ...options, revoked, upToDate: keyUse.upToDate })
  const people = createPeople({
    ...options,
    passwords: createPasswords(options.hasher),
    tokens,
    newKey: keys.make,
    revoked,
  })
  const judge = createJudge({
    accounts,
    tokens,
    keyUse,
    clock,
    fixedApiKey: options.fixedApiKey,
    owner: people.owner,
  })

  return {
    ...people,
    ...keys,
    async refresh(token) {
      const { tenantId } = await judge.byToken(token)
      const epoch = accounts.userById(tenantId)?.tokenEpoch ?? 0
      return { token: (await tokens.issue(tenantId, epoch)).token, expiresIn: '24h' }
    },
    authenticate: judge.authenticate,
    current: judge.current,
    holds: (principal) => isStillWorth(judge.current(principal), principal),
    onRevoked(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    stop: keyUse.stop,
  }
}
