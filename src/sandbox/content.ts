/**
 * What a simulated phone can say and how it shows what it got: a readable form on one side, WhatsApp's protobuf on the
 * other. A type is one schema, one writer and one reader in the files beside this one; context and wrappers are here.
 */
import { getContentType, normalizeMessageContent, proto } from '@whiskeysockets/baileys'
import { readDeeds, writeDeed } from './content-deeds'
import { readMedia, writeMedia } from './content-media'
import { readMenu, writeMenu } from './content-menu'
import { readOffer, writeOffer } from './content-offer'
import { isOpenedOnce } from './content-outer'
import { readPlain, writePlain } from './content-plain'
import type { PhoneContent, PhoneContentOf, PhoneContentType } from './content-schemas'
import { known, PROTOCOL, type ReadContent, type Surroundings, UnknownMessage } from './content-shape'

type Writer<T extends PhoneContentType> = (content: PhoneContentOf<T>, around: Surroundings) => proto.IMessage

const WRITERS: { [T in PhoneContentType]: Writer<T> } = {
  ...writePlain,
  ...writeMedia,
  ...writeMenu,
  ...writeOffer,
  ...writeDeed,
  forward: ({ messageId }, around) => forwarded(known(around, messageId).message, messageId),
  disappearing: ({ seconds }, { now }) => ({
    protocolMessage: {
      type: PROTOCOL.ephemeralSetting,
      ephemeralExpiration: seconds,
      ephemeralSettingTimestamp: Math.floor(now / 1000),
    },
  }),
  raw: ({ base64 }) => proto.Message.decode(Buffer.from(base64, 'base64')),
}

/** The protobuf for a content; throws `UnknownMessage` when it points to a message the phone does not know. */
export function toMessage<T extends PhoneContentType>(
  content: PhoneContentOf<T>,
  around: Surroundings,
): proto.IMessage {
  // The table ties each writer to its type; TypeScript loses that for a generic index.
  const write = WRITERS[content.type] as Writer<T>
  const message = write(content, around)
  if (content.type === 'raw') return message
  return wrapped(content, withContext(message, contextOf(content, around)))
}

function contextOf(content: PhoneContent, around: Surroundings): proto.IContextInfo | null {
  const info: proto.IContextInfo = {}
  if ('mentions' in content && content.mentions?.length) {
    info.mentionedJid = content.mentions.map(around.jidOf)
  }
  if ('mentionsAll' in content && content.mentionsAll) info.nonJidMentions = 1
  if ('forwardingScore' in content && content.forwardingScore) {
    Object.assign(info, { forwardingScore: content.forwardingScore, isForwarded: true })
  }
  if ('disappearingSeconds' in content && content.disappearingSeconds) {
    info.expiration = content.disappearingSeconds
  }
  if ('quotedMessageId' in content && content.quotedMessageId) {
    const quoted = known(around, content.quotedMessageId)
    info.stanzaId = content.quotedMessageId
    info.participant = quoted.author
    info.quotedMessage = withoutContext(quoted.message)
    if (quoted.key.remoteJid && quoted.key.remoteJid !== around.chat) info.remoteJid = quoted.key.remoteJid
  }
  return Object.keys(info).length > 0 ? info : null
}

/** The part of a message that may have a context, under its own name; a bare text grows into one that may. */
function bodyOf(message: proto.IMessage): { field: keyof proto.IMessage; body: object } | null {
  const field = getContentType(message)
  if (field === undefined) return null
  if (field === 'conversation') return { field: 'extendedTextMessage', body: { text: message.conversation } }
  const body = message[field]
  return typeof body === 'object' && body !== null ? { field, body } : null
}

function withContext(message: proto.IMessage, contextInfo: proto.IContextInfo | null): proto.IMessage {
  const found = contextInfo && bodyOf(message)
  if (!found) return message
  const { conversation: _, ...rest } = message
  return { ...rest, [found.field]: { ...found.body, contextInfo } }
}

function withoutContext(message: proto.IMessage): proto.IMessage {
  const inner = normalizeMessageContent(message) ?? {}
  const field = getContentType(inner)
  if (field === undefined) return {}
  const body = inner[field]
  if (typeof body !== 'object' || body === null) return { [field]: body }
  return { [field]: { ...body, contextInfo: null } }
}

/** A message sent on: what belonged to its first place is gone, and it was forwarded once more. */
function forwarded(message: proto.IMessage, messageId: string): proto.IMessage {
  const score = (contextInfoOf(normalizeMessageContent(message) ?? {})?.forwardingScore ?? 0) + 1
  const bare = withoutContext(message)
  if (Object.keys(bare).length === 0) throw new UnknownMessage(messageId)
  return withContext(bare, { forwardingScore: score, isForwarded: true })
}

/** View-once files, captioned documents and everything in a disappearing chat travel inside another message. */
function wrapped(content: PhoneContent, message: proto.IMessage): proto.IMessage {
  const { messageContextInfo, ...inner } = message
  const outside = messageContextInfo ? { messageContextInfo } : {}
  let outer: proto.IMessage = inner
  if ('viewOnce' in content && content.viewOnce) {
    outer =
      content.type === 'audio'
        ? { viewOnceMessageV2Extension: { message: outer } }
        : { viewOnceMessageV2: { message: outer } }
  }
  if (outer.documentMessage?.caption) outer = { documentWithCaptionMessage: { message: outer } }
  if ('disappearingSeconds' in content && content.disappearingSeconds) {
    outer = { ephemeralMessage: { message: outer } }
  }
  return { ...outer, ...outside }
}

/** A protobuf in readable form, and WhatsApp's own name of what it is. */
export function readMessage(message: proto.IMessage): { kind: string; content: ReadContent } {
  const inside = normalizeMessageContent(message) ?? {}
  // The envelope may lie outside of the wrappers.
  const messageContextInfo = message.messageContextInfo ?? inside.messageContextInfo
  const inner = { ...inside, ...(messageContextInfo ? { messageContextInfo } : {}) }
  const kind = getContentType(inner) ?? 'unknown'
  const content = READERS[kind]?.(inner) ?? {
    type: 'unknown',
    kind,
    base64: Buffer.from(proto.Message.encode(message).finish()).toString('base64'),
  }
  readContext(content, contextInfoOf(inner))
  if (isOpenedOnce(message)) content.viewOnce = true
  const { messageAssociation } = messageContextInfo ?? {}
  const parent = messageAssociation?.associationType === 1 ? messageAssociation.parentMessageKey?.id : null
  if (parent) content.albumId = parent
  return { kind, content }
}

function readContext(content: ReadContent, info: proto.IContextInfo | null): void {
  if (!info) return
  if (info.stanzaId && content.type !== 'choice') {
    const quoted = info.quotedMessage ? readMessage(info.quotedMessage).content : null
    content.quotedMessageId = info.stanzaId
    content.quoted = {
      messageId: info.stanzaId,
      from: info.participant ?? null,
      type: quoted?.type ?? null,
      text: quoted?.text ?? quoted?.caption ?? null,
    }
  }
  if (info.mentionedJid?.length) content.mentions = info.mentionedJid
  if (info.nonJidMentions) content.mentionsAll = true
  if (info.forwardingScore || info.isForwarded) content.forwardingScore = info.forwardingScore || 1
  if (info.expiration) content.disappearingSeconds = info.expiration
}

const READERS: Partial<Record<string, (message: proto.IMessage) => ReadContent>> = {
  ...readPlain,
  ...readMedia,
  ...readMenu,
  ...readOffer,
  ...readDeeds((message) => readMessage(message).content),
}

/** What a message says of itself beside its own fields. */
export function contextInfoOf(message: proto.IMessage): proto.IContextInfo | null {
  for (const value of Object.values(message)) {
    if (typeof value === 'object' && value !== null && 'contextInfo' in value) {
      const { contextInfo } = value as { contextInfo?: proto.IContextInfo | null }
      if (contextInfo) return contextInfo
    }
  }
  return null
}
