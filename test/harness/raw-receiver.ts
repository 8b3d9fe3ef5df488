/**
 * A webhook receiver below HTTP: it answers with the bytes that the path asks for, also those that no HTTP server would
 * send. `/status/503` answers so, `/retry/600` refuses with that Retry-After; the others are the rows of `ANSWERS`.
 */
import type { Socket } from 'bun'

const whole = (status: number, headers = ''): string =>
  `HTTP/1.1 ${status} Said\r\nContent-Length: 0\r\nLocation: /followed\r\n${headers}Connection: close\r\n\r\n`

const ANSWERS: Record<string, (socket: Socket<unknown>) => void> = {
  reset: (socket) => socket.terminate(),
  empty: (socket) => socket.end(),
  junk: (socket) => socket.end('this is not HTTP\r\n\r\n'),
  silent: () => undefined,
  'half-head': (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-'),
  'slow-body-200': (socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'),
  'slow-body-503': (socket) => void socket.write('HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\nhalf'),
}

export interface RawReceiver {
  /** Without a slash at the end. */
  readonly url: string
  /** One for each request; `attempt` is what its header says. */
  readonly asked: readonly { path: string; attempt: number }[]
  stop(): void
}

/** Starts it on 127.0.0.1. */
export function startRawReceiver(): RawReceiver {
  const asked: { path: string; attempt: number }[] = []
  const server = Bun.listen<{ text: string; done: boolean }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: '', done: false }
      },
      data(socket, bytes) {
        socket.data.text += bytes.toString('latin1')
        const head = /^POST (\S+) HTTP.*?\r\ncontent-length: (\d+).*?\r\n\r\n/is.exec(socket.data.text)
        if (!head || socket.data.done || socket.data.text.length < head[0].length + Number(head[2])) return
        socket.data.done = true
        const path = head[1] ?? ''
        const attempt = /\r\nx-webhook-attempt: (\d+)\r\n/i.exec(head[0])?.[1]
        asked.push({ path, attempt: Number(attempt) })
        const [, kind = '', value = ''] = path.split('/')
        if (kind === 'status') socket.end(whole(Number(value)))
        else if (kind === 'retry') socket.end(whole(503, `Retry-After: ${decodeURIComponent(value)}\r\n`))
        else ANSWERS[kind]?.(socket)
      },
    },
  })
  return { url: `http://127.0.0.1:${server.port}`, asked, stop: () => server.stop(true) }
}
