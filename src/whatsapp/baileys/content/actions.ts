/** What is done to another message: reactions, new words, taking it back, pinning. */
import { normalizeMessageContent, proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { writeContext } from './context'
import { keyOf, targetOf } from './keys'
import { authorsOf, open } from './secrets'
import { type PartReaders, type Reading, some, type Writer } from './shapes'
import { unwrap } from './wrappers'

const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type
const { PIN_FOR_ALL, UNPIN_FOR_ALL } = proto.Message.PinInChatMessage.Type
const DAY_S = 86_400

const reaction = (emoji: string | null | undefined, target: string | null | undefined) =>
  target ? { type: 'reaction' as const, emoji: emoji ?? '', targetMessageId: target } : null

function sealedReaction(
  part: proto.Message.IEncReactionMessage,
  about: Reading,
): ContentOf<'reaction'> | null {
  const key = part.targetMessageKey
  const id = key?.id
  const secret = id ? about.earlier(id)?.secret : null
  if (!id || !secret) return null
  const people = { id, authors: authorsOf(key, about), by: about.authors }
  const plain = open('reaction', secret, people, part)
  return plain && reaction(proto.Message.ReactionMessage.decode(plain).text, id)
}

export const readReaction: PartReaders<'reaction'> = {
  reactionMessage: ({ text, key }) => reaction(text, key?.id),
  encReactionMessage: sealedReaction,
}
export const writeReaction: Writer<'reaction'> = ({ emoji, targetMessageId }, context) => ({
  reactionMessage: {
    key: keyOf(targetOf(targetMessageId, context), context.chat),
    text: emoji,
    senderTimestampMs: context.now,
  },
})

/** The words of an edited message, wherever its type keeps them; null when it has none to replace. */
function wordsIn(message: proto.IMessage): string | null {
  const { inner } = unwrap(message)
  const captioned = inner.imageMessage ?? inner.videoMessage ?? inner.documentMessage
  const words = inner.conversation || inner.extendedTextMessage?.text
  return words || (captioned ? (captioned.caption ?? '') : null)
}

export const readEdit: PartReaders<'edit'> = {
  protocolMessage: ({ type, key, editedMessage }) => {
    if (type !== MESSAGE_EDIT || !key?.id || !editedMessage) return null
    const text = wordsIn(editedMessage)
    return text === null ? null : { type: 'edit', text, targetMessageId: key.id }
  },
}

/** A file keeps its place and gets another caption; a text is replaced. */
function rewritten(raw: Uint8Array, text: string, contextInfo: proto.IContextInfo | null): proto.IMessage {
  const inner = normalizeMessageContent(proto.Message.decode(raw)) ?? {}
  const mentions = contextInfo ? { contextInfo } : {}
  for (const name of ['imageMessage', 'videoMessage', 'documentMessage'] as const) {
    const part = inner[name]
    if (part) return { [name]: { ...part, caption: text, ...mentions } }
  }
  return { extendedTextMessage: { text, ...mentions } }
}

export const writeEdit: Writer<'edit'> = ({ text, targetMessageId }, context) => {
  const target = targetOf(targetMessageId, context)
  const contextInfo = writeContext({ ...context, quoted: null, extra: {} })
  return {
    protocolMessage: {
      key: keyOf(target, context.chat),
      type: MESSAGE_EDIT,
      editedMessage: rewritten(target.raw, text, contextInfo),
      timestampMs: context.now,
    },
  }
}

export const readDelete: PartReaders<'delete'> = {
  protocolMessage: ({ type, key }) =>
    // Not written = the first of its kinds.
    (type ?? REVOKE) === REVOKE && key?.id ? { type: 'delete', targetMessageId: key.id } : null,
}
export const writeDelete: Writer<'delete'> = ({ targetMessageId }, context) => ({
  protocolMessage: { key: keyOf(targetOf(targetMessageId, context), context.chat), type: REVOKE },
})

export const readPin: PartReaders<'pin'> = {
  pinInChatMessage: ({ key, type }, { envelope }) => {
    if (!key?.id || (type !== PIN_FOR_ALL && type !== UNPIN_FOR_ALL)) return null
    const pinned = type === PIN_FOR_ALL
    return {
      type: 'pin',
      targetMessageId: key.id,
      pinned,
      ...(pinned ? some('seconds', envelope.messageAddOnDurationInSecs) : {}),
    }
  },
}
export const writePin: Writer<'pin'> = ({ targetMessageId, pinned, seconds }, context) => ({
  pinInChatMessage: {
    key: keyOf(targetOf(targetMessageId, context), context.chat),
    type: pinned ? PIN_FOR_ALL : UNPIN_FOR_ALL,
    senderTimestampMs: context.now,
  },
  messageContextInfo: { messageAddOnDurationInSecs: pinned ? (seconds ?? DAY_S) : 0 },
})
