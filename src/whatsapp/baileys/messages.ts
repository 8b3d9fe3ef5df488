/**
 * Baileys' messages → messages as they are to be stored. Pure: what has to be looked up is given.
 *
 * `notify` and `append` are both messages. Device suffixes are taken off, a person keeps both names as far as WhatsApp has
 * told them, and no phone number is ever made out of a LID.
 */
import {
  isJidStatusBroadcast,
  proto,
  toNumber,
  type WAMessage,
  type WAMessageKey,
} from '@whiskeysockets/baileys'
import { asMessageId, type Jid, type Party, partyOf, shownParty, withoutDevice } from '../../domain/ids'
import type { MessageStatus } from '../../domain/message'
import type { Identity } from '../../domain/session'
import type { IncomingMessage } from '../../domain/whatsapp'
import { asAction, type PostChange } from './channel-changes'
import { putBehind } from './content/behind'
import { type ReadMessage, readContent, type Surroundings } from './content/read'
import type { Earlier } from './content/shapes'
import { withheldMessage } from './content/withheld'
import type { Origin } from './inbound-journal'
import { addressesOf, isMe, isPerson, type Know, ownAddresses } from './people'
import { isMessageId, momentOr, shownName } from './stanza-ids'
import { statusOf } from './statuses'

export type MessageSurroundings = {
  origin: Origin | null
  me: Identity | null
  know: Know
  /** Milliseconds since the epoch. */
  now: number
  /** What is remembered of an earlier message, for votes and encrypted reactions. */
  earlier?: (messageId: string) => Earlier | null
}

/** A message as it is to be stored; null when the stanza holds none (keys, history, undecryptable). */
export function messageOf(message: WAMessage, around: MessageSurroundings): IncomingMessage | null {
  const change = around.origin?.change
  if (change) return changedPost(message, change, around)
  const content = message.message ? asMessage(message.message) : {}
  const read = readContent(content, surroundingsOf(message, around))
  if (read !== null) return toldAs(message, read, content, around)
  const { withheld = null } = around.origin ?? {}
  return withheld && messageOf({ ...message, message: withheldMessage(withheld) }, around)
}

/** A message with content that was read already. */
export function toldAs(
  message: WAMessage,
  read: ReadMessage,
  content: proto.IMessage,
  { origin, me, know, now }: MessageSurroundings,
): IncomingMessage | null {
  const { key } = message
  if (!key.id || !key.remoteJid || !isMessageId(key.id)) return null
  const fromMe = isFromMe(key, me) || origin?.own === true
  const chat = withoutDevice(key.remoteJid)
  const both = bothBy(know)
  const chatParty = isPerson(chat) ? both(chat, key.remoteJidAlt) : { lid: null, phoneNumber: null }
  const shown = (jid: string) => (isMe(jid, me) ? 'me' : shownParty(both(jid)))
  return {
    id: asMessageId(key.id),
    chat,
    chatParty,
    fromMe,
    sender: fromMe ? null : senderOf(key, chatParty, both),
    senderName: fromMe ? null : shownName(message.pushName),
    content: read.content,
    mentions: read.mentions.map((jid) => shownParty(both(jid))),
    quoted: read.quoted && {
      messageId: read.quoted.messageId,
      from: read.quoted.participant && shown(read.quoted.participant),
      text: read.quoted.text,
    },
    context: read.context,
    timestamp: momentOr(now, toNumber(message.messageTimestamp)),
    offline: origin?.offline ?? false,
    raw: putBehind(proto.Message.encode(content).finish(), 'serverId', key.server_id),
    inboxId: origin?.inboxId ?? null,
    status: fromMe ? ownStatus(message.status) : 'received',
  }
}

/** Baileys hands posts of channels over as JSON, where bytes are text and numbers are names. */
const asMessage = (message: proto.IMessage): proto.IMessage =>
  message instanceof proto.Message ? message : proto.Message.fromObject(message)

/** A change of a post bears the id of the post; it is told as a message of its own. */
function changedPost(
  message: WAMessage,
  change: PostChange,
  around: MessageSurroundings,
): IncomingMessage | null {
  const action = asAction(message.message ?? {}, message.key.id ?? '', change)
  const read = action && readContent(action.message)
  if (!action || !read) return null
  return toldAs({ ...message, key: { ...message.key, id: action.id } }, read, action.message, around)
}

/** Baileys looks for our phone number only in the author of a status post. */
const isFromMe = (key: WAMessageKey, me: Identity | null): boolean =>
  key.fromMe === true ||
  (isJidStatusBroadcast(key.remoteJid ?? '') === true && isMe(key.participant ?? '', me))

type Both = (jid: string, other?: string | null) => Party
const bothBy =
  (know: Know): Both =>
  (jid, other) =>
    partyOf(jid, other, know(jid))

function senderOf(key: WAMessageKey, chatParty: Party, both: Both): Party {
  // In a channel nobody but the channel speaks.
  if (!key.participant)
    return isPerson(key.remoteJid ?? '') ? chatParty : { lid: asLid(key), phoneNumber: null }
  return both(withoutDevice(key.participant), key.participantAlt)
}

const asLid = ({ remoteJid }: WAMessageKey): Jid | null => (remoteJid ? withoutDevice(remoteJid) : null)

/** An own message that another device sent has reached the server, whatever was merged into it since. */
function ownStatus(status: number | null | undefined): MessageStatus {
  const told = statusOf(status)
  return told === null || told === 'failed' ? 'sent' : told
}

function surroundingsOf({ key }: WAMessage, { me, know, earlier }: MessageSurroundings): Surroundings {
  const both = bothBy(know)
  const chat = key.remoteJid ?? ''
  const own = ownAddresses(me)
  const author = isFromMe(key, me)
    ? own
    : key.participant
      ? addressesOf(both(withoutDevice(key.participant), key.participantAlt))
      : addressesOf(both(withoutDevice(chat), key.remoteJidAlt))
  const peer = isPerson(chat) ? addressesOf(both(withoutDevice(chat), key.remoteJidAlt)) : []
  return {
    earlier: earlier ?? (() => null),
    authors: author,
    others: [...new Set([...own, ...peer])],
    addresses: (jid) => (isPerson(jid) ? addressesOf(both(withoutDevice(jid))) : []),
  }
}

/** Pairs that the addresses of a message give away. */
export function pairsOf({ key }: Pick<WAMessage, 'key'>): { lid: Jid; phoneNumber: string }[] {
  return [partyOf(key.remoteJid, key.remoteJidAlt), partyOf(key.participant, key.participantAlt)].flatMap(
    ({ lid, phoneNumber }) => (lid && phoneNumber ? [{ lid, phoneNumber }] : []),
  )
}
