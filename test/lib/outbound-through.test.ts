import { afterEach, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { connect } from 'node:net'
import { systemClock } from '../../src/lib/clock'
import type { Outbound } from '../../src/lib/outbound'
import { createOutboundThrough } from '../../src/lib/outbound-through'
import { ProxyFailed } from '../../src/lib/proxy-failed'
import type { Resolve } from '../../src/lib/target'
import type { Tunnels } from '../../src/lib/tunnel'

const PROXY = 'socks5://proxy.example:1080'
const PUBLIC: Resolve = async () => [{ address: '93.184.216.34', family: 4 }]
const PRIVATE: Resolve = async () => [{ address: '10.0.0.7', family: 4 }]

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

/** A client whose tunnels all lead to one server of this machine, and what they were asked for. */
function through(options: { isInside: boolean; resolve?: Resolve; failure?: ProxyFailed }) {
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request) {
      const { pathname } = new URL(request.url)
      if (pathname === '/to-private') return Response.redirect('http://192.168.1.1/', 302)
      if (pathname === '/to-name') return Response.redirect('http://other.example/', 302)
      return new Response(`host ${request.headers.get('host')}`)
    },
  })
  const asked: string[] = []
  const lookedUp: string[] = []
  const direct: string[] = []
  const tunnels: Tunnels = {
    allowed: () => true,
    isInside: async () => options.isInside,
    async open(_proxy, { host, port }) {
      if (options.failure) throw options.failure
      asked.push(`${host}:${port}`)
      const socket = connect(server.port ?? 0, '127.0.0.1')
      await once(socket, 'connect')
      return socket
    },
  }
  ends.push(() => server.stop(true))
  const outboundBy = createOutboundThrough({
    tunnels,
    clock: systemClock,
    policy: { allowInsecure: false, allowPlain: true, allowNetworks: [] },
    resolve: (host) => {
      lookedUp.push(host)
      return (options.resolve ?? PUBLIC)(host)
    },
    fetch: async (url) => {
      direct.push(url)
      return new Response('direct')
    },
  })
  return { outboundBy, client: outboundBy(PROXY), asked, lookedUp, direct }
}

async function got(client: Outbound, url: string): Promise<string> {
  try {
    const { body } = await client.get(url, { maxBytes: 1_000 })
    const pieces: Uint8Array[] = []
    for await (const piece of body) pieces.push(piece)
    return Buffer.concat(pieces).toString()
  } catch (error) {
    return (error as { kind?: string }).kind ?? String(error)
  }
}

describe('through a proxy on the internet', () => {
  test('names are told to the proxy and looked up nowhere', async () => {
    const { client, asked, lookedUp, direct } = through({ isInside: false })
    expect(await got(client, 'http://site.example:8080/')).toBe('host site.example:8080')
    expect(await got(client, 'http://site.example/to-name')).toBe('host other.example')
    expect(asked).toEqual(['site.example:8080', 'site.example:80', 'other.example:80'])
    expect([lookedUp, direct]).toEqual([[], []])
  })

  test.each([
    'http://10.0.0.1/',
    'http://127.1/',
    'http://localhost/',
    'https://169.254.169.254/',
    'http://x.example:22/',
  ])('%s is refused by its text', async (url) => {
    const { client, asked } = through({ isInside: false })
    expect(await got(client, url)).toBe('forbidden')
    expect(asked).toEqual([])
  })

  test('so is a redirect to such a place', async () => {
    const { client, asked } = through({ isInside: false })
    expect(await got(client, 'http://site.example/to-private')).toBe('forbidden')
    expect(asked).toEqual(['site.example:80'])
  })
})

describe('through a proxy inside', () => {
  test('a name that leads to a private address is refused before the proxy is asked', async () => {
    const { client, asked } = through({ isInside: true, resolve: PRIVATE })
    expect(await got(client, 'http://site.example/')).toBe('forbidden')
    expect(asked).toEqual([])
    // The control: a proxy that sees no more than the internet may be asked for that name.
    const outside = through({ isInside: false, resolve: PRIVATE })
    expect(await got(outside.client, 'http://site.example/')).toBe('host site.example')
  })

  test('the proxy is given the vetted address, and the server the name', async () => {
    const { client, asked } = through({ isInside: true })
    expect(await got(client, 'http://site.example/')).toBe('host site.example')
    expect(asked).toEqual(['93.184.216.34:80'])
  })
})

test('a proxy that fails is passed by nowhere', async () => {
  const { client, direct } = through({ isInside: false, failure: new ProxyFailed('refused') })
  expect(await got(client, 'http://site.example/')).toBe('proxy')
  const { outboundBy, direct: others, asked } = through({ isInside: false })
  expect(await got(outboundBy('no proxy at all'), 'http://site.example/')).toBe('proxy')
  expect([direct, others, asked]).toEqual([[], [], []])
  // The control: who has no proxy connects by itself.
  expect(await got(outboundBy(null), 'http://site.example/')).toBe('direct')
})
