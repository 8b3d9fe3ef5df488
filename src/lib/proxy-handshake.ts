/** What is said to a proxy before a tunnel through it stands: HTTP CONNECT (RFC 9110) and SOCKS5 (RFC 1928, 1929). */
import { isIPv4, isIPv6 } from 'node:net'
import type { Duplex } from 'node:stream'
import { ProxyFailed } from './proxy-failed'
import type { ProxyPlace } from './proxy-url'

/** Where the tunnel leads; a name is resolved by the proxy. */
export type Destination = { host: string; port: number }

/** Asks for the tunnel. Rejects with `ProxyFailed`; then the socket is of no use any more. */
export async function shakeHands(socket: Duplex, proxy: ProxyPlace, to: Destination): Promise<void> {
  const answers = listen(socket)
  try {
    await (proxy.kind === 'socks5' ? socks5 : connect)(socket, answers, proxy, to)
    // The other end speaks second; who has said something by now is not at the end of a tunnel.
    if (answers.left() > 0) throw new ProxyFailed('no_proxy')
  } finally {
    answers.stop()
  }
}

const NEED_CREDENTIALS = 407
/** What gateways answer when they are willing and the way on is closed. */
const NO_WAY_ON: ReadonlySet<number> = new Set([500, 502, 503, 504])

async function connect(socket: Duplex, answers: Answers, proxy: ProxyPlace, to: Destination): Promise<void> {
  const authority = `${isIPv6(to.host) ? `[${to.host}]` : to.host}:${to.port}`
  const lines = [`CONNECT ${authority} HTTP/1.1`, `Host: ${authority}`]
  if (proxy.username !== null) {
    const basic = Buffer.from(`${proxy.username}:${proxy.password ?? ''}`).toString('base64')
    lines.push(`Proxy-Authorization: Basic ${basic}`)
  }
  socket.write(`${lines.join('\r\n')}\r\n\r\n`)
  const status = Number(/^HTTP\/1\.[01] (\d{3})\b/.exec(await answers.head())?.[1] ?? 0)
  if (status >= 200 && status < 300) return
  if (status === 0) throw new ProxyFailed('no_proxy')
  if (status === NEED_CREDENTIALS) throw new ProxyFailed('credentials')
  throw new ProxyFailed(NO_WAY_ON.has(status) ? 'no_way_on' : 'refused')
}

const VERSION = 5
const NO_AUTHENTICATION = 0
const PASSWORD = 2
const CONNECT = 1
const ADDRESS = { v4: 1, name: 3, v6: 4 }
/** Replies that say that the proxy may not; the others say that it cannot. */
const MAY_NOT = 2

async function socks5(socket: Duplex, answers: Answers, proxy: ProxyPlace, to: Destination): Promise<void> {
  const methods = proxy.username === null ? [NO_AUTHENTICATION] : [NO_AUTHENTICATION, PASSWORD]
  socket.write(Buffer.from([VERSION, methods.length, ...methods]))
  const [version, method = -1] = await answers.take(2)
  if (version !== VERSION) throw new ProxyFailed('no_proxy')
  if (!methods.includes(method)) throw new ProxyFailed('credentials')
  if (method === PASSWORD) {
    socket.write(
      Buffer.concat([Buffer.from([1]), counted(proxy.username ?? ''), counted(proxy.password ?? '')]),
    )
    const [, refused] = await answers.take(2)
    if (refused !== 0) throw new ProxyFailed('credentials')
  }
  const port = Buffer.alloc(2)
  port.writeUInt16BE(to.port)
  socket.write(Buffer.concat([Buffer.from([VERSION, CONNECT, 0]), addressOf(to.host), port]))
  const [again, reply, , type] = await answers.take(4)
  if (again !== VERSION) throw new ProxyFailed('no_proxy')
  if (reply !== 0) throw new ProxyFailed(reply === MAY_NOT ? 'refused' : 'no_way_on')
  // Where it has bound its own end is of no interest.
  const length =
    type === ADDRESS.v4
      ? 4
      : type === ADDRESS.v6
        ? 16
        : type === ADDRESS.name
          ? (await answers.take(1))[0]
          : null
  if (length === null || length === undefined) throw new ProxyFailed('no_proxy')
  await answers.take(length + 2)
}

const counted = (text: string): Buffer => {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.from([bytes.length]), bytes])
}

function addressOf(host: string): Buffer {
  if (isIPv4(host)) return Buffer.from([ADDRESS.v4, ...host.split('.').map(Number)])
  if (isIPv6(host)) return Buffer.concat([Buffer.from([ADDRESS.v6]), v6Bytes(host)])
  return Buffer.concat([Buffer.from([ADDRESS.name]), counted(host)])
}

function v6Bytes(host: string): Buffer {
  const dotted = host.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, a, b, c, d) =>
    [Number(a) * 256 + Number(b), Number(c) * 256 + Number(d)].map((group) => group.toString(16)).join(':'),
  )
  const [head = '', tail = ''] = dotted.split('::')
  const groups = (part: string) => part.split(':').filter((group) => group !== '')
  const [before, after] = [groups(head), groups(tail)]
  const all = [...before, ...new Array<string>(8 - before.length - after.length).fill('0'), ...after]
  return Buffer.from(all.map((group) => group.padStart(4, '0')).join(''), 'hex')
}

interface Answers {
  /** The next bytes. */
  take(length: number): Promise<Buffer>
  /** Everything up to an empty line. */
  head(): Promise<string>
  /** Bytes that nobody has taken. */
  left(): number
  stop(): void
}

/** Longest head of an answer (bytes). */
const LONGEST_HEAD = 16_384

/** Collects what a proxy says. Its end, and whatever else is wrong with it, rejects as `ProxyFailed`. */
function listen(socket: Duplex): Answers {
  let bytes: Buffer = Buffer.alloc(0)
  let failure: ProxyFailed | null = null
  let look = () => {}
  const onData = (piece: Buffer) => {
    bytes = Buffer.concat([bytes, piece])
    look()
  }
  const onEnd = () => {
    failure ??= new ProxyFailed('closed')
    look()
  }
  const ENDS = ['end', 'close', 'error'] as const
  socket.on('data', onData)
  for (const end of ENDS) socket.on(end, onEnd)

  const until = <T>(ready: () => T | null): Promise<T> =>
    new Promise((resolve, reject) => {
      look = () => {
        const found = ready()
        if (found !== null) resolve(found)
        else if (failure) reject(failure)
      }
      look()
    })
  const cut = (length: number): Buffer => {
    const taken = bytes.subarray(0, length)
    bytes = bytes.subarray(length)
    return taken
  }

  return {
    take: (length) => until(() => (bytes.length < length ? null : cut(length))),
    async head() {
      const end = await until(() => {
        const found = bytes.indexOf('\r\n\r\n')
        if (found < 0 && bytes.length > LONGEST_HEAD) failure ??= new ProxyFailed('no_proxy')
        return found < 0 ? null : found
      })
      return cut(end + 4).toString('latin1')
    },
    left: () => bytes.length,
    stop() {
      socket.off('data', onData)
      for (const end of ENDS) socket.off(end, onEnd)
      socket.pause()
    },
  }
}
