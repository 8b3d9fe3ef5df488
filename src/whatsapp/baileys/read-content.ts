/**
 * A protocol message → what it holds, in our words: one reader per type. Pure.
 *
 * Stanzas that change or carry other messages (edits, revocations, keys, history) hold no content of their own; what we
 * have no reader for is `unknown` with WhatsApp's own name, never dropped.
 */
import { getContentType, normalizeMessageContent, type proto } from '@whiskeysockets/baileys'
import type { Content, Media } from '../../domain/content'

export type ReadMessage = {
  content: Content
  /** Addresses as they stand in the message. */
  mentions: string[]
  quoted: { messageId: string; participant: string | null; text: string | null } | null
}

type Inner = proto.IMessage
type ReaderKey = Extract<keyof Inner, string>
type Readers = { [K in ReaderKey]?: (part: NonNullable<Inner[K]>) => Content }

/** Parts of a message that accompany another one or only concern the linked devices. */
const NO_CONTENT: ReadonlySet<string> = new Set([
  'protocolMessage',
  'senderKeyDistributionMessage',
  'fastRatchetKeySenderKeyDistributionMessage',
  'messageContextInfo',
  'keepInChatMessage',
  'pinInChatMessage',
  'encReactionMessage',
  'pollUpdateMessage',
  'placeholderMessage',
])

type LongLike = number | { toNumber(): number }
const numberOf = (value: LongLike | null | undefined): number | null => {
  if (value === null || value === undefined) return null
  return typeof value === 'number' ? value : value.toNumber()
}

type FilePart = {
  mimetype?: string | null
  fileLength?: LongLike | null
  fileName?: string | null
  seconds?: number | null
  width?: number | null
  height?: number | null
}

function mediaOf(part: FilePart): Media {
  const { fileName, seconds, width, height } = part
  return {
    mimetype: part.mimetype ?? null,
    size: numberOf(part.fileLength),
    ...(fileName ? { filename: fileName } : {}),
    ...(seconds ? { seconds } : {}),
    ...(width ? { width } : {}),
    ...(height ? { height } : {}),
  }
}

const captioned = <T extends 'image' | 'video' | 'document'>(
  type: T,
  part: FilePart & { caption?: string | null },
): { type: T; media: Media; caption?: string } => ({
  type,
  media: mediaOf(part),
  ...(part.caption ? { caption: part.caption } : {}),
})

const text = (body: string | null | undefined): Content =>
  body ? { type: 'text', text: body } : { type: 'unknown', kind: 'emptyText' }

function poll(part: proto.Message.IPollCreationMessage): Content {
  return {
    type: 'poll',
    question: part.name ?? '',
    options: (part.options ?? []).map((option) => option.optionName ?? ''),
    selectable: part.selectableOptionsCount ?? 0,
  }
}

function place(
  part: {
    degreesLatitude?: number | null
    degreesLongitude?: number | null
    name?: string | null
    address?: string | null
  },
  live: boolean,
): Content {
  return {
    type: 'location',
    latitude: part.degreesLatitude ?? 0,
    longitude: part.degreesLongitude ?? 0,
    ...(part.name ? { name: part.name } : {}),
    ...(part.address ? { address: part.address } : {}),
    ...(live ? { live: true } : {}),
  }
}

const WAID = /waid=(\d+)/

function card(part: proto.Message.IContactMessage) {
  const phoneNumber = WAID.exec(part.vcard ?? '')?.[1]
  return {
    fullName: part.displayName ?? '',
    ...(phoneNumber === undefined ? {} : { phoneNumber }),
    ...(part.vcard ? { vcard: part.vcard } : {}),
  }
}

const READERS: Readers = {
  conversation: text,
  extendedTextMessage: (part) => text(part.text),
  imageMessage: (part) => captioned('image', part),
  videoMessage: (part) => captioned('video', part),
  ptvMessage: (part) => captioned('video', part),
  documentMessage: (part) => captioned('document', part),
  audioMessage: (part) => ({ type: 'audio', ptt: part.ptt === true, media: mediaOf(part) }),
  stickerMessage: (part) => ({ type: 'sticker', media: mediaOf(part) }),
  locationMessage: (part) => place(part, part.isLive === true),
  liveLocationMessage: (part) => place(part, true),
  contactMessage: (part) => ({ type: 'contact', contacts: [card(part)] }),
  contactsArrayMessage: (part) => ({ type: 'contact', contacts: (part.contacts ?? []).map(card) }),
  pollCreationMessage: poll,
  pollCreationMessageV2: poll,
  pollCreationMessageV3: poll,
  reactionMessage: (part) => ({
    type: 'reaction',
    emoji: part.text ?? '',
    targetMessageId: part.key?.id ?? '',
  }),
}

/** What a message holds; null when it holds nothing that a person has said. */
export function readContent(message: proto.IMessage): ReadMessage | null {
  const inner = normalizeMessageContent(message)
  const kind = contentKind(inner)
  if (inner === undefined || kind === null) return null
  const part = inner[kind as ReaderKey]
  const context = contextOf(part)
  return { content: contentOf(inner, kind), mentions: context?.mentionedJid ?? [], quoted: quoteOf(context) }
}

/** WhatsApp's name of the part that carries the content, wrappers taken off. */
function contentKind(inner: Inner | undefined): string | null {
  if (inner === undefined) return null
  const known = getContentType(inner)
  if (known !== undefined && !NO_CONTENT.has(known)) return known
  const other = Object.entries(inner).find(
    ([name, part]) => part !== null && part !== undefined && !NO_CONTENT.has(name),
  )
  return other?.[0] ?? null
}

function contentOf(inner: Inner, kind: string): Content {
  const reader = READERS[kind as ReaderKey] as ((part: unknown) => Content) | undefined
  const part: unknown = inner[kind as ReaderKey]
  return reader && part !== null && part !== undefined ? reader(part) : { type: 'unknown', kind }
}

function contextOf(part: unknown): proto.IContextInfo | null {
  if (typeof part !== 'object' || part === null || !('contextInfo' in part)) return null
  return (part.contextInfo as proto.IContextInfo | null | undefined) ?? null
}

function quoteOf(context: proto.IContextInfo | null): ReadMessage['quoted'] {
  if (!context?.stanzaId) return null
  return {
    messageId: context.stanzaId,
    participant: context.participant ?? null,
    text: context.quotedMessage ? textOf(context.quotedMessage) : null,
  }
}

/** The words of a message: its text, or the caption of its file. */
function textOf(message: proto.IMessage): string | null {
  const inner = normalizeMessageContent(message)
  const kind = contentKind(inner)
  if (inner === undefined || kind === null) return null
  const content = contentOf(inner, kind)
  if (content.type === 'text') return content.text
  return 'caption' in content ? (content.caption ?? null) : null
}
