/**
 * A simulated phone: the primary device of an account, with a Signal identity of its own. Whatever it shows was
 * decrypted with its own keys, and whatever it says leaves it encrypted; the server between is told nothing.
 */
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import { createMailbox } from '../lib/mailbox'
import type { PhoneContent } from './content-schemas'
import { jidOf } from './jid'
import { child, node, SERVER } from './node'
import { openPhoneAppState } from './phone-app-state'
import { createPhoneArrivals, type PhoneEvent, PRE_KEYS } from './phone-arrivals'
import { createPhoneBook } from './phone-book'
import { createPhoneCompanions } from './phone-companions'
import { createPhoneDeeds } from './phone-deeds'
import { createPhoneGestures, type PhoneGestures } from './phone-gestures'
import { createPhoneInbox } from './phone-inbox'
import { openPhoneJournal, type PhoneMessage, shownNow } from './phone-journal'
import type { MediaAccess } from './phone-media'
import { createPhoneOutbox } from './phone-outbox'
import { createPhoneScreen, type PhoneScreen } from './phone-screen'
import { openPhoneSignal } from './phone-signal'
import { createPhoneSpeech, type SpeechOptions } from './phone-speech'
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

export interface Phone extends PhoneScreen, PhoneGestures {
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
  /** While unreachable, the phone neither reads nor confirms what arrives; it catches up afterwards. */
  setReachable(reachable: boolean): void
  on(listener: (event: PhoneEvent) => void): () => void
  /** Resolves when everything that has arrived so far has been dealt with. */
  settled(): Promise<void>
  close(): Promise<void>
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
  const on = (listener: (event: PhoneEvent) => void) => {
    listeners.add(listener)
    return () => {
      listeners.delete(listener)
    }
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
    onUnsent: (reason) => emit({ type: 'unsent history', reason }),
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
    ...createPhoneScreen({ journal, on, mediaAccess }),
    ...createPhoneGestures({
      uplink,
      journal,
      speech,
      appState,
      own: own(),
      name,
      clock,
      inTurn: (work) => mailbox.run(work),
    }),

    setReachable(now) {
      reachable = now
      if (reachable) for (const stanza of held.splice(0)) take(stanza)
    },
    on,
    settled: () => mailbox.run(() => undefined),
    async close() {
      closed = true
      uplink.account.devices.get(0)?.link?.end()
      await mailbox.close()
      signal.close()
    },
  }
}
