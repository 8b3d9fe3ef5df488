/**
 * What we are asked to send → a protocol message: one writer per type, the counterpart of `read-content.ts`.
 *
 * The message gets a random secret, as WhatsApp's own clients give it, from which its reporting token is derived.
 */
import { randomBytes } from 'node:crypto'
import { normalizeMessageContent, proto } from '@whiskeysockets/baileys'
import type { SendableContent } from '../../domain/content'
import type { EncodeContext } from '../../domain/whatsapp'

type Context = proto.IContextInfo | null
type Writers = {
  [T in SendableContent['type']]: (
    content: Extract<SendableContent, { type: T }>,
    context: Context,
  ) => proto.IMessage
}

const WRITERS: Writers = {
  text: ({ text }, context) => ({
    extendedTextMessage: { text, ...(context ? { contextInfo: context } : {}) },
  }),
}

/** The encoded `proto.Message`. */
export function writeContent(content: SendableContent, { mentions, quoted }: EncodeContext): Uint8Array {
  const message = WRITERS[content.type](content, contextOf(mentions, quoted))
  return proto.Message.encode({
    ...message,
    messageContextInfo: { messageSecret: randomBytes(32) },
  }).finish()
}

function contextOf(mentions: EncodeContext['mentions'], quoted: EncodeContext['quoted']): Context {
  if (mentions.length === 0 && quoted === null) return null
  return {
    ...(mentions.length > 0 ? { mentionedJid: [...mentions] } : {}),
    ...(quoted
      ? { stanzaId: quoted.id, participant: quoted.sender, quotedMessage: quotable(quoted.raw) }
      : {}),
  }
}

/** The quoted message without its own quote: WhatsApp quotes one level deep. */
function quotable(raw: Uint8Array): proto.IMessage {
  const message = normalizeMessageContent(proto.Message.decode(raw)) ?? {}
  const { messageContextInfo: _secret, ...rest } = message
  return Object.fromEntries(
    Object.entries(rest).map(([kind, part]) => [kind, withoutContext(part)]),
  ) as proto.IMessage
}

function withoutContext(part: unknown): unknown {
  if (typeof part !== 'object' || part === null || !('contextInfo' in part)) return part
  const { contextInfo: _context, ...rest } = part
  return rest
}
