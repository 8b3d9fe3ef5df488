/** Query strings, read strictly: no parameter twice, numbers in decimal digits only. */
import { Type } from '@sinclair/typebox'
import { AppError, fail } from '../domain/errors'
import { DEFAULT_LIMIT, LONGEST_WAIT, MAX_LIMIT } from './limits'

/** The parameters that are numbers, on whatever route they appear. */
const NUMBERS = new Set(['limit', 'offset', 'wait', 'timeout'])
/** Those that are yes or no. */
const BOOLEANS = new Set(['validate', 'starred'])
const DECIMAL = /^-?\d{1,15}$/

export const limitParameter = Type.Integer({
  minimum: 1,
  maximum: MAX_LIMIT,
  default: DEFAULT_LIMIT,
  description: 'How many to return',
})
export const offsetParameter = Type.Integer({
  minimum: 0,
  maximum: 2 ** 31,
  default: 0,
  description: 'How many to skip',
})
export const waitParameter = (standard: number) =>
  Type.Integer({
    minimum: 0,
    maximum: LONGEST_WAIT,
    default: standard,
    description: 'Seconds to wait for an answer before giving up',
  })

/** The `transform` hook of the whole API: runs before validation, so its result is what schemas see. */
export function strictQuery({ query, request }: { query: Record<string, unknown>; request: Request }): void {
  const at = request.url.indexOf('?')
  if (at === -1) return
  const seen = new Set<string>()
  for (const [name] of new URLSearchParams(request.url.slice(at + 1))) {
    if (seen.has(name)) throw invalid('query', [{ path: `/${name}`, message: 'Given twice' }])
    seen.add(name)
  }
  for (const [name, value] of Object.entries(query)) {
    if (typeof value !== 'string') continue
    if (NUMBERS.has(name) && DECIMAL.test(value)) query[name] = Number(value)
    if (BOOLEANS.has(name) && (value === 'true' || value === 'false')) query[name] = value === 'true'
  }
}

export type FieldProblem = { path: string; message: string }

/** A `VALIDATION_ERROR` that names its fields. */
export const invalid = (where: 'body' | 'query', fields: FieldProblem[]) =>
  fail('VALIDATION_ERROR', { in: where, fields })

/**
 * The same error with its fields named as the body names them: parts behind this surface know a message's own fields, not
 * where in a body they stand. `place` gets the first name of a path and says what stands before it.
 */
export function placedError(error: unknown, place: (name: string) => string = () => ''): unknown {
  if (!(error instanceof AppError) || error.code !== 'VALIDATION_ERROR') return error
  const { fields, ...details } = error.details ?? {}
  if (!Array.isArray(fields)) return error
  const placed = (fields as FieldProblem[]).map(({ path, message }) => {
    const own = path.replace(/^\/+/, '')
    return { path: `${place(own.split('/')[0] ?? '')}/${own}`, message }
  })
  return new AppError(error.code, { ...details, fields: placed }, error.message)
}
