/** Message rows as they are read: columns, body, the domain's message. */
import type { MessageType } from '../domain/content'
import { asMessageId, type SessionId } from '../domain/ids'
import { asFileId } from '../domain/media'
import type { Afterlife, Message, StoredMessage } from '../domain/message'
import { type Body, blankBody, decodeBody, PLAIN } from './body'
import { statusOf, typeOf, unpackId } from './codes'
import { chatOf, partyOfRow } from './parties'
import { placeOf, type Sealer } from './seal'

/** Bits of a row's `flags`. */
export const FLAG = {
  viaApi: 1,
  offline: 2,
  keepContent: 4,
  history: 8,
  starred: 16,
  /** There is something of it in `acts`. */
  touched: 32,
  /** Its encoded form no longer says what the message says. */
  outdated: 64,
  deleted: 128,
} as const

export type MessageRow = {
  number: number
  id: Uint8Array | string
  from_me: number
  /** See `codes.ts`. */
  type: number
  status: number
  flags: number
  timestamp: number
  acked_at: number | null
  error: string | null
  send_at: number | null
  expires_at: number | null
  attachment: Uint8Array | null
  body: Uint8Array | null
  chat_lid: string | null
  chat_phone: string | null
  chat_jid: string | null
  sender: number | null
  sender_lid: string | null
  sender_phone: string | null
}

const columns = (body: string) =>
  `SELECT m.number, m.id, m.from_me, m.type, m.status, m.flags, m.timestamp, m.acked_at, m.error, m.send_at,
  m.expires_at, m.attachment, ${body} AS body, m.sender, c.lid AS chat_lid, c.phone AS chat_phone, c.jid AS chat_jid,
  s.lid AS sender_lid, s.phone AS sender_phone
  FROM messages m JOIN parties c ON c.number = m.chat LEFT JOIN parties s ON s.number = m.sender`

/** The columns of `MessageRow`, for any query over messages. */
export const MESSAGE_ROWS = columns('m.body')
/** The same without what they say. */
export const MESSAGE_HEADS = columns('NULL')

/** Where the blob of a message belongs. */
export const placeOfBody = (sessionId: string, fromMe: boolean, id: string): string =>
  placeOf('messages', sessionId, fromMe ? 'out' : 'in', id)

type BodyRow = Pick<MessageRow, 'id' | 'from_me' | 'type' | 'body'>

/** Content and raw form of a row; blank when they were not kept. */
export function bodyOf(sessionId: string, sealer: Sealer, row: BodyRow): Body {
  const type = typeOf(row.type)
  if (!row.body) return blankBody(type)
  if (row.body[0] === PLAIN) return decodeBody(type, row.body)
  return decodeBody(type, sealer.open(row.body, placeOfBody(sessionId, row.from_me === 1, unpackId(row.id))))
}

/** An encoded body as it is stored; without a sealer it is readable. */
export const blobOf = (
  encoded: Uint8Array,
  sealer: Sealer | null,
  of: { sessionId: string; fromMe: boolean; id: string },
): Uint8Array => (sealer ? sealer.seal(encoded, placeOfBody(of.sessionId, of.fromMe, of.id)) : encoded)

/** A body of which nothing is shown but what is needed for sending. */
export const hidden = (type: MessageType, { raw, context }: Body): Body => ({
  ...blankBody(type),
  raw,
  context,
})

function scheduleOf(row: MessageRow): Message['schedule'] {
  return statusOf(row.status) === 'queued' ? { sendAt: row.send_at, expiresAt: row.expires_at } : null
}

/** The row as the domain knows it. */
export function messageOf(
  sessionId: SessionId,
  sealer: Sealer,
  row: MessageRow,
  afterlife: Afterlife,
): StoredMessage {
  const chat = { lid: row.chat_lid, phone: row.chat_phone, jid: row.chat_jid }
  const chatParty = partyOfRow(chat)
  const type = typeOf(row.type)
  const is = (flag: number): boolean => (row.flags & flag) !== 0
  const body = bodyOf(sessionId, sealer, row)
  const shown = is(FLAG.keepContent) ? body : hidden(type, body)
  const fromMe = row.from_me === 1
  const itsChat = chat.jid === null ? chatParty : null
  return {
    sessionId,
    id: asMessageId(unpackId(row.id)),
    chat: chatOf(chat),
    chatParty,
    fromMe,
    sender: fromMe
      ? null
      : row.sender === null
        ? itsChat
        : partyOfRow({ lid: row.sender_lid, phone: row.sender_phone, jid: null }),
    senderName: shown.senderName,
    content: shown.content,
    mentions: shown.mentions,
    quoted: shown.quoted,
    context: shown.context,
    status: statusOf(row.status),
    timestamp: row.timestamp,
    viaApi: is(FLAG.viaApi),
    offline: is(FLAG.offline),
    history: is(FLAG.history),
    error: row.error === null ? null : (JSON.parse(row.error) as Message['error']),
    raw: shown.raw,
    ackedAt: row.acked_at,
    attachment: row.attachment === null ? null : asFileId(Buffer.from(row.attachment).toString('hex')),
    schedule: scheduleOf(row),
    afterlife: { ...afterlife, starred: is(FLAG.starred) },
  }
}
