/** What the readers and writers of this folder have in common: one of each per type, side by side in one file. */
import type { proto } from '@whiskeysockets/baileys'
import type { ContentOf, MessageType, SendableType } from '../../../domain/content'
import type { EncodeContext } from '../../../domain/whatsapp'

/** WhatsApp's name of a part of a message. */
export type PartName = Extract<keyof proto.IMessage, string>
export type Part<K extends PartName> = NonNullable<proto.IMessage[K]>

/** What later messages need of an earlier one: the secret to open votes, answers and reactions with, the options of a poll. */
export type Earlier = { secret: Uint8Array | null; options: readonly string[]; isEvent: boolean }

/** What a reader may want to know besides the part itself. */
export type Reading = {
  /** The envelope of the message: durations, secrets, the album it belongs to. */
  envelope: proto.IMessageContextInfo
  /** It came inside a wrapper for files that can be opened once. */
  viewOnce: boolean
  earlier: (messageId: string) => Earlier | null
  /** Every address of the author. */
  authors: readonly string[]
  /** Every address of the others who may be named in it, ourselves included. */
  others: readonly string[]
  /** All addresses of a person, by one of them. */
  addresses: (jid: string) => readonly string[]
}

/** Readers of one type, by the parts that can hold it; null = this part holds something else after all. */
export type PartReaders<T extends MessageType> = {
  [K in PartName]?: (part: Part<K>, about: Reading) => ContentOf<T> | null
}

/** Writes one type; what every type can carry (quotes, mentions, …) is added by `write.ts`. */
export type Writer<T extends SendableType> = (content: ContentOf<T>, context: EncodeContext) => proto.IMessage

type LongLike = number | { toNumber(): number }

/** A protobuf number of whatever make; null when it is absent or no finite number. */
export function numberOf(value: LongLike | null | undefined): number | null {
  if (value === null || value === undefined) return null
  const number = typeof value === 'number' ? value : value.toNumber()
  return Number.isFinite(number) ? number : null
}

/** `{ [name]: value }`, or nothing when the value is absent, empty, zero or false. */
export const some = <Name extends string, Value>(
  name: Name,
  value: Value | null | undefined,
): { [N in Name]?: NonNullable<Value> } =>
  (value ? { [name]: value } : {}) as { [N in Name]?: NonNullable<Value> }

/** A moment of a protobuf (seconds) as ISO 8601; null when it is none that a calendar knows. */
export function momentOf(seconds: LongLike | null | undefined): string | null {
  const ms = (numberOf(seconds) ?? 0) * 1000
  return ms > 0 && ms < 8.64e15 ? new Date(ms).toISOString() : null
}
