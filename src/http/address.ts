/** Where a request comes from: the peer, or what a trusted proxy says of it. */
import { networkSet } from '../lib/networks'

/** Makes the reader of a caller's address; `X-Forwarded-For` counts only as far as trusted proxies wrote it. */
export function addressReader(trustedProxies: readonly string[]) {
  const trusted = networkSet(trustedProxies)
  return (headers: Headers, peer: string | null): string => {
    let address = plain(peer ?? '')
    if (!trusted.has(address)) return address
    const hops = (headers.get('x-forwarded-for') ?? '').split(',').map((hop) => hop.trim())
    for (const hop of hops.reverse()) {
      if (hop === '') break
      address = plain(hop)
      if (!trusted.has(address)) break
    }
    return address
  }
}

const plain = (address: string): string => address.replace(/^::ffff:(?=\d+\.)/i, '')
