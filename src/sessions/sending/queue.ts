/**
 * The send queue of one session: what waits, why, and whose turn it is.
 *
 * Its rows are on disk; here are only their dates and places. A message waits for its time (`scheduled`), for another try
 * (`resting`), or in the lane of its chat; then it gets its turn, and leaves the queue when its end is on disk.
 *
 * Moments that callers name are those of the wall clock; waiting is measured by the one that never jumps, in pieces, so
 * that a clock that was set is noticed within half a minute.
 */
import type { Jid, MessageId } from '../../domain/ids'
import type { FileId } from '../../domain/media'
import type { QueueHold, QueueState } from '../../domain/sending'
import type { Clock } from '../../lib/clock'
import { createAlarm } from './alarm'
import { createLanes } from './lanes'
import type { Pacer } from './pacing'
import type { Ready } from './turn'

/** Pause before a message that was not confirmed is tried again on the same connection (ms). */
const RESEND_AFTER = 30_000
/** Dates are looked at again at least this often while anything waits (ms). */
const RECHECK = 30_000
/** Messages that are under way at the same time; each is of another chat. */
const MOST_TURNS = 100

export type Entry = {
  readonly id: MessageId
  readonly chat: Jid
  readonly albumId: string | null
  readonly sendAt: number | null
  readonly expiresAt: number
  readonly attachment: FileId | null
  /** Its place among the others of its chat. */
  rank: number
  /** What its turn needs, when it is at hand; otherwise it is read from disk. */
  ready: Ready | null
  place: 'scheduled' | 'resting' | 'lane' | 'turn'
  /** When it is tried again, by the clock that never jumps. */
  retryAt: number
  /** Failures of our own side so far. */
  failures: number
  /** It has been on the wire, so it may have arrived. */
  mayHaveLeft: boolean
  /** Stops what its turn does before it writes to the wire; null when nothing of that kind is going on. */
  preparing: AbortController | null
}

export type NewEntry = Pick<
  Entry,
  'id' | 'chat' | 'albumId' | 'sendAt' | 'expiresAt' | 'attachment' | 'ready'
>

export type QueueParts = {
  clock: Clock
  pacer: Pacer
  isConnected: () => boolean
  isPaused: () => boolean
  /** Resolves when the next of its chat may go; it has called `rest` or `forget` by then, or will. */
  turn: (entry: Entry) => Promise<void>
  /** Its time is over; owes `forget` or `rest`. */
  expire: (entry: Entry) => void
}

/**
 * What a watcher compares: how many have left the queue so far, and whether something waits now that nothing holds and that
 * is not busy with its file.
 */
export type Progress = { ended: number; isFree: boolean }

export interface SendQueue {
  readonly size: number
  /** Nothing stands between a message and the wire but those before it. */
  hold(): QueueHold
  state(): QueueState
  progress(): Progress
  find(id: MessageId): Entry | null
  entries(): Iterable<Entry>
  add(entry: NewEntry): Entry
  /** Takes a message that is not on the wire out of all waiting; the caller owes `forget` or `rest`. */
  withdraw(entry: Entry): boolean
  /** Not now: tried again after a pause, or as soon as the session is connected. */
  rest(entry: Entry): void
  forget(id: MessageId): void
  /** Something that may have held the queue has changed. */
  wake(): void
  /** Connected: whatever waited for another try gets it now, oldest first. */
  resume(): void
  stop(): void
}

export function createQueue(parts: QueueParts): SendQueue {
  const { clock, pacer } = parts
  const all = new Map<MessageId, Entry>()
  const lanes = createLanes<Entry>()
  let scheduled = 0
  let turns = 0
  let lastRank = 0
  let ended = 0
  let stopped = false
  const alarm = createAlarm(clock, () => look())

  const setPlace = (entry: Entry, place: Entry['place']) => {
    if (entry.place === 'scheduled') scheduled -= 1
    if (place === 'scheduled') scheduled += 1
    if (entry.place === 'lane') lanes.drop(entry)
    entry.place = place
    if (place === 'lane') lanes.put(entry)
  }

  /** Its time has come: it stands behind everything that waits by now. */
  const fallDue = (entry: Entry) => {
    lastRank += 1
    entry.rank = lastRank
    setPlace(entry, 'lane')
  }

  const hold = (): QueueHold => {
    if (parts.isPaused()) return 'paused'
    if (!parts.isConnected()) return 'not_connected'
    return pacer.wait() > 0 ? 'pacing' : null
  }

  const run = (entry: Entry) => {
    entry.place = 'turn'
    turns += 1
    pacer.spend()
    void parts.turn(entry).finally(() => {
      turns -= 1
      lanes.done(entry.chat)
      go()
    })
  }

  const go = () => {
    while (!stopped && lanes.waiting > 0 && turns < MOST_TURNS) {
      const held = hold()
      if (held === 'pacing') alarm.within(pacer.wait())
      if (held !== null) break
      const entry = lanes.take()
      if (entry === null) break
      run(entry)
    }
    if (all.size > turns) alarm.within(RECHECK)
  }

  /** How long until something is to be done about an entry (ms). */
  const waitOf = (entry: Entry): number => {
    const expiry = entry.expiresAt - clock.now()
    if (entry.place === 'scheduled') return Math.min(expiry, (entry.sendAt ?? 0) - clock.now())
    if (entry.place === 'resting') return Math.min(expiry, entry.retryAt - clock.monotonic())
    return expiry
  }

  /** Sees to every date that has come. */
  const look = () => {
    if (stopped) return
    const due: Entry[] = []
    let soonest = RECHECK
    for (const entry of all.values()) {
      if (entry.place === 'turn') continue
      if (entry.expiresAt <= clock.now()) {
        setPlace(entry, 'turn')
        parts.expire(entry)
      } else if (entry.place !== 'lane' && waitOf(entry) <= 0) due.push(entry)
      else soonest = Math.min(soonest, waitOf(entry))
    }
    due.sort((a, b) => (a.sendAt ?? 0) - (b.sendAt ?? 0) || a.rank - b.rank)
    for (const entry of due) {
      if (entry.place === 'scheduled') fallDue(entry)
      else setPlace(entry, 'lane')
    }
    if (all.size > turns) alarm.within(soonest)
    go()
  }

  return {
    get size() {
      return all.size
    },
    hold,
    state() {
      const held = hold()
      const waiting = all.size - scheduled
      const dates = [...all.values()].flatMap(({ place, sendAt }) =>
        place === 'scheduled' && sendAt !== null ? [sendAt] : [],
      )
      const next = dates.length === 0 ? null : Math.min(...dates)
      if (waiting === 0) return { waiting, scheduled, hold: next === null ? null : 'scheduled', nextAt: next }
      if (held === 'pacing')
        return { waiting, scheduled, hold: held, nextAt: clock.now() + Math.ceil(pacer.wait()) }
      return { waiting, scheduled, hold: held, nextAt: held === null ? clock.now() : null }
    },
    progress() {
      const waiting = [...all.values()].filter(({ place }) => place !== 'scheduled')
      const busy = waiting.some(({ place, preparing }) => place === 'turn' && preparing !== null)
      return { ended, isFree: waiting.length > 0 && !busy && hold() === null }
    },
    find: (id) => all.get(id) ?? null,
    entries: () => all.values(),
    add(given) {
      const known = all.get(given.id)
      if (known) return known
      lastRank += 1
      const entry: Entry = {
        ...given,
        rank: lastRank,
        place: 'turn',
        retryAt: 0,
        failures: 0,
        mayHaveLeft: false,
        preparing: null,
      }
      all.set(entry.id, entry)
      const wait = (entry.sendAt ?? 0) - clock.now()
      if (wait > 0) {
        setPlace(entry, 'scheduled')
        alarm.within(Math.min(wait, RECHECK))
      } else {
        setPlace(entry, 'lane')
        go()
        if (entry.place !== 'turn') alarm.within(Math.min(waitOf(entry), RECHECK))
      }
      return entry
    },
    withdraw(entry) {
      if (entry.place !== 'turn') {
        setPlace(entry, 'turn')
        return true
      }
      const { preparing } = entry
      entry.preparing = null
      preparing?.abort()
      return preparing !== null
    },
    rest(entry) {
      if (!all.has(entry.id)) return
      const early = (entry.sendAt ?? 0) - clock.now()
      if (early > 0) {
        setPlace(entry, 'scheduled')
        alarm.within(Math.min(early, RECHECK))
      } else if (parts.isConnected()) {
        entry.retryAt = clock.monotonic() + RESEND_AFTER
        setPlace(entry, 'resting')
        alarm.within(RESEND_AFTER)
      } else {
        setPlace(entry, 'lane')
        alarm.within(RECHECK)
      }
    },
    forget(id) {
      const entry = all.get(id)
      if (!entry) return
      setPlace(entry, 'turn')
      all.delete(id)
      ended += 1
      if (all.size === 0) alarm.cancel()
    },
    wake: () => look(),
    resume() {
      for (const entry of all.values()) if (entry.place === 'resting') setPlace(entry, 'lane')
      look()
    },
    stop() {
      stopped = true
      alarm.stop()
    },
  }
}
