/** Link previews: title, description and picture of a page, read from its head alone. */

import { AppError } from '../domain/errors'
import type { FetchedPreview } from '../domain/media'
import { FileTooLarge } from '../domain/media'
import type { Log } from '../lib/log'
import type { Outbound } from '../lib/outbound'
import { OutboundError } from '../lib/outbound-request'
import { thumbnailOf, UnreadablePicture } from './pictures'

export type PreviewParts = {
  log: Log
  /** A checked picture; rejects with the errors of the desk. */
  picture(outbound: Outbound, url: string): Promise<Uint8Array>
}

/** Of a page only so much is read; titles stand in front. */
const PAGE_BYTES = 512 * 1024
/** What a page may have come with when it is let go of: pieces of a fast network are large. */
const MOST_BYTES = 16 * 2 ** 20
const PAGE_MS = 5000
const MAX_TITLE = 300
const MAX_DESCRIPTION = 1000

/** Names of `meta` elements in order of preference. */
const TITLES = ['og:title', 'twitter:title']
const DESCRIPTIONS = ['og:description', 'twitter:description', 'description']
const PICTURES = ['og:image:secure_url', 'og:image:url', 'og:image', 'twitter:image', 'twitter:image:src']

/** Makes the fetcher; it resolves with null whenever there is nothing to show, and never throws. */
export function createPreviews({ log, picture }: PreviewParts) {
  return async function preview(outbound: Outbound, url: string): Promise<FetchedPreview | null> {
    try {
      const answer = await outbound.get(url, {
        maxBytes: MOST_BYTES,
        accept: 'text/html',
        headersMs: PAGE_MS,
        idleMs: PAGE_MS,
        totalMs: 2 * PAGE_MS,
      })
      if (!/^(?:text\/html|application\/xhtml\+xml)\b/i.test(answer.headers.get('content-type') ?? '')) {
        answer.cancel()
        return null
      }
      const page = await headOf(answer.body, answer.headers.get('content-type') ?? '')
      const title = firstOf(page.meta, TITLES) ?? page.title
      if (!title) return null
      const description = firstOf(page.meta, DESCRIPTIONS)
      const source = firstOf(page.meta, PICTURES)
      return {
        url,
        title: shortened(title, MAX_TITLE),
        ...(description ? { description: shortened(description, MAX_DESCRIPTION) } : {}),
        thumbnail: source ? await small(outbound, URL.parse(source, answer.url)?.href ?? null) : null,
      }
    } catch (error) {
      // An ornament of a message: whatever is wrong with the page, the message goes without.
      log.debug('A page gives no preview', { reason: error instanceof Error ? error.message : 'unknown' })
      return null
    }
  }

  async function small(outbound: Outbound, url: string | null): Promise<Uint8Array | null> {
    if (url === null) return null
    try {
      return await thumbnailOf(await picture(outbound, url))
    } catch (error) {
      const expected =
        error instanceof OutboundError ||
        error instanceof AppError ||
        error instanceof UnreadablePicture ||
        error instanceof FileTooLarge
      if (!expected) throw error
      return null
    }
  }
}

type Head = { title: string; meta: Map<string, string> }

/** Reads as much of a page as shows its title and descriptions; the rest is not waited for. */
async function headOf(body: AsyncIterable<Uint8Array>, contentType: string): Promise<Head> {
  const pieces: Uint8Array[] = []
  let size = 0
  for await (const piece of body) {
    pieces.push(piece)
    size += piece.length
    const shown = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    if (size >= PAGE_BYTES || shown.includes('</head>') || shown.includes('<body')) break
  }
  const html = decoded(Buffer.concat(pieces).subarray(0, PAGE_BYTES), contentType)
  const head: Head = { title: '', meta: new Map() }
  new HTMLRewriter()
    .on('title', {
      text({ text }) {
        if (head.title.length < MAX_TITLE) head.title += text
      },
    })
    .on('meta', {
      element(element) {
        const name = (element.getAttribute('property') ?? element.getAttribute('name') ?? '').toLowerCase()
        const content = element.getAttribute('content')
        if (name && content && !head.meta.has(name)) head.meta.set(name, content)
      },
    })
    .transform(html)
  return head
}

function decoded(bytes: Buffer, contentType: string): string {
  const named =
    /charset=["']?([\w-]+)/i.exec(contentType)?.[1] ??
    /<meta[^>]+charset=["']?([\w-]+)/i.exec(bytes.toString('latin1', 0, 1024))?.[1]
  try {
    return new TextDecoder((named ?? 'utf-8') as 'utf-8').decode(bytes)
  } catch {
    // A character set that nobody knows.
    return bytes.toString('utf8')
  }
}

const firstOf = (meta: Map<string, string>, names: readonly string[]): string | undefined =>
  names.map((name) => meta.get(name)).find((value) => value?.trim())

/** One line without controls, entities resolved, cut by characters. */
function shortened(text: string, length: number): string {
  const plain = unescaped(text)
    .replace(/[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2060-\u2069]/g, ' ')
    .replace(/\s+/g, ' ')
    .trim()
  return [...plain.slice(0, length * 2)].slice(0, length).join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: ' ',
}

const unescaped = (text: string): string =>
  text.replace(/&(?:#(\d{1,7})|#x([\da-f]{1,6})|(\w{2,6}));/gi, (whole, decimal, hex, name) => {
    if (name !== undefined) return ENTITIES[String(name).toLowerCase()] ?? whole
    const code = decimal !== undefined ? Number(decimal) : Number.parseInt(hex, 16)
    return code > 0 && code <= 0x10ffff ? String.fromCodePoint(code).toWellFormed() : whole
  })
