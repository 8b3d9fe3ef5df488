/** The message routes: send a text, look back, count. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { MAX_TEXT_LENGTH } from '../domain/content'
import { fail } from '../domain/errors'
import { IDEMPOTENCY_KEPT } from '../domain/idempotency'
import { asMessageId, asSessionId, type Jid, type MessageId, parseRecipient, phoneOf } from '../domain/ids'
import type { Message, MessageFilter, Messages } from '../domain/message'
import { type Clock, isoTime } from '../lib/clock'
import type { Supervisor } from '../sessions/supervisor'
import { answer, notes, says, time } from './docs'
import type { Caller, Guard, SessionGate } from './guard'
import type { Idempotent } from './idempotent'
import { readJson } from './json'
import { MessageStatusSchema, MessageTypeSchema, MessageView, messageView } from './message-view'
import { type FieldProblem, invalid, limitParameter, offsetParameter } from './query'
import { fillTemplate } from './template'

export type MessageRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'send'>
  messages: Messages
  clock: Clock
  idempotent: Idempotent
}

const tags = ['Messages']
const SENT = 'Message sent successfully'
const QUEUED = 'Message queued successfully'

const SendTextBody = Type.Object(
  {
    sessionId: Type.String({ maxLength: 64, description: 'The session that sends' }),
    to: Type.String({
      minLength: 1,
      maxLength: 64,
      description: 'Phone number in international form, or a WhatsApp id (…@g.us, …@lid, …)',
      examples: ['1234567890'],
    }),
    text: Type.String({ minLength: 1, maxLength: MAX_TEXT_LENGTH, examples: ['Hello {{name}}'] }),
    variables: Type.Optional(
      Type.Record(Type.String(), Type.Union([Type.String({ maxLength: MAX_TEXT_LENGTH }), Type.Number()]), {
        description: 'Values for the {{name}} places of the text',
      }),
    ),
    mentions: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), { maxItems: 1024, description: 'People named in the text' }),
    ),
    quotedMessageId: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'The message this one answers' }),
    ),
    queue: Type.Optional(
      Type.Boolean({ description: 'Answer 202 at once, also while the session is reconnecting' }),
    ),
  },
  { additionalProperties: false, title: 'SendText' },
)

const SendAnswer = answer({
  message: says(SENT),
  messageId: Type.String({ description: 'WhatsApp’s own id, fixed before the first try' }),
  timestamp: time(),
  to: Type.String(),
  status: MessageStatusSchema,
})

/** A recipient as payloads show it: digits, or a WhatsApp id. */
const shownRecipient = (to: string): string => {
  const jid = parseRecipient(to)
  return jid === null ? to : (phoneOf(jid) ?? jid)
}

/** Makes the routes under `/api/messages`. */
export function messageRoutes(parts: MessageRoutesParts) {
  const { guard, gate, supervisor, messages, idempotent, clock } = parts

  const sendAnswer = (message: Pick<Message, 'id' | 'timestamp' | 'ackedAt' | 'status'>, to: string) => ({
    success: true as const,
    message: message.status === 'queued' ? QUEUED : SENT,
    messageId: message.id,
    timestamp: isoTime(message.ackedAt ?? message.timestamp),
    to: shownRecipient(to),
    status: message.status,
  })

  const sendText = async (
    caller: Caller,
    body: typeof SendTextBody.static,
    queue: boolean,
    id: MessageId | undefined,
  ) => {
    const session = gate(caller, body.sessionId)
    const message = await supervisor.send(session.id, {
      to: recipient(body.to),
      content: { type: 'text', text: filledText(body) },
      ...(body.mentions ? { mentions: mentioned(body.mentions) } : {}),
      ...(body.quotedMessageId === undefined ? {} : { quotedMessageId: body.quotedMessageId }),
      ...(id === undefined ? {} : { id }),
      queue,
    })
    return sendAnswer(message, body.to)
  }

  /** What has become of a message whose first request got no certain answer; null when there is none. */
  const outcomeOf = (body: typeof SendTextBody.static, queue: boolean, id: string) => {
    const message = messages.get(asSessionId(body.sessionId), id)
    if (!message || clock.now() - message.timestamp > IDEMPOTENCY_KEPT) return null
    if (message.status === 'queued' && queue) return sendAnswer(message, body.to)
    if (message.status === 'queued') throw fail('MESSAGE_TIMEOUT', { messageId: id })
    if (message.status === 'failed') {
      throw fail('MESSAGE_REJECTED', {
        messageId: id,
        reason: message.error?.says,
        whatsappCode: message.error?.code,
      })
    }
    return sendAnswer(message, body.to)
  }

  const stored = (caller: Caller, sessionId: string, messageId: string) => {
    const message = messages.get(gate(caller, sessionId).id, asMessageId(messageId))
    if (!message) throw fail('MESSAGE_NOT_FOUND')
    return message
  }

  return new Elysia({ prefix: '/api/messages', normalize: false })
    .use(guard)
    .post(
      '/send/text',
      (context) => {
        const { caller, body, request, server } = context
        gate(caller, body.sessionId)
        const queue = body.queue ?? prefersAsync(request.headers.get('prefer'))
        server?.timeout(request, 120)
        return idempotent(
          context,
          (id) => sendText(caller, body, queue, id),
          queue ? 202 : 200,
          (id) => outcomeOf(body, queue, id),
        )
      },
      {
        access: 'messages:write',
        parse: readJson,
        body: SendTextBody,
        response: { 200: SendAnswer, 202: SendAnswer },
        detail: notes({
          summary: 'Send a text',
          description:
            'Answers once WhatsApp’s server has acknowledged the message (status "sent"). With "queue": true or Prefer: respond-async it answers 202 as soon as the message is on disk.',
          tags,
          errors: [
            'SESSION_NOT_FOUND',
            'SESSION_NOT_CONNECTED',
            'AUTH_EXPIRED',
            'INVALID_PHONE_NUMBER',
            'NUMBER_NOT_ON_WHATSAPP',
            'MESSAGE_NOT_FOUND',
            'MESSAGE_REJECTED',
            'MESSAGE_TIMEOUT',
            'QUEUE_FULL',
            'IDEMPOTENCY_KEY_REUSED',
            'IDEMPOTENCY_IN_PROGRESS',
          ],
          requestExample: {
            sessionId: '5bc99cea8975b95fe7077c64a3312145',
            to: '1234567890',
            text: 'Hello {{name}}',
            variables: { name: 'Ada' },
          },
          example: {
            success: true,
            message: SENT,
            messageId: '3EB0C767D26A8B5F1A2B',
            timestamp: '2024-01-01T12:00:00.000Z',
            to: '1234567890',
            status: 'sent',
          },
          headers: {
            'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours',
            Prefer: 'respond-async: as "queue": true',
          },
        }),
      },
    )
    .get(
      '/history/:sessionId',
      ({ caller, params, query }) => {
        const session = gate(caller, params.sessionId)
        const page = messages.list(filterOf(session.id, query))
        const { limit, offset } = query
        return {
          success: true as const,
          messages: page.messages.map(messageView),
          total: page.total,
          limit,
          offset,
          hasMore: offset + page.messages.length < page.total,
        }
      },
      {
        access: 'messages:read',
        params: Type.Object({ sessionId: Type.String({ description: 'Session id' }) }),
        query: Type.Object(
          {
            limit: limitParameter,
            offset: offsetParameter,
            from: Type.Optional(
              Type.String({ maxLength: 64, description: 'Only from this number, WhatsApp id, or "me"' }),
            ),
            to: Type.Optional(Type.String({ maxLength: 64, description: 'Only to this one' })),
            chat: Type.Optional(Type.String({ maxLength: 64, description: 'Only of this person or group' })),
            type: Type.Optional(MessageTypeSchema),
            status: Type.Optional(MessageStatusSchema),
            startDate: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601, inclusive' })),
            endDate: Type.Optional(
              Type.String({ maxLength: 40, description: 'ISO 8601, inclusive; a date alone means its end' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            messages: Type.Array(MessageView),
            total: Type.Integer(),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({
          summary: 'Look back through messages',
          description: 'Newest first.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
        }),
      },
    )
    .get(
      '/:sessionId/:messageId',
      ({ caller, params }) => ({
        success: true as const,
        message: messageView(stored(caller, params.sessionId, params.messageId)),
      }),
      {
        access: 'messages:read',
        params: Type.Object({
          sessionId: Type.String({ description: 'Session id' }),
          messageId: Type.String({ description: 'Message id' }),
        }),
        response: { 200: answer({ message: MessageView }) },
        detail: notes({
          summary: 'Get one message',
          tags,
          errors: ['SESSION_NOT_FOUND', 'MESSAGE_NOT_FOUND'],
        }),
      },
    )
}

const prefersAsync = (prefer: string | null): boolean =>
  (prefer ?? '').split(/[,;]/).some((part) => part.trim().toLowerCase() === 'respond-async')

function recipient(text: string): Jid {
  const jid = parseRecipient(text)
  if (jid === null) throw fail('INVALID_PHONE_NUMBER', { field: 'to' })
  return jid
}

const mentioned = (list: readonly string[]): Jid[] =>
  list.map((text, index) => {
    const jid = parseRecipient(text)
    if (jid === null) throw fail('INVALID_PHONE_NUMBER', { field: `mentions/${index}` })
    return jid
  })

function filledText({ text, variables }: typeof SendTextBody.static): string {
  // A text without variables is taken as it is: braces may be part of what somebody wants to say.
  const filled = variables ? fillTemplate(text, variables) : text
  if (filled.length > MAX_TEXT_LENGTH || filled.length === 0) {
    throw invalid('body', [
      { path: '/text', message: `Must have 1 to ${MAX_TEXT_LENGTH} characters once filled` },
    ])
  }
  return filled
}

type HistoryQuery = {
  limit: number
  offset: number
  from?: string
  to?: string
  chat?: string
  type?: NonNullable<MessageFilter['type']>
  status?: NonNullable<MessageFilter['status']>
  startDate?: string
  endDate?: string
}

function filterOf(sessionId: MessageFilter['sessionId'], query: HistoryQuery): MessageFilter {
  const { startDate, endDate, ...rest } = query
  return {
    ...rest,
    sessionId,
    ...(startDate === undefined ? {} : { start: moment('startDate', startDate, 'start') }),
    ...(endDate === undefined ? {} : { end: moment('endDate', endDate, 'end') }),
  }
}

const DAY = 86_400_000
const ISO = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/

/** Milliseconds of an ISO text; a date alone is its first or last moment in UTC. */
export function moment(name: string, text: string, edge: 'start' | 'end'): number {
  const bare = !text.includes('T')
  const at = ISO.test(text)
    ? Date.parse(bare || /(?:Z|[+-]\d{2}:?\d{2})$/.test(text) ? text : `${text}Z`)
    : Number.NaN
  if (Number.isNaN(at))
    throw invalid('query', [{ path: `/${name}`, message: 'Not an ISO 8601 date' } satisfies FieldProblem])
  return bare && edge === 'end' ? at + DAY - 1 : at
}
