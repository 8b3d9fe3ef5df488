/** What a phone knows of past messages, in the form in which companions are given it. */
import { proto } from '@whiskeysockets/baileys'
import type { PhoneJournal, PhoneMessage } from './phone-journal'

const HISTORY_CHATS = 50
const HISTORY_PER_CHAT = 20

/** A message of either direction. */
export function findMessage(
  journal: PhoneJournal,
  id: string,
): { shown: PhoneMessage; message: proto.IMessage } | null {
  return journal.findReceived(id) ?? journal.findSent(id)
}

/** A message as it stands in a history. */
export function webMessage(shown: PhoneMessage, message: proto.IMessage): proto.IWebMessageInfo {
  const inGroup = shown.chat.endsWith('@g.us')
  return {
    key: {
      remoteJid: shown.chat,
      fromMe: shown.fromMe,
      id: shown.id,
      ...(inGroup ? { participant: shown.from } : {}),
    },
    message,
    messageTimestamp: shown.timestamp,
    ...(shown.pushName ? { pushName: shown.pushName } : {}),
  }
}

/** The latest messages of the latest chats, oldest first in each. */
export function historyOf(journal: PhoneJournal, own: { pn: string; lid: string }): proto.IHistorySync {
  const chats = new Map<string, { shown: PhoneMessage; message: proto.IMessage }[]>()
  const all = [...journal.received(), ...journal.sent()].sort((a, b) => a.shown.timestamp - b.shown.timestamp)
  for (const entry of all) {
    const chat = chats.get(entry.shown.chat) ?? []
    chats.delete(entry.shown.chat)
    chats.set(entry.shown.chat, [...chat, entry].slice(-HISTORY_PER_CHAT))
  }
  return {
    syncType: proto.HistorySync.HistorySyncType.INITIAL_BOOTSTRAP,
    progress: 100,
    chunkOrder: 1,
    conversations: [...chats].slice(-HISTORY_CHATS).map(([id, entries]) => ({
      id,
      conversationTimestamp: entries.at(-1)?.shown.timestamp ?? 0,
      messages: entries.map(({ shown, message }) => ({ message: webMessage(shown, message) })).reverse(),
    })),
    phoneNumberToLidMappings: [{ pnJid: own.pn, lidJid: own.lid }],
  }
}
