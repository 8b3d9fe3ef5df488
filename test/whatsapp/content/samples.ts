/** Content of every type that can be sent, with every field that its type has. */
import type { ContentOf, SendableContent, SendableType } from '../../../src/domain/content'
import { asJid } from '../../../src/domain/ids'
import type { Pointed } from '../../../src/domain/whatsapp'
import { writeContent } from '../../../src/whatsapp/baileys/content/write'
import { context } from '../support/world'

const media = { mimetype: 'image/jpeg', size: 1234, width: 640, height: 480 }

/** What the actions below act on. */
export const POLL: ContentOf<'poll'> = {
  type: 'poll',
  question: 'When?',
  options: ['now', 'later', 'never'],
  selectable: 2,
}
export const EVENT: ContentOf<'event'> = {
  type: 'event',
  name: 'A party',
  startsAt: '2030-01-02T03:04:00.000Z',
  guestsAllowed: true,
}
/** What an action of this type can be about. */
export const targetFor = (type: string): SendableContent => (type === 'rsvp' ? EVENT : POLL)
export const pointed = (content: SendableContent, more: Partial<Pointed> = {}): Pointed => ({
  id: 'TARGET',
  raw: writeContent(content, context()),
  chat: asJid('1@lid'),
  sender: asJid('1@lid'),
  fromMe: false,
  ...more,
})

export const SAMPLES: { [T in SendableType]: ContentOf<T>[] } = {
  text: [
    { type: 'text', text: '*bold* _and_ ~gone~ 👩‍👩‍👧 \n second line' },
    {
      type: 'text',
      text: 'see https://example.com/a?b=c',
      linkPreview: { url: 'https://example.com/a?b=c', title: 'A', description: 'of b' },
    },
    { type: 'text', text: 'status', backgroundColor: '#00ff7f', font: 2 },
    { type: 'text', text: 'black', backgroundColor: '#000000', font: 0 },
  ],
  image: [
    { type: 'image', caption: 'look', media },
    { type: 'image', media: { mimetype: null, size: null } },
    { type: 'image', viewOnce: true, media },
  ],
  video: [
    { type: 'video', caption: 'look', media: { ...media, mimetype: 'video/mp4', seconds: 12 } },
    { type: 'video', gifPlayback: true, media },
    { type: 'video', ptv: true, media },
    { type: 'video', viewOnce: true, caption: 'once', media },
  ],
  audio: [
    { type: 'audio', ptt: false, media: { mimetype: 'audio/mpeg', size: 9, seconds: 3 } },
    {
      type: 'audio',
      ptt: true,
      media: { mimetype: 'audio/ogg; codecs=opus', size: 9, seconds: 3, waveform: [0, 50, 100] },
    },
    { type: 'audio', ptt: true, viewOnce: true, media: { mimetype: 'audio/ogg', size: 9 } },
  ],
  document: [
    {
      type: 'document',
      caption: 'the plan',
      media: { mimetype: 'application/pdf', size: 4_000_000_000, filename: 'Plan (1).pdf' },
    },
  ],
  sticker: [
    { type: 'sticker', media: { mimetype: 'image/webp', size: 5, width: 512, height: 512 } },
    { type: 'sticker', animated: true, media: { mimetype: 'image/webp', size: 5 } },
  ],
  album: [{ type: 'album', images: 3, videos: 1 }],
  location: [
    { type: 'location', latitude: -33.8568, longitude: 151.2153 },
    {
      type: 'location',
      latitude: 52.5,
      longitude: 13.4,
      name: 'Berlin',
      address: 'Mitte',
      accuracy: 5,
      speed: 1.5,
      heading: 90,
      caption: 'here',
    },
    {
      type: 'location',
      latitude: 0,
      longitude: 0,
      live: true,
      duration: 900,
      accuracy: 5,
      speed: 2.5,
      heading: 359,
      caption: 'on my way',
    },
  ],
  contact: [
    { type: 'contact', contacts: [{ fullName: 'Ann Example', phoneNumber: '491700000001' }] },
    {
      type: 'contact',
      contacts: [
        {
          fullName: 'O’Neil; Bob, Jr. \\ "x"\nline',
          phoneNumber: '491700000002',
          organization: 'A, B; C',
          email: 'bob@example.com',
          url: 'https://example.com/?a=1;b=2,3',
        },
        { fullName: 'No number' },
        { fullName: 'Extension', phoneNumber: '+49 170 12 ext. 5' },
      ],
    },
  ],
  poll: [POLL, { ...POLL, selectable: 1 }, { ...POLL, selectable: 0 }],
  event: [
    { type: 'event', name: 'Party', startsAt: '2030-01-02T03:04:05.000Z' },
    {
      type: 'event',
      name: 'Party',
      description: 'with cake',
      startsAt: '2030-01-02T03:04:05.000Z',
      endsAt: '2030-01-02T05:00:00.000Z',
      location: { name: 'Home', address: 'Street 1', latitude: 52.5, longitude: 13.4 },
      joinLink: 'https://call.whatsapp.com/video/abc',
      canceled: true,
      guestsAllowed: true,
    },
  ],
  reaction: [
    { type: 'reaction', emoji: '👍🏽', targetMessageId: 'TARGET' },
    { type: 'reaction', emoji: '', targetMessageId: 'TARGET' },
  ],
  edit: [{ type: 'edit', text: 'better', targetMessageId: 'TARGET' }],
  delete: [{ type: 'delete', targetMessageId: 'TARGET' }],
  pin: [
    { type: 'pin', targetMessageId: 'TARGET', pinned: true, seconds: 604_800 },
    { type: 'pin', targetMessageId: 'TARGET', pinned: false },
  ],
  vote: [
    { type: 'vote', targetMessageId: 'TARGET', options: ['now', 'never'] },
    { type: 'vote', targetMessageId: 'TARGET', options: [] },
  ],
  rsvp: [
    { type: 'rsvp', targetMessageId: 'EVENT', response: 'going', extraGuests: 2 },
    { type: 'rsvp', targetMessageId: 'EVENT', response: 'not_going' },
    { type: 'rsvp', targetMessageId: 'EVENT', response: 'maybe' },
  ],
}

/** All of them, each with a name for the table. */
export const ALL: [string, SendableContent][] = Object.values(SAMPLES)
  .flat()
  .map((content, index) => [`${content.type} ${index}`, content])
