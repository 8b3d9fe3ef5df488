/** What each kind of file is to WhatsApp: the name in its key derivation, and the folder it is uploaded to. */
import type { MediaType } from '@whiskeysockets/baileys'
import type { MediaKind } from '../../domain/whatsapp'

type Row = { type: MediaType; folder: string }

/** Round videos and GIFs lie among the videos, voice notes among the sounds, stickers among the pictures. */
export const MEDIA_KINDS: Readonly<Record<MediaKind, Row>> = {
  image: { type: 'image', folder: '/mms/image' },
  video: { type: 'video', folder: '/mms/video' },
  gif: { type: 'gif', folder: '/mms/video' },
  ptv: { type: 'ptv', folder: '/mms/video' },
  audio: { type: 'audio', folder: '/mms/audio' },
  voice: { type: 'ptt', folder: '/mms/audio' },
  document: { type: 'document', folder: '/mms/document' },
  sticker: { type: 'sticker', folder: '/mms/image' },
}
