/** What an account may do, and what is left of it for a key. */
import { type ApiKey, SCOPES, type Scope, type User } from '../domain/principal'

const WITHOUT_ADMIN: readonly Scope[] = SCOPES.filter((scope) => scope !== 'admin')

/** Everything that an account may do. */
export const scopesOfUser = (user: Pick<User, 'role'>): readonly Scope[] =>
  user.role === 'admin' ? SCOPES : WITHOUT_ADMIN

/** A key never reaches beyond its account; `admin` holds all the others. */
export function scopesOfKey(user: Pick<User, 'role'>, key: Pick<ApiKey, 'scopes'>): readonly Scope[] {
  const all = scopesOfUser(user)
  if (key.scopes === null) return all
  const own = all.filter((scope) => key.scopes?.includes(scope))
  return own.includes('admin') ? all : own
}
