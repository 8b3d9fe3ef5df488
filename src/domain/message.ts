/** Messages as we keep them, and the ladder of their statuses. */
import type { Content, ContentOf, MessageType } from './content'
import type { Jid, MessageId, Party, SessionId, TenantId } from './ids'
import type { FileId } from './media'

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

/** What goes along with a message of any type; absent = not so. */
export type MessageContext = {
  /** Everybody in the group is named. */
  mentionsAll?: true
  /** How often it was forwarded, at least; 0 never stands here. */
  forwardingScore?: number
  /** It vanishes so many seconds after it was read. */
  disappearingSeconds?: number
  /** The album it belongs to. */
  albumId?: string
  /** Who may see a status post of ours. */
  audience?: Jid[]
}

/** When a message that waits may leave, and until when it is still worth sending (ms). */
export type Schedule = { sendAt: number | null; expiresAt: number | null }

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
  context: MessageContext
  status: MessageStatus
  /** Milliseconds since the epoch, WhatsApp's time stamp for received ones. */
  timestamp: number
  /** We were asked to send it by the API (not from the phone). */
  viaApi: boolean
  /** It arrived while we were away. */
  offline: boolean
  /** The phone handed it over when it was linked; nobody was told of it, and it counts in no statistics. */
  history: boolean
  error: { code: string; says: string } | null
  /** Encoded `proto.Message`: needed for retries, quotes and types we do not read yet. */
  raw: Uint8Array | null
  /** When the server acknowledged an outgoing message (ms). */
  ackedAt: number | null
  /** The kept file that has not been uploaded to WhatsApp yet; `raw` has no place of it until then. */
  attachment: FileId | null
  /** Null for everything that is not queued. */
  schedule: Schedule | null
}

export type Reaction = { emoji: string; from: 'me' | Party; at: number }
/** A voter's present choice. */
export type Vote = { options: string[]; from: 'me' | Party; at: number }

/** Somebody's present answer to an event. */
export type Rsvp = {
  response: ContentOf<'rsvp'>['response']
  /** Whom the person brings along. */
  extraGuests: number
  from: 'me' | Party
  at: number
}

/** What later messages have made of a stored one. */
export type Afterlife = {
  editedAt: number | null
  /** Taken back: its content is gone. */
  deletedAt: number | null
  starred: boolean
  /** When the pin ends (ms); null = not pinned. */
  pinnedUntil: number | null
  reactions: Reaction[]
  /** Of a poll. */
  votes: Vote[]
  /** Of an event. */
  responses: Rsvp[]
}

/** Nothing has been made of it yet. */
export const NO_AFTERLIFE: Afterlife = {
  editedAt: null,
  deletedAt: null,
  starred: false,
  pinnedUntil: null,
  reactions: [],
  votes: [],
  responses: [],
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
  /** Words that all stand in it, whatever their case and accents. */
  search?: string
  starred?: boolean
  /** Inclusive (ms). */
  start?: number
  end?: number
}

/** A stored message with its chat as people know it. */
export type StoredMessage = Message & { chatParty: Party; afterlife: Afterlife }

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
  /**
   * Resolves when every stored message is in the index that `search` uses, or the disk takes no more; a search that comes
   * earlier reads what is not, which is as right but holds up the process when much has just arrived.
   */
  searchable(): Promise<void>
  /** Outgoing messages not yet acknowledged, in the order in which they were accepted: the send queue. */
  queued(sessionId: SessionId): StoredMessage[]
  /** The same without content, for a look at a long queue. */
  queuePage(
    sessionId: SessionId,
    page: { limit: number; offset: number },
  ): { messages: StoredMessage[]; total: number }
  /** The session of this tenant in which an own message of this id is stored. */
  sessionOf(tenantId: TenantId, messageId: string): SessionId | null
  /** Whether anything was ever written to or heard from this chat (actions and failures aside). */
  isEstablished(sessionId: SessionId, chat: Jid): boolean
  queueLengths(ids: readonly SessionId[]): Map<SessionId, number>
  /**
   * The encoded message that we sent or got under this id, for retries and quotes; null when it does not say any more
   * what the message says (edited, taken back).
   */
  raw(sessionId: SessionId, id: string): Uint8Array | null
  /** Own messages of this API that WhatsApp has acknowledged since a moment (ms), counted up to `most`. */
  sentSince(sessionId: SessionId, since: number, most: number): number
  stats(sessionId: SessionId, span: { from?: number; to?: number; now: number }): MessageStats
  /** Messages of all sessions of a tenant (or of all) since a moment; of these sessions alone when some are given. */
  totalsSince(
    tenantId: string | null,
    since: number,
    only?: readonly SessionId[] | null,
  ): { sent: number; received: number }
}

/** Read side of who is who: LID ↔ phone number. */
export interface Identities {
  /** Everything known about the person behind an address. */
  resolve(sessionId: SessionId, jid: string): Party
}
