/** `wabun user`: accounts looked at, made and let in again, with the server stopped. */
import { createAccess } from '../access/access'
import { type Config, ConfigError } from '../config'
import { ownEntry } from '../domain/audit'
import { AppError } from '../domain/errors'
import { asTenantId } from '../domain/ids'
import { PLANS, type Plan, type Principal, SCOPES } from '../domain/principal'
import { systemClock } from '../lib/clock'
import { silentLog } from '../lib/log'
import { randomToken } from '../lib/token'
import type { Storage } from '../storage/open'
import { printWhole } from './print'
import { whileStopped } from './stopped'
import type { USER_FLAGS, USER_VERBS } from './user-words'

type Flag = keyof typeof USER_FLAGS
export type UserFlags = Partial<Record<Flag, string | true>>

const STOPPED = {
  refused: 'The accounts cannot be opened',
  running: 'a running server has /api/admin/users',
}
const PAGE = 100
const SHORTEST_PASSWORD = 8

/** Who has the data directory has everything in it. */
const OPERATOR: Principal = {
  tenantId: asTenantId('operator'),
  username: 'operator',
  role: 'admin',
  plan: 'enterprise',
  scopes: SCOPES,
  sessionIds: null,
  ipAllowlist: [],
  by: { kind: 'key', keyId: 'operator', expiresAt: null },
}

/** Resolves with the exit code. */
export async function userCommand(config: Config, verb: string, flags: UserFlags): Promise<number> {
  try {
    return await whileStopped(config, { ...STOPPED, makes: verb === 'create' }, async (storage) => {
      await VERBS[verb as keyof typeof USER_VERBS](storage, config, flags)
      return 0
    })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    process.stderr.write(`${error.message}\n`)
    return 1
  }
}

const accessTo = ({ accounts }: Storage, { registration, defaultPlan }: Config) =>
  createAccess({
    accounts,
    clock: systemClock,
    log: silentLog,
    registration,
    defaultPlan,
    // No token is made or judged here.
    jwtSecret: randomToken(32),
  })

type Verb = (storage: Storage, config: Config, flags: UserFlags) => Promise<void>

const VERBS: Record<keyof typeof USER_VERBS, Verb> = {
  async list({ accounts }) {
    for (let offset = 0; ; offset += PAGE) {
      const { users, total } = accounts.listUsers({ limit: PAGE, offset })
      const lines = users.map(({ id, username, email, role, plan, isActive }) =>
        [id, username, email, role, plan, isActive ? 'active' : 'inactive'].join('\t'),
      )
      await printWhole(lines.map((line) => `${line}\n`).join(''))
      if (offset + users.length >= total) return
    }
  },
  async create(storage, config, flags) {
    const isFirst = storage.accounts.countUsers() === 0
    const { password, shown } = await passwordOf(flags)
    const { user, apiKey } = await accessTo(storage, config).createAccount(OPERATOR, {
      username: checked(flags, '--username', /^[A-Za-z0-9_]{3,30}$/, '3 to 30 letters, digits or _'),
      email: checked(flags, '--email', /^[^@\s]{1,127}@[^@\s]{1,126}$/, 'an e-mail address'),
      password,
      role: word(flags, '--role', ['admin', 'user'], isFirst ? 'admin' : 'user'),
      plan: word<Plan>(flags, '--plan', PLANS, isFirst ? 'enterprise' : config.defaultPlan),
    })
    await storage.audit.append(ownEntry('wabun user create', systemClock.now(), user.id))
    await printWhole(`account ${user.id}\nAPI key ${apiKey}\n${shown}`)
  },
  async 'reset-password'(storage, config, flags) {
    const name = flags['--username']
    const user = typeof name === 'string' ? storage.accounts.userByLogin(name) : null
    if (!user) throw new ConfigError([{ name: '--username', says: 'There is no such account' }])
    const { password, shown } = await passwordOf(flags)
    await accessTo(storage, config).resetPassword(user.id, password)
    await storage.audit.append(ownEntry('wabun user reset-password', systemClock.now(), user.id))
    await printWhole(`The password of ${user.username} was changed.\n${shown}`)
  },
}

/** A password that is given is not shown again; secrets are never taken from the command line itself. */
async function passwordOf(flags: UserFlags): Promise<{ password: string; shown: string }> {
  if (flags['--password-stdin'] === undefined) {
    const password = randomToken(18)
    return { password, shown: `password ${password}\n` }
  }
  const password = (await Bun.stdin.text()).replace(/\r?\n$/, '')
  if (password.length < SHORTEST_PASSWORD || password.length > 256) {
    throw new ConfigError([{ name: '--password-stdin', says: 'A password has 8 to 256 characters' }])
  }
  return { password, shown: '' }
}

function checked(flags: UserFlags, name: Flag, form: RegExp, says: string): string {
  const value = flags[name]
  if (typeof value === 'string' && form.test(value)) return value
  throw new ConfigError([{ name, says: `Give ${says}` }])
}

function word<Word extends string>(
  flags: UserFlags,
  name: Flag,
  words: readonly Word[],
  standard: Word,
): Word {
  const given = flags[name]
  if (given === undefined) return standard
  const found = words.find((one) => one === given)
  if (found === undefined) throw new ConfigError([{ name, says: `Use one of ${words.join(', ')}` }])
  return found
}
