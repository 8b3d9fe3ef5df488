/**
 * The port to WhatsApp. `open` never throws and never rejects: trouble arrives as a `closed` report.
 *
 * Reports of one connection come in order. A report after `closed` does not exist.
 */
import type { Closing } from './close-reasons'
import type { Content, SendableContent } from './content'
import type { Jid, MessageId, Party } from './ids'
import type { MessageStatus, Quote } from './message'
import type { SessionVault } from './ownership'
import type { Identity } from './session'

/** What WhatsApp or our own device says has happened. */
export type Report =
  /** A code to scan; `expiresAt` is the true moment at which it stops being the current one. */
  | { kind: 'qr'; text: string; expiresAt: number }
  /** A phone has granted this device; the connection restarts next. */
  | { kind: 'paired'; me: Identity }
  /** Logged in and through with the backlog's announcement: messages can be sent. */
  | { kind: 'opened'; me: Identity; clientVersion: string }
  | { kind: 'closed'; why: Closing }
  | { kind: 'messages'; messages: IncomingMessage[] }
  /** `inboxId`s of stanzas that were handled and hold no message of ours to store. */
  | { kind: 'handled'; inboxIds: number[] }
  | { kind: 'statuses'; statuses: StatusReport[] }
  | { kind: 'identities'; pairs: { lid: Jid; phoneNumber: string }[] }
  | { kind: 'history'; chats: number; contacts: number; messages: number; progress: number | null }
  | { kind: 'contacts'; contacts: { party: Party; name: string | null }[] }
  | { kind: 'groups'; groups: { id: Jid; subject: string | null; participants: number | null }[] }
  | { kind: 'participants'; group: Jid; action: string; participants: Party[]; by: Party | null }
  | { kind: 'presence'; chat: Party; presence: string; typing: boolean }
  | { kind: 'calls'; calls: { id: string; from: Party; status: string; video: boolean }[] }
  /** Something came from the server: the connection lives. At most one a second. */
  | { kind: 'alive'; at: number }

export type IncomingMessage = {
  id: MessageId
  /** The chat as WhatsApp addressed it. */
  chat: Jid
  /** Both names of a person chat; both null for groups and channels. */
  chatParty: Party
  fromMe: boolean
  sender: Party | null
  senderName: string | null
  content: Content
  mentions: string[]
  quoted: Quote | null
  timestamp: number
  offline: boolean
  raw: Uint8Array
  /** The journal row of its stanza, deleted in the commit that stores the message. */
  inboxId: number | null
  /** What the statuses merged into the message say; `sent` at least for own messages. */
  status: MessageStatus
}

export type StatusReport = {
  messageId: MessageId
  status: MessageStatus
  at: number
  error: SendRefusal | null
}

/** WhatsApp's refusal of a message: its code as text, and a sentence. */
export type SendRefusal = { code: string; says: string }

export type Outgoing = {
  id: MessageId
  to: Jid
  /** The encoded `proto.Message` made by `encode`. */
  raw: Uint8Array
  /** The message's own commit, on its way to disk: nothing leaves before it resolves, nor after it has rejected. */
  stored?: Promise<unknown>
}

export type Acknowledgement = { at: number }

/** Rejections of `Connection.send`. */
export class SendRefused extends Error {
  constructor(readonly refusal: SendRefusal) {
    super(refusal.says)
    this.name = 'SendRefused'
  }
}
/** The server's acknowledgement did not come in time, or the connection ended before it; the outcome is unknown. */
export class SendUnconfirmed extends Error {
  constructor(says: string) {
    super(says)
    this.name = 'SendUnconfirmed'
  }
}

export type NumberLookup = { phoneNumber: string; exists: boolean; lid: Jid | null }

/** One open socket. */
export interface Connection {
  /** Resolves when WhatsApp's server has acknowledged; rejects with `SendRefused` or `SendUnconfirmed`. */
  send(message: Outgoing): Promise<Acknowledgement>
  /** A pairing code for this number, the same one throughout a pairing window. Rejects with `PAIRING_CODE_REFUSED`. */
  pairingCode(phoneNumber: string): Promise<{ code: string; expiresAt: number }>
  lookUp(phoneNumbers: readonly string[]): Promise<NumberLookup[]>
  /** Ends the socket and resolves when it is gone and everything received is reported; no unlinking. */
  close(): Promise<void>
  /** Asks WhatsApp to unlink this device (at most `LOGOUT_TIMEOUT`), then closes. */
  logout(): Promise<void>
}

export type OpenRequest = {
  sessionId: string
  vault: SessionVault
  markOnline: boolean
  /** The encoded message sent or received under an id; for retries. */
  raw: (messageId: string) => Uint8Array | null
}

export interface WhatsApp {
  open(request: OpenRequest, report: (report: Report) => void): Connection
  /** A fresh message id in WhatsApp's form. */
  newMessageId(): MessageId
  /** Content → encoded `proto.Message`; pure. */
  encode(content: SendableContent, context: EncodeContext): Uint8Array
}

export type EncodeContext = {
  mentions: readonly Jid[]
  quoted: { id: string; raw: Uint8Array; chat: Jid; sender: Jid } | null
}
