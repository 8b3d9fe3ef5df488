/** Small tools for streams of bytes. */
import { type Bytes, FileTooLarge } from '../domain/media'

/** A stream of one piece. */
export async function* once(piece: Uint8Array): AsyncGenerator<Uint8Array> {
  yield piece
}

export type Peeked = {
  /** The first bytes: as many as were asked for, or all of a shorter stream. */
  head: Uint8Array
  /** The whole stream, from its first byte. */
  bytes: Bytes
  /** Lets go of the source when nobody is going to read on. */
  close(): Promise<void>
}

/** Looks at the start of a stream without taking it away. */
export async function peek(source: Bytes, length: number): Promise<Peeked> {
  const pieces = source[Symbol.asyncIterator]()
  const seen: Uint8Array[] = []
  let size = 0
  while (size < length) {
    const { done, value } = await pieces.next()
    if (done) break
    seen.push(value)
    size += value.length
  }
  const close = async () => {
    await pieces.return?.()
  }
  async function* whole(): AsyncGenerator<Uint8Array> {
    try {
      yield* seen.splice(0)
      for (let next = await pieces.next(); !next.done; next = await pieces.next()) yield next.value
    } finally {
      await close()
    }
  }
  return { head: Buffer.concat(seen).subarray(0, length), bytes: whole(), close }
}

/** The whole stream in memory; throws `FileTooLarge`. Only for what is small by its type. */
export async function collected(source: Bytes, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = []
  for await (const piece of capped(source, maxBytes)) pieces.push(piece)
  return pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces)
}

/** The stream as long as it stays within its cap; throws `FileTooLarge`. */
export async function* capped(source: Bytes, maxBytes: number): AsyncGenerator<Uint8Array> {
  let size = 0
  for await (const piece of source) {
    size += piece.length
    if (size > maxBytes) throw new FileTooLarge(maxBytes)
    yield piece
  }
}
