/**
 * One webhook attempt: vet the address, sign, post, and say what became of it.
 *
 * Never throws. Nothing of what went wrong on the network is told beyond its kind, so that an endpoint's owner cannot
 * learn what stands behind this server.
 *
 * Bun runs at most 256 fetches at a time in a process and makes the others wait (measured: 256 hanging receivers delay
 * an unrelated fetch by 2.8 s). The number is read from `BUN_CONFIG_MAX_HTTP_REQUESTS` before the first line of the
 * program runs; setting `process.env` or calling `setenv` later has no effect in 1.4.5. `cli/request-limit.ts` sees to it for
 * the server; `admission.ts` stays below whatever the limit is.
 */
import { type Endpoint, type Outcome, signingSecrets } from '../domain/webhook'
import type { AddressPolicy } from '../lib/addresses'
import type { Clock } from '../lib/clock'
import {
  createOutboundRequest,
  type Fetch,
  OutboundError,
  type OutboundFailure,
} from '../lib/outbound-request'
import type { VettingOptions } from '../lib/target'
import { type CappedBody, readCapped } from './capped-body'
import { parseRetryAfter } from './retry-after'
import { sign } from './signature'

/** Bytes of an answer that are looked at; the rest is never read. */
export const ANSWER_LIMIT = 64 * 1024
/** How long an answer's body may take once its status is known (ms); only reuse of the connection depends on it. */
const DRAIN_TIMEOUT = 1_000

/** What is posted. */
export type Post = {
  url: string
  /** Those that sign, the newest first. */
  secrets: readonly [string, ...string[]]
  /** The endpoint's own; none of them replaces one of ours. */
  headers?: Record<string, string>
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
  fetch: Fetch
  clock: Clock
  /** Milliseconds until an endpoint that has not answered has failed. */
  timeoutMs?: number
} & Omit<VettingOptions, 'longest'>

/** Makes a sender; nothing is connected before the first post. */
export function createSender(options: SenderOptions): Sender {
  const { clock, timeoutMs = 10_000 } = options
  const request = createOutboundRequest({
    policy: options,
    fetch: options.fetch,
    ...(options.resolve ? { resolve: options.resolve } : {}),
    ...(options.own ? { own: options.own } : {}),
    ...(options.ownPort ? { ownPort: options.ownPort } : {}),
  })

  return {
    async post({ url, secrets, headers: own, eventId, event, json, attempt }, signal) {
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
        const headers = {
          ...own,
          'Content-Type': 'application/json; charset=utf-8',
          'User-Agent': 'Wabun-Webhook/1',
          'X-Webhook-Event': event,
          'X-Webhook-Id': eventId,
          'X-Webhook-Attempt': String(attempt),
          ...sign(secrets, eventId, Math.floor(clock.now() / 1000), json),
        }
        const response = await request(url, { method: 'POST', headers, body: json, signal: deadline.signal })
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

/** The kind of a failure, in words. */
const SAYS: Partial<Record<OutboundFailure, string>> = {
  forbidden: 'This address is not allowed',
  unresolved: 'The name of the endpoint cannot be resolved',
  certificate: 'The certificate of the endpoint is not valid',
  not_connected: 'The endpoint does not accept connections',
  closed: 'The endpoint closed the connection without an answer',
}
const sentenceOf = (error: unknown): string =>
  (error instanceof OutboundError ? SAYS[error.kind] : undefined) ?? 'The endpoint could not be reached'

/** The endpoint's share of a post. */
export const postTo = (
  endpoint: Endpoint,
  of: Omit<Post, 'url' | 'secrets' | 'headers'>,
  now: number,
): Post => ({
  ...of,
  url: endpoint.url,
  headers: endpoint.headers,
  secrets: signingSecrets(endpoint, now),
})
