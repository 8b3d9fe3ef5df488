/** Content without a file: text, places, people, polls, events. */
import type { proto } from '@whiskeysockets/baileys'
import type { PhoneContentOf } from './content-schemas'
import { present, type ReadContent, type Surroundings } from './content-shape'
import { readVcard, writeVcard } from './content-vcard'

type PlainType = 'text' | 'location' | 'contact' | 'poll' | 'event'
const seconds = (moment: string | undefined) =>
  moment === undefined ? undefined : Math.floor(Date.parse(moment) / 1000)
const moment = (at: number | { toString(): string } | null | undefined) =>
  at === null || at === undefined || Number(at) === 0 ? undefined : new Date(Number(at) * 1000).toISOString()

/** `#rrggbb` as WhatsApp keeps colours, opaque. */
const argb = (colour: string) => (0xff000000 | Number.parseInt(colour.slice(1), 16)) >>> 0
const WHITE = 0xffffffff

export const writePlain: {
  [T in PlainType]: (content: PhoneContentOf<T>, around: Surroundings) => proto.IMessage
} = {
  text({ text, linkPreview, backgroundColor, font }) {
    if (linkPreview === undefined && backgroundColor === undefined && font === undefined) {
      return { conversation: text }
    }
    return {
      extendedTextMessage: {
        text,
        ...present({
          matchedText: linkPreview?.url,
          title: linkPreview?.title,
          description: linkPreview?.description,
          jpegThumbnail: linkPreview?.thumbnailBase64 && Buffer.from(linkPreview.thumbnailBase64, 'base64'),
          backgroundArgb: backgroundColor && argb(backgroundColor),
          textArgb: backgroundColor && WHITE,
          font,
        }),
      } as proto.Message.IExtendedTextMessage,
    }
  },
  location(
    { latitude, longitude, name, address, live, duration, accuracy, speed, heading, caption },
    { now },
  ) {
    const place = present({
      degreesLatitude: latitude,
      degreesLongitude: longitude,
      accuracyInMeters: accuracy,
      speedInMps: speed,
      degreesClockwiseFromMagneticNorth: heading,
    })
    if (!live) return { locationMessage: { ...place, ...present({ name, address, comment: caption }) } }
    const moving = { ...place, ...present({ caption }), sequenceNumber: now, timeOffset: 0 }
    // The place itself has no room for how long it is shared; the envelope has.
    const envelope =
      duration === undefined ? {} : { messageContextInfo: { messageAddOnDurationInSecs: duration } }
    return { liveLocationMessage: moving, ...envelope }
  },
  contact({ contacts }) {
    const cards = contacts.map((card) => ({ displayName: card.fullName, vcard: writeVcard(card) }))
    const [first] = cards
    return cards.length === 1 && first
      ? { contactMessage: first }
      : { contactsArrayMessage: { displayName: `${cards.length} contacts`, contacts: cards } }
  },
  poll({ question, options, selectable = 0 }, around) {
    const poll = {
      name: question,
      options: options.map((optionName) => ({ optionName })),
      selectableOptionsCount: selectable,
    }
    return {
      // Phones mark polls with a single choice by another field.
      ...(selectable === 1 ? { pollCreationMessageV3: poll } : { pollCreationMessage: poll }),
      messageContextInfo: { messageSecret: around.messageSecret() },
    }
  },
  event({ name, description, startsAt, endsAt, location, joinLink, canceled, guestsAllowed }, around) {
    return {
      eventMessage: {
        name,
        isCanceled: canceled ?? false,
        ...present({
          description,
          joinLink,
          startTime: seconds(startsAt),
          endTime: seconds(endsAt),
          extraGuestsAllowed: guestsAllowed,
          location: location && {
            ...present({
              name: location.name,
              address: location.address,
              degreesLatitude: location.latitude,
              degreesLongitude: location.longitude,
            }),
          },
        }),
      },
      messageContextInfo: { messageSecret: around.messageSecret() },
    }
  },
}

const readText = ({ conversation, extendedTextMessage: extended }: proto.IMessage): ReadContent => ({
  type: 'text',
  text: extended?.text ?? conversation ?? '',
  ...present({
    linkPreview: extended?.title
      ? present({
          url: extended.matchedText,
          title: extended.title,
          description: extended.description || undefined,
        })
      : undefined,
    backgroundColor: extended?.backgroundArgb
      ? `#${(extended.backgroundArgb & 0xffffff).toString(16).padStart(6, '0')}`
      : undefined,
    font: extended?.font || undefined,
  }),
})

const readPlace = (at: proto.Message.ILocationMessage | null | undefined): Record<string, unknown> =>
  present({
    latitude: at?.degreesLatitude,
    longitude: at?.degreesLongitude,
    name: at?.name || undefined,
    address: at?.address || undefined,
    accuracy: at?.accuracyInMeters || undefined,
    speed: at?.speedInMps || undefined,
    heading: at?.degreesClockwiseFromMagneticNorth || undefined,
    caption: at?.comment || undefined,
  })

const readCard = ({ displayName, vcard }: proto.Message.IContactMessage): Record<string, unknown> => {
  const card = readVcard(vcard ?? '')
  return { ...card, fullName: card.fullName ?? displayName ?? '', vcard: vcard ?? '' }
}

const readPoll = (message: proto.IMessage): ReadContent => {
  const poll = pollOf(message)
  return {
    type: 'poll',
    question: poll?.name ?? '',
    options: (poll?.options ?? []).map(({ optionName }) => optionName ?? ''),
    selectable: poll?.selectableOptionsCount ?? 0,
  }
}

/** A poll in whichever field it travels. */
export const pollOf = (message: proto.IMessage): proto.Message.IPollCreationMessage | null =>
  message.pollCreationMessage ??
  message.pollCreationMessageV2 ??
  message.pollCreationMessageV3 ??
  message.pollCreationMessageV5 ??
  null

export const readPlain: Record<string, (message: proto.IMessage) => ReadContent> = {
  conversation: readText,
  extendedTextMessage: readText,
  locationMessage: ({ locationMessage }) => ({
    type: 'location',
    ...(locationMessage?.isLive ? { live: true } : {}),
    ...readPlace(locationMessage),
  }),
  liveLocationMessage: ({ liveLocationMessage: at, messageContextInfo }) => ({
    type: 'location',
    live: true,
    ...readPlace(at),
    ...present({
      caption: at?.caption || undefined,
      duration: messageContextInfo?.messageAddOnDurationInSecs || undefined,
    }),
  }),
  contactMessage: ({ contactMessage }) => ({ type: 'contact', contacts: [readCard(contactMessage ?? {})] }),
  contactsArrayMessage: ({ contactsArrayMessage }) => ({
    type: 'contact',
    contacts: (contactsArrayMessage?.contacts ?? []).map(readCard),
  }),
  pollCreationMessage: readPoll,
  pollCreationMessageV2: readPoll,
  pollCreationMessageV3: readPoll,
  pollCreationMessageV5: readPoll,
  eventMessage: ({ eventMessage: event }) => ({
    type: 'event',
    ...present({
      name: event?.name ?? '',
      description: event?.description || undefined,
      startsAt: moment(event?.startTime),
      endsAt: moment(event?.endTime),
      location: event?.location ? readPlace(event.location) : undefined,
      joinLink: event?.joinLink || undefined,
      canceled: event?.isCanceled || undefined,
      guestsAllowed: event?.extraGuestsAllowed ?? undefined,
    }),
  }),
}
