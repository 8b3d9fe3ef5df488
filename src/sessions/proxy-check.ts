/** Which addresses the proxy of a session may have. */
import { fail } from '../domain/errors'
import { parseProxy } from '../lib/proxy-url'
import type { Tunnels } from '../lib/tunnel'

/** Throws `PROXY_URL_FORBIDDEN`, whatever is wrong with the address. */
export function checkProxyUrl(text: string, tunnels: Pick<Tunnels, 'allowed'>): void {
  const place = parseProxy(text)
  if (place === null || !tunnels.allowed(place)) throw fail('PROXY_URL_FORBIDDEN')
}
