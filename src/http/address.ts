/** Where a request comes from: the peer, or what a trusted proxy says of it. */
import { isIPv4, isIPv6 } from 'node:net'
import { networkSet } from '../lib/networks'

/**
 * Makes the reader of a caller's address; `X-Forwarded-For` counts only as far as trusted proxies wrote it. The empty text
 * is an address that nobody knows: it is on no list.
 */
export function addressReader(trustedProxies: readonly string[]) {
  const trusted = networkSet(trustedProxies)
  return (headers: Headers, peer: string | null): string => {
    let address = addressIn(peer ?? '')
    if (trustedProxies.length === 0 || !trusted.has(address)) return address
    const hops = (headers.get('x-forwarded-for') ?? '').split(',').map((hop) => hop.trim())
    for (const hop of hops.reverse()) {
      if (hop === '') break
      address = addressIn(hop)
      if (!trusted.has(address)) break
    }
    return address
  }
}

const WITH_PORT = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d{1,5})?$/
const MAPPED = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/

/** An address as proxies write it (in brackets, with a port or a zone, IPv4 inside IPv6), in its one short form. */
function addressIn(text: string): string {
  const found = WITH_PORT.exec(text)
  const bare = (found?.[1] ?? found?.[2] ?? text).split('%')[0] ?? ''
  if (isIPv4(bare)) return bare
  if (!isIPv6(bare)) return ''
  const short = new URL(`http://[${bare}]/`).hostname.slice(1, -1)
  const [, high, low] = MAPPED.exec(short) ?? []
  if (high === undefined || low === undefined) return short
  const groups = [Number.parseInt(high, 16), Number.parseInt(low, 16)]
  return groups.flatMap((group) => [group >> 8, group & 255]).join('.')
}
