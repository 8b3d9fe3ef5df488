/** Accounts, their keys, and tokens that were taken back. */
import type { Database } from 'bun:sqlite'
import { and, asc, eq, ne, or, sql } from 'drizzle-orm'
import type { BunSQLiteDatabase } from 'drizzle-orm/bun-sqlite'
import { asTenantId, type SessionId } from '../domain/ids'
import type { Accounts, ApiKey, Scope, User } from '../domain/principal'
import type { GroupCommit, Tx } from './group-commit'
import { apiKeys, idempotency, revokedTokens, users } from './schema'

/** Answers kept in memory at the same time. */
const REMEMBERED = 10_000

/** Names are compared without regard to case. */
const keyOf = (text: string): string => text.trim().toLowerCase()

const userOf = (row: typeof users.$inferSelect): User => ({
  id: asTenantId(row.id),
  username: row.username,
  email: row.email,
  firstName: row.firstName,
  lastName: row.lastName,
  passwordHash: row.passwordHash,
  tokenEpoch: row.tokenEpoch,
  keptToken: row.keptToken,
  leaving: row.leaving,
  role: row.role,
  plan: row.plan,
  isActive: row.isActive,
  createdAt: row.createdAt,
  updatedAt: row.updatedAt,
})

const apiKeyOf = (row: typeof apiKeys.$inferSelect): ApiKey => ({
  id: row.id,
  tenantId: asTenantId(row.tenant),
  name: row.name,
  hash: row.hash,
  masked: row.masked,
  scopes: row.scopes as Scope[] | null,
  sessionIds: row.sessionIds as SessionId[] | null,
  ipAllowlist: row.ipAllowlist ?? [],
  expiresAt: row.expiresAt,
  lastUsedAt: row.lastUsedAt,
  isDefault: row.isDefault,
  createdAt: row.createdAt,
})

const keyRow = ({ tenantId, ...key }: ApiKey): typeof apiKeys.$inferInsert => ({ ...key, tenant: tenantId })

export function createAccounts(parts: {
  database: Database
  drizzle: BunSQLiteDatabase
  writer: GroupCommit
  /** Removes what else belongs to an account, in the same transaction. */
  onRemoved: (tx: Tx, tenant: string) => void
}): Accounts {
  const { drizzle: db, writer } = parts
  const count = db.select({ n: sql<number>`count(*)` }).from(users).prepare()
  const byId = db
    .select()
    .from(users)
    .where(eq(users.id, sql.placeholder('id')))
    .prepare()
  const byLogin = db
    .select()
    .from(users)
    .where(or(eq(users.usernameKey, sql.placeholder('login')), eq(users.emailKey, sql.placeholder('login'))))
    .limit(1)
    .prepare()
  const first = db
    .select()
    .from(users)
    .where(eq(users.role, 'admin'))
    .orderBy(asc(users.createdAt), asc(users.id))
    .limit(1)
    .prepare()
  const byHash = db
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.hash, sql.placeholder('hash')))
    .prepare()
  const byKeyId = db
    .select()
    .from(apiKeys)
    .where(eq(apiKeys.id, sql.placeholder('id')))
    .prepare()
  const used = parts.database.prepare<unknown, [number, string]>(
    'UPDATE api_keys SET last_used_at = max(ifnull(last_used_at, 0), ?) WHERE id = ?',
  )
  /** Administrators that can log in, beside one account. */
  const otherAdmins = db
    .select({ n: sql<number>`count(*)` })
    .from(users)
    .where(and(eq(users.role, 'admin'), eq(users.isActive, true), ne(users.id, sql.placeholder('id'))))
    .prepare()
  const revoked = parts.database.prepare<{ one: number }, [string]>(
    'SELECT 1 AS one FROM revoked_tokens WHERE jti = ?',
  )
  /** What every request asks; forgotten as a whole with each write. */
  const remembered = new Map<string, unknown>()
  function remember<T>(name: string, read: () => T | null): T | null {
    const known = remembered.get(name)
    // Each name is only ever used with one type of answer.
    if (known !== undefined) return known as T
    const found = read()
    if (remembered.size >= REMEMBERED) remembered.clear()
    if (found !== null) remembered.set(name, found)
    return found
  }
  const write = <T>(work: (tx: Tx) => T): Promise<T> =>
    writer.run((tx) => {
      tx.afterCommit(() => remembered.clear())
      return work(tx)
    })
  const countUsers = () => count.get()?.n ?? 0
  const isLastAdmin = ({ id, role, isActive }: Pick<User, 'id' | 'role' | 'isActive'>): boolean =>
    role === 'admin' && isActive && (otherAdmins.get({ id })?.n ?? 0) === 0

  return {
    countUsers,
    owner: () =>
      remember('owner', () => {
        const row = first.get()
        return row ? userOf(row) : null
      }),
    userById: (id) =>
      remember(`user ${id}`, () => {
        const row = byId.get({ id })
        return row ? userOf(row) : null
      }),
    userByLogin(login) {
      const row = byLogin.get({ login: keyOf(login) })
      return row ? userOf(row) : null
    },
    addUser: (user, key, { onlyFirst }) =>
      write(() => {
        if (onlyFirst && countUsers() > 0) return 'closed'
        const usernameKey = keyOf(user.username)
        const emailKey = keyOf(user.email)
        if (byLogin.get({ login: usernameKey })) return 'username_taken'
        if (byLogin.get({ login: emailKey })) return 'email_taken'
        db.insert(users)
          .values({ ...user, usernameKey, emailKey })
          .run()
        db.insert(apiKeys).values(keyRow(key)).run()
        return 'added'
      }),
    listUsers({ limit, offset }) {
      const rows = db
        .select()
        .from(users)
        .orderBy(asc(users.createdAt), asc(users.id))
        .limit(limit)
        .offset(offset)
        .all()
      return { users: rows.map(userOf), total: countUsers() }
    },
    changeUser: (id, change, at) =>
      write(() => {
        const present = byId.get({ id })
        if (!present) return 'missing'
        const { role = present.role, isActive = present.isActive } = change
        if ((role !== 'admin' || !isActive) && isLastAdmin(userOf(present))) return 'last_admin'
        const emailKey = change.email === undefined ? present.emailKey : keyOf(change.email)
        const holder = byLogin.get({ login: emailKey })
        if (holder && holder.id !== id) return 'email_taken'
        db.update(users)
          .set({ ...change, emailKey, updatedAt: at })
          .where(eq(users.id, id))
          .run()
        return 'changed'
      }),
    beginRemoval: (id) =>
      write(() => {
        const present = byId.get({ id })
        if (!present) return 'missing'
        if (isLastAdmin(userOf(present)) && countUsers() > 1) return 'last_admin'
        db.update(users).set({ isActive: false, leaving: true }).where(eq(users.id, id)).run()
        return 'begun'
      }),
    leaving: () => db.select().from(users).where(eq(users.leaving, true)).all().map(userOf),
    keyById: (id) =>
      remember(`key id ${id}`, () => {
        const row = byKeyId.get({ id })
        return row ? apiKeyOf(row) : null
      }),
    // Nothing that is remembered goes by the time of the last use.
    usedKeys: (times) =>
      writer.run(() => {
        for (const [id, at] of times) used.run(at, id)
      }),
    keyByHash: (hash) =>
      remember(`key ${hash}`, () => {
        const row = byHash.get({ hash })
        return row ? apiKeyOf(row) : null
      }),
    keysOf: (tenantId) =>
      db
        .select()
        .from(apiKeys)
        .where(eq(apiKeys.tenant, tenantId))
        .orderBy(asc(apiKeys.createdAt), asc(apiKeys.id))
        .all()
        .map(apiKeyOf),
    async saveKey(key) {
      await write(() => {
        db.insert(apiKeys)
          .values(keyRow(key))
          .onConflictDoUpdate({ target: apiKeys.id, set: keyRow(key) })
          .run()
      })
    },
    async replaceDefaultKey(key) {
      await write(() => {
        db.delete(apiKeys)
          .where(and(eq(apiKeys.tenant, key.tenantId), eq(apiKeys.isDefault, true)))
          .run()
        db.insert(apiKeys)
          .values(keyRow({ ...key, isDefault: true }))
          .run()
      })
    },
    removeKey: (tenantId, id) =>
      write(
        () =>
          db
            .delete(apiKeys)
            .where(and(eq(apiKeys.tenant, tenantId), eq(apiKeys.id, id)))
            .returning({ id: apiKeys.id })
            .all().length > 0,
      ),
    async revokeToken(jti, expiresAt) {
      await write(() => {
        db.insert(revokedTokens).values({ jti, expiresAt }).onConflictDoNothing().run()
      })
    },
    isRevoked: (jti) => revoked.get(jti) !== null,
    async removeUser(id) {
      await write((tx) => {
        db.delete(apiKeys).where(eq(apiKeys.tenant, id)).run()
        db.delete(idempotency).where(eq(idempotency.tenant, id)).run()
        db.delete(users).where(eq(users.id, id)).run()
        parts.onRemoved(tx, id)
      })
    },
  }
}
