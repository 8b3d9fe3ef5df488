/** Every failure, whatever its origin, becomes the contract's one shape here. */
import { AppError, fail } from '../domain/errors'
import type { Log } from '../lib/log'
import { problemsOf, type SchemaError } from './checked'
import { invalid } from './query'

/** What went wrong, as Elysia tells it. */
export type Failure = { code: unknown; error: unknown; path: string; method: string; requestId: string }

export type ErrorParts = {
  log: Log
  /** Methods that exist for a path; `WS` for a WebSocket. */
  methodsOf(path: string): string[]
  translate: Translate
}

/** What the answer to a failure needs; every `AppError` has it. */
export type Told = {
  code: string
  status: number
  message: string
  details?: Record<string, unknown> | undefined
}
/** Recognises errors of routes that have a catalogue of their own. */
export type Translate = (error: unknown) => Told | null

/** The catalogue's error for anything that was thrown; unknown causes are logged and answered without them. */
export function toAppError(failure: Failure, { log, methodsOf, translate }: ErrorParts): Told {
  const { error, requestId } = failure
  const known = knownError(failure, methodsOf) ?? translate(error)
  if (known) return known
  log.error('A request failed for a reason that is not in the catalogue', {
    requestId,
    method: failure.method,
    path: failure.path,
    error: error instanceof Error ? error.message : String(error),
    stack: error instanceof Error ? error.stack : undefined,
  })
  return fail('INTERNAL_ERROR', { requestId })
}

function knownError(
  { code, error, path, method }: Failure,
  methodsOf: ErrorParts['methodsOf'],
): AppError | null {
  if (error instanceof AppError) return error
  if (code === 'PARSE') {
    const cause = error instanceof Error ? error.cause : undefined
    return cause instanceof AppError ? cause : fail('INVALID_JSON')
  }
  if (code === 'VALIDATION') return validationError(error)
  if (code === 'NOT_FOUND') return unknownRoute(method, methodsOf(path))
  return null
}

function unknownRoute(method: string, methods: string[]): AppError {
  if (methods.length === 0) return fail('ROUTE_NOT_FOUND')
  if (method === 'GET' && methods.includes('WS')) return fail('UPGRADE_REQUIRED')
  const allow = methods.map((name) => (name === 'WS' ? 'GET' : name))
  return fail('METHOD_NOT_ALLOWED', {
    allow: allow.includes('GET') && !methods.includes('WS') ? [...allow, 'HEAD'] : allow,
  })
}

function validationError(error: unknown): AppError | null {
  const { type, all } = error as { type?: string; all?: SchemaError[] }
  // A wrong answer is our mistake, not the caller's.
  if (type === 'response' || !Array.isArray(all)) return null
  return invalid(type === 'query' ? 'query' : 'body', problemsOf(all))
}

/** Headers that belong to an error beside its body. */
export function errorHeaders(error: Told): Record<string, string> {
  const headers: Record<string, string> = {}
  if (error.status === 401) headers['www-authenticate'] = 'Bearer realm="wabun", charset="UTF-8"'
  const allow = error.code === 'METHOD_NOT_ALLOWED' ? error.details?.allow : undefined
  if (Array.isArray(allow)) headers.allow = allow.join(', ')
  // The rest of that body would have to come before the next request; nobody waits for it.
  if (error.status === 408) headers.connection = 'close'
  if (error.code === 'RANGE_NOT_SATISFIABLE') headers['content-range'] = `bytes */${error.details?.size}`
  const seconds = error.details?.retryAfter
  if (typeof seconds === 'number') headers['retry-after'] = String(seconds)
  return headers
}
