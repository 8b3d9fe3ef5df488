/** Server-sent events: how an event and a sign of life are written. */
import { type Entry, formatCursor } from '../domain/journal'

/**
 * One event. Its cursor is the `id`, which browsers send back as `Last-Event-ID`; momentary events have none and leave
 * the last one standing. There is no `event:` line, so that one `onmessage` gets them all; the name is in the data.
 */
export function sseFrame(entry: Pick<Entry, 'seq' | 'json'>, epoch: string): string {
  const id = entry.seq === null ? '' : `id: ${formatCursor({ epoch, seq: entry.seq })}\n`
  return `${id}data: ${entry.json}\n\n`
}

/** A comment that keeps proxies from closing a quiet stream. */
export const SSE_KEEP_ALIVE = ': keep-alive\n\n'
