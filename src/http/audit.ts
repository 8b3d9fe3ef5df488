/** The audit log over HTTP: reading it, and proving that nothing of it was changed. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { AUDIT_PROBLEMS, AUDIT_WORDS, type Audit, type AuditRow } from '../domain/audit'
import { fail } from '../domain/errors'
import { isoTime } from '../lib/clock'
import { answer, notes, nullable, oneOf, time } from './docs'
import type { Guard } from './guard'
import { moment } from './moment'
import { limitParameter } from './query'

export type AuditRoutesParts = { guard: Guard; audit: Audit }

const tags = ['Administration']

const EntryView = Type.Object(
  {
    number: Type.Integer({ description: 'Without gaps; the first of a server is 1' }),
    at: time('When it was asked for'),
    accountId: nullable(Type.String({ description: 'Null = nobody that is known' })),
    credential: nullable(Type.String({ description: 'Id of the API key, or token:<id>' })),
    action: Type.String({
      description: `A route as this document names it, or one of ${Object.keys(AUDIT_WORDS).join(', ')}`,
      examples: ['POST /api/sessions/{id}/start'],
    }),
    object: nullable(Type.String({ description: 'Id of what it was done to' })),
    sessionId: nullable(Type.String()),
    address: nullable(Type.String({ description: 'Erased together with the account' })),
    userAgent: nullable(Type.String()),
    result: Type.String({
      description: 'ok, the code of the error, or INTERRUPTED when the process ended in the middle of it',
    }),
    count: Type.Integer({ description: 'How many like ones of a minute are told together here' }),
    fields: Type.Array(Type.String(), { description: 'Names of the fields that were given' }),
    hash: Type.String({ description: 'HMAC-SHA-256 over the entry and the hash before, hex' }),
  },
  { title: 'AuditEntry' },
)
const entryView = (row: AuditRow) => ({
  number: row.number,
  at: isoTime(row.at),
  accountId: row.account,
  credential: row.credential,
  action: row.action,
  object: row.object,
  sessionId: row.session,
  address: row.address,
  userAgent: row.agent,
  result: row.result,
  count: row.count,
  fields: [...row.fields],
  hash: row.hash,
})

const EXAMPLE = {
  number: 17,
  at: '2024-01-01T00:00:00.000Z',
  accountId: 'usr_5f3a9c1e7b2d4a68',
  credential: 'key_0c9b8a7d6e5f4a3b',
  action: 'PUT /api/sessions/{id}/settings',
  object: '0123456789abcdef0123456789abcdef',
  sessionId: '0123456789abcdef0123456789abcdef',
  address: '192.0.2.7',
  userAgent: 'curl/8.5.0',
  result: 'ok',
  count: 1,
  fields: ['settings.webhookUrl'],
  hash: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08',
}

const CURSOR = /^aud_([1-9]\d{0,14})$/
const KNOWN = /^([1-9]\d{0,14})\.([0-9a-f]{64})$/

/** Makes the routes under `/api/admin/audit`. */
export function auditRoutes({ guard, audit }: AuditRoutesParts) {
  return new Elysia({ prefix: '/api/admin/audit', normalize: false })
    .use(guard)
    .get(
      '/',
      ({ query }) => {
        const { accountId, action, sessionId, since, until, cursor, limit } = query
        const place = cursor === undefined ? null : CURSOR.exec(cursor)
        if (cursor !== undefined && !place) throw fail('INVALID_CURSOR')
        const rows = audit.list({
          account: accountId,
          action,
          session: sessionId,
          since: since === undefined ? undefined : moment('since', since, 'start'),
          until: until === undefined ? undefined : moment('until', until, 'end'),
          before: place ? Number(place[1]) : undefined,
          limit: limit + 1,
        })
        const shown = rows.slice(0, limit)
        const last = shown.at(-1)
        const hasMore = rows.length > limit
        return {
          success: true as const,
          entries: shown.map(entryView),
          limit,
          hasMore,
          nextCursor: hasMore && last ? `aud_${last.number}` : null,
        }
      },
      {
        access: 'admin',
        query: Type.Object(
          {
            accountId: Type.Optional(Type.String({ maxLength: 80, description: 'Who acted' })),
            action: Type.Optional(
              Type.String({ maxLength: 200, description: 'The action, or the beginning of some' }),
            ),
            sessionId: Type.Optional(Type.String({ maxLength: 80 })),
            since: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601' })),
            until: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601' })),
            cursor: Type.Optional(
              Type.String({ maxLength: 40, description: 'nextCursor of the page before' }),
            ),
            limit: limitParameter,
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            entries: Type.Array(EntryView),
            limit: Type.Integer(),
            hasMore: Type.Boolean(),
            nextCursor: nullable(Type.String()),
          }),
        },
        detail: notes({
          summary: 'Read the audit log',
          description:
            'Newest first. It holds every change, every administrative call, refused credentials, and the first use of a credential from an address each day; neither messages nor reads. Names of fields are kept, values never. What is refused to strangers is told once a minute and address, with its count.',
          tags,
          errors: ['INVALID_CURSOR'],
          example: { success: true, entries: [EXAMPLE], limit: 50, hasMore: false, nextCursor: null },
        }),
      },
    )
    .get(
      '/verify',
      async ({ query: { known } }) => {
        const given = known === undefined ? null : KNOWN.exec(known)
        if (known !== undefined && !given) throw fail('INVALID_CURSOR')
        const { head, problems, ...verdict } = await audit.verify(
          given ? { number: Number(given[1]), hash: given[2] ?? '' } : undefined,
        )
        return {
          success: true as const,
          ...verdict,
          head: verdict.last === 0 ? null : `${verdict.last}.${head}`,
          problems: problems.map(({ number, kind }) => ({ number, kind, says: AUDIT_PROBLEMS[kind] })),
        }
      },
      {
        access: 'admin',
        query: Type.Object(
          {
            known: Type.Optional(
              Type.String({
                maxLength: 100,
                description: 'The head that an earlier call has told and that was kept elsewhere',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            sound: Type.Boolean(),
            entries: Type.Integer(),
            first: Type.Integer({ description: 'Number of the oldest entry that is kept; 0 = none' }),
            last: Type.Integer(),
            head: nullable(Type.String({ description: 'Number and hash of the last entry' })),
            erased: Type.Integer({ description: 'Entries whose address went with their account' }),
            problems: Type.Array(
              Type.Object({
                number: Type.Integer(),
                kind: oneOf(Object.keys(AUDIT_PROBLEMS)),
                says: Type.String(),
              }),
            ),
          }),
        },
        detail: notes({
          summary: 'Verify the audit log',
          description:
            'Recomputes the chain of hashes. Finds entries that were changed, added, moved or taken out, and an end that was cut off. What only looks like an earlier state of the whole file is found by comparing with a head that was kept elsewhere: give it as known.',
          tags,
          errors: ['INVALID_CURSOR'],
          example: {
            success: true,
            sound: true,
            entries: 17,
            first: 1,
            last: 17,
            head: `17.${EXAMPLE.hash}`,
            erased: 0,
            problems: [],
          },
        }),
      },
    )
}
