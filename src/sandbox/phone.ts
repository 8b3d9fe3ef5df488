/**
 * A simulated phone: the primary device of an account, with a Signal identity of its own. Whatever it shows was
 * decrypted with its own keys, and whatever it says leaves it encrypted; the server between is told nothing.
 */
import { randomBytes } from 'node:crypto'
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import { createMailbox } from '../lib/mailbox'
import type { PhoneContent } from './content-schemas'
import { isChannel, jidOf, parseJid } from './jid'
import { child, node, SERVER } from './node'
import { type ChatState, openPhoneAppState } from './phone-app-state'
import { createPhoneArrivals, type PhoneEvent, PRE_KEYS } from './phone-arrivals'
import { createPhoneBook } from './phone-book'
import { createPhoneCompanions } from './phone-companions'
import { createPhoneDeeds } from './phone-deeds'
import { createPhoneInbox } from './phone-inbox'
import {
  openPhoneJournal,
  type PhoneMessage,
  type SentStatus,
  type ShownMessage,
  shownNow,
  statusOf,
} from './phone-journal'
import { marksOf } from './phone-marks'
import { downloadFile, type MediaAccess, mediaOf } from './phone-media'
import { createPhoneOutbox } from './phone-outbox'
import { openPhoneSignal } from './phone-signal'
import { addressOf, createPhoneSpeech, type SpeechOptions } from './phone-speech'
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
  clock: Clock
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
   * Says something to a number, JID, group, channel, or as a status post to an audience; resolves with the id when the
   * server has acknowledged it. Many calls at once keep their order and do not wait for one another's acknowledgement.
   */
  send(to: string, content: PhoneContent | string, options?: SpeechOptions): Promise<PhoneMessage>
  /**
   * What this phone received, oldest first, with what later messages have made of it; copies of what its own companions
   * said are among it.
   */
  messages(): ShownMessage[]
  /** What this phone itself said, and how far it got. */
  sent(): (ShownMessage & { status: SentStatus; receipts: Record<string, SentStatus> })[]
  /** A message of either direction as it is now; null for an unknown id. */
  message(messageId: string): ShownMessage | null
  /** The farthest receipt of a message this phone sent; null for an unknown id. */
  status(messageId: string): SentStatus | null
  /** Resolves with the first message, received already or yet to come, that fits. */
  waitForMessage(fits: (message: PhoneMessage) => boolean): Promise<PhoneMessage>
  /** Resolves when a message of either direction is as wanted, at once when it is already. */
  waitUntilShown(messageId: string, fits: (message: ShownMessage) => boolean): Promise<ShownMessage>
  /** Downloads and opens the file of a message. */
  download(messageId: string): Promise<Buffer>
  read(messageId: string): Promise<void>
  played(messageId: string): Promise<void>
  /** Stars a message, or no longer, on all devices of the account. */
  star(messageId: string, starred: boolean): Promise<void>
  /** Marks a chat on all devices of the account. */
  changeChat(chat: string, change: Partial<ChatState>): Promise<void>
  /** How chats are marked, by their JIDs. */
  chats(): Record<string, ChatState>
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

/** Thrown when a phone is asked about a message it does not have. */
export class NoSuchMessage extends Error {
  constructor(id: string) {
    super(`This phone has no message ${id}`)
    this.name = 'NoSuchMessage'
  }
}

/** Switches a phone on: a new one with fresh keys, or the one that `state` remembers under this number. */
export function createPhone(options: PhoneOptions, parts: PhoneParts): Phone {
  const { state, clock } = parts
  const { phoneNumber, name, platform = 'android' } = options
  const scope = (kind: string) => `phone ${phoneNumber} ${kind}`
  const signal = openPhoneSignal(state, scope('signal'))
  const journal = openPhoneJournal(state, scope('journal'))
  const mailbox = createMailbox()
  const listeners = new Set<(event: PhoneEvent) => void>()
  const held: BinaryNode[] = []
  let reachable = true
  let closed = false

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
  const namesOf = async (person: string): Promise<string[]> => {
    const name = await arrivals.nameOf(person)
    const other = name.endsWith('@lid') ? null : await signal.lidOf(name)
    return other ? [name, other] : [name]
  }
  const deeds = createPhoneDeeds({
    journal,
    book,
    namesOf,
    onChange: (entry) => emit({ type: 'changed', message: shownNow(entry) }),
  })
  const appState = openPhoneAppState({
    state,
    scope: scope('companions'),
    uplink,
    journal,
    deeds,
    clock,
    name,
    nameOf: (address) => arrivals.nameOf(address),
    onBroken: (collection, reason) => emit({ type: 'broken patch', collection, reason }),
  })
  const companions = createPhoneCompanions({
    state,
    scope: scope('companions'),
    uplink: line,
    signal,
    journal,
    outbox,
    own,
    appState,
    names: {
      keyOf: (entry) => speech.keyOf(entry),
      chatName: (chat) => speech.chatName(chat),
      lidOf: signal.lidOf,
      subjectOf: async (group) => (await book.groupIfMember(group))?.subject ?? null,
    },
    mediaAccess: () => mediaAccess(),
    clock,
    inTurn: (work) => mailbox.run(work),
    renewMedia: parts.media.renew,
  })
  const inbox = createPhoneInbox({
    uplink: line,
    signal,
    journal,
    deeds,
    own,
    onPeer: companions.onPeer,
    onMessage: (message) => emit({ type: 'message', message }),
    onUnreadable: (id, reason) => emit({ type: 'unreadable', id, reason }),
  })

  const arrivals = createPhoneArrivals({
    uplink,
    signal,
    book,
    journal,
    inbox,
    outbox,
    companions,
    appState,
    own: own(),
    emit,
  })

  function receive(stanza: BinaryNode): void {
    // Work in the mailbox waits for these two; they must not wait behind it.
    if (stanza.tag === 'ack') outbox.acknowledge(stanza)
    else if (stanza.attrs.type === 'link_code_companion_reg') {
      companions.onCodeNotification(stanza)
      arrivals.confirm(stanza)
    } else if (reachable) take(stanza)
    else held.push(stanza)
  }

  function take(stanza: BinaryNode): void {
    if (closed) return
    mailbox.run(() => arrivals.take(stanza)).catch((error: unknown) => parts.onTrouble(error, stanza))
  }

  const mediaAccess = async (): Promise<MediaAccess> => {
    const answer = await uplink.query(
      node('iq', { type: 'set', xmlns: 'w:m', to: SERVER }, [node('media_conn')]),
    )
    const connection = child(answer, 'media_conn')
    const host = child(connection, 'host')?.attrs.hostname ?? ''
    return { host, auth: connection?.attrs.auth ?? '', fetch: parts.media.fetch, now: clock.now }
  }

  const speech = createPhoneSpeech({
    journal,
    outbox,
    signal,
    book,
    deeds,
    own: own(),
    addressing: account.addressing,
    clock,
    mediaAccess,
    nameOf: arrivals.nameOf,
    inTurn: (work) => mailbox.run(work),
  })

  async function receiptFor(id: string, type: 'read' | 'played'): Promise<void> {
    const entry = journal.findReceived(id)
    if (!entry) throw new NoSuchMessage(id)
    const { from, participant } = entry.address
    if (isChannel(from)) {
      const seen = node('list', {}, [node('item', { server_id: entry.shown.serverId })])
      uplink.send(node('receipt', { id, to: from, type: 'view' }, [seen]))
      return
    }
    const t = String(Math.floor(clock.now() / 1000))
    const to = participant ? from : bare(from)
    uplink.send(node('receipt', { id, to, participant, type, t }))
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
    enterPairingCode: async (code) =>
      linked((await companions.enterCode(code.replace(/[\s-]/g, '').toUpperCase())).id),
    devices: () => [...account.devices.keys()].filter((id) => id !== 0).map(linked),
    unlink: (deviceId) => companions.unlink(deviceId),

    send: (to, said, options) =>
      speech.say(to, typeof said === 'string' ? { type: 'text', text: said } : said, options),

    messages: () => journal.received().map(shownNow),
    sent: () =>
      journal
        .sent()
        .map((entry) => ({ ...shownNow(entry), status: statusOf(entry), receipts: { ...entry.receipts } })),
    message(id) {
      const entry = journal.find(id)
      return entry && shownNow(entry)
    },
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

    waitUntilShown(id, fits) {
      const { promise, resolve } = Promise.withResolvers<ShownMessage>()
      const look = () => {
        const entry = journal.find(id)
        const now = entry && shownNow(entry)
        if (!now || !fits(now)) return
        listeners.delete(look)
        resolve(now)
      }
      listeners.add(look)
      look()
      return promise
    },

    async download(id) {
      const entry = journal.find(id)
      const media = entry && mediaOf(entry.message)
      if (!media) throw new NoSuchMessage(id)
      return downloadFile(await mediaAccess(), media.type, media.file, isChannel(entry.shown.chat))
    },

    read: (id) => receiptFor(id, 'read'),
    played: (id) => receiptFor(id, 'played'),
    async star(id, starred) {
      const entry = journal.find(id)
      if (!entry) throw new NoSuchMessage(id)
      await mailbox.run(async () => {
        const { key } = await speech.known(id)
        const author = key.fromMe ? '0' : (key.participant ?? '0')
        const index = ['star', key.remoteJid ?? '', id, key.fromMe ? '1' : '0', author]
        await appState.push('regular_low', { index, value: { starAction: { starred } }, version: 2 })
      })
    },
    changeChat: (chat, change) =>
      mailbox.run(async () => {
        const jid = await speech.chatName(addressOf(chat))
        for (const mark of marksOf(jid, change)) await appState.push(mark.collection, mark)
      }),
    chats: () => Object.fromEntries(appState.chats()),
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
      closed = true
      uplink.account.devices.get(0)?.link?.end()
      await mailbox.close()
      signal.close()
    },
  }
}

const bare = (address: string): string => {
  const { user = '', server = '' } = parseJid(address) ?? {}
  return jidOf(user, server)
}
