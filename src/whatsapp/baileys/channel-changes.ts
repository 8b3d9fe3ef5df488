/**
 * What others (or our own other devices) have done to a post of a channel: the post comes once more under its own id, and an
 * attribute says what it is. To us it is a message of its own, as everywhere.
 */
import { type BinaryNode, isJidNewsletter, proto } from '@whiskeysockets/baileys'
import { EDIT } from './channel-posts'

const { REVOKE, MESSAGE_EDIT } = proto.Message.ProtocolMessage.Type

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
