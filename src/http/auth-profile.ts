/** The own account: look at it, change it, close it. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access } from '../access/access'
import { fail } from '../domain/errors'
import type { TenantId } from '../domain/ids'
import type { Messages } from '../domain/message'
import type { User } from '../domain/principal'
import type { Sessions } from '../domain/session'
import { Email, GivenPassword, nameFields, Password, UserView, userView } from './account-view'
import { answer, notes, nullable, says } from './docs'
import type { Guard } from './guard'
import { readJson } from './json'

export type ProfileRoutesParts = {
  guard: Guard
  access: Pick<Access, 'listKeys' | 'changeProfile' | 'changePassword' | 'close'>
  accounts: { userById(id: TenantId): User | null }
  sessions: Pick<Sessions, 'countByStatus'>
  messages: Pick<Messages, 'totalsSince'>
  /** Removes everything that belongs to an account that is closed. */
  removeAccount(id: TenantId): Promise<void>
}

const tags = ['Authentication']
const UPDATED = 'Profile updated successfully'
const CHANGED = 'Password changed successfully'
const DELETED = 'Account deleted successfully'

const ProfileBody = Type.Object(
  { email: Type.Optional(Email), ...nameFields },
  { additionalProperties: false, minProperties: 1, title: 'ProfileChange' },
)
const PasswordBody = Type.Object(
  { currentPassword: GivenPassword, newPassword: Password },
  { additionalProperties: false, title: 'PasswordChange' },
)

/** Makes the routes, which stand under `/api/auth`. */
export function profileRoutes(parts: ProfileRoutesParts) {
  const { guard, access, accounts, sessions, messages } = parts
  return new Elysia({ normalize: false })
    .use(guard)
    .get(
      '/profile',
      ({ caller: { principal } }) => {
        const { tenantId, sessionIds } = principal
        const user = accounts.userById(tenantId)
        if (!user) throw fail('AUTH_ACCOUNT_INACTIVE')
        const byStatus = sessions.countByStatus(tenantId, sessionIds)
        const totals = messages.totalsSince(tenantId, 0, sessionIds)
        const { connected, connecting, qr_generated } = byStatus
        const keys = sessionIds === null ? access.listKeys(principal) : []
        return {
          success: true as const,
          user: userView(user),
          apiKey: keys.find((key) => key.isDefault)?.masked ?? null,
          stats: {
            totalSessions: Object.values(byStatus).reduce((sum, count) => sum + count, 0),
            activeSessions: connected + connecting + qr_generated,
            messagesSent: totals.sent,
            messagesReceived: totals.received,
          },
        }
      },
      {
        access: 'account',
        response: {
          200: answer({
            user: UserView,
            apiKey: nullable(Type.String({ description: 'The default key, masked' })),
            stats: Type.Object({
              totalSessions: Type.Integer(),
              activeSessions: Type.Integer(),
              messagesSent: Type.Integer(),
              messagesReceived: Type.Integer(),
            }),
          }),
        },
        detail: notes({ summary: 'Get the own profile', tags }),
      },
    )
    .put(
      '/profile',
      async ({ caller, body }) => {
        const user = await access.changeProfile(caller.principal, body)
        return { success: true as const, message: UPDATED, user: userView(user) }
      },
      {
        parse: readJson,
        access: 'account',
        body: ProfileBody,
        response: { 200: answer({ message: says(UPDATED), user: UserView }) },
        detail: notes({
          summary: 'Update the own profile',
          description: 'Partial: what is left out keeps its value; null takes a name away.',
          tags,
          errors: ['FORBIDDEN', 'EMAIL_TAKEN'],
          requestExample: { email: 'ada@example.com', firstName: 'Ada', lastName: 'Lovelace' },
        }),
      },
    )
    .post(
      '/change-password',
      async ({ caller, body }) => {
        await access.changePassword(caller.principal, body)
        return { success: true as const, message: CHANGED }
      },
      {
        parse: readJson,
        access: 'account',
        attempts: 'password',
        body: PasswordBody,
        response: { 200: answer({ message: says(CHANGED) }) },
        detail: notes({
          summary: 'Change the password',
          description:
            'All other tokens of the account are void at once, and what they have open ends. API keys stay.',
          tags,
          errors: ['FORBIDDEN', 'AUTH_INVALID_CREDENTIALS', 'RATE_LIMIT_EXCEEDED'],
          requestExample: {
            currentPassword: 'correct horse battery',
            newPassword: 'incorrect horse battery',
          },
        }),
      },
    )
    .delete(
      '/account',
      async ({ caller }) => {
        await access.close(caller.principal)
        await parts.removeAccount(caller.principal.tenantId)
        return { success: true as const, message: DELETED }
      },
      {
        access: 'account',
        response: { 200: answer({ message: says(DELETED) }) },
        detail: notes({
          summary: 'Delete the own account',
          description:
            'Logs its devices out and removes all its data, for good. The last administrator can go only when nobody else is left.',
          tags,
          errors: ['FORBIDDEN', 'LAST_ADMIN'],
        }),
      },
    )
}
