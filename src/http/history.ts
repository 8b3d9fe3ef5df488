/** Looking back: lists with filters and search, and one message with all that has become of it. */
import { type Static, Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { phoneOf } from '../domain/ids'
import type { MessageFilter, Messages } from '../domain/message'
import { answer, notes } from './docs'
import type { Guard, SessionGate } from './guard'
import { MessageStatusSchema, MessageTypeSchema, MessageView, messageView } from './message-view'
import { moment } from './moment'
import { invalid, limitParameter, offsetParameter } from './query'
import { recipient, storedIn } from './send-request'

export type HistoryRoutesParts = {
  guard: Guard
  gate: SessionGate
  messages: Pick<Messages, 'get' | 'list' | 'searchable'>
  publicUrl: string | null
}

const tags = ['Messages']
const party = (description: string) =>
  Type.Optional(Type.String({ minLength: 1, maxLength: 64, description }))

const HistoryQuery = Type.Object(
  {
    limit: limitParameter,
    offset: offsetParameter,
    from: party('Only from this number, WhatsApp id, or "me"'),
    to: party('Only to this one'),
    chat: party('Only of this person, group or channel'),
    type: Type.Optional(MessageTypeSchema),
    status: Type.Optional(MessageStatusSchema),
    search: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 200,
        pattern: '\\S',
        description: 'Words that all stand in the message, whatever their case and accents',
      }),
    ),
    starred: Type.Optional(Type.Boolean({ description: 'Only starred ones, or only others' })),
    startDate: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601, inclusive' })),
    endDate: Type.Optional(
      Type.String({ maxLength: 40, description: 'ISO 8601, inclusive; a date alone means its end' }),
    ),
  },
  { additionalProperties: false },
)

/** Makes the routes. */
export function historyRoutes({ guard, gate, messages, publicUrl }: HistoryRoutesParts) {
  return new Elysia({ prefix: '/api/messages', normalize: false })
    .use(guard)
    .get(
      '/history/:sessionId',
      async ({ caller, params, query }) => {
        const session = gate(caller, params.sessionId)
        if (query.search !== undefined) await messages.searchable()
        const page = messages.list(filterOf(session.id, query))
        const { limit, offset } = query
        return {
          success: true as const,
          messages: page.messages.map((message) => messageView(message, publicUrl)),
          total: page.total,
          limit,
          offset,
          hasMore: offset + page.messages.length < page.total,
        }
      },
      {
        access: 'messages:read',
        params: Type.Object({ sessionId: Type.String({ description: 'Session id' }) }),
        query: HistoryQuery,
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
          description:
            'Newest first. Filters combine. Reactions, edits, deletions, pins and votes are told with the messages that they change; as entries of their own they are listed only when type names one.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'INVALID_PHONE_NUMBER'],
        }),
      },
    )
    .get(
      '/:sessionId/:messageId',
      ({ caller, params }) => ({
        success: true as const,
        message: messageView(
          storedIn({ messages }, gate(caller, params.sessionId), params.messageId, undefined),
          publicUrl,
        ),
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

function filterOf(sessionId: MessageFilter['sessionId'], query: Static<typeof HistoryQuery>): MessageFilter {
  const { startDate, endDate, from, to, chat, ...rest } = query
  const filter = {
    ...rest,
    sessionId,
    ...named('from', from),
    ...named('to', to),
    ...named('chat', chat),
    ...(startDate === undefined ? {} : { start: moment('startDate', startDate, 'start') }),
    ...(endDate === undefined ? {} : { end: moment('endDate', endDate, 'end') }),
  }
  if (filter.start !== undefined && filter.end !== undefined && filter.start > filter.end) {
    throw invalid('query', [{ path: '/endDate', message: 'Is before startDate' }])
  }
  return filter
}

/** A party as the rows know it: digits, a WhatsApp id, or `me`. */
function named<Name extends 'from' | 'to' | 'chat'>(name: Name, text: string | undefined) {
  if (text === undefined) return {}
  if (text === 'me') return { [name]: text } as Record<Name, string>
  const jid = recipient(text, name)
  return { [name]: phoneOf(jid) ?? jid } as Record<Name, string>
}
