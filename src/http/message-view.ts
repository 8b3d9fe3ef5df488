/** A message as the API shows it: flat, `me` for ourselves, digits where WhatsApp has told a number. */
import { type Static, Type } from '@sinclair/typebox'
import { contentFields, MESSAGE_TYPES } from '../domain/content'
import { isGroup, isLid, isPhoneJid, shownParty } from '../domain/ids'
import { MESSAGE_STATUSES, type StoredMessage } from '../domain/message'
import { isoTime } from '../lib/clock'
import { nullable, oneOf, time } from './docs'

export const MessageTypeSchema = oneOf(MESSAGE_TYPES)
export const MessageStatusSchema = oneOf(MESSAGE_STATUSES)

export const MessageView = Type.Object(
  {
    id: Type.String({ description: 'WhatsApp’s own message id' }),
    type: MessageTypeSchema,
    from: Type.String({ description: '"me", digits, or a WhatsApp id when no number is known' }),
    to: Type.String({ description: '"me", digits, or a WhatsApp id' }),
    chat: Type.String({ description: 'The person or group that the message belongs to' }),
    timestamp: time(),
    status: MessageStatusSchema,
    senderName: Type.Optional(nullable(Type.String({ description: 'The name the sender gives itself' }))),
    mentions: Type.Optional(Type.Array(Type.String())),
    quoted: Type.Optional(
      Type.Object({
        messageId: Type.String(),
        from: nullable(Type.String()),
        text: nullable(Type.String()),
      }),
    ),
    error: Type.Optional(Type.String({ description: 'Why it failed' })),
    code: Type.Optional(Type.String({ description: 'WhatsApp’s code of the failure' })),
    text: Type.Optional(Type.String()),
    caption: Type.Optional(Type.String()),
  },
  { title: 'Message', additionalProperties: true, description: 'Beside these, the fields of its type' },
)
export type MessageView = Static<typeof MessageView>

/** The chat as people know it: digits of a person whose number is known, else WhatsApp's id. */
function shownChat({ chat, chatParty }: StoredMessage): string {
  if (isGroup(chat) || !(isLid(chat) || isPhoneJid(chat))) return chat
  return chatParty.phoneNumber ?? chatParty.lid ?? chat
}

export function messageView(message: StoredMessage): MessageView {
  const { content, fromMe, sender, error } = message
  const chat = shownChat(message)
  return {
    id: message.id,
    type: content.type,
    from: fromMe ? 'me' : sender ? shownParty(sender) : chat,
    to: fromMe ? chat : 'me',
    chat,
    ...contentFields(content),
    timestamp: isoTime(message.timestamp),
    status: message.status,
    ...(message.senderName === null ? {} : { senderName: message.senderName }),
    ...(message.mentions.length > 0 ? { mentions: message.mentions } : {}),
    ...(message.quoted ? { quoted: message.quoted } : {}),
    ...(error ? { error: error.says, code: error.code } : {}),
  }
}
