/** What a document is called and said to be: its bytes decide, a claim may only make that finer. */
import { extname } from 'node:path'
import type { Sniffed } from './sniff'

/** Types that bytes do not show, by the names that people give such files. */
const BY_EXTENSION: Readonly<Record<string, string>> = {
  '.csv': 'text/csv',
  '.json': 'application/json',
  '.md': 'text/markdown',
  '.ics': 'text/calendar',
  '.vcf': 'text/vcard',
  '.docx': 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  '.xlsx': 'application/vnd.openxmlformats-officedocument.spreadsheetml.sheet',
  '.pptx': 'application/vnd.openxmlformats-officedocument.presentationml.presentation',
  '.doc': 'application/msword',
  '.xls': 'application/vnd.ms-excel',
  '.ppt': 'application/vnd.ms-powerpoint',
  '.apk': 'application/vnd.android.package-archive',
}

/** What bytes show → claims that only say it more precisely. */
const FINER: Readonly<Record<string, RegExp>> = {
  'text/plain':
    /^(?:text\/(?:csv|markdown|calendar|vcard|tab-separated-values|yaml)|application\/(?:json|yaml|sql))$/,
  'application/zip': /^application\/(?:vnd\.[\w.+-]+|epub\+zip)$/,
  'application/x-ole-storage': /^application\/(?:msword|vnd\.ms-[\w.-]+)$/,
  // Bytes that say nothing: whatever is no page and no program, and no type that would have been recognised.
  'application/octet-stream':
    /^(?:font\/[\w.+-]+|application\/(?!(?:pdf|zip|gzip|javascript|x-|xhtml|xml)\b)[\w.+-]+)$/,
}

/** The type under which a document is sent. */
export function documentType(sniffed: Sniffed, declared: string | null, filename: string | null): string {
  const finer = FINER[sniffed.mimetype]
  if (!finer) return sniffed.mimetype
  const claims = [
    declared?.split(';')[0]?.trim().toLowerCase(),
    BY_EXTENSION[extname(filename ?? '').toLowerCase()],
  ]
  return claims.find((claim) => claim !== undefined && finer.test(claim)) ?? sniffed.mimetype
}

const EXTENSIONS: Readonly<Record<string, string>> = {
  'image/jpeg': '.jpg',
  'image/png': '.png',
  'image/gif': '.gif',
  'image/webp': '.webp',
  'video/mp4': '.mp4',
  'audio/mpeg': '.mp3',
  'audio/wav': '.wav',
  'application/pdf': '.pdf',
  'application/zip': '.zip',
  'text/plain': '.txt',
  ...Object.fromEntries(Object.entries(BY_EXTENSION).map(([extension, type]) => [type, extension])),
}

/** A name for a document that came without one. */
export const nameFor = (mimetype: string): string => `file${EXTENSIONS[mimetype] ?? ''}`
