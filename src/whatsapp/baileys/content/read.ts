/**
 * A protocol message → what it holds, in our words. Pure but for the memory of earlier messages that it is given.
 *
 * What only concerns the linked devices (keys, history, settings) holds no content; everything else is content, and what
 * has no reader is `unknown` with WhatsApp's own name, never dropped.
 */
import type { proto } from '@whiskeysockets/baileys'
import { type Content, MAX_TEXT_LENGTH, type MessageType, wordsOf } from '../../../domain/content'
import type { MessageContext } from '../../../domain/message'
import { isAddress, isMessageId } from '../stanza-ids'
import { readDelete, readEdit, readPin, readReaction } from './actions'
import { bounded, cutText } from './bounds'
import { readButtons, readChoice, readInvite, readList, readOrder, readProduct } from './business'
import { readComment } from './comment'
import { contextOf, mentionsOf, readContext } from './context'
import { readEvent, readRsvp } from './event'
import { readAlbum, readAudio, readDocument, readImage, readSticker, readVideo } from './files'
import { readContact } from './people'
import { readLocation } from './place'
import { readPoll, readVote } from './poll'
import type { PartReaders, Reading } from './shapes'
import { readText } from './text'
import { unwrap } from './wrappers'

export type ReadMessage = {
  content: Content
  /** Addresses as they stand in the message. */
  mentions: string[]
  quoted: { messageId: string; participant: string | null; text: string | null } | null
  context: MessageContext
}

/** What is known besides the message. */
export type Surroundings = Pick<Reading, 'earlier' | 'authors' | 'others' | 'addresses'>
const NOTHING: Surroundings = { earlier: () => null, authors: [], others: [], addresses: () => [] }

const READERS: { [T in MessageType]: PartReaders<T> } = {
  text: readText,
  image: readImage,
  video: readVideo,
  audio: readAudio,
  document: readDocument,
  sticker: readSticker,
  album: readAlbum,
  location: readLocation,
  contact: readContact,
  poll: readPoll,
  event: readEvent,
  reaction: readReaction,
  edit: readEdit,
  delete: readDelete,
  pin: readPin,
  vote: readVote,
  rsvp: readRsvp,
  buttons: readButtons,
  list: readList,
  choice: readChoice,
  product: readProduct,
  order: readOrder,
  invite: readInvite,
  comment: readComment,
  unknown: {},
}

type AnyReader = (part: unknown, about: Reading) => Content | null
const BY_PART = new Map<string, AnyReader[]>()
for (const readers of Object.values(READERS)) {
  for (const [name, reader] of Object.entries(readers)) {
    BY_PART.set(name, [...(BY_PART.get(name) ?? []), reader as AnyReader])
  }
}

/** Parts that accompany content or concern the linked devices only. */
const NOT_SAID: ReadonlySet<string> = new Set([
  'senderKeyDistributionMessage',
  'fastRatchetKeySenderKeyDistributionMessage',
  'messageContextInfo',
  'stickerSyncRmrMessage',
])
/** Said when a reader takes it; what is left of it concerns devices. */
const SAID_WHEN_READ: ReadonlySet<string> = new Set(['protocolMessage'])

/** What a message holds; null when it holds nothing that a person has said. */
export function readContent(message: proto.IMessage, known: Surroundings = NOTHING): ReadMessage | null {
  const { inner, envelope, viewOnce } = unwrap(message)
  const [kind, part] = saidIn(inner)
  if (kind === null) return null
  const content = contentOf(kind, part, { ...known, envelope, viewOnce })
  if (content === null) return null
  const context = contextOf(part) ?? editedContext(part)
  return {
    content,
    mentions: mentionsOf(context),
    quoted: quoteOf(context),
    context: readContext(context, envelope),
  }
}

function saidIn(inner: proto.IMessage): [string, unknown] | [null, null] {
  const parts = Object.entries(inner).filter(
    ([name, part]) => part !== null && part !== undefined && !NOT_SAID.has(name),
  )
  const readable = parts.find(([name]) => BY_PART.has(name)) ?? parts[0]
  return readable ?? [null, null]
}

function contentOf(kind: string, part: unknown, about: Reading): Content | null {
  for (const read of BY_PART.get(kind) ?? []) {
    const content = read(part, about)
    const told = content && bounded(content)
    if (told !== null) return told
  }
  return SAID_WHEN_READ.has(kind) ? null : { type: 'unknown', kind }
}

/** New words can name people; their context lies with them. */
function editedContext(part: unknown): proto.IContextInfo | null {
  if (typeof part !== 'object' || part === null || !('editedMessage' in part)) return null
  const edited = part.editedMessage as proto.IMessage | null | undefined
  return edited ? contextOf(saidIn(unwrap(edited).inner)[1]) : null
}

function quoteOf(context: proto.IContextInfo | null): ReadMessage['quoted'] {
  if (!context?.stanzaId || !isMessageId(context.stanzaId)) return null
  const { participant } = context
  return {
    messageId: context.stanzaId,
    participant: participant && isAddress(participant) ? participant : null,
    text: context.quotedMessage ? wordsQuoted(context.quotedMessage) : null,
  }
}

/** A quote is read without what it quotes itself: there could be a thousand, one in the other. */
function wordsQuoted(message: proto.IMessage): string | null {
  const { inner, envelope, viewOnce } = unwrap(message)
  const [kind, part] = saidIn(inner)
  const content = kind && contentOf(kind, part, { ...NOTHING, envelope, viewOnce })
  const words = content ? wordsOf(content) : null
  return words && cutText(words, MAX_TEXT_LENGTH)
}
