/** Pictures: checked by their header before they are decoded, decoded once for the small picture, sent as they are. */

import type { ImageAsk } from '../domain/content-media'
import { fail } from '../domain/errors'
import { type ImageSize, imageSize } from './image-size'
import { MAX_PIXELS, thumbnailOf } from './pictures'
import { wrongType } from './refusals'
import { isPolyglot } from './sniff'
import { collected, once } from './streams'
import type { Material, Recipe } from './workshop'

const ACCEPTED = ['image/jpeg', 'image/png', 'image/webp', 'image/gif']

/** What a moving picture is better sent as; a moving PNG is made to be shown still, too. */
const MOVING: Readonly<Record<string, string>> = {
  'image/gif': 'video with gifPlayback',
  'image/webp': 'sticker',
}

/** WebP, PNG and GIF hide archives behind their end as well as JPEG. */
const TAIL = 65_536 + 22

/** Reads a picture whole and refuses what is none of `accepted`, hides something else or has too many pixels. */
export async function checkedPicture(
  material: Pick<Material, 'head' | 'sniffed' | 'bytes'>,
  accepted: readonly string[],
  maxBytes: number,
): Promise<{ file: Uint8Array; size: ImageSize }> {
  const { mimetype } = material.sniffed
  if (!accepted.includes(mimetype)) throw wrongType(`This is ${mimetype}`, accepted)
  const file = await collected(material.bytes, maxBytes)
  if (isPolyglot(material.head, file.subarray(-TAIL)))
    throw wrongType('The file holds more than a picture', accepted)
  const size = imageSize(file, mimetype)
  if (!size) throw wrongType('The picture has no valid header', accepted)
  if (size.width * size.height > MAX_PIXELS)
    throw fail(
      'FILE_TOO_LARGE',
      { action: 'Send a smaller picture', maxPixels: MAX_PIXELS, width: size.width, height: size.height },
      'The picture has too many pixels',
    )
  return { file, size }
}

export const imageRecipe: Recipe<ImageAsk> = async (shop, material) => {
  const { file, size } = await checkedPicture(material, ACCEPTED, shop.caps.image)
  const { mimetype } = material.sniffed
  const better = size.frames > 1 ? MOVING[mimetype] : undefined
  if (better !== undefined)
    throw wrongType(`A moving picture would stand still; send it as a ${better}`, ACCEPTED)
  const thumbnail = await thumbnailOf(file)
  const kept =
    material.upload ?? (await shop.keep(material, once(file), { mimetype, maxBytes: shop.caps.image }))
  return {
    fileId: kept.id,
    media: { mimetype, size: kept.size, width: size.width, height: size.height },
    thumbnail,
    animated: false,
  }
}
