/** Small pictures and stickers out of pictures of any size; decoding happens off the main thread, one at a time. */
import { createMailbox } from '../lib/mailbox'
import { centred, decodePng, encodePng } from './png'

/** Pixels above which a picture is refused before it is decoded (50 megapixels = 200 MB once decoded). */
export const MAX_PIXELS = 50_000_000

/** Longest side of a thumbnail, as WhatsApp's own clients make them. */
const THUMBNAIL_SIDE = 100
/** A thumbnail travels inside the message; above this it is made again, coarser. */
const THUMBNAIL_BYTES = 8192
/** WhatsApp's stickers are squares of this side. */
export const STICKER_SIDE = 512

/** Thrown when the bytes do not decode as the picture that their start promises. */
export class UnreadablePicture extends Error {
  constructor(options?: ErrorOptions) {
    super('The picture cannot be decoded', options)
    this.name = 'UnreadablePicture'
  }
}

// Each decoded picture costs up to 200 MB for a moment, so they are made one after another.
const table = createMailbox()

const open = (file: Uint8Array) => new Bun.Image(file, { maxPixels: MAX_PIXELS })

const decoding = async <T>(work: () => Promise<T>): Promise<T> =>
  table.run(async () => {
    try {
      return await work()
    } catch (error) {
      if (error instanceof Error && String((error as NodeJS.ErrnoException).code).startsWith('ERR_IMAGE_'))
        throw new UnreadablePicture({ cause: error })
      throw error
    }
  })

/** A JPEG with a longest side of 100 pixels and of at most 8 KB. Throws `UnreadablePicture`. */
export async function thumbnailOf(file: Uint8Array): Promise<Uint8Array> {
  return decoding(async () => {
    let small = new Uint8Array()
    for (const [side, quality] of [
      [THUMBNAIL_SIDE, 70],
      [THUMBNAIL_SIDE, 40],
      [48, 40],
    ] as const) {
      const made = await open(file)
        .resize(side, side, { fit: 'inside', withoutEnlargement: true })
        .jpeg({ quality })
        .bytes()
      small = withoutExtras(made)
      if (small.length <= THUMBNAIL_BYTES) break
    }
    return small
  })
}

/** Leaves the colour profile and notes of a JPEG away (they are copied from the original and can be of any size). */
function withoutExtras(jpeg: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.from(jpeg.buffer, jpeg.byteOffset, jpeg.byteLength)
  const kept = [bytes.subarray(0, 2)]
  let at = 2
  while (at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda) {
    const marker = bytes[at + 1] ?? 0
    const end = at + 2 + bytes.readUInt16BE(at + 2)
    if (!((marker > 0xe0 && marker <= 0xef) || marker === 0xfe)) kept.push(bytes.subarray(at, end))
    at = end
  }
  kept.push(bytes.subarray(at))
  return Uint8Array.from(Buffer.concat(kept))
}

/**
 * A WebP of 512 × 512 with the picture as large as fits and nothing around it, at most `maxBytes` long if quality
 * allows. Throws `UnreadablePicture`.
 */
export async function stickerOf(file: Uint8Array, maxBytes: number): Promise<Uint8Array> {
  return decoding(async () => {
    const fitted = await open(file).resize(STICKER_SIDE, STICKER_SIDE, { fit: 'inside' }).png().bytes()
    const square = encodePng(centred(decodePng(fitted), STICKER_SIDE))
    let sticker = new Uint8Array()
    for (const quality of [85, 60, 35, 10]) {
      sticker = Uint8Array.from(await open(square).webp({ quality }).bytes())
      if (sticker.length <= maxBytes) break
    }
    return sticker
  })
}
