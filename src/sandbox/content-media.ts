/** Content with a file, and albums of such content. */
import type { proto } from '@whiskeysockets/baileys'
import type { MediaContent, PhoneContentOf } from './content-schemas'
import { known, present, type ReadContent, type Surroundings } from './content-shape'

const DEFAULT_MIMETYPE = {
  image: 'image/jpeg',
  video: 'video/mp4',
  audio: 'audio/ogg; codecs=opus',
  document: 'application/octet-stream',
  sticker: 'image/webp',
} as const

type Writer<T extends MediaContent['type']> = (
  content: PhoneContentOf<T>,
  around: Surroundings,
) => proto.IMessage

/** What every kind of file has in common. */
function fileOf(content: MediaContent, { uploaded }: Surroundings) {
  if (!uploaded) throw new Error(`a ${content.type} needs its uploaded file`)
  return { ...uploaded, mimetype: content.mimetype ?? DEFAULT_MIMETYPE[content.type] }
}
const decoded = (base64: string | undefined) =>
  base64 === undefined ? undefined : Buffer.from(base64, 'base64')

const picture = (content: PhoneContentOf<'image' | 'video'>, around: Surroundings) => ({
  ...fileOf(content, around),
  ...present({
    caption: content.caption,
    width: content.width,
    height: content.height,
    jpegThumbnail: decoded(content.thumbnailBase64),
    viewOnce: content.viewOnce || undefined,
  }),
})

/** Names the album that a picture or film belongs to. */
const inAlbum = (
  message: proto.IMessage,
  content: PhoneContentOf<'image' | 'video'>,
  around: Surroundings,
): proto.IMessage =>
  content.albumId === undefined
    ? message
    : {
        ...message,
        messageContextInfo: {
          messageAssociation: {
            associationType: MEDIA_ALBUM,
            parentMessageKey: known(around, content.albumId).key,
          },
        },
      }
/** `MessageAssociation.AssociationType.MEDIA_ALBUM` */
const MEDIA_ALBUM = 1

export const writeMedia: { [T in MediaContent['type']]: Writer<T> } & { album: AlbumWriter } = {
  image: (content, around) => inAlbum({ imageMessage: picture(content, around) }, content, around),
  video(content, around) {
    const { seconds, gifPlayback, ptv } = content
    const video = { ...picture(content, around), ...present({ seconds, gifPlayback }) }
    return inAlbum(ptv ? { ptvMessage: video } : { videoMessage: video }, content, around)
  },
  audio: (content, around) => ({
    audioMessage: {
      ...fileOf(content, around),
      ptt: content.ptt ?? false,
      ...present({
        seconds: content.seconds,
        waveform: content.waveform && Buffer.from(content.waveform),
        viewOnce: content.viewOnce || undefined,
      }),
    },
  }),
  document: (content, around) => ({
    documentMessage: {
      ...fileOf(content, around),
      ...present({ caption: content.caption, fileName: content.filename, title: content.filename }),
    },
  }),
  sticker: (content, around) => ({
    stickerMessage: {
      ...fileOf(content, around),
      ...present({ isAnimated: content.animated, width: content.width, height: content.height }),
    },
  }),
  // The pictures and films follow as messages of their own.
  album: ({ items }) => ({
    albumMessage: {
      expectedImageCount: items.filter(({ type }) => type === 'image').length,
      expectedVideoCount: items.filter(({ type }) => type === 'video').length,
    },
  }),
}
type AlbumWriter = (content: PhoneContentOf<'album'>) => proto.IMessage

/** The fields of media messages that a phone shows. */
type FileFields = {
  viewOnce?: boolean | null
  caption?: string | null
  ptt?: boolean | null
  gifPlayback?: boolean | null
  isAnimated?: boolean | null
  mimetype?: string | null
  fileLength?: number | { toString(): string } | null
  fileName?: string | null
  seconds?: number | null
  width?: number | null
  height?: number | null
  waveform?: Uint8Array | null
}

const readFile = (
  type: MediaContent['type'],
  file: FileFields | null | undefined,
  more: Record<string, unknown> = {},
): ReadContent => ({
  type,
  ...present({ caption: file?.caption || undefined, viewOnce: file?.viewOnce || undefined }),
  ...present(more),
  media: present({
    mimetype: file?.mimetype,
    size: file?.fileLength === null || file?.fileLength === undefined ? undefined : Number(file.fileLength),
    filename: file?.fileName || undefined,
    seconds: file?.seconds || undefined,
    width: file?.width || undefined,
    height: file?.height || undefined,
    waveform: file?.waveform?.length ? [...file.waveform] : undefined,
  }),
})

export const readMedia: Record<string, (message: proto.IMessage) => ReadContent> = {
  imageMessage: ({ imageMessage }) => readFile('image', imageMessage),
  videoMessage: ({ videoMessage }) =>
    readFile('video', videoMessage, { gifPlayback: videoMessage?.gifPlayback || undefined }),
  ptvMessage: ({ ptvMessage }) => readFile('video', ptvMessage, { ptv: true }),
  audioMessage: ({ audioMessage }) => readFile('audio', audioMessage, { ptt: audioMessage?.ptt ?? false }),
  documentMessage: ({ documentMessage }) => readFile('document', documentMessage),
  stickerMessage: ({ stickerMessage }) =>
    readFile('sticker', stickerMessage, { animated: stickerMessage?.isAnimated || undefined }),
  albumMessage: ({ albumMessage }) => ({
    type: 'album',
    images: albumMessage?.expectedImageCount ?? 0,
    videos: albumMessage?.expectedVideoCount ?? 0,
  }),
}
