/** How a message names another one of its chat. */
import { isJidGroup, isJidStatusBroadcast, type proto } from '@whiskeysockets/baileys'
import { fail } from '../../../domain/errors'
import type { EncodeContext, Pointed } from '../../../domain/whatsapp'

/** The message that an action is about; throws `MESSAGE_NOT_FOUND` when it was not given. */
export function targetOf(messageId: string, { target }: EncodeContext): Pointed {
  if (target === null) throw fail('MESSAGE_NOT_FOUND', { messageId })
  return target
}

/** Its key; the author stands in it only where a chat has several and it is not us. */
export const keyOf = ({ id, fromMe, sender }: Pointed, chat: string): proto.IMessageKey => ({
  remoteJid: chat,
  fromMe,
  id,
  ...(!fromMe && (isJidGroup(chat) || isJidStatusBroadcast(chat)) ? { participant: sender } : {}),
})
