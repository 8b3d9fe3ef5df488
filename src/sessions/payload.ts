/** What events say about messages: the fields of contract §6, flat; nothing is invented. */
import { type ActionType, contentFields, isAction } from '../domain/content'
import type { EventName, NewEvent } from '../domain/events'
import {
  isPhoneJid,
  type Jid,
  type MessageId,
  type Party,
  phoneOf,
  type SessionId,
  shownParty,
} from '../domain/ids'
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

/** Where things of ours can be fetched. */
export type Places = {
  /** The bytes of a message's file. */
  media: (sessionId: SessionId, messageId: MessageId) => string
}

/** `publicUrl`: the address under which callers reach us; without one, places are paths. */
export const placesUnder = (publicUrl: string | null): Places => ({
  media: (sessionId, messageId) =>
    `${(publicUrl ?? '').replace(/\/$/, '')}/api/messages/${sessionId}/${encodeURIComponent(messageId)}/media`,
})

type Shown = Pick<Message, 'sessionId' | 'id' | 'content' | 'context'>

/** Content beside its type, and what goes along with it; a file carries the place of its bytes. */
function shownContent({ sessionId, id, content, context }: Shown, places: Places): Record<string, unknown> {
  const { forwardingScore, mentionsAll, disappearingSeconds, albumId } = context
  return {
    ...contentFields(content),
    ...('media' in content ? { media: { ...content.media, url: places.media(sessionId, id) } } : {}),
    ...(forwardingScore === undefined ? {} : { forwarded: true, forwardingScore }),
    ...(mentionsAll ? { mentionsAll } : {}),
    ...(disappearingSeconds === undefined ? {} : { disappearingSeconds }),
    ...(albumId === undefined ? {} : { albumId }),
  }
}

const ACTION_EVENTS: Record<ActionType, EventName> = {
  reaction: 'message.reaction',
  edit: 'message.edited',
  delete: 'message.deleted',
  pin: 'message.pinned',
  vote: 'message.poll_vote',
  rsvp: 'message.event_response',
}

const STATUS_CHAT = 'status@broadcast'

/** The event that tells of a message which has come in, or was sent from the phone. */
export function arrivalEvent({
  content,
  chat,
  fromMe,
}: Pick<Message, 'content' | 'chat' | 'fromMe'>): EventName {
  if (isAction(content)) return ACTION_EVENTS[content.type]
  if (fromMe) return 'message.sent'
  return chat === STATUS_CHAT ? 'status.received' : 'message.received'
}

/** Fields of whatever somebody else has sent. */
export function receivedFields(message: Message, chatParty: Party, places: Places): Record<string, unknown> {
  const sender = message.sender ?? chatParty
  return {
    messageId: message.id,
    from: shownParty(sender),
    to: 'me',
    chat: shownChat(message.chat, chatParty),
    type: message.content.type,
    ...shownContent(message, places),
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
  ...('targetMessageId' in message.content ? { targetMessageId: message.content.targetMessageId } : {}),
})

/** The same with the content: for the first time that an own message is told. */
export const ownFieldsWithContent = (
  message: Message,
  chatParty: Party,
  places: Places,
): Record<string, unknown> => ({
  ...ownFields(message, chatParty),
  ...shownContent(message, places),
  mentions: message.mentions,
  quoted: message.quoted,
  sentAt: isoTime(message.timestamp),
  ...(message.schedule?.sendAt ? { sendAt: isoTime(message.schedule.sendAt) } : {}),
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
