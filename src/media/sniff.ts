/**
 * What a file is, told by its first bytes alone; a name or a declared type is never believed.
 * Signatures: WHATWG MIME Sniffing, and the formats' own specifications.
 */

/** How many bytes of a file's start `sniff` wants to see; fewer are fine when the file is shorter. */
export const HEAD_BYTES = 8192

/** What sort of thing it is: decides as what it may be sent. */
export type Family =
  | 'image'
  | 'video'
  | 'audio'
  | 'text'
  | 'markup'
  | 'program'
  | 'archive'
  | 'document'
  | 'unknown'

/** `mimetype` is the canonical name; unknown bytes are `application/octet-stream`. */
export type Sniffed = { mimetype: string; family: Family }

const latin1 = (bytes: Uint8Array, from = 0, to = bytes.length): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1', from, to)

/** Signatures at offset 0, first match wins. */
const STARTS: readonly (readonly [signature: string, mimetype: string, family: Family])[] = [
  ['\xff\xd8\xff', 'image/jpeg', 'image'],
  ['\x89PNG\r\n\x1a\n', 'image/png', 'image'],
  ['GIF87a', 'image/gif', 'image'],
  ['GIF89a', 'image/gif', 'image'],
  ['BM', 'image/bmp', 'image'],
  ['II*\0', 'image/tiff', 'image'],
  ['MM\0*', 'image/tiff', 'image'],
  ['\0\0\x01\0', 'image/x-icon', 'image'],
  ['ID3', 'audio/mpeg', 'audio'],
  ['fLaC', 'audio/flac', 'audio'],
  ['#!AMR-WB\n', 'audio/amr-wb', 'audio'],
  ['#!AMR', 'audio/amr', 'audio'],
  ['MThd', 'audio/midi', 'audio'],
  ['FLV\x01', 'video/x-flv', 'video'],
  ['\0\0\x01\xba', 'video/mpeg', 'video'],
  ['\0\0\x01\xb3', 'video/mpeg', 'video'],
  ['0&\xb2u\x8ef\xcf\x11', 'video/x-ms-asf', 'video'],
  ['%PDF-', 'application/pdf', 'document'],
  ['%!PS', 'application/postscript', 'document'],
  ['{\\rtf', 'application/rtf', 'document'],
  ['\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1', 'application/x-ole-storage', 'document'],
  ['PK\x05\x06', 'application/zip', 'archive'],
  ['PK\x07\x08', 'application/zip', 'archive'],
  ['Rar!\x1a\x07', 'application/vnd.rar', 'archive'],
  ['7z\xbc\xaf\x27\x1c', 'application/x-7z-compressed', 'archive'],
  ['\x1f\x8b', 'application/gzip', 'archive'],
  ['BZh', 'application/x-bzip2', 'archive'],
  ['\xfd7zXZ\0', 'application/x-xz', 'archive'],
  ['\x28\xb5\x2f\xfd', 'application/zstd', 'archive'],
  ['\x7fELF', 'application/x-elf', 'program'],
  ['MZ', 'application/vnd.microsoft.portable-executable', 'program'],
  ['\xca\xfe\xba\xbe', 'application/java-vm', 'program'],
  ['\xcf\xfa\xed\xfe', 'application/x-mach-binary', 'program'],
  ['\xce\xfa\xed\xfe', 'application/x-mach-binary', 'program'],
  ['\0asm', 'application/wasm', 'program'],
  ['#!', 'text/x-shellscript', 'program'],
]

/** Brands of `ftyp` boxes; what is not listed and still ISO media is MP4. */
const BRANDS: Record<string, readonly [string, Family]> = {
  heic: ['image/heic', 'image'],
  heix: ['image/heic', 'image'],
  heim: ['image/heic', 'image'],
  heis: ['image/heic', 'image'],
  hevc: ['image/heic', 'image'],
  hevx: ['image/heic', 'image'],
  mif1: ['image/heif', 'image'],
  msf1: ['image/heif', 'image'],
  avif: ['image/avif', 'image'],
  avis: ['image/avif', 'image'],
  'qt  ': ['video/quicktime', 'video'],
  'M4A ': ['audio/mp4', 'audio'],
  'M4B ': ['audio/mp4', 'audio'],
  'F4A ': ['audio/mp4', 'audio'],
}

/** Files inside an Office or OpenDocument package, as they show in the archive's first entries. */
const PACKAGES: readonly (readonly [entry: string, mimetype: string])[] = [
  ['word/', 'application/vnd.openxmlformats-officedocument.wordprocessingml.document'],
  ['xl/', 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet'],
  ['ppt/', 'application/vnd.openxmlformats-officedocument.presentationml.presentation'],
  ['AndroidManifest.xml', 'application/vnd.android.package-archive'],
  ['META-INF/MANIFEST.MF', 'application/java-archive'],
]

/** Tells what a file is from its first bytes (`HEAD_BYTES`, or all of a shorter file). */
export function sniff(head: Uint8Array): Sniffed {
  const start = latin1(head, 0, 64)
  return (
    container(head, start) ??
    (start.startsWith('PK\x03\x04') ? zip(head) : null) ??
    bySignature(start, head) ??
    sound(head) ??
    text(head) ?? { mimetype: 'application/octet-stream', family: 'unknown' }
  )
}

function bySignature(start: string, head: Uint8Array): Sniffed | null {
  const row = STARTS.find(([signature]) => start.startsWith(signature))
  if (!row) return null
  // Two letters prove little: a bitmap says its header's length too, a program its reserved words.
  if (row[0] === 'BM' && !(head.length > 18 && [12, 40, 52, 56, 64, 108, 124].includes(head[14] ?? 0)))
    return null
  if (row[0] === 'MZ' && head.length < 64) return null
  return { mimetype: row[1], family: row[2] }
}

/** RIFF, OGG, ISO media and Matroska: the kind is told inside. */
function container(head: Uint8Array, start: string): Sniffed | null {
  if (start.startsWith('RIFF') || start.startsWith('RF64')) {
    const form = start.slice(8, 12)
    if (form === 'WEBP') return { mimetype: 'image/webp', family: 'image' }
    if (form === 'WAVE') return { mimetype: 'audio/wav', family: 'audio' }
    if (form === 'AVI ') return { mimetype: 'video/x-msvideo', family: 'video' }
    return null
  }
  if (start.startsWith('FORM') && /^AIF[FC]$/.test(start.slice(8, 12)))
    return { mimetype: 'audio/aiff', family: 'audio' }
  if (start.startsWith('OggS')) return ogg(latin1(head, 28, 96))
  if (start.slice(4, 8) === 'ftyp') return isoMedia(start.slice(8, 12), head)
  if (/^(?:moov|mdat|wide|skip|free|pnot)$/.test(start.slice(4, 8)))
    return { mimetype: 'video/quicktime', family: 'video' }
  if (start.startsWith('\x1aE\xdf\xa3'))
    return latin1(head, 0, 96).includes('webm')
      ? { mimetype: 'video/webm', family: 'video' }
      : { mimetype: 'video/x-matroska', family: 'video' }
  return null
}

function ogg(firstPacket: string): Sniffed {
  if (firstPacket.startsWith('OpusHead')) return { mimetype: 'audio/ogg; codecs=opus', family: 'audio' }
  if (firstPacket.startsWith('\x01vorbis')) return { mimetype: 'audio/ogg; codecs=vorbis', family: 'audio' }
  if (firstPacket.startsWith('\x80theora')) return { mimetype: 'video/ogg', family: 'video' }
  if (firstPacket.startsWith('\x7fFLAC')) return { mimetype: 'audio/ogg; codecs=flac', family: 'audio' }
  if (firstPacket.startsWith('Speex   ')) return { mimetype: 'audio/ogg; codecs=speex', family: 'audio' }
  return { mimetype: 'application/ogg', family: 'unknown' }
}

function isoMedia(brand: string, head: Uint8Array): Sniffed {
  const known = BRANDS[brand]
  if (known) {
    // `mif1` is a still-image container of any codec; the compatible brands tell which.
    const compatible = latin1(head, 16, 16 + 64)
    if (known[0] === 'image/heif' && compatible.includes('avif'))
      return { mimetype: 'image/avif', family: 'image' }
    return { mimetype: known[0], family: known[1] }
  }
  if (/^3g[2gperst]/.test(brand))
    return { mimetype: brand.startsWith('3g2') ? 'video/3gpp2' : 'video/3gpp', family: 'video' }
  return { mimetype: 'video/mp4', family: 'video' }
}

function zip(head: Uint8Array): Sniffed {
  const shown = latin1(head)
  const open = /^mimetype(application\/[\w.+-]{1,100}?)(?:PK|$)/.exec(shown.slice(30))
  if (open?.[1]) return { mimetype: open[1], family: 'document' }
  const found = PACKAGES.find(([entry]) => shown.includes(entry))
  if (found)
    return { mimetype: found[1], family: found[1].includes('officedocument') ? 'document' : 'archive' }
  if (latin1(head, 257, 262) === 'ustar') return { mimetype: 'application/x-tar', family: 'archive' }
  return { mimetype: 'application/zip', family: 'archive' }
}

/** Raw MPEG audio and ADTS begin with a frame header only: eleven (twelve) set bits and sane fields. */
function sound(head: Uint8Array): Sniffed | null {
  if (latin1(head, 257, 262) === 'ustar') return { mimetype: 'application/x-tar', family: 'archive' }
  const [first = 0, second = 0, third = 0] = head
  if (first !== 0xff || (second & 0xe0) !== 0xe0) return null
  if ((second & 0xf6) === 0xf0 && ((third >> 2) & 15) < 13) return { mimetype: 'audio/aac', family: 'audio' }
  const sane =
    (second & 0x18) !== 0x08 && (second & 0x06) !== 0 && third >> 4 !== 15 && (third & 0x0c) !== 0x0c
  return sane ? { mimetype: 'audio/mpeg', family: 'audio' } : null
}

/** Openers by which a browser would take a file for a document with scripts. */
const MARKUP =
  /<(?:!doctype\s+html|html|head|body|script|iframe|svg|h1|div|a|style|title|table|meta|object|embed|img|form|link)(?:[\s>/]|$)/i

function text(head: Uint8Array): Sniffed | null {
  const shown = decoded(head)
  if (shown === null) return null
  const trimmed = shown.trimStart().slice(0, 2048)
  if (/^<\?xml|^<!--|^<!doctype|^</i.test(trimmed)) {
    if (/<svg[\s>:]/i.test(trimmed)) return { mimetype: 'image/svg+xml', family: 'markup' }
    if (MARKUP.test(trimmed)) return { mimetype: 'text/html', family: 'markup' }
    if (trimmed.startsWith('<?xml')) return { mimetype: 'text/xml', family: 'markup' }
  }
  if (trimmed.startsWith('BEGIN:VCARD')) return { mimetype: 'text/vcard', family: 'text' }
  if (trimmed.startsWith('BEGIN:VCALENDAR')) return { mimetype: 'text/calendar', family: 'text' }
  return { mimetype: 'text/plain', family: 'text' }
}

/** The head as text in UTF-8 or UTF-16 with its mark; null when it is binary. */
function decoded(head: Uint8Array): string | null {
  if (head.length === 0) return null
  const [first, second] = head
  const utf16 =
    first === 0xff && second === 0xfe ? 'utf-16le' : first === 0xfe && second === 0xff ? 'utf-16be' : null
  if (utf16) return new TextDecoder(utf16).decode(head.subarray(0, head.length & ~1))
  for (const byte of head)
    if (byte < 9 || byte === 11 || (byte > 13 && byte < 27) || (byte > 27 && byte < 32)) return null
  try {
    // The head may end inside a character.
    return new TextDecoder('utf-8', { fatal: true }).decode(head, { stream: true })
  } catch {
    // An older character set: most of it is still plain letters.
    const plain = head.reduce((count, byte) => count + (byte < 128 ? 1 : 0), 0)
    return plain * 2 > head.length ? latin1(head) : null
  }
}

/**
 * Tells whether a picture, film or sound could at the same time be taken for a page, a PDF or an archive: such files
 * (polyglots) are made to pass one check and to act as the other. `tail` is the file's last 64 KB, if at hand.
 */
export function isPolyglot(head: Uint8Array, tail?: Uint8Array): boolean {
  const start = latin1(head)
  if (/<(?:!doctype\s+html|html|script|iframe|svg|body)[\s>/]/i.test(start)) return true
  if (start.slice(0, 1024).includes('%PDF-')) return true
  return tail !== undefined && endsAsArchive(tail)
}

/** The end record of a ZIP archive whose comment ends exactly where the file ends. */
function endsAsArchive(tail: Uint8Array): boolean {
  const bytes = Buffer.from(tail.buffer, tail.byteOffset, tail.byteLength)
  for (let at = bytes.lastIndexOf('PK\x05\x06', bytes.length, 'latin1'); at >= 0; ) {
    if (at + 22 <= bytes.length && at + 22 + bytes.readUInt16LE(at + 20) === bytes.length) return true
    at = at === 0 ? -1 : bytes.lastIndexOf('PK\x05\x06', at - 1, 'latin1')
  }
  return false
}
