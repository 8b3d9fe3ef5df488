/** Message rows as the ledger writes them. */
import type { Database } from 'bun:sqlite'
import { isAction } from '../domain/content'
import { climbs, type Message, type MessageStatus } from '../domain/message'
import { type ActionRow, type Acts, counts } from './acts'
import { besideOf, type StoredRow } from './beside'
import { encodeBody } from './body'
import { FIRST_ACTION, packId, STATUS_CODE, statusOf, TYPE_CODE, typeOf } from './codes'
import type { Tally } from './counters'
import type { Tx } from './group-commit'
import type { MessageBodies } from './message-bodies'
import { blobOf, FLAG, hidden } from './message-rows'
import type { NumberedSession } from './numbers'
import type { Parties } from './parties'

/** Statuses after which an outgoing message is not sent again, so its encoded form has served. */
const SETTLED: ReadonlySet<MessageStatus> = new Set(['failed', 'delivered', 'read', 'played'])

export type StatusChange = {
  messageId: string
  status: MessageStatus
  at: number
  error: { code: string; says: string } | null
}

export interface MessageWriter {
  /**
   * Null when (session, id, fromMe) is stored already. `told` is the number that its event is going to get, null when it
   * has none.
   */
  insert(
    tx: Tx,
    session: NumberedSession,
    message: Message,
    as: { keepContent: boolean; seal: boolean; told: number | null },
    tally: Tally,
  ): StoredRow | null
  /** False when there is no such message of ours or the status does not climb. */
  climb(tx: Tx, session: NumberedSession, change: StatusChange, tally: Tally): boolean
  /** False when no file of it is waiting. */
  attach(session: NumberedSession, messageId: string, raw: Uint8Array): boolean
  /** False when it was so, or there is no such message. */
  star(session: NumberedSession, messageId: string, fromMe: boolean, starred: boolean): boolean
}

type Blob = Uint8Array | null
type Values = [
  session: number,
  id: Uint8Array | string,
  fromMe: number,
  chat: number,
  sender: number | null,
  type: number,
  status: number,
  flags: number,
  timestamp: number,
  body: Blob,
  ackedAt: number | null,
  error: string | null,
  sendAt: number | null,
  expiresAt: number | null,
  attachment: Blob,
  told: number | null,
]

export function createMessageWriter(parts: {
  database: Database
  parties: Parties
  bodies: MessageBodies
  acts: Acts
}): MessageWriter {
  const { database, parties, bodies, acts } = parts
  const insert = database.prepare<unknown, Values>(
    `INSERT INTO messages (session, id, from_me, chat, sender, type, status, flags, timestamp, body, acked_at, error,
     send_at, expires_at, attachment, told) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (session, id, from_me) DO NOTHING`,
  )
  type Present = Omit<ActionRow, 'body'> & { acked_at: number | null; attachment: Blob }
  const present = database.prepare<Present, [number, Uint8Array | string, number]>(
    `SELECT number, id, from_me, type, status, flags, timestamp, acked_at, chat, sender, attachment FROM messages
     WHERE session = ? AND id = ? AND from_me = ?`,
  )
  const bodyBlob = database.prepare<{ body: Blob }, [number]>('SELECT body FROM messages WHERE number = ?')
  const climb = database.prepare<unknown, [number, number | null, string | null, number]>(
    `UPDATE messages SET status = ?, acked_at = ?, error = ?, send_at = NULL, expires_at = NULL WHERE number = ?`,
  )
  const dropBody = database.prepare<unknown, [number]>('UPDATE messages SET body = NULL WHERE number = ?')
  const setFlags = database.prepare<unknown, [number, number]>(
    'UPDATE messages SET flags = ? WHERE number = ?',
  )

  /**
   * With history off only what may have to be sent again is kept, and only until it has arrived. An action is kept whole
   * meanwhile: what it does is done when WhatsApp has taken it, and its encoded form says no less.
   */
  function storedBody(message: Message, keepContent: boolean): Blob {
    const { fromMe, raw, status, content } = message
    if (!keepContent && (!fromMe || raw === null || SETTLED.has(status))) return null
    return encodeBody(keepContent || isAction(content) ? message : hidden(content.type, message))
  }

  return {
    insert(tx, session, message, as, tally) {
      const { fromMe, content, status, timestamp, history } = message
      // The sender first: its two addresses may turn out to be one row, and that may be the chat's.
      const who = message.sender ? parties.ensureParty(tx, session.number, message.sender) : null
      const chat = parties.ensure(tx, session.number, message.chat)
      const sender = who === chat ? null : who
      const id = packId(message.id)
      const flags =
        (message.viaApi ? FLAG.viaApi : 0) |
        (message.offline ? FLAG.offline : 0) |
        (history ? FLAG.history : 0) |
        (as.keepContent ? FLAG.keepContent : 0)
      const type = TYPE_CODE[content.type]
      const encoded = storedBody(message, as.keepContent)
      const body = encoded && blobOf(encoded, as.seal ? session.sealer : null, message)
      // One that waits still changes, and its event says little.
      const together = encoded !== null && as.keepContent && as.told !== null && status !== 'queued'
      const beside = together ? besideOf(encoded, message.id, timestamp) : null
      const { changes, lastInsertRowid } = insert.run(
        session.number,
        id,
        fromMe ? 1 : 0,
        chat,
        sender,
        type,
        STATUS_CODE[status],
        flags,
        timestamp,
        body,
        message.ackedAt,
        message.error && JSON.stringify(message.error),
        status === 'queued' ? (message.schedule?.sendAt ?? null) : null,
        status === 'queued' ? (message.schedule?.expiresAt ?? null) : null,
        message.attachment === null ? null : Buffer.from(message.attachment, 'hex'),
        beside && as.told,
      )
      if (changes === 0) return null
      tally.add({ session: session.number, fromMe, type: content.type, status, timestamp, history }, 1)
      const row = {
        number: Number(lastInsertRowid),
        id,
        from_me: fromMe ? 1 : 0,
        type,
        flags,
        body,
        chat,
        sender,
      }
      // What it said when it came is told, whatever has become of it at once.
      if (!isAction(content)) {
        if (acts.arrived(tx, session, row)) return { number: row.number, beside: null }
      } else if (counts(STATUS_CODE[status])) {
        acts.take(tx, session, { ...row, status: STATUS_CODE[status], timestamp }, content)
      }
      return { number: row.number, beside }
    },
    climb(tx, session, change, tally) {
      const row = present.get(session.number, packId(change.messageId), 1)
      const before = row && statusOf(row.status)
      if (!row || !before || !climbs(before, change.status)) return false
      const { status } = change
      const acked = status !== 'failed' && status !== 'queued'
      climb.run(
        STATUS_CODE[status],
        row.acked_at ?? (acked ? change.at : null),
        change.error && JSON.stringify(change.error),
        row.number,
      )
      if (row.type >= FIRST_ACTION && !counts(row.status) && acked) {
        const action = { ...row, body: bodyBlob.get(row.number)?.body ?? null }
        const { content } = bodies.open(session, action)
        if (isAction(content)) acts.take(tx, session, action, content)
      }
      if ((row.flags & FLAG.keepContent) === 0 && SETTLED.has(status)) dropBody.run(row.number)
      const counted = {
        session: session.number,
        fromMe: true,
        type: typeOf(row.type),
        timestamp: row.timestamp,
        history: (row.flags & FLAG.history) !== 0,
      }
      tally.add({ ...counted, status: before }, -1)
      tally.add({ ...counted, status }, 1)
      return true
    },
    attach(session, messageId, raw) {
      const row = present.get(session.number, packId(messageId), 1)
      // What was replaced or taken back has another form by now.
      if (!row || (row.flags & FLAG.outdated) !== 0) return false
      const body = bodyBlob.get(row.number)?.body ?? null
      return bodies.attach(session, { ...row, body }, raw) || row.attachment !== null
    },
    star(session, messageId, fromMe, starred) {
      const row = present.get(session.number, packId(messageId), fromMe ? 1 : 0)
      if (!row || ((row.flags & FLAG.starred) !== 0) === starred) return false
      setFlags.run(starred ? row.flags | FLAG.starred : row.flags & ~FLAG.starred, row.number)
      return true
    },
  }
}
