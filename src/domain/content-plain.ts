/** Types without a file: text, place, people, poll, event, and those that businesses send. */
import { type Static, Type } from '@sinclair/typebox'
import { MAX_POLL_OPTIONS, MAX_TEXT_LENGTH, optionalText, target } from './content-limits'

const strict = { additionalProperties: false } as const

/** The card below a text that shows where its link leads. */
export const LinkPreview = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2048, description: 'The link as it stands in the text' }),
    title: Type.String({ minLength: 1, maxLength: 1024 }),
    description: optionalText(4096),
  },
  strict,
)
export type LinkPreview = Static<typeof LinkPreview>

const words = Type.String({ minLength: 1, maxLength: MAX_TEXT_LENGTH })
/** How a status post of words looks. */
const look = {
  backgroundColor: Type.Optional(
    Type.String({ pattern: '^#[0-9a-fA-F]{6}$', description: 'Of a status post: #rrggbb' }),
  ),
  font: Type.Optional(Type.Integer({ minimum: 0, maximum: 10, description: 'Of a status post' })),
}
export const TextContent = Type.Object({
  type: Type.Literal('text'),
  text: words,
  linkPreview: Type.Optional(LinkPreview),
  ...look,
})
export const TextAsk = Type.Object(
  {
    type: Type.Literal('text'),
    text: words,
    linkPreview: Type.Optional(
      Type.Union([Type.Boolean(), LinkPreview], {
        description: 'true: fetched from the first link of the text; or given; otherwise there is none',
      }),
    ),
    ...look,
  },
  strict,
)

const location = {
  type: Type.Literal('location'),
  latitude: Type.Number({ minimum: -90, maximum: 90 }),
  longitude: Type.Number({ minimum: -180, maximum: 180 }),
  name: optionalText(1024),
  address: optionalText(4096),
  live: Type.Optional(Type.Boolean({ description: 'A place that moves' })),
  duration: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 86_400, description: 'Seconds for which a live location is shared' }),
  ),
  accuracy: Type.Optional(Type.Integer({ minimum: 0, description: 'Metres' })),
  speed: Type.Optional(Type.Number({ minimum: 0, description: 'Metres per second' })),
  heading: Type.Optional(Type.Integer({ minimum: 0, maximum: 360, description: 'Degrees from north' })),
  caption: optionalText(4096, 'Words below a live location'),
}
export const LocationContent = Type.Object(location)
export const LocationAsk = Type.Object(location, strict)

/** A person's card. `vcard` is the card itself as it went over the wire. */
const card = {
  fullName: Type.String({ minLength: 1, maxLength: 1024 }),
  phoneNumber: optionalText(64),
  organization: optionalText(1024),
  email: optionalText(320),
  url: optionalText(2048),
}
export const ContactCard = Type.Object({
  ...card,
  fullName: Type.String(),
  vcard: Type.Optional(Type.String()),
})
export const ContactCardAsk = Type.Object(card, strict)
export type ContactCard = Static<typeof ContactCard>
export const ContactContent = Type.Object({
  type: Type.Literal('contact'),
  contacts: Type.Array(ContactCard),
})
export const ContactAsk = Type.Object(
  {
    type: Type.Literal('contact'),
    contact: Type.Optional(ContactCardAsk),
    contacts: Type.Optional(Type.Array(ContactCardAsk, { minItems: 1, maxItems: 256 })),
  },
  strict,
)

const question = Type.String({ minLength: 1, maxLength: 255 })
const selectable = Type.Integer({
  minimum: 0,
  maximum: MAX_POLL_OPTIONS,
  description: 'Answers a person may choose; 0 = any number',
})
export const PollContent = Type.Object({
  type: Type.Literal('poll'),
  question: Type.String(),
  options: Type.Array(Type.String()),
  selectable: Type.Integer({ minimum: 0 }),
})
export const PollAsk = Type.Object(
  {
    type: Type.Literal('poll'),
    question,
    options: Type.Array(Type.String({ minLength: 1, maxLength: 100 }), {
      minItems: 2,
      maxItems: MAX_POLL_OPTIONS,
      uniqueItems: true,
    }),
    selectable: Type.Optional(selectable),
  },
  strict,
)

const moment = (description: string) => Type.String({ maxLength: 40, description })
const event = {
  type: Type.Literal('event'),
  name: Type.String({ minLength: 1, maxLength: 100 }),
  description: optionalText(2048),
  startsAt: moment('ISO 8601'),
  endsAt: Type.Optional(moment('ISO 8601')),
  location: Type.Optional(
    Type.Object(
      {
        name: optionalText(1024),
        address: optionalText(4096),
        latitude: Type.Optional(Type.Number({ minimum: -90, maximum: 90 })),
        longitude: Type.Optional(Type.Number({ minimum: -180, maximum: 180 })),
      },
      strict,
    ),
  ),
  joinLink: optionalText(2048, 'Where a call takes place'),
  canceled: Type.Optional(Type.Boolean()),
  guestsAllowed: Type.Optional(Type.Boolean({ description: 'Guests may bring others' })),
}
export const EventContent = Type.Object(event)
export const EventAsk = Type.Object(event, strict)

/** Buttons of a business; only received, WhatsApp does not deliver those of a linked device. */
export const ButtonsContent = Type.Object({
  type: Type.Literal('buttons'),
  text: Type.String(),
  footer: Type.Optional(Type.String()),
  buttons: Type.Array(
    Type.Object({ id: Type.String(), text: Type.String(), url: Type.Optional(Type.String()) }),
  ),
})
export const ListContent = Type.Object({
  type: Type.Literal('list'),
  title: Type.Optional(Type.String()),
  text: Type.String(),
  footer: Type.Optional(Type.String()),
  buttonText: Type.String(),
  sections: Type.Array(
    Type.Object({
      title: Type.Optional(Type.String()),
      rows: Type.Array(
        Type.Object({ id: Type.String(), title: Type.String(), description: Type.Optional(Type.String()) }),
      ),
    }),
  ),
})
/** What somebody chose from buttons or a list. */
export const ChoiceContent = Type.Object({
  type: Type.Literal('choice'),
  choiceId: Type.String({ description: 'The id that the business gave it' }),
  text: Type.String(),
  targetMessageId: Type.Optional(Type.String()),
})
export const ProductContent = Type.Object({
  type: Type.Literal('product'),
  productId: Type.String(),
  title: Type.String(),
  description: Type.Optional(Type.String()),
  currency: Type.Optional(Type.String()),
  price: Type.Optional(Type.Number({ description: 'In units of the currency' })),
  url: Type.Optional(Type.String()),
  owner: Type.Optional(Type.String({ description: 'Digits or id of the business' })),
})
/** What somebody has put into the basket of a business. */
export const OrderContent = Type.Object({
  type: Type.Literal('order'),
  orderId: Type.String(),
  title: Type.Optional(Type.String()),
  itemCount: Type.Optional(Type.Integer({ minimum: 0 })),
  total: Type.Optional(Type.Number({ description: 'In units of the currency' })),
  currency: Type.Optional(Type.String()),
  text: Type.Optional(Type.String({ description: 'Words to the business' })),
  owner: Type.Optional(Type.String({ description: 'Digits or id of the business' })),
})
/** Words below a message of an announcement group. */
export const CommentContent = Type.Object({
  type: Type.Literal('comment'),
  text: Type.String({ minLength: 1 }),
  targetMessageId: target('The message that is commented on'),
})
/** An invitation into a group. */
export const InviteContent = Type.Object({
  type: Type.Literal('invite'),
  groupId: Type.String(),
  subject: Type.String(),
  inviteCode: Type.String(),
  expiresAt: Type.Optional(Type.String()),
  caption: Type.Optional(Type.String()),
})
/** Anything we have no reader for; its encoded form is kept. */
export const UnknownContent = Type.Object({
  type: Type.Literal('unknown'),
  kind: Type.String({ description: 'WhatsApp’s own name of the message type' }),
})
