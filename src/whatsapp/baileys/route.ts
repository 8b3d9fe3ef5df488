/**
 * The way by which one session reaches WhatsApp: direct, or through its proxy and in no other way.
 *
 * Upstream defect: Baileys takes an `agent` for its socket and an undici `dispatcher` for what it fetches (history, app
 * state, files), and Bun's `fetch` ignores the second, so that files go past the proxy.
 *
 * Repair: the dispatcher is a mere mark that leads to the route's own `fetch` in the wrapper of `media-fetch.ts`. Once a
 * session has a proxy, what Baileys fetches without a mark is refused.
 *
 * Upstream repaired it when a stock socket with `agent` and `dispatcher` shows its downloads in the log of a proxy.
 */
import { type Agent, Agent as PlainAgent } from 'node:http'
import { Agent as TlsAgent } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyFailed } from '../../lib/proxy-failed'
import { parseProxy } from '../../lib/proxy-url'
import type { Tunnels } from '../../lib/tunnel'
import { createTunnelFetch, secured, type TunnelInit } from '../../lib/tunnel-fetch'
import type { PlainFetch } from './media-fetch'

export type Route = {
  /** For the WebSocket; null = Bun's own connection. */
  agent: Agent | null
  /** Marks what Baileys fetches for this session. */
  dispatcher: object
  fetch: PlainFetch
  /** Nothing new goes this way any more. */
  stop(): void
}

export interface Routes {
  /** The route of a session's connection; `onFailure` hears why its WebSocket could not be opened. */
  through(proxyUrl: string | null, onFailure: (error: ProxyFailed) => void): Route
  /** The `fetch` of a mark; null when there is none, and it may go where everybody's goes. Throws when it may not. */
  marked(dispatcher: unknown): PlainFetch | null
}

/** Thrown in place of a request that names no route while some sessions must not be seen without theirs. */
export class NoRoute extends Error {
  constructor() {
    super('This request belongs to no session, and some sessions have proxies')
    this.name = 'NoRoute'
  }
}

export type RoutesOptions = {
  tunnels: Tunnels
  /** `fetch` as it was before anything was put around it. */
  direct: PlainFetch
  /** WhatsApp's WebSocket is one over TLS. */
  encrypted: boolean
  /** The authority (PEM) of its certificate, where it is none that the machine trusts. */
  ca?: string
}

export function createRoutes(options: RoutesOptions): Routes {
  const { tunnels, direct, encrypted, ca } = options
  const marks = new WeakMap<object, PlainFetch>()
  let isAnyProxied = false

  const route = (agent: Agent | null, fetch: PlainFetch, stop: () => void): Route => {
    const dispatcher = {}
    marks.set(dispatcher, fetch)
    return { agent, dispatcher, fetch, stop }
  }

  return {
    through(proxyUrl, onFailure) {
      if (proxyUrl === null) {
        // What the environment names is no proxy of ours: WebSockets would not go by it either.
        const withoutProxy: PlainFetch = (input, init) =>
          direct(input, { ...init, proxy: false } as BunFetchRequestInit & { tls?: { ca?: string } })
        return route(null, withoutProxy, () => undefined)
      }
      isAnyProxied = true
      const ended = new AbortController()
      const place = parseProxy(proxyUrl)
      const open = async (to: { host: string; port: number }, signal?: AbortSignal): Promise<Socket> => {
        if (place === null) throw new ProxyFailed('unknown')
        const signals = signal ? AbortSignal.any([signal, ended.signal]) : ended.signal
        return await tunnels.open(place, to, signals)
      }
      const connect = async ({ host, port }: { host: string; port: number }): Promise<Duplex> => {
        try {
          const raw = await open({ host, port })
          return encrypted ? await secured(raw, host, ca, ended.signal) : raw
        } catch (error) {
          if (!ended.signal.aborted)
            onFailure(error instanceof ProxyFailed ? error : new ProxyFailed('tampered'))
          throw error
        }
      }
      const fetch = createTunnelFetch(open)
      return route(
        agentOver(connect, encrypted),
        (input, init) => fetch(input instanceof Request ? input.url : input, init as TunnelInit | undefined),
        () => ended.abort(new ProxyFailed('closed')),
      )
    },
    marked(dispatcher) {
      const found = typeof dispatcher === 'object' && dispatcher !== null ? marks.get(dispatcher) : undefined
      if (found) return found
      if (isAnyProxied) throw new NoRoute()
      return null
    },
  }
}

type Asked = { host?: string | null | undefined; port?: string | number | null | undefined }

/** An agent whose connections are made by `connect` alone. */
function agentOver(
  connect: (to: { host: string; port: number }) => Promise<Duplex>,
  encrypted: boolean,
): Agent {
  const agent = encrypted ? new TlsAgent() : new PlainAgent()
  const usual = encrypted ? 443 : 80
  agent.createConnection = (asked: Asked, done?: (error: Error | null, stream: Duplex) => void) => {
    connect({ host: asked.host ?? '', port: Number(asked.port ?? usual) }).then(
      (stream) => {
        done?.(null, stream)
        // It stands still until whoever has asked for it reads.
        setImmediate(() => stream.resume())
      },
      (error: unknown) => done?.(error instanceof Error ? error : new Error(String(error)), null as never),
    )
    return undefined
  }
  return agent
}
