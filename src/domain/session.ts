/**
 * The session: one linked WhatsApp number.
 *
 * The manual's five words are the five states, and each state carries its own data. The QR text is a live secret: it is
 * part of the state in memory and is never stored.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { CloseReason, Closing } from './close-reasons'
import type { SessionId, TenantId } from './ids'

export const SESSION_STATUSES = [
  'inactive',
  'connecting',
  'qr_generated',
  'connected',
  'disconnected',
] as const
export type SessionStatus = (typeof SESSION_STATUSES)[number]
export const SessionStatusSchema = Type.Union(SESSION_STATUSES.map((status) => Type.Literal(status)))

export type SessionState =
  | { status: 'inactive' }
  | { status: 'connecting'; attempt: number; window: number }
  /** `attempt`: tries spent on the way to this code; absent = none. */
  | { status: 'qr_generated'; qr: string; expiresAt: number; window: number; attempt?: number }
  | { status: 'connected'; since: number; attempt: number }
  | { status: 'disconnected'; why: Closing; retryAt: number | null; attempt: number; window: number }

/** Settings as the manual names them; every one has a default, so a stored session always has all of them. */
export const SessionSettingsSchema = Type.Object(
  {
    autoReconnect: Type.Boolean({ default: true, description: 'Reconnect after a lost connection' }),
    reconnectInterval: Type.Integer({
      minimum: 1000,
      maximum: 3_600_000,
      default: 30_000,
      description:
        'Longest wait between attempts in milliseconds; waits start at 1 s, double, and are jittered',
    }),
    maxReconnectAttempts: Type.Integer({
      minimum: 0,
      maximum: 1_000_000,
      default: 10,
      description: 'Attempts before the session stays disconnected; 0 = for ever',
    }),
    webhookUrl: Type.Union([Type.String({ minLength: 1, maxLength: 2048 }), Type.Null()], {
      default: null,
      description: 'Every event of the session is posted here',
    }),
    messageHistory: Type.Boolean({ default: true, description: 'Store message content' }),
    ipWhitelist: Type.Array(Type.String({ minLength: 1, maxLength: 64 }), {
      maxItems: 256,
      default: [],
      description: 'Addresses or CIDR ranges that may use this session; empty = all',
    }),
    enableEncryption: Type.Boolean({
      default: true,
      description:
        'Encrypt message content at rest. Switched on later, what is stored is encrypted as well; switched off, what is encrypted stays so. Credentials, secrets, files and events always are',
    }),
    proxyUrl: Type.Union(
      [
        Type.String({
          minLength: 1,
          maxLength: 2048,
          examples: ['socks5://user:password@proxy.example.com:1080'],
        }),
        Type.Null(),
      ],
      {
        default: null,
        description:
          'Proxy (http, https, socks5) by which everything of this session goes to WhatsApp, files too; never without it. Its password is shown as ***',
      },
    ),
    markOnline: Type.Boolean({ default: false, description: 'Appear online while connected' }),
    sendPacing: Type.Union(
      [
        Type.Object(
          {
            messagesPerMinute: Type.Integer({ minimum: 1, maximum: 6000 }),
            jitter: Type.Optional(
              Type.Number({ minimum: 0, maximum: 1, description: 'Random share by which each pause varies' }),
            ),
            typing: Type.Optional(
              Type.Boolean({
                description: 'Show “typing…” before each text, as long as its length suggests',
              }),
            ),
          },
          { additionalProperties: false },
        ),
        Type.Null(),
      ],
      { default: null, description: 'How fast the queue sends; null = as fast as WhatsApp takes it' },
    ),
    queuePaused: Type.Boolean({ default: false, description: 'Messages are accepted but wait' }),
    downloadMedia: Type.Boolean({
      default: false,
      description: 'Fetch every received file at once; otherwise when somebody asks for it',
    }),
  },
  { additionalProperties: false },
)
export type SessionSettings = Static<typeof SessionSettingsSchema>

export const DEFAULT_SETTINGS: SessionSettings = {
  autoReconnect: true,
  reconnectInterval: 30_000,
  maxReconnectAttempts: 10,
  webhookUrl: null,
  messageHistory: true,
  ipWhitelist: [],
  enableEncryption: true,
  proxyUrl: null,
  markOnline: false,
  sendPacing: null,
  queuePaused: false,
  downloadMedia: false,
}

/** What WhatsApp does not let a number do for a while: writing to chats that do not exist yet. */
export type Restriction = {
  /** When it ends (ms); null when WhatsApp has not said. */
  until: number | null
  /** WhatsApp's own name of it, as far as it is known. */
  type: string
  since: number
}

/** What WhatsApp says about the linked number. */
export type Identity = {
  phoneNumber: string
  lid: string | null
  name: string | null
  platform: string | null
}

/** A time in which the session was not through, although it had been: told as `session.gap` when it is over. */
export type Outage = {
  /** The last moment (ms) at which it is known to have been through. */
  from: number
  /** What has ended the connection: a close reason, or the command or restart that did. */
  reason: CloseReason | OwnReason
}
/** Ends of a connection that are nobody's failure. */
export const OWN_REASONS = ['stopped', 'restarted', 'process_restarted'] as const
export type OwnReason = (typeof OWN_REASONS)[number]

export type Session = {
  id: SessionId
  tenantId: TenantId
  name: string
  description: string | null
  settings: SessionSettings
  state: SessionState
  /** `linked` once a phone has granted this device; `revoked` when WhatsApp took that back and they await removal. */
  credentials: 'none' | 'linked' | 'revoked'
  /** The linked number; null until linked and after the credentials are cleared. */
  me: Identity | null
  /** WhatsApp Web version of the present or last connection. */
  clientVersion: string | null
  /** In force as far as we know. */
  restriction: Restriction | null
  /** Since the connection was lost, until the backlog of that time is through; null while nothing was missed. */
  outage: Outage | null
  lastDisconnect: { code: number | null; reason: CloseReason; detail: string; at: number } | null
  createdAt: number
  updatedAt: number
  /** The last traffic of any kind (ms), null before the first. */
  lastActivity: number | null
  firstStartedAt: number | null
  /** Time spent connected so far, without the present connection (ms). */
  connectedMs: number
}

/** Numbers that belong to a session; kept by the storage in the transaction of the message itself. */
export type MessageCounts = { sent: number; received: number; failed: number }

export type SessionFilter = {
  tenantId: TenantId
  status?: SessionStatus
  /** Sessions that are left out. */
  except?: readonly SessionId[]
  /** The only ones that count; null = all of the tenant. */
  only?: readonly SessionId[] | null
  limit: number
  offset: number
}

/** Read side of sessions. */
export interface Sessions {
  all(): Session[]
  get(id: SessionId): Session | null
  list(filter: SessionFilter): { sessions: Session[]; total: number }
  /** Those of a tenant that have a list of addresses. */
  fenced(tenantId: TenantId): Session[]
  /** The session, other than `except`, that holds this linked number, of whatever tenant. */
  holderOf(phoneNumber: string, except: SessionId): SessionId | null
  counts(ids: readonly SessionId[]): Map<SessionId, MessageCounts>
  /** Of a tenant or of all; of these sessions alone when some are given. */
  countByStatus(tenantId: TenantId | null, only?: readonly SessionId[] | null): Record<SessionStatus, number>
  countOf(tenantId: TenantId): number
  /** Messages that have come late since the present outage began. */
  lateCount(id: SessionId): number
  /** Received stanzas whose messages are not stored yet, oldest first. */
  inbox(id: SessionId): { id: number; at: number }[]
  /** When the newest messages of either direction were written, by WhatsApp’s clock (ms). */
  lastTraffic(id: SessionId): { received: number | null; sent: number | null }
  /** What became of the session, newest first; a bounded number of entries is kept. */
  timeline(id: SessionId, limit: number): TimelineEntry[]
}

/** Why a session went into another state; `closed` bears the reason with it. */
export type TimelineCause =
  | 'created'
  | 'start'
  | 'stop'
  | 'restart'
  | 'rerouted'
  | 'clear_auth'
  | 'logout'
  | 'resume'
  | 'retry_due'
  | 'qr'
  | 'paired'
  | 'opened'
  | 'closed'
  | 'unknown'

export type TimelineEntry = {
  at: number
  status: SessionStatus
  cause: TimelineCause
  /** Of an end of the connection. */
  reason: CloseReason | null
  detail: string | null
}
