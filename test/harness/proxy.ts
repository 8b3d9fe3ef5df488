/** Real proxies for tests: http and https with CONNECT, and SOCKS5, each of which writes down every connection it makes. */
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createServer as createTlsServer } from 'node:tls'
import { issueHostCertificate } from '../../src/sandbox/tls-certificate'

export type ProxyKind = 'http' | 'https' | 'socks5'

export type TestProxyOptions = {
  /** Anything else is refused. */
  credentials?: { username: string; password: string }
  /** Names that lead to this machine, as if the proxy had looked them up; everything else is connected to as it is. */
  names?: readonly string[]
  /** A port of this machine to which all its tunnels lead, whatever is asked for; null = where they should. */
  leadsTo?: () => number | null
  /** The name in the certificate of an https proxy. */
  certificateFor?: string
}

export interface TestProxy {
  readonly kind: ProxyKind
  readonly port: number
  /** Address for `proxyUrl`, with the credentials. */
  readonly url: string
  /** Where it was asked to connect to, in order. */
  readonly asked: readonly string[]
  /** Connections to the proxy itself, refused ones among them. */
  readonly taken: number
  /** The authority of an https proxy's certificate. */
  readonly ca: string
  /** From now on: `open` again, no tunnels (`refuse`), not even an answer (`silent`), or garbage (`babble`). */
  behave(how: 'open' | 'refuse' | 'no_way_on' | 'silent' | 'babble'): void
  /** Ends all tunnels, and takes no connection until `listen`. */
  down(): Promise<void>
  /** Listens again, at the same port. */
  up(): Promise<void>
  stop(): Promise<void>
}

type Behaviour = Parameters<TestProxy['behave']>[0]
/** What a connection may be asked by, and how it is answered. */
type Talk = {
  /** Where to, or why not; null while more bytes are needed. */
  read(bytes: Buffer): { reply: Buffer | string; to?: string; end?: boolean; used: number } | null
  opened: Buffer | string
  failed(why: 'refuse' | 'no_way_on'): Buffer | string
}

const portOf = (place: string): number => Number(place.slice(place.lastIndexOf(':') + 1))
const hostOf = (place: string): string => place.slice(0, place.lastIndexOf(':')).replace(/^\[|\]$/g, '')

function httpTalk(expected: string | null): Talk {
  return {
    opened: 'HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n',
    failed: (why) =>
      why === 'refuse'
        ? 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'
        : 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n',
    read(bytes) {
      const end = bytes.indexOf('\r\n\r\n')
      if (end < 0) return null
      const head = bytes.subarray(0, end).toString('latin1')
      const used = end + 4
      const given = /^proxy-authorization: basic (.*)$/im.exec(head)?.[1]
      if (expected !== null && given !== Buffer.from(expected).toString('base64'))
        return { reply: 'HTTP/1.1 407 Proxy Authentication Required\r\n\r\n', end: true, used }
      const to = /^CONNECT (\S+) HTTP\/1\.1/.exec(head)?.[1]
      return to ? { reply: '', to, used } : { reply: 'HTTP/1.1 405 No\r\n\r\n', end: true, used }
    },
  }
}

function socksTalk(expected: string | null): Talk {
  let step: 'greeting' | 'password' | 'request' = 'greeting'
  const answer = (code: number) => Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0])
  return {
    opened: answer(0),
    failed: (why) => answer(why === 'refuse' ? 2 : 4),
    read(bytes) {
      if (step === 'greeting') {
        const used = 2 + (bytes[1] ?? Number.POSITIVE_INFINITY)
        if (bytes.length < used) return null
        const wanted = expected === null ? 0 : 2
        if (!bytes.subarray(2, used).includes(wanted))
          return { reply: Buffer.from([5, 255]), end: true, used }
        step = expected === null ? 'request' : 'password'
        return { reply: Buffer.from([5, wanted]), used }
      }
      if (step === 'password') {
        const name = 2 + (bytes[1] ?? Number.POSITIVE_INFINITY)
        const used = name + 1 + (bytes[name] ?? Number.POSITIVE_INFINITY)
        if (bytes.length < used) return null
        const given = `${bytes.subarray(2, name)}:${bytes.subarray(name + 1, used)}`
        step = 'request'
        return given === expected
          ? { reply: Buffer.from([1, 0]), used }
          : { reply: Buffer.from([1, 1]), end: true, used }
      }
      if (bytes.length < 5) return null
      const [, , , type, first = 0] = bytes
      const length = type === 1 ? 4 : type === 4 ? 16 : 1 + first
      const used = 4 + length + 2
      if (bytes.length < used) return null
      const part = bytes.subarray(4, 4 + length)
      const host =
        type === 1
          ? [...part].join('.')
          : type === 4
            ? `[${(part.toString('hex').match(/.{4}/g) ?? []).join(':')}]`
            : part.subarray(1).toString()
      return { reply: Buffer.alloc(0), to: `${host}:${bytes.readUInt16BE(used - 2)}`, used }
    },
  }
}

/** Starts a proxy on a free port of this machine. */
export async function startProxy(kind: ProxyKind, options: TestProxyOptions = {}): Promise<TestProxy> {
  const { credentials, names = [] } = options
  const expected = credentials ? `${credentials.username}:${credentials.password}` : null
  const certificate = issueHostCertificate(options.certificateFor ?? '127.0.0.1', Date.now(), 'Test proxies')
  const asked: string[] = []
  const sockets = new Set<Socket>()
  let behaviour: Behaviour = 'open'
  let taken = 0

  const keep = (socket: Socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    return socket
  }
  const serve = (client: Socket) => {
    keep(client)
    taken += 1
    if (behaviour === 'babble') return void client.write('SSH-2.0-OpenSSH_9.9\r\n\r\n')
    const talk = kind === 'socks5' ? socksTalk(expected) : httpTalk(expected)
    let bytes = Buffer.alloc(0)
    const onData = (piece: Buffer) => {
      bytes = Buffer.concat([bytes, piece])
      if (behaviour === 'silent') return
      for (;;) {
        const found = talk.read(bytes)
        if (found === null) return
        bytes = bytes.subarray(found.used)
        if (found.reply.length > 0) client.write(found.reply)
        if (found.end) return void client.end()
        if (found.to === undefined) continue
        client.off('data', onData)
        asked.push(found.to)
        if (behaviour !== 'open') return void client.end(talk.failed(behaviour as 'refuse'))
        const host = names.includes(hostOf(found.to)) ? '127.0.0.1' : hostOf(found.to)
        const port = options.leadsTo?.() ?? portOf(found.to)
        const onward = keep(connect(port, host))
        onward.once('connect', () => {
          client.write(talk.opened)
          client.pipe(onward).pipe(client)
          onward.on('close', () => client.destroy())
          client.on('close', () => onward.destroy())
        })
        onward.once('error', () => client.end(talk.failed('no_way_on')))
        return
      }
    }
    client.on('data', onData)
  }
  const server =
    kind === 'https'
      ? createTlsServer({ key: certificate.keyPem, cert: certificate.certPem }, serve)
      : createServer(serve)
  server.on('tlsClientError', () => undefined)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const cut = async () => {
    const closed = server.listening ? once(server, 'close') : null
    server.close()
    for (const socket of sockets) socket.destroy()
    await closed
  }
  const login = credentials
    ? `${encodeURIComponent(credentials.username)}:${encodeURIComponent(credentials.password)}@`
    : ''
  return {
    kind,
    port,
    url: `${kind}://${login}${options.certificateFor ?? '127.0.0.1'}:${port}`,
    asked,
    get taken() {
      return taken
    },
    ca: certificate.caPem,
    behave(how) {
      behaviour = how
    },
    down: cut,
    async up() {
      server.listen(port, '127.0.0.1')
      await once(server, 'listening')
    },
    stop: cut,
  }
}
