/** Documents: anything at all, streamed to disk; only its name and type are looked after. */
import type { DocumentAsk } from '../domain/content-media'
import type { KeptFile } from '../domain/media'
import { documentType, nameFor } from './document-type'
import { safeFilename } from './filename'
import { imageSize } from './image-size'
import { MAX_PIXELS, thumbnailOf, UnreadablePicture } from './pictures'
import type { Sniffed } from './sniff'
import { collected } from './streams'
import { orRemove, type Recipe, type Workshop } from './workshop'

export const documentRecipe: Recipe<DocumentAsk> = async (shop, material, ask) => {
  const given = ask.filename ?? material.filename
  const named = given === null ? null : safeFilename(given)
  const mimetype = documentType(material.sniffed, ask.mimetype ?? material.declared, named)
  const filename = named ?? nameFor(mimetype)
  const maxBytes = shop.caps.document
  const kept =
    material.upload ?? (await shop.keep(material, material.bytes, { mimetype, maxBytes, filename }))
  return orRemove(shop, material, kept, async () => ({
    fileId: kept.id,
    media: { mimetype, size: kept.size, filename },
    thumbnail: await smallPicture(shop, kept, material.sniffed),
    animated: false,
  }))
}

/** Of a picture that is sent as a document; what is too large or damaged goes without. */
async function smallPicture(
  { store, caps }: Workshop,
  kept: KeptFile,
  sniffed: Sniffed,
): Promise<Uint8Array | null> {
  if (sniffed.family !== 'image' || kept.size > caps.image) return null
  const file = await collected(store.read(kept.id), caps.image)
  const size = imageSize(file, sniffed.mimetype)
  if (!size || size.width * size.height > MAX_PIXELS) return null
  try {
    return await thumbnailOf(file)
  } catch (error) {
    if (error instanceof UnreadablePicture) return null
    throw error
  }
}
