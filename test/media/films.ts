/** MP4 files of nothing but boxes, as small or as long as a test needs them. */

type Four = string
export function box(type: Four, ...bodies: Uint8Array[]): Buffer {
  const body = Buffer.concat(bodies)
  const head = Buffer.alloc(8)
  head.writeUInt32BE(body.length + 8, 0)
  head.write(type, 4, 'latin1')
  return Buffer.concat([head, body])
}

const bytes = (length: number, fill: (buffer: Buffer) => void): Buffer => {
  const buffer = Buffer.alloc(length)
  fill(buffer)
  return buffer
}

export type FilmOptions = {
  brand?: string
  seconds?: number
  width?: number
  height?: number
  /** As a phone held upright writes it. */
  turned?: boolean
  /** Version 1 of the headers: 64-bit times. */
  long?: boolean
  sound?: boolean
  video?: boolean
  /** Bytes of film in front of the index. */
  data?: number
  indexFirst?: boolean
}

export function movieHeader({ seconds = 7, long = false }: FilmOptions): Buffer {
  return box(
    'mvhd',
    bytes(long ? 112 : 100, (out) => {
      if (long) {
        out.writeUInt8(1, 0)
        out.writeUInt32BE(1000, 20)
        out.writeBigUInt64BE(BigInt(Math.round(seconds * 1000)), 24)
      } else {
        out.writeUInt32BE(1000, 12)
        out.writeUInt32BE(Math.round(seconds * 1000), 16)
      }
    }),
  )
}

function track(kind: 'vide' | 'soun', options: FilmOptions): Buffer {
  const { width = 640, height = 360, turned = false, long = false } = options
  const header = bytes(long ? 96 : 84, (out) => {
    out.writeUInt8(long ? 1 : 0, 0)
    const matrix = long ? 52 : 40
    out.writeInt32BE(turned ? 0 : 0x10000, matrix)
    out.writeInt32BE(turned ? 0x10000 : 0, matrix + 4)
    if (kind === 'vide') {
      out.writeUInt32BE(width * 65536, matrix + 36)
      out.writeUInt32BE(height * 65536, matrix + 40)
    }
  })
  const handler = bytes(24, (out) => out.write(kind, 8, 'latin1'))
  return box('trak', box('tkhd', header), box('mdia', box('hdlr', handler)))
}

/** A file that holds everything that is read of a film, and `data` bytes of zeros as its pictures. */
export function film(options: FilmOptions = {}): Buffer {
  const { brand = 'isom', sound = true, video = true, data = 1000, indexFirst = false } = options
  const index = box(
    'moov',
    movieHeader(options),
    ...(sound ? [track('soun', options)] : []),
    ...(video ? [track('vide', options)] : []),
  )
  const media = box('mdat', Buffer.alloc(data))
  const start = box('ftyp', Buffer.from(`${brand}\0\0\x02\0isomiso2mp41`, 'latin1'))
  return Buffer.concat(indexFirst ? [start, index, media] : [start, media, index])
}
