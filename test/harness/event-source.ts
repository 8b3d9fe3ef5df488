/** A client of server-sent events that keeps every block, parsed as browsers do (WHATWG HTML §9.2.6). */

export type Block = {
  /** The last id so far, as the browser would send it back. */
  lastEventId: string
  /** `message` unless the block says otherwise. */
  event: string
  data: string
}

export interface EventSourceClient {
  readonly status: number
  readonly headers: Headers
  /** Blocks with data, which a browser would tell of. */
  readonly blocks: readonly Block[]
  /** Everything as it came. */
  readonly text: string
  readonly lastEventId: string
  /** Resolves when the answer is at its end. */
  readonly ended: Promise<void>
  /** First block, here already or yet to come, that fits. */
  waitFor(fits: (block: Block) => boolean): Promise<Block>
  /** Resolves once the text fits. */
  until(fits: (text: string) => boolean): Promise<void>
  close(): void
}

/** Opens the stream and resolves once the head of the answer is there. */
export async function openEventSource(
  url: string,
  headers: Record<string, string> = {},
  onBlock: (block: Block) => void = () => undefined,
): Promise<EventSourceClient> {
  const leaving = new AbortController()
  const response = await fetch(url, {
    headers: { accept: 'text/event-stream', ...headers },
    signal: leaving.signal,
  })
  const blocks: Block[] = []
  const watchers = new Set<() => void>()
  let text = ''
  let lastEventId = ''
  let over = false

  function take(block: string): void {
    let event = 'message'
    const data: string[] = []
    for (const line of block.split('\n')) {
      const at = line.indexOf(':')
      const field = at < 0 ? line : line.slice(0, at)
      const value = at < 0 ? '' : line.slice(at + 1).replace(/^ /, '')
      if (field === 'id') lastEventId = value
      if (field === 'event') event = value
      if (field === 'data') data.push(value)
    }
    if (data.length === 0) return
    const taken = { lastEventId, event, data: data.join('\n') }
    blocks.push(taken)
    onBlock(taken)
  }

  async function read(): Promise<void> {
    const decoder = new TextDecoder()
    let rest = ''
    try {
      for await (const bytes of response.body ?? []) {
        const more = decoder.decode(bytes as Uint8Array, { stream: true })
        text += more
        rest += more
        const parts = rest.split('\n\n')
        rest = parts.pop() ?? ''
        for (const part of parts) if (!leaving.signal.aborted) take(part)
        for (const watcher of watchers) watcher()
      }
    } catch {
      // The connection was cut; what has come counts.
    }
    over = true
    for (const watcher of watchers) watcher()
  }
  const ended = read()

  async function next(): Promise<void> {
    if (over) throw new Error(`The stream ended before it came: ${text.slice(-500)}`)
    const more = Promise.withResolvers<void>()
    watchers.add(more.resolve)
    await more.promise
    watchers.delete(more.resolve)
  }

  return {
    status: response.status,
    headers: response.headers,
    blocks,
    get text() {
      return text
    },
    get lastEventId() {
      return lastEventId
    },
    ended,
    async waitFor(fits) {
      for (;;) {
        const found = blocks.find(fits)
        if (found) return found
        await next()
      }
    },
    async until(fits) {
      while (!fits(text)) await next()
    },
    close: () => leaving.abort(),
  }
}
