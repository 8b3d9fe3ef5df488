/** What is done in a chat without writing a message: typing, starring, reading. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { MessageId } from '../domain/ids'
import type { Messages } from '../domain/message'
import { CHAT_PRESENCES } from '../domain/whatsapp'
import type { Supervisor } from '../sessions/supervisor'
import { answer, notes, oneOf, says } from './docs'
import type { Guard, SessionGate } from './guard'
import { readJson } from './json'
import { invalid } from './query'
import { messageIdField, sessionIdField, toField } from './send-fields'
import { recipient, storedIn } from './send-request'

export type GestureRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'showPresence' | 'star' | 'markRead'>
  messages: Pick<Messages, 'get'>
}

const tags = ['Messages']
const SHOWN = 'Presence sent successfully'
const STARRED = 'Message starred successfully'
const UNSTARRED = 'Message unstarred successfully'
const READ = 'Messages marked as read'
const CONNECTED = ['SESSION_NOT_FOUND', 'SESSION_NOT_CONNECTED', 'AUTH_EXPIRED'] as const
const SESSION_ID = '5bc99cea8975b95fe7077c64a3312145'
const MESSAGE_ID = '3EB0C767D26A8B5F1A2B'
const strict = { additionalProperties: false }

const PresenceBody = Type.Object(
  {
    sessionId: sessionIdField,
    to: Type.Optional(toField),
    presence: oneOf(CHAT_PRESENCES, {
      description: 'composing, recording and paused concern one chat (to); available and unavailable all',
    }),
  },
  { ...strict, title: 'SendPresence' },
)
const StarBody = Type.Object(
  {
    sessionId: sessionIdField,
    to: Type.Optional(toField),
    messageId: messageIdField('The message'),
    starred: Type.Optional(Type.Boolean({ description: 'false takes the star away' })),
  },
  { ...strict, title: 'SendStar' },
)
const ReadBody = Type.Object(
  {
    sessionId: sessionIdField,
    to: Type.Optional(toField),
    messageIds: Type.Array(messageIdField('A received message'), {
      minItems: 1,
      maxItems: 100,
      uniqueItems: true,
    }),
  },
  { ...strict, title: 'SendRead' },
)

/** Makes the routes. All of them may be repeated without harm. */
export function gestureRoutes({ guard, gate, supervisor, messages }: GestureRoutesParts) {
  return new Elysia({ prefix: '/api/messages/send', normalize: false })
    .use(guard)
    .post(
      '/presence',
      async ({ caller, body }) => {
        const session = gate(caller, body.sessionId)
        const ofAll = body.presence === 'available' || body.presence === 'unavailable'
        if (ofAll !== (body.to === undefined)) {
          throw invalid('body', [
            { path: '/to', message: ofAll ? 'This presence concerns no single chat' : 'Is required' },
          ])
        }
        const to = body.to === undefined ? null : recipient(body.to)
        await supervisor.showPresence(session.id, to, body.presence)
        return { success: true as const, message: SHOWN }
      },
      {
        access: 'messages:write',
        parse: readJson,
        body: PresenceBody,
        response: { 200: answer({ message: says(SHOWN) }) },
        detail: notes({
          summary: 'Show “typing…”, “recording…”, or whether we are there',
          description: '“typing…” ends by itself after some seconds, with a message, or with paused.',
          tags,
          errors: [...CONNECTED, 'INVALID_PHONE_NUMBER'],
          requestExample: { sessionId: SESSION_ID, to: '1234567890', presence: 'composing' },
          example: { success: true, message: SHOWN },
        }),
      },
    )
    .post(
      '/star',
      async ({ caller, body: { sessionId, to, messageId, starred = true } }) => {
        const session = gate(caller, sessionId)
        const { id } = storedIn({ messages }, session, messageId, to)
        await supervisor.star(session.id, id, starred)
        return { success: true as const, message: starred ? STARRED : UNSTARRED, messageId: id, starred }
      },
      {
        access: 'messages:write',
        parse: readJson,
        body: StarBody,
        response: {
          200: answer({ message: says(STARRED), messageId: Type.String(), starred: Type.Boolean() }),
        },
        detail: notes({
          summary: 'Star a message, or take its star away',
          description: 'On all devices of the account; the other side does not see it.',
          tags,
          errors: [...CONNECTED, 'MESSAGE_NOT_FOUND', 'INVALID_PHONE_NUMBER'],
          requestExample: { sessionId: SESSION_ID, messageId: MESSAGE_ID, starred: true },
          example: { success: true, message: STARRED, messageId: MESSAGE_ID, starred: true },
        }),
      },
    )
    .post(
      '/read',
      async ({ caller, body: { sessionId, to, messageIds } }) => {
        const session = gate(caller, sessionId)
        const ids = messageIds.map((id): MessageId => storedIn({ messages }, session, id, to).id)
        await supervisor.markRead(session.id, ids)
        return { success: true as const, message: READ, messageIds: ids as string[] }
      },
      {
        access: 'messages:write',
        parse: readJson,
        body: ReadBody,
        response: { 200: answer({ message: says(READ), messageIds: Type.Array(Type.String()) }) },
        detail: notes({
          summary: 'Mark messages as read',
          description: 'Their authors are told, unless the account’s privacy says otherwise.',
          tags,
          errors: [...CONNECTED, 'MESSAGE_NOT_FOUND', 'INVALID_PHONE_NUMBER'],
          requestExample: { sessionId: SESSION_ID, messageIds: [MESSAGE_ID] },
          example: { success: true, message: READ, messageIds: [MESSAGE_ID] },
        }),
      },
    )
}
