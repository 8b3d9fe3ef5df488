/** Pictures, films, sounds, documents, stickers and albums. */
import { proto } from '@whiskeysockets/baileys'
import type { Media } from '../../../domain/content-media'
import { numberOf, type PartReaders, type Reading, some, type Writer } from './shapes'

type FilePart = {
  mimetype?: string | null
  fileLength?: Parameters<typeof numberOf>[0]
  fileName?: string | null
  title?: string | null
  seconds?: number | null
  width?: number | null
  height?: number | null
  waveform?: Uint8Array | null
}

const MAX_WAVEFORM = 64

function mediaOf(part: FilePart): Media {
  const waveform = [...(part.waveform ?? [])].slice(0, MAX_WAVEFORM).map((point) => Math.min(point, 100))
  return {
    mimetype: part.mimetype || null,
    size: numberOf(part.fileLength),
    ...some('filename', part.fileName || part.title),
    ...some('seconds', part.seconds),
    ...some('width', part.width),
    ...some('height', part.height),
    ...(waveform.length > 0 ? { waveform } : {}),
  }
}

/** Everything of a file part but where the file lies, which `attach` adds. */
const described = ({ mimetype, size, seconds, width, height }: Media) => ({
  ...some('mimetype', mimetype),
  ...some('fileLength', size),
  ...some('seconds', seconds),
  ...some('width', width),
  ...some('height', height),
})

const onceOf = (part: { viewOnce?: boolean | null }, { viewOnce }: Reading) =>
  some('viewOnce', viewOnce || part.viewOnce === true)

/** Files to be opened once travel in a wrapper of their own, which sounds have since a later version than films. */
const once = (message: proto.IMessage, viewOnce: boolean | undefined): proto.IMessage => {
  if (!viewOnce) return message
  return message.audioMessage
    ? { viewOnceMessageV2Extension: { message } }
    : { viewOnceMessageV2: { message } }
}

export const readImage: PartReaders<'image'> = {
  imageMessage: (part, about) => ({
    type: 'image',
    ...some('caption', part.caption),
    ...onceOf(part, about),
    media: mediaOf(part),
  }),
}
export const writeImage: Writer<'image'> = ({ caption, viewOnce, media }, { thumbnail }) =>
  once(
    {
      imageMessage: {
        ...described(media),
        ...some('caption', caption),
        ...some('viewOnce', viewOnce),
        ...some('jpegThumbnail', thumbnail),
      },
    },
    viewOnce,
  )

const film = (ptv: boolean) => (part: proto.Message.IVideoMessage, about: Reading) => ({
  type: 'video' as const,
  ...some('caption', part.caption),
  ...onceOf(part, about),
  ...some('gifPlayback', part.gifPlayback),
  ...some('ptv', ptv),
  media: mediaOf(part),
})
export const readVideo: PartReaders<'video'> = { videoMessage: film(false), ptvMessage: film(true) }
export const writeVideo: Writer<'video'> = (
  { caption, viewOnce, gifPlayback, ptv, media },
  { thumbnail },
) => {
  const part: proto.Message.IVideoMessage = {
    ...described(media),
    ...some('caption', caption),
    ...some('viewOnce', viewOnce),
    ...some('gifPlayback', gifPlayback),
    ...some('jpegThumbnail', thumbnail),
  }
  return once(ptv ? { ptvMessage: part } : { videoMessage: part }, viewOnce)
}

export const readAudio: PartReaders<'audio'> = {
  audioMessage: (part, about) => ({
    type: 'audio',
    ptt: part.ptt === true,
    ...onceOf(part, about),
    media: mediaOf(part),
  }),
}
export const writeAudio: Writer<'audio'> = ({ ptt, viewOnce, media }) =>
  once(
    {
      audioMessage: {
        ...described(media),
        ptt,
        ...some('viewOnce', viewOnce),
        ...(media.waveform ? { waveform: Uint8Array.from(media.waveform) } : {}),
      },
    },
    viewOnce,
  )

export const readDocument: PartReaders<'document'> = {
  documentMessage: (part) => ({
    type: 'document',
    ...some('caption', part.caption),
    media: mediaOf(part),
  }),
}
export const writeDocument: Writer<'document'> = ({ caption, media }, { thumbnail }) => {
  const filename = media.filename ?? 'file'
  return {
    documentMessage: {
      ...described(media),
      fileName: filename,
      title: filename,
      ...some('caption', caption),
      ...some('jpegThumbnail', thumbnail),
    },
  }
}

export const readSticker: PartReaders<'sticker'> = {
  stickerMessage: (part) => ({
    type: 'sticker',
    ...some('animated', part.isAnimated || part.isLottie),
    media: mediaOf(part),
  }),
}
export const writeSticker: Writer<'sticker'> = ({ animated, media }, { now }) => ({
  stickerMessage: { ...described(media), ...some('isAnimated', animated), stickerSentTs: now },
})

export const readAlbum: PartReaders<'album'> = {
  albumMessage: (part) => ({
    type: 'album',
    images: part.expectedImageCount ?? 0,
    videos: part.expectedVideoCount ?? 0,
  }),
}
export const writeAlbum: Writer<'album'> = ({ images, videos }) => ({
  albumMessage: { expectedImageCount: images, expectedVideoCount: videos },
})

const ALBUM = proto.MessageAssociation.AssociationType.MEDIA_ALBUM

/** The album that an envelope names. */
export const albumOf = ({ messageAssociation: link }: proto.IMessageContextInfo): string | null =>
  link?.associationType === ALBUM ? (link.parentMessageKey?.id ?? null) : null

/** The envelope of a picture or film of one of our albums. */
export const inAlbum = (albumId: string, chat: string): proto.IMessageContextInfo => ({
  messageAssociation: {
    associationType: ALBUM,
    parentMessageKey: { remoteJid: chat, fromMe: true, id: albumId },
  },
})
