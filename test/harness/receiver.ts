/** A real webhook receiver whose answers are written by the test. */

/** One post as it came. */
export type Received = {
  /** `X-Webhook-Id`. */
  id: string
  event: string
  attempt: number
  path: string
  headers: Record<string, string>
  /** The raw body. */
  body: string
  json: Record<string, unknown>
  /** `performance.now()` at its arrival. */
  at: number
  /** The status that it was answered with; null while it is kept waiting. */
  answered: number | null
}

/** A status, a whole answer, or nothing at all until the receiver stops. */
export type Answer = number | { status: number; headers?: Record<string, string>; body?: string } | 'hang'

export type ReceiverOptions = {
  /** Answers of the posts; 204 where it gives none. */
  answer?: (post: Received, index: number) => Answer | Promise<Answer> | undefined
  port?: number
}

export interface Receiver {
  readonly url: string
  readonly port: number
  readonly posts: readonly Received[]
  /** Replaces the script. */
  answerWith(answer: ReceiverOptions['answer']): void
  /** Resolves with the first true answer to `look`, asked now and after each post and each answer. */
  waitFor<T>(look: (posts: readonly Received[]) => T | null | undefined | false): Promise<T>
  /** Cuts all connections. */
  stop(): Promise<void>
}

/** Starts a receiver on 127.0.0.1. */
export function startReceiver(options: ReceiverOptions = {}): Receiver {
  const posts: Received[] = []
  const watchers = new Set<() => void>()
  let answer = options.answer
  const changed = () => {
    for (const watcher of [...watchers]) watcher()
  }
  const server = Bun.serve({
    hostname: '127.0.0.1',
    port: options.port ?? 0,
    idleTimeout: 0,
    async fetch(request) {
      const at = performance.now()
      const body = await request.text()
      const post: Received = {
        id: request.headers.get('x-webhook-id') ?? '',
        event: request.headers.get('x-webhook-event') ?? '',
        attempt: Number(request.headers.get('x-webhook-attempt')),
        path: new URL(request.url).pathname,
        headers: Object.fromEntries(request.headers),
        body,
        json: JSON.parse(body) as Record<string, unknown>,
        at,
        answered: null,
      }
      const index = posts.push(post) - 1
      changed()
      const given = (await answer?.(post, index)) ?? 204
      if (given === 'hang') return new Promise<Response>(() => {})
      const whole = typeof given === 'number' ? { status: given } : given
      post.answered = whole.status
      changed()
      return new Response(whole.body ?? null, { status: whole.status, headers: whole.headers ?? {} })
    },
  })
  return {
    url: `http://127.0.0.1:${server.port}/`,
    port: server.port ?? 0,
    posts,
    answerWith(next) {
      answer = next
    },
    waitFor(look) {
      return new Promise((resolve) => {
        const watcher = () => {
          const found = look(posts)
          if (!found) return
          watchers.delete(watcher)
          resolve(found)
        }
        watchers.add(watcher)
        watcher()
      })
    },
    stop: () => server.stop(true),
  }
}
