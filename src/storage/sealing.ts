/**
 * Seals what was stored readably, once a session asks for encryption: in pieces, so that a million messages hold up nobody.
 * What is stored from then on is sealed at once, and what was sealed stays so when encryption is switched off again.
 */
import type { Database } from 'bun:sqlite'
import type { Log } from '../lib/log'
import { unpackId } from './codes'
import type { GroupCommit, Tx } from './group-commit'
import { blobOf } from './message-rows'
import type { Meta } from './meta'
import type { NumberedSession, Numbers } from './numbers'

export interface Sealing {
  /** The session's setting has been switched on, in this transaction. */
  begin(tx: Tx, session: number): void
  /** Goes on where a crash has ended it. */
  resume(): void
  /** Resolves when the running piece is done; the next start goes on. */
  stop(): Promise<void>
}

/** Messages that one transaction looks through: some milliseconds. */
const STRETCH = 1_000
const UNFINISHED = 'sealing'

/** A session, and the last message that was looked at. */
type Work = { session: number; after: number }
type Row = { number: number; id: Uint8Array | string; from_me: number; body: Uint8Array }

export function createSealing(parts: {
  database: Database
  writer: GroupCommit
  meta: Meta
  numbers: Numbers
  encrypts: (tx: Tx, session: number) => boolean
  log: Log
  /** Readable words have been written over. */
  onErased: () => void
}): Sealing {
  const { database, writer, meta, numbers, log } = parts
  const highest = database.prepare<{ number: number | null }, []>(
    'SELECT max(number) AS number FROM messages',
  )
  const readable = database.prepare<Row, [number, number, number]>(
    `SELECT number, id, from_me, body FROM messages
     WHERE number > ? AND number <= ? AND +session = ? AND substr(body, 1, 1) = x'00'`,
  )
  const write = database.prepare<unknown, [Uint8Array, number]>(
    'UPDATE messages SET body = ? WHERE number = ?',
  )
  let stopped = false
  let round: Promise<void> | null = null

  const unfinished = (): Work[] => JSON.parse(meta.get(UNFINISHED) ?? '[]') as Work[]
  const note = (all: readonly Work[]) => meta.set(UNFINISHED, JSON.stringify(all))

  function sealStretch(session: NumberedSession, after: number, upTo: number): void {
    for (const { number, id, from_me, body } of readable.all(after, upTo, session.number)) {
      const of = { sessionId: session.id, fromMe: from_me === 1, id: unpackId(id) }
      write.run(blobOf(body, session.sealer, of), number)
    }
  }

  /** One piece of the work; what is left of it, or null. */
  function advance(tx: Tx, { session: number, after }: Work): Work | null {
    const session = numbers.session(numbers.sessionId(number), tx)
    if (!session || !parts.encrypts(tx, number)) return null
    const upTo = after + STRETCH
    sealStretch(session, after, upTo)
    return upTo < (highest.get()?.number ?? 0) ? { session: number, after: upTo } : null
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
      // What is left is tried again after the next change or start.
      .catch((error) => log.error('Stored messages cannot be sealed now', { error: String(error) }))
      .finally(() => {
        round = null
      })
  }

  return {
    begin(tx, session) {
      note([...unfinished().filter((work) => work.session !== session), { session, after: 0 }])
      tx.afterCommit(resume)
    },
    resume,
    async stop() {
      stopped = true
      await round
    },
  }
}
