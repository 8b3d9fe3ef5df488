/** Reading the journal by request: a page of events after a cursor, waiting for the first one if asked to. */
import { fail } from '../domain/errors'
import { checkCursor, type Entry, formatCursor, type Journal, parseCursor } from '../domain/journal'
import type { Clock } from '../lib/clock'
import { entryFilter, type Selection } from './filter'

const PAGE = 500

export type PullRequest = Selection & {
  /** A cursor's text; null = from the oldest event that is kept. */
  after: string | null
  limit: number
  /** How long to wait for the first event (ms); 0 = not at all. */
  waitMs: number
  signal?: AbortSignal
}

export type PulledEvents = {
  /** The flat JSON of each event, oldest first. */
  events: string[]
  /** Pass it as `after` of the next request, also when there were no events. */
  cursor: string
  hasMore: boolean
}

/** Momentary events are never part of it. Throws `INVALID_CURSOR` and `CURSOR_EXPIRED`. */
export async function readEvents(
  deps: { journal: Journal; clock: Clock },
  request: PullRequest,
): Promise<PulledEvents> {
  const { journal, clock } = deps
  const wanted = entryFilter(request)
  const events: string[] = []
  let position = startOf(journal, request.after)
  let hasMore = false

  /** Reads to the head or until there is one event more than asked for. */
  async function scan(): Promise<void> {
    for (;;) {
      // The oldest entries may go while the journal is searched: what was not seen must not look like nothing.
      if (position < journal.floor()) {
        if (events.length > 0) {
          hasMore = true
          return
        }
        if (request.after !== null) throw fail('CURSOR_EXPIRED')
        position = journal.floor()
      }
      const page = journal.read(position, PAGE)
      for (const entry of page) {
        if (wanted(entry)) {
          if (events.length >= request.limit) {
            hasMore = true
            return
          }
          events.push(entry.json)
        }
        position = entry.seq ?? position
      }
      if (page.length < PAGE) return
      // Others get their turn while a narrow selection is searched for in a long journal.
      await clock.sleep(0)
    }
  }

  const arrival = watch(deps, wanted)
  try {
    await scan()
    if (events.length === 0 && request.waitMs > 0) {
      await arrival.within(request.waitMs, request.signal)
      await scan()
    }
  } finally {
    arrival.leave()
  }
  return { events, cursor: formatCursor({ epoch: journal.epoch, seq: position }), hasMore }
}

function startOf(journal: Journal, after: string | null): number {
  if (after === null) return journal.floor()
  const cursor = parseCursor(after)
  const check = checkCursor(journal, cursor)
  if (check === 'expired') throw fail('CURSOR_EXPIRED')
  if (check === 'invalid' || !cursor) throw fail('INVALID_CURSOR')
  return cursor.seq
}

/** Notices the first wanted entry from now on. */
function watch(
  { journal, clock }: { journal: Journal; clock: Clock },
  wanted: (entry: Entry) => boolean,
): { within(ms: number, signal?: AbortSignal): Promise<void>; leave(): void } {
  const arrived = Promise.withResolvers<void>()
  const leave = journal.onEntries((entries) => {
    if (entries.some((entry) => entry.seq !== null && wanted(entry))) arrived.resolve()
  })
  return {
    async within(ms, signal) {
      const cancel = clock.after(ms, arrived.resolve)
      const onAbort = () => arrived.resolve()
      signal?.addEventListener('abort', onAbort, { once: true })
      if (signal?.aborted) arrived.resolve()
      await arrived.promise
      cancel()
      signal?.removeEventListener('abort', onAbort)
    },
    leave,
  }
}
