/** The HTTP listener as a part: opens the port, and ends without cutting off answers that are nearly done. */
import type { Server } from 'bun'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'

export type Listening = {
  listen(options: { hostname: string; port: number }): unknown
  readonly server: Pick<Server<unknown>, 'port' | 'stop'> | null
}

/** How long requests in flight may go on after the order to stop (ms). */
const GRACE = 3_000

export type Listener = Part & { readonly url: string }

/** Makes the part; `closeStreams` ends WebSockets, which would hold the server open for ever. */
export function createListener(parts: {
  app: Listening
  host: string
  port: number
  clock: Clock
  closeStreams(): void
}): Listener {
  const { app, host, clock } = parts
  let url: string | null = null
  const shown = host.includes(':') ? `[${host}]` : host
  return {
    name: 'http',
    get url() {
      if (url === null) throw new Error('The server does not listen')
      return url
    },
    start() {
      app.listen({ hostname: host, port: parts.port })
      url = `http://${shown}:${app.server?.port}`
    },
    async stop() {
      const { server } = app
      if (!server) return
      const idle = server.stop(false)
      parts.closeStreams()
      await Promise.race([idle, clock.sleep(GRACE)])
      await server.stop(true)
    },
  }
}
