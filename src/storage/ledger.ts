/**
 * The one door: rows, counters and events of facts, in one transaction.
 *
 * One function for each kind of change says what it writes and whether that was news.
 */
import type { Change, Ledger } from '../domain/changes'
import { isKept, type NewEvent } from '../domain/events'
import type { Entry } from '../domain/journal'
import type { Acts } from './acts'
import type { StoredRow } from './beside'
import type { Counters, Tally } from './counters'
import type { SettingsEndpoints } from './endpoints'
import type { Erasure } from './erasure'
import type { GroupCommit, Tx } from './group-commit'
import type { StoredJournal } from './journal'
import type { MessageWriter } from './message-writer'
import type { NumberedSession, Numbers } from './numbers'
import type { Parties } from './parties'
import type { Sealing } from './sealing'
import type { SessionRows } from './sessions'
import type { StoredVaults } from './vault'

type Writers = {
  [K in Change['kind']]: (
    change: Extract<Change, { kind: K }>,
    tx: Tx,
    tally: Tally,
    told: number | null,
  ) => Outcome
}
/** Whether it was news; of a message that was stored, its row. */
type Outcome = boolean | StoredRow

export function createLedger(parts: {
  writer: GroupCommit
  numbers: Numbers
  sessions: SessionRows
  messages: MessageWriter
  acts: Pick<Acts, 'forget'>
  erasure: Pick<Erasure, 'begin'>
  sealing: Pick<Sealing, 'begin'>
  /** A message was stored that can be searched for. */
  onMessage: () => void
  parties: Parties
  counters: Counters
  vaults: StoredVaults
  journal: StoredJournal
  endpoints: SettingsEndpoints
  media: { forget(tx: Tx, session: number): void }
  /** Called after a session was deleted, so that the write-ahead log does not keep what the tables have lost. */
  onErased: () => void
}): Ledger {
  const {
    writer,
    numbers,
    sessions,
    messages,
    acts,
    erasure,
    sealing,
    parties,
    counters,
    vaults,
    journal,
    endpoints,
    media,
  } = parts

  /** The session of a change, or null when it was deleted: a late report must not bring it back. */
  const alive = (tx: Tx, sessionId: string): NumberedSession | null =>
    numbers.isGone(tx, sessionId) ? null : numbers.ensureSession(tx, sessionId)

  const writers: Writers = {
    session_created({ session }, tx) {
      const known = numbers.ensureSession(tx, session.id)
      sessions.insert(known, session)
      endpoints.follow(tx, known.number, session)
      return true
    },
    session_changed({ session, cause }, tx) {
      const known = numbers.session(session.id, tx)
      if (!known) return false
      const wasSealed = sessions.encrypts(tx, known.number)
      if (!sessions.update(tx, known, session, cause)) return false
      if (session.settings.enableEncryption && !wasSealed) sealing.begin(tx, known.number)
      endpoints.follow(tx, known.number, session)
      return true
    },
    session_deleted({ sessionId }, tx) {
      const known = numbers.session(sessionId, tx)
      if (!known) return false
      const { number } = known
      vaults.forget(tx, number, sessionId)
      acts.forget(number)
      erasure.begin(tx, number, journal.forget(tx, number, sessionId))
      parties.forget(tx, number)
      counters.forget(number)
      endpoints.forget(tx, number)
      media.forget(tx, number)
      sessions.remove(tx, number)
      numbers.forget(tx, sessionId)
      tx.afterCommit(parts.onErased)
      return true
    },
    session_active({ sessionId, at }, tx) {
      const known = numbers.session(sessionId, tx)
      return known !== null && sessions.active(known.number, at)
    },
    message({ message, keepContent, inboxId }, tx, tally, told) {
      const session = alive(tx, message.sessionId)
      if (!session) return false
      if (inboxId !== null) vaults.dropInbox(session.number, [inboxId])
      const seal = sessions.encrypts(tx, session.number)
      const stored = messages.insert(tx, session, message, { keepContent, seal, told }, tally)
      if (stored && message.offline && !message.history) sessions.late(session.number)
      if (stored && keepContent) tx.afterCommit(() => parts.onMessage())
      return stored ?? false
    },
    message_status(change, tx, tally) {
      const session = numbers.session(change.sessionId, tx)
      return session !== null && messages.climb(tx, session, change, tally)
    },
    message_attached({ sessionId, messageId, raw }, tx) {
      const session = numbers.session(sessionId, tx)
      return session !== null && messages.attach(session, messageId, raw)
    },
    message_starred({ sessionId, messageId, fromMe, starred }, tx) {
      const session = numbers.session(sessionId, tx)
      return session !== null && messages.star(session, messageId, fromMe, starred)
    },
    identity({ sessionId, lid, phoneNumber }, tx) {
      const session = alive(tx, sessionId)
      return session !== null && parties.learn(tx, session.number, lid, phoneNumber)
    },
    inbox_done({ sessionId, inboxIds }, tx) {
      const session = numbers.session(sessionId, tx)
      if (session) vaults.dropInbox(session.number, inboxIds)
      return true
    },
    told: () => true,
  }

  // The table is typed kind by kind; picking a row by a run-time value loses that pairing, hence the one cast.
  const write = (change: Change, tx: Tx, tally: Tally, told: number | null): Outcome =>
    (writers[change.kind] as (...given: [Change, Tx, Tally, number | null]) => Outcome)(
      change,
      tx,
      tally,
      told,
    )

  /** Events of a session that is gone are dropped; only the change that removes it still tells of it. */
  function tellable(change: Change, events: readonly NewEvent[], tx: Tx): readonly NewEvent[] {
    if (change.kind === 'session_deleted') return events
    return events.filter((event) => !numbers.isGone(tx, event.sessionId))
  }

  return {
    commit(facts, when) {
      return writer.run((tx) => {
        const tally = counters.tally()
        const news: boolean[] = []
        const entries: Entry[] = []
        for (const { change, events } of facts) {
          const [first] = events
          const told = first && isKept(first.name) ? journal.upcoming(tx) : null
          const outcome = write(change, tx, tally, told)
          news.push(outcome !== false)
          if (outcome === false) continue
          const about = typeof outcome === 'object' ? outcome : null
          const written = journal.append(tx, tellable(change, events, tx), about)
          entries.push(...written)
          if (change.kind === 'session_deleted') numbers.lastTold(change.sessionId, written.at(-1)?.seq ?? 0)
        }
        tally.write()
        return { news, entries }
      }, when)
    },
  }
}
