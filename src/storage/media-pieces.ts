/**
 * The form of a kept file: pieces of 64 KiB, each sealed with AES-256-GCM under the file's own random key.
 *
 * The number of a piece is its nonce, so pieces cannot change places, and any range is read by opening the pieces it
 * touches. On disk a piece is `ciphertext | tag (16)`; the last one is shorter, an empty file has none.
 */
import { createCipheriv, createDecipheriv } from 'node:crypto'

/** Plain bytes of a whole piece. */
export const PIECE = 64 * 1024
const TAG = 16
const NONCE = 12
const PLACE = Buffer.from('wabun media piece')

/** A kept file whose bytes are not the ones that were written. */
export class DamagedFile extends Error {
  constructor(id: string) {
    super(`A kept file is damaged: ${id}`)
    this.name = 'DamagedFile'
  }
}

const nonceOf = (index: number): Buffer => {
  const nonce = Buffer.alloc(NONCE)
  nonce.writeUInt32BE(index, NONCE - 4)
  return nonce
}

/** The parts to be written one after another; large ones are not copied together. */
export function sealPiece(key: Uint8Array, index: number, plain: Uint8Array): Uint8Array[] {
  const cipher = createCipheriv('aes-256-gcm', key, nonceOf(index)).setAAD(PLACE)
  const body = cipher.update(plain)
  cipher.final()
  return [body, cipher.getAuthTag()]
}

/** Null when the bytes are not this piece. */
export function openPiece(key: Uint8Array, index: number, sealed: Uint8Array): Uint8Array | null {
  if (sealed.length < TAG) return null
  const opener = createDecipheriv('aes-256-gcm', key, nonceOf(index)).setAAD(PLACE)
  opener.setAuthTag(sealed.subarray(sealed.length - TAG))
  const plain = opener.update(sealed.subarray(0, sealed.length - TAG))
  try {
    opener.final()
    return plain
  } catch {
    return null
  }
}

/** Where a piece of a file of `size` plain bytes stands on disk. */
export function placeOfPiece(index: number, size: number): { at: number; length: number } {
  return { at: index * (PIECE + TAG), length: Math.min(PIECE, size - index * PIECE) + TAG }
}

/** Cuts a stream into whole pieces; a piece is valid until the next one is asked for. */
export async function* piecesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let piece = Buffer.alloc(0)
  let filled = 0
  for await (const chunk of bytes) {
    for (let at = 0; at < chunk.length; ) {
      // Small files never ask for a whole piece of memory.
      if (filled === piece.length && piece.length < PIECE) {
        const larger = Buffer.allocUnsafeSlow(
          Math.min(PIECE, Math.max(piece.length * 4, chunk.length, 4_096)),
        )
        larger.set(piece.subarray(0, filled))
        piece = larger
      }
      const part = chunk.subarray(at, at + piece.length - filled)
      piece.set(part, filled)
      filled += part.length
      at += part.length
      if (filled === PIECE) {
        yield piece
        filled = 0
      }
    }
  }
  if (filled > 0) yield piece.subarray(0, filled)
}
