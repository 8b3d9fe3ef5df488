/** Comments below messages of announcement groups, encrypted or not. */
import { proto } from '@whiskeysockets/baileys'
import type { ContentOf } from '../../../domain/content'
import { authorsOf, open } from './secrets'
import type { PartReaders, Reading } from './shapes'
import { unwrap } from './wrappers'

function comment(
  key: proto.IMessageKey | null | undefined,
  message: proto.IMessage | null | undefined,
): ContentOf<'comment'> | null {
  const { inner } = unwrap(message ?? {})
  const text = inner.extendedTextMessage?.text || inner.conversation
  return key?.id && text ? { type: 'comment', text, targetMessageId: key.id } : null
}

function sealed(part: proto.Message.IEncCommentMessage, about: Reading): ContentOf<'comment'> | null {
  const key = part.targetMessageKey
  const id = key?.id
  const secret = id ? about.earlier(id)?.secret : null
  if (!id || !secret) return null
  const plain = open('comment', secret, { id, authors: authorsOf(key, about), by: about.authors }, part)
  return plain && comment(key, proto.Message.decode(plain))
}

export const readComment: PartReaders<'comment'> = {
  commentMessage: ({ targetMessageKey, message }) => comment(targetMessageKey, message),
  encCommentMessage: sealed,
}
