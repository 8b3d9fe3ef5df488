/**
 * Everything a simulated phone can say, type by type. Field names are those of the service's own API where both know a
 * field; files are given as base64.
 */
import { type Static, type TProperties, Type } from '@sinclair/typebox'

const strict = { additionalProperties: false } as const
const text = (minLength = 0) => Type.String({ minLength })
const whole = (maximum?: number) =>
  Type.Integer({ minimum: 0, ...(maximum === undefined ? {} : { maximum }) })
const optional = {
  text: Type.Optional(text()),
  flag: Type.Optional(Type.Boolean()),
  whole: Type.Optional(whole()),
}
const base64 = () => Type.String({ minLength: 1, contentEncoding: 'base64' })
const moment = () => Type.String({ format: 'date-time' })
const Target = Type.String({ minLength: 1, description: 'Id of a message this phone has sent or received' })

/** What any content may carry besides its own fields. */
const context = {
  mentions: Type.Optional(Type.Array(Type.String(), { description: 'Phone numbers or JIDs' })),
  mentionsAll: Type.Optional(Type.Boolean({ description: 'Everybody in the group' })),
  quotedMessageId: Type.Optional(Target),
  forwardingScore: Type.Optional(whole()),
  disappearingSeconds: Type.Optional(
    Type.Integer({ minimum: 1, description: 'It vanishes so long after it was read' }),
  ),
}

const said = <Name extends string, Fields extends TProperties>(type: Name, fields: Fields) =>
  Type.Object({ type: Type.Literal(type), ...fields, ...context }, strict)
/** Content that acts on an earlier message; it can neither quote nor mention. */
const deed = <Name extends string, Fields extends TProperties>(type: Name, fields: Fields) =>
  Type.Object({ type: Type.Literal(type), targetMessageId: Target, ...fields }, strict)

const file = { base64: base64(), mimetype: optional.text }
const picture = {
  ...file,
  caption: optional.text,
  width: optional.whole,
  height: optional.whole,
  thumbnailBase64: Type.Optional(base64()),
  viewOnce: optional.flag,
  albumId: Type.Optional(Type.String({ minLength: 1, description: 'The album it belongs to' })),
}
const Image = said('image', picture)
const Video = said('video', {
  ...picture,
  seconds: optional.whole,
  gifPlayback: optional.flag,
  ptv: Type.Optional(Type.Boolean({ description: 'A round video message' })),
})

const place = {
  latitude: Type.Number({ minimum: -90, maximum: 90 }),
  longitude: Type.Number({ minimum: -180, maximum: 180 }),
}

/** By type; the list of what a phone can send. */
export const PHONE_CONTENTS = {
  text: said('text', {
    text: text(1),
    linkPreview: Type.Optional(
      Type.Object(
        {
          url: text(1),
          title: text(1),
          description: optional.text,
          thumbnailBase64: Type.Optional(base64()),
        },
        strict,
      ),
    ),
    backgroundColor: Type.Optional(
      Type.String({ pattern: '^#[0-9a-fA-F]{6}$', description: 'Of a status post' }),
    ),
    font: Type.Optional(whole(10)),
  }),
  image: Image,
  video: Video,
  audio: said('audio', {
    ...file,
    ptt: Type.Optional(Type.Boolean({ description: 'A voice note' })),
    seconds: optional.whole,
    waveform: Type.Optional(Type.Array(whole(100), { maxItems: 64 })),
    viewOnce: optional.flag,
  }),
  document: said('document', { ...file, caption: optional.text, filename: optional.text }),
  sticker: said('sticker', {
    ...file,
    animated: optional.flag,
    width: optional.whole,
    height: optional.whole,
  }),
  album: said('album', { items: Type.Array(Type.Union([Image, Video]), { minItems: 2, maxItems: 30 }) }),
  location: said('location', {
    ...place,
    name: optional.text,
    address: optional.text,
    live: Type.Optional(Type.Boolean({ description: 'A place that moves' })),
    duration: Type.Optional(
      Type.Integer({ minimum: 1, description: 'Seconds for which a live location is shared' }),
    ),
    accuracy: optional.whole,
    speed: Type.Optional(Type.Number({ minimum: 0 })),
    heading: Type.Optional(whole(360)),
    caption: optional.text,
  }),
  contact: said('contact', {
    contacts: Type.Array(
      Type.Object(
        {
          fullName: text(1),
          phoneNumber: optional.text,
          organization: optional.text,
          email: optional.text,
          url: optional.text,
        },
        strict,
      ),
      { minItems: 1 },
    ),
  }),
  poll: said('poll', {
    question: text(1),
    options: Type.Array(text(1), { minItems: 2, maxItems: 12 }),
    selectable: optional.whole,
  }),
  event: said('event', {
    name: text(1),
    description: optional.text,
    startsAt: moment(),
    endsAt: Type.Optional(moment()),
    location: Type.Optional(
      Type.Object(
        {
          name: optional.text,
          address: optional.text,
          latitude: Type.Optional(place.latitude),
          longitude: Type.Optional(place.longitude),
        },
        strict,
      ),
    ),
    joinLink: optional.text,
    canceled: optional.flag,
    guestsAllowed: optional.flag,
  }),
  reaction: deed('reaction', { emoji: Type.String({ description: 'Empty takes the reaction back' }) }),
  edit: deed('edit', { text: text(1) }),
  delete: deed('delete', {}),
  pin: deed('pin', { pinned: optional.flag, seconds: Type.Optional(Type.Integer({ minimum: 1 })) }),
  vote: deed('vote', {
    options: Type.Array(text(1), { description: 'Empty takes the vote back' }),
  }),
  rsvp: deed('rsvp', {
    response: Type.Union([Type.Literal('going'), Type.Literal('not_going'), Type.Literal('maybe')]),
    extraGuests: Type.Optional(Type.Integer({ minimum: 1, description: 'Others who are brought along' })),
  }),
  forward: Type.Object({ type: Type.Literal('forward'), messageId: Target }, strict),
  buttons: said('buttons', {
    text: text(1),
    footer: optional.text,
    buttons: Type.Array(Type.Object({ id: text(), text: text(1), url: optional.text }, strict), {
      minItems: 1,
    }),
    format: Type.Optional(
      Type.Union([Type.Literal('buttons'), Type.Literal('template'), Type.Literal('interactive')], {
        description: 'Which of WhatsApp’s forms; only `buttons` has no room for links',
      }),
    ),
  }),
  list: said('list', {
    title: optional.text,
    text: text(1),
    footer: optional.text,
    buttonText: text(1),
    sections: Type.Array(
      Type.Object(
        {
          title: optional.text,
          rows: Type.Array(Type.Object({ id: text(1), title: text(1), description: optional.text }, strict), {
            minItems: 1,
          }),
        },
        strict,
      ),
      { minItems: 1 },
    ),
    format: Type.Optional(Type.Union([Type.Literal('list'), Type.Literal('interactive')])),
  }),
  choice: Type.Object(
    {
      type: Type.Literal('choice'),
      choiceId: text(1),
      text: text(1),
      targetMessageId: Type.Optional(Target),
    },
    strict,
  ),
  product: said('product', {
    productId: text(1),
    title: text(1),
    description: optional.text,
    currency: optional.text,
    price: Type.Optional(Type.Number({ description: 'In units of the currency' })),
    url: optional.text,
    owner: Type.Optional(Type.String({ description: 'Number or JID of the business' })),
  }),
  order: said('order', {
    orderId: text(1),
    title: optional.text,
    itemCount: optional.whole,
    total: Type.Optional(Type.Number({ description: 'In units of the currency' })),
    currency: optional.text,
    text: optional.text,
    owner: Type.Optional(Type.String({ description: 'Number or JID of the business' })),
  }),
  comment: deed('comment', { text: text(1) }),
  invite: said('invite', {
    groupId: text(1),
    subject: text(1),
    inviteCode: text(1),
    expiresAt: Type.Optional(moment()),
    caption: optional.text,
  }),
  disappearing: Type.Object(
    {
      type: Type.Literal('disappearing'),
      seconds: Type.Integer({ minimum: 0, description: 'For the whole chat; 0 switches it off' }),
    },
    strict,
  ),
  raw: Type.Object(
    {
      type: Type.Literal('raw'),
      base64: Type.String({ description: 'An encoded protobuf message, as it is' }),
    },
    strict,
  ),
} as const

export type PhoneContentType = keyof typeof PHONE_CONTENTS
/** Everything a phone can send. */
export type PhoneContent = { [T in PhoneContentType]: Static<(typeof PHONE_CONTENTS)[T]> }[PhoneContentType]
export type PhoneContentOf<T extends PhoneContentType> = Extract<PhoneContent, { type: T }>
export const PHONE_CONTENT_TYPES = Object.keys(PHONE_CONTENTS) as PhoneContentType[]
export const PhoneContentSchema = Type.Union(PHONE_CONTENT_TYPES.map((type) => PHONE_CONTENTS[type]))

/** Content with a file that must be uploaded first. */
export type MediaContent = PhoneContentOf<'image' | 'video' | 'audio' | 'document' | 'sticker'>
const MEDIA_TYPES = [
  'image',
  'video',
  'audio',
  'document',
  'sticker',
] as const satisfies MediaContent['type'][]
export const isMedia = (content: PhoneContent): content is MediaContent =>
  (MEDIA_TYPES as readonly string[]).includes(content.type)
