/**
 * One reader of the journal with a socket, or an answer without an end, at the other side.
 *
 * behind   reads pages of the journal and sends them. Becomes level when a page is empty.
 * level    gets each entry from the live path as it is committed. Becomes waiting when the socket's buffer fills up.
 * waiting  sends nothing until the client has read; new entries stay where they are, in the journal. Becomes behind
 *          when the buffer has drained, and closed (4408) when the client reads nothing for a while.
 * closed   for good.
 *
 * The change from behind to level needs no lock: an empty page and joining happen in the same turn, and an entry that
 * was already read is recognised by its number. So memory per reader is bounded by the socket's buffer limit and one
 * entry, whatever the client does, and the client has neither gap nor duplicate.
 */
import type { ErrorCode } from '../domain/errors'
import { type Entry, formatCursor, type Journal } from '../domain/journal'
import type { Clock } from '../lib/clock'
import type { CloseCode } from './close-codes'
import { entryFilter, type Selection } from './filter'
import type { LivePath } from './live-path'
import type { Turns } from './turns'

/** What the server says of the stream itself, beside the events. */
export type Notice =
  | { type: 'subscribed'; cursor: string }
  | { type: 'pong' }
  | { type: 'error'; error: string; code: ErrorCode }

/** The way to one client; a WebSocket and server-sent events are the two there are. */
export type StreamSocket = {
  /** Bytes taken, -1 when they are kept for later, 0 when they were dropped (as Bun's `ServerWebSocket.send`). */
  event(entry: Entry): number
  notice(notice: Notice): void
  /** Bytes that wait in this process. */
  bufferedAmount(): number
  /** What waits is still sent; `detail` follows the code's word. */
  close(code: CloseCode, detail: string): void
  /** Sends a sign of life every so often (ms); `cursor` is where the client stands. */
  ping?: { every: number; send(cursor: string): void }
  /** Runs sends as one write. */
  cork?(sends: () => void): void
}

const PAGE = 200
/** Bytes in the socket's buffer above which nothing more is sent, and below which sending goes on. */
const HIGH_WATER = 256 * 1024
const LOW_WATER = 64 * 1024
/** How often a full buffer is looked at, and how long it may stay without shrinking (ms). */
const LOOK_EVERY = 500
const STALLED_AFTER = 10_000
/** Momentary events kept while the reader is not level; older ones are worth nothing. */
const MOMENTARY_KEPT = 50

export type SubscriptionDeps = {
  journal: Journal
  live: LivePath
  turns: Turns
  clock: Clock
  socket: StreamSocket
  selection: Selection
  /** Everything up to and including this number is behind the reader. */
  position: number
}

export interface Subscription {
  /** Starts sending; until then entries wait. */
  begin(): void
  /** The number up to which the client was sent everything. */
  position(): number
  /** Sends another selection from here on, or from `position`. */
  reselect(selection: Selection, position?: number): void
  /** The socket's buffer has shrunk. */
  drained(): void
  /** Ends with a close frame; `detail` follows the code's word. */
  end(code: CloseCode, detail?: string): void
  /** Ends without a word: the socket is gone. */
  stop(): void
}

/** Makes a subscription; entries from `position` on belong to it, momentary ones from now on. */
export function createSubscription(deps: SubscriptionDeps): Subscription {
  const { journal, clock, socket, turns } = deps
  let wanted = entryFilter(deps.selection)
  let position = deps.position
  let state: 'held' | 'behind' | 'level' | 'waiting' | 'closed' = 'held'
  let momentary: Entry[] = []
  let cancelTimer: (() => void) | null = null
  let leaveTurns: (() => void) | null = null

  function later(ms: number, task: () => void): void {
    cancelTimer?.()
    cancelTimer = clock.after(ms, task)
  }

  const leave = deps.live.join(deps.selection.tenantId, (entries) => {
    const takes = () => {
      for (const entry of entries) take(entry)
    }
    if (entries.length > 1) corked(takes)
    else takes()
  })

  function take(entry: Entry): void {
    if (entry.seq === null) {
      takeMomentary(entry)
    } else if (state === 'level') {
      position = reached()
      deliver(entry, entry.seq)
    }
  }

  /** A level reader is behind nobody, even when the latest entries were none of its own. */
  const reached = (): number => (state === 'level' ? Math.max(position, deps.live.last()) : position)

  function takeMomentary(entry: Entry): void {
    if (!wanted(entry)) return
    if (state === 'level') {
      if (put(entry) === 'full') wait()
      return
    }
    if (momentary.length >= MOMENTARY_KEPT) momentary.shift()
    momentary.push(entry)
  }

  function corked(sends: () => void): void {
    if (socket.cork) socket.cork(sends)
    else sends()
  }

  function put(entry: Entry): 'taken' | 'full' | 'dropped' {
    const sent = socket.event(entry)
    if (sent > 0) return 'taken'
    if (sent === 0) return 'dropped'
    return socket.bufferedAmount() > HIGH_WATER ? 'full' : 'taken'
  }

  /** Sends the entry if it is wanted and new; false when the reader has to wait before the next one. */
  function deliver(entry: Entry, seq: number): boolean {
    if (seq <= position) return true
    const outcome = wanted(entry) ? put(entry) : 'taken'
    if (outcome !== 'dropped') position = seq
    if (outcome !== 'taken') wait()
    return outcome === 'taken'
  }

  /** Takes up reading at once, or when it is this reader's turn. */
  function goOn(): void {
    state = 'behind'
    leaveTurns?.()
    leaveTurns = turns.now(catchUp)
  }

  /** Reads and sends to the head; after each whole page others get their turn. */
  function catchUp(): void {
    try {
      while (isBehind()) {
        if (position < journal.floor()) {
          end(4410)
          return
        }
        const page = journal.read(position, PAGE)
        if (page.length === 0) goLive()
        else sendPage(page)
        if (page.length === PAGE && isBehind()) {
          leaveTurns = turns.next(catchUp)
          return
        }
      }
    } catch {
      // The journal is the storage's; its failure is logged there, and the client comes back with its cursor.
      end(1011, cursor())
    }
  }

  function sendPage(page: readonly Entry[]): void {
    corked(() => {
      for (const entry of page) if (entry.seq !== null && !deliver(entry, entry.seq)) return
    })
  }

  function goLive(): void {
    state = 'level'
    const kept = momentary
    momentary = []
    for (const entry of kept) takeMomentary(entry)
  }

  function wait(): void {
    if (state === 'closed') return
    position = reached()
    state = 'waiting'
    let least = socket.bufferedAmount()
    let since = clock.monotonic()
    const look = () => {
      if (state !== 'waiting') return
      const now = socket.bufferedAmount()
      if (now < least) {
        least = now
        since = clock.monotonic()
      }
      if (now <= LOW_WATER) return drained()
      if (clock.monotonic() - since >= STALLED_AFTER) return end(4408, cursor())
      later(LOOK_EVERY, look)
    }
    later(LOOK_EVERY, look)
  }

  function drained(): void {
    if (state !== 'waiting' || socket.bufferedAmount() > LOW_WATER) return
    goOn()
  }

  const isBehind = (): boolean => state === 'behind'
  const cursor = (): string => formatCursor({ epoch: journal.epoch, seq: position })

  function stop(): void {
    if (state === 'closed') return
    state = 'closed'
    cancelTimer?.()
    cancelTimer = null
    leaveTurns?.()
    momentary = []
    leave()
  }

  function end(code: CloseCode, detail = ''): void {
    if (state === 'closed') return
    stop()
    socket.close(code, detail)
  }

  return {
    begin() {
      if (state === 'held') goOn()
    },
    position: reached,
    reselect(selection, from) {
      if (state === 'closed') return
      position = from ?? reached()
      wanted = entryFilter(selection)
      momentary = momentary.filter(wanted)
      if (state === 'level') goOn()
    },
    drained,
    end,
    stop,
  }
}
