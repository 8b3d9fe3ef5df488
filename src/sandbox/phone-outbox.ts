/**
 * How a phone's words leave: encrypted once for every device of the other side and of its own account, or once for a
 * group with the key handed out beside it; and again, for the one device that could not read them.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { isOpenedOnce, outerAttributes } from './content-outer'
import { isChannel, isShared, parseJid, STATUS } from './jid'
import { child, children, node } from './node'
import { type PhoneBook, readBundle } from './phone-book'
import { channelStanza } from './phone-channels'
import type { PhoneJournal, Sent } from './phone-journal'
import type { PhoneSignal } from './phone-signal'
import type { PhoneUplink } from './types'

/** Thrown when the server acknowledges a message with an error. */
export class MessageRefused extends Error {
  constructor(readonly code: number) {
    super(`The server refused the message with ${code}`)
    this.name = 'MessageRefused'
  }
}

export type OutboxParts = {
  uplink(): PhoneUplink
  signal: PhoneSignal
  book: PhoneBook
  journal: PhoneJournal
  /** The phone's own bare JIDs. */
  own(): { pn: string; lid: string }
}

/** Attributes of the server's acknowledgement. */
export type Acknowledgement = Record<string, string>

export interface PhoneOutbox {
  /** Encrypts and hands over; the inner promise settles with what the server acknowledges. */
  send(sent: Sent): Promise<{ acknowledged: Promise<Acknowledgement> }>
  /** Sends to one own companion, outside of any chat. */
  sendToCompanion(deviceId: number, id: string, message: proto.IMessage): Promise<void>
  /** Answers a retry receipt: the same message again, for the device that asked. */
  sendAgain(receipt: BinaryNode): Promise<void>
  /** The server's word on a message. */
  acknowledge(ack: BinaryNode): void
}

const MOST_RETRIES = 5

/** Makes a phone's outbox. All calls must come one after another: the ratchets turn in order. */
export function createPhoneOutbox(parts: OutboxParts): PhoneOutbox {
  const { uplink, signal, book, own } = parts
  const waiting = new Map<string, { resolve(ack: Acknowledgement): void; reject(reason: Error): void }>()

  const isOwn = (jid: string) => {
    const user = parseJid(jid)?.user
    return user === parseJid(own().pn)?.user || user === parseJid(own().lid)?.user
  }
  const isSelf = (jid: string) => isOwn(jid) && !parseJid(jid)?.device

  const hand = (stanza: BinaryNode): { acknowledged: Promise<Acknowledgement> } => {
    const { promise, resolve, reject } = Promise.withResolvers<Acknowledgement>()
    const id = stanza.attrs.id ?? ''
    waiting.set(id, { resolve, reject })
    // Keys first: a ratchet that went back would say the same thing twice under one key.
    signal.commit()
    parts.journal.commit()
    uplink().send(stanza)
    return { acknowledged: promise.finally(() => waiting.delete(id)) }
  }

  const seal = async (device: string, message: proto.IMessage, enc: Record<string, string>) => {
    const { type, ciphertext } = await signal.encrypt(device, message)
    return node('enc', { v: '2', type, ...enc }, ciphertext)
  }

  async function direct({ shown, to, message }: Sent): Promise<BinaryNode> {
    const { stanza, enc, children: beside } = outerAttributes(message)
    const mine = parseJid(to)?.server === 'lid' ? own().lid : own().pn
    const devices = (await book.devicesOf([to, mine])).filter(
      (device) => !isSelf(device) && getsIt(device, message),
    )
    await book.openSessions(devices)
    const copy = ownCopy(to, message)
    const participants: BinaryNode[] = []
    for (const device of devices) {
      const sealed = await seal(device, isOwn(device) ? copy : message, enc)
      participants.push(node('to', { jid: device }, [sealed]))
    }
    return node('message', { id: shown.id, to, ...stanza }, [
      node('participants', {}, participants),
      ...beside,
    ])
  }

  /** Who reads along in a chat of many, and as whom the phone speaks there. */
  async function circle({ to, shown }: Pick<Sent, 'to' | 'shown'>) {
    // Nobody is a member of the status: each post names its readers, and all of them get the key anew.
    if (to === STATUS) {
      return {
        author: own().lid,
        readers: [...(shown.audience ?? []), own().lid],
        attrs: {},
        holders: new Set<string>(),
      }
    }
    const { addressing, members } = await book.group(to)
    const author = addressing === 'lid' ? own().lid : own().pn
    return {
      author,
      readers: members,
      attrs: { addressing_mode: addressing },
      holders: signal.keyHolders(to),
    }
  }

  async function toMany(sent: Sent): Promise<BinaryNode> {
    const { shown, to, message } = sent
    const { stanza, enc, children: beside } = outerAttributes(message)
    const { author, readers, attrs, holders } = await circle(sent)
    const sealed = await signal.encryptGroup(to, author, message)
    const devices = (await book.devicesOf(readers)).filter((device) => !isSelf(device))
    const lacking = devices.filter((device) => !holders.has(device))
    await book.openSessions(lacking)
    const key = {
      senderKeyDistributionMessage: { groupId: to, axolotlSenderKeyDistributionMessage: sealed.distribution },
    }
    const participants: BinaryNode[] = []
    for (const device of lacking)
      participants.push(node('to', { jid: device }, [await seal(device, key, enc)]))
    if (to !== STATUS) signal.setKeyHolders(to, new Set([...holders, ...lacking]))
    return node('message', { id: shown.id, to, ...attrs, ...stanza }, [
      ...(participants.length > 0 ? [node('participants', {}, participants)] : []),
      node('enc', { v: '2', type: sealed.type, ...enc }, sealed.ciphertext),
      ...beside,
    ])
  }

  async function again(sent: Sent, device: string, count: string): Promise<BinaryNode> {
    const { stanza, enc, children: beside } = outerAttributes(sent.message)
    const attrs = { id: sent.shown.id, ...stanza }
    if (isShared(sent.to)) {
      const { author, attrs: more } = await circle(sent)
      const distribution = await signal.distribution(sent.to, author)
      const message = {
        ...sent.message,
        senderKeyDistributionMessage: { groupId: sent.to, axolotlSenderKeyDistributionMessage: distribution },
      }
      return node('message', { ...attrs, to: sent.to, participant: device, ...more }, [
        await seal(device, message, { ...enc, count }),
        ...beside,
      ])
    }
    const mine = isOwn(device)
    const message = mine ? ownCopy(sent.to, sent.message) : sent.message
    return node(
      'message',
      { ...attrs, to: device, device_fanout: 'false', recipient: mine ? sent.to : undefined },
      [await seal(device, message, { ...enc, count }), ...beside],
    )
  }

  async function stanzaOf(sent: Sent): Promise<BinaryNode> {
    if (isChannel(sent.to)) return channelStanza(sent, parts.journal)
    return isShared(sent.to) ? toMany(sent) : direct(sent)
  }

  return {
    send: async (sent) => hand(await stanzaOf(sent)),

    async sendToCompanion(deviceId, id, message) {
      const { server = 's.whatsapp.net', user = '' } = parseJid(own().pn) ?? {}
      const device = `${user}:${deviceId}@${server}`
      await book.openSessions([device])
      const sealed = await seal(device, message, {})
      const stanza = node(
        'message',
        { id, to: device, type: 'text', category: 'peer', push_priority: 'high' },
        [sealed],
      )
      await hand(stanza).acknowledged
    },

    async sendAgain(receipt) {
      const { id = '', from = '', participant } = receipt.attrs
      const device = participant ?? from
      const count = child(receipt, 'retry')?.attrs.count ?? '1'
      const ids = [id, ...children(child(receipt, 'list'), 'item').map(({ attrs }) => attrs.id ?? '')]
      if (Number(count) > MOST_RETRIES) return
      const known = ids
        .flatMap((each) => parts.journal.findSent(each) ?? [])
        .filter((sent) => isThere(sent) && getsIt(device, sent.message))
      if (known.length === 0) return
      const keys = child(receipt, 'keys')
      if (keys) await signal.openSession(readBundle(keys, device, receipt))
      else await book.openSessions([device], true)
      for (const sent of known) await hand(await again(sent, device, count)).acknowledged
    },

    acknowledge({ attrs }) {
      const waiter = waiting.get(attrs.id ?? '')
      if (attrs.error) waiter?.reject(new MessageRefused(Number(attrs.error)))
      else waiter?.resolve(attrs)
    },
  }
}

/** Files that can be opened once are for phones. */
const getsIt = (device: string, message: proto.IMessage): boolean =>
  !parseJid(device)?.device || !isOpenedOnce(message)

/** What was taken back is not said again. */
const isThere = ({ afterlife }: Sent) => !afterlife?.deleted

/** A message as the own other devices get it: with the chat for which it was meant. */
const ownCopy = (to: string, message: proto.IMessage): proto.IMessage => ({
  deviceSentMessage: { destinationJid: to, message },
  ...(message.messageContextInfo ? { messageContextInfo: message.messageContextInfo } : {}),
})

/** A message id as phones make them: 32 hex digits, upper case. */
export const messageId = (random: Buffer): string => random.subarray(0, 16).toString('hex').toUpperCase()

/** A message that only says something about the protocol itself. */
export const protocolMessage = (fields: proto.Message.IProtocolMessage): proto.IMessage => ({
  protocolMessage: proto.Message.ProtocolMessage.fromObject(fields),
})
