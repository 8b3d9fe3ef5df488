/**
 * After how many seconds the messages of a chat vanish: new ones of ours keep to it. The chat's latest message says so, and
 * its setting as soon as it is changed; a setting that no message has followed yet is forgotten with the process.
 */
import { isAction } from '../../domain/content'
import { isPhoneJid, type Jid, phoneOf, type SessionId } from '../../domain/ids'
import type { Message, Messages } from '../../domain/message'

/** Chats of which is remembered what was found; the oldest make room. */
const REMEMBERED = 5_000

export interface Vanishing {
  /** Undefined when the chat keeps its messages, or nothing is known of it. */
  of(chat: Jid): number | undefined
  /** The setting of a chat was changed; 0 = messages stay. */
  set(chat: Jid, seconds: number): void
  /** A message has come or gone in its chat. */
  note(message: Pick<Message, 'chat' | 'context' | 'content'>): void
}

export function createVanishing(messages: Pick<Messages, 'list'>, sessionId: SessionId): Vanishing {
  const known = new Map<Jid, number>()
  const keep = (chat: Jid, seconds: number) => {
    known.delete(chat)
    known.set(chat, seconds)
    const [oldest] = known.keys()
    if (known.size > REMEMBERED && oldest !== undefined) known.delete(oldest)
  }
  return {
    of(chat) {
      let seconds = known.get(chat)
      if (seconds === undefined) {
        const shown = isPhoneJid(chat) ? (phoneOf(chat) ?? chat) : chat
        const [latest] = messages.list({ sessionId, chat: shown, limit: 1, offset: 0 }).messages
        seconds = latest?.context.disappearingSeconds ?? 0
        keep(chat, seconds)
      }
      return seconds > 0 ? seconds : undefined
    },
    set: keep,
    note({ chat, context, content }) {
      if (isAction(content)) return
      keep(chat, context.disappearingSeconds ?? 0)
    },
  }
}
