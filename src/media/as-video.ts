/** Films: streamed to disk, described by their boxes; the first picture is the caller's or, with ffmpeg, their own. */
import type { VideoAsk } from '../domain/content-media'
import type { KeptFile } from '../domain/media'
import { ConversionFailed } from './ffmpeg'
import { type IsoFacts, isoFacts } from './iso-media'
import { thumbnailOf, UnreadablePicture } from './pictures'
import type { RangeReader } from './range-reader'
import { noConverter, wrongType } from './refusals'
import { isPolyglot } from './sniff'
import { collected } from './streams'
import { type Material, orRemove, type Recipe, type Workshop } from './workshop'

const ACCEPTED = ['video/mp4', 'video/3gpp', 'video/quicktime']

export const videoRecipe: Recipe<VideoAsk> = async (shop, material, ask, signal) => {
  const poster =
    ask.thumbnailUrl === undefined
      ? null
      : await thumbnailOf(await shop.fetchPicture(material, ask.thumbnailUrl, signal))
  const kept = await keptFilm(shop, material, ask.gifPlayback === true)
  return orRemove(shop, material, kept, async () => {
    const facts = await isoFacts(rangesOf(shop, kept))
    if (!facts) throw wrongType('The film has no index; it is damaged or cut short', ACCEPTED)
    if (!facts.hasVideo) throw wrongType('The file holds sound only; send it as audio', ACCEPTED)
    return {
      fileId: kept.id,
      media: { mimetype: kept.mimetype, size: kept.size, ...told(facts) },
      thumbnail: poster ?? (await ownPoster(shop, kept)),
      animated: false,
    }
  })
}

async function keptFilm(shop: Workshop, material: Material, loops: boolean): Promise<KeptFile> {
  const { mimetype } = material.sniffed
  const maxBytes = shop.caps.video
  if (mimetype === 'image/gif' && loops) {
    if (!shop.ffmpeg) throw noConverter('A GIF cannot be made a film here', ['video/mp4'])
    const film = shop.ffmpeg.film({ bytes: material.bytes, mimetype }, maxBytes)
    return shop.keep(material, film, { mimetype: 'video/mp4', maxBytes })
  }
  if (!ACCEPTED.includes(mimetype))
    throw wrongType(
      mimetype === 'image/gif' ? 'A GIF is sent with gifPlayback' : `This is ${mimetype}`,
      ACCEPTED,
    )
  if (isPolyglot(material.head)) throw wrongType('The file holds more than a film', ACCEPTED)
  return material.upload ?? shop.keep(material, material.bytes, { mimetype, maxBytes })
}

const rangesOf = ({ store }: Workshop, { id, size }: KeptFile): RangeReader => ({
  size,
  read: (start, end) => collected(store.read(id, { start, end }), Number.POSITIVE_INFINITY),
})

const told = ({ seconds, width, height }: IsoFacts) => ({
  ...(seconds === null ? {} : { seconds }),
  ...(width === null || height === null ? {} : { width, height }),
})

/** A picture is an ornament: a film that ffmpeg does not know is sent without one. */
async function ownPoster({ ffmpeg, store, log }: Workshop, kept: KeptFile): Promise<Uint8Array | null> {
  if (!ffmpeg) return null
  try {
    return await thumbnailOf(await ffmpeg.poster({ bytes: store.read(kept.id), mimetype: kept.mimetype }))
  } catch (error) {
    if (!(error instanceof ConversionFailed || error instanceof UnreadablePicture)) throw error
    log.debug('A film has no picture of its own', { reason: error.message })
    return null
  }
}
