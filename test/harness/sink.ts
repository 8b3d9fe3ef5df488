/** A webhook receiver that records every delivery with the moment at which it arrived. */

export type Delivery = {
  /** `performance.now()` of this process. */
  at: number
  headers: Record<string, string>
  /** The body as it came, and parsed. */
  raw: string
  event: string
  sessionId: string
  messageId: string | null
  body: Record<string, unknown>
}

/** A running receiver. */
export interface Sink {
  readonly url: string
  readonly deliveries: readonly Delivery[]
  /** Called for every delivery before it is answered. */
  onDelivery(listener: (delivery: Delivery) => void): () => void
  /** What the sink answers from now on; 204 at first. */
  answerWith(status: number): void
  clear(): void
  stop(): Promise<void>
}

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null)

/** Starts a receiver on a free port of 127.0.0.1. */
export function startSink(): Sink {
  const deliveries: Delivery[] = []
  const listeners = new Set<(delivery: Delivery) => void>()
  let status = 204
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    async fetch(request) {
      const at = performance.now()
      const raw = await request.text()
      const body = JSON.parse(raw) as Record<string, unknown>
      const delivery: Delivery = {
        at,
        headers: Object.fromEntries(request.headers),
        raw,
        event: textOrNull(body.event) ?? '',
        sessionId: textOrNull(body.sessionId) ?? '',
        messageId: textOrNull(body.messageId),
        body,
      }
      deliveries.push(delivery)
      for (const listener of listeners) listener(delivery)
      return new Response(null, { status })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/`,
    deliveries,
    onDelivery(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    answerWith(next) {
      status = next
    },
    clear() {
      deliveries.length = 0
    },
    stop: () => server.stop(true),
  }
}
