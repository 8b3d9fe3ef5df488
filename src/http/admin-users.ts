/** All accounts of this server, for its administrators: who they are and how much they have, never what is in it. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access } from '../access/access'
import { fail } from '../domain/errors'
import { asTenantId, type TenantId } from '../domain/ids'
import type { Accounts, User } from '../domain/principal'
import type { Sessions } from '../domain/session'
import {
  ApiKeyOnce,
  Email,
  nameFields,
  Password,
  PlanSchema,
  RoleSchema,
  Username,
  userFields,
  userView,
} from './account-view'
import { answer, notes, says } from './docs'
import type { Guard } from './guard'
import type { Idempotent } from './idempotent'
import { readJson } from './json'
import { limitParameter, offsetParameter } from './query'

export type AdminUserRoutesParts = {
  guard: Guard
  access: Pick<Access, 'createAccount' | 'changeAccount' | 'closeAccount'>
  accounts: Pick<Accounts, 'userById' | 'listUsers' | 'keysOf'>
  sessions: Pick<Sessions, 'countByStatus'>
  idempotent: Idempotent
  /** Removes everything that belongs to an account that is closed. */
  removeAccount(id: TenantId): Promise<void>
  /** Stops the sessions of an account; their devices stay linked. */
  stopAccount(id: TenantId): Promise<void>
}

const tags = ['Administration']
const CREATED = 'Account created successfully'
const UPDATED = 'Account updated successfully'
const DELETED = 'Account deleted successfully'

const AccountView = Type.Object(
  {
    ...userFields,
    counts: Type.Object({
      sessions: Type.Integer(),
      connectedSessions: Type.Integer(),
      apiKeys: Type.Integer(),
    }),
  },
  { title: 'Account' },
)
const kindFields = {
  role: Type.Optional(RoleSchema),
  plan: Type.Optional(PlanSchema),
  isActive: Type.Optional(Type.Boolean()),
}
const NewAccountBody = Type.Object(
  { username: Username, email: Email, password: Password, ...nameFields, ...kindFields },
  { additionalProperties: false, title: 'NewAccount' },
)
const AccountChangeBody = Type.Object(kindFields, {
  additionalProperties: false,
  minProperties: 1,
  title: 'AccountChange',
})
const params = Type.Object({ id: Type.String({ description: 'Account id' }) })
const account = { account: AccountView }

/** Makes the routes under `/api/admin/users`. */
export function adminUserRoutes(parts: AdminUserRoutesParts) {
  const { guard, access, accounts, sessions, idempotent } = parts
  const view = (user: User) => {
    const byStatus = sessions.countByStatus(user.id)
    return {
      ...userView(user),
      counts: {
        sessions: Object.values(byStatus).reduce((sum, count) => sum + count, 0),
        connectedSessions: byStatus.connected,
        apiKeys: accounts.keysOf(user.id).length,
      },
    }
  }
  return new Elysia({ prefix: '/api/admin/users', normalize: false })
    .use(guard)
    .get(
      '/',
      ({ query: { limit, offset } }) => {
        const { users, total } = accounts.listUsers({ limit, offset })
        return {
          success: true as const,
          accounts: users.map(view),
          total,
          limit,
          offset,
          hasMore: offset + users.length < total,
        }
      },
      {
        access: 'admin',
        query: Type.Object(
          { limit: limitParameter, offset: offsetParameter },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            accounts: Type.Array(AccountView),
            total: Type.Integer(),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({ summary: 'List accounts', description: 'Oldest first.', tags }),
      },
    )
    .post(
      '/',
      (context) =>
        idempotent(
          // A password leaves no fast hash behind.
          { ...context, body: { ...context.body, password: null } },
          async () => {
            const { user, apiKey } = await access.createAccount(context.caller.principal, context.body)
            return { success: true as const, message: CREATED, account: view(user), apiKey }
          },
          201,
        ),
      {
        parse: readJson,
        access: 'admin',
        body: NewAccountBody,
        response: { 201: answer({ message: says(CREATED), ...account, apiKey: ApiKeyOnce }) },
        detail: notes({
          summary: 'Create an account',
          description: 'Whatever REGISTRATION says; the plan is DEFAULT_PLAN unless one is given.',
          tags,
          errors: ['FORBIDDEN', 'USERNAME_TAKEN', 'EMAIL_TAKEN', 'RATE_LIMIT_EXCEEDED'],
          requestExample: {
            username: 'ada',
            email: 'ada@example.com',
            password: 'correct horse battery',
            plan: 'pro',
          },
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .get(
      '/:id',
      ({ params: { id } }) => {
        const user = accounts.userById(asTenantId(id))
        if (!user) throw fail('USER_NOT_FOUND')
        return { success: true as const, account: view(user) }
      },
      {
        access: 'admin',
        params,
        response: { 200: answer(account) },
        detail: notes({ summary: 'Get an account', tags, errors: ['USER_NOT_FOUND'] }),
      },
    )
    .patch(
      '/:id',
      async ({ caller, params, body }) => {
        const id = asTenantId(params.id)
        const user = await access.changeAccount(caller.principal, id, body)
        if (!user.isActive) await parts.stopAccount(id)
        return { success: true as const, message: UPDATED, account: view(user) }
      },
      {
        parse: readJson,
        access: 'admin',
        params,
        body: AccountChangeBody,
        response: { 200: answer({ message: says(UPDATED), ...account }) },
        detail: notes({
          summary: 'Change plan, role or state of an account',
          description:
            'In force at once, also for what is open. An account that is not active has no way in, and its sessions are stopped; they stay linked.',
          tags,
          errors: ['FORBIDDEN', 'USER_NOT_FOUND', 'LAST_ADMIN'],
          requestExample: { plan: 'pro', isActive: true },
        }),
      },
    )
    .delete(
      '/:id',
      async ({ params }) => {
        const id = asTenantId(params.id)
        await access.closeAccount(id)
        await parts.removeAccount(id)
        return { success: true as const, message: DELETED }
      },
      {
        access: 'admin',
        params,
        response: { 200: answer({ message: says(DELETED) }) },
        detail: notes({
          summary: 'Delete an account',
          description: 'Logs its devices out and removes all its data, for good.',
          tags,
          errors: ['USER_NOT_FOUND', 'LAST_ADMIN'],
        }),
      },
    )
}
