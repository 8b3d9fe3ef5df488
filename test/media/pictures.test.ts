import { expect, test } from 'bun:test'
import { imageSize } from '../../src/media/image-size'
import { stickerOf, thumbnailOf, UnreadablePicture } from '../../src/media/pictures'
import { centred, decodePng, encodePng } from '../../src/media/png'
import { gif, hugePng, jpeg, movingWebp, png, webp } from './pictures'

const sizeOf = (file: Uint8Array, mimetype: string) => imageSize(file, mimetype)

test('sizes are read from headers alone', async () => {
  const still = (width: number, height: number) => ({ width, height, frames: 1 })
  expect(sizeOf(png(300, 120), 'image/png')).toEqual(still(300, 120))
  expect(sizeOf((await jpeg(301, 121)).subarray(0, 800), 'image/jpeg')).toEqual(still(301, 121))
  expect(sizeOf(await webp(302, 122), 'image/webp')).toEqual(still(302, 122))
  const lossless = await new Bun.Image(png(303, 123)).webp({ lossless: true }).bytes()
  expect(sizeOf(lossless, 'image/webp')).toEqual(still(303, 123))
  expect(sizeOf(gif(304, 124, 1), 'image/gif')).toEqual(still(304, 124))
  expect(sizeOf(hugePng(100_000, 100_000), 'image/png')).toEqual(still(100_000, 100_000))
  const bmp = Buffer.alloc(60)
  bmp.write('BM')
  bmp.writeUInt32LE(40, 14)
  bmp.writeInt32LE(305, 18)
  bmp.writeInt32LE(-125, 22)
  expect(sizeOf(bmp, 'image/bmp')).toEqual(still(305, 125))
})

test('a photo that a phone held upright is as high as it is shown', async () => {
  const picture = await jpeg(80, 40)
  const turned = (orientation: number) => {
    const tiff = Buffer.alloc(8 + 2 + 12 + 4)
    tiff.write('MM\0*', 'latin1')
    tiff.writeUInt32BE(8, 4)
    tiff.writeUInt16BE(1, 8)
    tiff.writeUInt16BE(0x0112, 10)
    tiff.writeUInt16BE(3, 12)
    tiff.writeUInt32BE(1, 14)
    tiff.writeUInt16BE(orientation, 18)
    const body = Buffer.concat([Buffer.from('Exif\0\0', 'latin1'), tiff])
    const head = Buffer.from([0xff, 0xe1, 0, body.length + 2])
    return Buffer.concat([picture.subarray(0, 2), head, body, picture.subarray(2)])
  }
  for (const [orientation, width, height] of [
    [1, 80, 40],
    [3, 80, 40],
    [6, 40, 80],
    [8, 40, 80],
  ] as const) {
    const file = turned(orientation)
    expect(sizeOf(file, 'image/jpeg')).toEqual({ width, height, frames: 1 })
    // The small picture is turned alike.
    const small = sizeOf(await thumbnailOf(file), 'image/jpeg')
    expect((small?.width ?? 0) > (small?.height ?? 0)).toBe(width > height)
  }
})

test('moving pictures are told from still ones', async () => {
  expect(sizeOf(gif(30, 20, 2), 'image/gif')?.frames).toBe(2)
  expect(sizeOf(movingWebp(await webp(30, 20), 30, 20), 'image/webp')).toEqual({
    width: 30,
    height: 20,
    frames: 2,
  })
  const moving = png(30, 20)
  const control = Buffer.from('\0\0\0\x08acTL\0\0\0\x02\0\0\0\0\0\0\0\0', 'latin1')
  expect(
    sizeOf(Buffer.concat([moving.subarray(0, 33), control, moving.subarray(33)]), 'image/png')?.frames,
  ).toBe(2)
})

test('headers cut at any place, or full of noise, have no size and do no harm', async () => {
  const files: [Buffer, string][] = [
    [await jpeg(40, 30), 'image/jpeg'],
    [png(40, 30), 'image/png'],
    [await webp(40, 30), 'image/webp'],
    [gif(40, 30, 3), 'image/gif'],
  ]
  for (const [file, mimetype] of files)
    for (let length = 0; length < Math.min(file.length, 700); length += 1) {
      const size = sizeOf(file.subarray(0, length), mimetype)
      if (size) expect([size.width, size.height]).toEqual([40, 30])
      const noisy = Buffer.from(file)
      noisy.writeUInt8((length * 31) & 255, length % noisy.length)
      expect(() => sizeOf(noisy, mimetype)).not.toThrow()
    }
  expect(sizeOf(Buffer.alloc(100), 'image/heic')).toBeNull()
})

test('a small picture is a JPEG of at most 100 pixels and 8 KB, never larger than the original', async () => {
  for (const [width, height, longest] of [
    [2000, 1000, 100],
    [30, 3000, 100],
    [20, 10, 20],
  ] as const) {
    const small = await thumbnailOf(png(width, height))
    const size = sizeOf(small, 'image/jpeg')
    expect(Math.max(size?.width ?? 0, size?.height ?? 0)).toBe(longest)
    expect(small.length).toBeLessThanOrEqual(8192)
  }
})

test('a colour profile of any size does not get into the small picture', async () => {
  const picture = await jpeg(200, 200)
  const profile = Buffer.alloc(60_000, 7)
  profile.write('ICC_PROFILE\0\x01\x01', 'latin1')
  const head = Buffer.from([0xff, 0xe2, 0, 0])
  head.writeUInt16BE(profile.length + 2, 2)
  const file = Buffer.concat([picture.subarray(0, 2), head, profile, picture.subarray(2)])
  expect((await thumbnailOf(file)).length).toBeLessThan(8192)
})

test('what does not decode says so', async () => {
  for (const file of [Buffer.from('no picture'), png(20, 20).subarray(0, 60), hugePng(100_000, 100_000)])
    expect(
      await thumbnailOf(file).then(
        () => null,
        (error: unknown) => error,
      ),
    ).toBeInstanceOf(UnreadablePicture)
})

test('a sticker is the whole picture in a see-through square of 512', async () => {
  for (const [file, wide] of [
    [png(300, 100), true],
    [await jpeg(1000, 2000), false],
    [gif(10, 10, 1), true],
  ] as const) {
    const sticker = await stickerOf(file, 1_000_000)
    expect(sizeOf(sticker, 'image/webp')).toEqual({ width: 512, height: 512, frames: 1 })
    const { data } = decodePng(await new Bun.Image(sticker).png().bytes())
    const opacity = (x: number, y: number) => data[(y * 512 + x) * 4 + 3]
    expect(opacity(256, 256)).toBe(255)
    if (file.length === gif(10, 10, 1).length) continue
    expect([opacity(256, 10), opacity(10, 256)]).toEqual(wide ? [0, 255] : [255, 0])
  }
})

test('a sticker gets coarser until it fits', async () => {
  const noise = encodePng({ width: 512, height: 512, data: random(512) })
  const [fine, coarse] = [await stickerOf(noise, 1_000_000), await stickerOf(noise, 100_000)]
  expect(coarse.length).toBeLessThan(fine.length)
})

function random(side: number): Uint8Array {
  const data = new Uint8Array(side * side * 4)
  for (let at = 0; at < data.length; at += 65_536) crypto.getRandomValues(data.subarray(at, at + 65_536))
  return data
}

test('PNG goes out and in again, with every row filter', async () => {
  const pixels = { width: 37, height: 23, data: random(64).subarray(0, 37 * 23 * 4) }
  expect(decodePng(encodePng(pixels))).toEqual(pixels)
  // Bun's own encoder filters its rows.
  const filtered = decodePng(await new Bun.Image(png(200, 100)).png().bytes())
  expect(Buffer.from(filtered.data).equals(Buffer.from(decodePng(png(200, 100)).data))).toBe(true)
  expect(centred({ width: 1, height: 1, data: new Uint8Array([1, 2, 3, 4]) }, 3).data.indexOf(1)).toBe(16)
  expect(() => decodePng(png(20, 20).subarray(0, 70))).toThrow()
})
