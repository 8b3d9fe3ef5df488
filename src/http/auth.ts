/** Accounts, tokens and keys. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { Access } from '../access/access'
import type { Clock } from '../lib/clock'
import { isoTime } from '../lib/clock'
import { ApiKeyOnce, Email, GivenPassword, Password, Username, UserView, userView } from './account-view'
import { type KeyRoutesParts, keyRoutes } from './auth-keys'
import { type ProfileRoutesParts, profileRoutes } from './auth-profile'
import { answer, notes, says, time } from './docs'
import { readJson } from './json'
import type { Tickets } from './tickets'

export type AuthRoutesParts = KeyRoutesParts &
  ProfileRoutesParts & { access: Access; tickets: Tickets; clock: Clock }

const tags = ['Authentication']

const Token = Type.String({ description: 'JWT, valid for 24 hours' })

const RegisterBody = Type.Object(
  { username: Username, email: Email, password: Password },
  { additionalProperties: false, title: 'Register' },
)
const LoginBody = Type.Object(
  {
    username: Type.Optional(Type.String({ maxLength: 254 })),
    email: Type.Optional(Type.String({ maxLength: 254 })),
    password: GivenPassword,
  },
  { additionalProperties: false, title: 'Login', description: 'With username or email' },
)
/** Makes the routes under `/api/auth`. */
export function authRoutes(parts: AuthRoutesParts) {
  const { guard, access, tickets } = parts
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
    .use(profileRoutes(parts))
    .use(keyRoutes(parts))
}
