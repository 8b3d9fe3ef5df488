/** Accounts, keys, and what a caller may do. */
import type { TenantId } from './ids'

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

/** Sessions per plan; null = unlimited (contract §1). */
export const PLAN_SESSIONS: Record<Plan, number | null> = { free: 3, pro: 10, enterprise: null }

export type User = {
  id: TenantId
  username: string
  email: string
  /** Argon2id, PHC string. */
  passwordHash: string
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
  /** The one that registration makes and `regenerate-api-key` replaces. */
  isDefault: boolean
  createdAt: number
}

/** Who is calling. */
export type Principal = {
  tenantId: TenantId
  username: string
  role: 'admin' | 'user'
  plan: Plan
  scopes: readonly Scope[]
  by: { kind: 'token'; jti: string; expiresAt: number } | { kind: 'key'; keyId: string }
}

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
  keyByHash(hash: string): ApiKey | null
  keysOf(tenantId: TenantId): ApiKey[]
  saveKey(key: ApiKey): Promise<void>
  /** Puts `key` in the place of the tenant's default key. */
  replaceDefaultKey(key: ApiKey): Promise<void>
  removeKey(tenantId: TenantId, id: string): Promise<boolean>
  revokeToken(jti: string, expiresAt: number): Promise<void>
  isRevoked(jti: string): boolean
  /** Removes the account with its keys; its sessions are the supervisor's to remove first. */
  removeUser(id: TenantId): Promise<void>
}
