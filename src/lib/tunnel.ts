/**
 * Connections through a proxy that a user named: its address is vetted like any other before every connection, and there
 * is no other way. Whatever is asked goes on to the proxy by name, so that nothing about it is looked up here.
 */
import { connect as connectPlain, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { AddressPolicy } from './addresses'
import { addressKind } from './addresses'
import type { Clock } from './clock'
import { ProxyFailed } from './proxy-failed'
import { type Destination, shakeHands } from './proxy-handshake'
import type { ProxyPlace } from './proxy-url'
import { createTargetVetting, urlAllowed, type VettingOptions } from './target'

export type TunnelParts = VettingOptions & {
  clock: Clock
  /** Networks of the owner in which proxies may stand. */
  allowNetworks: readonly string[]
  /** A certificate authority (PEM) of https proxies, beside those the machine trusts. */
  ca?: string
  /** From the first packet until the tunnel stands (ms). */
  connectMs?: number
}

export interface Tunnels {
  /** False when a proxy can never stand there; what its text alone shows. */
  allowed(proxy: ProxyPlace): boolean
  /** Opens a tunnel, with nothing in it yet and paused: resume it once it is read. Rejects with `ProxyFailed`, or with the signal's reason. */
  open(proxy: ProxyPlace, to: Destination, signal?: AbortSignal): Promise<Socket>
  /** Whether the proxy stands in a network that is not public, from which more can be reached than from outside. */
  isInside(proxy: ProxyPlace): Promise<boolean>
}

const CONNECT_MS = 15_000

/** Makes the opener; nothing is connected before the first `open`. */
export function createTunnels(parts: TunnelParts): Tunnels {
  const { clock, connectMs = CONNECT_MS } = parts
  const policy: AddressPolicy = { allowInsecure: false, allowPlain: true, allowNetworks: parts.allowNetworks }
  const vet = createTargetVetting(policy, parts)

  async function addressesOf(proxy: ProxyPlace): Promise<string[]> {
    const target = await vet(placeOf(proxy))
    if (typeof target === 'string') throw new ProxyFailed(target)
    return target.urls.map((url) => new URL(url).hostname.replace(/^\[|\]$/g, ''))
  }

  async function reach(proxy: ProxyPlace, signal: AbortSignal): Promise<Socket> {
    let failure: unknown = new ProxyFailed('unreachable')
    for (const address of await addressesOf(proxy)) {
      if (signal.aborted) throw signal.reason
      try {
        return await connected(proxy, address, parts.ca, signal)
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  return {
    allowed: (proxy) => urlAllowed(placeOf(proxy), policy, parts),
    async isInside(proxy) {
      return (await addressesOf(proxy)).some((address) => addressKind(address) !== 'public')
    },
    async open(proxy, to, signal) {
      const abort = new AbortController()
      const onSignal = () => abort.abort(signal?.reason)
      signal?.addEventListener('abort', onSignal, { once: true })
      if (signal?.aborted) onSignal()
      const disarm = clock.after(connectMs, () => abort.abort(new ProxyFailed('timeout')))
      let socket: Socket | null = null
      const cut = () => socket?.destroy()
      abort.signal.addEventListener('abort', cut, { once: true })
      try {
        socket = await reach(proxy, abort.signal)
        if (abort.signal.aborted) throw abort.signal.reason
        await shakeHands(socket, proxy, to)
        return socket
      } catch (error) {
        socket?.destroy()
        throw abort.signal.aborted ? abort.signal.reason : error
      } finally {
        disarm()
        abort.signal.removeEventListener('abort', cut)
        signal?.removeEventListener('abort', onSignal)
      }
    },
  }
}

/** The proxy's own place, as the vetting of targets reads it. */
const placeOf = ({ host, port }: ProxyPlace): string =>
  `http://${isIP(host) === 6 ? `[${host}]` : host}:${port}/`

/** A connection to the proxy itself; one to an https proxy is encrypted, and its certificate bears the proxy's name. */
function connected(
  { kind, host, port }: ProxyPlace,
  address: string,
  ca: string | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket =
      kind === 'https'
        ? connectTls({
            host: address,
            port,
            ...(isIP(host) === 0 ? { servername: host } : {}),
            ...(ca === undefined ? {} : { ca }),
          })
        : connectPlain(port, address)
    const onAbort = () => {
      socket.destroy()
      reject(signal.reason)
    }
    signal.addEventListener('abort', onAbort, { once: true })
    const done = () => signal.removeEventListener('abort', onAbort)
    // It stays: whatever becomes of the connection later is told to its user as an end, and must not be thrown.
    socket.on('error', (error: NodeJS.ErrnoException) => {
      done()
      reject(new ProxyFailed(CERTIFICATE.test(error.code ?? '') ? 'certificate' : 'unreachable'))
    })
    socket.once('close', () => {
      done()
      reject(new ProxyFailed('closed'))
    })
    socket.once(kind === 'https' ? 'secureConnect' : 'connect', () => {
      done()
      socket.setNoDelay(true)
      resolve(socket)
    })
  })
}

const CERTIFICATE = /CERT|SSL|TLS|SIGNED|VERIFY/i
