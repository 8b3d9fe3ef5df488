/** What is done about messages and chats over the present connection, without a message of its own. */

import type { Ledger } from '../domain/changes'
import { type AppError, fail } from '../domain/errors'
import { isGroup, type Jid, type MessageId, partyOf, phoneJid } from '../domain/ids'
import type { Messages, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import type { ChatPresence, Connection, MessageRef } from '../domain/whatsapp'
import type { Log } from '../lib/log'
import { notConnected } from './not-connected'
import { sessionEvent, shownChat } from './payload'
import { recipientAgain } from './recipient'

/** A session as these deeds need it. */
type Live = { view(): Session; through(): Connection | null }

export type OnMessagesParts = { messages: Messages; ledger: Ledger; log: Log }

export interface OnMessages {
  showPresence(live: Live, to: Jid | null, presence: ChatPresence): Promise<void>
  /** On disk when it resolves; the other devices of the account know by then. */
  star(live: Live, messageId: MessageId, starred: boolean): Promise<void>
  /** Own messages among them are passed over: nobody waits for their being read by us. */
  markRead(live: Live, messageIds: readonly MessageId[]): Promise<void>
}

const missing = (messageId: string): AppError => fail('MESSAGE_NOT_FOUND', { messageId })

/** A stored message as WhatsApp names it. */
export function refOf(session: Session, message: StoredMessage): MessageRef {
  const { id, fromMe, sender, chatParty } = message
  const chat = recipientAgain(message.chat, chatParty)
  if (fromMe) return { id, chat, fromMe, sender: session.me && phoneJid(session.me.phoneNumber) }
  const author = partyOf(sender?.lid, sender?.phoneNumber ? phoneJid(sender.phoneNumber) : null)
  const shared = isGroup(message.chat) || message.chat === STATUS
  const person = author.lid ?? (author.phoneNumber === null ? null : phoneJid(author.phoneNumber))
  return { id, chat, fromMe, sender: shared ? person : null }
}

const STATUS = 'status@broadcast'

export function createOnMessages({ messages, ledger }: OnMessagesParts): OnMessages {
  const reach = (live: Live): { session: Session; connection: Connection } => {
    const session = live.view()
    const connection = live.through()
    if (!connection) throw notConnected(session)
    return { session, connection }
  }

  const find = (session: Session, messageId: MessageId): StoredMessage => {
    const message = messages.get(session.id, messageId)
    if (!message) throw missing(messageId)
    return message
  }

  return {
    async showPresence(live, to, presence) {
      const { connection } = reach(live)
      await connection.showPresence(to, presence)
    },
    async star(live, messageId, starred) {
      const { session, connection } = reach(live)
      const message = find(session, messageId)
      await connection.star(refOf(session, message), starred)
      const about = { chat: shownChat(message.chat, message.chatParty), type: message.content.type }
      const { fromMe } = message
      await ledger.commit([
        {
          change: { kind: 'message_starred', sessionId: session.id, messageId, fromMe, starred },
          events: [sessionEvent(session, 'message.starred', { messageId, starred, fromMe, ...about })],
        },
      ])
    },
    async markRead(live, messageIds) {
      const { session, connection } = reach(live)
      const found = [...new Set(messageIds)].map((id) => find(session, id))
      const others = found.filter(({ fromMe }) => !fromMe)
      if (others.length > 0) await connection.markRead(others.map((message) => refOf(session, message)))
    },
  }
}
