/**
 * Upstream defect: Baileys takes the media host from a message's own `url`, so a stranger's message makes the server
 * fetch any address (a metadata service, an internal admin page); and it has no option that reaches Bun's `fetch`
 * (certificate authority, host).
 *
 * Repair: one wrapper around `fetch`. Whatever Baileys fetches as media (it sends WhatsApp's `Origin`) or whatever is
 * addressed to WhatsApp's media domain goes only to an allowed host over TLS; with a foreign endpoint WhatsApp's own
 * media domain is turned to the first configured host, so that nothing leaks there. Other requests pass untouched.
 *
 * Upstream repaired it when `downloadContentFromMessage` refuses the crafted message of `media-fetch.test.ts`.
 */
import { DEFAULT_ORIGIN } from '@whiskeysockets/baileys'
import { type Endpoint, isWhatsAppItself } from './trust'

type Init = RequestInit & { tls?: { ca?: string }; dispatcher?: unknown }
/** `fetch` as it is called, without its overloads. */
export type PlainFetch = (input: string | URL | Request, init?: Init) => Promise<Response>

/** Thrown instead of a request to a host that is not allowed. */
export class ForbiddenMediaHost extends Error {
  constructor(host: string) {
    super(`Media is fetched from WhatsApp's hosts only, not from ${host}`)
    this.name = 'ForbiddenMediaHost'
  }
}

/** The `fetch` of the route that a request is marked with; null = no route. Throws when it may not go without. */
export type FetchOf = (dispatcher: unknown) => PlainFetch | null

/** Guards `globalThis.fetch` for this endpoint; the returned function takes the guard away. */
export function guardMediaFetch(endpoint: Endpoint, marked?: FetchOf): () => void {
  const original = globalThis.fetch
  const guarded = Object.assign(guardFetch(original as PlainFetch, endpoint, marked), {
    preconnect: original.preconnect,
  })
  globalThis.fetch = guarded as typeof original
  return () => {
    if ((globalThis.fetch as unknown) === guarded) globalThis.fetch = original
  }
}

/** The guard itself, around any `fetch`. */
export function guardFetch(inner: PlainFetch, endpoint: Endpoint, marked: FetchOf = () => null): PlainFetch {
  const foreign = !isWhatsAppItself(endpoint)
  const [firstHost] = endpoint.mediaHosts
  const allowed = (host: string) => endpoint.mediaHosts.includes(host) || (!foreign && isMediaDomain(host))
  return async (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    if (
      !isMediaDomain(url.host) &&
      !endpoint.mediaHosts.includes(url.host) &&
      !comesFromBaileys(input, init)
    ) {
      return inner(input, init)
    }
    if (foreign && isMediaDomain(url.host) && firstHost !== undefined) {
      url.host = firstHost
      if (!firstHost.includes(':')) url.port = ''
    }
    if (!allowed(url.host) || url.protocol !== 'https:') throw new ForbiddenMediaHost(url.host)
    const { dispatcher, ...asked } = init ?? {}
    const request: Init = { ...asked, redirect: 'error' }
    if (endpoint.mediaCa !== undefined) request.tls = { ca: endpoint.mediaCa }
    const go = marked(dispatcher) ?? inner
    return go(input instanceof Request ? new Request(url.toString(), input) : url, request)
  }
}

const isMediaDomain = (host: string): boolean => /(?:^|\.)whatsapp\.net(?::443)?$/.test(host)

function comesFromBaileys(input: string | URL | Request, init: Init | undefined): boolean {
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined))
  return headers.get('origin') === DEFAULT_ORIGIN
}
