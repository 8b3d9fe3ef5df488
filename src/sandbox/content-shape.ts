/** What writers and readers of content share: readable content, files that lie at the media host, and earlier messages. */
import type { proto } from '@whiskeysockets/baileys'

/** A message as a phone shows it: `type`, and whatever that type has. */
export type ReadContent = { type: string } & Record<string, unknown>

/** Where an uploaded file lies and how to open it: the fields every media message shares. In channels there is no key. */
export type UploadedFile = {
  url: string
  directPath: string
  fileSha256: Buffer
  fileLength: number
  mediaKey?: Buffer
  fileEncSha256?: Buffer
  mediaKeyTimestamp?: number
}

/** An earlier message as the phone names it on the wire. */
export type KnownMessage = {
  key: proto.IMessageKey
  message: proto.IMessage
  /** Who wrote it, in the kind of address that its chat uses. */
  author: string
}

/** What a writer needs to know of the world around the content. */
export type Surroundings = {
  /** Of content with a file. */
  uploaded?: UploadedFile
  /** The chat as it is addressed. */
  chat: string
  /** The phone itself, in the kind of address that this chat uses. */
  me: string
  /** Null when the phone knows no such message. */
  lookUp(messageId: string): KnownMessage | null
  jidOf(mention: string): string
  messageSecret(): Buffer
  /** Milliseconds since the epoch. */
  now: number
}

/** Thrown when content points to a message this phone does not know. */
export class UnknownMessage extends Error {
  constructor(readonly messageId: string) {
    super(`This phone knows no message ${messageId}`)
    this.name = 'UnknownMessage'
  }
}

/** The earlier message that content points to; throws `UnknownMessage`. */
export function known(around: Surroundings, messageId: string): KnownMessage {
  const found = around.lookUp(messageId)
  if (!found) throw new UnknownMessage(messageId)
  return found
}

/** Without fields that are null or undefined; protobuf takes both for absent. */
export function present<T extends object>(fields: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined)
  return Object.fromEntries(kept) as { [K in keyof T]?: NonNullable<T[K]> }
}

/** Numbers of `ProtocolMessage.Type`. */
export const PROTOCOL = { revoke: 0, ephemeralSetting: 3, edit: 14 } as const
