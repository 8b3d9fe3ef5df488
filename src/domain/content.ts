/**
 * What a message can hold: one schema per type, one union, the same field names in and out.
 *
 * A new type is one schema here, one reader and one writer in the adapter; everything that must change does not compile
 * until it has changed.
 */
import { type Static, Type } from '@sinclair/typebox'

const optionalText = (maxLength: number) => Type.Optional(Type.String({ maxLength }))

/** WhatsApp's own hard limit for a text. */
export const MAX_TEXT_LENGTH = 65_536

export const TextContent = Type.Object({
  type: Type.Literal('text'),
  text: Type.String({ minLength: 1, maxLength: MAX_TEXT_LENGTH }),
})

/** A file as described inside a message; the bytes are fetched on demand. */
export const MediaSchema = Type.Object({
  mimetype: Type.Union([Type.String(), Type.Null()]),
  size: Type.Union([Type.Integer(), Type.Null()], { description: 'Bytes' }),
  filename: Type.Optional(Type.String()),
  seconds: Type.Optional(Type.Integer()),
  width: Type.Optional(Type.Integer()),
  height: Type.Optional(Type.Integer()),
})
export type Media = Static<typeof MediaSchema>

const media = <Name extends string>(type: Name) =>
  Type.Object({ type: Type.Literal(type), caption: optionalText(MAX_TEXT_LENGTH), media: MediaSchema })

export const ImageContent = media('image')
export const VideoContent = media('video')
export const AudioContent = Type.Object({
  type: Type.Literal('audio'),
  ptt: Type.Boolean({ description: 'A voice note' }),
  media: MediaSchema,
})
export const DocumentContent = media('document')
export const StickerContent = Type.Object({ type: Type.Literal('sticker'), media: MediaSchema })
export const LocationContent = Type.Object({
  type: Type.Literal('location'),
  latitude: Type.Number({ minimum: -90, maximum: 90 }),
  longitude: Type.Number({ minimum: -180, maximum: 180 }),
  name: optionalText(1024),
  address: optionalText(4096),
  live: Type.Optional(Type.Boolean()),
})
export const ContactCard = Type.Object({
  fullName: Type.String(),
  phoneNumber: Type.Optional(Type.String()),
  vcard: Type.Optional(Type.String()),
})
export const ContactContent = Type.Object({
  type: Type.Literal('contact'),
  contacts: Type.Array(ContactCard),
})
export const PollContent = Type.Object({
  type: Type.Literal('poll'),
  question: Type.String(),
  options: Type.Array(Type.String()),
  selectable: Type.Integer({ minimum: 0 }),
})
export const ReactionContent = Type.Object({
  type: Type.Literal('reaction'),
  emoji: Type.String({ description: 'Empty = the reaction was taken back' }),
  targetMessageId: Type.String(),
})
export const UnknownContent = Type.Object({
  type: Type.Literal('unknown'),
  kind: Type.String({ description: 'WhatsApp’s own name of the message type' }),
})

export const ContentSchema = Type.Union([
  TextContent,
  ImageContent,
  VideoContent,
  AudioContent,
  DocumentContent,
  StickerContent,
  LocationContent,
  ContactContent,
  PollContent,
  ReactionContent,
  UnknownContent,
])
export type Content = Static<typeof ContentSchema>
export type MessageType = Content['type']

export const MESSAGE_TYPES = ContentSchema.anyOf.map((schema) => schema.properties.type.const)

/** What can be sent so far. */
export type SendableContent = Static<typeof TextContent>

/** Content without its `type`, as payloads carry it beside their own fields. */
export function contentFields(content: Content): Record<string, unknown> {
  const { type: _, ...fields } = content
  return fields
}
