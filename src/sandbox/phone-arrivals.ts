/**
 * What reaches a phone besides messages, and what follows from it: receipts, news of devices and groups, calls for new
 * pre-keys, people typing.
 */
import { type BinaryNode, buildAckStanza } from '@whiskeysockets/baileys'
import { jidOf, parseJid } from './jid'
import { KEY_TYPE } from './keys'
import { child, children, node, SERVER, writeNumber } from './node'
import type { PhoneAppState } from './phone-app-state'
import type { PhoneBook } from './phone-book'
import type { PhoneCompanions } from './phone-companions'
import type { PhoneInbox } from './phone-inbox'
import type { PhoneJournal, PhoneMessage, SentStatus, ShownMessage } from './phone-journal'
import type { PhoneOutbox } from './phone-outbox'
import { keyNode, type PhoneSignal } from './phone-signal'
import type { PhoneUplink } from './types'

export type PhoneEvent =
  | { type: 'message'; message: PhoneMessage }
  /** Something happened to a message that is there already. */
  | { type: 'changed'; message: ShownMessage }
  | { type: 'receipt'; id: string; reader: string; status: SentStatus }
  | { type: 'chatstate'; from: string; state: 'composing' | 'recording' | 'paused' }
  /** A change of the app state that does not fit; `collection` stays as it was. */
  | { type: 'broken patch'; collection: string; reason: string }
  | { type: 'unsent history'; reason: string }
  | { type: 'unreadable'; id: string; reason: string }

export type ArrivalParts = {
  uplink: PhoneUplink
  signal: PhoneSignal
  book: PhoneBook
  journal: PhoneJournal
  inbox: PhoneInbox
  outbox: PhoneOutbox
  companions: PhoneCompanions
  appState: PhoneAppState
  own: { pn: string; lid: string }
  emit(event: PhoneEvent): void
}

export interface PhoneArrivals {
  /** Deals with one stanza; stanzas must come one after another. */
  take(stanza: BinaryNode): Promise<void>
  /** Tells the server that a stanza has arrived. */
  confirm(stanza: BinaryNode): void
  /** Bare, and by number where it is known. */
  nameOf(address: string): Promise<string>
}

/** How many one-time pre-keys a phone uploads at once. */
export const PRE_KEYS = 100

const RECEIPTS: Partial<Record<string, SentStatus>> = {
  delivered: 'delivered',
  inactive: 'delivered',
  read: 'read',
  played: 'played',
}

/** Makes the part of a phone that listens. */
export function createPhoneArrivals(parts: ArrivalParts): PhoneArrivals {
  const { uplink, signal, book, journal, inbox, outbox, companions, appState, own, emit } = parts
  const confirm = (stanza: BinaryNode) => uplink.send(buildAckStanza(stanza, undefined, own.pn))

  /** Bare, and by number where it is known. */
  async function nameOf(address: string): Promise<string> {
    const { user = '', server = '' } = parseJid(address) ?? {}
    const bare = jidOf(user, server)
    return server === 'lid' ? ((await signal.pnOf(bare)) ?? bare) : bare
  }
  async function bothNames(address: string): Promise<string[]> {
    const pn = await nameOf(address)
    const other = pn.endsWith('@lid') ? null : await signal.lidOf(pn)
    return other ? [pn, other] : [pn]
  }

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
    const reader = await nameOf(participant ?? from)
    if (reader === own.pn) return
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
      if (child(stanza, 'remove'))
        for (const author of [own.pn, own.lid]) signal.forgetGroupKey(group, author)
      signal.commit()
    },
    async server_sync(stanza) {
      for (const { attrs } of children(stanza, 'collection')) await appState.pull(attrs.name ?? '')
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
    await uplink.query(
      node('iq', { type: 'set', xmlns: 'encrypt', to: SERVER }, [
        node('registration', {}, writeNumber(registrationId, 4)),
        node('type', {}, KEY_TYPE),
        node('identity', {}, identityKey),
        node(
          'list',
          {},
          signal.makePreKeys(PRE_KEYS).map((made) => keyNode('key', made)),
        ),
        keyNode('skey', signedPreKey, [node('signature', {}, signedPreKey.signature)]),
      ]),
    )
  }

  return {
    take: async (stanza) => STANZAS[stanza.tag]?.(stanza),
    confirm,
    nameOf,
  }
}
