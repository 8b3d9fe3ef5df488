/** Message rows as they are written and read; the ledger and the read port share this. */
import type { Database } from 'bun:sqlite'
import type { MessageType } from '../domain/content'
import { asMessageId, type SessionId } from '../domain/ids'
import { climbs, type Message, type MessageStatus, type StoredMessage } from '../domain/message'
import { blankBody, decodeBody, encodeBody, PLAIN } from './body'
import type { Tally } from './counters'
import type { Tx } from './group-commit'
import type { NumberedSession } from './numbers'
import { chatOf, type Parties, partyOfRow } from './parties'
import { placeOf, type Sealer } from './seal'

const FLAG = { viaApi: 1, offline: 2, keepContent: 4 } as const

/** Statuses after which an outgoing message is not sent again, so its encoded form has served. */
const SETTLED: ReadonlySet<MessageStatus> = new Set(['failed', 'delivered', 'read', 'played'])

export type MessageRow = {
  number: number
  id: string
  from_me: number
  type: MessageType
  status: MessageStatus
  flags: number
  timestamp: number
  acked_at: number | null
  error: string | null
  body: Uint8Array | null
  chat_lid: string | null
  chat_phone: string | null
  chat_jid: string | null
  sender: number | null
  sender_lid: string | null
  sender_phone: string | null
}

/** The columns of `MessageRow`, for any query over messages. */
export const MESSAGE_ROWS = `SELECT m.number, m.id, m.from_me, m.type, m.status, m.flags, m.timestamp, m.acked_at, m.error, m.body, m.sender,
  c.lid AS chat_lid, c.phone AS chat_phone, c.jid AS chat_jid, s.lid AS sender_lid, s.phone AS sender_phone
  FROM messages m JOIN parties c ON c.number = m.chat LEFT JOIN parties s ON s.number = m.sender`

const placeOfBody = (sessionId: string, fromMe: boolean, id: string): string =>
  placeOf('messages', sessionId, fromMe ? 'out' : 'in', id)

/** Content and raw form of a row; blank when they were not kept. */
export function bodyOf(
  sessionId: string,
  sealer: Sealer,
  row: Pick<MessageRow, 'id' | 'from_me' | 'type' | 'body'>,
): ReturnType<typeof decodeBody> {
  if (!row.body) return blankBody(row.type)
  if (row.body[0] === PLAIN) return decodeBody(row.type, row.body)
  return decodeBody(row.type, sealer.open(row.body, placeOfBody(sessionId, row.from_me === 1, row.id)))
}

export function messageOf(sessionId: SessionId, sealer: Sealer, row: MessageRow): StoredMessage {
  const chat = { lid: row.chat_lid, phone: row.chat_phone, jid: row.chat_jid }
  const body = bodyOf(sessionId, sealer, row)
  const kept = (row.flags & FLAG.keepContent) !== 0
  const shown = kept ? body : { ...blankBody(row.type), raw: body.raw }
  return {
    sessionId,
    id: asMessageId(row.id),
    chat: chatOf(chat),
    chatParty: partyOfRow(chat),
    fromMe: row.from_me === 1,
    sender:
      row.sender === null ? null : partyOfRow({ lid: row.sender_lid, phone: row.sender_phone, jid: null }),
    senderName: shown.senderName,
    content: shown.content,
    mentions: shown.mentions,
    quoted: shown.quoted,
    status: row.status,
    timestamp: row.timestamp,
    viaApi: (row.flags & FLAG.viaApi) !== 0,
    offline: (row.flags & FLAG.offline) !== 0,
    error: row.error === null ? null : (JSON.parse(row.error) as Message['error']),
    raw: shown.raw,
    ackedAt: row.acked_at,
  }
}

export type StatusChange = {
  messageId: string
  status: MessageStatus
  at: number
  error: { code: string; says: string } | null
}

export interface MessageWriter {
  /** False when (session, id, fromMe) is stored already. */
  insert(
    tx: Tx,
    session: NumberedSession,
    message: Message,
    as: { keepContent: boolean; seal: boolean },
    tally: Tally,
  ): boolean
  /** False when there is no such message of ours or the status does not climb. */
  climb(session: NumberedSession, change: StatusChange, tally: Tally): boolean
  forget(session: number): void
}

export function createMessageWriter(database: Database, parties: Parties): MessageWriter {
  const insert = database.prepare(
    'INSERT INTO messages (session, id, from_me, chat, sender, type, status, flags, timestamp, acked_at, error, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (session, id, from_me) DO NOTHING',
  )
  type Present = {
    number: number
    type: MessageType
    status: MessageStatus
    flags: number
    timestamp: number
    acked_at: number | null
  }
  const present = database.prepare<Present, [number, string]>(
    'SELECT number, type, status, flags, timestamp, acked_at FROM messages WHERE session = ? AND id = ? AND from_me = 1',
  )
  const climb = database.prepare<unknown, [string, number | null, string | null, number]>(
    'UPDATE messages SET status = ?, acked_at = ?, error = ? WHERE number = ?',
  )
  const dropBody = database.prepare<unknown, [number]>('UPDATE messages SET body = NULL WHERE number = ?')
  const dropAll = database.prepare<unknown, [number]>('DELETE FROM messages WHERE session = ?')

  /** With history off only what may have to be sent again is kept, and only until it has arrived. */
  function storedBody(
    session: NumberedSession,
    message: Message,
    as: { keepContent: boolean; seal: boolean },
  ): Uint8Array | null {
    if (!as.keepContent && (!message.fromMe || message.raw === null || SETTLED.has(message.status)))
      return null
    const body = encodeBody(
      as.keepContent ? message : { ...blankBody(message.content.type), raw: message.raw },
    )
    if (!as.seal) return body
    return session.sealer.seal(body, placeOfBody(message.sessionId, message.fromMe, message.id))
  }

  return {
    insert(tx, session, message, as, tally) {
      const { fromMe, content, status, timestamp } = message
      const chat = parties.ensure(tx, session.number, message.chat)
      const sender = message.sender ? parties.ensureParty(tx, session.number, message.sender) : null
      const flags =
        (message.viaApi ? FLAG.viaApi : 0) |
        (message.offline ? FLAG.offline : 0) |
        (as.keepContent ? FLAG.keepContent : 0)
      const { changes } = insert.run(
        session.number,
        message.id,
        fromMe ? 1 : 0,
        chat,
        sender,
        content.type,
        status,
        flags,
        timestamp,
        message.ackedAt,
        message.error && JSON.stringify(message.error),
        storedBody(session, message, as),
      )
      if (changes === 0) return false
      tally.add({ session: session.number, fromMe, type: content.type, status, timestamp }, 1)
      return true
    },
    climb(session, change, tally) {
      const row = present.get(session.number, change.messageId)
      if (!row || !climbs(row.status, change.status)) return false
      const acked = change.status !== 'failed' && change.status !== 'queued'
      climb.run(
        change.status,
        row.acked_at ?? (acked ? change.at : null),
        change.error && JSON.stringify(change.error),
        row.number,
      )
      if ((row.flags & FLAG.keepContent) === 0 && SETTLED.has(change.status)) dropBody.run(row.number)
      const counted = { session: session.number, fromMe: true, type: row.type, timestamp: row.timestamp }
      tally.add({ ...counted, status: row.status }, -1)
      tally.add({ ...counted, status: change.status }, 1)
      return true
    },
    forget(session) {
      dropAll.run(session)
    },
  }
}
