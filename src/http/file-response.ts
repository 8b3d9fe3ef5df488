/**
 * A kept file as an answer: streamed, in whole or one range of it (RFC 9110 §14), never run by a browser: sniffing is off,
 * a page of ours is a sandbox without rights, and only harmless kinds are shown in place.
 */
import { fail } from '../domain/errors'
import type { Bytes, KeptFile } from '../domain/media'

type Part = { start: number; end: number }

export type FileAnswer = {
  file: Pick<KeptFile, 'size' | 'sha256' | 'mimetype' | 'filename'>
  /** The bytes from `start` up to and without `end`; asked for only when somebody reads them. */
  read(range: Part): Bytes
}

/** Kinds that a browser shows without running anything. */
const SHOWN = /^(?:image\/(?:jpeg|png|gif|webp|bmp)|audio\/[\w.+-]+|video\/[\w.+-]+|application\/pdf)$/
const TYPE = /^[\w.+-]+\/[\w.+-]+(?:;\s*[\w-]+=[\w.+-]+)*$/

/** Up to this (bytes) it is answered at once, with its length; Bun sends streams without one. */
const AT_ONCE = 1024 * 1024

/** Answers GET and HEAD. Fails with `RANGE_NOT_SATISFIABLE`. */
export async function fileResponse(
  { method, headers: asked }: Request,
  { file, read }: FileAnswer,
): Promise<Response> {
  const { size, filename } = file
  const mimetype = TYPE.test(file.mimetype) ? file.mimetype : 'application/octet-stream'
  const etag = `"${Buffer.from(file.sha256).toString('hex')}"`
  const headers: Record<string, string> = {
    'accept-ranges': 'bytes',
    'cache-control': 'private, max-age=3600',
    'content-security-policy': "default-src 'none'; sandbox",
    'content-disposition': disposition(SHOWN.test(bare(mimetype)) ? 'inline' : 'attachment', filename),
    'cross-origin-resource-policy': 'same-site',
    etag,
    'x-content-type-options': 'nosniff',
  }
  if (matches(asked.get('if-none-match'), etag)) return new Response(null, { status: 304, headers })
  const part = isCurrent(asked.get('if-range'), etag) ? rangeOf(asked.get('range'), size) : null
  const { start, end } = part ?? { start: 0, end: size }
  headers['content-type'] = mimetype
  headers['content-length'] = String(end - start)
  if (part) headers['content-range'] = `bytes ${start}-${end - 1}/${size}`
  return new Response(await bodyOf(), { status: part ? 206 : 200, headers })

  async function bodyOf() {
    if (method === 'HEAD' || end === start) return null
    const bytes = read({ start, end })
    return end - start > AT_ONCE ? streamed(bytes) : Buffer.concat(await Array.fromAsync(bytes))
  }
}

const bare = (mimetype: string): string => (mimetype.split(';')[0] ?? '').toLowerCase()

/** RFC 6266: a plain name for everybody, and the true one in UTF-8 where it differs. */
function disposition(kind: 'inline' | 'attachment', filename: string | null): string {
  if (filename === null) return kind
  const plain = filename.replace(/[^\x20-\x7e]|["\\%]/g, '_')
  const name = `${kind}; filename="${plain}"`
  return plain === filename ? name : `${name}; filename*=UTF-8''${encoded(filename)}`
}

/** Everything but the characters that RFC 8187 lets stand. */
const encoded = (text: string): string =>
  encodeURIComponent(text.toWellFormed()).replace(
    /['()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  )

const matches = (given: string | null, etag: string): boolean =>
  (given ?? '').split(',').some((each) => each.trim() === '*' || each.trim().replace(/^W\//, '') === etag)

const isCurrent = (ifRange: string | null, etag: string): boolean =>
  ifRange === null || ifRange.trim() === etag

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/

/** The one range that is asked for; null = the whole file, also for several ranges and for what is no range. */
function rangeOf(text: string | null, size: number): Part | null {
  const [, first = '', last = ''] = RANGE.exec(text?.replace(/\s/g, '') ?? '') ?? []
  if (first === '' && last === '') return null
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first)
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1)
  if (first !== '' && last !== '' && Number(last) < Number(first)) return null
  if (start >= size || end <= start) throw fail('RANGE_NOT_SATISFIABLE', { size })
  return { start, end }
}

/** Pulled as the reader wants it; a reader who goes away closes the file. */
function streamed(bytes: Bytes): ReadableStream<Uint8Array> {
  const pieces = bytes[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        const next = await pieces.next()
        if (next.done) controller.close()
        else controller.enqueue(next.value)
      },
      async cancel() {
        await pieces.return?.()
      },
    },
    { highWaterMark: 0 },
  )
}
