/** How large files may be (bytes), unless the operator says otherwise; the phone's own limits where it has one. */
export type MediaCaps = {
  image: number
  video: number
  audio: number
  /** A sound before it is made a voice note. */
  voiceSource: number
  /** A picture before it is made a sticker. */
  stickerSource: number
  sticker: number
  document: number
  /** POST /api/messages/upload. */
  upload: number
  /** A picture given for a film's start, or shown by a page. */
  poster: number
  /** Longest voice note (seconds). */
  voiceSeconds: number
}

const MB = 1_000_000

export const MEDIA_CAPS: MediaCaps = {
  image: 16 * MB,
  video: 100 * MB,
  audio: 16 * MB,
  voiceSource: 100 * MB,
  stickerSource: 16 * MB,
  sticker: MB,
  document: 100 * MB,
  upload: 50 * 2 ** 20,
  poster: 5 * MB,
  voiceSeconds: 7200,
}
