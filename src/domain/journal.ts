/**
 * The journal: one numbered list of everything that happened; WebSocket, webhooks and every later reader is a cursor on it.
 *
 * A position is epoch and sequence. The epoch is drawn when the database is made, so that a cursor of another or a
 * restored database is recognised instead of pointing at other events.
 */
import type { EventName } from './events'
import type { SessionId, TenantId } from './ids'

/** An event with its place. Momentary ones have `seq: null`. */
export type Entry = {
  seq: number | null
  id: string
  tenantId: TenantId
  sessionId: SessionId
  event: EventName
  timestamp: number
  /** The whole payload as JSON, made once; the same text on every way out. */
  json: string
}

/** Where a reader stands: everything up to and including `seq` is behind it. */
export type Cursor = { epoch: string; seq: number }

const CURSOR = /^([a-z0-9]{8})-([0-9]{1,15})$/

export const formatCursor = (cursor: Cursor): string => `${cursor.epoch}-${cursor.seq}`

/** Null when the text is not a cursor at all. */
export function parseCursor(text: string): Cursor | null {
  const match = CURSOR.exec(text)
  if (!match) return null
  return { epoch: match[1] ?? '', seq: Number(match[2]) }
}

export interface Journal {
  readonly epoch: string
  /** The last number given. */
  head(): number
  /** The oldest number still kept minus one; a cursor before it has expired. */
  floor(): number
  /** Kept entries after `seq`, oldest first. */
  read(after: number, limit: number): Entry[]
  /** Puts an event in front of live readers without keeping it. */
  tell(event: {
    name: EventName
    tenantId: TenantId
    sessionId: SessionId
    fields: Record<string, unknown>
  }): void
  /** Called after each commit and each momentary event, with those entries; returns how to leave. */
  onEntries(listener: (entries: readonly Entry[]) => void): () => void
}

/** What a reader's cursor is worth. */
export type CursorCheck = 'ok' | 'invalid' | 'expired'

export function checkCursor(journal: Journal, cursor: Cursor | null): CursorCheck {
  if (!cursor) return 'invalid'
  if (cursor.epoch !== journal.epoch) return 'expired'
  if (cursor.seq > journal.head()) return 'invalid'
  return cursor.seq < journal.floor() ? 'expired' : 'ok'
}

/** Page size of `follow`. */
const PAGE = 500

/**
 * Everything after `after`, first what is stored, then live, without gap or duplicate, until the signal aborts.
 * Momentary entries are yielded only while the reader is level with the head.
 */
export async function* follow(
  journal: Journal,
  after: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Entry[], void, undefined> {
  let position = after
  let momentary: Entry[] = []
  let wake: (() => void) | null = null
  const leave = journal.onEntries((entries) => {
    // A reader that lags by more than a page of momentary events has no use for them any more.
    for (const entry of entries) if (entry.seq === null && momentary.length < PAGE) momentary.push(entry)
    wake?.()
  })
  const onAbort = () => wake?.()
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    while (!signal.aborted) {
      const page = journal.read(position, PAGE)
      const last = page.at(-1)
      if (last) {
        position = last.seq ?? position
        yield page
        continue
      }
      if (momentary.length > 0) {
        const told = momentary
        momentary = []
        yield told
        continue
      }
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      wake = null
    }
  } finally {
    signal.removeEventListener('abort', onAbort)
    leave()
  }
}
