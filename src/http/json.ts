/**
 * Reads a JSON body the strict way: UTF-8, `application/json`, bounded in size, depth and time, no key twice, no
 * characters that cannot be stored. An empty body is `null`, which only routes with a required body refuse.
 */
import { type AppError, fail } from '../domain/errors'
import { type Clock, systemClock } from '../lib/clock'
import {
  BODY_DEADLINE,
  FILE_BODY_DEADLINE,
  MAX_BODY,
  MAX_DEPTH,
  MAX_FILE_BODY,
  MAX_KEYS,
  MAX_KEYS_IN_ALL,
} from './limits'

type Bounds = { maxBytes: number; deadlineMs: number }
const SMALL: Bounds = { maxBytes: MAX_BODY, deadlineMs: BODY_DEADLINE }
const WITH_FILE: Bounds = { maxBytes: MAX_FILE_BODY, deadlineMs: FILE_BODY_DEADLINE }

/** What a body is read from; the API puts its clock into every context. */
type Source = { request: Request; clock?: Clock }

/** The `parse` hook of every route that takes a body. */
export const readJson = (source: Source): Promise<unknown> => readWithin(source, SMALL)

/** The same for a body in which a file may stand as base64. */
export const readLargeJson = (source: Source): Promise<unknown> => readWithin(source, WITH_FILE)

async function readWithin({ request, clock = systemClock }: Source, bounds: Bounds): Promise<unknown> {
  const bytes = await readBounded(request, bounds, clock)
  if (bytes.length === 0) return null
  checkHeaders(request.headers)
  return parseJson(decode(bytes))
}

function checkHeaders(headers: Headers): void {
  const encoding = headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity') {
    throw fail('UNSUPPORTED_MEDIA_TYPE', { contentEncoding: encoding }, 'Compressed bodies are not accepted')
  }
  const [type = '', ...parameters] = (headers.get('content-type') ?? '').toLowerCase().split(';')
  if (type.trim() !== 'application/json') throw fail('UNSUPPORTED_MEDIA_TYPE')
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith('charset='))
  if (charset && !/^charset="?utf-?8"?$/.test(charset)) throw fail('UNSUPPORTED_MEDIA_TYPE')
}

async function readBounded(
  request: Request,
  { maxBytes, deadlineMs }: Bounds,
  clock: Clock,
): Promise<Uint8Array> {
  if (!request.body) return new Uint8Array()
  const late = Promise.withResolvers<never>()
  const cancel = clock.after(deadlineMs, () => late.reject(fail('REQUEST_TIMEOUT')))
  const length = Number(request.headers.get('content-length') ?? Number.NaN)
  try {
    if (length > maxBytes) throw tooLarge(maxBytes)
    // The length is enforced by the HTTP parser; only a body without one has to be watched as it comes.
    return length >= 0
      ? new Uint8Array(await Promise.race([request.arrayBuffer(), late.promise]))
      : await readStream(request.body, maxBytes, late.promise)
  } finally {
    cancel()
  }
}

async function readStream(
  body: ReadableStream<Uint8Array>,
  maxBytes: number,
  late: Promise<never>,
): Promise<Uint8Array> {
  const reader = body.getReader()
  const chunks: Uint8Array[] = []
  let size = 0
  try {
    for (;;) {
      const next = await Promise.race([reader.read(), late])
      if (next.done) break
      size += next.value.byteLength
      if (size > maxBytes) throw tooLarge(maxBytes)
      chunks.push(next.value)
    }
  } catch (error) {
    // Whatever is still coming is of no use; a failed cancel changes nothing about the answer.
    reader.cancel().catch(() => undefined)
    throw error
  }
  return Buffer.concat(chunks)
}

export const tooLarge = (maxBytes: number): AppError => fail('PAYLOAD_TOO_LARGE', { maxBytes })

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw fail('INVALID_JSON', undefined, 'The body is not valid UTF-8')
  }
}

/** Parses JSON text; fails with `INVALID_JSON` or `VALIDATION_ERROR`. */
export function parseJson(text: string): unknown {
  let value: unknown
  try {
    checkShape(text)
    value = JSON.parse(text)
  } catch (error) {
    if (error instanceof ShapeError) throw fail('INVALID_JSON', undefined, error.message)
    throw fail('INVALID_JSON')
  }
  checkText(value)
  return value
}

/** Fails with `VALIDATION_ERROR` when a string or key anywhere in it holds what cannot be stored. */
export function checkText(value: unknown): void {
  if (isStorable(value)) return
  const unsafe = unsafeText(value, '') ?? '/'
  throw fail('VALIDATION_ERROR', {
    fields: [
      {
        path: unsafe,
        message: 'Contains a character that is not allowed (NUL or half of a surrogate pair)',
      },
    ],
  })
}

class ShapeError extends Error {}

const [QUOTE, COMMA] = [0x22, 0x2c]
const [OPEN_ARRAY, CLOSE_ARRAY, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d]

/** `JSON.parse` keeps the last of two equal keys and nests without limit; both are refused before it runs. */
function checkShape(text: string): void {
  /** One entry per open bracket: the keys seen in an object, null in an array. */
  const open: (Set<string> | null)[] = []
  let keyNext = false
  let keys = 0
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charCodeAt(at)
    if (char === QUOTE) {
      const end = stringEnd(text, at)
      if (keyNext) {
        noteKey(open.at(-1), text.slice(at, end + 1))
        keys += 1
        if (keys > MAX_KEYS_IN_ALL) throw new ShapeError(`The body has more than ${MAX_KEYS_IN_ALL} keys`)
      }
      keyNext = false
      at = end
    } else if (char === OPEN_OBJECT || char === OPEN_ARRAY) {
      if (open.length >= MAX_DEPTH) throw new ShapeError(`The body is nested deeper than ${MAX_DEPTH} levels`)
      open.push(char === OPEN_OBJECT ? new Set() : null)
      keyNext = char === OPEN_OBJECT
    } else if (char === CLOSE_OBJECT || char === CLOSE_ARRAY) {
      open.pop()
      keyNext = false
    } else if (char === COMMA) keyNext = open.at(-1) instanceof Set
  }
}

function noteKey(keys: Set<string> | null | undefined, quoted: string): void {
  if (!keys) return
  const key = String(JSON.parse(quoted))
  if (keys.has(key)) throw new ShapeError(`The key "${key.slice(0, 60)}" is given twice`)
  if (keys.size >= MAX_KEYS) throw new ShapeError(`An object of the body has more than ${MAX_KEYS} keys`)
  keys.add(key)
}

/** Place of the quote that ends a string; leaps from quote to quote, as a string may be a whole file in base64. */
function stringEnd(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 1)) {
    let slashes = 0
    while (text[at - 1 - slashes] === '\\') slashes += 1
    if (slashes % 2 === 0) return at
  }
  return text.length
}

const isText = (text: string): boolean => !text.includes('\0') && text.isWellFormed()

/** Whether no string or key in it holds NUL or half of a surrogate pair. */
function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return isText(value)
  if (typeof value !== 'object' || value === null) return true
  if (Array.isArray(value)) {
    for (let at = 0; at < value.length; at += 1) if (!isStorable(value[at])) return false
    return true
  }
  // Elysia writes what it refuses into a sentence, which fails where the caller's own value stands in the place of a method.
  if (Object.hasOwn(value, 'toString') || Object.hasOwn(value, 'valueOf')) {
    Object.defineProperty(value, Symbol.toPrimitive, { value: () => '[object Object]' })
  }
  for (const key of Object.keys(value)) {
    if (!isText(key) || !isStorable((value as Record<string, unknown>)[key])) return false
  }
  return true
}

/** Path of the first string that cannot be stored, or null. */
function unsafeText(value: unknown, path: string): string | null {
  if (typeof value === 'string') return isText(value) ? null : path || '/'
  if (typeof value !== 'object' || value === null) return null
  for (const [key, inner] of Object.entries(value)) {
    if (!isText(key)) return path || '/'
    const found = unsafeText(inner, `${path}/${key}`)
    if (found !== null) return found
  }
  return null
}
