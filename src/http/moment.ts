/** Moments as callers write them: ISO 8601, in UTC unless they name an offset. */
import { invalid } from './query'

const DAY = 86_400_000
const ISO = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/
const OFFSET = /(?:Z|[+-]\d{2}:?\d{2})$/

/** Milliseconds of an ISO text, null when it is none; a date alone is its first moment. */
export function parseMoment(text: string): number | null {
  if (!ISO.test(text)) return null
  const at = Date.parse(!text.includes('T') || OFFSET.test(text) ? text : `${text}Z`)
  return Number.isNaN(at) ? null : at
}

/** The moment of a query parameter; a date alone is its first or last moment in UTC. */
export function moment(name: string, text: string, edge: 'start' | 'end'): number {
  const at = parseMoment(text)
  if (at === null) throw invalid('query', [{ path: `/${name}`, message: 'Not an ISO 8601 date' }])
  return !text.includes('T') && edge === 'end' ? at + DAY - 1 : at
}
