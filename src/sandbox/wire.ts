/** Bytes on the socket: the stream's introduction, frames with a 3-byte length, and stanzas inside (wire notes §1, §2.1). */
import { inflateSync } from 'node:zlib'
import { type BinaryNode, decodeDecompressedBinaryNode, encodeBinaryNode } from '@whiskeysockets/baileys'
import * as dictionary from '@whiskeysockets/baileys/lib/WABinary/constants.js'

/** `WA`, protocol 6, dictionary 3: the header of a stream and the prologue of its handshake. */
export const STREAM_HEADER = Buffer.from([0x57, 0x41, 6, 3])
export const LENGTH_BYTES = 3

const ROUTING_HEADER = Buffer.from([0x45, 0x44, 0, 1])
const COMPRESSED = 2
/** The largest stanza a client may inflate to; a guard against a small frame that swells. */
const LARGEST_STANZA = 2 ** 24

/** Cuts a stream into frames; chunks may hold parts of frames or several. Throws on a foreign header. */
export class FrameReader {
  #buffer: Buffer = Buffer.alloc(0)
  #introduced = false

  /** The routing information the client brought back, if any. */
  routing: Buffer | null = null

  push(chunk: Buffer): Buffer[] {
    this.#buffer = this.#buffer.length === 0 ? chunk : Buffer.concat([this.#buffer, chunk])
    if (!this.#introduced && !this.#readIntroduction()) return []

    const frames: Buffer[] = []
    let at = 0
    while (this.#buffer.length - at >= LENGTH_BYTES) {
      const end = at + LENGTH_BYTES + this.#buffer.readUIntBE(at, LENGTH_BYTES)
      if (end > this.#buffer.length) break
      frames.push(this.#buffer.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.#buffer = this.#buffer.subarray(at)
    return frames
  }

  #readIntroduction(): boolean {
    let at = 0
    if (startsLike(this.#buffer, ROUTING_HEADER)) {
      if (this.#buffer.length < ROUTING_HEADER.length + LENGTH_BYTES) return false
      const start = ROUTING_HEADER.length + LENGTH_BYTES
      at = start + this.#buffer.readUIntBE(ROUTING_HEADER.length, LENGTH_BYTES)
      if (this.#buffer.length < at) return false
      this.routing = Buffer.from(this.#buffer.subarray(start, at))
    }
    const rest = this.#buffer.subarray(at)
    if (!startsLike(rest, STREAM_HEADER)) throw new Error('Unknown stream header')
    if (rest.length < STREAM_HEADER.length) return false
    this.#buffer = rest.subarray(STREAM_HEADER.length)
    this.#introduced = true
    return true
  }
}

/** Whether the bytes begin with `start`, as far as they have come. */
function startsLike(bytes: Buffer, start: Buffer): boolean {
  const common = Math.min(bytes.length, start.length)
  return bytes.subarray(0, common).equals(start.subarray(0, common))
}

/** A frame around `body`; handshake messages travel like this. */
export function frameOf(body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + body.length)
  frame.writeUIntBE(body.length, 0, LENGTH_BYTES)
  frame.set(body, LENGTH_BYTES)
  return frame
}

/** Reads a stanza from an opened frame; throws when it is none. */
export function readStanza(plain: Buffer): BinaryNode {
  const flag = plain.readUInt8(0)
  const body = plain.subarray(1)
  const inflated = flag & COMPRESSED ? inflateSync(body, { maxOutputLength: LARGEST_STANZA }) : body
  return decodeDecompressedBinaryNode(inflated, dictionary)
}

/** A stanza as the content of a frame, never compressed. */
export const writeStanza = (stanza: BinaryNode): Buffer => encodeBinaryNode(stanza)
