/** Undoes the encoding of an HTTP body piece by piece, so that whoever counts the bytes can stop in the middle. */
import { Readable } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'

const UNPACKERS: Record<string, () => NodeJS.ReadWriteStream & Readable> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
  zstd: createZstdDecompress,
}

/** The body as the server meant it; an encoding that is not known is left as it is. */
export async function* unpacked(
  packed: AsyncIterable<Uint8Array>,
  encoding: string | null,
): AsyncGenerator<Uint8Array> {
  const make = UNPACKERS[encoding?.trim().toLowerCase() ?? '']
  if (!make) {
    yield* packed
    return
  }
  const source = Readable.from(packed, { objectMode: true, highWaterMark: 1 })
  const unpacker = make()
  source.on('error', (error) => unpacker.destroy(error))
  source.pipe(unpacker)
  try {
    for await (const piece of unpacker) yield piece as Uint8Array
  } finally {
    source.destroy()
    unpacker.destroy()
  }
}
