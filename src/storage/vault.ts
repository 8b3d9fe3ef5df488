/**
 * Signal keys, credentials and the inbox of unhandled stanzas: sealed rows, written whole or not at all.
 *
 * The fence is a number in memory: sockets live in this process, and none survives it.
 */
import type { Database } from 'bun:sqlite'
import { type InboxRow, type SessionVault, VaultFenced, type Vaults } from '../domain/ownership'
import type { Clock } from '../lib/clock'
import type { GroupCommit, Tx } from './group-commit'
import { type NumberedSession, type Numbers, SessionGone } from './numbers'
import { createPlaintexts, PLAINTEXT } from './plaintexts'
import { placeOf } from './seal'

/**
 * Types that are asked for with every message; of each open vault the latest few answers are kept at hand, that there is
 * no value among them.
 */
const REMEMBERED = new Set(['session', 'lid-mapping', 'device-list', 'tctoken', 'identity-key'])
const MOST_REMEMBERED = 96
/** Bytes; longer values are read anew. */
const LONGEST_REMEMBERED = 8_192

export interface StoredVaults extends Vaults {
  /** Removes stanzas whose messages are stored now. */
  dropInbox(session: number, inboxIds: readonly number[]): void
  /** Removes everything of a session and fences its vaults. */
  forget(tx: Tx, session: number, sessionId: string): void
}

export function createVaults(parts: {
  database: Database
  writer: GroupCommit
  numbers: Numbers
  clock: Clock
  /** Called after a wipe, so that the write-ahead log does not keep what the tables have lost. */
  onErased: () => void
}): StoredVaults {
  const { database, writer, numbers, clock, onErased } = parts
  const read = database.prepare<{ value: Uint8Array }, [number, string, string]>(
    'SELECT value FROM vault WHERE session = ? AND type = ? AND id = ?',
  )
  const idsOf = database.prepare<{ id: string }, [number, string]>(
    'SELECT id FROM vault WHERE session = ? AND type = ?',
  )
  const put = database.prepare<unknown, [number, string, string, Uint8Array]>(
    'INSERT INTO vault (session, type, id, value) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value',
  )
  const drop = database.prepare<unknown, [number, string, string]>(
    'DELETE FROM vault WHERE session = ? AND type = ? AND id = ?',
  )
  const plaintexts = createPlaintexts(database)
  const dropAll = database.prepare<unknown, [number]>('DELETE FROM vault WHERE session = ?')
  const addInbox = database.prepare<unknown, [number, number, number, Uint8Array]>(
    'INSERT INTO inbox (id, session, at, stanza) VALUES (?, ?, ?, ?)',
  )
  const inbox = database.prepare<{ id: number; at: number; stanza: Uint8Array }, [number]>(
    'SELECT id, at, stanza FROM inbox WHERE session = ? ORDER BY id',
  )
  const dropInbox = database.prepare<unknown, [number, number]>(
    'DELETE FROM inbox WHERE id = ? AND session = ?',
  )
  const dropInboxAll = database.prepare<unknown, [number]>('DELETE FROM inbox WHERE session = ?')

  /** Inbox ids are drawn here, so that a stanza can be sealed for its place before it is written. */
  let lastInboxId =
    database.query<{ id: number | null }, []>('SELECT max(id) AS id FROM inbox').get()?.id ?? 0
  let lastGeneration = 0
  const generations = new Map<string, number>()

  function fence(sessionId: string): number {
    lastGeneration += 1
    generations.set(sessionId, lastGeneration)
    return lastGeneration
  }

  const placeOfKey = (sessionId: string, type: string, id: string) => placeOf('vault', sessionId, type, id)
  const placeOfStanza = (sessionId: string, id: number) => placeOf('inbox', sessionId, String(id))

  function open(sessionId: string): SessionVault {
    const generation = fence(sessionId)
    /** As on disk: changed after each commit, in the order of the commits. */
    const recent = new Map<string, Uint8Array | null>()
    const note = (type: string, id: string, value: Uint8Array | null) => {
      const name = `${type}/${id}`
      recent.delete(name)
      if (!REMEMBERED.has(type) || (value !== null && value.length > LONGEST_REMEMBERED)) return
      // A copy: the caller may write into its own, and a buffer may hold on to the pool it was cut from.
      recent.set(name, value && new Uint8Array(value))
      const [oldest] = recent.keys()
      if (recent.size > MOST_REMEMBERED && oldest !== undefined) recent.delete(oldest)
    }
    const check = () => {
      if (generations.get(sessionId) !== generation) throw new VaultFenced()
    }
    /** Writes are fenced twice: when they are asked for, and when their transaction runs. */
    function write<T>(work: (session: NumberedSession, tx: Tx) => T): Promise<T> {
      return writer.run((tx) => {
        check()
        try {
          return work(numbers.ensureSession(tx, sessionId), tx)
        } catch (error) {
          throw error instanceof SessionGone ? new VaultFenced() : error
        }
      })
    }
    return {
      generation,
      get(type, ids) {
        const found = new Map<string, Uint8Array>()
        const session = numbers.session(sessionId)
        if (!session) return found
        for (const id of ids) {
          const known = recent.get(`${type}/${id}`)
          if (known !== undefined) {
            // Whoever gets it may write into it.
            if (known !== null) found.set(id, known.slice())
            continue
          }
          const sealed =
            type === PLAINTEXT
              ? plaintexts.read(session.number, id)
              : (read.get(session.number, type, id)?.value ?? null)
          if (!sealed) {
            note(type, id, null)
            continue
          }
          const value = session.sealer.open(sealed, placeOfKey(sessionId, type, id))
          note(type, id, value)
          found.set(id, value)
        }
        return found
      },
      ids(type) {
        const session = numbers.session(sessionId)
        if (!session) return []
        if (type === PLAINTEXT) return plaintexts.ids(session.number)
        return idsOf.all(session.number, type).map((row) => row.id)
      },
      async commit(writes) {
        check()
        await write(({ number, sealer }, tx) => {
          tx.afterCommit(() => {
            for (const { type, id, value } of writes) note(type, id, value)
          })
          for (const { type, id, value } of writes) {
            const sealed = value && sealer.seal(value, placeOfKey(sessionId, type, id))
            if (type === PLAINTEXT) {
              if (sealed) plaintexts.put(number, id, sealed)
              else plaintexts.drop(tx, number, id)
            } else if (sealed) put.run(number, type, id, sealed)
            else drop.run(number, type, id)
          }
        })
      },
      async receive(stanza) {
        check()
        lastInboxId += 1
        const id = lastInboxId
        await write(({ number, sealer }) => {
          addInbox.run(id, number, clock.now(), sealer.seal(stanza, placeOfStanza(sessionId, id)))
        })
        return id
      },
      inbox() {
        const session = numbers.session(sessionId)
        if (!session) return []
        return inbox.all(session.number).map((row): InboxRow => {
          const stanza = session.sealer.open(row.stanza, placeOfStanza(sessionId, row.id))
          return { id: row.id, stanza, at: row.at }
        })
      },
      async discard(inboxIds) {
        check()
        await write(({ number }) => {
          for (const id of inboxIds) dropInbox.run(id, number)
        })
      },
    }
  }

  return {
    open,
    async wipe(sessionId) {
      fence(sessionId)
      await writer.run((tx) => {
        const session = numbers.session(sessionId, tx)
        if (!session) return
        dropAll.run(session.number)
        plaintexts.forget(tx, session.number)
        dropInboxAll.run(session.number)
        tx.afterCommit(onErased)
      })
    },
    dropInbox(session, inboxIds) {
      for (const id of inboxIds) dropInbox.run(id, session)
    },
    forget(tx, session, sessionId) {
      dropAll.run(session)
      plaintexts.forget(tx, session)
      dropInboxAll.run(session)
      tx.afterCommit(() => fence(sessionId))
    },
  }
}
