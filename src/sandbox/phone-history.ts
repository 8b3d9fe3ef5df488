/** What a phone knows of past messages, in the form in which companions are given it. */
import { proto } from '@whiskeysockets/baileys'
import { DEED_TYPES, secretOf } from './content-deeds'
import { isOpenedOnce } from './content-outer'
import { optionHash, RESPONSES } from './content-votes'
import { isChannel, isGroup, isShared, STATUS } from './jid'
import type { PhoneAppState } from './phone-app-state'
import { type Entry, type PhoneJournal, type SentStatus, statusOf } from './phone-journal'

export type HistoryParts = {
  journal: PhoneJournal
  appState: PhoneAppState
  own: { pn: string; lid: string }
  /** A message's key, and a person or chat, as the phone names them to its companions. */
  keyOf(entry: Entry): Promise<proto.IMessageKey>
  chatName(chat: string): Promise<string>
  /** Both names of a person; null for those unknown. */
  lidOf(pn: string): Promise<string | null>
  /** A group's subject; null when the phone may not know it. */
  subjectOf(group: string): Promise<string | null>
}

const HISTORY_CHATS = 50
/** How many messages of a chat come at once; what is older follows. */
const FIRST_PER_CHAT = 20
/** How many messages a later piece holds at most. */
const PER_PIECE = 200

const { HistorySyncType } = proto.HistorySync
const { Status, StubType } = proto.WebMessageInfo
const STATUSES: Record<SentStatus, proto.WebMessageInfo.Status> = {
  sent: Status.SERVER_ACK,
  delivered: Status.DELIVERY_ACK,
  read: Status.READ,
  played: Status.PLAYED,
}
/** What acts on other messages is in these messages already; settings are in the chat. */
const NO_MESSAGES: readonly string[] = [...DEED_TYPES, 'disappearing']

/** What a companion sees of a file that can be opened once. */
const WITHHELD: proto.IMessage = { viewOnceMessageV2: { message: { imageMessage: { viewOnce: true } } } }

/** A message as it stands in a history, with what has become of it. */
export async function webMessage(entry: Entry, parts: HistoryParts): Promise<proto.IWebMessageInfo> {
  const { shown, message, afterlife } = entry
  const key = await parts.keyOf(entry)
  const secret = secretOf(message)
  const by = async (person: string, id: string): Promise<proto.IMessageKey> => {
    const fromMe = person === parts.own.pn
    const participant = isShared(shown.chat) ? await parts.chatName(person) : null
    return { remoteJid: key.remoteJid ?? null, fromMe, id, ...(participant ? { participant } : {}) }
  }
  return {
    key,
    messageTimestamp: shown.timestamp,
    ...(afterlife?.deleted
      ? { messageStubType: StubType.REVOKE }
      : { message: isOpenedOnce(message) ? WITHHELD : message }),
    ...(key.participant ? { participant: key.participant } : {}),
    ...('receipts' in entry ? { status: STATUSES[statusOf(entry)] } : {}),
    ...(shown.pushName ? { pushName: shown.pushName } : {}),
    ...(afterlife?.starred ? { starred: true } : {}),
    ...(secret ? { messageSecret: secret } : {}),
    reactions: await Promise.all(
      (afterlife?.reactions ?? []).map(async ({ messageId, emoji, from, at }) => ({
        key: await by(from, messageId),
        text: emoji,
        senderTimestampMs: at,
      })),
    ),
    pollUpdates: await Promise.all(
      (afterlife?.votes ?? []).map(async ({ messageId, options, from, at }) => ({
        pollUpdateMessageKey: await by(from, messageId),
        vote: { selectedOptions: options.map(optionHash) },
        senderTimestampMs: at,
      })),
    ),
    eventResponses: await Promise.all(
      (afterlife?.responses ?? []).map(async ({ messageId, response, extraGuests, from, at }) => ({
        eventResponseMessageKey: await by(from, messageId),
        timestampMs: at,
        eventResponseMessage: {
          response: RESPONSES[response],
          timestampMs: at,
          extraGuestCount: extraGuests,
        },
      })),
    ),
  }
}

/** By chat, the latest chats only; oldest message first in each. */
function chatsOf(journal: PhoneJournal): Map<string, Entry[]> {
  const chats = new Map<string, Entry[]>()
  const all: Entry[] = [...journal.received(), ...journal.sent()]
  for (const entry of all.sort((a, b) => a.shown.timestamp - b.shown.timestamp)) {
    const { chat, content } = entry.shown
    if (NO_MESSAGES.includes(content.type) || isChannel(chat)) continue
    const entries = chats.get(chat) ?? []
    entries.push(entry)
    // The chat that was spoken in last is the last of the map.
    chats.delete(chat)
    chats.set(chat, entries)
  }
  return new Map([...chats].slice(-HISTORY_CHATS))
}

/** All there is to hand over to a new companion, in the order and in pieces as phones send them. */
export async function historyPieces(parts: HistoryParts): Promise<proto.IHistorySync[]> {
  const { journal, own } = parts
  const chats = chatsOf(journal)
  const posts = chats.get(STATUS) ?? []
  chats.delete(STATUS)

  const first: proto.IConversation[] = []
  const older: { id: string; entries: Entry[] }[] = []
  const mappings = new Map([[own.pn, own.lid]])
  for (const [chat, entries] of chats) {
    const conversation = await conversationOf(chat, entries.slice(-FIRST_PER_CHAT), parts)
    first.push(conversation)
    if (conversation.pnJid && conversation.lidJid) mappings.set(conversation.pnJid, conversation.lidJid)
    const rest = entries.slice(0, -FIRST_PER_CHAT)
    for (let end = rest.length; end > 0; end -= PER_PIECE) {
      older.push({ id: conversation.id ?? chat, entries: rest.slice(Math.max(0, end - PER_PIECE), end) })
    }
  }
  const pieces: proto.IHistorySync[] = [
    {
      syncType: HistorySyncType.INITIAL_BOOTSTRAP,
      conversations: first,
      phoneNumberToLidMappings: [...mappings].map(([pnJid, lidJid]) => ({ pnJid, lidJid })),
    },
  ]
  const pushnames = await namesIn(journal, parts)
  if (pushnames.length > 0) pieces.push({ syncType: HistorySyncType.PUSH_NAME, pushnames })
  if (posts.length > 0) {
    const statusV3Messages = await Promise.all(posts.map((entry) => webMessage(entry, parts)))
    pieces.push({ syncType: HistorySyncType.INITIAL_STATUS_V3, statusV3Messages })
  }
  for (const { id, entries } of older) {
    const messages = await newestFirst(entries, parts)
    pieces.push({ syncType: HistorySyncType.RECENT, conversations: [{ id, messages }] })
  }
  return pieces.map((piece, at) => ({
    ...piece,
    chunkOrder: at + 1,
    progress: Math.floor(((at + 1) / pieces.length) * 100),
  }))
}

async function newestFirst(entries: readonly Entry[], parts: HistoryParts): Promise<proto.IHistorySyncMsg[]> {
  const messages = await Promise.all(entries.map((entry) => webMessage(entry, parts)))
  return messages.map((message) => ({ message })).reverse()
}

async function conversationOf(
  chat: string,
  entries: Entry[],
  parts: HistoryParts,
): Promise<proto.IConversation> {
  const marks = parts.appState.chats().get(chat)
  const lidJid = isGroup(chat) ? null : chat.endsWith('@lid') ? chat : await parts.lidOf(chat)
  const pnJid = isGroup(chat) || chat.endsWith('@lid') ? null : chat
  const name = isGroup(chat) ? await parts.subjectOf(chat) : null
  const last = entries.at(-1)?.shown.timestamp ?? 0
  return {
    id: await parts.chatName(chat),
    conversationTimestamp: last,
    ...(pnJid ? { pnJid } : {}),
    ...(lidJid ? { lidJid } : {}),
    ...(name ? { name } : {}),
    ...(marks?.archived ? { archived: true } : {}),
    ...(marks?.pinned ? { pinned: last } : {}),
    ...(marks?.mutedUntil ? { muteEndTime: marks.mutedUntil } : {}),
    messages: await newestFirst(entries, parts),
  }
}

/** The name each person last gave itself. */
async function namesIn(journal: PhoneJournal, parts: HistoryParts): Promise<proto.IPushname[]> {
  const names = new Map<string, string>()
  for (const { shown } of journal.received()) {
    if (shown.pushName && !shown.fromMe && !isChannel(shown.from)) names.set(shown.from, shown.pushName)
  }
  return Promise.all(
    [...names].map(async ([person, pushname]) => ({ id: await parts.chatName(person), pushname })),
  )
}
