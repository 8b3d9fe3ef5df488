/**
 * X2: URLs that a user names. The contract has a code for each use, `WEBHOOK_URL_FORBIDDEN` and `MEDIA_URL_FORBIDDEN`; the
 * words are the same for every reason. What only a connection can show is told as the outcome of the attempt.
 */
import { expect } from 'bun:test'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import { errorRow } from '../../../src/domain/errors'
import { png } from '../../media/pictures'
import { FRIEND, type HardRig, OUTSIDE } from './rig'
import { type HardRow, row } from './row'

/** None of them may be asked, whatever it is for. */
async function forbidden(
  rig: HardRig,
  urls: readonly string[],
  ...also: readonly 'as a proxy it may be'[]
): Promise<void> {
  const sessionId = await rig.linked()
  const says = new Set<string>()
  for (const url of urls) {
    for (const [method, path, body] of [
      ['POST', '/api/sessions', { name: 'a', settings: { webhookUrl: url } }],
      ['PUT', `/api/sessions/${sessionId}/settings`, { settings: { webhookUrl: url } }],
      ['PUT', `/api/webhook/config/${sessionId}`, { url }],
      ['POST', '/api/webhook/endpoints', { url }],
      ['POST', '/api/webhook/test', { url }],
    ] as const) {
      const refused = await rig.refused(method, path, { body }, [400, 'WEBHOOK_URL_FORBIDDEN'])
      says.add(refused.body.error)
    }
    // A proxy is a place as well; a user and a password belong to it, and its ports are its own.
    if (!also.includes('as a proxy it may be')) {
      const settings = { name: 'a', settings: { proxyUrl: url } }
      const proxied = await rig.refused('POST', '/api/sessions', { body: settings }, [
        400,
        'PROXY_URL_FORBIDDEN',
      ])
      expect(proxied.body.error).toBe(errorRow('PROXY_URL_FORBIDDEN').says)
    }
    const body = { sessionId, to: FRIEND, imageUrl: url }
    const refused = await rig.refused('POST', '/api/messages/send/image', { body }, [
      400,
      'MEDIA_URL_FORBIDDEN',
    ])
    says.add(refused.body.error)
    // A link in a text is only words; its page is not asked for, which `fetch` of the rig would tell.
    await rig.app.ok('POST', '/api/messages/send/text', {
      body: { sessionId, to: FRIEND, text: `See ${url}`, linkPreview: true },
    })
  }
  expect([...says].sort()).toEqual(
    [errorRow('MEDIA_URL_FORBIDDEN').says, errorRow('WEBHOOK_URL_FORBIDDEN').says].sort(),
  )
}

type Outcome = { delivered: boolean; status: number | null; error: string | null; body: string | null }
const post = (rig: HardRig, url: string) =>
  rig.app.ok<Outcome>('POST', '/api/webhook/test', { body: { url, payload: { a: 1 } } })
const picture = async (rig: HardRig, imageUrl: string) =>
  await rig.app.call<{ code?: string; details?: { reason?: string } }>('POST', '/api/messages/send/image', {
    body: { sessionId: await rig.linked(), to: FRIEND, imageUrl },
  })

/** A server outside, or on this machine where nobody may ask. */
function serve(
  rig: HardRig,
  answer: (request: Request) => Response,
  also: { hostname?: string; port?: number; tls?: { key: string; cert: string } } = {},
) {
  const asked: string[] = []
  const server = Bun.serve({
    hostname: OUTSIDE,
    port: 0,
    ...also,
    fetch(request) {
      asked.push(request.headers.get('host') ?? '')
      return answer(request)
    },
  })
  rig.onEnd(() => server.stop(true))
  return { asked, port: server.port ?? 0, url: server.url.href }
}

/** A server outside that answers with bytes of its own; `ended` when its caller has gone. */
async function serveBytes(rig: HardRig, answer: (socket: Socket) => void) {
  const sockets = new Set<Socket>()
  const ended = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => ended.resolve())
    socket.once('data', () => answer(socket))
  }).listen(0, OUTSIDE)
  await once(server, 'listening')
  rig.onEnd(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { url: `http://${OUTSIDE}:${(server.address() as AddressInfo).port}/`, ended: ended.promise }
}

function flood(socket: Socket): void {
  const pour = () => {
    while (!socket.destroyed && socket.write(Buffer.alloc(64 * 1024, 'x')));
  }
  socket.on('drain', pour)
  socket.write(png(4, 4))
  pour()
}

const NOBODY = 'http://127.0.0.1:9'

export const URL_ROWS: readonly HardRow[] = [
  row(26, 'this machine, however it is written', (rig) =>
    forbidden(rig, [
      'https://127.0.0.1/',
      'https://127.1/',
      'https://2130706433/',
      'https://0x7f.1/',
      'https://0177.0.0.1/',
      'https://１２７.０.０.１/',
      'https://127.0.0.1./',
      'https:\\\\127.0.0.1\\x',
    ]),
  ),
  row(27, 'this machine by its name', (rig) =>
    forbidden(rig, [
      'https://localhost/',
      'https://localhost./',
      'https://a.localhost/',
      'https://LOCALHOST/',
    ]),
  ),
  row(28, 'private networks', (rig) =>
    forbidden(rig, [
      'https://10.0.0.1/',
      'https://172.16.0.1/',
      'https://192.168.1.1/',
      'https://100.64.0.1/',
      'https://198.18.0.1/',
    ]),
  ),
  row(29, 'metadata services', (rig) =>
    forbidden(rig, [
      'https://169.254.169.254/latest/meta-data/',
      'https://169.254.169.254./',
      'https://[fd00:ec2::254]/',
      'https://metadata.google.internal/',
    ]),
  ),
  row(30, 'no address at all', (rig) =>
    forbidden(rig, ['https://0.0.0.0/', 'https://[::]/', 'https://[::1]/']),
  ),
  row(31, 'IPv4 inside IPv6, and local IPv6', (rig) =>
    forbidden(rig, [
      'https://[::ffff:7f00:1]/',
      'https://[64:ff9b::7f00:1]/',
      'https://[2002:7f00:1::]/',
      'https://[fe80::1]/',
      'https://[fc00::1]/',
    ]),
  ),
  row(32, 'a name that means a private address', async (rig) => {
    for (const address of ['127.0.0.1', '10.0.0.1', '169.254.169.254', '::1', '::ffff:127.0.0.1']) {
      rig.names.set('inside.example', [[address]])
      expect(await post(rig, 'https://inside.example/')).toMatchObject({
        delivered: false,
        status: null,
        error: 'This address is not allowed',
      })
      expect((await picture(rig, 'https://inside.example/a.png')).body.code).toBe('MEDIA_URL_FORBIDDEN')
    }
  }),
  row(33, 'a name with one public and one private address', async (rig) => {
    for (const addresses of [
      ['8.8.8.8', '127.0.0.1'],
      ['10.0.0.1', '8.8.8.8'],
    ]) {
      rig.names.set('mixed.example', [addresses])
      expect(await post(rig, 'https://mixed.example/')).toMatchObject({
        error: 'This address is not allowed',
      })
      expect((await picture(rig, 'https://mixed.example/a.png')).body.code).toBe('MEDIA_URL_FORBIDDEN')
    }
  }),
  row(34, 'a name that turns to this machine after it was looked at', async (rig) => {
    const outside = serve(rig, () => new Response('outside'))
    const inside = serve(rig, () => new Response('inside'), { hostname: '127.0.0.1', port: outside.port })
    rig.names.set('turns.example', [[OUTSIDE], ['127.0.0.1']])
    const url = `http://turns.example:${outside.port}/`
    // Asked at the address that was vetted; the next time it is looked up again, and refused.
    expect(await post(rig, url)).toMatchObject({ delivered: true, body: 'outside' })
    expect(await post(rig, url)).toMatchObject({ delivered: false, error: 'This address is not allowed' })
    expect({ outside: outside.asked.length, inside: inside.asked.length }).toEqual({ outside: 1, inside: 0 })
  }),
  row(35, 'a redirect to this machine', async (rig) => {
    const inside = serve(rig, () => new Response('inside'), { hostname: '127.0.0.1' })
    const outside = serve(rig, () => Response.redirect(inside.url, 302))
    expect(await post(rig, outside.url)).toMatchObject({
      delivered: false,
      status: 302,
      error: 'HTTP 302; redirects are not followed',
    })
    expect((await picture(rig, outside.url)).body.code).toBe('MEDIA_URL_FORBIDDEN')
    expect({ outside: outside.asked.length, inside: inside.asked.length }).toEqual({ outside: 2, inside: 0 })
  }),
  row(36, 'other schemes', (rig) =>
    forbidden(rig, [
      'file:///etc/passwd',
      'ftp://example.com/',
      'gopher://example.com/',
      'data:text/plain,x',
      'javascript:alert(1)',
      'ws://example.com/',
      'wss://example.com/',
      'blob:https://example.com/x',
      '//example.com/',
      'example.com/hook',
      'https://',
    ]),
  ),
  row(37, 'names and passwords', async (rig) => {
    await forbidden(
      rig,
      ['https://user:pass@example.com/', 'https://user@example.com/', 'https://:pass@example.com/'],
      'as a proxy it may be',
    )
    await forbidden(rig, ['https://example.com@127.0.0.1/'])
  }),
  row(38, 'ports of other services', (rig) =>
    forbidden(
      rig,
      [22, 25, 6379, 0, 1, 11211, 3306].map((port) => `https://example.com:${port}/`),
    ),
  ),
  row(39, 'a URL of 9,000 characters, and one to choke on', async (rig) => {
    // Too long is a fault of the field, told before anybody looks at what it means.
    const body = { name: 'a', settings: { webhookUrl: `https://example.com/${'a'.repeat(9_000)}` } }
    await rig.refused('POST', '/api/sessions', { body }, [400, 'VALIDATION_ERROR', '/settings/webhookUrl'])
    const choking = [
      `https://${'a.'.repeat(900)}`,
      `http://[${':'.repeat(1_800)}]/`,
      `https://x${'@'.repeat(1_800)}`,
    ]
    for (const url of choking) {
      // The first is a name like any other: whether it exists is seen when it is asked.
      const { status } = await rig.app.call('POST', '/api/webhook/test', { body: { url } })
      expect([200, 400]).toContain(status)
    }
  }),
  row(40, 'letters that become digits and dots', (rig) =>
    forbidden(rig, [
      'https://127。0。0。1/',
      'https://⑫⑦.0.0.1/',
      'https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/',
      'https://①⑨②.168.0.1/',
    ]),
  ),
  row(41, 'an answer of 10 GB, or one without end', async (rig) => {
    for (const length of ['Content-Length: 10737418240\r\n', '']) {
      const answer = (socket: Socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${length}\r\n`)
        flood(socket)
      }
      const hook = await serveBytes(rig, answer)
      const { delivered, body } = await post(rig, hook.url)
      expect({ delivered, shown: body?.length }).toEqual({ delivered: true, shown: 1_000 })
      await hook.ended
      const file = await serveBytes(rig, answer)
      expect((await picture(rig, file.url)).body.code).toBe('FILE_TOO_LARGE')
      await file.ended
    }
  }),
  row(42, 'an answer that unfolds', async (rig) => {
    const bomb = gzipSync(Buffer.concat([png(4, 4), Buffer.alloc(200 * 1024 * 1024)]))
    const server = serve(rig, () => new Response(bomb, { headers: { 'content-encoding': 'gzip' } }))
    const before = process.memoryUsage.rss()
    expect((await post(rig, server.url)).delivered).toBe(true)
    expect((await picture(rig, server.url)).body.code).toBe('FILE_TOO_LARGE')
    expect(process.memoryUsage.rss() - before).toBeLessThan(150 * 1024 * 1024)
  }),
  row(43, 'a certificate that nobody signed, or of another name', async (rig) => {
    const server = serve(rig, () => new Response('x'), { tls: rig.certificate })
    rig.names.set('right.example', [[OUTSIDE]])
    rig.names.set('wrong.example', [[OUTSIDE]])
    expect(await post(rig, `https://right.example:${server.port}/`)).toMatchObject({ delivered: true })
    const told = await post(rig, `https://wrong.example:${server.port}/`)
    expect(told).toMatchObject({ delivered: false, error: 'The certificate of the endpoint is not valid' })
    const file = await picture(rig, `https://wrong.example:${server.port}/`)
    expect(file.body).toMatchObject({ code: 'MEDIA_DOWNLOAD_FAILED' })
    // Plain http is no way out of it.
    rig.names.set('plain.example', [['8.8.8.8']])
    expect(await post(rig, 'http://plain.example/')).toMatchObject({ error: 'This address is not allowed' })
  }),
  row(44, 'headers of a webhook that are ours, or two', async (rig) => {
    for (const headers of [
      { 'X-A': 'a\r\nX-B: b' },
      { 'X-A\r\n': 'a' },
      { 'X A': 'a' },
      { Host: 'x' },
      { 'Content-Length': '1' },
      { 'Transfer-Encoding': 'chunked' },
      { 'webhook-signature': 'v1,a' },
      { 'X-Webhook-Signature': 'a' },
    ]) {
      const body = { url: `https://${OUTSIDE}/`, headers }
      await rig.refused('POST', '/api/webhook/endpoints', { body }, [400, 'VALIDATION_ERROR'])
      const sessionId = await rig.linked()
      await rig.refused('PUT', `/api/webhook/config/${sessionId}`, { body }, [400, 'VALIDATION_ERROR'])
    }
  }),
  row(45, 'proxies of the environment', async (rig) => {
    const server = serve(rig, () => new Response(new Uint8Array(png(4, 4))))
    // The test's own requests are to go on as they do.
    const proxies = { HTTP_PROXY: NOBODY, http_proxy: NOBODY, HTTPS_PROXY: NOBODY, NO_PROXY: '127.0.0.1' }
    const before = Object.keys(proxies).map((name) => [name, process.env[name]] as const)
    Object.assign(process.env, proxies)
    // Control: they would be used.
    await expect(fetch(server.url)).rejects.toThrow()
    try {
      expect((await post(rig, server.url)).delivered).toBe(true)
      expect((await picture(rig, server.url)).status).toBe(200)
    } finally {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name]
        else process.env[name] = value
      }
    }
  }),
  row(46, 'a kept connection under another name', async (rig) => {
    const server = serve(rig, () => new Response('x'), { tls: rig.certificate })
    for (const name of ['right.example', 'yours.example']) rig.names.set(name, [[OUTSIDE]])
    for (let round = 0; round < 3; round += 1) {
      expect(await post(rig, `https://right.example:${server.port}/`)).toMatchObject({ delivered: true })
      expect(await post(rig, `https://yours.example:${server.port}/`)).toMatchObject({ delivered: false })
    }
    expect(new Set(server.asked)).toEqual(new Set([`right.example:${server.port}`]))
  }),
  row(47, 'this server itself', async (rig) => {
    rig.names.set('localhost', [['127.0.0.1']])
    await forbidden(
      rig,
      [OUTSIDE, '127.0.0.1', 'localhost'].map((host) => `https://${host}:${rig.port}/`),
    )
    // Its own address on the Internet, by number and by name.
    rig.names.set('me.example', [['9.9.9.9']])
    for (const url of ['https://9.9.9.9/', 'https://me.example/', `https://me.example:${rig.port}/`]) {
      expect(await post(rig, url)).toMatchObject({ delivered: false, error: 'This address is not allowed' })
      expect((await picture(rig, url)).body.code).toBe('MEDIA_URL_FORBIDDEN')
    }
  }),
]
