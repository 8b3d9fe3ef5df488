/** Other messages that a new one names: what it answers, acts on, or passes on. */
import { ACTION_TYPES, type AskOf, type AskType, type Content, isAction } from '../../domain/content'
import { type AppError, fail } from '../../domain/errors'
import { isGroup, type Jid, type Party, partyOf, phoneJid } from '../../domain/ids'
import type { Messages, StoredMessage } from '../../domain/message'
import type { Session } from '../../domain/session'
import type { Pointed } from '../../domain/whatsapp'
import { recipientAgain } from '../recipient'

type Action = AskOf<(typeof ACTION_TYPES)[number]>

export const isActionAsk = (ask: { type: AskType }): ask is Action =>
  (ACTION_TYPES as readonly string[]).includes(ask.type)

const unsuitable = (messageId: string, reason: string): AppError =>
  fail('MESSAGE_NOT_SUITABLE', { messageId, reason })

/** A stored message by its id; throws `MESSAGE_NOT_FOUND`. */
export function stored(messages: Messages, session: Session, messageId: string): StoredMessage {
  const message = messages.get(session.id, messageId)
  if (!message) throw fail('MESSAGE_NOT_FOUND', { messageId })
  return message
}

/** Whether the words of a message can be replaced. */
const editable = ({ type }: Content): boolean =>
  type === 'text' || type === 'image' || type === 'video' || type === 'document'

type Check = (target: StoredMessage) => string | null

/** Why this cannot be done with that message; null = it can. */
const CHECKS: Record<Action['type'], Check> = {
  reaction: () => null,
  edit: ({ fromMe, content }) =>
    !fromMe
      ? 'Only own messages can be edited'
      : editable(content)
        ? null
        : 'Only texts and captions can be edited',
  delete: ({ fromMe, chat }) =>
    fromMe || isGroup(chat) ? null : 'Only own messages can be taken back in this chat',
  pin: () => null,
  vote: ({ content, raw }) =>
    content.type !== 'poll'
      ? 'That message is no poll'
      : raw === null
        ? 'The secret of that poll was not kept'
        : null,
  rsvp: ({ content, raw }) =>
    content.type !== 'event'
      ? 'That message is no event'
      : content.canceled
        ? 'That event was canceled'
        : raw === null
          ? 'The secret of that event was not kept'
          : null,
}

/** The message that an action is about, once it is certain that this can be done with it. */
export function targetOf(messages: Messages, session: Session, ask: Action): StoredMessage {
  const target = stored(messages, session, ask.targetMessageId)
  const { id, status, content, afterlife } = target
  if (isAction(content)) throw unsuitable(id, 'That message is itself about another one')
  if (afterlife.deletedAt !== null) throw unsuitable(id, 'That message was taken back')
  if (status === 'queued' || status === 'failed') throw unsuitable(id, 'That message has not been sent')
  const reason = CHECKS[ask.type](target)
  if (reason !== null) throw unsuitable(id, reason)
  return target
}

/** Types that can be passed on; what is bound to its chat or to a secret cannot. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'text',
  'image',
  'video',
  'audio',
  'document',
  'sticker',
  'location',
  'contact',
  'product',
])

/** The message that is passed on, with its encoded form. */
export function forwardable(
  messages: Messages,
  session: Session,
  messageId: string,
): { original: StoredMessage; raw: Uint8Array } {
  const original = stored(messages, session, messageId)
  const { content, afterlife, raw, attachment } = original
  if (afterlife.deletedAt !== null) throw unsuitable(messageId, 'That message was taken back')
  if (!PASSED_ON.has(content.type)) throw unsuitable(messageId, `A ${content.type} cannot be forwarded`)
  if ('viewOnce' in content && content.viewOnce)
    throw unsuitable(messageId, 'What can be viewed once cannot be forwarded')
  if ('live' in content && content.live) throw unsuitable(messageId, 'A live location cannot be forwarded')
  if (raw === null) throw unsuitable(messageId, 'Its content was not kept')
  if (attachment !== null) throw unsuitable(messageId, 'Its file has not been sent yet')
  return { original, raw }
}

/** A quoted message as the encoder needs it: its author by phone number where that is known. */
export const pointed = (session: Session, message: StoredMessage, raw: Uint8Array): Pointed => {
  const { id, fromMe, chatParty } = message
  const chat = recipientAgain(message.chat, chatParty)
  const author = authorOf(session, message)
  return { id, raw, chat, fromMe, sender: author ? recipientAgain(author.lid ?? chat, author) : chat }
}

/** The same of a message that is acted on: keys and secrets are bound to LIDs, so the author's comes first. */
export const pointedAt = (session: Session, message: StoredMessage): Pointed => {
  const named = pointed(session, message, message.raw ?? new Uint8Array(0))
  return { ...named, sender: authorOf(session, message)?.lid ?? named.sender }
}

const authorOf = ({ me }: Session, { fromMe, sender }: StoredMessage): Party | null =>
  fromMe ? me && partyOf(me.lid, phoneJid(me.phoneNumber)) : sender

/** Ourselves, as signatures and encryption name us. */
export function ownAddress(session: Session): Jid {
  const { me } = session
  const party = partyOf(me?.lid, me ? phoneJid(me.phoneNumber) : null)
  return party.lid ?? phoneJid(party.phoneNumber ?? '')
}
