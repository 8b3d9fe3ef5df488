/** Places, still or moving. */
import { numberOf, type PartReaders, some, type Writer } from './shapes'

/** A degree as WhatsApp's schema allows anything to stand there. */
const degrees = (value: number | null | undefined, limit: number): number =>
  Math.max(-limit, Math.min(limit, numberOf(value) ?? 0))

type Motion = {
  accuracyInMeters?: number | null
  speedInMps?: number | null
  degreesClockwiseFromMagneticNorth?: number | null
}

const motionOf = (part: Motion) => ({
  ...some('accuracy', numberOf(part.accuracyInMeters)),
  ...some('speed', numberOf(part.speedInMps)),
  ...some('heading', numberOf(part.degreesClockwiseFromMagneticNorth)),
})

export const readLocation: PartReaders<'location'> = {
  locationMessage: (part) => ({
    type: 'location',
    latitude: degrees(part.degreesLatitude, 90),
    longitude: degrees(part.degreesLongitude, 180),
    ...some('name', part.name),
    ...some('address', part.address),
    ...some('live', part.isLive),
    ...motionOf(part),
    ...some('caption', part.comment),
  }),
  liveLocationMessage: (part, { envelope }) => ({
    type: 'location',
    latitude: degrees(part.degreesLatitude, 90),
    longitude: degrees(part.degreesLongitude, 180),
    live: true,
    ...some('duration', envelope.messageAddOnDurationInSecs),
    ...motionOf(part),
    ...some('caption', part.caption),
  }),
}

export const writeLocation: Writer<'location'> = (content, { thumbnail, now }) => {
  const common = {
    degreesLatitude: content.latitude,
    degreesLongitude: content.longitude,
    ...some('accuracyInMeters', content.accuracy),
    ...some('speedInMps', content.speed),
    ...some('degreesClockwiseFromMagneticNorth', content.heading),
    ...some('jpegThumbnail', thumbnail),
  }
  if (!content.live) {
    return {
      locationMessage: {
        ...common,
        ...some('name', content.name),
        ...some('address', content.address),
        ...some('comment', content.caption),
      },
    }
  }
  // The part itself has no place for how long it is shared; the envelope has the one duration that WhatsApp knows.
  return {
    liveLocationMessage: {
      ...common,
      ...some('caption', content.caption ?? content.name),
      sequenceNumber: now * 1000,
      timeOffset: 0,
    },
    ...(content.duration === undefined
      ? {}
      : { messageContextInfo: { messageAddOnDurationInSecs: content.duration } }),
  }
}
