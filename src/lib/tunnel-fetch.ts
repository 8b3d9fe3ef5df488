/**
 * `fetch` through a proxy. Bun's own knows no SOCKS, looks names up itself, and takes what the environment names; this one
 * has no way but the tunnel it is given. A certificate is verified between here and the other end, never by the proxy.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { Destination } from './proxy-handshake'

/** Opens a tunnel; rejects with `ProxyFailed`. */
export type OpenTunnel = (to: Destination, signal?: AbortSignal) => Promise<Socket>

export type TunnelInit = {
  method?: string | undefined
  headers?: Bun.HeadersInit | undefined
  body?: string | Uint8Array | ReadableStream<Uint8Array> | null | undefined
  signal?: AbortSignal | null | undefined
  /** `manual` hands a redirect out; otherwise it is an error. */
  redirect?: string | undefined
  tls?: { ca?: string; serverName?: string } | undefined
}

const NO_BODY: ReadonlySet<number> = new Set([101, 204, 205, 304])

/** Makes the function; each call is a connection of its own. Bodies stay as they are on the wire. */
export function createTunnelFetch(open: OpenTunnel) {
  return async function fetchThrough(place: string | URL, init: TunnelInit = {}): Promise<Response> {
    const url = new URL(place)
    const signal = init.signal ?? undefined
    if (signal?.aborted) throw signal.reason
    const socket = await connect(url, init, open, signal)
    const asked = new Headers(init.headers)
    if (!asked.has('host')) asked.set('host', url.host)
    asked.set('connection', 'close')
    const request = httpRequest({
      createConnection: () => socket,
      method: init.method ?? 'GET',
      path: `${url.pathname}${url.search}`,
      headers: Object.fromEntries(asked),
    })
    // The tunnel stands still until there is somebody to read what comes.
    request.once('socket', () => socket.resume())
    const stop = () => request.destroy(signal?.reason)
    signal?.addEventListener('abort', stop, { once: true })
    const over = () => signal?.removeEventListener('abort', stop)
    try {
      const answered = new Promise<IncomingMessage>((resolve, reject) => {
        request.once('response', resolve)
        // It stays: an end while the body passes is told by the body.
        request.on('error', reject)
      })
      answered.catch(() => undefined)
      const poured = pour(init.body, request)
      // An answer may come before all of the body is taken; what becomes of the rest concerns nobody then.
      poured.catch(() => undefined)
      await Promise.race([poured, answered])
      const response = await answered
      const status = response.statusCode ?? 0
      if (status >= 300 && status < 400 && init.redirect !== 'manual') {
        throw new TypeError('A redirect is not followed')
      }
      const headers = headersOf(response)
      if (!NO_BODY.has(status)) return new Response(streamOf(response, over), { status, headers })
      over()
      response.destroy()
      return new Response(null, { status, headers })
    } catch (error) {
      over()
      request.destroy()
      socket.destroy()
      throw signal?.aborted ? signal.reason : error
    }
  }
}

async function connect(
  url: URL,
  { tls }: TunnelInit,
  open: OpenTunnel,
  signal: AbortSignal | undefined,
): Promise<Socket> {
  const encrypted = url.protocol === 'https:'
  if (!encrypted && url.protocol !== 'http:') throw new TypeError('Only http and https can be fetched')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = Number(url.port || (encrypted ? 443 : 80))
  const raw = await open({ host, port }, signal)
  return encrypted ? await secured(raw, tls?.serverName ?? host, tls?.ca, signal) : raw
}

/** TLS with the other end of a tunnel; rejects when its certificate does not bear the name. */
export function secured(
  raw: Socket,
  name: string,
  ca?: string | string[],
  signal?: AbortSignal,
): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({
      socket: raw,
      host: name,
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(ca === undefined ? {} : { ca }),
    })
    const stop = () => {
      socket.destroy()
      raw.destroy()
      reject(signal?.reason)
    }
    signal?.addEventListener('abort', stop, { once: true })
    const over = () => signal?.removeEventListener('abort', stop)
    socket.on('error', (error) => {
      over()
      raw.destroy()
      reject(error)
    })
    socket.once('close', () => {
      over()
      reject(new Error('The connection ended before it was encrypted'))
    })
    socket.once('secureConnect', () => {
      over()
      resolve(socket)
    })
  })
}

/** Writes the body as fast as the other side takes it. */
async function pour(body: TunnelInit['body'], request: ReturnType<typeof httpRequest>): Promise<void> {
  if (body instanceof ReadableStream) {
    for await (const piece of body) {
      if (request.destroyed) return
      if (!request.write(piece)) await drained(request)
    }
    request.end()
    return
  }
  request.end(body ?? undefined)
}

const drained = (request: ReturnType<typeof httpRequest>): Promise<void> =>
  new Promise((resolve) => {
    const done = () => {
      request.off('drain', done).off('close', done)
      resolve()
    }
    request.on('drain', done).on('close', done)
  })

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers()
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    headers.append(rawHeaders[index] ?? '', rawHeaders[index + 1] ?? '')
  }
  return headers
}

/** The body, read only as fast as it is asked for; `over` is called at its end, whatever that is. */
function streamOf(response: IncomingMessage, over: () => void): ReadableStream<Uint8Array> {
  const pieces = response[Symbol.asyncIterator]()
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        try {
          const { done, value } = await pieces.next()
          if (done) {
            over()
            if (response.complete) controller.close()
            else controller.error(new Error('The body ended too early'))
          } else controller.enqueue(new Uint8Array(value))
        } catch (error) {
          over()
          controller.error(error)
        }
      },
      cancel() {
        over()
        response.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}
