/** What Baileys tells while a connection lives, put into reports; the connection's own life is heard in `socket.ts`. */
import {
  type AuthenticationCreds,
  type BaileysEventEmitter,
  type BaileysEventMap,
  type BinaryNode,
  isJidGroup,
  WAMessageStubType,
} from '@whiskeysockets/baileys'
import { asMessageId, type Jid } from '../../domain/ids'
import type { Report } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import type { GroupCache } from './group-cache'
import type { InboundJournal } from './inbound-journal'
import {
  callsOf,
  contactsOf,
  groupStatusesOf,
  groupsOf,
  historyOf,
  identityOf,
  type Know,
  messageOf,
  pairsOf,
  participantsOf,
  presencesOf,
  statusesOf,
} from './reports'
import type { Acknowledgements } from './upstream/acknowledgements'
import type { SocketEvents } from './upstream/raw-socket'
import { describe } from './upstream/unhandled-rejections'

/** People whose pairs and names are remembered as told, so that they are told once. */
const TOLD = 10_000

export type DataEventParts = {
  ev: BaileysEventEmitter
  ws: SocketEvents
  creds: AuthenticationCreds
  inbound: InboundJournal
  acks: Acknowledgements
  groups: GroupCache
  know: Know
  report: (report: Report) => void
  clock: Clock
  log: Log
}

/** Listens to one event; a failing listener is logged and does not take the others with it. */
export function listener(ev: BaileysEventEmitter, log: Log) {
  return <E extends keyof BaileysEventMap>(event: E, hear: (data: BaileysEventMap[E]) => void): void =>
    ev.on(event, (data) => {
      try {
        hear(data)
      } catch (error) {
        log.error('An event could not be read', { event, ...describe(error) })
      }
    })
}

/** Turns data events into reports until the socket ends. */
export function hearData(parts: DataEventParts): void {
  const { ev, log } = parts
  const on = listener(ev, log)
  const tellPairs = pairTeller(parts)
  hearMessages(parts, on, tellPairs)
  hearStatuses(parts, on)
  hearPeople(parts, on, tellPairs)
  hearGroups(parts, on)
}

type On = ReturnType<typeof listener>
type Pairs = readonly { lid: Jid; phoneNumber: string }[]
type TellPairs = (pairs: Pairs) => void

function pairTeller({ report }: DataEventParts): TellPairs {
  const told = new Set<string>()
  return (pairs) => {
    const fresh = pairs.filter(({ lid, phoneNumber }) => !told.has(`${lid} ${phoneNumber}`))
    if (fresh.length === 0) return
    if (told.size > TOLD) told.clear()
    for (const { lid, phoneNumber } of fresh) told.add(`${lid} ${phoneNumber}`)
    report({ kind: 'identities', pairs: fresh })
  }
}

function hearMessages(
  { creds, inbound, know, report, log }: DataEventParts,
  on: On,
  tellPairs: TellPairs,
): void {
  on('messages.upsert', ({ messages }) => {
    const me = identityOf(creds)
    for (const message of messages) {
      tellPairs(pairsOf(message))
      const id = message.key.id ?? ''
      const incoming = messageOf(message, { origin: inbound.originOf(id), me, know })
      if (message.messageStubType === WAMessageStubType.CIPHERTEXT) {
        log.warn('A message could not be decrypted; WhatsApp was asked to send it again')
      }
      if (incoming !== null) report({ kind: 'messages', messages: [incoming] })
      inbound.emitted(id, incoming !== null)
    }
  })
}

function hearStatuses({ ws, acks, report, clock }: DataEventParts, on: On): void {
  /** Refusals that the sender itself has heard. */
  const refused = new Set<string>()
  // Before Baileys, which tells of a refusal by an event of its own.
  ws.prependListener('CB:ack,class:message', (ack: BinaryNode) => {
    const { id, error } = ack.attrs
    if (id === undefined) return
    const isAwaited = acks.arrived(ack)
    if (isAwaited && error !== undefined) refused.add(id)
    if (isAwaited || error !== undefined) return
    const late = { messageId: asMessageId(id), status: 'sent', at: clock.now(), error: null } as const
    report({ kind: 'statuses', statuses: [late] })
  })
  on('messages.update', (updates) => {
    const statuses = statusesOf(updates, clock.now()).filter(
      ({ messageId, status }) => !(status === 'failed' && refused.delete(messageId)),
    )
    if (statuses.length > 0) report({ kind: 'statuses', statuses })
  })
  on('message-receipt.update', (updates) => {
    const statuses = groupStatusesOf(updates, clock.now())
    if (statuses.length > 0) report({ kind: 'statuses', statuses })
  })
}

function hearPeople({ know, report }: DataEventParts, on: On, tellPairs: TellPairs): void {
  const names = new Map<string, string>()
  const tell = (contacts: Parameters<typeof contactsOf>[0]) => {
    const { named, pairs } = contactsOf(contacts, know)
    tellPairs(pairs)
    const fresh = named.filter(({ party, name }) => {
      const key = party.lid ?? party.phoneNumber ?? ''
      if (name === null || names.get(key) === name) return false
      if (names.size > TOLD) names.clear()
      names.set(key, name)
      return true
    })
    if (fresh.length > 0) report({ kind: 'contacts', contacts: fresh })
  }
  on('contacts.upsert', tell)
  on('contacts.update', tell)
  on('lid-mapping.update', ({ lid, pn }) => tellPairs(pairsOf({ key: { remoteJid: lid, remoteJidAlt: pn } })))
  on('messaging-history.set', (history) => {
    tell(history.contacts)
    report(historyOf(history))
  })
  on('presence.update', (update) => {
    if (isJidGroup(update.id)) return
    for (const one of presencesOf(update, know)) report(one)
  })
  on('call', (calls) => report(callsOf(calls, know)))
}

function hearGroups({ groups, know, report }: DataEventParts, on: On): void {
  on('groups.upsert', (list) => {
    groups.changed({ 'groups.upsert': list })
    report(groupsOf(list))
  })
  on('groups.update', (list) => {
    groups.changed({ 'groups.update': list })
    report(groupsOf(list))
  })
  on('group-participants.update', (update) => {
    groups.changed({ 'group-participants.update': update })
    report(participantsOf(update, know))
  })
}
