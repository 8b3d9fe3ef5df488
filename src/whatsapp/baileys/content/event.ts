/** Events that people can promise to come to. */
import type { proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { momentOf, numberOf, type PartReaders, some, type Writer } from './shapes'

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
