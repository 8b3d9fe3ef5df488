/** Accounts: made, logged in, changed and closed, by their people and by administrators. */
import { fail } from '../domain/errors'
import { asTenantId } from '../domain/ids'
import type { Accounts, Plan, Principal, User, UserChange } from '../domain/principal'
import type { Clock } from '../lib/clock'
import type { Log } from '../lib/log'
import { randomToken } from '../lib/token'
import type { Access, NewAccount } from './access'
import type { Tokens } from './jwt'
import { type createKeys, wholeAccount } from './keys'
import type { Passwords } from './passwords'
import type { Revoked } from './revocation'
import { isLimited } from './scopes'

/** No hash has this form, so no password opens the account. */
const NO_PASSWORD = '!'

type People = Pick<
  Access,
  | 'register'
  | 'login'
  | 'logout'
  | 'changeProfile'
  | 'changePassword'
  | 'resetPassword'
  | 'close'
  | 'createAccount'
  | 'changeAccount'
  | 'closeAccount'
>
type Kind = Pick<User, 'role' | 'plan' | 'isActive'>
type Named = Pick<User, 'username' | 'email' | 'passwordHash'> & Partial<Pick<User, 'firstName' | 'lastName'>>

/** Makes them; `owner` is the account that owns the server, made when nobody has registered yet. */
export function createPeople(parts: {
  accounts: Accounts
  clock: Clock
  log: Log
  registration: 'first' | 'open'
  defaultPlan: Plan
  passwords: Passwords
  tokens: Tokens
  newKey: ReturnType<typeof createKeys>['make']
  revoked: Revoked
}): People & { owner(): Promise<User | null> } {
  const { accounts, clock, log, registration, defaultPlan, passwords, tokens, newKey, revoked } = parts
  const OWNER: Kind = { role: 'admin', plan: 'enterprise', isActive: true }
  const USER: Kind = { role: 'user', plan: defaultPlan, isActive: true }

  /** Null when it was to be the first account and is not. Throws `USERNAME_TAKEN`, `EMAIL_TAKEN`. */
  async function add(
    named: Named,
    kind: Kind,
    onlyFirst: boolean,
  ): Promise<{ user: User; apiKey: string } | null> {
    const at = clock.now()
    const user: User = {
      id: asTenantId(`usr_${randomToken(12)}`),
      firstName: null,
      lastName: null,
      ...named,
      ...kind,
      tokenEpoch: 0,
      keptToken: null,
      leaving: false,
      createdAt: at,
      updatedAt: at,
    }
    const { key, apiKey } = newKey(user.id, 'Default', { isDefault: true })
    const outcome = await accounts.addUser(user, key, { onlyFirst })
    if (outcome === 'username_taken') throw fail('USERNAME_TAKEN')
    if (outcome === 'email_taken') throw fail('EMAIL_TAKEN')
    return outcome === 'added' ? { user, apiKey } : null
  }

  const hashed = async ({ username, email, password }: NewAccount) => ({
    username,
    email,
    passwordHash: await passwords.hash(password),
  })

  async function change(id: User['id'], to: UserChange): Promise<User> {
    const outcome = await accounts.changeUser(id, to, clock.now())
    const user = accounts.userById(id)
    if (outcome === 'email_taken') throw fail('EMAIL_TAKEN')
    if (outcome === 'last_admin') throw fail('LAST_ADMIN')
    if (outcome === 'missing' || !user) throw fail('USER_NOT_FOUND')
    revoked({ tenantId: id })
    return user
  }

  async function closeAccount(id: User['id']): Promise<void> {
    const outcome = await accounts.beginRemoval(id)
    if (outcome === 'last_admin') throw fail('LAST_ADMIN')
    if (outcome === 'missing') throw fail('USER_NOT_FOUND')
    revoked({ tenantId: id })
    log.info('An account is being removed', { user: id })
  }

  /** What is limited itself must not make an administrator, who is not. */
  function refuseAdmin(principal: Principal, role: User['role'] | undefined): void {
    if (role === 'admin' && isLimited(principal)) {
      throw fail('FORBIDDEN', undefined, 'A limited key cannot make an administrator')
    }
  }

  return {
    async owner() {
      const present = accounts.owner()
      if (present) return present
      const named = { username: 'owner', email: 'owner@localhost', passwordHash: NO_PASSWORD }
      await add(named, OWNER, true)
      return accounts.owner()
    },
    async register(input) {
      if (registration === 'first' && accounts.countUsers() > 0) throw fail('REGISTRATION_CLOSED')
      const named = await hashed(input)
      // The first account becomes the owner, decided in the transaction that stores it.
      const made =
        (await add(named, OWNER, true)) ?? (registration === 'open' ? await add(named, USER, false) : null)
      if (!made) throw fail('REGISTRATION_CLOSED')
      const { token } = await tokens.issue(made.user.id, made.user.tokenEpoch)
      log.info('An account was registered', { user: made.user.id, role: made.user.role })
      return { ...made, token }
    },
    async login({ username, email, password }) {
      const name = username ?? email
      const user = name === undefined ? null : accounts.userByLogin(name)
      const matches = await passwords.verify(password, user?.passwordHash ?? null)
      if (!matches || !user) throw fail('AUTH_INVALID_CREDENTIALS')
      if (!user.isActive) throw fail('AUTH_ACCOUNT_INACTIVE')
      // Of the epoch of the password that was just shown: one that was changed meanwhile opens nothing.
      const { token } = await tokens.issue(user.id, user.tokenEpoch)
      return { user, token, expiresIn: '24h' }
    },
    async logout({ tenantId, by }) {
      if (by.kind === 'key') {
        throw fail('FORBIDDEN', { action: 'Delete the API key instead' }, 'An API key cannot be logged out')
      }
      await accounts.revokeToken(by.jti, by.expiresAt)
      revoked({ tenantId, jti: by.jti })
    },
    async changeProfile(principal, to) {
      return change(wholeAccount(accounts, principal).id, to)
    },
    async changePassword(principal, { currentPassword, newPassword }) {
      const { id, passwordHash } = wholeAccount(accounts, principal)
      if (!(await passwords.verify(currentPassword, passwordHash))) throw fail('AUTH_INVALID_CREDENTIALS')
      const fresh = await passwords.hash(newPassword)
      // Another change may have come between, and with it the end of these credentials.
      const user = wholeAccount(accounts, principal)
      if (user.passwordHash !== passwordHash) throw fail('AUTH_INVALID_CREDENTIALS')
      const { by } = principal
      await change(id, {
        passwordHash: fresh,
        tokenEpoch: user.tokenEpoch + 1,
        keptToken: by.kind === 'token' ? by.jti : null,
      })
      log.info('A password was changed', { user: id })
    },
    async resetPassword(id, password) {
      const passwordHash = await passwords.hash(password)
      const tokenEpoch = (accounts.userById(id)?.tokenEpoch ?? 0) + 1
      await change(id, { passwordHash, tokenEpoch, keptToken: null })
    },
    close: async (principal) => closeAccount(wholeAccount(accounts, principal).id),
    async createAccount(principal, { role, plan, isActive, firstName, lastName, ...input }) {
      refuseAdmin(principal, role)
      const kind = { ...USER, ...(role && { role }), ...(plan && { plan }), isActive: isActive ?? true }
      const named = { ...(await hashed(input)), firstName: firstName ?? null, lastName: lastName ?? null }
      const made = await add(named, kind, false)
      if (!made) throw new Error('An account was not added')
      log.info('An account was made', { user: made.user.id, role: made.user.role })
      return made
    },
    async changeAccount(principal, id, to) {
      refuseAdmin(principal, to.role)
      return change(id, to)
    },
    closeAccount,
  }
}
