/**
 * What is done to a post of a channel. Posts are plain text between us and the server, which knows them by number; a change
 * bears the id of its post, and an attribute says what it is. To us it is a message of its own, as everywhere.
 */
import { type BinaryNode, isJidNewsletter, proto } from '@whiskeysockets/baileys'
import { type Outgoing, SendRefused } from '../../domain/whatsapp'
import { serverIdOf } from './content/server-id'
import { unwrap } from './content/wrappers'

/** The `edit` attribute of channels. */
const EDIT = { words: '3', revoke: '8', reactionTakenBack: '7' } as const
const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type

/** A message that replaces a post, or a stanza of its own; `id` is the one that the server answers to. */
export type ChannelDeed =
  | { id: string; message: proto.IMessage; edit: string }
  | { id: string; node: BinaryNode }

/** The form in which an action leaves for a channel; null for posts. Throws `SendRefused` when the post has no number. */
export function asChannelDeed(
  message: proto.IMessage,
  { id, to }: Outgoing,
  raw: (messageId: string) => Uint8Array | null,
): ChannelDeed | null {
  const { protocolMessage, reactionMessage } = unwrap(message).inner
  const target = protocolMessage?.key?.id
  if (protocolMessage && target) {
    const { type, editedMessage } = protocolMessage
    if (type === MESSAGE_EDIT) return { id: target, message: editedMessage ?? {}, edit: EDIT.words }
    if ((type ?? REVOKE) === REVOKE) return { id: target, message: {}, edit: EDIT.revoke }
  }
  if (!reactionMessage) return null
  const post = raw(reactionMessage.key?.id ?? '')
  const serverId = post && serverIdOf(post)
  if (!serverId)
    throw new SendRefused({ code: 'no_server_id', says: 'WhatsApp’s number of this post is not known' })
  const { text } = reactionMessage
  const edit = text ? {} : { edit: EDIT.reactionTakenBack }
  return {
    id,
    node: {
      tag: 'message',
      attrs: { to, id, type: 'reaction', server_id: serverId, ...edit },
      content: [{ tag: 'reaction', attrs: text ? { code: text } : {} }],
    },
  }
}

/** What a stanza says of the post it bears. */
export type PostChange = { edit: string; at: string }

/** The change that a stanza of a channel is; null for posts and for everything else. */
export function changeOf({ attrs, content }: BinaryNode): PostChange | null {
  const { edit, from = '', t = '' } = attrs
  if (edit === undefined || !isJidNewsletter(from)) return null
  const meta = Array.isArray(content) ? content.find(({ tag }) => tag === 'meta') : undefined
  return { edit, at: meta?.attrs.msg_edit_t ?? t }
}

/** The change as a message of its own, with an id that repetitions share; null when it is none that we know. */
export function asAction(
  message: proto.IMessage,
  postId: string,
  { edit, at }: PostChange,
): { id: string; message: proto.Message } | null {
  const key = { id: postId }
  const action = (type: number, id: string, more: proto.Message.IProtocolMessage = {}) => ({
    id,
    message: proto.Message.fromObject({ protocolMessage: { key, type, ...more } }),
  })
  if (edit === EDIT.revoke) return action(REVOKE, `${postId}-revoked`)
  return edit === EDIT.words
    ? action(MESSAGE_EDIT, `${postId}-edited-${at}`, { editedMessage: message })
    : null
}
