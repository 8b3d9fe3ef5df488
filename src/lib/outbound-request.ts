/**
 * One HTTP request to a place that a user named: the address is vetted, then connected to under the URL's own name.
 *
 * Whatever goes wrong becomes an `OutboundError` whose kind is all that may be told; neither address nor cause is in it.
 */
import type { AddressPolicy } from './addresses'
import { ProxyFailed } from './proxy-failed'
import { createTargetVetting, type VettingOptions } from './target'

/** What became of a request that has no usable answer. */
export type OutboundFailure =
  /** The URL, or an address its name leads to, is not allowed. */
  | 'forbidden'
  | 'unresolved'
  /** No address took the connection. */
  | 'not_connected'
  | 'certificate'
  /** The other side ended the connection too early. */
  | 'closed'
  | 'timeout'
  | 'too_large'
  /** An answer other than 2xx; `status` says which. */
  | 'status'
  /** Too many redirects, one without a target, or one from https to http. */
  | 'redirect'
  /** The proxy by which it was to go does not let it through. */
  | 'proxy'
  /** The caller's own signal. */
  | 'interrupted'
  | 'network'

export class OutboundError extends Error {
  constructor(
    readonly kind: OutboundFailure,
    readonly status: number | null = null,
  ) {
    super(`An outbound request failed: ${kind}${status === null ? '' : ` ${status}`}`)
    this.name = 'OutboundError'
  }
}

/** `globalThis.fetch`, or one that watches. */
export type Fetch = (url: string, init: BunFetchRequestInit) => Promise<Response>

export type OutboundParts = VettingOptions & {
  policy: AddressPolicy
  fetch: Fetch
  /** In place of the vetting by this policy, for whoever does not connect by itself. */
  vet?: ReturnType<typeof createTargetVetting>
}

export type OutboundRequest = {
  method: 'GET' | 'POST'
  headers: Record<string, string>
  body?: string
  signal: AbortSignal
}

/** Failures before a byte was sent: the next address of the name may still work. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'FailedToOpenSocket',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])

/** The other side ended the connection without a whole answer. */
const CLOSED = /RESET|CLOSED|EPIPE/i

/**
 * Makes the request function. Redirects are answers like any other, bodies stay as they are on the wire, proxies of the
 * environment are left alone. Rejects with `OutboundError`, or with the signal's reason.
 */
export function createOutboundRequest(parts: OutboundParts) {
  const vetTarget = parts.vet ?? createTargetVetting(parts.policy, parts)

  return async function request(url: string, ask: OutboundRequest): Promise<Response> {
    const vetted = vetTarget(url)
    const target = vetted instanceof Promise ? await untilAborted(vetted, ask.signal) : vetted
    if (ask.signal.aborted) throw ask.signal.reason
    if (typeof target === 'string') throw new OutboundError(target)
    const init: BunFetchRequestInit = {
      method: ask.method,
      headers: { ...ask.headers, Host: target.host },
      ...(ask.body === undefined ? {} : { body: ask.body }),
      signal: ask.signal,
      redirect: 'manual',
      proxy: false,
      // Bodies are cut by the bytes on the wire, so that a small one cannot unfold into a large one.
      decompress: false,
      ...(target.serverName === null ? {} : { tls: { serverName: target.serverName } }),
    }
    let failure: unknown
    for (const address of target.urls) {
      try {
        return await parts.fetch(address, init)
      } catch (error) {
        failure = error
      }
      if (ask.signal.aborted) throw ask.signal.reason
      // A kept connection may end in the moment of its next request, and Bun does not send a POST again by itself.
      if (CLOSED.test(codeOf(failure))) {
        try {
          return await parts.fetch(address, { ...init, keepalive: false })
        } catch (error) {
          failure = error
          break
        }
      }
      if (!NOT_CONNECTED.has(codeOf(failure))) break
    }
    throw ask.signal.aborted ? ask.signal.reason : outboundErrorOf(failure)
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** The kind of a failure of the network, without what it says. */
export function outboundErrorOf(error: unknown): OutboundError {
  if (error instanceof OutboundError) return error
  if (error instanceof ProxyFailed) return new OutboundError('proxy')
  const code = codeOf(error)
  if (/CERT|SSL|TLS|SIGNED|VERIFY/i.test(code)) return new OutboundError('certificate')
  if (NOT_CONNECTED.has(code)) return new OutboundError('not_connected')
  return new OutboundError(CLOSED.test(code) ? 'closed' : 'network')
}

/** The promise's own outcome, or a rejection as soon as the signal aborts. */
export async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) throw signal.reason
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}
