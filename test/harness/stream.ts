/** A WebSocket client of the event stream that keeps every frame. */

export type Frame = Record<string, unknown> & {
  event?: string
  type?: string
  sessionId?: string
  cursor?: string | null
}

export interface StreamClient {
  readonly frames: readonly Frame[]
  readonly closed: Promise<{ code: number; reason: string }>
  send(frame: unknown): void
  /** First frame, here already or yet to come, that fits. */
  waitFor(fits: (frame: Frame) => boolean): Promise<Frame>
  event(name: string, sessionId?: string): Promise<Frame>
  close(): void
}

/** Opens a stream and resolves once it is open; rejects when the upgrade is refused. */
export async function openStream(url: string, headers: Record<string, string>): Promise<StreamClient> {
  const frames: Frame[] = []
  const watchers = new Set<() => void>()
  const opened = Promise.withResolvers<void>()
  const closed = Promise.withResolvers<{ code: number; reason: string }>()
  // Bun's client takes headers, which the web's type does not know.
  const socket = new WebSocket(url.replace(/^http/, 'ws'), { headers } as unknown as string[])
  socket.onopen = () => opened.resolve()
  socket.onerror = () => opened.reject(new Error('The upgrade was refused'))
  socket.onclose = ({ code, reason }) => {
    closed.resolve({ code, reason })
    for (const watcher of watchers) watcher()
  }
  socket.onmessage = ({ data }) => {
    frames.push(JSON.parse(String(data)) as Frame)
    for (const watcher of watchers) watcher()
  }
  await opened.promise
  const waitFor = async (fits: (frame: Frame) => boolean): Promise<Frame> => {
    for (;;) {
      const found = frames.find(fits)
      if (found) return found
      if (socket.readyState >= WebSocket.CLOSING) throw new Error('The stream ended before the frame came')
      const next = Promise.withResolvers<void>()
      watchers.add(next.resolve)
      await next.promise
      watchers.delete(next.resolve)
    }
  }
  return {
    frames,
    closed: closed.promise,
    send: (frame) => socket.send(typeof frame === 'string' ? frame : JSON.stringify(frame)),
    waitFor,
    event: (name, sessionId) =>
      waitFor((frame) => frame.event === name && (sessionId === undefined || frame.sessionId === sessionId)),
    close: () => socket.close(1000),
  }
}
