/** What is remembered of earlier messages for those that belong to them; the storage is asked only when memory does not know. */
import { proto } from '@whiskeysockets/baileys'
import type { Earlier, PartName } from './shapes'
import { unwrap } from './wrappers'

/** Parts that hold a poll. */
const POLL_PARTS = [
  'pollCreationMessage',
  'pollCreationMessageV2',
  'pollCreationMessageV3',
  'pollCreationMessageV5',
] as const satisfies readonly PartName[]

/** Just reported messages may not be on disk yet when a vote for them comes. */
const REMEMBERED = 500

export interface Recollection {
  find(messageId: string): Earlier | null
  /** A message has just been read. */
  note(messageId: string, message: proto.IMessage): void
}

/** `raw` gives the encoded message that was sent or received under an id. */
export function createRecollection(raw: (messageId: string) => Uint8Array | null): Recollection {
  const recent = new Map<string, Earlier>()
  return {
    find(messageId) {
      const remembered = recent.get(messageId)
      if (remembered !== undefined) return remembered
      const encoded = raw(messageId)
      return encoded === null ? null : earlierOf(proto.Message.decode(encoded))
    },
    note(messageId, message) {
      const earlier = earlierOf(message)
      if (earlier.secret === null) return
      recent.delete(messageId)
      recent.set(messageId, earlier)
      const oldest = recent.size > REMEMBERED ? recent.keys().next().value : undefined
      if (oldest !== undefined) recent.delete(oldest)
    },
  }
}

export function earlierOf(message: proto.IMessage): Earlier {
  const { inner, envelope } = unwrap(message)
  const poll = POLL_PARTS.map((name) => inner[name]).find((part) => part !== null && part !== undefined)
  const secret = envelope.messageSecret
  return {
    secret: secret && secret.length > 0 ? secret : null,
    options: (poll?.options ?? []).map(({ optionName }) => optionName ?? ''),
    isEvent: inner.eventMessage !== null && inner.eventMessage !== undefined,
  }
}
