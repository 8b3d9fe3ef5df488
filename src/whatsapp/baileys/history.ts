/**
 * What the phone hands over after linking → reports of bounded size, oldest message first. Reactions, votes and stars lie
 * inside the messages they belong to; they become messages of their own, behind their target.
 */
import { type BaileysEventMap, proto, toNumber, type WAMessage } from '@whiskeysockets/baileys'
import { asMessageId } from '../../domain/ids'
import type { Identity } from '../../domain/session'
import type { IncomingMessage, Report } from '../../domain/whatsapp'
import { earlierOf } from './content/earlier'
import { optionsOf } from './content/poll'
import { messageOf, toldAs } from './messages'
import type { Know } from './people'
import type { starsOf } from './statuses'

/** Messages and bytes of one report. */
export const HISTORY_PIECE = { messages: 200, bytes: 4 * 1024 * 1024 } as const
/** More than any phone hands over in one go, and larger than any message of WhatsApp's own clients. */
export const HISTORY_LIMITS = { messages: 100_000, messageBytes: 1024 * 1024 } as const

type History = BaileysEventMap['messaging-history.set']
type Piece = Extract<Report, { kind: 'history' | 'stars' }>
export type HistoryAround = {
  me: Identity | null
  know: Know
  /** Milliseconds since the epoch. */
  now: number
  /** Messages that are too many, too large, or cannot be read. */
  onDropped: (count: number) => void
}

/** One report after another; nothing is converted before it is asked for. */
export function* historyOf(history: History, around: HistoryAround): Generator<Piece> {
  const progress = history.progress ?? null
  const counted = { chats: history.chats.length, contacts: history.contacts.length }
  let first = true
  for (const messages of piecesOf(messagesOf(history.messages, around))) {
    yield { kind: 'history', ...(first ? counted : NONE), messages, progress }
    first = false
  }
  if (first) yield { kind: 'history', ...counted, messages: [], progress }
  const stars = starredOf(history.messages)
  if (stars.length > 0) yield { kind: 'stars', stars }
}

const NONE = { chats: 0, contacts: 0 }
const timeOf = ({ messageTimestamp }: WAMessage): number => toNumber(messageTimestamp) || 0

function* messagesOf(given: readonly WAMessage[], around: HistoryAround): Generator<IncomingMessage> {
  // The phone gives the newest first, also among those of one second.
  const inOrder = given.map((message) => ({ at: timeOf(message), message })).reverse()
  inOrder.sort((a, b) => a.at - b.at)
  const newest = inOrder.slice(-HISTORY_LIMITS.messages)
  let dropped = given.length - newest.length
  for (const { message } of newest) {
    const told = readable(message, around)
    if (told === null) dropped += 1
    for (const one of told ?? []) {
      if (one.raw.length > HISTORY_LIMITS.messageBytes) dropped += 1
      else yield one
    }
  }
  if (dropped > 0) around.onDropped(dropped)
}

/** One message that cannot be read must not take the others with it; null for such a one. */
function readable(message: WAMessage, around: HistoryAround): IncomingMessage[] | null {
  try {
    return [...withAdditions(whole(message), around)]
  } catch {
    return null
  }
}

/** What a phone keeps beside the message itself: who wrote it in a group, and its secret. */
function whole(message: WAMessage): WAMessage {
  const { key, participant, message: content, messageSecret } = message
  const author = key.participant || participant
  if (content && messageSecret?.length && !content.messageContextInfo?.messageSecret) {
    content.messageContextInfo = { ...content.messageContextInfo, messageSecret }
  }
  return { ...message, key: { ...key, ...(author ? { participant: author } : {}) } }
}

function* withAdditions(message: WAMessage, { me, know, now }: HistoryAround): Generator<IncomingMessage> {
  const around = { origin: null, me, know, now }
  const told = messageOf(message, around)
  if (told === null) return
  yield told
  for (const reaction of message.reactions ?? []) {
    const one = messageOf(reactionTo(message, reaction), around)
    if (one !== null) yield one
  }
  const { options } = earlierOf(message.message ?? {})
  for (const update of message.pollUpdates ?? []) {
    const [voter, content] = voteOn(message, update)
    const chosen = optionsOf(update.vote?.selectedOptions ?? [], options)
    const vote = { type: 'vote', targetMessageId: told.id, options: chosen } as const
    const one = toldAs(voter, { content: vote, mentions: [], quoted: null, context: {} }, content, around)
    if (one !== null) yield one
  }
}

const secondsOf = (ms: Parameters<typeof toNumber>[0], otherwise: WAMessage): number =>
  Math.floor((toNumber(ms) || 0) / 1000) || timeOf(otherwise)

const inChatOf = (target: WAMessage, key: proto.IMessageKey | null | undefined): WAMessage['key'] => ({
  ...key,
  remoteJid: target.key.remoteJid ?? null,
})

function reactionTo(target: WAMessage, { key, text, senderTimestampMs }: proto.IReaction): WAMessage {
  return {
    key: inChatOf(target, key),
    message: proto.Message.fromObject({ reactionMessage: { key: target.key, text, senderTimestampMs } }),
    messageTimestamp: secondsOf(senderTimestampMs, target),
  }
}

function voteOn(target: WAMessage, update: proto.IPollUpdate): [WAMessage, proto.IMessage] {
  const content = proto.Message.fromObject({
    pollUpdateMessage: {
      pollCreationMessageKey: target.key,
      senderTimestampMs: update.senderTimestampMs,
    },
  })
  const key = inChatOf(target, update.pollUpdateMessageKey)
  return [{ key, message: content, messageTimestamp: secondsOf(update.senderTimestampMs, target) }, content]
}

function starredOf(messages: readonly WAMessage[]): ReturnType<typeof starsOf> {
  return messages.flatMap(({ key, starred }) =>
    starred && key.id ? [{ messageId: asMessageId(key.id), fromMe: key.fromMe === true, starred }] : [],
  )
}

function* piecesOf(messages: Iterable<IncomingMessage>): Generator<IncomingMessage[]> {
  let piece: IncomingMessage[] = []
  let bytes = 0
  for (const message of messages) {
    if (piece.length >= HISTORY_PIECE.messages || bytes + message.raw.length > HISTORY_PIECE.bytes) {
      yield piece
      piece = []
      bytes = 0
    }
    piece.push(message)
    bytes += message.raw.length
  }
  if (piece.length > 0) yield piece
}
