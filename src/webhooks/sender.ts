/**
 * One webhook attempt: vet the address, sign, post, and say what became of it.
 *
 * Never throws. Nothing of what went wrong on the network is told beyond its kind, so that an endpoint's owner cannot
 * learn what stands behind this server.
 *
 * Bun runs at most 256 fetches at a time in a process and makes the others wait (measured: 256 hanging receivers delay
 * an unrelated fetch by 2.8 s). The number is read from `BUN_CONFIG_MAX_HTTP_REQUESTS` before the first line of the
 * program runs; setting `process.env` or calling `setenv` later has no effect in 1.4.5. Whoever starts the process sets
 * it; `dispatcher.ts` stays below 256 by itself.
 */
import { lookup } from 'node:dns/promises'
import type { Endpoint, Outcome } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { AddressPolicy } from './addresses'
import { type CappedBody, readCapped } from './capped-body'
import { parseRetryAfter } from './retry-after'
import { sign } from './signature'
import { createTargetVetting, type Resolve, type Target } from './target'

/** Bytes of an answer that are looked at; the rest is never read. */
export const ANSWER_LIMIT = 64 * 1024
/** How long an answer's body may take once its status is known (ms); only reuse of the connection depends on it. */
const DRAIN_TIMEOUT = 1_000

/** Failures before a byte was sent: the next address of the name may still work. */
const NOT_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ConnectionRefused',
  'FailedToOpenSocket',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EADDRNOTAVAIL',
])

/** The other side ended the connection without an answer. */
const CLOSED = /RESET|CLOSED|EPIPE/i

/** What is posted. */
export type Post = {
  url: string
  secret: string
  eventId: string
  event: string
  /** The raw body. */
  json: string
  /** 1 for the first try. */
  attempt: number
}

/** An outcome with the beginning of the answer, for the test route. */
export type Attempt = { outcome: Outcome; body: CappedBody | null }

export interface Sender {
  /** Posts once; resolves with what happened, within the time-out. */
  post(post: Post, signal?: AbortSignal): Promise<Attempt>
}

export type SenderOptions = AddressPolicy & {
  /** `globalThis.fetch`, or one that watches. */
  fetch: (url: string, init: BunFetchRequestInit) => Promise<Response>
  clock: Clock
  /** Milliseconds until an endpoint that has not answered has failed. */
  timeoutMs?: number
  resolve?: Resolve
}

const resolveAll: Resolve = (host) => lookup(host, { all: true, verbatim: true })

/** Makes a sender; nothing is connected before the first post. */
export function createSender(options: SenderOptions): Sender {
  const { clock, timeoutMs = 10_000 } = options
  const vetTarget = createTargetVetting(options, options.resolve ?? resolveAll)

  /** Connects to the vetted addresses one after another until one takes the request. */
  async function request(target: Target, headers: Record<string, string>, body: string, signal: AbortSignal) {
    const init: BunFetchRequestInit = {
      method: 'POST',
      headers: { ...headers, Host: target.host },
      body,
      signal,
      redirect: 'manual',
      proxy: false,
      // Bodies are cut by the bytes on the wire, so that a small one cannot unfold into a large one.
      decompress: false,
      ...(target.serverName === null ? {} : { tls: { serverName: target.serverName } }),
    }
    let failure: unknown
    for (const url of target.urls) {
      try {
        return await options.fetch(url, init)
      } catch (error) {
        failure = error
      }
      // A kept connection may end in the moment of its next request, and Bun does not send a POST again by itself.
      if (CLOSED.test(codeOf(failure))) return options.fetch(url, { ...init, keepalive: false })
      if (!NOT_CONNECTED.has(codeOf(failure))) break
    }
    throw failure
  }

  return {
    async post({ url, secret, eventId, event, json, attempt }, signal) {
      const started = clock.monotonic()
      const duration = () => Math.round(clock.monotonic() - started)
      const failed = (says: string): Attempt => ({
        outcome: { ok: false, status: null, durationMs: duration(), says, retryAfterMs: null },
        body: null,
      })
      const deadline = new AbortController()
      let timedOut = false
      const disarm = clock.after(timeoutMs, () => {
        timedOut = true
        deadline.abort()
      })
      const onAbort = () => deadline.abort()
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) deadline.abort()
      try {
        const target = await untilAborted(vetTarget(url), deadline.signal)
        if (target === 'forbidden') return failed('This address is not allowed')
        if (target === 'unresolved') return failed('The name of the endpoint cannot be resolved')
        const headers = {
          'Content-Type': 'application/json; charset=utf-8',
          'User-Agent': 'Wabun-Webhook/1',
          'X-Webhook-Event': event,
          'X-Webhook-Id': eventId,
          'X-Webhook-Attempt': String(attempt),
          ...sign(secret, eventId, Math.floor(clock.now() / 1000), json),
        }
        const response = await request(target, headers, json, deadline.signal)
        const durationMs = duration()
        const body = await readCapped(response, { limit: ANSWER_LIMIT, timeoutMs: DRAIN_TIMEOUT, clock })
        return { outcome: judge(response, durationMs, clock.now()), body }
      } catch (error) {
        if (timedOut) return failed(`No answer within ${timeoutMs / 1000} s`)
        return failed(deadline.signal.aborted ? 'Interrupted' : sentenceOf(error))
      } finally {
        disarm()
        signal?.removeEventListener('abort', onAbort)
      }
    },
  }
}

/** 2xx is success; everything else, redirects included, is not. */
function judge(response: Response, durationMs: number, now: number): Outcome {
  const { status } = response
  if (status >= 200 && status < 300) return { ok: true, status, durationMs }
  return {
    ok: false,
    status,
    durationMs,
    says:
      status >= 300 && status < 400
        ? `HTTP ${status}; redirects are not followed`
        : `The endpoint answered HTTP ${status}`,
    retryAfterMs: parseRetryAfter(response.headers.get('retry-after'), now),
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** The kind of a network failure, in words. */
function sentenceOf(error: unknown): string {
  const code = codeOf(error)
  if (/CERT|SSL|TLS|SIGNED|VERIFY/i.test(code)) return 'The certificate of the endpoint is not valid'
  if (NOT_CONNECTED.has(code)) return 'The endpoint does not accept connections'
  if (CLOSED.test(code)) return 'The endpoint closed the connection without an answer'
  return 'The endpoint could not be reached'
}

/** The promise's own outcome, or a rejection as soon as the signal aborts. */
async function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
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

/** The endpoint's share of a post. */
export const postTo = (endpoint: Endpoint, of: Omit<Post, 'url' | 'secret'>): Post => ({
  ...of,
  url: endpoint.url,
  secret: endpoint.secret,
})
