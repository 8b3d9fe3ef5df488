/**
 * The messages of a deleted session go in pieces, so that a million of them hold up nobody. They cannot be read any more
 * from the first moment on: the key they were sealed with goes with the session.
 */
import type { Database } from 'bun:sqlite'
import type { Log } from '../lib/log'
import type { GroupCommit, Tx } from './group-commit'
import type { Meta } from './meta'
import type { SearchIndex } from './search-index'

export interface Erasure {
  /** Removes the first messages of a session at once, and the others soon. */
  begin(tx: Tx, session: number): void
  /** Goes on where a crash has ended it. */
  resume(): void
  /** Resolves when the running piece is done; the next start goes on. */
  stop(): Promise<void>
}

/** Messages that one transaction removes: some milliseconds. */
const PIECE = 1_000
const UNFINISHED = 'erasing'

export function createErasure(parts: {
  database: Database
  writer: GroupCommit
  meta: Meta
  search: SearchIndex
  log: Log
  /** Everything of a session is gone from the tables. */
  onErased: () => void
}): Erasure {
  const { database, writer, meta, search, log } = parts
  const some = database.prepare<{ number: number }, [number, number]>(
    'SELECT number FROM messages WHERE session = ? LIMIT ?',
  )
  const drop = database.prepare<unknown, [string]>(
    'DELETE FROM messages WHERE number IN (SELECT value FROM json_each(?))',
  )
  let stopped = false
  let round: Promise<void> | null = null

  const unfinished = (): number[] => JSON.parse(meta.get(UNFINISHED) ?? '[]') as number[]

  /** True when nothing is left. */
  function piece(session: number): boolean {
    const numbers = some.all(session, PIECE).map(({ number }) => number)
    search.forget(numbers)
    drop.run(JSON.stringify(numbers))
    search.rewind()
    return numbers.length < PIECE
  }

  async function drain(): Promise<void> {
    for (;;) {
      const [session] = stopped ? [] : unfinished()
      if (session === undefined) return
      await writer.run((tx) => {
        if (!piece(session)) return
        meta.set(UNFINISHED, JSON.stringify(unfinished().filter((one) => one !== session)))
        tx.afterCommit(parts.onErased)
      })
    }
  }

  function resume(): void {
    round ??= drain()
      // What is left is tried again after the next deletion or start.
      .catch((error) =>
        log.error('Messages of a deleted session cannot be removed now', { error: String(error) }),
      )
      .finally(() => {
        round = null
      })
  }

  return {
    begin(tx, session) {
      if (piece(session)) return
      meta.set(UNFINISHED, JSON.stringify([...unfinished(), session]))
      tx.afterCommit(resume)
    },
    resume,
    async stop() {
      stopped = true
      await round
    },
  }
}
