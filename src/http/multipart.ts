/**
 * Forms (`multipart/form-data`), read as they arrive: a file passes through as a stream, at the pace of whoever keeps it;
 * only fields are held. The one place that knows the library.
 */
import { Busboy, type BusboyFileStream, type BusboyInstance } from '@fastify/busboy'
import { AppError, fail } from '../domain/errors'
import type { Bytes } from '../domain/media'
import { type Clock, systemClock } from '../lib/clock'
import { FORM_DEADLINE, FORM_FIELD_SIZE, FORM_FIELDS, FORM_HEAD, FORM_IDLE } from './limits'
import { invalid } from './query'

/** A file of a form; what its sender says of it is a claim. */
export type FormFile = { name: string; filename: string | null; mimetype: string; bytes: Bytes }
/** Fields in their order; a name may come more than once. */
export type FormFields = ReadonlyMap<string, readonly string[]>

export const isForm = (request: Request): boolean =>
  /^multipart\/form-data\s*(?:;|$)/i.test(request.headers.get('content-type') ?? '')

const NAME = 100

/**
 * Reads a form; every file is given to `keep`, one after another, and must be read to its end there. When anything goes
 * wrong (`keep` itself, a form that is no form, limits, a caller who goes away) the files under way break off, and it
 * rejects once every `keep` has ended. `maxBytes` counts the whole body.
 */
export async function readForm(
  request: Request,
  limits: { files: number; maxBytes: number; clock?: Clock },
  keep: (file: FormFile) => Promise<unknown>,
): Promise<FormFields> {
  const { clock = systemClock } = limits
  const fields = new Map<string, string[]>()
  const kept: Promise<unknown>[] = []
  const open = new Set<BusboyFileStream>()
  const broken = breakOff()
  const form = formOf(request, limits.files)
  const finished = new Promise<void>((resolve) => form.on('finish', resolve))

  form.on('error', () => broken.by(noForm()))
  for (const limit of ['partsLimit', 'filesLimit', 'fieldsLimit'] as const) {
    form.on(limit, () => broken.by(fail('PAYLOAD_TOO_LARGE', undefined, 'The form has too many parts')))
  }
  form.on('field', (name, value, _nameCut, cut) => {
    if (!isName(name)) return broken.by(noForm('A part has no name, or one that is too long'))
    if (cut) return broken.by(fail('PAYLOAD_TOO_LARGE', { field: name, maxBytes: FORM_FIELD_SIZE }))
    fields.set(name, [...(fields.get(name) ?? []), value])
  })
  form.on('file', (name, stream, filename, _encoding, mimetype) => {
    let damage: unknown = null
    open.add(stream)
    // Without a listener it would end the process. A keeper who stops reading causes one too; what he says counts.
    stream.on('error', (error) => {
      damage ??= error
    })
    stream.on('close', () => open.delete(stream))
    if (!isName(name)) return broken.by(noForm('A part has no name, or one that is too long'))
    const file = { name, filename: filename || null, mimetype, bytes: stream as unknown as Bytes }
    const keeping = keep(file).then(
      () => {
        if (damage !== null) throw noForm()
      },
      (error: unknown) => {
        throw damage !== null && error === damage ? noForm() : error
      },
    )
    keeping.catch((error: unknown) => broken.by(error))
    kept.push(keeping)
  })

  const reader = bodyOf(request).getReader()
  const cancel = clock.after(FORM_DEADLINE, () => broken.by(fail('REQUEST_TIMEOUT')))
  try {
    let size = 0
    for (;;) {
      const next = await broken.or(inTime(reader.read(), clock))
      if (next.done) break
      size += next.value.byteLength
      if (size > limits.maxBytes) throw fail('FILE_TOO_LARGE', { maxBytes: limits.maxBytes })
      await broken.or(written(form, next.value))
    }
    form.end()
    await broken.or(finished)
    await Promise.all(kept)
    return fields
  } catch (error) {
    // What is still coming is of no use; a failed cancel changes nothing about the answer.
    reader.cancel().catch(() => undefined)
    const told = error instanceof AppError ? error : brokenOff(error)
    for (const stream of open) stream.destroy(told)
    await Promise.allSettled(kept)
    throw told
  } finally {
    cancel()
  }
}

/**
 * Lets one failure end whatever is waited for. (Racing every piece with one lasting promise would keep them all in memory
 * until the end: that promise holds on to each race.)
 */
function breakOff() {
  let failure: { error: unknown } | null = null
  let interrupt: ((error: unknown) => void) | null = null
  return {
    by(error: unknown) {
      failure ??= { error }
      interrupt?.(error)
    },
    or: <T>(waiting: Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        if (failure) reject(failure.error)
        else interrupt = reject
        waiting.then(resolve, reject)
      }),
  }
}

function formOf(request: Request, files: number): BusboyInstance {
  const encoding = request.headers.get('content-encoding')
  if (encoding !== null && encoding !== 'identity') {
    throw fail('UNSUPPORTED_MEDIA_TYPE', { contentEncoding: encoding }, 'Compressed bodies are not accepted')
  }
  const limits = { files, fields: FORM_FIELDS, parts: FORM_FIELDS + files, fieldSize: FORM_FIELD_SIZE }
  try {
    return new Busboy({
      headers: { 'content-type': request.headers.get('content-type') ?? '' },
      limits: { ...limits, ...FORM_HEAD },
    })
  } catch {
    throw noForm('The form names no boundary')
  }
}

const bodyOf = (request: Request): ReadableStream<Uint8Array> => {
  if (!request.body) throw noForm()
  return request.body
}

const isName = (name: string | undefined): name is string =>
  name !== undefined && name.length > 0 && name.length <= NAME

const noForm = (message = 'The form is damaged or breaks off'): AppError =>
  invalid('body', [{ path: '/', message }])

/** The connection itself broke: there is nobody left to tell, but the log should not take it for a fault of ours. */
const brokenOff = (cause: unknown): AppError => {
  const error = fail('REQUEST_TIMEOUT', undefined, 'The body broke off')
  error.cause = cause
  return error
}

async function inTime<T>(reading: Promise<T>, clock: Clock): Promise<T> {
  const late = Promise.withResolvers<never>()
  const cancel = clock.after(FORM_IDLE, () => late.reject(fail('REQUEST_TIMEOUT')))
  try {
    return await Promise.race([reading, late.promise])
  } finally {
    cancel()
  }
}

/** Resolves when the parser has passed the piece on and wants the next. */
const written = (form: BusboyInstance, piece: Uint8Array): Promise<void> =>
  new Promise((resolve, reject) => {
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength)
    form.write(bytes, (error) => (error ? reject(noForm()) : resolve()))
  })
