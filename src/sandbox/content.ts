/**
 * What a simulated phone can say and how it shows what it got: a readable form on one side, WhatsApp's
 * protobuf on the other. Field names are those of the service's own API where both know a field.
 */
import { type Static, Type } from '@sinclair/typebox'
import { getContentType, normalizeMessageContent, type proto } from '@whiskeysockets/baileys'

const strict = { additionalProperties: false }
const Target = Type.String({ minLength: 1, description: 'Id of a message this phone has sent or received' })

/** What any content may carry besides its own fields. */
const context = {
  mentions: Type.Optional(Type.Array(Type.String(), { description: 'Phone numbers or JIDs' })),
  quotedMessageId: Type.Optional(Target),
}

const file = {
  base64: Type.String({ minLength: 1, contentEncoding: 'base64' }),
  mimetype: Type.Optional(Type.String()),
  caption: Type.Optional(Type.String()),
  filename: Type.Optional(Type.String()),
  seconds: Type.Optional(Type.Integer({ minimum: 0 })),
  ptt: Type.Optional(Type.Boolean({ description: 'A voice note' })),
  viewOnce: Type.Optional(Type.Boolean()),
  ...context,
}

const Text = Type.Object(
  { type: Type.Literal('text'), text: Type.String({ minLength: 1 }), ...context },
  strict,
)
const Media = (['image', 'video', 'audio', 'document', 'sticker'] as const).map((type) =>
  Type.Object({ type: Type.Literal(type), ...file }, strict),
)
const Location = Type.Object(
  {
    type: Type.Literal('location'),
    latitude: Type.Number({ minimum: -90, maximum: 90 }),
    longitude: Type.Number({ minimum: -180, maximum: 180 }),
    name: Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
    ...context,
  },
  strict,
)
const Contact = Type.Object(
  {
    type: Type.Literal('contact'),
    contacts: Type.Array(
      Type.Object(
        { fullName: Type.String({ minLength: 1 }), phoneNumber: Type.String({ minLength: 1 }) },
        strict,
      ),
      { minItems: 1 },
    ),
    ...context,
  },
  strict,
)
const Poll = Type.Object(
  {
    type: Type.Literal('poll'),
    question: Type.String({ minLength: 1 }),
    options: Type.Array(Type.String({ minLength: 1 }), { minItems: 2, maxItems: 12 }),
    selectable: Type.Optional(Type.Integer({ minimum: 0 })),
    ...context,
  },
  strict,
)
const Reaction = Type.Object(
  {
    type: Type.Literal('reaction'),
    emoji: Type.String({ description: 'Empty takes the reaction back' }),
    targetMessageId: Target,
  },
  strict,
)
const Edit = Type.Object(
  { type: Type.Literal('edit'), text: Type.String({ minLength: 1 }), targetMessageId: Target },
  strict,
)
const Delete = Type.Object({ type: Type.Literal('delete'), targetMessageId: Target }, strict)

/** Everything a phone can send. */
export const PhoneContentSchema = Type.Union([
  Text,
  ...Media,
  Location,
  Contact,
  Poll,
  Reaction,
  Edit,
  Delete,
])
export type PhoneContent =
  | Static<typeof Text>
  | Static<(typeof Media)[number]>
  | Static<typeof Location>
  | Static<typeof Contact>
  | Static<typeof Poll>
  | Static<typeof Reaction>
  | Static<typeof Edit>
  | Static<typeof Delete>
export type MediaContent = Static<(typeof Media)[number]>

/** A message as a phone shows it: `type`, and whatever that type has. */
export type ReadContent = { type: string } & Record<string, unknown>

/** Where an uploaded, encrypted file lies and how to open it: the fields every media message shares. */
export type UploadedFile = {
  url: string
  directPath: string
  mediaKey: Buffer
  fileSha256: Buffer
  fileEncSha256: Buffer
  fileLength: number
  mediaKeyTimestamp: number
}

/** What `toMessage` needs to know of the world around the content. */
export type Surroundings = {
  uploaded?: UploadedFile
  /** The key of an earlier message as this phone names it, and its content; null when unknown. */
  lookUp(messageId: string): { key: proto.IMessageKey; message: proto.IMessage } | null
  jidOf(mention: string): string
  messageSecret(): Buffer
  /** Milliseconds since the epoch. */
  now: number
}

/** Thrown when content points to a message this phone does not know. */
export class UnknownMessage extends Error {
  constructor(readonly messageId: string) {
    super(`This phone knows no message ${messageId}`)
    this.name = 'UnknownMessage'
  }
}

const DEFAULT_MIMETYPE = {
  image: 'image/jpeg',
  video: 'video/mp4',
  audio: 'audio/ogg; codecs=opus',
  document: 'application/octet-stream',
  sticker: 'image/webp',
} as const

const MEDIA_TYPES: ReadonlySet<string> = new Set(Object.keys(DEFAULT_MIMETYPE))

/** Whether this content carries a file that must be uploaded first. */
export const isMedia = (content: PhoneContent): content is MediaContent => MEDIA_TYPES.has(content.type)

/** The protobuf for a content; throws `UnknownMessage` when it answers to a message nobody knows. */
export function toMessage(content: PhoneContent, around: Surroundings): proto.IMessage {
  const contextInfo = contextOf(content, around)
  const known = (messageId: string) => {
    const found = around.lookUp(messageId)
    if (!found) throw new UnknownMessage(messageId)
    return found.key
  }
  switch (content.type) {
    case 'text':
      return contextInfo
        ? { extendedTextMessage: { text: content.text, contextInfo } }
        : { conversation: content.text }
    case 'location':
      return {
        locationMessage: {
          degreesLatitude: content.latitude,
          degreesLongitude: content.longitude,
          ...(content.name === undefined ? {} : { name: content.name }),
          ...(content.address === undefined ? {} : { address: content.address }),
          ...(contextInfo ? { contextInfo } : {}),
        },
      }
    case 'contact':
      return contactMessage(content.contacts, contextInfo)
    case 'poll':
      return {
        pollCreationMessageV3: {
          name: content.question,
          options: content.options.map((optionName) => ({ optionName })),
          selectableOptionsCount: content.selectable ?? 0,
          ...(contextInfo ? { contextInfo } : {}),
        },
        messageContextInfo: { messageSecret: around.messageSecret() },
      }
    case 'reaction':
      return {
        reactionMessage: {
          key: known(content.targetMessageId),
          text: content.emoji,
          senderTimestampMs: around.now,
        },
      }
    case 'edit':
      return {
        protocolMessage: {
          key: known(content.targetMessageId),
          type: PROTOCOL.edit,
          editedMessage: { conversation: content.text },
          timestampMs: around.now,
        },
      }
    case 'delete':
      return { protocolMessage: { key: known(content.targetMessageId), type: PROTOCOL.revoke } }
    default:
      return mediaMessage(content, around.uploaded, contextInfo)
  }
}

/** Numbers of `ProtocolMessage.Type`. */
const PROTOCOL = { revoke: 0, edit: 14 } as const

function contextOf(content: PhoneContent, around: Surroundings): proto.IContextInfo | null {
  const info: proto.IContextInfo = {}
  if ('mentions' in content && content.mentions?.length)
    info.mentionedJid = content.mentions.map(around.jidOf)
  if ('quotedMessageId' in content && content.quotedMessageId) {
    const quoted = around.lookUp(content.quotedMessageId)
    if (!quoted) throw new UnknownMessage(content.quotedMessageId)
    info.stanzaId = content.quotedMessageId
    info.participant = quoted.key.participant ?? quoted.key.remoteJid ?? null
    info.quotedMessage = quoted.message
  }
  return Object.keys(info).length > 0 ? info : null
}

function contactMessage(
  contacts: { fullName: string; phoneNumber: string }[],
  contextInfo: proto.IContextInfo | null,
): proto.IMessage {
  const cards = contacts.map(({ fullName, phoneNumber }) => {
    const digits = phoneNumber.replace(/\D/g, '')
    return {
      displayName: fullName,
      vcard: `BEGIN:VCARD\nVERSION:3.0\nFN:${fullName}\nTEL;type=CELL;waid=${digits}:+${digits}\nEND:VCARD`,
    }
  })
  const extra = contextInfo ? { contextInfo } : {}
  const [first] = cards
  return cards.length === 1 && first
    ? { contactMessage: { ...first, ...extra } }
    : { contactsArrayMessage: { displayName: `${cards.length} contacts`, contacts: cards, ...extra } }
}

function mediaMessage(
  content: MediaContent,
  uploaded: UploadedFile | undefined,
  contextInfo: proto.IContextInfo | null,
): proto.IMessage {
  if (!uploaded) throw new Error(`a ${content.type} needs its uploaded file`)
  const common = {
    ...uploaded,
    mimetype: content.mimetype ?? DEFAULT_MIMETYPE[content.type],
    ...(contextInfo ? { contextInfo } : {}),
    ...(content.viewOnce ? { viewOnce: true } : {}),
  }
  const caption = content.caption === undefined ? {} : { caption: content.caption }
  const seconds = content.seconds === undefined ? {} : { seconds: content.seconds }
  const fileName =
    content.filename === undefined ? {} : { fileName: content.filename, title: content.filename }
  const inner: Record<MediaContent['type'], proto.IMessage> = {
    image: { imageMessage: { ...common, ...caption } },
    video: { videoMessage: { ...common, ...caption, ...seconds } },
    audio: { audioMessage: { ...common, ...seconds, ptt: content.ptt ?? false } },
    document: { documentMessage: { ...common, ...caption, ...fileName } },
    sticker: { stickerMessage: common },
  }
  const message = inner[content.type]
  return content.viewOnce ? { viewOnceMessageV2: { message } } : message
}

/** A protobuf in readable form, and WhatsApp's own name of what it is. */
export function readMessage(message: proto.IMessage): { kind: string; content: ReadContent } {
  const inner = normalizeMessageContent(message) ?? {}
  const kind = getContentType(inner) ?? 'unknown'
  const reader = READERS[kind]
  const content = reader ? reader(inner) : { type: 'unknown', kind }
  const contextInfo = contextInfoOf(inner)
  if (contextInfo?.stanzaId) content.quotedMessageId = contextInfo.stanzaId
  if (contextInfo?.mentionedJid?.length) content.mentions = contextInfo.mentionedJid
  if (message.viewOnceMessage || message.viewOnceMessageV2 || message.viewOnceMessageV2Extension)
    content.viewOnce = true
  return { kind, content }
}

type Reader = (message: proto.IMessage) => ReadContent

const present = (fields: Record<string, unknown>) =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null && value !== undefined))

const readFile =
  (type: string, pick: (message: proto.IMessage) => FileFields | null | undefined): Reader =>
  (message) => {
    const found = pick(message) ?? {}
    return {
      type,
      ...present({ caption: found.caption || undefined, ptt: found.ptt ?? undefined }),
      media: present({
        mimetype: found.mimetype,
        size: found.fileLength === undefined ? undefined : Number(found.fileLength),
        filename: found.fileName,
        seconds: found.seconds,
        width: found.width,
        height: found.height,
      }),
    }
  }

/** The fields of a media message that a phone shows. */
type FileFields = {
  caption?: string | null
  ptt?: boolean | null
  mimetype?: string | null
  fileLength?: number | Long | null
  fileName?: string | null
  seconds?: number | null
  width?: number | null
  height?: number | null
}
type Long = { toString(): string }

const readPoll: Reader = (message) => {
  const poll = message.pollCreationMessage ?? message.pollCreationMessageV2 ?? message.pollCreationMessageV3
  return {
    type: 'poll',
    question: poll?.name ?? '',
    options: (poll?.options ?? []).map(({ optionName }) => optionName ?? ''),
    selectable: poll?.selectableOptionsCount ?? 0,
  }
}

const readProtocol: Reader = ({ protocolMessage }) => {
  const targetMessageId = protocolMessage?.key?.id ?? ''
  if (protocolMessage?.type === PROTOCOL.edit) {
    const edited = protocolMessage.editedMessage ? readMessage(protocolMessage.editedMessage).content : null
    return { type: 'edit', targetMessageId, text: edited?.text ?? edited?.caption ?? '' }
  }
  if (protocolMessage?.type === PROTOCOL.revoke) return { type: 'delete', targetMessageId }
  return { type: 'unknown', kind: 'protocolMessage', protocolType: protocolMessage?.type ?? null }
}

const READERS: Partial<Record<string, Reader>> = {
  conversation: ({ conversation }) => ({ type: 'text', text: conversation ?? '' }),
  extendedTextMessage: ({ extendedTextMessage }) => ({ type: 'text', text: extendedTextMessage?.text ?? '' }),
  imageMessage: readFile('image', (m) => m.imageMessage),
  videoMessage: readFile('video', (m) => m.videoMessage),
  ptvMessage: readFile('video', (m) => m.ptvMessage),
  audioMessage: readFile('audio', (m) => m.audioMessage),
  documentMessage: readFile('document', (m) => m.documentMessage),
  stickerMessage: readFile('sticker', (m) => m.stickerMessage),
  locationMessage: ({ locationMessage: at }) => ({
    type: 'location',
    ...present({
      latitude: at?.degreesLatitude,
      longitude: at?.degreesLongitude,
      name: at?.name || undefined,
      address: at?.address || undefined,
    }),
  }),
  liveLocationMessage: ({ liveLocationMessage: at }) => ({
    type: 'location',
    live: true,
    ...present({ latitude: at?.degreesLatitude, longitude: at?.degreesLongitude }),
  }),
  contactMessage: ({ contactMessage: card }) => ({
    type: 'contact',
    contacts: [{ fullName: card?.displayName ?? '', vcard: card?.vcard ?? '' }],
  }),
  contactsArrayMessage: ({ contactsArrayMessage: cards }) => ({
    type: 'contact',
    contacts: (cards?.contacts ?? []).map((c) => ({ fullName: c.displayName ?? '', vcard: c.vcard ?? '' })),
  }),
  pollCreationMessage: readPoll,
  pollCreationMessageV2: readPoll,
  pollCreationMessageV3: readPoll,
  reactionMessage: ({ reactionMessage }) => ({
    type: 'reaction',
    emoji: reactionMessage?.text ?? '',
    targetMessageId: reactionMessage?.key?.id ?? '',
  }),
  protocolMessage: readProtocol,
}

function contextInfoOf(message: proto.IMessage): proto.IContextInfo | null {
  for (const value of Object.values(message)) {
    if (typeof value === 'object' && value !== null && 'contextInfo' in value) {
      const { contextInfo } = value as { contextInfo?: proto.IContextInfo | null }
      if (contextInfo) return contextInfo
    }
  }
  return null
}

const STANZA_TYPES: Partial<Record<string, string>> = {
  reaction: 'reaction',
  poll: 'poll',
  image: 'media',
  video: 'media',
  audio: 'media',
  document: 'media',
  sticker: 'media',
  location: 'media',
  contact: 'media',
}
const EDIT_ATTRIBUTE: Partial<Record<string, string>> = { edit: '1', delete: '7' }

/** The attributes of stanza and `<enc>` that tell the server, in the clear, what kind of message passes. */
export function outerAttributes(message: proto.IMessage): {
  stanza: Record<string, string>
  enc: Record<string, string>
} {
  const { content } = readMessage(message)
  const type = STANZA_TYPES[content.type] ?? 'text'
  const edit = EDIT_ATTRIBUTE[content.type]
  const mediatype = content.type === 'audio' && content.ptt ? 'ptt' : content.type
  return {
    stanza: { type, ...(edit ? { edit } : {}) },
    enc: {
      ...(type === 'media' ? { mediatype } : {}),
      ...(content.type === 'reaction' ? { 'decrypt-fail': 'hide' } : {}),
    },
  }
}
