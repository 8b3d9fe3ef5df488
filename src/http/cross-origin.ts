/** Which browser pages may call this server: those of its own origin, and those named in CORS_ORIGINS. */
const METHODS = 'GET, HEAD, POST, PUT, PATCH, DELETE'
const HEADERS =
  'Authorization, Content-Type, Idempotency-Key, If-None-Match, If-Range, Last-Event-ID, Prefer, Range, X-API-Key, X-Request-Id'
const EXPOSED =
  'Accept-Ranges, Content-Disposition, Content-Range, ETag, Idempotency-Replayed, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id'
const A_DAY = '86400'

/** Makes the rules; credentials travel in headers that only a page's own script can set, never in cookies. */
export function crossOrigin(origins: readonly string[], publicUrl: string | null) {
  const own = publicUrl === null ? null : new URL(publicUrl).origin
  const listed = (origin: string): boolean => origins.includes(origin)
  return {
    /** True for pages of the address that was asked, of PUBLIC_URL, and of CORS_ORIGINS. */
    allowed(origin: string, host: string | null): boolean {
      if (listed(origin) || origin === own) return true
      return URL.canParse(origin) && host !== null && new URL(origin).host === host
    },
    isPreflight: (request: Request): boolean =>
      request.method === 'OPTIONS' &&
      request.headers.has('access-control-request-method') &&
      listed(request.headers.get('origin') ?? ''),
    headers(request: Request): Record<string, string> {
      if (origins.length === 0) return {}
      const origin = request.headers.get('origin')
      if (origin === null || !listed(origin)) return { vary: 'Origin' }
      return {
        vary: 'Origin',
        'access-control-allow-origin': origin,
        'access-control-expose-headers': EXPOSED,
        ...(request.method === 'OPTIONS'
          ? {
              'access-control-allow-methods': METHODS,
              'access-control-allow-headers': HEADERS,
              'access-control-max-age': A_DAY,
            }
          : {}),
      }
    },
  }
}
