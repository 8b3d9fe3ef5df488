/**
 * The journal on disk, with its newest entries in memory: live readers never touch SQLite.
 *
 * An entry's text is made once, when it is committed. On disk stand only its own fields, packed and sealed; the envelope
 * around them is put together again from the columns, byte for byte.
 */
import type { Database } from 'bun:sqlite'
import { randomBytes } from 'node:crypto'
import { type EventName, isKept, type NewEvent } from '../domain/events'
import type { SessionId, TenantId } from '../domain/ids'
import { type Entry, formatCursor, type Journal } from '../domain/journal'
import { type Clock, isoTime } from '../lib/clock'
import type { Log } from '../lib/log'
import { randomToken } from '../lib/token'
import type { BesideOf, StoredRow } from './beside'
import { besideWhich, packBeside, packFields, unpackBeside, unpackFields } from './event-codec'
import { EVENT_CODE, eventOf } from './event-codes'
import type { Tx } from './group-commit'
import type { Meta } from './meta'
import type { Numbers } from './numbers'
import { nonceOf, placeOf, type Sealer } from './seal'

export interface StoredJournal extends Journal {
  /**
   * Writes events in order and numbers them; they are told after the commit. The first is packed beside the message of
   * which it tells, when that is given.
   */
  append(tx: Tx, events: readonly NewEvent[], about?: StoredRow | null): Entry[]
  /** The number that the next event gets which is kept. */
  upcoming(tx: Tx): number
  /** Writes out the event `seq`, if it is packed beside this message, which is about to change. */
  detach(seq: number, message: number): void
  /** Nobody reads the entries of a session written so far any more; returns the number of the last of them at most. */
  forget(tx: Tx, session: number, sessionId: SessionId): number
  /** The same for entries that a crash has left behind. */
  hide(session: number, upTo: number): void
  /** Removes hidden entries in a stretch of the journal; returns where the next begins, or null when there is none. */
  erase(tx: Tx, session: number, after: number, upTo: number): number | null
  /** Nobody reads the entries of an account written so far any more; returns the number of the last of them at most. */
  forgetTenant(tx: Tx, tenantId: TenantId): number
  /** Removes those in a stretch of the journal, as `erase` does. */
  eraseTenant(tenant: number, after: number, upTo: number): number | null
  /** Removes entries up to `seq` that are older than `before` (ms), at most `limit` of them; returns how many went. */
  prune(tx: Tx, seq: number, before: number, limit: number): number
}

/** `event` is empty where the body begins with its code; those of the first release have the name, and their id in the body. */
type Row = {
  seq: number
  session: number
  tenant: number
  event: EventName | ''
  at: number
  body: Uint8Array
}

/** Entries kept in memory, by number and by characters of text. */
const TAIL = { entries: 8_192, characters: 16_000_000 }
/** After a start the tail grows backwards by so many entries at a time, and up to half of what it may hold. */
const OLDER = 256
/** Entries that one transaction looks through for those of a deleted session: a few milliseconds. */
const STRETCH = 10_000
/** Random bytes of an event id, as many as a seal's. */
const ID_BYTES = 12

const textOf = (entry: {
  id: string
  cursor: string | null
  event: string
  sessionId: string
  at: number
  fields: string
}): string => {
  const head = `{"id":${JSON.stringify(entry.id)},"cursor":${JSON.stringify(entry.cursor)},"event":${JSON.stringify(entry.event)},"sessionId":${JSON.stringify(entry.sessionId)},"timestamp":"${isoTime(entry.at)}"`
  return entry.fields === '{}' ? `${head}}` : `${head},${entry.fields.slice(1)}`
}

const idOf = (bytes: Uint8Array): string => `evt_${Buffer.from(bytes).toString('base64url')}`

/** Payload fields never replace the envelope's own. */
function fieldsOf(fields: Record<string, unknown>): string {
  const { id: _, cursor: __, event: ___, sessionId: ____, timestamp: _____, ...own } = fields
  return JSON.stringify(own)
}

/** Opens the journal; draws its epoch when there is none yet. */
export function createJournal(parts: {
  database: Database
  meta: Meta
  numbers: Numbers
  sealer: Sealer
  beside: BesideOf
  clock: Clock
  log: Log
}): StoredJournal {
  const { database, meta, numbers, sealer, beside, clock, log } = parts
  const page = database.prepare<Row, [number, number]>(
    'SELECT seq, session, tenant, event, at, body FROM journal WHERE seq > ? ORDER BY seq LIMIT ?',
  )
  const insert = database.prepare<unknown, [number, number, number, number, Uint8Array]>(
    "INSERT INTO journal (seq, session, tenant, event, at, body) VALUES (?, ?, ?, '', ?, ?)",
  )
  const bySeq = database.prepare<Row, [number]>(
    'SELECT seq, session, tenant, event, at, body FROM journal WHERE seq = ?',
  )
  const rewrite = database.prepare<unknown, [string, Uint8Array, number]>(
    'UPDATE journal SET event = ?, body = ? WHERE seq = ?',
  )
  const dropStretch = database.prepare<unknown, [number, number, number]>(
    'DELETE FROM journal WHERE seq > ? AND seq <= ? AND session = ?',
  )
  const dropTenantStretch = database.prepare<unknown, [number, number, number]>(
    'DELETE FROM journal WHERE seq > ? AND seq <= ? AND tenant = ?',
  )
  const highest = database.prepare<{ seq: number | null }, []>('SELECT max(seq) AS seq FROM journal')
  const oldEnough = database.prepare<{ seq: number | null }, [number, number, number]>(
    'SELECT max(seq) AS seq FROM (SELECT seq, at FROM journal WHERE seq <= ? ORDER BY seq LIMIT ?) WHERE at < ?',
  )
  const dropUpTo = database.prepare<unknown, [number]>('DELETE FROM journal WHERE seq <= ?')

  const stored = meta.get('journal_epoch')
  const epoch = stored ?? randomBytes(4).toString('hex')
  if (stored === null) meta.set('journal_epoch', epoch)

  let floor = Number(meta.get('journal_floor') ?? 0)
  // The newest rows may be gone; their numbers must not come again, or a cursor would skip new events.
  let head = Math.max(
    highest.get()?.seq ?? 0,
    floor,
    Number(meta.get('webhook_position') ?? 0),
    Number(meta.get('journal_head') ?? 0),
  )
  /** Highest number given in the running transaction; when that fails, the next one begins at `head` again. */
  let given = head
  let givenIn: object | null = null

  let tail: Entry[] = []
  let tailCharacters = 0
  /** Everything after this number is in the tail. */
  let tailStart = head

  /** Deleted sessions, and up to where their entries are on their way out. */
  const hidden = new Map<number, number>()
  const isShown = (row: Row): boolean => row.seq > (hidden.get(row.session) ?? 0)

  /** Entries on disk; an empty page means that there are none, not that none of these may be seen. */
  function fromDisk(after: number, limit: number): Entry[] {
    for (let at = after; ; ) {
      const rows = page.all(at, limit)
      const shown = rows.filter(isShown)
      const last = rows.at(-1)
      if (shown.length > 0 || rows.length < limit || last === undefined) return shown.map(entryOf)
      at = last.seq
    }
  }

  /**
   * Readers come back in crowds after a restart, when the tail is empty: what they have missed is opened once for all of
   * them, the newest first, a piece with each read.
   */
  function lengthenTail(after: number): void {
    if (tailStart - after > TAIL.entries / 2 - tail.length || tailCharacters > TAIL.characters / 2) return
    const from = Math.max(after, tailStart - OLDER)
    const older = page
      .all(from, tailStart - from)
      .filter((row) => row.seq <= tailStart && isShown(row))
      .map(entryOf)
    tail = older.concat(tail)
    tailCharacters += older.reduce((sum, entry) => sum + entry.json.length, 0)
    tailStart = from
  }

  const listeners = new Set<(entries: readonly Entry[]) => void>()

  function tellAll(entries: readonly Entry[]): void {
    for (const listener of [...listeners]) {
      try {
        listener(entries)
      } catch (error) {
        log.error('A reader of the journal has failed', { error: String(error) })
      }
    }
  }

  function remember(entries: readonly Entry[]): void {
    for (const entry of entries) {
      if (entry.seq === null) continue
      tail.push(entry)
      tailCharacters += entry.json.length
      head = entry.seq
    }
    if (tail.length <= TAIL.entries && tailCharacters <= TAIL.characters) return
    // Cut by half, so that the copy is paid once in thousands of entries.
    const kept = tail.slice(Math.ceil(tail.length / 2))
    tailStart = tail[tail.length - kept.length - 1]?.seq ?? tailStart
    tail = kept
    tailCharacters = kept.reduce((sum, entry) => sum + entry.json.length, 0)
  }

  const place = (seq: number): string => placeOf('journal', epoch, String(seq))

  /** What stands on disk of an event: its id is the random number of its seal, which needs no place of its own. */
  function opened(row: Row): { id: Uint8Array; event: EventName; packed: Uint8Array } {
    const body = sealer.open(row.body, place(row.seq))
    return row.event === ''
      ? { id: nonceOf(row.body), event: eventOf(body[0] ?? 0), packed: body.subarray(1) }
      : { id: body.subarray(0, ID_BYTES), event: row.event, packed: body.subarray(ID_BYTES) }
  }

  function unpacked(packed: Uint8Array): string {
    const message = besideWhich(packed)
    return message === null ? unpackFields(packed) : unpackBeside(packed, beside(message))
  }

  function entryOf(row: Row): Entry {
    const { id: bytes, event, packed } = opened(row)
    const id = idOf(bytes)
    const sessionId = numbers.sessionId(row.session)
    return {
      seq: row.seq,
      id,
      tenantId: numbers.tenantId(row.tenant),
      sessionId,
      event,
      timestamp: row.at,
      json: textOf({
        id,
        cursor: formatCursor({ epoch, seq: row.seq }),
        event,
        sessionId,
        at: row.at,
        fields: unpacked(packed),
      }),
    }
  }

  function momentary(event: NewEvent): Entry {
    const id = `evt_${randomToken(ID_BYTES)}`
    const timestamp = clock.now()
    return {
      seq: null,
      id,
      tenantId: event.tenantId,
      sessionId: event.sessionId,
      event: event.name,
      timestamp,
      json: textOf({
        id,
        cursor: null,
        event: event.name,
        sessionId: event.sessionId,
        at: timestamp,
        fields: fieldsOf(event.fields),
      }),
    }
  }

  /** Index of the first tail entry after `seq`. */
  function tailIndex(seq: number): number {
    let low = 0
    let high = tail.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((tail[middle]?.seq ?? 0) > seq) high = middle
      else low = middle + 1
    }
    return low
  }

  /** Takes what does not stay out of the tail; the number of the newest entry so far. */
  function forgotten(tx: Tx, stays: (entry: Entry) => boolean): number {
    const upTo = givenIn === tx.transaction ? given : head
    // The newest entry may be among them, and its number must not come again after a restart.
    meta.set('journal_head', String(upTo))
    tx.afterCommit(() => {
      tail = tail.filter(stays)
      tailCharacters = tail.reduce((sum, entry) => sum + entry.json.length, 0)
    })
    return upTo
  }

  return {
    epoch,
    head: () => head,
    floor: () => floor,
    read(after, limit) {
      if (after >= head) return []
      if (after < tailStart) lengthenTail(after)
      if (after < tailStart) return fromDisk(after, limit)
      const from = tailIndex(after)
      return tail.slice(from, from + limit)
    },
    tell(event) {
      tellAll([momentary(event)])
    },
    onEntries(listener) {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    upcoming: (tx) => (givenIn === tx.transaction ? given : head) + 1,
    detach(seq, message) {
      const row = bySeq.get(seq)
      if (!row) return
      const { id, event, packed } = opened(row)
      if (besideWhich(packed) !== message) return
      // Its id is that of the seal it has had so far.
      const alone = Buffer.concat([id, packFields(unpacked(packed))])
      rewrite.run(event, sealer.seal(alone, place(seq)), seq)
    },
    append(tx, events, about) {
      if (events.length === 0) return []
      if (givenIn !== tx.transaction) {
        givenIn = tx.transaction
        given = head
      }
      const entries = events.map((event, index): Entry => {
        if (!isKept(event.name)) return momentary(event)
        given += 1
        const seq = given
        const at = clock.now()
        const fields = fieldsOf(event.fields)
        const packed =
          index === 0 && about?.beside ? packBeside(fields, about.number, about.beside) : packFields(fields)
        const body = Buffer.concat([Uint8Array.of(EVENT_CODE[event.name]), packed])
        const sealed = sealer.seal(body, place(seq))
        const id = idOf(nonceOf(sealed))
        insert.run(
          seq,
          numbers.ensureSessionNumber(tx, event.sessionId),
          numbers.ensureTenant(tx, event.tenantId),
          at,
          sealed,
        )
        return {
          seq,
          id,
          tenantId: event.tenantId,
          sessionId: event.sessionId,
          event: event.name,
          timestamp: at,
          json: textOf({
            id,
            cursor: formatCursor({ epoch, seq }),
            event: event.name,
            sessionId: event.sessionId,
            at,
            fields,
          }),
        }
      })
      tx.afterCommit(() => {
        remember(entries)
        tellAll(entries)
      })
      return entries
    },
    forget(tx, session, sessionId) {
      const upTo = forgotten(tx, (entry) => entry.sessionId !== sessionId)
      tx.afterCommit(() => {
        hidden.set(session, upTo)
      })
      return upTo
    },
    forgetTenant: (tx, tenantId) => forgotten(tx, (entry) => entry.tenantId !== tenantId),
    hide(session, upTo) {
      hidden.set(session, upTo)
    },
    erase(tx, session, after, upTo) {
      const from = Math.max(after, floor)
      const to = Math.min(upTo, from + STRETCH)
      dropStretch.run(from, to, session)
      if (to < upTo) return to
      tx.afterCommit(() => hidden.delete(session))
      return null
    },
    eraseTenant(tenant, after, upTo) {
      const from = Math.max(after, floor)
      const to = Math.min(upTo, from + STRETCH)
      dropTenantStretch.run(from, to, tenant)
      return to < upTo ? to : null
    },
    prune(tx, seq, before, limit) {
      const upTo = oldEnough.get(seq, limit, before)?.seq
      if (!upTo) return 0
      const { changes } = dropUpTo.run(upTo)
      meta.set('journal_floor', String(upTo))
      tx.afterCommit(() => {
        floor = Math.max(floor, upTo)
        tail = tail.slice(tailIndex(upTo))
        tailCharacters = tail.reduce((sum, entry) => sum + entry.json.length, 0)
      })
      return changes
    },
  }
}
