/** Many messages in one request: each entry is checked and answered by itself, and a bad one fails no other. */
import { type Static, Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { ASK_TYPES, type AskType } from '../domain/content'
import { AppError, errorRow } from '../domain/errors'
import type { MessageId } from '../domain/ids'
import type { BulkOutcome, SendRequest } from '../domain/sending'
import type { Session } from '../domain/session'
import { isoTime } from '../lib/clock'
import { shownChat } from '../sessions/payload'
import { failureOf } from '../sessions/sending/endings'
import type { Supervisor } from '../sessions/supervisor'
import { type BodyParts, type BodyShape, takeBody, unread } from './body'
import { checker } from './checked'
import { answer, notes, time } from './docs'
import type { Guard, SessionGate } from './guard'
import { entryId, type Idempotent } from './idempotent'
import { LONGEST_SEND_WAIT, MAX_BULK, SEND_WAIT } from './limits'
import { MessageStatusSchema } from './message-view'
import { invalid, placedError } from './query'
import { type Entry, entryFields, queueField, sessionIdField, Variables, WHEN } from './send-fields'
import { type SendRequestParts, sendRequest, withId } from './send-request'
import { FILE_ERRORS, SEND_ERRORS } from './send-types'

export type BulkRoutesParts = SendRequestParts & {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'sendMany'>
  desk: BodyParts['desk']
  files: BodyParts['files']
  maxFileBytes: number
  idempotent: Idempotent
}

const frame = {
  sessionId: sessionIdField,
  variables: Type.Optional(Variables),
  ...WHEN,
  queue: queueField,
}
const list = {
  minItems: 1,
  maxItems: MAX_BULK,
  description: 'Each with to, type (text unless given) and its fields',
}
const strict = { additionalProperties: false, title: 'SendBulk' } as const
/** The frame alone; entries are checked one by one. */
const BulkBody = Type.Object({ ...frame, messages: Type.Array(Type.Unknown(), list) }, strict)

const entrySchema = (type: AskType) =>
  Type.Object(
    {
      type: type === 'text' ? Type.Optional(Type.Literal(type)) : Type.Literal(type),
      ...entryFields(type),
    },
    { additionalProperties: false },
  )
const CHECKS = new Map<unknown, (entry: unknown) => unknown>(
  ASK_TYPES.map((type) => [type, checker(entrySchema(type))]),
)
const Documented = Type.Object(
  { ...frame, messages: Type.Array(Type.Union(ASK_TYPES.map(entrySchema)), list) },
  strict,
)

const Result = Type.Object({
  index: Type.Integer({ description: 'The place of the entry in messages' }),
  to: Type.Union([Type.String(), Type.Null()]),
  success: Type.Boolean(),
  messageId: Type.Optional(Type.String()),
  timestamp: Type.Optional(time()),
  status: Type.Optional(MessageStatusSchema),
  error: Type.Optional(Type.String()),
  code: Type.Optional(Type.String()),
  details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
})
type Result = Static<typeof Result>

const BulkAnswer = answer({
  message: Type.String(),
  results: Type.Array(Result),
  summary: Type.Object({ total: Type.Integer(), successful: Type.Integer(), failed: Type.Integer() }),
})

const BulkQuery = Type.Object(
  {
    timeout: Type.Integer({
      minimum: 1,
      maximum: LONGEST_SEND_WAIT,
      default: SEND_WAIT,
      description: 'Seconds to wait for WhatsApp; messages that wait after that are told as queued',
    }),
  },
  { additionalProperties: false },
)

const SHAPE: BodyShape<Static<typeof BulkBody>> = {
  schema: BulkBody,
  check: checker(BulkBody),
  fileParts: [],
  large: true,
}

/** Makes the route. */
export function bulkRoutes(parts: BulkRoutesParts) {
  const { guard, gate, supervisor, idempotent } = parts

  /** The request of each entry, or what is wrong with it. */
  const requestsOf = (session: Session, body: Static<typeof BulkBody>, id: MessageId | undefined) =>
    body.messages.map((given, index) => {
      try {
        const request = entryRequest(parts, session, body, given)
        return withId(parts, session, request, id === undefined ? id : entryId(id, index))
      } catch (error) {
        if (error instanceof AppError) return error
        throw error
      }
    })

  const sendAll = async (
    session: Session,
    body: Static<typeof BulkBody>,
    id: MessageId | undefined,
    waitMs: number,
  ) => {
    const requests = requestsOf(session, body, id)
    const good = requests.filter((request): request is SendRequest => !(request instanceof AppError))
    const queue = body.queue ?? body.sendAt !== undefined
    const outcomes = good.length > 0 ? await supervisor.sendMany(session.id, good, { queue, waitMs }) : []
    let taken = 0
    const results = requests.map((request, index): Result => {
      const about = { index, to: toOf(body.messages[index]) }
      if (request instanceof AppError) return { ...about, ...failed(request) }
      const outcome = outcomes[taken]
      taken += 1
      if (!outcome) throw new Error('A message of the bulk has no outcome')
      return { ...about, ...told(outcome) }
    })
    const successful = results.filter(({ success }) => success).length
    return {
      success: true as const,
      message: `${successful} of ${results.length} messages ${queue ? 'queued' : 'taken'}`,
      results,
      summary: { total: results.length, successful, failed: results.length - successful },
    }
  }

  return new Elysia({ prefix: '/api/messages', normalize: false }).use(guard).post(
    '/send/bulk',
    async (context) => {
      const { caller, query, request, server, set } = context
      server?.timeout(request, 255)
      const { body } = await takeBody(context, SHAPE, parts)
      const session = gate(caller, body.sessionId)
      return await idempotent(
        { request, caller, set, body },
        (id) => sendAll(session, body, id, query.timeout * 1000),
        (body.queue ?? body.sendAt !== undefined) ? 202 : 200,
      )
    },
    {
      access: 'messages:write',
      parse: unread,
      query: BulkQuery,
      response: { 200: BulkAnswer, 202: BulkAnswer },
      detail: notes({
        summary: 'Send many messages',
        description: `Up to ${MAX_BULK}, of mixed types. Every entry has its own result; a bad one fails no other. With an Idempotency-Key a repetition, also after a crash, sends nothing twice.`,
        tags: ['Messages'],
        body: Documented,
        errors: [...SEND_ERRORS, ...FILE_ERRORS],
        requestExample: {
          sessionId: '5bc99cea8975b95fe7077c64a3312145',
          variables: { shop: 'Ada’s' },
          messages: [
            { to: '1234567890', text: 'Hello {{name}}, {{shop}} is open', variables: { name: 'Ada' } },
            { to: '1234567891', type: 'image', imageUrl: 'https://example.com/cat.jpg' },
          ],
        },
        example: {
          success: true,
          message: '1 of 2 messages taken',
          results: [
            {
              index: 0,
              to: '1234567890',
              success: true,
              messageId: '3EB0C767D26A8B5F1A2B',
              timestamp: '2024-01-01T12:00:00.000Z',
              status: 'sent',
            },
            {
              index: 1,
              to: '1234567891',
              success: false,
              error: 'This number is not on WhatsApp',
              code: 'NUMBER_NOT_ON_WHATSAPP',
            },
          ],
          summary: { total: 2, successful: 1, failed: 1 },
        },
        headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
      }),
    },
  )
}

function entryRequest(
  parts: SendRequestParts,
  session: Session,
  { variables, sendAt, ttl }: Static<typeof BulkBody>,
  given: unknown,
): SendRequest {
  const type = typeOf(given)
  const check = CHECKS.get(type)
  if (!check) throw invalid('body', [{ path: '/type', message: `Use one of ${ASK_TYPES.join(', ')}` }])
  const entry = check(given) as Entry
  const whole = {
    ...(sendAt === undefined ? {} : { sendAt }),
    ...(ttl === undefined ? {} : { ttl }),
    ...entry,
  }
  return sendRequest(parts, session, type, whole, { variables })
}

const record = (value: unknown): Record<string, unknown> | null =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : null

/** What is no type at all is found by the look-up of its check. */
const typeOf = (given: unknown): AskType => (record(given)?.type ?? 'text') as AskType

const toOf = (given: unknown): string | null => {
  const to = record(given)?.to
  return typeof to === 'string' ? to.slice(0, 64) : null
}

function told(outcome: BulkOutcome): Omit<Result, 'index' | 'to'> & { to?: string } {
  if (!outcome.ok) {
    const { code, says, details } = outcome
    return failed(placedError(new AppError(code, details, says)) as AppError)
  }
  const { message, party } = outcome
  const about = { to: shownChat(message.chat, party), messageId: message.id as string }
  if (message.status === 'failed') return { ...about, ...failed(failureOf(message)) }
  return {
    ...about,
    success: true,
    timestamp: isoTime(message.ackedAt ?? message.timestamp),
    status: message.status,
  }
}

function failed({
  code,
  message,
  details,
}: AppError): Pick<Result, 'success' | 'error' | 'code' | 'details'> {
  const { action } = errorRow(code)
  const own = Object.fromEntries(Object.entries(details ?? {}).filter(([, value]) => value !== action))
  return {
    success: false,
    error: message,
    code,
    ...(Object.keys(own).length > 0 ? { details: own } : {}),
  }
}
