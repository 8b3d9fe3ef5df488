/** The send queue of a session: look at it, hold it, let it go on, take a message out of it. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import type { Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import { isoTime } from '../lib/clock'
import { shownChat } from '../sessions/payload'
import type { Supervisor } from '../sessions/supervisor'
import { answer, notes, nullable, oneOf, says, time } from './docs'
import type { Caller, Guard, SessionGate } from './guard'
import { datesOf, MessageTypeSchema } from './message-view'
import { limitParameter, offsetParameter } from './query'

export type QueueRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'cancel' | 'queueState' | 'update'>
  messages: Pick<Messages, 'queuePage' | 'sessionOf'>
}

const tags = ['Queue']
const CANCELLED = 'Message cancelled successfully'
const PAUSED = 'Queue paused successfully'
const RESUMED = 'Queue resumed successfully'
const HOLDS = ['paused', 'not_connected', 'pacing', 'scheduled'] as const

const Waiting = Type.Object(
  {
    messageId: Type.String(),
    type: MessageTypeSchema,
    to: Type.String(),
    status: Type.Literal('queued'),
    timestamp: time('When it was taken'),
    sendAt: Type.Optional(time('Not before this')),
    expiresAt: Type.Optional(time('Fails when it still waits then')),
  },
  { title: 'QueuedMessage' },
)
const State = {
  paused: Type.Boolean(),
  waiting: Type.Integer({ description: 'Messages in the queue' }),
  scheduled: Type.Integer({ description: 'Those of them whose time has not come' }),
  hold: nullable(
    oneOf(HOLDS, { description: 'Why what waits does not move; null = it does, or nothing waits' }),
  ),
  nextAt: nullable(time('When the next message leaves, as far as it is known')),
}

const waitingView = (message: StoredMessage) => ({
  messageId: message.id as string,
  type: message.content.type,
  to: shownChat(message.chat, message.chatParty),
  status: 'queued' as const,
  timestamp: isoTime(message.timestamp),
  ...datesOf(message),
})

/** Makes the routes under `/api/messages/queue`. */
export function queueRoutes({ guard, gate, supervisor, messages }: QueueRoutesParts) {
  const stateOf = ({ id, settings }: Session) => {
    const { waiting, scheduled, hold, nextAt } = supervisor.queueState(id)
    return {
      paused: settings.queuePaused,
      waiting,
      scheduled,
      hold,
      nextAt: nextAt === null ? null : isoTime(nextAt),
    }
  }
  const pausing = async (caller: Caller, sessionId: string, queuePaused: boolean) => {
    const { id } = gate(caller, sessionId)
    const session = await supervisor.update(id, { settings: { queuePaused } })
    return { success: true as const, message: queuePaused ? PAUSED : RESUMED, ...stateOf(session) }
  }
  const params = Type.Object({ sessionId: Type.String({ description: 'Session id' }) })
  const pauseRoute = (summary: string, message: string, description: string) => ({
    access: 'messages:write' as const,
    params,
    response: { 200: answer({ message: says(message), ...State }) },
    detail: notes({ summary, description, tags, errors: ['SESSION_NOT_FOUND'] }),
  })

  return new Elysia({ prefix: '/api/messages/queue', normalize: false })
    .use(guard)
    .get(
      '/:sessionId',
      ({ caller, params, query: { limit, offset } }) => {
        const session = gate(caller, params.sessionId)
        const page = messages.queuePage(session.id, { limit, offset })
        return {
          success: true as const,
          messages: page.messages.map(waitingView),
          ...stateOf(session),
          total: page.total,
          limit,
          offset,
          hasMore: offset + page.messages.length < page.total,
        }
      },
      {
        access: 'messages:read',
        params,
        query: Type.Object(
          { limit: limitParameter, offset: offsetParameter },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            messages: Type.Array(Waiting),
            ...State,
            total: Type.Integer(),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({
          summary: 'Look at the messages that wait',
          description: 'In the order in which they were taken, and why they wait.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
          example: {
            success: true,
            messages: [
              {
                messageId: '3EB0C767D26A8B5F1A2B',
                type: 'text',
                to: '1234567890',
                status: 'queued',
                timestamp: '2024-01-01T12:00:00.000Z',
                sendAt: '2024-01-02T09:00:00.000Z',
                expiresAt: '2024-01-03T09:00:00.000Z',
              },
            ],
            paused: false,
            waiting: 1,
            scheduled: 1,
            hold: 'scheduled',
            nextAt: '2024-01-02T09:00:00.000Z',
            total: 1,
            limit: 50,
            offset: 0,
            hasMore: false,
          },
        }),
      },
    )
    .delete(
      '/:messageId',
      async ({ caller, params: { messageId }, query }) => {
        const { tenantId, sessionIds } = caller.principal
        const holder = messages.sessionOf(tenantId, messageId)
        const isTheirs = holder !== null && (sessionIds === null || sessionIds.includes(holder))
        const found = query.sessionId ?? (isTheirs ? holder : null)
        if (found === null) throw fail('MESSAGE_NOT_FOUND')
        const message = await supervisor.cancel(gate(caller, found).id, messageId as StoredMessage['id'])
        return { success: true as const, message: CANCELLED, messageId: message.id as string }
      },
      {
        access: 'messages:write',
        params: Type.Object({ messageId: Type.String({ description: 'Message id' }) }),
        query: Type.Object(
          {
            sessionId: Type.Optional(
              Type.String({ maxLength: 64, description: 'The session it belongs to' }),
            ),
          },
          { additionalProperties: false },
        ),
        response: { 200: answer({ message: says(CANCELLED), messageId: Type.String() }) },
        detail: notes({
          summary: 'Take a message out of the queue',
          description: 'It fails with MESSAGE_CANCELLED. What is on its way already cannot be cancelled.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'MESSAGE_NOT_FOUND', 'MESSAGE_NOT_QUEUED'],
          example: { success: true, message: CANCELLED, messageId: '3EB0C767D26A8B5F1A2B' },
        }),
      },
    )
    .post(
      '/:sessionId/pause',
      ({ caller, params }) => pausing(caller, params.sessionId, true),
      pauseRoute('Pause the queue', PAUSED, 'Messages are taken and wait; also settings.queuePaused.'),
    )
    .post(
      '/:sessionId/resume',
      ({ caller, params }) => pausing(caller, params.sessionId, false),
      pauseRoute('Resume the queue', RESUMED, 'What waits leaves, oldest first.'),
    )
}
