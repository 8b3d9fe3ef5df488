/** Sessions with proxies in a process of its own, whose every connection the kernel writes down. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type ProxyKind, startProxy, type TestProxy } from '../harness/proxy'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { numberOf, type Wabun, wabunGateway } from '../harness/world'
import { eventually } from './talk'

const KINDS: readonly ProxyKind[] = ['http', 'https', 'socks5']
const ADA = numberOf(900)
const STRACE = Bun.which('strace')
/** Without it, or where it may not look into a process, nobody writes the connections down; the CI script installs it. */
const traced = describe.skipIf(
  STRACE === null || Bun.spawnSync([STRACE, '-e', 'trace=connect', 'true']).exitCode !== 0,
)

const PICTURE = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex')

traced('sessions with proxies', () => {
  const folder = mkdtempSync(join(tmpdir(), 'wabun-proxies-'))
  const trace = join(folder, 'connections')
  const proxies = new Map<ProxyKind, TestProxy>()
  let sandbox: SandboxProcess
  let wabun: Wabun
  const site = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch: (request) =>
      new URL(request.url).pathname === '/picture.png'
        ? new Response(PICTURE)
        : new Response('<html><head><title>A page</title></head></html>', {
            headers: { 'content-type': 'text/html' },
          }),
  })

  /** Ports of this machine and places elsewhere to which the product has connected so far. */
  const connections = (): Set<string> => {
    const lines = readFileSync(trace, 'utf8').split('\n')
    const inet = lines.filter((line) => line.includes('connect(') && line.includes('AF_INET'))
    return new Set(
      inet.map((line) => {
        const port = /sin6?_port=htons\((\d+)\)/.exec(line)?.[1]
        const address = /"([\da-f.:]+)"/.exec(line)?.[1]
        return address === '127.0.0.1' ? `${port}` : `${address}:${port}`
      }),
    )
  }

  beforeAll(async () => {
    for (const kind of KINDS) {
      proxies.set(kind, await startProxy(kind, { credentials: { username: kind, password: 'secret' } }))
    }
    sandbox = await startSandboxProcess()
    const authorities = join(folder, 'authorities.pem')
    const known = sandbox.endpoint.NODE_EXTRA_CA_CERTS ?? ''
    writeFileSync(authorities, `${readFileSync(known, 'utf8')}\n${proxies.get('https')?.ca}`)
    wabun = wabunGateway({
      sandbox,
      under: [STRACE ?? 'strace', '-D', '-f', '--seccomp-bpf', '-e', 'trace=connect', '-o', trace],
      env: {
        LOG_LEVEL: 'warn',
        PROXY_ALLOW_NETWORKS: '127.0.0.0/8',
        NODE_EXTRA_CA_CERTS: authorities,
        // They concern nobody here.
        HTTP_PROXY: 'http://127.0.0.1:1',
        HTTPS_PROXY: 'http://127.0.0.1:1',
      },
    })
    await wabun.start()
    await sandbox.addPhone(ADA)
  }, 60_000)
  afterAll(async () => {
    await wabun?.end()
    await sandbox?.stop()
    for (const proxy of proxies.values()) await proxy.stop()
    await site.stop(true)
    rmSync(folder, { recursive: true, force: true })
  })

  async function linked(number: string, proxyUrl: string | null): Promise<string> {
    await sandbox.addPhone(number)
    const made = await wabun.api<{ session: { id: string } }>('POST', '/api/sessions', {
      name: number,
      settings: { proxyUrl },
    })
    const { id } = made.session
    await wabun.api('POST', `/api/sessions/${id}/start`)
    await sandbox.scan(number, await wabun.qrOf(id))
    await eventually('connection', async () => ((await wabun.statusOf(id)) === 'connected' ? true : null))
    return id
  }

  test.each(KINDS)(
    'texts, files and previews go both ways through it, and nothing past it (%s)',
    async (kind) => {
      const proxy = proxies.get(kind)
      if (!proxy) throw new Error('There is no such proxy')
      const ours = numberOf(901 + KINDS.indexOf(kind))
      const id = await linked(ours, proxy.url)
      const send = async (type: string, fields: object) =>
        (
          await wabun.api<{ messageId: string }>('POST', `/api/messages/send/${type}`, {
            sessionId: id,
            to: ADA,
            ...fields,
          })
        ).messageId
      await send('text', { text: `look at http://127.0.0.1:${site.port}/page`, linkPreview: true })
      const pictureId = await send('image', { imageUrl: `http://127.0.0.1:${site.port}/picture.png` })
      expect((await sandbox.fileAt(ADA, pictureId)).size).toBeGreaterThan(0)
      const said = await sandbox.say(ADA, ours, 'hello')
      await eventually('text', async () => (await wabun.history(id)).find((one) => one.id === said) ?? null)
      const file = await sandbox.sayFile(ADA, ours, 300_000)
      await eventually(
        'file',
        async () => (await wabun.history(id)).find((one) => one.id === file.messageId) ?? null,
      )
      const got = await wabun.call('GET', `/api/messages/${id}/${file.messageId}/media`)
      expect(sha256(await got.bytes())).toBe(file.sha256)

      const whatsapp = new URL(sandbox.endpoint.WHATSAPP_URL).host
      const [mediaHost = ''] = sandbox.endpoint.WHATSAPP_MEDIA_HOSTS.split(',')
      expect(new Set(proxy.asked)).toEqual(new Set([whatsapp, mediaHost, `127.0.0.1:${site.port}`]))
      const others = new Set([...proxies.values()].map(({ port }) => String(port)))
      expect([...connections()].filter((place) => !others.has(place))).toEqual([])
      expect(connections()).toContain(String(proxy.port))
    },
    60_000,
  )

  test('the control: without a proxy the same connections are seen', async () => {
    const portOf = (place: string) => place.slice(place.lastIndexOf(':') + 1)
    const { WHATSAPP_URL, WHATSAPP_MEDIA_HOSTS } = sandbox.endpoint
    const direct = [new URL(WHATSAPP_URL).port, portOf(WHATSAPP_MEDIA_HOSTS), `${site.port}`]
    expect(direct.filter((port) => connections().has(port))).toEqual([])
    const id = await linked(numberOf(910), null)
    await wabun.api('POST', '/api/messages/send/image', {
      sessionId: id,
      to: ADA,
      imageUrl: `http://127.0.0.1:${site.port}/picture.png`,
    })
    expect(direct.filter((port) => connections().has(port))).toEqual(direct)
  }, 60_000)
})
