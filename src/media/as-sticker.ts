/** Stickers: any still picture becomes WebP of 512 × 512; WebP that is a sticker already passes. */
import type { StickerAsk } from '../domain/content-media'
import type { KeptFile, StagedFile } from '../domain/media'
import { checkedPicture } from './as-image'
import { STICKER_SIDE, stickerOf, thumbnailOf } from './pictures'
import { noConverter, tooLarge } from './refusals'
import { capped, once } from './streams'
import type { Recipe } from './workshop'

const ACCEPTED = ['image/webp', 'image/png', 'image/jpeg', 'image/gif', 'image/bmp']
const MIMETYPE = 'image/webp'
const SQUARE = { width: STICKER_SIDE, height: STICKER_SIDE }

export const stickerRecipe: Recipe<StickerAsk> = async (shop, material) => {
  const { mimetype } = material.sniffed
  const { file, size } = await checkedPicture(material, ACCEPTED, shop.caps.stickerSource)
  const maxBytes = shop.caps.sticker
  const moves = size.frames > 1
  const isSquare = size.width === STICKER_SIDE && size.height === STICKER_SIDE
  if (mimetype === MIMETYPE && (moves || isSquare)) {
    if (file.length > maxBytes) throw tooLarge(maxBytes)
    // Decoded once, so that a damaged one is refused here and not by the phone.
    if (!moves) await thumbnailOf(file)
    const kept = material.upload ?? (await shop.keep(material, once(file), { mimetype: MIMETYPE, maxBytes }))
    return staged(kept, moves, size)
  }
  if (moves) {
    if (!shop.ffmpeg) throw noConverter('A moving picture cannot be made a sticker here', STILL)
    const moving = shop.ffmpeg.sticker({ bytes: once(file), mimetype }, maxBytes)
    return staged(await shop.keep(material, capped(moving, maxBytes), { mimetype: MIMETYPE, maxBytes }), true)
  }
  const made = await stickerOf(file, maxBytes)
  return staged(await shop.keep(material, once(made), { mimetype: MIMETYPE, maxBytes }), false)
}

const STILL = ['image/webp (animated)', 'any still picture']

const staged = ({ id, size }: KeptFile, animated: boolean, { width, height } = SQUARE): StagedFile => ({
  fileId: id,
  media: { mimetype: MIMETYPE, size, width, height },
  thumbnail: null,
  animated,
})
