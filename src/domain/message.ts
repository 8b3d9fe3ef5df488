/** Messages as we keep them, and the ladder of their statuses. */
import type { Content, MessageType } from './content'
import type { Jid, MessageId, Party, SessionId } from './ids'

export const MESSAGE_STATUSES = [
  'queued',
  'failed',
  'sent',
  'delivered',
  'read',
  'played',
  'received',
] as const
export type MessageStatus = (typeof MESSAGE_STATUSES)[number]

/** A status only climbs; `failed` is left only by a later acknowledgement, `received` never. */
const RANK: Record<MessageStatus, number> = {
  queued: 0,
  failed: 1,
  sent: 2,
  delivered: 3,
  read: 4,
  played: 5,
  received: 9,
}

/** True when `next` is news for a message that stands at `current`. */
export const climbs = (current: MessageStatus, next: MessageStatus): boolean => RANK[next] > RANK[current]

export type Quote = { messageId: string; from: string | null; text: string | null }

export type Message = {
  sessionId: SessionId
  id: MessageId
  /** The person's LID when known, else the phone address; the group; the channel. */
  chat: Jid
  fromMe: boolean
  /** Who wrote it; null when it was us. */
  sender: Party | null
  /** The name the sender gives itself. */
  senderName: string | null
  content: Content
  mentions: string[]
  quoted: Quote | null
  status: MessageStatus
  /** Milliseconds since the epoch, WhatsApp's time stamp for received ones. */
  timestamp: number
  /** We were asked to send it by the API (not from the phone). */
  viaApi: boolean
  /** It arrived while we were away. */
  offline: boolean
  error: { code: string; says: string } | null
  /** Encoded `proto.Message`: needed for retries, quotes and types we do not read yet. */
  raw: Uint8Array | null
  /** When the server acknowledged an outgoing message (ms). */
  ackedAt: number | null
}

export type MessageFilter = {
  sessionId: SessionId
  limit: number
  offset: number
  /** Only from this party (digits, LID or `me`). */
  from?: string
  to?: string
  chat?: string
  type?: MessageType
  status?: MessageStatus
  /** Inclusive (ms). */
  start?: number
  end?: number
}

/** A stored message with its chat as people know it. */
export type StoredMessage = Message & { chatParty: Party }

/** Numbers of a session over a span of days. */
export type MessageStats = {
  sent: number
  received: number
  failed: number
  byType: Partial<Record<MessageType, number>>
  byDay: Record<string, { sent: number; received: number }>
  byStatus: Partial<Record<MessageStatus, number>>
  /** Over the last 24 h unless a span was asked for. */
  recent: { sent: number; received: number; failed: number; averageAckMs: number | null }
}

/** Read side of messages. */
export interface Messages {
  get(sessionId: SessionId, id: string): StoredMessage | null
  list(filter: MessageFilter): { messages: StoredMessage[]; total: number }
  /** Outgoing messages not yet acknowledged, oldest first: the send queue. */
  queued(sessionId: SessionId): StoredMessage[]
  queueLengths(ids: readonly SessionId[]): Map<SessionId, number>
  /** The encoded message that we sent or got under this id, for retries and quotes. */
  raw(sessionId: SessionId, id: string): Uint8Array | null
  stats(sessionId: SessionId, span: { from?: number; to?: number; now: number }): MessageStats
  /** Messages of all sessions of a tenant (or of all) since a moment. */
  totalsSince(tenantId: string | null, since: number): { sent: number; received: number }
}

/** Read side of who is who: LID ↔ phone number. */
export interface Identities {
  /** Everything known about the person behind an address. */
  resolve(sessionId: SessionId, jid: string): Party
}
