/** Words, with the card of their link and, in a status post, colour and font. */

import type { proto } from '@whiskeysockets/baileys'
import type { LinkPreview } from '../../../domain/content-plain'
import { type PartReaders, some, type Writer } from './shapes'

const OPAQUE = 0xff000000

function previewOf(part: proto.Message.IExtendedTextMessage): LinkPreview | null {
  const { matchedText, title, description } = part
  return matchedText && title ? { url: matchedText, title, ...some('description', description) } : null
}

const colourOf = (argb: number | null | undefined): string | null =>
  argb === null || argb === undefined ? null : `#${(argb & 0xffffff).toString(16).padStart(6, '0')}`

/** WhatsApp numbers its fonts from 0; a font nobody named is not told. */
const fontOf = (part: proto.Message.IExtendedTextMessage): { font?: number } => {
  const { font } = part
  return Object.hasOwn(part, 'font') && typeof font === 'number' && font <= 10 ? { font } : {}
}

export const readText: PartReaders<'text'> = {
  conversation: (text) => (text ? { type: 'text', text } : null),
  extendedTextMessage: (part) =>
    part.text
      ? {
          type: 'text',
          text: part.text,
          ...some('linkPreview', previewOf(part)),
          ...some('backgroundColor', colourOf(part.backgroundArgb)),
          ...fontOf(part),
        }
      : null,
}

export const writeText: Writer<'text'> = ({ text, linkPreview, backgroundColor, font }, { thumbnail }) => ({
  extendedTextMessage: {
    text,
    ...(linkPreview
      ? {
          matchedText: linkPreview.url,
          title: linkPreview.title,
          ...some('description', linkPreview.description),
          ...some('jpegThumbnail', thumbnail),
          previewType: 0,
        }
      : {}),
    ...(backgroundColor === undefined
      ? {}
      : { backgroundArgb: (OPAQUE | Number.parseInt(backgroundColor.slice(1), 16)) >>> 0 }),
    ...(font === undefined ? {} : { font }),
  },
})
