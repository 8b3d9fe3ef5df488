/** The OGG container (RFC 3533): pages in, packets out, and the other way round. */

/** One page. `granule` is the codec's position at its end, null when no packet ends in it. */
export type OggPage = {
  serial: number
  granule: number | null
  first: boolean
  last: boolean
  /** Whether its first packet goes on from the page before. */
  continued: boolean
  /** Pieces of packets; `whole` is false when the last one goes on in the next page. */
  pieces: Uint8Array[]
  whole: boolean
}

/** Thrown when the bytes break the container's rules. */
export class BrokenOgg extends Error {
  constructor(says: string) {
    super(says)
    this.name = 'BrokenOgg'
  }
}

/** CRC-32 with polynomial 04c11db7, not reflected, from 0 (RFC 3533, section 6). */
const CRC = new Uint32Array(256).map((_, byte) => {
  let value = byte << 24
  for (let bit = 0; bit < 8; bit += 1) value = value & 0x80000000 ? (value << 1) ^ 0x04c11db7 : value << 1
  return value >>> 0
})

function crcOf(page: Uint8Array): number {
  let value = 0
  for (let at = 0; at < page.length; at += 1) {
    // The field of the sum itself counts as zero.
    const byte = at >= 22 && at < 26 ? 0 : (page[at] ?? 0)
    value = ((value << 8) ^ (CRC[((value >>> 24) ^ byte) & 0xff] ?? 0)) >>> 0
  }
  return value
}

const HEADER = 27
const MAX_PAGE = HEADER + 255 + 255 * 255

/** Cuts a stream into pages and checks each one's sum. Throws `BrokenOgg`; a last page that is cut short is broken. */
export async function* oggPages(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<OggPage> {
  let rest = Buffer.alloc(0)
  let ended = false
  for await (const chunk of bytes) {
    rest = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk])
    for (let page = nextPage(rest, ended); page; page = nextPage(rest, ended)) {
      rest = rest.subarray(page.length)
      ended = page.read.last
      yield page.read
    }
    // Players stop at the last page; what some programs leave behind it is not sound.
    if (ended && rest.length >= 4 && rest.toString('latin1', 0, 4) !== 'OggS') rest = Buffer.alloc(0)
  }
  if (rest.length > 0 && !ended) throw new BrokenOgg('The last page is cut short')
}

function nextPage(bytes: Buffer, ended: boolean): { length: number; read: OggPage } | null {
  if (bytes.length < HEADER) return null
  if (bytes.toString('latin1', 0, 4) !== 'OggS' || bytes[4] !== 0) {
    if (ended) return null
    throw new BrokenOgg('A page does not begin where the one before ends')
  }
  const segments = bytes.readUInt8(26)
  if (bytes.length < HEADER + segments) return null
  const table = bytes.subarray(HEADER, HEADER + segments)
  let length = HEADER + segments
  for (const size of table) length += size
  if (length > MAX_PAGE) throw new BrokenOgg('A page is too long')
  if (bytes.length < length) return null
  if (crcOf(bytes.subarray(0, length)) !== bytes.readUInt32LE(22)) throw new BrokenOgg('A page is damaged')

  const pieces: Uint8Array[] = []
  let start = HEADER + segments
  let end = start
  for (const size of table) {
    end += size
    if (size < 255) {
      pieces.push(Uint8Array.from(bytes.subarray(start, end)))
      start = end
    }
  }
  const whole = start === end
  if (!whole) pieces.push(Uint8Array.from(bytes.subarray(start, end)))
  const flags = bytes.readUInt8(5)
  const granule = bytes.readBigInt64LE(6)
  return {
    length,
    read: {
      serial: bytes.readUInt32LE(14),
      granule: granule < 0n ? null : Number(granule),
      first: (flags & 2) !== 0,
      last: (flags & 4) !== 0,
      continued: (flags & 1) !== 0,
      pieces,
      whole,
    },
  }
}

/** A whole packet; `granule` is set on the last one that ends in its page, `last` on the stream's last. */
export type OggPacket = { data: Uint8Array; granule: number | null; last: boolean }

/** Longest packet: far above what any sound codec makes, headers with pictures included. */
const MAX_PACKET = 16 * 2 ** 20

/** The packets of the only stream in the file. Throws `BrokenOgg` also for files of several streams. */
export async function* oggPackets(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<OggPacket> {
  let serial: number | null = null
  let ended = false
  let open: Uint8Array[] = []
  let openLength = 0
  for await (const page of oggPages(bytes)) {
    if (serial === null) serial = page.serial
    else if (page.serial !== serial || page.first || ended)
      throw new BrokenOgg('The file holds several streams')
    if (page.continued !== open.length > 0) throw new BrokenOgg('A page is missing')
    ended = page.last
    const complete: Uint8Array[] = []
    for (const [index, piece] of page.pieces.entries()) {
      open.push(piece)
      openLength += piece.length
      if (openLength > MAX_PACKET) throw new BrokenOgg('A packet is too long')
      if (index < page.pieces.length - 1 || page.whole) {
        complete.push(open.length === 1 ? piece : Buffer.concat(open))
        open = []
        openLength = 0
      }
    }
    for (const [index, data] of complete.entries()) {
      const closing = index === complete.length - 1
      yield { data, granule: closing ? page.granule : null, last: closing && page.last }
    }
  }
}

/** Writes pages of one stream; each returned array is a whole page. */
export class OggWriter {
  #sequence = 0
  constructor(readonly serial: number) {}

  /** A page with these packets, which must fill at most 255 segments (`segmentsOf`). */
  page(packets: readonly Uint8Array[], granule: number, last = false): Uint8Array {
    const table = packets.flatMap((packet) => [
      ...new Array<number>(Math.floor(packet.length / 255)).fill(255),
      packet.length % 255,
    ])
    if (table.length > 255) throw new RangeError('Too many packets for a page')
    const head = Buffer.alloc(HEADER + table.length)
    head.write('OggS', 'latin1')
    head.writeUInt8((this.#sequence === 0 ? 2 : 0) | (last ? 4 : 0), 5)
    head.writeBigInt64LE(BigInt(granule), 6)
    head.writeUInt32LE(this.serial >>> 0, 14)
    head.writeUInt32LE(this.#sequence, 18)
    head.writeUInt8(table.length, 26)
    head.set(table, HEADER)
    this.#sequence += 1
    const page = Buffer.concat([head, ...packets])
    page.writeUInt32LE(crcOf(page), 22)
    return page
  }
}

/** How many of a page's 255 segments a packet takes. */
export const segmentsOf = (packet: Uint8Array): number => Math.floor(packet.length / 255) + 1
