/**
 * The guarded client: gets a file or a page from a place that a user named, as a stream with a cap on its bytes and on
 * every wait. Each redirect is a new place and is vetted like the first.
 */
import type { Clock } from './clock'
import { createOutboundRequest, OutboundError, type OutboundParts, outboundErrorOf } from './outbound-request'
import { unpacked } from './unpack'

export type GetOptions = {
  /** Most bytes of the body, unpacked. */
  maxBytes: number
  /** Redirects that are followed; 3 unless told otherwise. */
  maxRedirects?: number
  /** The `Accept` header. */
  accept?: string
  /** Milliseconds until the headers of an answer are there, redirects included. */
  headersMs?: number
  /** Longest silence between two pieces of the body (ms). */
  idleMs?: number
  /** From the first byte asked to the last one read (ms). */
  totalMs?: number
  signal?: AbortSignal
}

/** A 2xx answer. Read its body to the end or cancel it: it holds a connection until then. */
export type Gotten = {
  status: number
  headers: Headers
  /** The URL that answered, after redirects. */
  url: string
  /** Rejects with `OutboundError`; leaving the loop early lets go of the connection. */
  body: AsyncIterable<Uint8Array>
  cancel(): void
}

export interface Outbound {
  /** Rejects with `OutboundError` alone. */
  get(url: string, options: GetOptions): Promise<Gotten>
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308])
const DEFAULTS = { maxRedirects: 3, accept: '*/*', headersMs: 10_000, idleMs: 15_000, totalMs: 300_000 }

/** Makes the client; nothing is connected before the first `get`. */
export function createOutbound(parts: OutboundParts & { clock: Clock; userAgent?: string }): Outbound {
  const { clock, userAgent = 'Wabun/1' } = parts
  const request = createOutboundRequest(parts)

  async function answer(first: string, options: typeof DEFAULTS, signal: AbortSignal) {
    const headers = { Accept: options.accept, 'Accept-Encoding': 'identity', 'User-Agent': userAgent }
    let url = first
    for (let hops = 0; ; hops += 1) {
      const response = await request(url, { method: 'GET', headers, signal })
      if (response.ok) return { response, url }
      // Nobody reads it, and its connection may be of use to the next request.
      response.body?.cancel().catch(() => undefined)
      if (!REDIRECTS.has(response.status)) throw new OutboundError('status', response.status)
      const next = URL.parse(response.headers.get('location') ?? '\0', url)
      const downgrade = next?.protocol === 'http:' && url.startsWith('https:')
      if (next === null || downgrade || hops >= options.maxRedirects) {
        throw new OutboundError('redirect', response.status)
      }
      url = next.href
    }
  }

  return {
    async get(url, given) {
      const options = { ...DEFAULTS, ...given }
      const { maxBytes, idleMs } = options
      const abort = new AbortController()
      const stop = (kind: 'timeout' | 'interrupted') => abort.abort(new OutboundError(kind))
      const onSignal = () => stop('interrupted')
      given.signal?.addEventListener('abort', onSignal, { once: true })
      if (given.signal?.aborted) onSignal()
      const disarmTotal = clock.after(options.totalMs, () => stop('timeout'))
      const done = () => {
        disarmTotal()
        given.signal?.removeEventListener('abort', onSignal)
      }
      /** What the abort was for, else what the network says. */
      const failureOf = (error: unknown) =>
        outboundErrorOf(abort.signal.aborted ? abort.signal.reason : error)

      const disarmHeaders = clock.after(options.headersMs, () => stop('timeout'))
      let found: Awaited<ReturnType<typeof answer>>
      try {
        found = await answer(url, options, abort.signal)
        const length = Number(found.response.headers.get('content-length') ?? 0)
        if (length > maxBytes) {
          found.response.body?.cancel().catch(() => undefined)
          throw new OutboundError('too_large')
        }
      } catch (error) {
        done()
        throw failureOf(error)
      } finally {
        disarmHeaders()
      }

      const { response } = found
      const reader = response.body?.getReader()
      const cancel = () => {
        done()
        // The peer's own failure may come with it; there is nobody left who needs it.
        reader?.cancel().catch(() => undefined)
      }

      async function* pieces(): AsyncGenerator<Uint8Array> {
        try {
          while (reader) {
            const disarm = clock.after(idleMs, () => stop('timeout'))
            const { done: ended, value } = await reader.read().finally(disarm)
            if (ended) return
            yield value
          }
        } catch (error) {
          throw failureOf(error)
        } finally {
          cancel()
        }
      }

      async function* capped(): AsyncGenerator<Uint8Array> {
        let size = 0
        const plain = unpacked(pieces(), response.headers.get('content-encoding'))
        try {
          for await (const piece of plain) {
            size += piece.length
            if (size > maxBytes) throw new OutboundError('too_large')
            yield piece
          }
        } catch (error) {
          throw failureOf(error)
        }
      }

      /** A generator that was never begun has nothing to clean up by itself, so its end is told to the connection too. */
      function iterate(): AsyncIterator<Uint8Array> {
        const bytes = capped()
        return {
          next: () => bytes.next(),
          async return() {
            cancel()
            return bytes.return(undefined)
          },
        }
      }
      const body = { [Symbol.asyncIterator]: iterate }
      return { status: response.status, headers: response.headers, url: found.url, body, cancel }
    },
  }
}
