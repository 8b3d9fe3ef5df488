/** What events say about messages: the fields of contract §6, flat; nothing is invented. */
import { contentFields } from '../domain/content'
import type { EventName, NewEvent } from '../domain/events'
import { isPhoneJid, type Jid, type Party, phoneOf, shownParty } from '../domain/ids'
import type { Message, MessageStatus } from '../domain/message'
import type { Session } from '../domain/session'
import { isoTime } from '../lib/clock'

/** Builds an event of a session. */
export const sessionEvent = (
  session: Pick<Session, 'id' | 'tenantId'>,
  name: EventName,
  fields: Record<string, unknown> = {},
): NewEvent => ({ name, tenantId: session.tenantId, sessionId: session.id, fields })

/** A chat as callers may write to it: digits or LID of a person, the id of everything else. */
export function shownChat(chat: Jid, party: Party): string {
  if (party.phoneNumber !== null || party.lid !== null) return shownParty(party)
  return isPhoneJid(chat) ? (phoneOf(chat) ?? chat) : chat
}

/** Content beside its type; media carry the place of the bytes, null until they can be fetched. */
function shownContent(message: Pick<Message, 'content'>): Record<string, unknown> {
  const fields = contentFields(message.content)
  return 'media' in message.content ? { ...fields, media: { ...message.content.media, url: null } } : fields
}

/** Fields of `message.received` and `message.reaction`. */
export function receivedFields(message: Message, chatParty: Party): Record<string, unknown> {
  const sender = message.sender ?? chatParty
  return {
    messageId: message.id,
    from: shownParty(sender),
    to: 'me',
    chat: shownChat(message.chat, chatParty),
    type: message.content.type,
    ...shownContent(message),
    contact: { name: message.senderName, profilePicture: null },
    lid: sender.lid,
    phoneNumber: sender.phoneNumber,
    mentions: message.mentions,
    quoted: message.quoted,
    sentAt: isoTime(message.timestamp),
    fromMe: false,
    viaApi: false,
    offline: message.offline,
  }
}

/** Fields of the events that follow an own message: `message.queued`, `.sent`, `.delivered`, `.read`, `.played`, `.failed`. */
export const ownFields = (
  message: Pick<Message, 'id' | 'chat' | 'content' | 'viaApi'>,
  chatParty: Party,
): Record<string, unknown> => ({
  messageId: message.id,
  from: 'me',
  to: shownChat(message.chat, chatParty),
  chat: shownChat(message.chat, chatParty),
  type: message.content.type,
  lid: chatParty.lid,
  phoneNumber: chatParty.phoneNumber,
  fromMe: true,
  viaApi: message.viaApi,
})

/** The same with the content: for the first time that an own message is told. */
export const ownFieldsWithContent = (message: Message, chatParty: Party): Record<string, unknown> => ({
  ...ownFields(message, chatParty),
  ...shownContent(message),
  mentions: message.mentions,
  quoted: message.quoted,
  sentAt: isoTime(message.timestamp),
})

const STATUS_EVENTS: Partial<Record<MessageStatus, EventName>> = {
  sent: 'message.sent',
  delivered: 'message.delivered',
  read: 'message.read',
  played: 'message.played',
  failed: 'message.failed',
}

/** The event that tells of a status, null for those that have none. */
export const statusEvent = (status: MessageStatus): EventName | null => STATUS_EVENTS[status] ?? null
