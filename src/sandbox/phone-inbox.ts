/**
 * How words reach a phone: each `<enc>` is opened with the phone's own keys, put into the journal and confirmed; what
 * does not open is asked for again.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import { readMessage } from './content'
import { isChannel, isShared, parseJid } from './jid'
import { KEY_TYPE } from './keys'
import { bytesOf, child, children, node, writeNumber } from './node'
import { CHANGED, REVOKED } from './phone-channels'
import type { PhoneDeeds } from './phone-deeds'
import type { PhoneJournal, PhoneMessage, WireAddress } from './phone-journal'
import { keyNode, type PhoneSignal } from './phone-signal'
import type { PhoneUplink } from './types'

export type InboxParts = {
  uplink(): PhoneUplink
  signal: PhoneSignal
  journal: PhoneJournal
  deeds: PhoneDeeds
  own(): { pn: string; lid: string }
  /** A message from an own companion to the phone itself, outside of any chat. */
  onPeer(from: string, id: string, message: proto.IMessage): Promise<void>
  onMessage(message: PhoneMessage): void
  /** Told of each message that did not open. */
  onUnreadable(id: string, reason: string): void
}

export interface PhoneInbox {
  /** Takes a `<message>`; never rejects for what is in it. */
  take(stanza: BinaryNode): Promise<void>
}

const MOST_RETRIES = 5

type Opened = { message: proto.IMessage; destination: string | null }

/** Makes a phone's inbox. Stanzas must come one after another. */
export function createPhoneInbox(parts: InboxParts): PhoneInbox {
  const { uplink, signal, journal, deeds, own } = parts
  /** Failed attempts per message, so that the second request brings keys and the sixth is not made. */
  const attempts = new Map<string, number>()

  const isOwn = (jid: string) => {
    const user = parseJid(jid)?.user
    return user === parseJid(own().pn)?.user || user === parseJid(own().lid)?.user
  }

  /** The number's JID where the phone knows it. */
  const named = async (jid: string): Promise<string> => {
    const { user, server } = parseJid(jid) ?? {}
    if (!user || !server) return jid
    const bare = `${user}@${server}`
    return server === 'lid' ? ((await signal.pnOf(bare)) ?? bare) : bare
  }

  async function learnNames({ attrs }: BinaryNode): Promise<void> {
    const pairs = [
      [attrs.participant ?? attrs.from, attrs.participant_pn ?? attrs.sender_pn],
      [attrs.participant ?? attrs.from, attrs.participant_lid ?? attrs.sender_lid],
      [attrs.recipient, attrs.peer_recipient_pn ?? attrs.recipient_pn],
      [attrs.recipient, attrs.peer_recipient_lid ?? attrs.recipient_lid],
    ]
    for (const [one, other] of pairs) {
      if (!one || !other) continue
      if (one.endsWith('@lid') && !other.endsWith('@lid')) await signal.learn(other, one)
      if (!one.endsWith('@lid') && other.endsWith('@lid')) await signal.learn(one, other)
    }
  }

  async function open(stanza: BinaryNode): Promise<Opened> {
    const { from = '', participant } = stanza.attrs
    const author = participant ?? from
    const opened: Opened = { message: {}, destination: null }
    // Only channels speak in the clear; from anybody else it would be the server's word for the sender's.
    const plain = isChannel(from) ? bytesOf(child(stanza, 'plaintext')) : undefined
    if (plain) opened.message = proto.Message.decode(plain)
    for (const enc of children(stanza, 'enc')) {
      const ciphertext = bytesOf(enc)
      if (!ciphertext) continue
      const { type } = enc.attrs
      const outer =
        type === 'skmsg'
          ? await signal.decryptGroup(from, author, ciphertext)
          : await signal.decrypt(author, { type: type === 'pkmsg' ? 'pkmsg' : 'msg', ciphertext })
      const copy = outer.deviceSentMessage
      const message = copy?.message ?? outer
      if (copy?.destinationJid) opened.destination = copy.destinationJid
      const key = message.senderKeyDistributionMessage
      if (key?.groupId) await signal.acceptDistribution(author, key)
      Object.assign(opened.message, present(message))
    }
    return opened
  }

  function confirm(stanza: BinaryNode): void {
    const { id, from = '', participant, recipient, category } = stanza.attrs
    const author = participant ?? from
    if (isChannel(from)) uplink().send(node('ack', { class: 'message', id, to: from }))
    else if (category === 'peer') uplink().send(node('receipt', { id, to: from, type: 'peer_msg' }))
    else if (isOwn(author)) {
      const where = participant ? { to: from, participant } : { to: from, recipient }
      uplink().send(node('receipt', { id, ...where, type: 'sender' }))
    } else uplink().send(node('receipt', { id, to: from, participant }))
  }

  function askAgain(stanza: BinaryNode): void {
    const { id = '', from = '', participant, recipient, t } = stanza.attrs
    const key = `${id} ${participant ?? from}`
    const count = (attempts.get(key) ?? 0) + 1
    if (count > MOST_RETRIES) return
    attempts.set(key, count)
    const content = [
      node('retry', { count: String(count), id, t, v: '1', error: '0' }),
      node('registration', {}, writeNumber(signal.identity.registrationId, 4)),
    ]
    if (count > 1) content.push(freshKeys())
    uplink().send(node('receipt', { id, to: from, participant, recipient, type: 'retry' }, content))
  }

  function freshKeys(): BinaryNode {
    const [oneTime] = signal.makePreKeys(1)
    const { identityKey, signedPreKey } = signal.registration()
    return node('keys', {}, [
      node('type', {}, KEY_TYPE),
      node('identity', {}, identityKey),
      ...(oneTime ? [keyNode('key', oneTime)] : []),
      keyNode('skey', signedPreKey, [node('signature', {}, signedPreKey.signature)]),
    ])
  }

  /** A post once more, changed or taken back; whether that was allowed is the channel's server to say. */
  function recordChange({ attrs }: BinaryNode, message: proto.IMessage): void {
    const target = journal.find(attrs.id ?? '', attrs.from)
    if (!target) return
    if (attrs.edit === REVOKED) deeds.erase(target)
    const { content } = readMessage(message)
    if (attrs.edit === CHANGED) deeds.reword(target, String(content.text ?? content.caption ?? ''))
  }

  async function record(stanza: BinaryNode, { message, destination }: Opened): Promise<void> {
    const { id = '', from = '', participant, recipient, t, notify } = stanza.attrs
    const author = participant ?? from
    if (isChannel(from) && stanza.attrs.edit !== undefined) return recordChange(stanza, message)
    const chat = isShared(from) || isChannel(from) ? from : await named(recipient ?? destination ?? from)
    const shown: PhoneMessage = {
      id,
      chat,
      from: await named(author),
      fromMe: isOwn(author) || (isChannel(from) && stanza.attrs.is_sender === 'true'),
      device: parseJid(author)?.device ?? 0,
      timestamp: Number(t ?? 0),
      ...readMessage(message),
      ...(notify ? { pushName: notify } : {}),
      ...(isChannel(from) && stanza.attrs.server_id ? { serverId: stanza.attrs.server_id } : {}),
    }
    if (journal.has(id, shown.from)) return
    const address: WireAddress = {
      from,
      ...(participant ? { participant } : {}),
      ...(recipient ? { recipient } : {}),
    }
    const entry = { shown, message, address }
    // Whoever sees the message sees what came of it.
    await deeds.perform(entry)
    journal.addReceived(entry)
    journal.commit()
    await deeds.catchUp(entry)
    parts.onMessage(shown)
  }

  return {
    async take(stanza) {
      const { id = '', from = '', participant, category } = stanza.attrs
      await learnNames(stanza)
      let opened: Opened
      try {
        opened = await open(stanza)
      } catch (error) {
        // A stanza that came twice does not open twice, and need not.
        if (journal.has(id, await named(participant ?? from))) confirm(stanza)
        else {
          parts.onUnreadable(id, error instanceof Error ? error.message : String(error))
          askAgain(stanza)
          uplink().send(node('ack', { class: 'message', id, to: from, participant, error: '500' }))
        }
        signal.commit()
        return
      }
      attempts.delete(`${id} ${participant ?? from}`)
      // What was decrypted is on record before the server may forget it.
      signal.commit()
      if (category === 'peer') {
        confirm(stanza)
        await parts.onPeer(from, id, opened.message)
        return
      }
      if (hasContent(opened.message) || isRevocation(stanza)) await record(stanza, opened)
      confirm(stanza)
    },
  }
}

/** A post that was taken back comes without content. */
const isRevocation = ({ attrs }: BinaryNode) => isChannel(attrs.from ?? '') && attrs.edit === REVOKED

const present = (message: proto.IMessage): proto.IMessage =>
  Object.fromEntries(Object.entries(message).filter(([, value]) => value !== null && value !== undefined))

/** Whether there is more in it than a sender key and its context. */
const hasContent = (message: proto.IMessage) =>
  Object.keys(message).some(
    (field) => field !== 'senderKeyDistributionMessage' && field !== 'messageContextInfo',
  )
