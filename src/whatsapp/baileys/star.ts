/**
 * A star, as WhatsApp's clients put it into the state that all devices of an account share.
 *
 * Baileys' own `star` leaves out who wrote the message, without which no other device finds one of a group, and puts it
 * into another collection than WhatsApp's clients do.
 */
import {
  isJidGroup,
  isJidStatusBroadcast,
  proto,
  type WAMessageKey,
  type WAPatchCreate,
} from '@whiskeysockets/baileys'
import type { MessageRef } from '../../domain/whatsapp'

/** Stands in the index where there is nobody to name. */
const NOBODY = '0'

/** Several people write there. */
const hasMany = (chat: string): boolean => isJidGroup(chat) === true || isJidStatusBroadcast(chat) === true

export const starPatch = ({ chat, id, fromMe, sender }: MessageRef, starred: boolean): WAPatchCreate => ({
  syncAction: { starAction: { starred } },
  index: ['star', chat, id, fromMe ? '1' : '0', !fromMe && hasMany(chat) && sender ? sender : NOBODY],
  type: 'regular_high',
  apiVersion: 2,
  operation: proto.SyncdMutation.SyncdOperation.SET,
})

/** A message as Baileys names it. */
export const keyOfRef = ({ id, chat, fromMe, sender }: MessageRef): WAMessageKey => ({
  remoteJid: chat,
  id,
  fromMe,
  ...(!fromMe && sender && hasMany(chat) ? { participant: sender } : {}),
})
