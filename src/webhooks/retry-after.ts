/** Milliseconds that a `Retry-After` header asks to wait: seconds or an HTTP date; null when absent or neither. */
export function parseRetryAfter(header: string | null, now: number): number | null {
  const text = header?.trim() ?? ''
  if (/^\d{1,15}$/.test(text)) return Number(text) * 1000
  // HTTP dates begin with the name of a day; `Date.parse` alone would take "5" and "-1" for years.
  if (!/^[A-Z][a-z]{2,8},? /.test(text)) return null
  const at = Date.parse(text)
  return Number.isNaN(at) ? null : Math.max(0, at - now)
}
