/** The routes `POST /api/messages/send/{type}`, one row per type: words and an example; what else they are follows from the type. */
import { ASKS, type AskType } from '../domain/content'
import { FILE_TYPES } from '../domain/content-media'
import type { ErrorCode } from '../domain/errors'
import { isActionType } from './send-fields'

type Row = { summary: string; description?: string; example: Record<string, unknown> }

const TARGET = { targetMessageId: '3EB0C767D26A8B5F1A2B' }

export const SEND_TYPES: Record<AskType, Row> = {
  text: { summary: 'Send a text', example: { text: 'Hello {{name}}', variables: { name: 'Ada' } } },
  image: {
    summary: 'Send an image',
    example: { imageUrl: 'https://example.com/cat.jpg', caption: 'A cat' },
  },
  video: {
    summary: 'Send a video, a GIF or a round video message',
    example: { videoUrl: 'https://example.com/clip.mp4', caption: 'Look', gifPlayback: true },
  },
  audio: {
    summary: 'Send a sound or a voice note',
    description:
      'With "ptt": true it becomes a voice note: MP3, WAV and OGG are converted, with length and waveform; other formats need ffmpeg on the server.',
    example: { audioUrl: 'https://example.com/hello.mp3', ptt: true },
  },
  document: {
    summary: 'Send a document',
    example: {
      documentUrl: 'https://example.com/invoice.pdf',
      filename: 'invoice.pdf',
      caption: 'Your invoice',
    },
  },
  sticker: {
    summary: 'Send a sticker',
    description: 'Any still picture becomes a sticker of 512 × 512 pixels; animated WebP goes as it is.',
    example: { stickerUrl: 'https://example.com/hi.webp' },
  },
  album: {
    summary: 'Send an album',
    description: 'Several pictures and films shown as one; each gets its own message id (items).',
    example: {
      items: [
        { type: 'image', imageUrl: 'https://example.com/1.jpg', caption: 'One' },
        { type: 'image', imageUrl: 'https://example.com/2.jpg' },
      ],
    },
  },
  location: {
    summary: 'Send a place',
    example: { latitude: 52.5163, longitude: 13.3777, name: 'Brandenburger Tor', address: 'Pariser Platz' },
  },
  contact: {
    summary: 'Send one contact or several',
    example: {
      contact: { fullName: 'Ada Lovelace', phoneNumber: '+1234567890', organization: 'Analytical' },
    },
  },
  poll: {
    summary: 'Ask a question with answers to choose from',
    description:
      'Votes come back decrypted: as message.poll_vote, and counted in the message’s votes. Unless selectable says otherwise one answer can be chosen.',
    example: { question: 'Lunch?', options: ['Pizza', 'Salad'], selectable: 1 },
  },
  event: {
    summary: 'Announce an event',
    example: {
      name: 'Review',
      startsAt: '2030-01-01T09:00:00Z',
      location: { name: 'Room 1' },
      description: 'The quarter',
    },
  },
  reaction: {
    summary: 'React to a message',
    description: 'An empty emoji takes the reaction back.',
    example: { ...TARGET, emoji: '👍' },
  },
  edit: {
    summary: 'Replace the words of an own message',
    description: 'The text of a text, the caption of a file. WhatsApp takes edits for 15 minutes.',
    example: { ...TARGET, text: 'What I meant' },
  },
  delete: {
    summary: 'Take a message back for everyone',
    description: 'An own one; in a group its administrators may take back those of others.',
    example: { ...TARGET },
  },
  pin: {
    summary: 'Pin a message in its chat, or unpin it',
    example: { ...TARGET, pinned: true, seconds: 604_800 },
  },
  vote: {
    summary: 'Vote in a poll',
    description: 'Replaces an earlier vote; without options it is taken back.',
    example: { ...TARGET, options: ['Pizza'] },
  },
  rsvp: {
    summary: 'Answer an event',
    description:
      'Replaces an earlier answer. Answers of others come as message.event_response and stand in the message’s responses.',
    example: { ...TARGET, response: 'going' },
  },
  forward: {
    summary: 'Send a message on to somebody else',
    description: 'Any stored message of the session; it becomes a message of the same type.',
    example: { messageId: '3EB0C767D26A8B5F1A2B' },
  },
}

/** Every send can end so. */
export const SEND_ERRORS = [
  'SESSION_NOT_FOUND',
  'SESSION_NOT_CONNECTED',
  'AUTH_EXPIRED',
  'INVALID_PHONE_NUMBER',
  'NUMBER_NOT_ON_WHATSAPP',
  'MESSAGE_NOT_FOUND',
  'SESSION_RESTRICTED',
  'MESSAGE_REJECTED',
  'MESSAGE_TIMEOUT',
  'MESSAGE_CANCELLED',
  'MESSAGE_EXPIRED',
  'QUEUE_FULL',
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_IN_PROGRESS',
] as const satisfies readonly ErrorCode[]

/** Beside those, where a file is sent. */
export const FILE_ERRORS = [
  'MEDIA_URL_FORBIDDEN',
  'MEDIA_DOWNLOAD_FAILED',
  'FILE_TOO_LARGE',
  'MEDIA_LIMIT_REACHED',
  'MEDIA_CONVERSION_UNAVAILABLE',
  'UPLOAD_NOT_FOUND',
] as const satisfies readonly ErrorCode[]

const files: ReadonlySet<string> = new Set(FILE_TYPES)

/** Whether one message of this type has a file of its own, which a form can bring along. */
export const isFileType = (type: AskType): boolean => files.has(type)
/** Whether files may stand in the body. */
export const takesFiles = (type: AskType): boolean => isFileType(type) || type === 'album'

export const sendErrors = (type: AskType): ErrorCode[] => [
  ...SEND_ERRORS,
  ...(takesFiles(type) ? FILE_ERRORS : []),
  ...(isActionType(type) || type === 'forward' ? (['MESSAGE_NOT_SUITABLE'] as const) : []),
]

/** The names of its file part in a form. */
export const filePartsOf = (type: AskType): string[] => (isFileType(type) ? ['file', type] : [])

const SESSION_ID = '5bc99cea8975b95fe7077c64a3312145'

export const sendExample = (type: AskType): Record<string, unknown> => ({
  sessionId: SESSION_ID,
  ...(isActionType(type) ? {} : { to: '1234567890' }),
  ...SEND_TYPES[type].example,
})

export const contentExample = (type: AskType): Record<string, unknown> => ({
  sessionId: SESSION_ID,
  to: '1234567890',
  content: {
    type,
    ...('variables' in SEND_TYPES[type].example ? { text: 'Hello' } : SEND_TYPES[type].example),
  },
})

export const ANSWER_EXAMPLE = {
  success: true,
  message: 'Message sent successfully',
  messageId: '3EB0C767D26A8B5F1A2B',
  timestamp: '2024-01-01T12:00:00.000Z',
  to: '1234567890',
  status: 'sent',
}

/** Type names in the order of the table. */
export const TYPES = Object.keys(ASKS) as AskType[]
