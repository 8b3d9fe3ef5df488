/** The table of `said-by-baileys.test.ts`: what an unmodified Baileys can say, and what the API makes of it. */
import { expect } from 'bun:test'
import type { AnyMessageContent, MiscMessageGenerationOptions } from '@whiskeysockets/baileys'
import { film } from '../media/films'
import { jpeg, movingWebp, webp } from '../media/pictures'
import { loudThenSilent, mp3, opus, tone } from '../media/sounds'
import type { Fields } from './talk'

export type Row = {
  name: string
  content: AnyMessageContent
  options?: MiscMessageGenerationOptions
  /** Every field of content and context that the API tells; `media` without its address. */
  told: Fields & { type: string }
  file?: Buffer
}

const picture = await jpeg(120, 90)
const movie = film({ seconds: 3 })
const sticker = await webp(512, 512)
const dancing = movingWebp(sticker, 512, 512)
const song = await mp3([tone(44_100, 2, loudThenSilent)], 44_100)
const voice = await opus([tone(48_000, 2, loudThenSilent)])
const paper = Buffer.from('%PDF-1.7\n1 0 obj\n<< >>\nendobj\ntrailer\n<< >>\n%%EOF\n')
const waveform = Uint8Array.from({ length: 64 }, (_, at) => at)
const starts = new Date('2030-01-02T03:04:05.000Z')
/** Baileys draws one when it is not given, if a library for it is installed. */
const jpegThumbnail = ''

/** A file as it is told. */
const media = (bytes: Buffer, mimetype: string, more: Fields = {}) => ({
  mimetype,
  size: bytes.length,
  ...more,
})
const card = (name: string, lines: string) => ({
  displayName: name,
  vcard: `BEGIN:VCARD\nVERSION:3.0\nFN:${name}\n${lines}END:VCARD`,
})

export const ROWS: Row[] = [
  { name: 'text', content: { text: 'Hello *bold* 👋' }, told: { type: 'text', text: 'Hello *bold* 👋' } },
  {
    name: 'text with a preview',
    content: {
      text: 'see https://example.com/a',
      linkPreview: {
        'canonical-url': 'https://example.com/a',
        'matched-text': 'https://example.com/a',
        title: 'Example',
        description: 'A page',
      },
    },
    told: {
      type: 'text',
      text: 'see https://example.com/a',
      linkPreview: { url: 'https://example.com/a', title: 'Example', description: 'A page' },
    },
  },
  {
    name: 'text that vanishes',
    content: { text: 'soon gone' },
    options: { ephemeralExpiration: 86_400 },
    told: { type: 'text', text: 'soon gone', disappearingSeconds: 86_400 },
  },
  {
    name: 'text that was forwarded often',
    content: { text: 'chain letter', contextInfo: { forwardingScore: 5, isForwarded: true } },
    told: { type: 'text', text: 'chain letter', forwarded: true, forwardingScore: 5 },
  },
  {
    name: 'image',
    content: { image: picture, caption: 'look', width: 120, height: 90, jpegThumbnail },
    told: {
      type: 'image',
      caption: 'look',
      media: media(picture, 'image/jpeg', { width: 120, height: 90 }),
    },
    file: picture,
  },
  {
    name: 'image without words or size',
    content: { image: picture, mimetype: 'image/jpeg' },
    told: { type: 'image', media: expect.objectContaining(media(picture, 'image/jpeg')) },
    file: picture,
  },
  {
    name: 'image to be seen once',
    content: { image: picture, viewOnce: true, jpegThumbnail },
    told: { type: 'image', viewOnce: true, media: media(picture, 'image/jpeg') },
    file: picture,
  },
  {
    name: 'video',
    content: { video: movie, caption: 'watch', seconds: 3, jpegThumbnail } as AnyMessageContent,
    told: { type: 'video', caption: 'watch', media: media(movie, 'video/mp4', { seconds: 3 }) },
    file: movie,
  },
  {
    name: 'video that loops like a GIF',
    content: { video: movie, gifPlayback: true, jpegThumbnail },
    told: { type: 'video', gifPlayback: true, media: media(movie, 'video/mp4') },
    file: movie,
  },
  {
    name: 'round video',
    content: { video: movie, ptv: true },
    told: { type: 'video', ptv: true, media: media(movie, 'video/mp4') },
    file: movie,
  },
  {
    name: 'video to be seen once',
    content: { video: movie, viewOnce: true, jpegThumbnail },
    told: { type: 'video', viewOnce: true, media: media(movie, 'video/mp4') },
    file: movie,
  },
  {
    name: 'audio',
    content: { audio: song, mimetype: 'audio/mpeg', seconds: 2 },
    told: { type: 'audio', ptt: false, media: media(song, 'audio/mpeg', { seconds: 2 }) },
    file: song,
  },
  {
    name: 'voice note',
    content: { audio: voice, ptt: true, seconds: 2, waveform } as AnyMessageContent,
    told: {
      type: 'audio',
      ptt: true,
      media: media(voice, 'audio/ogg; codecs=opus', { seconds: 2, waveform: [...waveform] }),
    },
    file: voice,
  },
  {
    name: 'document',
    content: { document: paper, mimetype: 'application/pdf', fileName: 'Bill 7.pdf', caption: 'pay' },
    told: {
      type: 'document',
      caption: 'pay',
      media: media(paper, 'application/pdf', { filename: 'Bill 7.pdf' }),
    },
    file: paper,
  },
  {
    name: 'document without words',
    content: { document: paper, mimetype: 'application/pdf', fileName: 'ä ö.pdf' },
    told: { type: 'document', media: media(paper, 'application/pdf', { filename: 'ä ö.pdf' }) },
    file: paper,
  },
  {
    name: 'sticker',
    content: { sticker, width: 512, height: 512 },
    told: { type: 'sticker', media: media(sticker, 'image/webp', { width: 512, height: 512 }) },
    file: sticker,
  },
  {
    name: 'animated sticker',
    content: { sticker: dancing, isAnimated: true },
    told: { type: 'sticker', animated: true, media: media(dancing, 'image/webp') },
    file: dancing,
  },
  {
    name: 'place',
    content: {
      location: { degreesLatitude: 52.5, degreesLongitude: 13.4, name: 'Gate', address: 'Berlin' },
    },
    told: { type: 'location', latitude: 52.5, longitude: 13.4, name: 'Gate', address: 'Berlin' },
  },
  {
    name: 'place on the equator',
    content: { location: { degreesLatitude: 0, degreesLongitude: 0 } },
    told: { type: 'location', latitude: 0, longitude: 0 },
  },
  {
    name: 'place that moves',
    content: {
      location: { degreesLatitude: -33.8, degreesLongitude: 151.2, isLive: true, accuracyInMeters: 5 },
    },
    told: { type: 'location', latitude: -33.8, longitude: 151.2, live: true, accuracy: 5 },
  },
  {
    name: 'card',
    content: {
      contacts: {
        displayName: 'Grace',
        contacts: [card('Grace', 'ORG:Navy;\nitem1.TEL;waid=4915144444444:+49 151 44444444\n')],
      },
    },
    told: {
      type: 'contact',
      contacts: [
        {
          fullName: 'Grace',
          organization: 'Navy',
          phoneNumber: '4915144444444',
          vcard: expect.stringContaining('BEGIN:VCARD'),
        },
      ],
    },
  },
  {
    name: 'cards',
    content: { contacts: { displayName: '2', contacts: [card('Eve', ''), card('Zoe', 'TEL:+1\n')] } },
    told: {
      type: 'contact',
      contacts: [
        { fullName: 'Eve', vcard: expect.any(String) },
        { fullName: 'Zoe', phoneNumber: '+1', vcard: expect.any(String) },
      ],
    },
  },
  {
    name: 'poll with one answer',
    content: { poll: { name: 'Tea?', values: ['yes', 'no'], selectableCount: 1 } },
    told: {
      type: 'poll',
      question: 'Tea?',
      options: ['yes', 'no'],
      selectable: 1,
      votes: [
        { option: 'yes', count: 0, voters: [] },
        { option: 'no', count: 0, voters: [] },
      ],
    },
  },
  {
    name: 'poll with many answers',
    content: { poll: { name: 'When?', values: ['1', '2', '3'] } },
    told: { type: 'poll', question: 'When?', options: ['1', '2', '3'], selectable: 0 },
  },
  {
    name: 'poll of an announcement',
    content: { poll: { name: 'Who?', values: ['a', 'b'], toAnnouncementGroup: true } },
    told: { type: 'poll', question: 'Who?', options: ['a', 'b'], selectable: 0 },
  },
  {
    name: 'event',
    content: {
      event: {
        name: 'Party',
        description: 'with cake',
        startDate: starts,
        endDate: new Date(starts.getTime() + 3_600_000),
        location: { name: 'Home', degreesLatitude: 1, degreesLongitude: 2 },
        extraGuestsAllowed: true,
      },
    },
    told: {
      type: 'event',
      name: 'Party',
      description: 'with cake',
      startsAt: '2030-01-02T03:04:05.000Z',
      endsAt: '2030-01-02T04:04:05.000Z',
      location: { name: 'Home', latitude: 1, longitude: 2 },
      guestsAllowed: true,
    },
  },
  {
    name: 'event that is called off',
    content: { event: { name: 'Party', startDate: starts, isCancelled: true } },
    told: { type: 'event', name: 'Party', startsAt: '2030-01-02T03:04:05.000Z', canceled: true },
  },
  {
    name: 'invitation',
    content: {
      groupInvite: {
        inviteCode: 'abc',
        inviteExpiration: 1_893_553_445,
        text: 'come',
        jid: '1203@g.us',
        subject: 'Club',
      },
    },
    // It gives up on a group without a picture otherwise.
    options: { getProfilePicUrl: undefined } as MiscMessageGenerationOptions,
    told: {
      type: 'invite',
      groupId: '1203@g.us',
      subject: 'Club',
      inviteCode: 'abc',
      expiresAt: '2030-01-02T03:04:05.000Z',
      caption: 'come',
    },
  },
  {
    name: 'product',
    content: {
      product: {
        productImage: picture,
        productId: '7',
        title: 'Cup',
        description: 'blue',
        currencyCode: 'EUR',
        priceAmount1000: 12_500,
        url: 'https://example.com',
      },
      businessOwnerJid: '4915144444444@s.whatsapp.net',
    },
    told: {
      type: 'product',
      productId: '7',
      title: 'Cup',
      description: 'blue',
      currency: 'EUR',
      price: 12.5,
      url: 'https://example.com',
      owner: '4915144444444',
    },
  },
  {
    name: 'answer to a template',
    content: { buttonReply: { displayText: 'A', id: 'a', index: 0 }, type: 'template' },
    told: { type: 'choice', choiceId: 'a', text: 'A' },
  },
  {
    name: 'answer to buttons',
    content: { buttonReply: { displayText: 'A', id: 'a', index: 0 }, type: 'plain' },
    told: { type: 'choice', choiceId: 'a', text: 'A' },
  },
  {
    name: 'answer to a list',
    content: { listReply: { title: 'A', listType: 1, singleSelectReply: { selectedRowId: 'a' } } },
    told: { type: 'choice', choiceId: 'a', text: 'A' },
  },
  {
    name: 'album',
    content: { album: { expectedImageCount: 2, expectedVideoCount: 1 } },
    told: { type: 'album', images: 2, videos: 1 },
  },
  {
    name: 'question for the number',
    content: { requestPhoneNumber: true },
    told: { type: 'unknown', kind: 'requestPhoneNumberMessage' },
  },
]

/** Fields that stand beside content and context in every view, and in every event of something received. */
export const AROUND = new Set([
  ...['id', 'from', 'to', 'chat', 'timestamp', 'status', 'senderName'],
  ...['cursor', 'event', 'sessionId', 'messageId', 'contact', 'lid', 'phoneNumber', 'sentAt'],
  ...['fromMe', 'viaApi', 'offline', 'mentions', 'quoted'],
])

/** What a view or an event says of content and context; of a file without its address. */
export function saidIn(told: Fields): Fields {
  const said = Object.fromEntries(Object.entries(told).filter(([name]) => !AROUND.has(name)))
  if (typeof said.media !== 'object' || said.media === null) return said
  const { url: _, ...about } = said.media as Fields
  return { ...said, media: about }
}
