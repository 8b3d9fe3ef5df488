/**
 * The guarded client by way of a proxy. What is asked is told to the proxy by name and judged by its text here: the
 * connection comes from the proxy's network, where this server has nothing to lose. A proxy that stands inside a private
 * network could reach more than whoever asks may see, so there a name is resolved and vetted here first, as without proxy.
 */
import { isIP } from 'node:net'
import type { Clock } from './clock'
import { createOutbound, type Outbound } from './outbound'
import type { OutboundParts } from './outbound-request'
import { ProxyFailed } from './proxy-failed'
import { type ProxyPlace, parseProxy } from './proxy-url'
import { createTargetVetting, type Refused, type Target, urlAllowed } from './target'
import type { Tunnels } from './tunnel'
import { createTunnelFetch } from './tunnel-fetch'

export type OutboundThroughParts = Omit<OutboundParts, 'vet'> & { tunnels: Tunnels; clock: Clock }

/** Makes the client of whoever goes by this proxy; null = none, the client as it is. */
export function createOutboundThrough(parts: OutboundThroughParts): (proxyUrl: string | null) => Outbound {
  const { tunnels, policy } = parts
  const direct = createOutbound(parts)
  const vetDirect = createTargetVetting(policy, parts)

  const vetThrough =
    (proxy: ProxyPlace) =>
    async (url: string): Promise<Target | Refused> => {
      if (await tunnels.isInside(proxy)) return await vetDirect(url)
      return urlAllowed(url, policy, parts) ? asItIs(url) : 'forbidden'
    }

  return (proxyUrl) => {
    if (proxyUrl === null) return direct
    const proxy = parseProxy(proxyUrl)
    const fetch = createTunnelFetch((to, signal) => {
      if (proxy === null) throw new ProxyFailed('unknown')
      return tunnels.open(proxy, to, signal)
    })
    return createOutbound({
      ...parts,
      fetch: (url, { method, headers, body, signal, redirect, tls }) =>
        fetch(url, {
          method,
          headers,
          body: body as string,
          signal,
          redirect,
          tls: tls as { serverName?: string },
        }),
      vet: proxy === null ? asItIs : vetThrough(proxy),
    })
  }
}

/** To be connected to by the proxy, which looks the name up. */
function asItIs(text: string): Target {
  const url = new URL(text)
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.+$/, '')
  const encrypted = url.protocol === 'https:'
  return { urls: [text], host: url.host, serverName: encrypted && isIP(host) === 0 ? host : null }
}
