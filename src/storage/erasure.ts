/**
 * What a deleted session leaves goes in pieces, so that a million messages and events hold up nobody. None of it can be
 * read from the first moment on: messages were sealed under a key that goes with the session, and the journal does not show
 * its entries any more.
 */
import type { Database } from 'bun:sqlite'
import type { Log } from '../lib/log'
import type { GroupCommit, Tx } from './group-commit'
import type { StoredJournal } from './journal'
import type { Meta } from './meta'
import type { SearchIndex } from './search-index'

export interface Erasure {
  /** Removes the first messages of a session at once, and all else soon; its events up to `upTo` are hidden already. */
  begin(tx: Tx, session: number, upTo: number): void
  /** The same for what an account has left in the journal beside its sessions. */
  beginTenant(tx: Tx, tenant: number, upTo: number): void
  /** Goes on where a crash has ended it. */
  resume(): void
  /** Resolves when the running piece is done; the next start goes on. */
  stop(): Promise<void>
}

/** Messages that one transaction removes: some milliseconds. */
const PIECE = 1_000
const UNFINISHED = 'erasing'

/** A session on its way out: whether it has messages left, and the stretch of the journal still to be looked through. */
type SessionWork = { session: number; messages: boolean; journal: { after: number; upTo: number } | null }
type Work = SessionWork | { tenant: number; after: number; upTo: number }

export function createErasure(parts: {
  database: Database
  writer: GroupCommit
  meta: Meta
  search: SearchIndex
  journal: Pick<StoredJournal, 'hide' | 'erase' | 'eraseTenant'>
  log: Log
  /** Everything of a session is gone from the tables. */
  onErased: () => void
}): Erasure {
  const { database, writer, meta, search, journal, log } = parts
  const some = database.prepare<{ number: number }, [number, number]>(
    'SELECT number FROM messages WHERE session = ? LIMIT ?',
  )
  const drop = database.prepare<unknown, [string]>(
    'DELETE FROM messages WHERE number IN (SELECT value FROM json_each(?))',
  )
  let stopped = false
  let round: Promise<void> | null = null

  /** Earlier programs noted the session alone: its journal was gone by then. */
  const unfinished = (): Work[] =>
    (JSON.parse(meta.get(UNFINISHED) ?? '[]') as (Work | number)[]).map((work) =>
      typeof work === 'number' ? { session: work, messages: true, journal: null } : work,
    )
  const note = (all: readonly Work[]) => meta.set(UNFINISHED, JSON.stringify(all))

  for (const work of unfinished()) {
    if ('session' in work && work.journal) journal.hide(work.session, work.journal.upTo)
  }

  /** True when messages are left. */
  function dropMessages(session: number): boolean {
    const numbers = some.all(session, PIECE).map(({ number }) => number)
    search.forget(numbers)
    drop.run(JSON.stringify(numbers))
    search.rewind()
    return numbers.length === PIECE
  }

  /** One piece of the work; what is left of it, or null. */
  function advance(tx: Tx, work: Work): Work | null {
    if ('tenant' in work) {
      const after = journal.eraseTenant(work.tenant, work.after, work.upTo)
      return after === null ? null : { ...work, after }
    }
    const { session, messages, journal: stretch } = work
    if (messages) return { session, messages: dropMessages(session), journal: stretch }
    const after = stretch && journal.erase(tx, session, stretch.after, stretch.upTo)
    return stretch && after !== null ? { session, messages, journal: { ...stretch, after } } : null
  }

  async function drain(): Promise<void> {
    while (!stopped && unfinished().length > 0) {
      await writer.run((tx) => {
        const [first, ...others] = unfinished()
        const left = first ? advance(tx, first) : null
        note(left ? [left, ...others] : others)
        if (!left) tx.afterCommit(parts.onErased)
      })
    }
  }

  function resume(): void {
    round ??= drain()
      // What is left is tried again after the next deletion or start.
      .catch((error) =>
        log.error('What a deleted session has left cannot be removed now', { error: String(error) }),
      )
      .finally(() => {
        round = null
      })
  }

  return {
    begin(tx, session, upTo) {
      const messages = dropMessages(session)
      const after = journal.erase(tx, session, 0, upTo)
      if (!messages && after === null) return
      note([...unfinished(), { session, messages, journal: after === null ? null : { after, upTo } }])
      tx.afterCommit(resume)
    },
    beginTenant(tx, tenant, upTo) {
      const after = journal.eraseTenant(tenant, 0, upTo)
      if (after === null) return
      note([...unfinished(), { tenant, after, upTo }])
      tx.afterCommit(resume)
    },
    resume,
    async stop() {
      stopped = true
      await round
    },
  }
}
