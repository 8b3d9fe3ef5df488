/**
 * What the phone hands over after linking → reports of bounded size, oldest message first. Reactions, votes, answers and
 * stars lie inside the messages they belong to; they become messages of their own, behind their target.
 */
import { type BaileysEventMap, proto, toNumber, type WAMessage } from '@whiskeysockets/baileys'
import type { Content } from '../../domain/content'
import { asMessageId } from '../../domain/ids'
import type { Identity } from '../../domain/session'
import type { IncomingMessage, Report } from '../../domain/whatsapp'
import { earlierOf } from './content/earlier'
import { answerOf } from './content/event'
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
  for (const [by, content] of sealedAdditions(message, told.id)) {
    const read = { content, mentions: [], quoted: null, context: {} }
    const one = toldAs(by, read, by.message ?? {}, around)
    if (one !== null) yield one
  }
}

/** What had been sealed; the phone hands it over opened. */
function* sealedAdditions(message: WAMessage, targetMessageId: string): Generator<[WAMessage, Content]> {
  const { options } = earlierOf(message.message ?? {})
  for (const { pollUpdateMessageKey, vote, senderTimestampMs } of message.pollUpdates ?? []) {
    const part = { pollUpdateMessage: { pollCreationMessageKey: message.key, senderTimestampMs } }
    const chosen = optionsOf(vote?.selectedOptions ?? [], options)
    yield [
      addition(message, pollUpdateMessageKey, senderTimestampMs, part),
      { type: 'vote', targetMessageId, options: chosen },
    ]
  }
  for (const { eventResponseMessageKey, eventResponseMessage, timestampMs } of message.eventResponses ?? []) {
    const answer = answerOf(targetMessageId, eventResponseMessage ?? {})
    const part = { encEventResponseMessage: { eventCreationMessageKey: message.key } }
    if (answer) yield [addition(message, eventResponseMessageKey, timestampMs, part), answer]
  }
}

const secondsOf = (ms: Parameters<typeof toNumber>[0], otherwise: WAMessage): number =>
  Math.floor((toNumber(ms) || 0) / 1000) || timeOf(otherwise)

const inChatOf = (target: WAMessage, key: proto.IMessageKey | null | undefined): WAMessage['key'] => ({
  ...key,
  remoteJid: target.key.remoteJid ?? null,
})

const reactionTo = (target: WAMessage, { key, text, senderTimestampMs }: proto.IReaction): WAMessage =>
  addition(target, key, senderTimestampMs, { reactionMessage: { key: target.key, text, senderTimestampMs } })

function addition(
  target: WAMessage,
  key: proto.IMessageKey | null | undefined,
  ms: Parameters<typeof toNumber>[0],
  part: object,
): WAMessage {
  return {
    key: inChatOf(target, key),
    message: proto.Message.fromObject(part),
    messageTimestamp: secondsOf(ms, target),
  }
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
