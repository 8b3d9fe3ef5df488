/** What an account may do, and what is left of it for a key. */
import { type ApiKey, type Principal, SCOPES, type Scope, type User } from '../domain/principal'

const WITHOUT_ADMIN: readonly Scope[] = SCOPES.filter((scope) => scope !== 'admin')

/** Everything that an account may do. */
export const scopesOfUser = (user: Pick<User, 'role'>): readonly Scope[] =>
  user.role === 'admin' ? SCOPES : WITHOUT_ADMIN

/** A key never reaches beyond its account; `admin` holds all the others, and is nothing for a key of some sessions. */
export function scopesOfKey(
  user: Pick<User, 'role'>,
  key: Pick<ApiKey, 'scopes' | 'sessionIds'>,
): readonly Scope[] {
  const all = key.sessionIds === null ? scopesOfUser(user) : WITHOUT_ADMIN
  if (key.scopes === null) return all
  const own = all.filter((scope) => key.scopes?.includes(scope))
  return own.includes('admin') ? all : own
}

/** True when the credentials can do less, elsewhere or for a shorter time than the account itself. */
export const isLimited = ({ role, scopes, sessionIds, ipAllowlist, by }: Principal): boolean =>
  sessionIds !== null ||
  ipAllowlist.length > 0 ||
  (by.kind === 'key' && by.expiresAt !== null) ||
  scopesOfUser({ role }).some((scope) => !scopes.includes(scope))
