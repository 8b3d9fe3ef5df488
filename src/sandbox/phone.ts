/**
 * A simulated phone: the primary device of an account, with a Signal identity of its own. Whatever it shows was
 * decrypted with its own keys, and whatever it says leaves it encrypted; the server between is told nothing.
 */
import { randomBytes } from 'node:crypto'
import { type BinaryNode, buildAckStanza, proto } from '@whiskeysockets/baileys'
import { createMailbox } from '../lib/mailbox'
import { isMedia, type PhoneContent, readMessage, toMessage } from './content'
import { isGroup, jidOf, parseJid } from './jid'
import { KEY_TYPE } from './keys'
import { child, children, node, SERVER, writeNumber } from './node'
import { createPhoneBook } from './phone-book'
import { createPhoneCompanions } from './phone-companions'
import { createPhoneInbox } from './phone-inbox'
import { openPhoneJournal, type PhoneMessage, type Sent, type SentStatus, statusOf } from './phone-journal'
import { downloadFile, type MediaAccess, mediaOf, uploadFile } from './phone-media'
import { createPhoneOutbox, messageId } from './phone-outbox'
import { openPhoneSignal } from './phone-signal'
import type { SandboxState } from './state'
import type { PhoneRegistration, PhoneUplink } from './types'

export type PhoneOptions = {
  phoneNumber: string
  name: string
  /** Default `android`. */
  platform?: string
  /** How the account sees others in 1:1 chats; default `lid`, as today's accounts. */
  addressing?: 'lid' | 'pn'
}

export type PhoneParts = {
  state: SandboxState
  now(): number
  attach(registration: PhoneRegistration, receive: (stanza: BinaryNode) => void): PhoneUplink
  media: {
    fetch: MediaAccess['fetch']
    renew(directPath: string): string | null
  }
  /** Told when a stanza could not be dealt with: a defect of the phone, never swallowed. */
  onTrouble(error: unknown, stanza: BinaryNode): void
}

/** A companion as its phone lists it. */
export type LinkedDevice = { id: number; keyIndex: number; online: boolean }

export type PhoneEvent =
  | { type: 'message'; message: PhoneMessage }
  | { type: 'receipt'; id: string; reader: string; status: SentStatus }
  | { type: 'chatstate'; from: string; state: 'composing' | 'recording' | 'paused' }
  | { type: 'unreadable'; id: string; reason: string }

export interface Phone {
  readonly phoneNumber: string
  readonly name: string
  readonly platform: string
  /** Own bare JIDs. */
  readonly jid: string
  readonly lid: string
  /** Links the companion that shows this QR text. Throws `PairingError` or the server's refusal. */
  scan(qr: string): Promise<LinkedDevice>
  /** Links the companion that last asked for a code for this number. */
  enterPairingCode(code: string): Promise<LinkedDevice>
  devices(): LinkedDevice[]
  unlink(deviceId: number): Promise<void>
  /**
   * Says something to a number, JID or group; resolves with the id when the server has acknowledged it. Many calls at
   * once keep their order and do not wait for one another's acknowledgement.
   */
  send(to: string, content: PhoneContent | string): Promise<PhoneMessage>
  /** What this phone received, oldest first; copies of what its own companions said are among it. */
  messages(): PhoneMessage[]
  /** What this phone itself said, and how far it got. */
  sent(): (PhoneMessage & { status: SentStatus; receipts: Record<string, SentStatus> })[]
  /** The farthest receipt of a message this phone sent; null for an unknown id. */
  status(messageId: string): SentStatus | null
  /** Resolves with the first message, received already or yet to come, that fits. */
  waitForMessage(fits: (message: PhoneMessage) => boolean): Promise<PhoneMessage>
  /** Downloads and opens the file of a message. */
  download(messageId: string): Promise<Buffer>
  read(messageId: string): Promise<void>
  played(messageId: string): Promise<void>
  typing(to: string, state?: 'composing' | 'recording' | 'paused'): void
  setPresence(presence: 'available' | 'unavailable'): void
  createGroup(subject: string, members: string[]): Promise<{ jid: string; subject: string }>
  /** Sends any change to a group, as an `iq` child: `add`, `remove`, `subject`, … */
  changeGroup(jid: string, change: BinaryNode): Promise<BinaryNode>
  /** While unreachable, the phone neither reads nor confirms what arrives; it catches up afterwards. */
  setReachable(reachable: boolean): void
  on(listener: (event: PhoneEvent) => void): () => void
  /** Resolves when everything that has arrived so far has been dealt with. */
  settled(): Promise<void>
  close(): Promise<void>
}

const PRE_KEYS = 100

/** Thrown when a phone is asked about a message it does not have. */
export class NoSuchMessage extends Error {
  constructor(id: string) {
    super(`This phone has no message ${id}`)
    this.name = 'NoSuchMessage'
  }
}

/** Switches a phone on: a new one with fresh keys, or the one that `state` remembers under this number. */
export function createPhone(options: PhoneOptions, parts: PhoneParts): Phone {
  const { state } = parts
  const { phoneNumber, name, platform = 'android' } = options
  const scope = (kind: string) => `phone ${phoneNumber} ${kind}`
  const signal = openPhoneSignal(state, scope('signal'))
  const journal = openPhoneJournal(state, scope('journal'))
  const mailbox = createMailbox()
  const listeners = new Set<(event: PhoneEvent) => void>()
  const held: BinaryNode[] = []
  let reachable = true

  const known = state.get(scope('meta'), 'registered') !== null
  const registration: PhoneRegistration = {
    phoneNumber,
    name,
    platform,
    ...(options.addressing ? { addressing: options.addressing } : {}),
    ...signal.registration(),
    preKeys: known ? [] : signal.makePreKeys(PRE_KEYS),
  }
  state.write(scope('meta'), new Map([['registered', Buffer.from([1])]]))
  const uplink = parts.attach(registration, receive)
  const { account } = uplink
  const jid = jidOf(account.phoneNumber, 's.whatsapp.net')
  const lid = jidOf(account.lid, 'lid')
  const own = () => ({ pn: jid, lid })

  const emit = (event: PhoneEvent) => {
    for (const listener of listeners) listener(event)
  }
  const line = () => uplink
  const book = createPhoneBook(line, signal)
  const outbox = createPhoneOutbox({ uplink: line, signal, book, journal, own })
  const companions = createPhoneCompanions({
    state,
    scope: scope('companions'),
    uplink: line,
    signal,
    journal,
    outbox,
    own,
    name,
    now: parts.now,
    inTurn: (work) => mailbox.run(work),
    renewMedia: parts.media.renew,
  })
  const inbox = createPhoneInbox({
    uplink: line,
    signal,
    journal,
    own,
    onPeer: companions.onPeer,
    onMessage: (message) => emit({ type: 'message', message }),
    onUnreadable: (id, reason) => emit({ type: 'unreadable', id, reason }),
  })

  function receive(stanza: BinaryNode): void {
    // Work in the mailbox waits for these two; they must not wait behind it.
    if (stanza.tag === 'ack') outbox.acknowledge(stanza)
    else if (stanza.attrs.type === 'link_code_companion_reg') {
      companions.onCodeNotification(stanza)
      confirm(stanza)
    } else if (reachable) take(stanza)
    else held.push(stanza)
  }

  function take(stanza: BinaryNode): void {
    mailbox.run(() => STANZAS[stanza.tag]?.(stanza)).catch((error: unknown) => parts.onTrouble(error, stanza))
  }

  const confirm = (stanza: BinaryNode) => uplink.send(buildAckStanza(stanza, undefined, jid))

  const STANZAS: Record<string, (stanza: BinaryNode) => Promise<void> | void> = {
    message: (stanza) => inbox.take(stanza),
    async receipt(stanza) {
      // First the receipt, then its consequences: a failing answer must not bring the same receipt again.
      confirm(stanza)
      await onReceipt(stanza)
    },
    async notification(stanza) {
      confirm(stanza)
      await NOTIFICATIONS[stanza.attrs.type ?? '']?.(stanza)
    },
    call: confirm,
    chatstate(stanza) {
      const [said] = children(stanza)
      const typing = said?.attrs.media === 'audio' ? 'recording' : 'composing'
      const from = stanza.attrs.participant ?? stanza.attrs.from ?? ''
      emit({ type: 'chatstate', from, state: said?.tag === 'composing' ? typing : 'paused' })
    },
  }

  async function onReceipt(stanza: BinaryNode): Promise<void> {
    const { id = '', type, from = '', participant } = stanza.attrs
    if (type === 'retry') return outbox.sendAgain(stanza)
    if (type === 'server-error') return companions.onMediaRequest(stanza)
    if (type === 'peer_msg') return companions.onPeerReceipt(from, id)
    const status = RECEIPTS[type ?? 'delivered']
    if (!status) return
    const reader = await bareName(participant ?? from)
    if (reader === jid) return
    const items = children(child(stanza, 'list'), 'item').flatMap(({ attrs }) => attrs.id ?? [])
    for (const each of [id, ...items]) {
      journal.mark(each, reader, status)
      emit({ type: 'receipt', id: each, reader, status })
    }
    journal.commit()
  }

  const NOTIFICATIONS: Record<string, (stanza: BinaryNode) => Promise<void> | void> = {
    async devices(stanza) {
      const names = await bothNames(stanza.attrs.from ?? '')
      for (const each of names) book.forgetDevices(each)
      for (const { attrs } of children(child(stanza, 'remove'), 'device')) {
        if (attrs.jid) await signal.dropSession(attrs.jid)
      }
      signal.commit()
    },
    async 'w:gp2'(stanza) {
      const group = stanza.attrs.from ?? ''
      book.forgetGroup(group)
      // Those who left must not be able to read on.
      if (child(stanza, 'remove')) for (const author of [jid, lid]) signal.forgetGroupKey(group, author)
      signal.commit()
    },
    async encrypt(stanza) {
      if (child(stanza, 'count')) await uploadPreKeys()
      if (child(stanza, 'identity')) {
        const from = stanza.attrs.from ?? ''
        for (const each of await bothNames(from)) book.forgetDevices(each)
        await signal.dropSession(from)
        signal.commit()
      }
    },
  }

  async function uploadPreKeys(): Promise<void> {
    const { registrationId, identityKey, signedPreKey } = signal.registration()
    const key = (
      tag: string,
      { id, publicKey }: { id: number; publicKey: Buffer },
      more: BinaryNode[] = [],
    ) => node(tag, {}, [node('id', {}, writeNumber(id, 3)), node('value', {}, publicKey), ...more])
    await uplink.query(
      node('iq', { type: 'set', xmlns: 'encrypt', to: SERVER }, [
        node('registration', {}, writeNumber(registrationId, 4)),
        node('type', {}, KEY_TYPE),
        node('identity', {}, identityKey),
        node(
          'list',
          {},
          signal.makePreKeys(PRE_KEYS).map((made) => key('key', made)),
        ),
        key('skey', signedPreKey, [node('signature', {}, signedPreKey.signature)]),
      ]),
    )
  }

  /** Bare, and by number where it is known. */
  async function bareName(address: string): Promise<string> {
    const { user = '', server = '' } = parseJid(address) ?? {}
    const bare = jidOf(user, server)
    return server === 'lid' ? ((await signal.pnOf(bare)) ?? bare) : bare
  }
  async function bothNames(address: string): Promise<string[]> {
    const pn = await bareName(address)
    const other = pn.endsWith('@lid') ? null : await signal.lidOf(pn)
    return other ? [pn, other] : [pn]
  }

  const mediaAccess = async (): Promise<MediaAccess> => {
    const answer = await uplink.query(
      node('iq', { type: 'set', xmlns: 'w:m', to: SERVER }, [node('media_conn')]),
    )
    const connection = child(answer, 'media_conn')
    const host = child(connection, 'host')?.attrs.hostname ?? ''
    return { host, auth: connection?.attrs.auth ?? '', fetch: parts.media.fetch }
  }

  /** The key of a message as this phone names it to others. */
  function lookUp(id: string): { key: proto.IMessageKey; message: proto.IMessage } | null {
    const entry = journal.findReceived(id) ?? journal.findSent(id)
    if (!entry) return null
    const { shown, message } = entry
    const inGroup = isGroup(shown.chat)
    const author = 'address' in entry && inGroup ? entry.address.participant : undefined
    return {
      key: {
        remoteJid: shown.chat,
        fromMe: shown.fromMe,
        id,
        ...(inGroup || !shown.fromMe ? { participant: author ? bare(author) : shown.from } : {}),
      },
      message,
    }
  }

  async function receiptFor(id: string, type: 'read' | 'played'): Promise<void> {
    const entry = journal.findReceived(id)
    if (!entry) throw new NoSuchMessage(id)
    const { from, participant } = entry.address
    const t = String(Math.floor(parts.now() / 1000))
    const to = participant ? from : bare(from)
    uplink.send(node('receipt', { id, to, participant, type, t }))
  }

  function takeBack(sent: Sent, error: unknown): never {
    journal.dropSent(sent)
    journal.commit()
    throw error
  }

  const linked = (deviceId: number): LinkedDevice => {
    const device = account.devices.get(deviceId)
    return { id: deviceId, keyIndex: device?.keyIndex ?? 0, online: device?.link != null }
  }

  uplink.send(node('presence', { type: 'available', name }))
  mailbox
    .run(async () => {
      await signal.learn(jid, lid)
      signal.commit()
    })
    .catch((error: unknown) => parts.onTrouble(error, node('presence')))

  return {
    phoneNumber,
    name,
    platform,
    jid,
    lid,
    scan: async (qr) => linked((await companions.scan(qr)).id),
    enterPairingCode: async (code) => linked((await companions.enterCode(code)).id),
    devices: () => [...account.devices.keys()].filter((id) => id !== 0).map(linked),
    unlink: (deviceId) => companions.unlink(deviceId),

    async send(to, said) {
      const content: PhoneContent = typeof said === 'string' ? { type: 'text', text: said } : said
      const address = addressOf(to)
      const uploaded = isMedia(content)
        ? await uploadFile(await mediaAccess(), content.type, Buffer.from(content.base64, 'base64'))
        : undefined
      const { sent, acknowledged } = await mailbox.run(async () => {
        const message = proto.Message.fromObject(
          toMessage(content, {
            ...(uploaded ? { uploaded } : {}),
            lookUp,
            jidOf: addressOf,
            messageSecret: () => randomBytes(32),
          }),
        )
        const shown: PhoneMessage = {
          id: messageId(randomBytes(16)),
          chat: isGroup(address) ? address : await bareName(address),
          from: jid,
          fromMe: true,
          device: 0,
          timestamp: Math.floor(parts.now() / 1000),
          ...readMessage(message),
        }
        const sent: Sent = { shown, message, to: address, receipts: {} }
        journal.addSent(sent)
        const { acknowledged } = await outbox.send(sent).catch((error: unknown) => takeBack(sent, error))
        return { sent, acknowledged }
      })
      await acknowledged.catch((error: unknown) => takeBack(sent, error))
      return sent.shown
    },

    messages: () => journal.received().map(({ shown }) => shown),
    sent: () =>
      journal
        .sent()
        .map((entry) => ({ ...entry.shown, status: statusOf(entry), receipts: { ...entry.receipts } })),
    status(id) {
      const entry = journal.findSent(id)
      return entry && statusOf(entry)
    },
    waitForMessage(fits) {
      const there = journal.received().find(({ shown }) => fits(shown))
      if (there) return Promise.resolve(there.shown)
      return new Promise((resolve) => {
        const listener = (event: PhoneEvent) => {
          if (event.type !== 'message' || !fits(event.message)) return
          listeners.delete(listener)
          resolve(event.message)
        }
        listeners.add(listener)
      })
    },

    async download(id) {
      const entry = journal.findReceived(id) ?? journal.findSent(id)
      const media = entry && mediaOf(entry.message)
      if (!media) throw new NoSuchMessage(id)
      return downloadFile(await mediaAccess(), media.type, media.file)
    },

    read: (id) => receiptFor(id, 'read'),
    played: (id) => receiptFor(id, 'played'),
    typing(to, said = 'composing') {
      const content =
        said === 'recording'
          ? node('composing', { media: 'audio' })
          : node(said === 'paused' ? said : 'composing')
      uplink.send(node('chatstate', { from: jid, to: addressOf(to) }, [content]))
    },
    setPresence: (presence) => uplink.send(node('presence', { type: presence, name })),

    async createGroup(subject, members) {
      const answer = await uplink.query(
        node('iq', { type: 'set', xmlns: 'w:g2', to: '@g.us' }, [
          node(
            'create',
            { subject, key: randomBytes(8).toString('hex') },
            members.map((member) => node('participant', { jid: addressOf(member) })),
          ),
        ]),
      )
      return { jid: `${child(answer, 'group')?.attrs.id}@g.us`, subject }
    },
    changeGroup: (group, change) =>
      uplink.query(node('iq', { type: 'set', xmlns: 'w:g2', to: group }, [change])),

    setReachable(now) {
      reachable = now
      if (reachable) for (const stanza of held.splice(0)) take(stanza)
    },
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    settled: () => mailbox.run(() => undefined),
    async close() {
      uplink.account.devices.get(0)?.link?.end()
      await mailbox.close()
      signal.close()
    },
  }
}

const RECEIPTS: Partial<Record<string, SentStatus>> = {
  delivered: 'delivered',
  inactive: 'delivered',
  read: 'read',
  played: 'played',
}

const bare = (address: string): string => {
  const { user = '', server = '' } = parseJid(address) ?? {}
  return jidOf(user, server)
}

/** A JID from what people write: a number in any spelling, or a JID already. */
export function addressOf(written: string): string {
  if (written.includes('@')) return isGroup(written) ? written : bare(written)
  return jidOf(written.replace(/\D/g, ''), 's.whatsapp.net')
}
