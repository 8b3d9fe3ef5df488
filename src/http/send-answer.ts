/** What a send answers. */
import { Type } from '@sinclair/typebox'
import { MediaSchema } from '../domain/content'
import type { Jid } from '../domain/ids'
import type { Examined, Sent } from '../domain/sending'
import { isoTime } from '../lib/clock'
import { shownChat } from '../sessions/payload'
import { answer, nullable, says, time } from './docs'
import { MessageStatusSchema, MessageTypeSchema } from './message-view'

const SENT = 'Message sent successfully'
const QUEUED = 'Message queued successfully'
const SCHEDULED = 'Message scheduled successfully'
const EXAMINED = 'Nothing stands in the way of this message'

export const SendAnswer = Type.Object(
  {
    success: Type.Literal(true),
    message: says(SENT),
    messageId: Type.String({ description: 'WhatsApp’s own id, fixed before the first try' }),
    timestamp: time(),
    to: Type.String({ description: 'Digits, or a WhatsApp id' }),
    status: MessageStatusSchema,
    sendAt: Type.Optional(time('When it is to leave')),
    expiresAt: Type.Optional(time('Until when it is worth sending, while it waits')),
    items: Type.Optional(
      Type.Array(
        Type.Object({ messageId: Type.String(), type: MessageTypeSchema, status: MessageStatusSchema }),
        {
          description: 'The pictures and films of an album',
        },
      ),
    ),
  },
  { title: 'SendAnswer' },
)

export const ExaminedAnswer = answer({
  message: says(EXAMINED),
  valid: Type.Literal(true),
  to: Type.String(),
  exists: nullable(
    Type.Boolean({ description: 'On WhatsApp; null when it is no person or cannot be asked now' }),
  ),
  established: Type.Boolean({ description: 'The chat has messages already' }),
  media: nullable(MediaSchema),
})

/** The answer to a message that was taken; an album names its items. */
export function sentAnswer({ message, party, items }: Sent) {
  const { sendAt, expiresAt } = (message.status === 'queued' && message.schedule) || NO_DATES
  return {
    success: true as const,
    message: message.status !== 'queued' ? SENT : sendAt === null ? QUEUED : SCHEDULED,
    messageId: message.id as string,
    timestamp: isoTime(message.ackedAt ?? message.timestamp),
    to: shownChat(message.chat, party),
    status: message.status,
    ...(sendAt === null ? {} : { sendAt: isoTime(sendAt) }),
    ...(expiresAt === null ? {} : { expiresAt: isoTime(expiresAt) }),
    ...(message.content.type === 'album' && items.length > 0
      ? {
          items: items.map(({ id, content, status }) => ({
            messageId: id as string,
            type: content.type,
            status,
          })),
        }
      : {}),
  }
}
const NO_DATES = { sendAt: null, expiresAt: null }

export const examinedAnswer = ({ to, party, exists, established, media }: Examined) => ({
  success: true as const,
  message: EXAMINED,
  valid: true as const,
  to: shownChat(to as Jid, party),
  exists,
  established,
  media,
})

/** 202 for what waits, 200 for what has left. */
export const statusOf = ({ status }: { status: string }): number => (status === 'queued' ? 202 : 200)
