import { afterEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../src/lib/clock'
import { maskedProxy, type ProxyPlace, parseProxy } from '../../src/lib/proxy-url'
import { createTunnels, type TunnelParts } from '../../src/lib/tunnel'
import { createTunnelFetch } from '../../src/lib/tunnel-fetch'
import { issueHostCertificate } from '../../src/sandbox/tls-certificate'
import { type ProxyKind, startProxy, type TestProxy, type TestProxyOptions } from '../harness/proxy'

const KINDS: readonly ProxyKind[] = ['http', 'https', 'socks5']
const NAME = 'media.example'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function proxyOf(kind: ProxyKind, options?: TestProxyOptions): Promise<TestProxy> {
  const proxy = await startProxy(kind, { names: [NAME], ...options })
  ends.push(() => proxy.stop())
  return proxy
}

const placeOf = (text: string): ProxyPlace => {
  const place = parseProxy(text)
  if (!place) throw new Error(`${text} is no proxy`)
  return place
}

const tunnelsFor = (also: Partial<TunnelParts> = {}) =>
  createTunnels({
    clock: systemClock,
    allowNetworks: ['127.0.0.0/8'],
    connectMs: 60_000,
    resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    ...also,
  })

const fetchVia = (proxy: TestProxy, also: Partial<TunnelParts> = {}) => {
  const tunnels = tunnelsFor({ ca: proxy.ca, ...also })
  return createTunnelFetch((to, signal) => tunnels.open(placeOf(proxy.url), to, signal))
}

/** What is behind the proxy: says back how much it got, or sends three megabytes. */
function server(name: string = NAME) {
  const certificate = issueHostCertificate(name, Date.now())
  const seen: { host: string; headers: Headers }[] = []
  const running = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    tls: { key: certificate.keyPem, cert: certificate.certPem },
    async fetch(request) {
      seen.push({ host: new URL(request.url).hostname, headers: new Headers(request.headers) })
      const { pathname } = new URL(request.url)
      if (pathname === '/away') return Response.redirect('https://elsewhere.example/', 302)
      if (pathname === '/nothing') return new Response(null, { status: 204 })
      if (request.method === 'POST') return Response.json({ bytes: (await request.arrayBuffer()).byteLength })
      return new Response(new Uint8Array(3_000_000).fill(7))
    },
  })
  ends.push(() => running.stop(true))
  return { url: `https://${name}:${running.port}`, ca: certificate.caPem, seen, port: running.port }
}

const failure = (outcome: Promise<unknown>): Promise<{ name: string; kind?: string; message: string }> =>
  outcome.then(
    () => ({ name: 'none', message: 'it went through' }),
    (error) => error,
  )

describe('a proxy’s address', () => {
  test.each([
    ['http://proxy.example:3128', { kind: 'http', host: 'proxy.example', port: 3128 }],
    ['https://proxy.example', { kind: 'https', host: 'proxy.example', port: 443 }],
    ['http://proxy.example', { kind: 'http', host: 'proxy.example', port: 80 }],
    ['socks5://proxy.example', { kind: 'socks5', host: 'proxy.example', port: 1080 }],
    ['socks5://proxy.example:80', { kind: 'socks5', host: 'proxy.example', port: 80 }],
    ['socks5://proxy.example:443/', { kind: 'socks5', host: 'proxy.example', port: 443 }],
    [
      'SOCKS5H://u:p@[2001:db8::1]:9',
      { kind: 'socks5', host: '2001:db8::1', port: 9, username: 'u', password: 'p' },
    ],
    ['socks5://2130706433:1', { kind: 'socks5', host: '127.0.0.1', port: 1 }],
    ['http://a%3Ab:c@proxy.example:1', null],
    ['socks5://a%3Ab:c%40d@h:1', { kind: 'socks5', host: 'h', port: 1, username: 'a:b', password: 'c@d' }],
    [`socks5://${'u'.repeat(256)}:p@h:1`, null],
    ['http://u%0d%0aX:p@h:1', null],
    ['http://:p@h:1', null],
    ['http://h:0', null],
    ['http://h:70000', null],
    ['http://h:1/path', null],
    ['http://h:1?x', null],
    ['http://h:1#x', null],
    ['http://h\\x:1', null],
    ['socks4://h:1', null],
    ['ftp://h:1', null],
    ['h:1', null],
    ['', null],
  ])('%s', (text, expected) => {
    expect(parseProxy(text)).toEqual(
      (expected && { username: null, password: null, ...expected }) as ProxyPlace | null,
    )
  })

  test.each([
    ['socks5://user:secret@h:1', 'socks5://user:***@h:1'],
    ['http://user:se@cr:et@h:1', 'http://user:***@h:1'],
    ['http://user@h:1', 'http://user@h:1'],
    ['http://h:1', 'http://h:1'],
  ])('%s is shown as %s', (text, shown) => {
    expect(maskedProxy(text)).toBe(shown)
  })
})

describe.each(KINDS)('through a proxy (%s)', (kind) => {
  const credentials = { username: 'träger', password: 'p:a@ß' }

  test('files go both ways, by name, and the certificate behind it is verified', async () => {
    const proxy = await proxyOf(kind, { credentials })
    const behind = server()
    const fetch = fetchVia(proxy)
    const tls = { ca: behind.ca }
    const down = await fetch(`${behind.url}/file`, { tls })
    expect((await down.bytes()).byteLength).toBe(3_000_000)
    const pieces = new ReadableStream<Uint8Array>({
      start(controller) {
        for (let i = 0; i < 40; i += 1) controller.enqueue(new Uint8Array(50_000))
        controller.close()
      },
    })
    const up = await fetch(behind.url, {
      method: 'POST',
      body: pieces,
      headers: { 'Content-Length': '2000000' },
      tls,
    })
    expect(await up.json()).toEqual({ bytes: 2_000_000 })
    expect(proxy.asked).toEqual([`${NAME}:${behind.port}`, `${NAME}:${behind.port}`])
    expect(behind.seen[1]?.headers.get('transfer-encoding')).toBe(null)
    expect(behind.seen[1]?.headers.get('proxy-authorization')).toBe(null)
  })

  test('a certificate of another name or authority ends it', async () => {
    const proxy = await proxyOf(kind)
    const behind = server()
    const other = server('other.example')
    const fetch = fetchVia(proxy)
    expect(await failure(fetch(behind.url))).toMatchObject({
      code: expect.stringMatching(/SIGNED|VERIFY|ISSUER/),
    })
    const renamed = `https://${NAME}:${other.port}`
    expect(await failure(fetch(renamed, { tls: { ca: other.ca } }))).toMatchObject({
      code: 'ERR_TLS_CERT_ALTNAME_INVALID',
    })
    expect(other.seen).toEqual([])
    // The control: with the name that it does bear, it is taken.
    const named = await fetch(renamed, { tls: { ca: other.ca, serverName: 'other.example' } })
    expect(named.status).toBe(200)
    await named.body?.cancel()
  })

  test('redirects are handed out or refused, never followed; an empty answer is one', async () => {
    const proxy = await proxyOf(kind)
    const behind = server()
    const fetch = fetchVia(proxy)
    const tls = { ca: behind.ca }
    const away = await fetch(`${behind.url}/away`, { tls, redirect: 'manual' })
    expect([away.status, away.headers.get('location')]).toEqual([302, 'https://elsewhere.example/'])
    await away.body?.cancel()
    expect((await failure(fetch(`${behind.url}/away`, { tls }))).message).toContain('redirect')
    expect((await fetch(`${behind.url}/nothing`, { tls })).status).toBe(204)
    expect(new Set(proxy.asked)).toEqual(new Set([`${NAME}:${behind.port}`]))
  })

  test.each([
    ['refuse', 'refused'],
    ['no_way_on', 'no_way_on'],
    ['babble', 'no_proxy'],
  ] as const)('what %s means is told in words', async (behaviour, expected) => {
    const proxy = await proxyOf(kind)
    proxy.behave(behaviour)
    const told = await failure(fetchVia(proxy)('http://media.example/'))
    expect(told).toMatchObject({ name: 'ProxyFailed', kind: expected })
    expect(told.message).not.toMatch(/\d|media/)
  })

  test('a wrong password, a closed port and silence each have their words', async () => {
    const proxy = await proxyOf(kind, { credentials })
    const tunnels = tunnelsFor({ ca: proxy.ca })
    const to = { host: NAME, port: 9 }
    const without = { ...placeOf(proxy.url), username: null, password: null }
    const wrong = { ...placeOf(proxy.url), password: 'wrong' }
    expect(await failure(tunnels.open(without, to))).toMatchObject({ kind: 'credentials' })
    expect(await failure(tunnels.open(wrong, to))).toMatchObject({ kind: 'credentials' })
    expect(proxy.asked).toEqual([])
    proxy.behave('silent')
    const hasty = tunnelsFor({ ca: proxy.ca, connectMs: 50 })
    expect(await failure(hasty.open(placeOf(proxy.url), to))).toMatchObject({ kind: 'timeout' })
    const abort = new AbortController()
    const waiting = failure(tunnels.open(placeOf(proxy.url), to, abort.signal))
    abort.abort(new Error('given up'))
    expect((await waiting).message).toBe('given up')
    await proxy.down()
    expect(await failure(tunnels.open(placeOf(proxy.url), to))).toMatchObject({ kind: 'unreachable' })
  })
})

test('the certificate of an https proxy bears the proxy’s name', async () => {
  const proxy = await proxyOf('https', { certificateFor: 'proxy.example' })
  const to = { host: NAME, port: 9 }
  const place = placeOf(proxy.url)
  expect(await failure(tunnelsFor().open(place, to))).toMatchObject({ kind: 'certificate' })
  const trusting = tunnelsFor({ ca: proxy.ca })
  expect(await failure(trusting.open({ ...place, host: 'another.example' }, to))).toMatchObject({
    kind: 'certificate',
  })
  expect(proxy.asked).toEqual([])
  // The control: the right name and authority get as far as the question.
  await failure(trusting.open(place, to))
  expect(proxy.asked).toEqual([`${NAME}:9`])
})

describe('where a proxy may stand', () => {
  const PUBLIC_ONLY = { allowNetworks: [] }
  test.each([
    'http://127.0.0.1:3128',
    'socks5://2130706433:1080',
    'http://localhost:3128',
    'socks5://[::1]:1080',
    'http://10.0.0.1:3128',
    'http://169.254.169.254:3128',
    'socks5://metadata.google.internal',
    'http://[::ffff:127.0.0.1]:3128',
    'http://proxy.example:22',
    'http://proxy.example:6379',
  ])('%s is refused by its text', (text) => {
    expect(tunnelsFor(PUBLIC_ONLY).allowed(placeOf(text))).toBe(false)
  })

  test('an allowed network opens it, the metadata service never', () => {
    const tunnels = tunnelsFor({ allowNetworks: ['127.0.0.0/8', '169.254.0.0/16'] })
    expect(tunnels.allowed(placeOf('http://127.0.0.1:3128'))).toBe(true)
    expect(tunnels.allowed(placeOf('socks5://user:pass@127.0.0.1:1080'))).toBe(true)
    expect(tunnels.allowed(placeOf('http://169.254.169.254:3128'))).toBe(false)
  })

  test('a name that leads inside is refused at every connection', async () => {
    const proxy = await proxyOf('http')
    const tunnels = tunnelsFor(PUBLIC_ONLY)
    const place = { ...placeOf(proxy.url), host: 'proxy.example' }
    expect(tunnels.allowed(place)).toBe(true)
    expect(await failure(tunnels.open(place, { host: NAME, port: 9 }))).toMatchObject({ kind: 'forbidden' })
    expect(proxy.taken).toBe(0)
    // The control: the same name is connected to when its network is allowed.
    await failure(tunnelsFor().open(place, { host: NAME, port: 9 }))
    expect(proxy.taken).toBe(1)
  })
})

test('a proxy of the environment is not asked', async () => {
  const proxy = await proxyOf('http')
  const other = await proxyOf('http')
  const behind = server()
  process.env.HTTPS_PROXY = other.url
  ends.push(() => delete process.env.HTTPS_PROXY)
  const answer = await fetchVia(proxy)(`${behind.url}/nothing`, { tls: { ca: behind.ca } })
  expect([answer.status, proxy.taken, other.taken]).toEqual([204, 1, 0])
})

test('a body that ends too early is an error, and an abort ends it', async () => {
  const proxy = await proxyOf('socks5')
  const behind = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(socket) {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf')
        socket.end()
      },
    },
  })
  ends.push(() => behind.stop(true))
  const answer = await fetchVia(proxy)(`http://${NAME}:${behind.port}/`)
  expect((await failure(answer.bytes())).name).not.toBe('none')
  const long = server()
  const abort = new AbortController()
  const open = await fetchVia(proxy)(`${long.url}/file`, { signal: abort.signal, tls: { ca: long.ca } })
  abort.abort()
  expect((await failure(open.bytes())).name).not.toBe('none')
})
