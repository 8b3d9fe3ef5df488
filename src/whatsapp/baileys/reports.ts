/**
 * Baileys' events → reports. Pure: what has to be looked up is given by `know`.
 *
 * `notify` and `append` are both messages; a history sync is not. Device suffixes are taken off, a person keeps both
 * names as far as WhatsApp has told them, and no phone number is ever made out of a LID.
 */
import {
  type AuthenticationCreds,
  type BaileysEventMap,
  isJidGroup,
  isJidStatusBroadcast,
  proto,
  toNumber,
  type WAMessage,
  type WAMessageKey,
  WAMessageStatus,
} from '@whiskeysockets/baileys'
import {
  asMessageId,
  isLid,
  type Jid,
  type Party,
  partyOf,
  phoneOf,
  shownParty,
  withoutDevice,
} from '../../domain/ids'
import type { MessageStatus } from '../../domain/message'
import type { Identity } from '../../domain/session'
import type { IncomingMessage, Report, StatusReport } from '../../domain/whatsapp'
import type { Origin } from './inbound-journal'
import { readContent } from './read-content'
import { refusalOf } from './upstream/acknowledgements'

/** The other address of a person, when it is known. */
export type Know = (jid: string) => string | null
const knowNothing: Know = () => null

/** Baileys' numbers → our ladder. */
const STATUSES: Partial<Record<number, MessageStatus>> = {
  [WAMessageStatus.ERROR]: 'failed',
  [WAMessageStatus.SERVER_ACK]: 'sent',
  [WAMessageStatus.DELIVERY_ACK]: 'delivered',
  [WAMessageStatus.READ]: 'read',
  [WAMessageStatus.PLAYED]: 'played',
}

/** Who we are; a name is only there once the phone has told it. */
export function identityOf(creds: AuthenticationCreds): Identity | null {
  const phoneNumber = creds.me ? phoneOf(withoutDevice(creds.me.id)) : null
  if (!creds.me || phoneNumber === null) return null
  const { lid, name } = creds.me
  return {
    phoneNumber,
    lid: lid ? withoutDevice(lid) : null,
    name: name && name !== '~' ? name : null,
    platform: creds.platform ?? null,
  }
}

/** Addresses in a message whose other half would be good to know. */
export function strangersOf({ key, message }: WAMessage): string[] {
  const alone = [
    [key.remoteJid, key.remoteJidAlt],
    [key.participant, key.participantAlt],
  ].flatMap(([jid, other]) => (jid && !other && isPerson(jid) ? [jid] : []))
  const read = message ? readContent(message) : null
  const quoted = read?.quoted?.participant
  return [...new Set([...alone, ...(read?.mentions ?? []), ...(quoted ? [quoted] : [])])].filter(isPerson)
}

const isPerson = (jid: string): boolean => jid.endsWith('@s.whatsapp.net') || isLid(jid)

export type MessageContext = { origin: Origin | null; me: Identity | null; know: Know }

/** A message as it is to be stored; null when the stanza holds none (keys, history, edits, undecryptable). */
export function messageOf(message: WAMessage, { origin, me, know }: MessageContext): IncomingMessage | null {
  const { key } = message
  const read = message.message ? readContent(message.message) : null
  if (read === null || !message.message || !key.id || !key.remoteJid) return null
  // A status post is shown to all contacts of its author; it is not written to us, and nobody should answer it.
  if (isJidStatusBroadcast(key.remoteJid)) return null
  const fromMe = key.fromMe === true
  const chat = withoutDevice(key.remoteJid)
  const both = (jid: string, other?: string | null) => partyOf(jid, other, know(jid))
  const chatParty = isPerson(chat) ? both(chat, key.remoteJidAlt) : { lid: null, phoneNumber: null }
  const shown = (jid: string) => (isMe(jid, me) ? 'me' : shownParty(both(jid)))
  return {
    id: asMessageId(key.id),
    chat,
    chatParty,
    fromMe,
    sender: fromMe ? null : senderOf(key, chatParty, both),
    senderName: fromMe ? null : message.pushName || null,
    content: read.content,
    mentions: read.mentions.map((jid) => shownParty(both(jid))),
    quoted: read.quoted && {
      messageId: read.quoted.messageId,
      from: read.quoted.participant && shown(read.quoted.participant),
      text: read.quoted.text,
    },
    timestamp: toNumber(message.messageTimestamp) * 1000,
    offline: origin?.offline ?? false,
    raw: proto.Message.encode(message.message).finish(),
    inboxId: origin?.inboxId ?? null,
    status: fromMe ? ownStatus(message.status) : 'received',
  }
}

function senderOf(
  key: WAMessageKey,
  chatParty: Party,
  both: (jid: string, other?: string | null) => Party,
): Party {
  if (!key.participant) return chatParty
  return both(withoutDevice(key.participant), key.participantAlt)
}

/** An own message that another device sent has reached the server, whatever was merged into it since. */
function ownStatus(status: number | null | undefined): MessageStatus {
  const told = status === null || status === undefined ? undefined : STATUSES[status]
  return told === undefined || told === 'failed' ? 'sent' : told
}

function isMe(jid: string, me: Identity | null): boolean {
  if (me === null) return false
  const plain = withoutDevice(jid)
  return plain === me.lid || phoneOf(plain) === me.phoneNumber
}

/** Pairs that the addresses of a message give away. */
export function pairsOf({ key }: WAMessage): { lid: Jid; phoneNumber: string }[] {
  return [partyOf(key.remoteJid, key.remoteJidAlt), partyOf(key.participant, key.participantAlt)].flatMap(
    ({ lid, phoneNumber }) => (lid && phoneNumber ? [{ lid, phoneNumber }] : []),
  )
}

/** Receipts of person chats, and refusals. */
export function statusesOf(updates: BaileysEventMap['messages.update'], now: number): StatusReport[] {
  return updates.flatMap(({ key, update }) => {
    const status = typeof update.status === 'number' ? STATUSES[update.status] : undefined
    if (status === undefined || !key.id || key.fromMe !== true) return []
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

/** One report for a whole chunk of history. */
export function historyOf(
  history: BaileysEventMap['messaging-history.set'],
): Extract<Report, { kind: 'history' }> {
  return {
    kind: 'history',
    chats: history.chats.length,
    contacts: history.contacts.length,
    messages: history.messages.length,
    progress: history.progress ?? null,
  }
}

type ContactLike = {
  id?: string
  lid?: string
  phoneNumber?: string
  name?: string | null
  notify?: string | null
  verifiedName?: string | null
}

/** People with a name, and the pairs of addresses among them. */
export function contactsOf(contacts: readonly ContactLike[], know: Know = knowNothing) {
  const people = contacts
    .filter(
      (contact): contact is ContactLike & { id: string } => contact.id !== undefined && isPerson(contact.id),
    )
    .map((contact) => ({
      party: partyOf(contact.id, contact.lid, contact.phoneNumber, know(contact.id)),
      name: contact.name ?? contact.verifiedName ?? contact.notify ?? null,
    }))
  return {
    named: people.filter(({ name }) => name !== null),
    pairs: people.flatMap(({ party: { lid, phoneNumber } }) =>
      lid && phoneNumber ? [{ lid, phoneNumber }] : [],
    ),
  }
}

type GroupLike = { id?: string; subject?: string; participants?: readonly unknown[]; size?: number }

export function groupsOf(groups: readonly GroupLike[]): Extract<Report, { kind: 'groups' }> {
  return {
    kind: 'groups',
    groups: groups
      .filter((group): group is GroupLike & { id: string } => isJidGroup(group.id) === true)
      .map(({ id, subject, participants, size }) => ({
        id: withoutDevice(id),
        subject: subject ?? null,
        participants: size ?? participants?.length ?? null,
      })),
  }
}

export function participantsOf(
  update: BaileysEventMap['group-participants.update'],
  know: Know,
): Extract<Report, { kind: 'participants' }> {
  return {
    kind: 'participants',
    group: withoutDevice(update.id),
    action: update.action,
    participants: update.participants.map(({ id, lid, phoneNumber }) =>
      partyOf(id, lid, phoneNumber, know(id)),
    ),
    by: update.author ? partyOf(update.author, update.authorPn, know(update.author)) : null,
  }
}

/** One report per member whose presence is told. */
export function presencesOf(
  update: BaileysEventMap['presence.update'],
  know: Know,
): Extract<Report, { kind: 'presence' }>[] {
  const chat = withoutDevice(update.id)
  return Object.values(update.presences).map(({ lastKnownPresence }) => ({
    kind: 'presence',
    chat: isPerson(chat) ? partyOf(chat, know(chat)) : { lid: chat, phoneNumber: null },
    presence: lastKnownPresence,
    typing: lastKnownPresence === 'composing' || lastKnownPresence === 'recording',
  }))
}

export function callsOf(calls: BaileysEventMap['call'], know: Know): Extract<Report, { kind: 'calls' }> {
  return {
    kind: 'calls',
    calls: calls.map(({ id, from, callerPn, status, isVideo }) => ({
      id,
      from: partyOf(from, callerPn, know(from)),
      status,
      video: isVideo === true,
    })),
  }
}
