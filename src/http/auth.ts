/** Accounts, tokens and keys. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access } from '../access/access'
import { fail } from '../domain/errors'
import type { TenantId } from '../domain/ids'
import type { Messages } from '../domain/message'
import { type ApiKey, PLANS, SCOPES, type User } from '../domain/principal'
import type { Sessions } from '../domain/session'
import { isoTime } from '../lib/clock'
import { answer, notes, nullable, oneOf, says, time } from './docs'
import type { Guard } from './guard'
import type { Idempotent } from './idempotent'
import { readJson } from './json'
import type { Tickets } from './tickets'

export type AuthRoutesParts = {
  guard: Guard
  access: Access
  accounts: { userById(id: TenantId): User | null }
  sessions: Pick<Sessions, 'countByStatus'>
  messages: Pick<Messages, 'totalsSince'>
  tickets: Tickets
  idempotent: Idempotent
}

const tags = ['Authentication']

const UserView = Type.Object(
  {
    id: Type.String(),
    username: Type.String(),
    email: Type.String(),
    role: Type.Union([Type.Literal('admin'), Type.Literal('user')]),
    plan: oneOf(PLANS),
    isActive: Type.Boolean(),
    createdAt: time(),
  },
  { title: 'User' },
)
const userView = ({ id, username, email, role, plan, isActive, createdAt }: User) => ({
  id,
  username,
  email,
  role,
  plan,
  isActive,
  createdAt: isoTime(createdAt),
})

const ScopeSchema = oneOf(SCOPES)
const KeyView = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    masked: Type.String({ examples: ['wapi_12…cdef'] }),
    scopes: nullable(Type.Array(ScopeSchema, { description: 'Null = all that the account may do' })),
    isDefault: Type.Boolean(),
    createdAt: time(),
  },
  { title: 'ApiKey' },
)
const keyView = ({ id, name, masked, scopes, isDefault, createdAt }: ApiKey) => ({
  id,
  name,
  masked,
  scopes,
  isDefault,
  createdAt: isoTime(createdAt),
})

const Password = Type.String({ minLength: 8, maxLength: 256, examples: ['correct horse battery'] })
const Email = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: '^[^@\\s]+@[^@\\s]+$',
  examples: ['ada@example.com'],
})
const Username = Type.String({
  minLength: 3,
  maxLength: 30,
  pattern: '^[A-Za-z0-9_]+$',
  description: 'Letters, digits and underscores',
  examples: ['ada'],
})
const Token = Type.String({ description: 'JWT, valid for 24 hours' })
const ApiKeyOnce = Type.String({ description: 'Shown this once', examples: ['wapi_…'] })

const RegisterBody = Type.Object(
  { username: Username, email: Email, password: Password },
  { additionalProperties: false, title: 'Register' },
)
const LoginBody = Type.Object(
  {
    username: Type.Optional(Type.String({ maxLength: 254 })),
    email: Type.Optional(Type.String({ maxLength: 254 })),
    password: Type.String({ maxLength: 256 }),
  },
  { additionalProperties: false, title: 'Login', description: 'With username or email' },
)
const NewKeyBody = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S' }),
    scopes: Type.Optional(Type.Array(ScopeSchema, { minItems: 1, uniqueItems: true })),
  },
  { additionalProperties: false, title: 'NewApiKey' },
)

/** Makes the routes under `/api/auth`. */
export function authRoutes(parts: AuthRoutesParts) {
  const { guard, access, accounts, sessions, messages, tickets, idempotent } = parts
  const bodyOf = { parse: readJson }
  const credentials = ['AUTH_INVALID_CREDENTIALS', 'AUTH_ACCOUNT_INACTIVE', 'RATE_LIMIT_EXCEEDED'] as const
  return new Elysia({ prefix: '/api/auth', normalize: false })
    .use(guard)
    .post(
      '/register',
      async ({ body, set }) => {
        const { user, token, apiKey } = await access.register(body)
        set.status = 201
        return {
          success: true as const,
          message: 'User registered successfully',
          user: userView(user),
          token,
          apiKey,
        }
      },
      {
        ...bodyOf,
        attempts: 'password',
        body: RegisterBody,
        response: {
          201: answer({
            message: says('User registered successfully'),
            user: UserView,
            token: Token,
            apiKey: ApiKeyOnce,
          }),
        },
        detail: notes({
          summary: 'Register',
          description: 'The first account becomes the owner; later ones need REGISTRATION=open.',
          tags,
          errors: ['REGISTRATION_CLOSED', 'USERNAME_TAKEN', 'EMAIL_TAKEN', 'RATE_LIMIT_EXCEEDED'],
          requestExample: { username: 'ada', email: 'ada@example.com', password: 'correct horse battery' },
        }),
      },
    )
    .post(
      '/login',
      async ({ body }) => {
        const { user, token, expiresIn } = await access.login(body)
        return { success: true as const, message: 'Login successful', user: userView(user), token, expiresIn }
      },
      {
        ...bodyOf,
        attempts: 'password',
        body: LoginBody,
        response: {
          200: answer({
            message: says('Login successful'),
            user: UserView,
            token: Token,
            expiresIn: Type.Literal('24h'),
          }),
        },
        detail: notes({
          summary: 'Log in',
          tags,
          errors: credentials,
          requestExample: { username: 'ada', password: 'correct horse battery' },
        }),
      },
    )
    .post(
      '/refresh',
      async ({ body }) => ({ success: true as const, ...(await access.refresh(body.token)) }),
      {
        ...bodyOf,
        attempts: 'token',
        body: Type.Object(
          { token: Type.String({ minLength: 1, maxLength: 4096 }) },
          { additionalProperties: false, title: 'Refresh' },
        ),
        response: { 200: answer({ token: Token, expiresIn: Type.Literal('24h') }) },
        detail: notes({
          summary: 'Exchange a valid token for a new one',
          tags,
          errors: [
            'AUTH_INVALID_TOKEN',
            'AUTH_TOKEN_EXPIRED',
            'AUTH_ACCOUNT_INACTIVE',
            'RATE_LIMIT_EXCEEDED',
          ],
        }),
      },
    )
    .post(
      '/logout',
      async ({ caller }) => {
        await access.logout(caller.principal)
        return { success: true as const, message: 'Logout successful' }
      },
      {
        access: 'account',
        response: { 200: answer({ message: says('Logout successful') }) },
        detail: notes({ summary: 'Revoke this token', tags }),
      },
    )
    .post(
      '/ticket',
      ({ caller, set }) => {
        const { ticket, expiresAt } = tickets.issue(caller.principal)
        set.status = 201
        return { success: true as const, ticket, expiresAt: isoTime(expiresAt) }
      },
      {
        access: 'account',
        response: { 201: answer({ ticket: Type.String(), expiresAt: time() }) },
        detail: notes({
          summary: 'Get a one-time ticket',
          description:
            'For clients that cannot set headers: open a WebSocket or an EventSource with ?ticket=. 30 seconds, one use.',
          tags,
        }),
      },
    )
    .get(
      '/profile',
      ({ caller }) => {
        const { tenantId } = caller.principal
        const user = accounts.userById(tenantId)
        if (!user) throw fail('AUTH_ACCOUNT_INACTIVE')
        const byStatus = sessions.countByStatus(tenantId)
        const totals = messages.totalsSince(tenantId, 0)
        const { connected, connecting, qr_generated } = byStatus
        return {
          success: true as const,
          user: userView(user),
          apiKey: access.listKeys(caller.principal).find((key) => key.isDefault)?.masked ?? null,
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
            apiKey: nullable(Type.String({ description: 'Masked' })),
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
    .post(
      '/regenerate-api-key',
      async ({ caller }) => {
        const { apiKey } = await access.regenerateKey(caller.principal)
        return { success: true as const, message: 'API key regenerated successfully', apiKey }
      },
      {
        access: 'account',
        response: { 200: answer({ message: says('API key regenerated successfully'), apiKey: ApiKeyOnce }) },
        detail: notes({
          summary: 'Replace the default API key',
          description: 'The old key stops working at once.',
          tags,
          errors: ['FORBIDDEN'],
        }),
      },
    )
    .get(
      '/api-keys',
      ({ caller }) => {
        const apiKeys = access.listKeys(caller.principal).map(keyView)
        return { success: true as const, apiKeys, total: apiKeys.length }
      },
      {
        access: 'account',
        response: { 200: answer({ apiKeys: Type.Array(KeyView), total: Type.Integer() }) },
        detail: notes({ summary: 'List API keys', tags, errors: ['FORBIDDEN'] }),
      },
    )
    .post(
      '/api-keys',
      (context) =>
        idempotent(
          context,
          async () => {
            const { key, apiKey } = await access.createKey(context.caller.principal, context.body)
            return {
              success: true as const,
              message: 'API key created successfully',
              key: keyView(key),
              apiKey,
            }
          },
          201,
        ),
      {
        ...bodyOf,
        access: 'account',
        body: NewKeyBody,
        response: {
          201: answer({ message: says('API key created successfully'), key: KeyView, apiKey: ApiKeyOnce }),
        },
        detail: notes({
          summary: 'Create an API key',
          tags,
          errors: ['FORBIDDEN'],
          requestExample: { name: 'Reporting', scopes: ['sessions:read', 'messages:read'] },
        }),
      },
    )
    .delete(
      '/api-keys/:id',
      async ({ caller, params }) => {
        await access.removeKey(caller.principal, params.id)
        return { success: true as const, message: 'API key deleted successfully' }
      },
      {
        access: 'account',
        params: Type.Object({ id: Type.String({ description: 'Key id' }) }),
        response: { 200: answer({ message: says('API key deleted successfully') }) },
        detail: notes({
          summary: 'Delete an API key',
          description: 'It stops working at once.',
          tags,
          errors: ['FORBIDDEN', 'API_KEY_NOT_FOUND'],
        }),
      },
    )
}
