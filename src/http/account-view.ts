/** Accounts and keys as callers see and write them. */
import { Type } from '@sinclair/typebox'
import type { NewKey } from '../access/access'
import { asSessionId } from '../domain/ids'
import { type ApiKey, PLANS, SCOPES, type User } from '../domain/principal'
import { isoTime } from '../lib/clock'
import { isNetwork } from '../lib/networks'
import { nullable, oneOf, time } from './docs'
import type { Caller, SessionGate } from './guard'
import { parseMoment } from './moment'
import { type FieldProblem, invalid } from './query'

export const RoleSchema = Type.Union([Type.Literal('admin'), Type.Literal('user')])
export const PlanSchema = oneOf(PLANS)

export const userFields = {
  id: Type.String(),
  username: Type.String(),
  email: Type.String(),
  firstName: nullable(Type.String()),
  lastName: nullable(Type.String()),
  role: RoleSchema,
  plan: PlanSchema,
  isActive: Type.Boolean(),
  createdAt: time(),
}
export const UserView = Type.Object(userFields, { title: 'User' })
export const userView = (user: User) => ({
  id: user.id as string,
  username: user.username,
  email: user.email,
  firstName: user.firstName,
  lastName: user.lastName,
  role: user.role,
  plan: user.plan,
  isActive: user.isActive,
  createdAt: isoTime(user.createdAt),
})

const ScopeSchema = oneOf(SCOPES)
export const KeyView = Type.Object(
  {
    id: Type.String(),
    name: Type.String(),
    masked: Type.String({ examples: ['wapi_12…cdef'] }),
    scopes: nullable(Type.Array(ScopeSchema, { description: 'Null = all that the account may do' })),
    sessionIds: nullable(Type.Array(Type.String(), { description: 'Null = all sessions of the account' })),
    ipAllowlist: Type.Array(Type.String(), { description: 'Empty = from everywhere' }),
    expiresAt: nullable(time('Null = never')),
    lastUsedAt: nullable(time('To the minute')),
    isDefault: Type.Boolean(),
    createdAt: time(),
  },
  { title: 'ApiKey' },
)
const shownTime = (at: number | null) => (at === null ? null : isoTime(at))
export const keyView = (key: ApiKey) => ({
  id: key.id,
  name: key.name,
  masked: key.masked,
  scopes: key.scopes,
  sessionIds: key.sessionIds as string[] | null,
  ipAllowlist: key.ipAllowlist,
  expiresAt: shownTime(key.expiresAt),
  lastUsedAt: shownTime(key.lastUsedAt),
  isDefault: key.isDefault,
  createdAt: isoTime(key.createdAt),
})

export const Password = Type.String({ minLength: 8, maxLength: 256, examples: ['correct horse battery'] })
/** A password that is only compared: of whatever length it was set with. */
export const GivenPassword = Type.String({ maxLength: 256, examples: ['correct horse battery'] })
export const Email = Type.String({
  minLength: 3,
  maxLength: 254,
  pattern: '^[^@\\s]+@[^@\\s]+$',
  examples: ['ada@example.com'],
})
export const Username = Type.String({
  minLength: 3,
  maxLength: 30,
  pattern: '^[A-Za-z0-9_]+$',
  description: 'Letters, digits and underscores',
  examples: ['ada'],
})
const PersonName = nullable(Type.String({ minLength: 1, maxLength: 100, pattern: '\\S' }))
export const nameFields = { firstName: Type.Optional(PersonName), lastName: Type.Optional(PersonName) }
export const ApiKeyOnce = Type.String({ description: 'Shown this once', examples: ['wapi_…'] })

/** Most sessions, and most addresses and ranges, that a key can name. */
const MAX_SESSIONS = 1_000
const MAX_NETWORKS = 100

const keyFields = {
  name: Type.String({ minLength: 1, maxLength: 100, pattern: '\\S' }),
  scopes: Type.Optional(
    nullable(
      Type.Array(ScopeSchema, {
        minItems: 1,
        uniqueItems: true,
        description: 'All that the account may do when missing',
      }),
    ),
  ),
  sessionIds: Type.Optional(
    nullable(
      Type.Array(Type.String({ maxLength: 64 }), {
        minItems: 1,
        maxItems: MAX_SESSIONS,
        uniqueItems: true,
        description: 'No other session exists for this key; all of the account when missing',
      }),
    ),
  ),
  ipAllowlist: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      maxItems: MAX_NETWORKS,
      description: 'Addresses and CIDR ranges that it may be used from; everywhere when missing or empty',
      examples: [['203.0.113.0/24', '2001:db8::/32']],
    }),
  ),
  expiresAt: Type.Optional(
    nullable(Type.String({ maxLength: 40, description: 'ISO 8601; never when missing' })),
  ),
}
export const NewKeyBody = Type.Object(keyFields, { additionalProperties: false, title: 'NewApiKey' })
export const KeyChangeBody = Type.Object(
  { ...keyFields, name: Type.Optional(keyFields.name) },
  { additionalProperties: false, minProperties: 1, title: 'ApiKeyChange' },
)

/** Checks what the schema cannot say. Throws `VALIDATION_ERROR`, and `SESSION_NOT_FOUND` for sessions of others. */
export function checkedLimits(
  { gate, now }: { gate: SessionGate; now: number },
  caller: Caller,
  { scopes, sessionIds, ipAllowlist, expiresAt }: Omit<typeof KeyChangeBody.static, 'name'>,
): Omit<NewKey, 'name'> {
  const fields: FieldProblem[] = (ipAllowlist ?? []).flatMap((entry, index) =>
    isNetwork(entry) ? [] : [{ path: `/ipAllowlist/${index}`, message: 'Not an address or CIDR range' }],
  )
  const end = expiresAt ? parseMoment(expiresAt) : null
  if (expiresAt && end === null) fields.push({ path: '/expiresAt', message: 'Not an ISO 8601 date' })
  if (end !== null && end <= now) fields.push({ path: '/expiresAt', message: 'Is not in the future' })
  if (fields.length > 0) throw invalid('body', fields)
  for (const id of sessionIds ?? []) gate(caller, id)
  return {
    ...(scopes !== undefined && { scopes }),
    ...(sessionIds !== undefined && { sessionIds: sessionIds === null ? null : sessionIds.map(asSessionId) }),
    ...(ipAllowlist !== undefined && { ipAllowlist }),
    ...(expiresAt !== undefined && { expiresAt: end }),
  }
}
