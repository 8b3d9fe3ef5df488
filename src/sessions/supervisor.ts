/** All sessions of this process: commands in, WhatsApp connections held, every fact written through the ledger. */
import type { Ledger } from '../domain/changes'
import type { SendableContent } from '../domain/content'
import type { Jid, SessionId, TenantId } from '../domain/ids'
import type { Journal } from '../domain/journal'
import type { Identities, Message, Messages } from '../domain/message'
import type { Vaults } from '../domain/ownership'
import type { Session, SessionSettings, Sessions } from '../domain/session'
import type { WhatsApp } from '../domain/whatsapp'
import type { Clock } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'

/** What a caller can ask of a session. */
export type SessionCommand = 'start' | 'stop' | 'restart' | 'clear_auth' | 'logout'

export type NewSession = {
  name: string
  description?: string | null
  settings?: Partial<SessionSettings>
}

export type SessionUpdate = {
  name?: string
  description?: string | null
  /** Merged into the present settings. */
  settings?: Partial<SessionSettings>
}

export type SendInput = {
  to: Jid
  content: SendableContent
  mentions?: Jid[]
  quotedMessageId?: string
  /** Answer as soon as the message is on disk (status `queued`), also while the session is reconnecting. */
  queue?: boolean
  /** How long to wait for the server's acknowledgement (ms); the option `ackTimeoutMs` unless given. */
  waitMs?: number
}

export type SupervisorOptions = {
  /** Pairing windows opened in a row when nobody scans. */
  qrMaxWindows: number
  /** Sessions that connect at the same time after a process start. */
  resumeConcurrency: number
  /** Unacknowledged messages a session may hold. */
  maxQueue: number
  /** Longest wait for the server's acknowledgement of a message (ms). */
  ackTimeoutMs: number
  /** Throws `WEBHOOK_URL_FORBIDDEN` for addresses that `settings.webhookUrl` must not have. */
  checkWebhookUrl?: (url: string) => void
}

export type SupervisorParts = {
  whatsapp: WhatsApp
  sessions: Sessions
  messages: Messages
  identities: Identities
  ledger: Ledger
  journal: Journal
  vaults: Vaults
  clock: Clock
  random: () => number
  log: Log
  options: SupervisorOptions
}

/** The machine behind the session routes; tenancy is the caller's check. */
export interface Supervisor extends Part {
  /** True once every session that was running before the process start has been opened or given up. */
  readonly resumed: boolean
  /** The live session, with the QR text on show and the newest activity. */
  find(id: SessionId): Session | null
  /** Fails with `SESSION_LIMIT_REACHED` when the tenant has `maxSessions` already; null = unlimited. */
  create(tenantId: TenantId, input: NewSession, maxSessions: number | null): Promise<Session>
  /** Resolves with the session as it stands once the command is on disk; `SESSION_NOT_FOUND`. */
  command(id: SessionId, command: SessionCommand): Promise<Session>
  update(id: SessionId, input: SessionUpdate): Promise<Session>
  /** Unlinks the device if it can, and removes the session with all that belongs to it. */
  remove(id: SessionId): Promise<void>
  /**
   * The code on show, waited for at most `waitMs`. Fails with `QR_NOT_READY`, `SESSION_ALREADY_CONNECTED`,
   * `SESSION_NOT_STARTED`, `QR_CODE_EXPIRED`, or the code of the reason that ended the connection.
   */
  waitForQr(id: SessionId, waitMs: number, signal?: AbortSignal): Promise<{ text: string; expiresAt: number }>
  /** A code to type on the phone; digits only. Fails like `waitForQr`, and with `PAIRING_CODE_REFUSED`. */
  pairingCode(id: SessionId, phoneNumber: string): Promise<{ code: string; expiresAt: number }>
  /**
   * Sends a message and resolves with it: `sent` after WhatsApp's acknowledgement, `queued` at once with `queue`.
   * Fails with `SESSION_NOT_CONNECTED`, `AUTH_EXPIRED`, `NUMBER_NOT_ON_WHATSAPP`, `MESSAGE_REJECTED`,
   * `MESSAGE_TIMEOUT` (details.messageId; it stays queued), `MESSAGE_NOT_FOUND` (quoted) or `QUEUE_FULL`.
   */
  send(id: SessionId, input: SendInput): Promise<Message>
  /** Removes every session of an account. */
  removeTenant(tenantId: TenantId): Promise<void>
  live(): { total: number; connected: number }
}
