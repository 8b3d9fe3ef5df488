/** A request to send → the message as it is stored and put on the wire. */
import { type Jid, partyOf, phoneJid, shownParty } from '../domain/ids'
import type { Message, Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import type { EncodeContext, WhatsApp } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import { recipientAgain } from './recipient'
import type { SendInput } from './supervisor'

type Parts = { whatsapp: WhatsApp; messages: Messages; clock: Clock }

type Draft = {
  session: Session
  input: SendInput
  /** The message that is answered. */
  quoted: StoredMessage | null
  chat: Jid
}

/** What the encoder needs of a quoted message; null when its content was not kept. */
function quotedContext(
  messages: Messages,
  session: Session,
  quoted: StoredMessage | null,
): EncodeContext['quoted'] {
  const raw = quoted ? messages.raw(session.id, quoted.id) : null
  if (!quoted || !raw || !session.me) return null
  const author = quoted.fromMe ? partyOf(phoneJid(session.me.phoneNumber)) : quoted.sender
  return {
    id: quoted.id,
    raw,
    chat: recipientAgain(quoted.chat, quoted.chatParty),
    sender: author ? recipientAgain(author.lid ?? quoted.chat, author) : quoted.chat,
  }
}

/** Composes the message and fixes its id: every try to send it bears this one. */
export function composed(
  { whatsapp, messages, clock }: Parts,
  { session, input, quoted, chat }: Draft,
): Message & { raw: Uint8Array } {
  const mentions = input.mentions ?? []
  return {
    sessionId: session.id,
    id: input.id ?? whatsapp.newMessageId(),
    chat,
    fromMe: true,
    sender: null,
    senderName: null,
    content: input.content,
    mentions: mentions.map((jid) => shownParty(partyOf(jid))),
    quoted: quoted && {
      messageId: quoted.id,
      from: quoted.fromMe ? 'me' : quoted.sender && shownParty(quoted.sender),
      text: 'text' in quoted.content ? quoted.content.text : null,
    },
    status: 'queued',
    timestamp: clock.now(),
    viaApi: true,
    offline: false,
    error: null,
    raw: whatsapp.encode(input.content, {
      mentions,
      quoted: quotedContext(messages, session, quoted),
    }),
    ackedAt: null,
  }
}
