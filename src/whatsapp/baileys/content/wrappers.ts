/**
 * Messages inside messages: WhatsApp wraps content to say how it is to be treated (it vanishes, it can be opened once, it
 * replaces another), and every wrapper may lie in another one.
 */
import type { proto } from '@whiskeysockets/baileys'
import type { PartName } from './shapes'

/** Wrappers whose content is what was said. */
const WRAPPERS = [
  'deviceSentMessage',
  'ephemeralMessage',
  'viewOnceMessage',
  'viewOnceMessageV2',
  'viewOnceMessageV2Extension',
  'documentWithCaptionMessage',
  'editedMessage',
  'groupMentionedMessage',
  'botInvokeMessage',
  'botForwardedMessage',
  'associatedChildMessage',
  'lottieStickerMessage',
  'groupStatusMessage',
  'groupStatusMessageV2',
  'pollCreationMessageV4',
  'questionMessage',
  'questionReplyMessage',
  'statusAddYours',
] as const satisfies readonly PartName[]

const VIEW_ONCE: ReadonlySet<string> = new Set([
  'viewOnceMessage',
  'viewOnceMessageV2',
  'viewOnceMessageV2Extension',
])

/** More than WhatsApp's own clients ever nest. */
const DEPTH = 8

export type Unwrapped = {
  /** The innermost message; the same object that lies in the outer one. */
  inner: proto.IMessage
  /** What the envelopes on the way say together; the inner one counts more. */
  envelope: proto.IMessageContextInfo
  viewOnce: boolean
}

/** Takes all wrappers off. */
export function unwrap(message: proto.IMessage): Unwrapped {
  let inner = message
  let envelope = presentOf(message.messageContextInfo)
  let viewOnce = false
  for (let depth = 0; depth < DEPTH; depth += 1) {
    const name = WRAPPERS.find((wrapper) => inner[wrapper]?.message)
    const next = name && inner[name]?.message
    if (!name || !next) break
    viewOnce ||= VIEW_ONCE.has(name)
    inner = next
    envelope = { ...envelope, ...presentOf(next.messageContextInfo) }
  }
  return { inner, envelope, viewOnce }
}

/** The fields that are there; decoded messages inherit empty ones from their prototype. */
const presentOf = (info: proto.IMessageContextInfo | null | undefined): proto.IMessageContextInfo =>
  Object.fromEntries(Object.entries(info ?? {}).filter(([, value]) => value !== null && value !== undefined))
