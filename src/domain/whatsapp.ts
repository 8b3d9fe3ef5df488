/**
 * The port to WhatsApp. `open` never throws and never rejects: trouble arrives as a `closed` report.
 *
 * Reports of one connection come in order. A report after `closed` does not exist.
 */
import type { Closing } from './close-reasons'
import type { Content, SendableContent } from './content'
import type { Jid, MessageId, Party } from './ids'
import type { Bytes } from './media'
import type { MessageContext, MessageStatus, Quote } from './message'
import type { SessionVault } from './ownership'
import type { Identity, Restriction } from './session'

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
  /** A piece of what the phone hands over after linking; `messages` oldest first. */
  | {
      kind: 'history'
      chats: number
      contacts: number
      messages: IncomingMessage[]
      progress: number | null
    }
  | { kind: 'stars'; stars: { messageId: MessageId; fromMe: boolean; starred: boolean }[] }
  /** WhatsApp has told, unasked, what this number may not do; null = nothing is forbidden any more. */
  | { kind: 'restriction'; restriction: Restriction | null }
  /** Somebody has set after how many seconds messages of a chat vanish from now on; 0 = they stay. */
  | { kind: 'vanishing'; chat: Jid; seconds: number }
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
  context: MessageContext
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
  /** Only of a status post: who is to see it. */
  audience?: readonly Jid[]
}

/** What a file is to WhatsApp: decides its keys and where it is uploaded. */
export type MediaKind = 'image' | 'video' | 'gif' | 'ptv' | 'audio' | 'voice' | 'document' | 'sticker'

/** A file to be uploaded; `open` may be called more than once. `forChannel`: it is not encrypted, everybody may read it. */
export type MediaSource = { kind: MediaKind; size: number; open: () => Bytes; forChannel?: boolean }

/** Where a file lies at WhatsApp, and how to open it; what concerns the encryption is empty for files of channels. */
export type MediaPointer = {
  url: string
  directPath: string
  mediaKey: Uint8Array
  fileSha256: Uint8Array
  fileEncSha256: Uint8Array
  fileLength: number
  /** Seconds since the epoch. */
  mediaKeyTimestamp: number
  /** WhatsApp’s name of a file for channels, which its post has to bear. */
  handle?: string
}

/** A message as WhatsApp names it. */
export type MessageRef = { id: string; chat: Jid; fromMe: boolean; sender: Jid | null }

/** A stored message whose file is wanted. */
export type MediaRequest = MessageRef & { raw: Uint8Array; maxBytes: number }

/** Why a file of WhatsApp's could not be had. */
export class MediaUnavailable extends Error {
  constructor(
    /** `withheld`: a file that can be opened once, which WhatsApp shows on the phone alone. */
    readonly reason: 'expired' | 'refused' | 'too_large' | 'corrupt' | 'no_file' | 'withheld',
    says: string,
  ) {
    super(says)
    this.name = 'MediaUnavailable'
  }
}

export const CHAT_PRESENCES = ['composing', 'recording', 'paused', 'available', 'unavailable'] as const
/** What is shown to the other side; the last two concern all chats. */
export type ChatPresence = (typeof CHAT_PRESENCES)[number]

/** `raw`: the encoded message as it is to be kept from now on, when WhatsApp has told something that belongs to it. */
export type Acknowledgement = { at: number; raw?: Uint8Array }

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
  /** One answer per number asked, `phoneNumber` as WhatsApp has registered it. */
  lookUp(phoneNumbers: readonly string[]): Promise<NumberLookup[]>
  /** Encrypts and uploads a file; rejects with `SendUnconfirmed` when the media hosts cannot be reached now. */
  upload(source: MediaSource): Promise<MediaPointer>
  /**
   * The plain bytes of a message's file, checked as they pass: whoever keeps them does so only when the stream ends
   * without an error (`MediaUnavailable`). An expired copy is asked for again from the phone, once.
   */
  download(request: MediaRequest): Bytes
  /** Shows “typing…”, “recording…”, or whether we are there. */
  showPresence(to: Jid | null, presence: ChatPresence): Promise<void>
  /** Stars or unstars on all devices of the account. */
  star(message: MessageRef, starred: boolean): Promise<void>
  /** Tells the authors that these messages were read. */
  markRead(messages: readonly MessageRef[]): Promise<void>
  /** What WhatsApp says this number may not do at the moment; null = nothing. */
  restriction(): Promise<Restriction | null>
  /** Ends the socket and resolves when it is gone and everything received is reported; no unlinking. */
  close(): Promise<void>
  /** Asks WhatsApp to unlink this device (at most `LOGOUT_TIMEOUT`), then closes. */
  logout(): Promise<void>
}

export type OpenRequest = {
  sessionId: string
  vault: SessionVault
  markOnline: boolean
  /** The proxy by which everything goes, with its credentials; null = none. */
  proxyUrl: string | null
  /** The encoded message sent or received under an id; for retries. */
  raw: (messageId: string) => Uint8Array | null
}

/** Why something that came in is told to nobody. */
export const DROP_REASONS = ['forged', 'refused', 'undecrypted', 'unreadable'] as const
export type DropReason = (typeof DROP_REASONS)[number]
export type Dropped = Readonly<Record<DropReason, number>>

export interface WhatsApp {
  open(request: OpenRequest, report: (report: Report) => void): Connection
  /** What a session has dropped of what came in, since the process began. */
  dropped(sessionId: string): Dropped
  /** A fresh message id in WhatsApp's form. */
  newMessageId(): MessageId
  /** Content → encoded `proto.Message`; pure. A message with a file is incomplete until `attach`. */
  encode(content: SendableContent, context: EncodeContext): Uint8Array
  /** An encoded message of ours, marked as forwarded once more and without what belonged to its first place. */
  forward(raw: Uint8Array, context: EncodeContext): Uint8Array
  /** Puts the place of its file into an encoded message. */
  attach(raw: Uint8Array, pointer: MediaPointer): Uint8Array
  /** What kind of file an encoded message carries, and where it lies as far as that is known. */
  fileOf(raw: Uint8Array): { kind: MediaKind; pointer: MediaPointer | null } | null
}

/** A stored message that the new one points at. */
export type Pointed = { id: string; raw: Uint8Array; chat: Jid; sender: Jid; fromMe: boolean }

export type EncodeContext = {
  /** Who we are, for what is signed or encrypted with our address; the LID when it is known. */
  me: Jid
  chat: Jid
  mentions: readonly Jid[]
  quoted: Pointed | null
  /** What an action acts on. */
  target: Pointed | null
  extra: MessageContext
  /** A small JPEG of the file or of the linked page. */
  thumbnail: Uint8Array | null
  /** Milliseconds since the epoch. */
  now: number
}
