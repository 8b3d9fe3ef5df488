/** Content that acts on an earlier message of its chat. Whether it may is for the phone to judge (`phone-deeds.ts`). */
import { normalizeMessageContent, proto } from '@whiskeysockets/baileys'
import type { PhoneContentOf } from './content-schemas'
import { known, PROTOCOL, present, type ReadContent, type Surroundings } from './content-shape'
import { sealAnswer, sealVote } from './content-votes'

export const DEED_TYPES = ['reaction', 'edit', 'delete', 'pin', 'vote', 'rsvp'] as const
export type DeedType = (typeof DEED_TYPES)[number]

const DEFAULT_PIN_SECONDS = 604_800
const PIN = { pin: 1, unpin: 2 } as const

export const writeDeed: {
  [T in DeedType]: (content: PhoneContentOf<T>, around: Surroundings) => proto.IMessage
} = {
  reaction: ({ targetMessageId, emoji }, around) => ({
    reactionMessage: {
      key: known(around, targetMessageId).key,
      text: emoji,
      senderTimestampMs: around.now,
    },
  }),
  edit({ targetMessageId, text }, around) {
    const { key, message } = known(around, targetMessageId)
    const protocolMessage = {
      key,
      type: PROTOCOL.edit,
      editedMessage: withWords(message, text),
      timestampMs: around.now,
    }
    return { editedMessage: { message: { protocolMessage } } }
  },
  delete: ({ targetMessageId }, around) => ({
    protocolMessage: { key: known(around, targetMessageId).key, type: PROTOCOL.revoke },
  }),
  pin({ targetMessageId, pinned = true, seconds = DEFAULT_PIN_SECONDS }, around) {
    return {
      pinInChatMessage: {
        key: known(around, targetMessageId).key,
        type: pinned ? PIN.pin : PIN.unpin,
        senderTimestampMs: around.now,
      },
      messageContextInfo: { messageAddOnDurationInSecs: pinned ? seconds : 0 },
    }
  },
  vote({ targetMessageId, options }, around) {
    const { key, message, author } = known(around, targetMessageId)
    const secret = secretOf(message)
    if (!secret) throw new Error(`${targetMessageId} is no poll: it has no secret`)
    const ballot = { secret, targetId: targetMessageId, creator: author, voter: around.me }
    return {
      pollUpdateMessage: {
        pollCreationMessageKey: key,
        vote: sealVote(ballot, options),
        metadata: {},
        senderTimestampMs: around.now,
      },
    }
  },
  rsvp({ targetMessageId, ...answer }, around) {
    const { key, message, author } = known(around, targetMessageId)
    const secret = secretOf(message)
    if (!secret) throw new Error(`${targetMessageId} is no event: it has no secret`)
    const ballot = { secret, targetId: targetMessageId, creator: author, voter: around.me }
    return {
      encEventResponseMessage: { eventCreationMessageKey: key, ...sealAnswer(ballot, answer, around.now) },
    }
  },
}

/** The secret that what belongs to a message is sealed with. */
export const secretOf = (message: proto.IMessage): Uint8Array | null => {
  const secret =
    message.messageContextInfo?.messageSecret ??
    normalizeMessageContent(message)?.messageContextInfo?.messageSecret
  return secret?.length ? secret : null
}

/** The same message with other words: a text's text, or a file's caption. A text loses its old preview. */
export function withWords(message: proto.IMessage, words: string): proto.IMessage {
  const copy = proto.Message.decode(proto.Message.encode(proto.Message.fromObject(message)).finish())
  const inner = normalizeMessageContent(copy) ?? {}
  const captioned = inner.imageMessage ?? inner.videoMessage ?? inner.documentMessage
  if (!captioned) return { extendedTextMessage: { text: words } }
  captioned.caption = words
  return inner.documentMessage ? { documentWithCaptionMessage: { message: inner } } : inner
}

function readProtocol({ protocolMessage }: proto.IMessage, read: (message: proto.IMessage) => ReadContent) {
  const targetMessageId = protocolMessage?.key?.id ?? ''
  if (protocolMessage?.type === PROTOCOL.edit) {
    const edited = protocolMessage.editedMessage ? read(protocolMessage.editedMessage) : null
    return { type: 'edit', targetMessageId, text: edited?.text ?? edited?.caption ?? '' }
  }
  if (protocolMessage?.type === PROTOCOL.revoke) return { type: 'delete', targetMessageId }
  if (protocolMessage?.type === PROTOCOL.ephemeralSetting) {
    return { type: 'disappearing', seconds: protocolMessage.ephemeralExpiration ?? 0 }
  }
  return { type: 'unknown', kind: 'protocolMessage', protocolType: protocolMessage?.type ?? null }
}

/** Readers of deeds; `read` reads what is inside an edit. What is sealed (votes, answers) comes out in the phone. */
export const readDeeds = (
  read: (message: proto.IMessage) => ReadContent,
): Record<string, (message: proto.IMessage) => ReadContent> => ({
  protocolMessage: (message) => readProtocol(message, read),
  reactionMessage: ({ reactionMessage }) => ({
    type: 'reaction',
    emoji: reactionMessage?.text ?? '',
    targetMessageId: reactionMessage?.key?.id ?? '',
  }),
  pinInChatMessage: ({ pinInChatMessage, messageContextInfo }) => ({
    type: 'pin',
    targetMessageId: pinInChatMessage?.key?.id ?? '',
    pinned: pinInChatMessage?.type === PIN.pin,
    ...present({ seconds: messageContextInfo?.messageAddOnDurationInSecs || undefined }),
  }),
  pollUpdateMessage: ({ pollUpdateMessage }) => ({
    type: 'vote',
    targetMessageId: pollUpdateMessage?.pollCreationMessageKey?.id ?? '',
    options: null,
  }),
  encEventResponseMessage: ({ encEventResponseMessage }) => ({
    type: 'rsvp',
    targetMessageId: encEventResponseMessage?.eventCreationMessageKey?.id ?? '',
    response: null,
  }),
})
