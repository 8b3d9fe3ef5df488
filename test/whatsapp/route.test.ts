import { afterEach, describe, expect, test } from 'bun:test'
import { DEFAULT_ORIGIN, downloadContentFromMessage } from '@whiskeysockets/baileys'
import { systemClock } from '../../src/lib/clock'
import type { ProxyFailed } from '../../src/lib/proxy-failed'
import { createTunnels } from '../../src/lib/tunnel'
import { issueHostCertificate } from '../../src/sandbox/tls-certificate'
import { guardFetch, guardMediaFetch, type PlainFetch } from '../../src/whatsapp/baileys/media-fetch'
import { createRoutes, NoRoute, type Route } from '../../src/whatsapp/baileys/route'
import { WHATSAPP_ENDPOINT } from '../../src/whatsapp/baileys/trust'
import { type ProxyKind, startProxy } from '../harness/proxy'

type Socket = {
  send(data: string): void
  close(): void
  on(event: 'open' | 'message' | 'error', listener: (what: unknown) => void): void
}
/** What Baileys makes its connections with; it has no types of its own. */
const WebSocket: new (url: string, options: object) => Socket = require('ws')

const NAME = 'whatsapp.invalid'
const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A WebSocket over TLS behind a proxy, and a route to it. */
async function rig(kind: ProxyKind, trusted: boolean) {
  const certificate = issueHostCertificate(NAME, Date.now())
  const origins: (string | null)[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { key: certificate.keyPem, cert: certificate.certPem },
    fetch(request, running) {
      origins.push(request.headers.get('origin'))
      return running.upgrade(request) ? undefined : new Response('no')
    },
    websocket: { message: (ws, data) => void ws.send(data) },
  })
  const proxy = await startProxy(kind, { names: [NAME] })
  ends.push(
    () => server.stop(true),
    () => proxy.stop(),
  )
  const failures: string[] = []
  const routes = createRoutes({
    tunnels: createTunnels({ clock: systemClock, allowNetworks: ['127.0.0.0/8'], ca: proxy.ca }),
    direct: fetch as PlainFetch,
    encrypted: true,
    ...(trusted ? { ca: certificate.caPem } : {}),
  })
  const route = routes.through(proxy.url, ({ kind: why }: ProxyFailed) => failures.push(why))
  ends.push(() => route.stop())
  return { route, proxy, failures, origins, place: `${NAME}:${server.port}` }
}

/** What a WebSocket by this route says back, or how it fails. */
const echoed = ({ agent }: Route, place: string): Promise<string> =>
  new Promise((resolve) => {
    const ws = new WebSocket(`wss://${place}/ws/chat`, {
      origin: DEFAULT_ORIGIN,
      ...(agent ? { agent } : {}),
    })
    ws.on('open', () => ws.send('hello'))
    ws.on('message', (data) => {
      ws.close()
      resolve(String(data))
    })
    ws.on('error', (error) => resolve((error as Error).name))
  })

describe.each<ProxyKind>(['http', 'https', 'socks5'])('a WebSocket over TLS (%s)', (kind) => {
  test('goes by the proxy, under its own certificate', async () => {
    const { route, proxy, place, failures, origins } = await rig(kind, true)
    expect(await echoed(route, place)).toBe('hello')
    expect([proxy.asked, failures, origins]).toEqual([[place], [], [DEFAULT_ORIGIN]])
  })

  test('is not opened to whoever cannot prove to be WhatsApp, a proxy that reads along least of all', async () => {
    const { route, proxy, place, failures, origins } = await rig(kind, false)
    expect(await echoed(route, place)).not.toBe('hello')
    expect([proxy.asked, failures, origins]).toEqual([[place], ['tampered'], []])
  })
})

describe('what Baileys fetches', () => {
  const media = { url: 'https://mmg.whatsapp.net/v/x', directPath: '/v/x', mediaKey: new Uint8Array(32) }
  /** Baileys' own download, which is that of histories and of the app state as well. */
  const download = async (dispatcher?: object): Promise<string> => {
    try {
      const options = dispatcher ? ({ dispatcher } as RequestInit) : {}
      await downloadContentFromMessage(media, 'image', { options })
      return 'fetched'
    } catch (error) {
      const { name, output } = error as Error & { output?: { statusCode: number } }
      return output?.statusCode === 404 ? 'not found' : name
    }
  }
  const routesTo = (direct: PlainFetch) =>
    createRoutes({
      tunnels: createTunnels({ clock: systemClock, allowNetworks: ['127.0.0.0/8'] }),
      direct,
      encrypted: true,
    })

  test('bears the mark of its session, and goes by that session’s way alone', async () => {
    const direct: string[] = []
    const noted: PlainFetch = async (input) => {
      direct.push(String(input))
      return new Response(null, { status: 404 })
    }
    const routes = routesTo(noted)
    ends.push(guardMediaFetch(WHATSAPP_ENDPOINT, routes.marked))
    const proxy = await startProxy('socks5')
    ends.push(() => proxy.stop())
    proxy.behave('refuse')
    const plain = routes.through(null, () => undefined)
    expect(await download(plain.dispatcher)).toBe('not found')
    expect(direct).toEqual(['https://mmg.whatsapp.net/v/x'])
    const proxied = routes.through(proxy.url, () => undefined)
    expect(await download(proxied.dispatcher)).toBe('ProxyFailed')
    expect(proxy.asked).toEqual(['mmg.whatsapp.net:443'])
    // Now that somebody has a proxy, nothing goes without saying whose it is.
    expect(await download()).toBe('NoRoute')
    expect(direct.length).toBe(1)
    // A route that has ended leads nowhere.
    proxied.stop()
    expect(await download(proxied.dispatcher)).toBe('ProxyFailed')
    expect(proxy.asked.length).toBe(1)
  })

  test('the control: as long as nobody has a proxy, a request without a mark passes', async () => {
    const asked: unknown[] = []
    const inner: PlainFetch = async (_, init) => {
      asked.push(init)
      return new Response('x')
    }
    const routes = routesTo(inner)
    const guarded = guardFetch(inner, WHATSAPP_ENDPOINT, routes.marked)
    await guarded('https://mmg.whatsapp.net/x', { headers: { Origin: DEFAULT_ORIGIN } })
    expect(asked).toEqual([{ headers: { Origin: DEFAULT_ORIGIN }, redirect: 'error' }])
    routes.through('http://127.0.0.1:49151', () => undefined)
    const refused = guarded('https://mmg.whatsapp.net/x', { headers: { Origin: DEFAULT_ORIGIN } })
    await expect(refused).rejects.toBeInstanceOf(NoRoute)
    // What is not WhatsApp's concerns none of this.
    await guarded('https://example.com/')
    expect(asked.length).toBe(2)
  })
})
