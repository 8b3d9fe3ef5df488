/**
 * Types that carry a file. Told (`media`: what is known of the file) and asked for (one of `…Url`, `…Base64`, `uploadId`);
 * every other field has the same name both ways.
 */
import { type Static, type TProperties, Type } from '@sinclair/typebox'
import { MAX_TEXT_LENGTH, optionalText } from './content-limits'

/** A file as described inside a message; the bytes are fetched on demand. */
export const MediaSchema = Type.Object({
  mimetype: Type.Union([Type.String(), Type.Null()]),
  size: Type.Union([Type.Integer(), Type.Null()], { description: 'Bytes' }),
  filename: Type.Optional(Type.String()),
  seconds: Type.Optional(Type.Integer()),
  width: Type.Optional(Type.Integer()),
  height: Type.Optional(Type.Integer()),
  waveform: Type.Optional(
    Type.Array(Type.Integer({ minimum: 0, maximum: 100 }), {
      maxItems: 64,
      description: 'Loudness of a voice note at 64 points',
    }),
  ),
})
export type Media = Static<typeof MediaSchema>

const caption = optionalText(MAX_TEXT_LENGTH, 'Words below the file')
const viewOnce = Type.Optional(Type.Boolean({ description: 'The file can be opened once' }))
const strict = { additionalProperties: false } as const

const link = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: 2048,
      description: `Where the ${what} is fetched (http or https)`,
    }),
  )
const base64 = (what: string) =>
  Type.Optional(
    Type.String({
      minLength: 1,
      contentEncoding: 'base64',
      description: `The ${what} itself: a data URL or base64`,
    }),
  )
const origin = {
  uploadId: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: 'A file given to POST /api/messages/upload' }),
  ),
  filename: Type.Optional(Type.String({ minLength: 1, maxLength: 255 })),
  mimetype: Type.Optional(
    Type.String({ minLength: 3, maxLength: 255, description: 'A hint; the bytes themselves decide' }),
  ),
}

const told = <Name extends string, Fields extends TProperties>(type: Name, fields: Fields) =>
  Type.Object({ type: Type.Literal(type), ...fields, media: MediaSchema })

/** A still picture. */
const imageFields = { caption, viewOnce }
export const ImageContent = told('image', imageFields)
export const ImageAsk = Type.Object(
  {
    type: Type.Literal('image'),
    ...imageFields,
    imageUrl: link('image'),
    imageBase64: base64('image'),
    ...origin,
  },
  strict,
)

/** A film; with `gifPlayback` it loops silently, with `ptv` it is a round video message. */
const videoFields = {
  caption,
  viewOnce,
  gifPlayback: Type.Optional(Type.Boolean({ description: 'Loops without sound, like a GIF' })),
  ptv: Type.Optional(Type.Boolean({ description: 'A round video message' })),
}
export const VideoContent = told('video', videoFields)
export const VideoAsk = Type.Object(
  {
    type: Type.Literal('video'),
    ...videoFields,
    videoUrl: link('video'),
    videoBase64: base64('video'),
    thumbnailUrl: Type.Optional(
      Type.String({ minLength: 1, maxLength: 2048, description: 'A picture shown before it plays' }),
    ),
    ...origin,
  },
  strict,
)

/** A sound; with `ptt` a voice note (OGG with Opus, one channel, 64-point waveform). */
export const AudioContent = told('audio', { ptt: Type.Boolean({ description: 'A voice note' }), viewOnce })
export const AudioAsk = Type.Object(
  {
    type: Type.Literal('audio'),
    ptt: Type.Optional(
      Type.Boolean({ description: 'Send as a voice note: converted to OGG/Opus, with length and waveform' }),
    ),
    viewOnce,
    audioUrl: link('audio'),
    audioBase64: base64('audio'),
    ...origin,
  },
  strict,
)

export const DocumentContent = told('document', { caption })
export const DocumentAsk = Type.Object(
  {
    type: Type.Literal('document'),
    caption,
    documentUrl: link('document'),
    documentBase64: base64('document'),
    ...origin,
  },
  strict,
)

/** A sticker: WebP, 512 × 512. */
export const StickerContent = told('sticker', { animated: Type.Optional(Type.Boolean()) })
export const StickerAsk = Type.Object(
  { type: Type.Literal('sticker'), stickerUrl: link('sticker'), stickerBase64: base64('sticker'), ...origin },
  strict,
)

/** Several pictures and films shown as one; each is a message of its own that names this one as its album. */
export const AlbumContent = Type.Object({
  type: Type.Literal('album'),
  images: Type.Integer({ minimum: 0 }),
  videos: Type.Integer({ minimum: 0 }),
})
export const AlbumAsk = Type.Object(
  {
    type: Type.Literal('album'),
    items: Type.Array(Type.Union([ImageAsk, VideoAsk]), { minItems: 2, maxItems: 30 }),
  },
  strict,
)

export type ImageAsk = Static<typeof ImageAsk>
export type VideoAsk = Static<typeof VideoAsk>
export type AudioAsk = Static<typeof AudioAsk>
export type DocumentAsk = Static<typeof DocumentAsk>
export type StickerAsk = Static<typeof StickerAsk>
export type AlbumAsk = Static<typeof AlbumAsk>
/** Asks for one message with a file. */
export type FileAsk = ImageAsk | VideoAsk | AudioAsk | DocumentAsk | StickerAsk
export type FileType = FileAsk['type']

export const FILE_TYPES = [
  'image',
  'video',
  'audio',
  'document',
  'sticker',
] as const satisfies readonly FileType[]

/** Whether an ask names a file. */
export const asksForFile = (ask: { type: string }): ask is FileAsk =>
  (FILE_TYPES as readonly string[]).includes(ask.type)
