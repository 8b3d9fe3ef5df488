/** Accounts, keys, and what a caller may do. */
import type { SessionId, TenantId } from './ids'

export const SCOPES = [
  'sessions:read',
  'sessions:write',
  'messages:read',
  'messages:write',
  'webhooks:read',
  'webhooks:write',
  'admin',
] as const
export type Scope = (typeof SCOPES)[number]

export const PLANS = ['free', 'pro', 'enterprise'] as const
export type Plan = (typeof PLANS)[number]

export type User = {
  id: TenantId
  username: string
  email: string
  firstName: string | null
  lastName: string | null
  /** Argon2id, PHC string. */
  passwordHash: string
  /** Tokens of another epoch are void; a new password begins a new one. */
  tokenEpoch: number
  /** Id of the one token of an earlier epoch that stays good: the one that the password was changed with. */
  keptToken: string | null
  /** On its way out: nobody gets in any more, what belongs to it is being removed. */
  leaving: boolean
  role: 'admin' | 'user'
  plan: Plan
  isActive: boolean
  createdAt: number
  updatedAt: number
}

export type ApiKey = {
  id: string
  tenantId: TenantId
  name: string
  /** SHA-256 of the whole key, hex. */
  hash: string
  /** For lists: `wapi_12…cdef`. */
  masked: string
  /** Null = everything the account may do. */
  scopes: Scope[] | null
  /** The only sessions that exist for this key; null = all of the account. */
  sessionIds: SessionId[] | null
  /** Addresses and CIDR ranges that the key may be used from; empty = everywhere. */
  ipAllowlist: string[]
  /** When the key stops working (ms). */
  expiresAt: number | null
  /** When the key was last used, to the minute (ms). */
  lastUsedAt: number | null
  /** The one that registration makes and `regenerate-api-key` replaces. */
  isDefault: boolean
  createdAt: number
}

/** What narrows a key down. */
export type KeyLimits = Pick<ApiKey, 'scopes' | 'sessionIds' | 'ipAllowlist' | 'expiresAt'>

/** Who is calling. */
export type Principal = {
  tenantId: TenantId
  username: string
  role: 'admin' | 'user'
  plan: Plan
  scopes: readonly Scope[]
  /** The only sessions that exist for these credentials; null = all of the account. */
  sessionIds: readonly SessionId[] | null
  /** Where they may be used from; empty = everywhere. */
  ipAllowlist: readonly string[]
  by:
    | { kind: 'token'; jti: string; epoch: number; expiresAt: number }
    | { kind: 'key'; keyId: string; expiresAt: number | null }
}

/** Whether a session is there at all for these credentials. */
export const reaches = (
  { tenantId, sessionIds }: Pick<Principal, 'tenantId' | 'sessionIds'>,
  session: { id: SessionId; tenantId: TenantId },
): boolean => session.tenantId === tenantId && (sessionIds === null || sessionIds.includes(session.id))

/** What an account can be changed in from outside. */
export type UserChange = Partial<
  Pick<
    User,
    | 'email'
    | 'firstName'
    | 'lastName'
    | 'passwordHash'
    | 'tokenEpoch'
    | 'keptToken'
    | 'role'
    | 'plan'
    | 'isActive'
  >
>

/** Accounts, keys and revoked tokens on disk. */
export interface Accounts {
  countUsers(): number
  /** The oldest administrator, who owns the server. */
  owner(): User | null
  userById(id: TenantId): User | null
  /** By username or e-mail address, without regard to case. */
  userByLogin(login: string): User | null
  /** With `onlyFirst` the answer is `closed` as soon as there is any account; looked at and written as one. */
  addUser(
    user: User,
    key: ApiKey,
    options: { onlyFirst: boolean },
  ): Promise<'added' | 'username_taken' | 'email_taken' | 'closed'>
  /** Oldest first. */
  listUsers(page: { limit: number; offset: number }): { users: User[]; total: number }
  /** Keeps at least one active administrator; looked at and written as one. */
  changeUser(
    id: TenantId,
    change: UserChange,
    at: number,
  ): Promise<'changed' | 'email_taken' | 'last_admin' | 'missing'>
  /** Closes the account and marks it as leaving, unless others would be left without an administrator. */
  beginRemoval(id: TenantId): Promise<'begun' | 'last_admin' | 'missing'>
  /** Accounts whose removal has begun and has not ended. */
  leaving(): User[]
  keyByHash(hash: string): ApiKey | null
  keyById(id: string): ApiKey | null
  keysOf(tenantId: TenantId): ApiKey[]
  saveKey(key: ApiKey): Promise<void>
  /** Notes when keys were last used (ms). */
  usedKeys(times: ReadonlyMap<string, number>): Promise<void>
  /** Puts `key` in the place of the tenant's default key. */
  replaceDefaultKey(key: ApiKey): Promise<void>
  removeKey(tenantId: TenantId, id: string): Promise<boolean>
  revokeToken(jti: string, expiresAt: number): Promise<void>
  isRevoked(jti: string): boolean
  /** Removes the account with its keys; its sessions are the supervisor's to remove first. */
  removeUser(id: TenantId): Promise<void>
}
