/**
 * How posts leave for a channel, and what is done to them. Posts are plain text between us and the server, which knows
 * them by number; a change bears the id of its post, and an attribute says what it is.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { type Outgoing, SendRefused } from '../../domain/whatsapp'
import { behind } from './content/behind'
import { unwrap } from './content/wrappers'

/** The `edit` attribute of channels. */
export const EDIT = { words: '3', revoke: '8', reactionTakenBack: '7' } as const
const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type

/** What the server is told of a post's kind; everything else is text. */
const MEDIATYPES: { [K in keyof proto.IMessage]?: (message: proto.IMessage) => string | null } = {
  imageMessage: () => 'image',
  videoMessage: ({ videoMessage }) => (videoMessage?.gifPlayback ? 'gif' : 'video'),
  ptvMessage: () => 'ptv',
  audioMessage: ({ audioMessage }) => (audioMessage?.ptt ? 'ptt' : 'audio'),
  documentMessage: () => 'document',
  stickerMessage: () => 'sticker',
  contactMessage: () => 'vcard',
  contactsArrayMessage: () => 'contact_array',
  groupInviteMessage: () => 'url',
  extendedTextMessage: ({ extendedTextMessage }) => (extendedTextMessage?.title ? 'url' : null),
}
const POLLS = ['pollCreationMessage', 'pollCreationMessageV2', 'pollCreationMessageV3'] as const

function kindOf(message: proto.IMessage): { type: string; mediatype: string | null } {
  const { inner } = unwrap(message)
  if (POLLS.some((name) => inner[name])) return { type: 'poll', mediatype: null }
  const [name = ''] = Object.entries(inner).flatMap(([name, part]) =>
    part && name in MEDIATYPES ? [name] : [],
  )
  const mediatype = MEDIATYPES[name as keyof proto.IMessage]?.(inner) ?? null
  return { type: mediatype === null ? 'text' : 'media', mediatype }
}

function postNode(to: string, id: string, message: proto.IMessage, more: Record<string, string>): BinaryNode {
  const { type, mediatype } = kindOf(message)
  const attrs: Record<string, string> = mediatype === null ? {} : { mediatype }
  return {
    tag: 'message',
    attrs: { to, id, type, ...more },
    content: [{ tag: 'plaintext', attrs, content: proto.Message.encode(message).finish() }],
  }
}

/**
 * The stanza for a message to a channel; the server answers to the id in it. `raw` gives what was sent or received under an
 * id. Throws `SendRefused` when a reaction is about a post whose number nobody has told.
 */
export function channelNode(
  message: proto.IMessage,
  { id, to, raw: encoded }: Outgoing,
  raw: (messageId: string) => Uint8Array | null,
): BinaryNode {
  const { protocolMessage, reactionMessage } = unwrap(message).inner
  const target = protocolMessage?.key?.id
  if (protocolMessage && target) {
    const { type, editedMessage } = protocolMessage
    if (type === MESSAGE_EDIT) return postNode(to, target, editedMessage ?? {}, { edit: EDIT.words })
    if ((type ?? REVOKE) === REVOKE) return revocation(to, target)
  }
  if (reactionMessage) return reactionNode(to, id, reactionMessage, raw(reactionMessage.key?.id ?? ''))
  const handle = behind(encoded, 'mediaHandle')
  return postNode(to, id, message, handle === null ? {} : { media_id: handle })
}

const revocation = (to: string, id: string): BinaryNode => ({
  tag: 'message',
  attrs: { to, id, type: 'text', edit: EDIT.revoke },
  content: [{ tag: 'plaintext', attrs: {} }],
})

function reactionNode(
  to: string,
  id: string,
  { text }: proto.Message.IReactionMessage,
  post: Uint8Array | null,
): BinaryNode {
  const serverId = post && behind(post, 'serverId')
  if (!serverId) {
    throw new SendRefused({ code: 'no_server_id', says: 'WhatsApp’s number of this post is not known' })
  }
  return {
    tag: 'message',
    attrs: {
      to,
      id,
      type: 'reaction',
      server_id: serverId,
      ...(text ? {} : { edit: EDIT.reactionTakenBack }),
    },
    content: [{ tag: 'reaction', attrs: text ? { code: text } : {} }],
  }
}
