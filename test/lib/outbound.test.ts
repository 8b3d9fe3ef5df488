import { afterEach, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import type { AddressPolicy } from '../../src/lib/addresses'
import { systemClock } from '../../src/lib/clock'
import { createOutbound, type GetOptions, type Outbound } from '../../src/lib/outbound'
import { type Fetch, OutboundError } from '../../src/lib/outbound-request'
import type { Resolve } from '../../src/lib/target'
import { issueHostCertificate } from '../../src/sandbox/tls-certificate'
import { FORBIDDEN_URLS } from './forbidden-urls'

const STRICT: AddressPolicy = { allowInsecure: false, allowNetworks: [], allowPlain: true }
const LOCAL: AddressPolicy = { allowInsecure: true, allowNetworks: [] }
const MIB = 1024 * 1024

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const clientOf = (also: { policy?: AddressPolicy; resolve?: Resolve; fetch?: Fetch } = {}): Outbound =>
  createOutbound({ clock: systemClock, policy: LOCAL, fetch: (url, init) => fetch(url, init), ...also })
const at =
  (...addresses: string[]): Resolve =>
  async () =>
    addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))

/** An HTTP server whose requests are counted. */
function serve(
  answer: (request: Request) => Response | Promise<Response>,
  tls?: { key: string; cert: string },
) {
  const asked: { url: string; headers: Headers }[] = []
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    ...(tls ? { tls } : {}),
    fetch(request) {
      // Taken at once: Bun forgets them with the request.
      asked.push({ url: request.url, headers: new Headers(request.headers) })
      return answer(request)
    },
  })
  ends.push(() => server.stop(true))
  return {
    asked,
    port: server.port ?? 0,
    url: server.url.href,
    path: (path: string) => `${server.url}${path}`,
  }
}

/** A server that answers with bytes of its own; tells when a connection has ended. */
async function serveBytes(answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const { promise: ended, resolve } = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => resolve())
    socket.once('data', () => answer(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`, ended }
}

/** The whole body, or the kind of the failure. */
async function read(client: Outbound, url: string, options: Partial<GetOptions> = {}) {
  try {
    const { body, ...answer } = await client.get(url, { maxBytes: MIB, ...options })
    const pieces: Uint8Array[] = []
    for await (const piece of body) pieces.push(piece)
    return { ...answer, text: Buffer.concat(pieces).toString(), kind: null, status: answer.status }
  } catch (error) {
    if (!(error instanceof OutboundError)) throw error
    return { text: '', kind: error.kind, status: error.status, says: error.message, url: '' }
  }
}

describe('a file', () => {
  test('is read as a stream, under the name of the URL, from the vetted address', async () => {
    const server = serve(() => new Response('hello'))
    const names: string[] = []
    const client = clientOf({
      resolve: async (host) => {
        names.push(host)
        return [{ address: '127.0.0.1', family: 4 }]
      },
    })
    const answer = await read(client, `http://files.example:${server.port}/a?b=1#c`, { accept: 'image/*' })
    expect(answer).toMatchObject({ text: 'hello', status: 200, kind: null })
    expect(names).toEqual(['files.example'])
    const [asked] = server.asked
    expect(asked?.url).toBe(`http://files.example:${server.port}/a?b=1`)
    expect(asked?.headers.get('accept')).toBe('image/*')
    expect(asked?.headers.get('accept-encoding')).toBe('identity')
    expect(asked?.headers.get('user-agent')).toBe('Wabun/1')
  })

  test.each(FORBIDDEN_URLS.map((url) => [url.slice(0, 50), url]))(
    'is not asked for at %s',
    async (_, url) => {
      const client = clientOf({ policy: STRICT, fetch: () => Promise.reject(new Error('was asked')) })
      expect(await read(client, url)).toMatchObject({
        kind: 'forbidden',
        says: 'An outbound request failed: forbidden',
      })
    },
  )

  test('is not asked for at a name with any address that is not public; control: with public ones alone it is', async () => {
    const asked: string[] = []
    const noting: Fetch = async (url) => {
      asked.push(url)
      return new Response('x')
    }
    for (const address of [
      '127.0.0.1',
      '10.0.0.1',
      '169.254.169.254',
      '::1',
      '::ffff:127.0.0.1',
      'fe80::1',
    ]) {
      const client = clientOf({ policy: STRICT, resolve: at('8.8.8.8', address), fetch: noting })
      expect(await read(client, 'https://mixed.example/')).toMatchObject({ kind: 'forbidden' })
    }
    expect(asked).toEqual([])
    const open = clientOf({ policy: STRICT, resolve: at('8.8.8.8'), fetch: noting })
    expect(await read(open, 'https://public.example/')).toMatchObject({ kind: null, text: 'x' })
    expect(asked).toEqual(['https://8.8.8.8/'])
  })

  test('is asked for at the address that was vetted, whatever the name means a moment later', async () => {
    const inner = serve(() => new Response('secret'))
    const answers = [['127.0.0.2'], ['127.0.0.1']]
    let lookUps = 0
    const client = clientOf({
      policy: { allowInsecure: false, allowNetworks: ['127.0.0.2/32'] },
      resolve: async () => {
        lookUps += 1
        return (answers.shift() ?? []).map((address) => ({ address, family: 4 }))
      },
    })
    const url = `http://turns.example:${inner.port}/`
    // Nothing listens at 127.0.0.2, and the name is not asked again, so the server at 127.0.0.1 hears nothing.
    expect(await read(client, url)).toMatchObject({ kind: 'not_connected' })
    expect(lookUps).toBe(1)
    // The next request looks again, and is refused for what the name means then.
    expect(await read(client, url)).toMatchObject({ kind: 'forbidden' })
    expect(inner.asked).toHaveLength(0)
  })

  test('is asked for at the next address when the first takes no connection', async () => {
    const server = serve(() => new Response('second'))
    const client = clientOf({ resolve: at('127.0.0.77', '127.0.0.1') })
    expect(await read(client, `http://two.example:${server.port}/`)).toMatchObject({ text: 'second' })
  })

  test('of a name that nobody knows is told so', async () => {
    const client = clientOf({ resolve: () => Promise.reject(new Error('ENOTFOUND 10.0.0.53')) })
    expect(await read(client, 'https://nowhere.example/')).toMatchObject({ kind: 'unresolved' })
  })

  test('is asked for without the proxies of the environment', async () => {
    const server = serve(() => new Response('direct'))
    const before = process.env.HTTP_PROXY
    process.env.HTTP_PROXY = 'http://127.0.0.1:9'
    ends.push(() => {
      if (before === undefined) delete process.env.HTTP_PROXY
      else process.env.HTTP_PROXY = before
    })
    expect(await read(clientOf(), server.url)).toMatchObject({ text: 'direct' })
    const proxied = clientOf({ fetch: (url, { proxy: _, ...init }) => fetch(url, init) })
    expect((await read(proxied, server.url)).kind).not.toBeNull()
  })

  test.each([204, 400, 401, 404, 410, 500, 503])('that is answered with %d', async (status) => {
    const server = serve(() => new Response(null, { status }))
    expect(await read(clientOf(), server.url)).toMatchObject({
      kind: status === 204 ? null : 'status',
      status,
    })
  })
})

describe('a redirect', () => {
  const redirect = (location: string | null, status = 302) =>
    new Response(null, { status, headers: location === null ? {} : { location } })

  test.each([301, 302, 303, 307, 308])('%d is followed, relative or not', async (status) => {
    const other = serve(() => new Response('there'))
    const server = serve((request) =>
      new URL(request.url).pathname === '/a'
        ? redirect('/b?x=1', status)
        : redirect(other.path('end'), status),
    )
    expect(await read(clientOf(), server.path('a'))).toMatchObject({ text: 'there', url: other.path('end') })
    expect(server.asked.map(({ url }) => url)).toEqual([server.path('a'), server.path('b?x=1')])
  })

  test('is vetted like the first address: one that leads inside ends there', async () => {
    const inner = serve(() => new Response('secret'))
    const targets = [
      inner.url,
      'http://169.254.169.254/latest/meta-data/',
      'file:///etc/passwd',
      'http://inside.example/',
    ]
    for (const target of targets) {
      const outer = serve(() => redirect(target))
      const client = clientOf({
        policy: { allowInsecure: false, allowNetworks: ['127.0.0.9/32'] },
        resolve: async (host) => [
          { address: host === 'inside.example' ? '10.0.0.1' : '127.0.0.9', family: 4 },
        ],
        // 127.0.0.9 stands for a public address here.
        fetch: (url, init) => fetch(url.replace('127.0.0.9', '127.0.0.1'), init),
      })
      expect(await read(client, `http://outside.example:${outer.port}/`)).toMatchObject({ kind: 'forbidden' })
      expect(outer.asked).toHaveLength(1)
    }
    expect(inner.asked).toHaveLength(0)
    // The control: the same way through is open when the address is allowed.
    const outer = serve(() => redirect(inner.url))
    expect(await read(clientOf(), outer.url)).toMatchObject({ text: 'secret' })
  })

  test('is followed three times and no more, and not at all when asked so', async () => {
    const server = serve((request) => {
      const left = Number(new URL(request.url).pathname.slice(1))
      return left === 0 ? new Response('end') : redirect(`/${left - 1}`)
    })
    expect(await read(clientOf(), server.path('3'))).toMatchObject({ text: 'end' })
    expect(await read(clientOf(), server.path('4'))).toMatchObject({ kind: 'redirect', status: 302 })
    expect(await read(clientOf(), server.path('1'), { maxRedirects: 0 })).toMatchObject({ kind: 'redirect' })
  })

  test('to nowhere is a failure', async () => {
    for (const location of [null, 'http://']) {
      const server = serve(() => redirect(location))
      expect(await read(clientOf(), server.url)).toMatchObject({ kind: 'redirect' })
    }
  })

  test('never leaves TLS', async () => {
    const plain = serve(() => new Response('in the open'))
    const { keyPem, certPem, caPem } = issueHostCertificate('127.0.0.1', Date.now())
    const secure = serve(() => redirect(plain.url), { key: keyPem, cert: certPem })
    const trusting = clientOf({
      fetch: (url, init) => fetch(url, { ...init, tls: { ...init.tls, ca: caPem } }),
    })
    expect(await read(trusting, secure.url)).toMatchObject({ kind: 'redirect' })
    expect(plain.asked).toHaveLength(0)
  })
})

describe('a server that misbehaves', () => {
  const HEAD = 'HTTP/1.1 200 OK\r\n'

  test('and says at once that the file is too large is not listened to', async () => {
    const { url, ended } = await serveBytes((socket) =>
      socket.write(`${HEAD}Content-Length: 10000000000\r\n\r\nabc`),
    )
    expect(await read(clientOf(), url)).toMatchObject({ kind: 'too_large' })
    await ended
  })

  test('and never stops is cut at the cap, and its connection ends', async () => {
    const { url, ended } = await serveBytes((socket) => {
      socket.write(`${HEAD}\r\n`)
      const flood = () => {
        while (socket.writable && socket.write('x'.repeat(64 * 1024)));
      }
      socket.on('drain', flood)
      flood()
    })
    const { body } = await clientOf().get(url, { maxBytes: MIB })
    let got = 0
    const reading = (async () => {
      for await (const piece of body) got += piece.length
    })()
    await expect(reading).rejects.toMatchObject({ kind: 'too_large' })
    expect(got).toBeLessThanOrEqual(MIB)
    await ended
  })

  test('and sends a bomb has it unpacked to the cap and no further', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * MIB))
    const server = serve(() => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }))
    const before = process.memoryUsage.rss()
    expect(await read(clientOf(), server.url, { maxBytes: 2 * MIB })).toMatchObject({ kind: 'too_large' })
    expect(process.memoryUsage.rss() - before).toBeLessThan(100 * MIB)
  })

  test('and packs what nobody asked to be packed is understood', async () => {
    const server = serve(() => new Response(gzipSync('packed'), { headers: { 'content-encoding': 'gzip' } }))
    expect(await read(clientOf(), server.url)).toMatchObject({ text: 'packed' })
    const broken = serve(() => new Response('not packed', { headers: { 'content-encoding': 'gzip' } }))
    expect(await read(clientOf(), broken.url)).toMatchObject({ kind: 'network' })
    const cut = serve(
      () => new Response(gzipSync('packed').subarray(0, 12), { headers: { 'content-encoding': 'gzip' } }),
    )
    expect((await read(clientOf(), cut.url)).kind).not.toBeNull()
  })

  test.each([
    ['never answers', (_: Socket) => undefined],
    [
      'drips its headers',
      (socket: Socket) => {
        socket.write(HEAD)
        const drip = setInterval(() => socket.write('X-A: b\r\n'), 10)
        ends.push(() => clearInterval(drip))
      },
    ],
  ])('and %s is given up', async (_, answer) => {
    const { url, ended } = await serveBytes(answer)
    expect(await read(clientOf(), url, { headersMs: 150 })).toMatchObject({ kind: 'timeout' })
    await ended
  })

  test('and whose name takes for ever to resolve is given up', async () => {
    const client = clientOf({ resolve: () => new Promise(() => undefined) })
    expect(await read(client, 'https://slow.example/', { headersMs: 50 })).toMatchObject({ kind: 'timeout' })
  })

  test('and falls silent in the middle is given up; control: a slow reader is not', async () => {
    const { url, ended } = await serveBytes((socket) =>
      socket.write(`${HEAD}Content-Length: 100\r\n\r\nstart`),
    )
    expect(await read(clientOf(), url, { idleMs: 100 })).toMatchObject({ kind: 'timeout' })
    await ended
    const { promise: go, resolve: goOn } = Promise.withResolvers<void>()
    const server = serve(() => new Response('x'.repeat(600_000)))
    const { body } = await clientOf().get(server.url, { maxBytes: MIB, idleMs: 50 })
    let size = 0
    setTimeout(goOn, 200)
    for await (const piece of body) {
      size += piece.length
      await go
    }
    expect(size).toBe(600_000)
  })

  test('and drips for ever is given up after the whole time', async () => {
    const { url, ended } = await serveBytes((socket) => {
      socket.write(`${HEAD}\r\n`)
      const drip = setInterval(() => socket.write('x'), 10)
      ends.push(() => clearInterval(drip))
    })
    expect(await read(clientOf(), url, { idleMs: 5_000, totalMs: 200 })).toMatchObject({ kind: 'timeout' })
    await ended
  })

  test('and breaks off is noticed', async () => {
    const { url } = await serveBytes((socket) => socket.end(`${HEAD}Content-Length: 100\r\n\r\nstart`))
    expect(await read(clientOf(), url)).toMatchObject({ kind: 'closed' })
  })

  test('and has a certificate that nobody signed, or of another name, is not believed', async () => {
    const { keyPem, certPem, caPem } = issueHostCertificate('files.example', Date.now())
    const server = serve(() => new Response('trusted'), { key: keyPem, cert: certPem })
    const resolve = at('127.0.0.1')
    const url = `https://files.example:${server.port}/`
    expect(await read(clientOf({ resolve }), url)).toMatchObject({ kind: 'certificate' })
    const trusting: Fetch = (address, init) => fetch(address, { ...init, tls: { ...init.tls, ca: caPem } })
    const client = clientOf({ resolve, fetch: trusting })
    expect(await read(client, url)).toMatchObject({ text: 'trusted' })
    // The same address on the connection that is kept, under another name.
    expect(await read(client, `https://other.example:${server.port}/`)).toMatchObject({ kind: 'certificate' })
    expect(await read(client, url)).toMatchObject({ text: 'trusted' })
  })
})

describe('whoever asks', () => {
  test('may interrupt before and during the body', async () => {
    const { url, ended } = await serveBytes((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart'),
    )
    const gone = AbortSignal.abort()
    expect(await read(clientOf(), url, { signal: gone })).toMatchObject({ kind: 'interrupted' })
    const abort = new AbortController()
    const { body } = await clientOf().get(url, { maxBytes: MIB, signal: abort.signal })
    const reading = (async () => {
      for await (const _ of body) abort.abort()
    })()
    await expect(reading).rejects.toMatchObject({ kind: 'interrupted' })
    await ended
  })

  test('lets go of the connection by leaving the loop, or without ever having read', async () => {
    for (const leave of ['loop', 'cancel', 'return']) {
      const { url, ended } = await serveBytes((socket) =>
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart'),
      )
      const { body, cancel } = await clientOf().get(url, { maxBytes: MIB })
      if (leave === 'cancel') cancel()
      else if (leave === 'return') await body[Symbol.asyncIterator]().return?.()
      else for await (const _ of body) break
      await ended
    }
  })

  test('and reads no further has the server wait, instead of the file pile up in memory', async () => {
    const server = Bun.spawn([process.execPath, `${import.meta.dir}/flood.ts`], { stdout: 'pipe' })
    ends.push(() => server.kill())
    const reader = server.stdout.getReader()
    const url = new TextDecoder().decode((await reader.read()).value).trim()
    const sent = async () => Number(await (await fetch(`${url}sent`)).text())
    const { body } = await clientOf().get(url, { maxBytes: 300 * MIB })
    let size = 0
    for await (const piece of body) {
      if (size === 0) {
        // Until the server stands still.
        for (let before = -1, now = await sent(); now !== before; now = await sent()) {
          before = now
          await Bun.sleep(50)
        }
        expect(await sent()).toBeLessThan(50 * MIB)
      }
      size += piece.length
    }
    expect(size).toBe(200 * MIB)
    expect(await sent()).toBe(200 * MIB)
  }, 30_000)
})
