/** Sending: one route per type, all types through one union, and status posts. */
import { type TSchema, Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { ASK_TYPES } from '../domain/content'
import { AppError } from '../domain/errors'
import type { Messages } from '../domain/message'
import { type SendRequest, WAIT_LEVELS } from '../domain/sending'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { Supervisor } from '../sessions/supervisor'
import { type BodyParts, type BodyShape, type TakenBody, takeBody, unread } from './body'
import { checker } from './checked'
import { notes, oneOf } from './docs'
import type { Caller, Guard, SessionGate } from './guard'
import type { Idempotent } from './idempotent'
import { LONGEST_SEND_WAIT, SEND_WAIT } from './limits'
import { invalid, placedError } from './query'
import { ExaminedAnswer, examinedAnswer, SendAnswer, sentAnswer, statusOf } from './send-answer'
import { ANY_CONTENT, contentRequest, STATUS_CONTENT } from './send-content'
import { type SendBody, sendBody } from './send-fields'
import { STATUS_CHAT, sendRequest, withId } from './send-request'
import {
  ANSWER_EXAMPLE,
  contentExample,
  FILE_ERRORS,
  filePartsOf,
  SEND_ERRORS,
  SEND_TYPES,
  sendErrors,
  sendExample,
  takesFiles,
} from './send-types'

export type SendRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'send' | 'examine'>
  messages: Pick<Messages, 'get'>
  desk: BodyParts['desk']
  files: BodyParts['files']
  maxFileBytes: number
  clock: Clock
  idempotent: Idempotent
}

const tags = ['Messages']

const SendQuery = Type.Object(
  {
    waitFor: Type.Optional(
      oneOf(WAIT_LEVELS, {
        description: 'Answer only once WhatsApp’s server, the recipient’s phone, or the recipient has it',
      }),
    ),
    timeout: Type.Integer({
      minimum: 1,
      maximum: LONGEST_SEND_WAIT,
      default: SEND_WAIT,
      description: 'Seconds to wait; after that a message that was not acknowledged answers MESSAGE_TIMEOUT',
    }),
    validate: Type.Optional(
      Type.Boolean({ description: 'true: say what stands in the way of the message, and send nothing' }),
    ),
  },
  { additionalProperties: false },
)
type SendQuery = typeof SendQuery.static

type SendContext = {
  request: Request
  caller: Caller
  query: SendQuery
  server: { timeout(request: Request, seconds: number): void } | null
  set: { status?: number | string; headers: Record<string, string | number | undefined> }
}

/** Makes the routes. */
export function sendRoutes(parts: SendRoutesParts) {
  const { guard, gate, supervisor, idempotent } = parts

  /** One send: its body read and checked, then tried out or sent. */
  const send = async <Body extends SendBody>(
    context: SendContext,
    shape: BodyShape<Body>,
    requestOf: (session: Session, body: Body) => SendRequest,
  ) => {
    const { request, caller, server } = context
    server?.timeout(request, 255)
    const taken = await takeBody(context, shape, parts)
    let session: Session | null = null
    let messageId: string | null = null
    try {
      session = gate(caller, taken.body.sessionId)
      const asked = requestOf(session, taken.body)
      const answer = await sendTo(context, session, taken, asked).catch((error: unknown) => {
        throw placedError(error, shape.place)
      })
      messageId = 'messageId' in answer ? answer.messageId : null
      return answer
    } catch (error) {
      messageId = waitingAfter(error)
      throw error
    } finally {
      await taken.settle(session, messageId)
    }
  }

  const sendTo = async <Body extends SendBody>(
    { request, caller, query, set }: SendContext,
    session: Session,
    { body, identity }: TakenBody<Body>,
    asked: SendRequest,
  ) => {
    if (query.validate) {
      set.status = 200
      return examinedAnswer(await supervisor.examine(session.id, asked))
    }
    const queue = queued(body, query, request.headers)
    const { waitFor } = query
    const whole: SendRequest = queue
      ? { ...asked, queue }
      : { ...asked, waitMs: query.timeout * 1000, ...(waitFor === undefined ? {} : { waitFor }) }
    return await idempotent(
      { request, caller, set, body: identity },
      async (id) => sentAnswer(await supervisor.send(session.id, withId(parts, session, whole, id))),
      statusOf,
    )
  }

  const route = (
    of: { summary: string; description?: string | undefined },
    body: TSchema,
    errors: Parameters<typeof notes>[0]['errors'],
    requestExample: unknown,
    files: readonly string[],
  ) => ({
    access: 'messages:write' as const,
    parse: unread,
    query: SendQuery,
    response: { 200: Type.Union([SendAnswer, ExaminedAnswer]), 202: SendAnswer },
    detail: notes({
      summary: of.summary,
      description: [of.description, HOW].filter(Boolean).join(' '),
      tags,
      body,
      ...(files.length > 0 ? { form: { files: files.slice(0, 1) } } : {}),
      ...(errors ? { errors } : {}),
      requestExample,
      example: ANSWER_EXAMPLE,
      headers: SEND_HEADERS,
    }),
  })

  const app = new Elysia({ prefix: '/api/messages', normalize: false }).use(guard)
  for (const type of ASK_TYPES) {
    const schema = sendBody(type)
    const shape: BodyShape<SendBody> = {
      schema,
      check: checker(schema) as (value: unknown) => SendBody,
      fileParts: filePartsOf(type),
      large: takesFiles(type),
    }
    app.post(
      `/send/${type}`,
      (context) => send(context, shape, (session, body) => sendRequest(parts, session, type, body)),
      route(SEND_TYPES[type], schema, sendErrors(type), sendExample(type), shape.fileParts),
    )
  }

  return app
    .post(
      '/send',
      (context) => send(context, ANY_CONTENT, (session, body) => contentRequest(parts, session, body)),
      route(
        {
          summary: 'Send a message of any type',
          description: 'The same as the routes of the types, with their fields in content.',
        },
        ANY_CONTENT.documented,
        [...SEND_ERRORS, ...FILE_ERRORS, 'MESSAGE_NOT_SUITABLE'],
        contentExample('text'),
        ['file'],
      ),
    )
    .post(
      '/send/status',
      (context) =>
        send(context, STATUS_CONTENT, (session, body) =>
          contentRequest(parts, session, { ...body, to: STATUS_CHAT }),
        ),
      route(
        {
          summary: 'Post a status',
          description: 'A text, picture, film or sound that the audience sees for a day.',
        },
        STATUS_CONTENT.documented,
        [...SEND_ERRORS, ...FILE_ERRORS],
        {
          sessionId: '5bc99cea8975b95fe7077c64a3312145',
          content: { type: 'text', text: 'Open today', backgroundColor: '#205030' },
          audience: ['1234567890'],
        },
        ['file'],
      ),
    )
}

/** A message that was not acknowledged in time waits, and its file with it. */
const waitingAfter = (error: unknown): string | null =>
  error instanceof AppError && error.code === 'MESSAGE_TIMEOUT' ? String(error.details?.messageId) : null

const HOW =
  'Answers once WhatsApp’s server has acknowledged the message (status "sent"), or as ?waitFor= says. With "queue": true, sendAt or Prefer: respond-async it answers 202 as soon as the message is on disk; so it does while the queue is paused.'
const SEND_HEADERS = {
  'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours',
  Prefer: 'respond-async: as "queue": true',
}

/** Whether the caller is answered as soon as the message is on disk. */
function queued(body: SendBody, { waitFor }: SendQuery, headers: Headers): boolean {
  const asked = body.queue ?? (body.sendAt === undefined ? undefined : true)
  if (asked === true && waitFor !== undefined) {
    throw invalid('query', [{ path: '/waitFor', message: 'Has no meaning for a message that is queued' }])
  }
  return asked ?? (waitFor === undefined && prefersAsync(headers.get('prefer')))
}

const prefersAsync = (prefer: string | null): boolean =>
  (prefer ?? '').split(/[,;]/).some((part) => part.trim().toLowerCase() === 'respond-async')
