/**
 * Server-sent events as the end of a stream (WHATWG HTML §9.2).
 *
 * Events are `data:` with the cursor as `id:`, which browsers send back as `Last-Event-ID`; momentary ones have no id and
 * leave the last one standing. There is no `event:` line, so that one `onmessage` gets them all; the name is in the data.
 * What the stream says of itself is never seen by `onmessage`: a block with an id alone only moves the cursor on, and the
 * last words are an event of the name `end`.
 */
import { type Entry, formatCursor } from '../domain/journal'
import { type CloseCode, closeCodeRow } from './close-codes'
import type { StreamSocket } from './subscription'

/** Quiet proxies close after 30 to 60 s (ms). */
const PING_EVERY = 15_000
/** When a browser comes back after the connection has ended (ms). */
const RETRY = 2_000
/** Bytes handed to the connection at a time: what has left this process shows that the client reads. */
const PIECE = 16 * 1024

/** One event. */
export function sseFrame(entry: Pick<Entry, 'seq' | 'json'>, epoch: string): string {
  const id = entry.seq === null ? '' : `id: ${formatCursor({ epoch, seq: entry.seq })}\n`
  return `${id}data: ${entry.json}\n\n`
}

/** Moves the client's cursor to here; nothing is told. */
const place = (cursor: string): string => `id: ${cursor}\n\n`

/** The last words: the word of the close code, whether a cursor goes with it, and a sentence. */
function lastWords(code: CloseCode, detail: string): string {
  const { says, meaning } = closeCodeRow(code)
  const data = { type: 'end', code: says, error: meaning, ...(detail === '' ? {} : { cursor: detail }) }
  return `event: end\ndata: ${JSON.stringify(data)}\n\n`
}

const encoder = new TextEncoder()
/** The bytes of the last few entries: new ones go to all clients in a row, and are made into bytes once. */
const encoded = new Map<Entry, Uint8Array>()
const ENCODED = 64

function bytesOf(entry: Entry, epoch: string): Uint8Array {
  const present = encoded.get(entry)
  if (present) return present
  const bytes = encoder.encode(sseFrame(entry, epoch))
  for (const oldest of encoded.size < ENCODED ? [] : encoded.keys().take(1)) encoded.delete(oldest)
  encoded.set(entry, bytes)
  return bytes
}

export type SseParts = {
  epoch: string
  /** Something has left for the client. */
  onDrained(): void
  /** The last words are said, and nothing more comes: the client has a while to read them. */
  onEnd(): void
  /** The client is gone. */
  onGone(): void
}

/** The two sides of one answer: `socket` for the stream that fills it, `body` for the answer. */
export function serverSentEvents(parts: SseParts): {
  socket: StreamSocket
  body: ReadableStream<Uint8Array>
} {
  const waiting: Uint8Array[] = []
  let buffered = 0
  let ended = false
  let wake: (() => void) | null = null

  function put(bytes: Uint8Array): number {
    if (ended) return 0
    waiting.push(bytes)
    buffered += bytes.length
    wake?.()
    return -1
  }
  const say = (text: string) => put(encoder.encode(text))

  /** Up to a piece of what waits, whole frames or part of a long one. */
  function take(): Uint8Array {
    const taken: Uint8Array[] = []
    let size = 0
    while (size < PIECE) {
      const next = waiting[0]
      if (next === undefined) break
      const room = PIECE - size
      if (next.length > room) waiting[0] = next.subarray(room)
      else waiting.shift()
      const part = next.subarray(0, room)
      taken.push(part)
      size += part.length
    }
    buffered -= size
    return taken.length === 1 && taken[0] ? taken[0] : Buffer.concat(taken)
  }

  const body = new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        while (waiting.length === 0 && !ended) {
          const more = Promise.withResolvers<void>()
          wake = more.resolve
          await more.promise
          wake = null
        }
        if (waiting.length > 0) controller.enqueue(take())
        if (waiting.length === 0 && ended) controller.close()
        parts.onDrained()
      },
      cancel() {
        ended = true
        waiting.length = 0
        buffered = 0
        parts.onGone()
      },
    },
    { highWaterMark: 0 },
  )

  const socket: StreamSocket = {
    event: (entry) => put(bytesOf(entry, parts.epoch)),
    notice: (notice) => {
      if (notice.type === 'subscribed') say(`retry: ${RETRY}\n${place(notice.cursor)}`)
    },
    bufferedAmount: () => buffered,
    close(code, detail) {
      say(lastWords(code, detail))
      ended = true
      wake?.()
      parts.onEnd()
    },
    ping: { every: PING_EVERY, send: (cursor) => say(`: still here\n${place(cursor)}`) },
  }
  return { socket, body }
}
