/** What each kind of file is to WhatsApp: the name in its key derivation, and the folder it is uploaded to. */
import type { MediaType } from '@whiskeysockets/baileys'
import type { MediaKind } from '../../domain/whatsapp'

type Row = { type: MediaType; folder: Folder }
type Folder = 'image' | 'video' | 'audio' | 'document'

/** Round videos and GIFs lie among the videos, voice notes among the sounds, stickers among the pictures. */
export const MEDIA_KINDS: Readonly<Record<MediaKind, Row>> = {
  image: { type: 'image', folder: 'image' },
  video: { type: 'video', folder: 'video' },
  gif: { type: 'gif', folder: 'video' },
  ptv: { type: 'ptv', folder: 'video' },
  audio: { type: 'audio', folder: 'audio' },
  voice: { type: 'ptt', folder: 'audio' },
  document: { type: 'document', folder: 'document' },
  sticker: { type: 'sticker', folder: 'image' },
}

/** Where files of a kind are uploaded to; those of channels lie apart, because they are not encrypted. */
export const uploadPath = (kind: MediaKind, forChannel: boolean): string => {
  const { folder } = MEDIA_KINDS[kind]
  return forChannel ? `/newsletter/newsletter-${folder}` : `/mms/${folder}`
}
