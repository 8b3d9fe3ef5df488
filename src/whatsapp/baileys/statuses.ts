/** How far messages have come, and which are starred: Baileys' updates → reports. */
import { type BaileysEventMap, toNumber, WAMessageStatus } from '@whiskeysockets/baileys'
import { asMessageId } from '../../domain/ids'
import type { MessageStatus } from '../../domain/message'
import type { Report, StatusReport } from '../../domain/whatsapp'
import { refusalOf } from './upstream/refusals'

/** Baileys' numbers → our ladder. */
const STATUSES: Partial<Record<number, MessageStatus>> = {
  [WAMessageStatus.ERROR]: 'failed',
  [WAMessageStatus.SERVER_ACK]: 'sent',
  [WAMessageStatus.DELIVERY_ACK]: 'delivered',
  [WAMessageStatus.READ]: 'read',
  [WAMessageStatus.PLAYED]: 'played',
}

/** The status that a number stands for; null for numbers that say nothing. */
export const statusOf = (number: number | null | undefined): MessageStatus | null =>
  (number === null || number === undefined ? undefined : STATUSES[number]) ?? null

/** Receipts of person chats, and refusals. */
export function statusesOf(updates: BaileysEventMap['messages.update'], now: number): StatusReport[] {
  return updates.flatMap(({ key, update }) => {
    const status = statusOf(update.status)
    if (status === null || !key.id || key.fromMe !== true) return []
    const code = update.messageStubParameters?.[0]
    return [
      {
        messageId: asMessageId(key.id),
        status,
        at: timeOf(update.messageTimestamp, now),
        error: status === 'failed' ? refusalOf(code ?? 'unknown') : null,
      },
    ]
  })
}

/** Receipts of group members: one is enough to climb. */
export function groupStatusesOf(
  updates: BaileysEventMap['message-receipt.update'],
  now: number,
): StatusReport[] {
  return updates.flatMap(({ key, receipt }) => {
    if (!key.id || key.fromMe !== true) return []
    const { readTimestamp, playedTimestamp, receiptTimestamp } = receipt
    const status: MessageStatus = playedTimestamp ? 'played' : readTimestamp ? 'read' : 'delivered'
    const at = timeOf(playedTimestamp ?? readTimestamp ?? receiptTimestamp, now)
    return [{ messageId: asMessageId(key.id), status, at, error: null }]
  })
}

function timeOf(seconds: Parameters<typeof toNumber>[0], now: number): number {
  const ms = toNumber(seconds) * 1000
  return Number.isFinite(ms) && ms > 0 ? ms : now
}

type Stars = Extract<Report, { kind: 'stars' }>['stars']

/** Stars set or taken away on any device of the account. */
export const starsOf = (updates: BaileysEventMap['messages.update']): Stars =>
  updates.flatMap(({ key, update }) =>
    typeof update.starred === 'boolean' && key.id
      ? [{ messageId: asMessageId(key.id), fromMe: key.fromMe === true, starred: update.starred }]
      : [],
  )
