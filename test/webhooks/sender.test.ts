import { afterEach, describe, expect, test } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { Webhook } from 'standardwebhooks'
import { systemClock } from '../../src/lib/clock'
import { issueHostCertificate } from '../../src/sandbox/tls-certificate'
import { createSender, type Post, type SenderOptions } from '../../src/webhooks/sender'
import { newWebhookSecret } from '../../src/webhooks/signature'
import { type Receiver, startReceiver } from '../harness/receiver'

const secret = newWebhookSecret()
const postOf = (url: string, also: Partial<Post> = {}): Post => ({
  url,
  secrets: [secret],
  eventId: 'evt_1',
  event: 'message.received',
  json: '{"id":"evt_1","text":"grüße 👋"}',
  attempt: 1,
  ...also,
})
const senderOf = (also: Partial<SenderOptions> = {}) =>
  createSender({
    fetch: (url, init) => fetch(url, init),
    clock: systemClock,
    allowInsecure: true,
    allowNetworks: [],
    ...also,
  })

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})
const receive = (answer?: Parameters<typeof startReceiver>[0]): Receiver => {
  const receiver = startReceiver(answer)
  ends.push(receiver.stop)
  return receiver
}
/** A server that answers with bytes of its own. */
async function rawServer(answer: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('data', () => answer(socket))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  ends.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

describe('a post', () => {
  test('carries the raw body and headers that both ways of verifying accept', async () => {
    const receiver = receive()
    const { outcome } = await senderOf().post(postOf(`${receiver.url}hook`, { attempt: 3 }))
    expect(outcome).toMatchObject({ ok: true, status: 204 })
    const [post] = receiver.posts
    expect(post).toMatchObject({ path: '/hook', id: 'evt_1', event: 'message.received', attempt: 3 })
    expect(post?.body).toBe(postOf('').json)
    expect(post?.headers['content-type']).toBe('application/json; charset=utf-8')
    expect(post?.headers['webhook-id']).toBe('evt_1')
    expect(new Webhook(secret).verify(post?.body ?? '', post?.headers ?? {})).toMatchObject({ id: 'evt_1' })
  })

  test('goes to the vetted address under the name of the URL', async () => {
    const receiver = receive()
    const asked: string[] = []
    const sender = senderOf({
      resolve: async (host) => {
        asked.push(host)
        return [{ address: '127.0.0.1', family: 4 }]
      },
    })
    const { outcome } = await sender.post(postOf(`http://hooks.example:${receiver.port}/x`))
    expect(outcome.ok).toBe(true)
    expect(asked).toEqual(['hooks.example'])
    expect(receiver.posts[0]?.headers.host).toBe(`hooks.example:${receiver.port}`)
  })

  test('resolves anew each time: a name that turns to this machine is refused', async () => {
    const receiver = receive()
    const answers = ['127.0.0.1', '169.254.169.254']
    const sender = senderOf({ resolve: async () => [{ address: answers.shift() ?? '', family: 4 }] })
    const url = `http://turns.example:${receiver.port}/`
    expect((await sender.post(postOf(url))).outcome.ok).toBe(true)
    expect((await sender.post(postOf(url))).outcome).toMatchObject({
      ok: false,
      status: null,
      says: 'This address is not allowed',
    })
    expect(receiver.posts).toHaveLength(1)
  })

  test('never reaches a private address when that is not allowed, whatever the name', async () => {
    const receiver = receive()
    const strict = senderOf({
      allowInsecure: false,
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
    })
    for (const url of [
      receiver.url,
      `https://a.example:${receiver.port}/`,
      `http://a.example:${receiver.port}/`,
    ]) {
      expect((await strict.post(postOf(url))).outcome).toMatchObject({ ok: false, status: null })
    }
    expect(receiver.posts).toHaveLength(0)
    // The control: the same post arrives as soon as the network is allowed.
    const allowed = senderOf({ allowInsecure: false, allowNetworks: ['127.0.0.0/8'] })
    expect((await allowed.post(postOf(receiver.url))).outcome.ok).toBe(true)
  })

  test('tries the next address of a name when the first takes no connection', async () => {
    const receiver = receive()
    const sender = senderOf({
      resolve: async () => [
        { address: '127.0.0.77', family: 4 },
        { address: '127.0.0.1', family: 4 },
      ],
    })
    expect((await sender.post(postOf(`http://two.example:${receiver.port}/`))).outcome.ok).toBe(true)
    expect(receiver.posts).toHaveLength(1)
  })

  test('on a kept connection that the endpoint has just closed goes out again on a new one', async () => {
    let connections = 0
    const url = await rawServer((socket) => {
      connections += 1
      socket.write('HTTP/1.1 204 No Content\r\n\r\n')
      // What a receiver does whose keep-alive ends in the very moment of the next request.
      socket.once('data', () => socket.destroy())
    })
    const sender = senderOf()
    expect((await sender.post(postOf(url))).outcome.ok).toBe(true)
    expect((await sender.post(postOf(url))).outcome.ok).toBe(true)
    expect(connections).toBe(2)
  })

  test('does not follow redirects', async () => {
    const inner = receive()
    const receiver = receive({ answer: () => ({ status: 302, headers: { location: inner.url } }) })
    expect((await senderOf().post(postOf(receiver.url))).outcome).toMatchObject({
      ok: false,
      status: 302,
      says: 'HTTP 302; redirects are not followed',
    })
    expect(inner.posts).toHaveLength(0)
  })

  test('ignores proxies of the environment', async () => {
    const receiver = receive()
    const before = process.env.HTTP_PROXY
    process.env.HTTP_PROXY = 'http://127.0.0.1:9'
    ends.push(() => {
      if (before === undefined) delete process.env.HTTP_PROXY
      else process.env.HTTP_PROXY = before
    })
    expect((await senderOf().post(postOf(receiver.url))).outcome.ok).toBe(true)
    // The control: a fetch that is not told to leave proxies alone asks the one that is not there.
    const proxied = senderOf({ fetch: (url, { proxy: _, ...init }) => fetch(url, init) })
    expect((await proxied.post(postOf(receiver.url))).outcome.ok).toBe(false)
  })

  test('succeeds with 2xx and with nothing else', async () => {
    const statuses = [200, 201, 202, 204, 299, 301, 400, 404, 410, 418, 429, 500, 503, 599]
    const receiver = receive({ answer: (_, index) => statuses[index] })
    const sender = senderOf()
    for (const status of statuses) {
      const { outcome } = await sender.post(postOf(receiver.url))
      expect(outcome).toMatchObject({ ok: status >= 200 && status < 300, status })
    }
  })

  test('tells how long the endpoint asks to wait', async () => {
    const receiver = receive({ answer: () => ({ status: 503, headers: { 'retry-after': '7' } }) })
    expect((await senderOf().post(postOf(receiver.url))).outcome).toMatchObject({ retryAfterMs: 7_000 })
  })
})

describe('an endpoint that misbehaves', () => {
  test('and never answers is given up after the time-out', async () => {
    const receiver = receive({ answer: () => 'hang' })
    const { outcome } = await senderOf({ timeoutMs: 150 }).post(postOf(receiver.url))
    expect(outcome).toMatchObject({ ok: false, status: null, says: 'No answer within 0.15 s' })
  })

  test('and sends its headers byte by byte is given up after the time-out', async () => {
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\n')
      const drip = setInterval(() => socket.write('X-A: b\r\n'), 20)
      ends.push(() => clearInterval(drip))
    })
    const { outcome } = await senderOf({ timeoutMs: 200 }).post(postOf(url))
    expect(outcome).toMatchObject({ ok: false, status: null })
  })

  test('and closes without an answer has failed', async () => {
    const url = await rawServer((socket) => socket.destroy())
    const { outcome } = await senderOf().post(postOf(url))
    expect(outcome).toMatchObject({ ok: false, status: null })
    expect(outcome.ok ? '' : outcome.says).not.toContain('127.0.0.1')
  })

  test('and answers with an endless body succeeds by its status, cut at 64 KiB', async () => {
    const url = await rawServer((socket) => {
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n')
      const chunk = Buffer.alloc(32 * 1024, 'a')
      const pour = () => {
        while (!socket.destroyed && socket.write(chunk));
      }
      socket.on('drain', pour)
      pour()
    })
    const { outcome, body } = await senderOf().post(postOf(url))
    expect(outcome).toMatchObject({ ok: true, status: 200 })
    expect(body).toMatchObject({ truncated: true })
    expect(body?.text.length).toBe(64 * 1024)
  })

  test('and never ends its body succeeds by its status', async () => {
    const url = await rawServer((socket) =>
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nstart'),
    )
    const { outcome, body } = await senderOf().post(postOf(url))
    expect(outcome.ok).toBe(true)
    expect(body).toEqual({ text: 'start', truncated: true })
  })

  test('and sends a gzip bomb has it left as it is', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const url = await rawServer((socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: ${bomb.length}\r\n\r\n`)
      socket.write(bomb)
    })
    const { outcome, body } = await senderOf().post(postOf(url))
    expect(outcome.ok).toBe(true)
    expect(Buffer.byteLength(body?.text ?? '')).toBeLessThanOrEqual(3 * 64 * 1024)
    expect(body?.truncated).toBe(bomb.length > 64 * 1024)
  })

  test('and does not exist is told in a sentence that shows no address', async () => {
    const { outcome } = await senderOf({ resolve: async () => [{ address: '127.0.0.1', family: 4 }] }).post(
      postOf('http://hidden.example:9999/'),
    )
    expect(outcome).toMatchObject({
      ok: false,
      status: null,
      says: 'The endpoint does not accept connections',
    })
  })

  test('over TLS with a certificate that nobody signed, or of another name, has failed', async () => {
    const { keyPem, certPem, caPem } = issueHostCertificate('localhost', Date.now())
    const server = Bun.serve({
      hostname: '127.0.0.1',
      port: 0,
      tls: { key: keyPem, cert: certPem },
      fetch: () => new Response(null, { status: 204 }),
    })
    ends.push(() => server.stop(true))
    const post = postOf(`https://localhost:${server.port}/`)
    const resolve = async () => [{ address: '127.0.0.1', family: 4 }]
    const { outcome } = await senderOf({ resolve }).post(post)
    expect(outcome).toMatchObject({ ok: false, says: 'The certificate of the endpoint is not valid' })
    const trusting: SenderOptions['fetch'] = (url, init) =>
      fetch(url, { ...init, tls: { ...init.tls, ca: caPem } })
    expect((await senderOf({ resolve, fetch: trusting }).post(post)).outcome).toMatchObject({ ok: true })
    const other = postOf(`https://other.example:${server.port}/`)
    expect((await senderOf({ resolve, fetch: trusting }).post(other)).outcome).toMatchObject({ ok: false })
  })

  test('is let go of when the post is interrupted', async () => {
    const receiver = receive({ answer: () => 'hang' })
    const interrupt = new AbortController()
    const posted = senderOf().post(postOf(receiver.url), interrupt.signal)
    await receiver.waitFor((posts) => posts.length === 1)
    interrupt.abort()
    expect((await posted).outcome).toMatchObject({ ok: false, says: 'Interrupted' })
  })
})
