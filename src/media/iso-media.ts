/** Width, height and length of an MP4, 3GP, MOV or M4A file, read from its boxes (ISO/IEC 14496-12) alone. */
import { type RangeReader, windowed } from './range-reader'

export type IsoFacts = {
  /** Whole seconds, at least 1; null when the file does not say. */
  seconds: number | null
  /** As shown: after the turn by 90° that phones write into the file. */
  width: number | null
  height: number | null
  hasVideo: boolean
  hasSound: boolean
}

type Box = { type: string; body: number; end: number }

/** Boxes looked at before a file is given up: a bound on work, far above what cameras write. */
const MAX_BOXES = 4000

/** Reads the facts; null when there is no `moov` box, or the boxes do not fit into each other. */
export async function isoFacts(source: RangeReader): Promise<IsoFacts | null> {
  const file = windowed(source)
  let looked = 0

  async function* boxes(start: number, end: number): AsyncGenerator<Box> {
    for (let at = start; at + 8 <= end; ) {
      looked += 1
      if (looked > MAX_BOXES) return
      const head = view(await file.read(at, at + 16))
      if (head.byteLength < 8) return
      const type = String.fromCharCode(head.getUint8(4), head.getUint8(5), head.getUint8(6), head.getUint8(7))
      let size = head.getUint32(0)
      let header = 8
      if (size === 1 && head.byteLength === 16) {
        size = Number(head.getBigUint64(8))
        header = 16
      } else if (size === 0) size = end - at
      if (size < header || at + size > end) return
      yield { type, body: at + header, end: at + size }
      at += size
    }
  }

  const find = async (start: number, end: number, type: string): Promise<Box | null> => {
    for await (const box of boxes(start, end)) if (box.type === type) return box
    return null
  }

  const moov = await find(0, file.size, 'moov')
  if (!moov) return null
  const facts: IsoFacts = { seconds: null, width: null, height: null, hasVideo: false, hasSound: false }
  for await (const box of boxes(moov.body, moov.end)) {
    if (box.type === 'mvhd')
      facts.seconds = seconds(view(await file.read(box.body, Math.min(box.end, box.body + 32))))
    if (box.type !== 'trak') continue
    const media = await find(box.body, box.end, 'mdia')
    const handler = media && (await find(media.body, media.end, 'hdlr'))
    const kind = handler
      ? Buffer.from(await file.read(handler.body + 8, handler.body + 12)).toString('latin1')
      : ''
    if (kind === 'soun') facts.hasSound = true
    if (kind !== 'vide' || facts.hasVideo) continue
    facts.hasVideo = true
    const header = await find(box.body, box.end, 'tkhd')
    if (header) Object.assign(facts, shown(view(await file.read(header.body, header.end))))
  }
  return facts
}

const view = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** `mvhd`: times of 32 or, in version 1, 64 bits. */
function seconds(header: DataView): number | null {
  const long = header.byteLength > 0 && header.getUint8(0) === 1
  if (header.byteLength < (long ? 32 : 20)) return null
  const scale = header.getUint32(long ? 20 : 12)
  const length = long ? Number(header.getBigUint64(24)) : header.getUint32(16)
  // All ones mean that it is not known (files that are still being written).
  if (scale === 0 || length === 0 || (!long && length === 0xffffffff)) return null
  const whole = Math.max(1, Math.round(length / scale))
  return whole < 2 ** 31 ? whole : null
}

/** `tkhd`: the size is its last eight bytes (16.16), the turn its matrix before it. */
function shown(header: DataView): { width: number | null; height: number | null } {
  const long = header.byteLength > 0 && header.getUint8(0) === 1
  const matrix = long ? 52 : 40
  if (header.byteLength < matrix + 44) return { width: null, height: null }
  const width = header.getUint32(matrix + 36) >>> 16
  const height = header.getUint32(matrix + 40) >>> 16
  if (width === 0 || height === 0) return { width: null, height: null }
  const turned = header.getInt32(matrix) === 0 && header.getInt32(matrix + 4) !== 0
  return turned ? { width: height, height: width } : { width, height }
}
