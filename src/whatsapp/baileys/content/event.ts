/** Events that people can promise to come to, and their answers, which are encrypted with the event's secret. */
import { proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { fail } from '../../../domain/errors'
import { earlierOf } from './earlier'
import { keyOf, targetOf } from './keys'
import { authorsOf, open, seal } from './secrets'
import { momentOf, numberOf, type PartReaders, type Reading, some, type Writer } from './shapes'

type Place = NonNullable<ContentOf<'event'>['location']>

function placeOf(part: proto.Message.ILocationMessage | null | undefined): Place | null {
  if (!part) return null
  const latitude = numberOf(part.degreesLatitude)
  const longitude = numberOf(part.degreesLongitude)
  const place = {
    ...some('name', part.name),
    ...some('address', part.address),
    ...(latitude || longitude ? { latitude: latitude ?? 0, longitude: longitude ?? 0 } : {}),
  }
  return Object.keys(place).length > 0 ? place : null
}

export const readEvent: PartReaders<'event'> = {
  eventMessage: (part) => ({
    type: 'event',
    name: part.name ?? '',
    ...some('description', part.description),
    startsAt: momentOf(part.startTime) ?? '',
    ...some('endsAt', momentOf(part.endTime)),
    ...some('location', placeOf(part.location)),
    ...some('joinLink', part.joinLink),
    ...some('canceled', part.isCanceled),
    ...some('guestsAllowed', part.extraGuestsAllowed),
  }),
}

const secondsOf = (moment: string): number => Math.floor(Date.parse(moment) / 1000)

export const writeEvent: Writer<'event'> = (content) => ({
  eventMessage: {
    name: content.name,
    ...some('description', content.description),
    startTime: secondsOf(content.startsAt),
    ...(content.endsAt === undefined ? {} : { endTime: secondsOf(content.endsAt) }),
    ...(content.location ? { location: partOf(content.location) } : {}),
    ...some('joinLink', content.joinLink),
    isCanceled: content.canceled ?? false,
    ...some('extraGuestsAllowed', content.guestsAllowed),
    isScheduleCall: false,
  },
})

const partOf = (place: Place): proto.Message.ILocationMessage => ({
  degreesLatitude: place.latitude ?? 0,
  degreesLongitude: place.longitude ?? 0,
  ...some('name', place.name),
  ...some('address', place.address),
})

const { GOING, NOT_GOING, MAYBE } = proto.Message.EventResponseMessage.EventResponseType
const RESPONSES = { going: GOING, not_going: NOT_GOING, maybe: MAYBE } as const
type Response = keyof typeof RESPONSES

/** An answer in our words; null when it is none that we know. */
export function answerOf(
  targetMessageId: string,
  { response, extraGuestCount }: proto.Message.IEventResponseMessage,
): ContentOf<'rsvp'> | null {
  const [name] = Object.entries(RESPONSES).find(([, number]) => number === response) ?? []
  if (name === undefined) return null
  return {
    type: 'rsvp',
    targetMessageId,
    response: name as Response,
    ...some('extraGuests', extraGuestCount),
  }
}

function rsvp(part: proto.Message.IEncEventResponseMessage, about: Reading): ContentOf<'rsvp'> | null {
  const key = part.eventCreationMessageKey
  const id = key?.id
  const secret = id ? about.earlier(id)?.secret : null
  if (!id || !secret) return null
  const people = { id, authors: authorsOf(key, about), by: about.authors }
  const plain = open('rsvp', secret, people, part)
  return plain && answerOf(id, proto.Message.EventResponseMessage.decode(plain))
}

export const readRsvp: PartReaders<'rsvp'> = { encEventResponseMessage: rsvp }

/** Throws `MESSAGE_NOT_SUITABLE` when the target is nothing that can be answered. */
export const writeRsvp: Writer<'rsvp'> = ({ targetMessageId, response, extraGuests }, context) => {
  const target = targetOf(targetMessageId, context)
  const { secret, isEvent } = earlierOf(proto.Message.decode(target.raw))
  if (!secret || !isEvent) {
    throw fail('MESSAGE_NOT_SUITABLE', { messageId: targetMessageId, reason: 'It is not an event' })
  }
  const binding = {
    targetId: targetMessageId,
    targetAuthor: target.fromMe ? context.me : target.sender,
    author: context.me,
  }
  const answer = {
    response: RESPONSES[response],
    timestampMs: context.now,
    ...some('extraGuestCount', extraGuests),
  }
  const plain = proto.Message.EventResponseMessage.encode(answer).finish()
  return {
    encEventResponseMessage: {
      eventCreationMessageKey: keyOf(target, context.chat),
      ...seal('rsvp', secret, binding, plain),
    },
  }
}
