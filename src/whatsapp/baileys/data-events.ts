/** What Baileys tells while a connection lives, put into reports; the connection's own life is heard in `socket.ts`. */
import {
  type AuthenticationCreds,
  type BaileysEventEmitter,
  type BaileysEventMap,
  type BinaryNode,
  isJidGroup,
  type WAMessage,
  WAMessageStubType,
} from '@whiskeysockets/baileys'
import { asMessageId, type Jid, partyOf, withoutDevice } from '../../domain/ids'
import type { Report } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { type BeforeTarget, sealedWith } from './before-target'
import type { Recollection } from './content/earlier'
import { type Drops, isForged } from './drops'
import type { GroupCache } from './group-cache'
import { historyOf } from './history'
import type { InboundJournal, Origin } from './inbound-journal'
import { messageOf, pairsOf } from './messages'
import { isPerson, type Know } from './people'
import { callsOf, contactsOf, groupsOf, identityOf, participantsOf, presencesOf } from './reports'
import type { Restrictions } from './restriction'
import { groupStatusesOf, starsOf, statusesOf } from './statuses'
import type { Acknowledgements } from './upstream/acknowledgements'
import type { SocketEvents } from './upstream/raw-socket'
import type { StaleResends } from './upstream/stale-resends'
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
  earlier: Recollection
  beforeTarget: BeforeTarget
  resends: StaleResends
  restrictions: Restrictions
  drops: ReturnType<Drops['of']>
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

/** Turns data events into reports until the socket ends; the answer reports a message that came another way. */
export function hearData(parts: DataEventParts): (message: WAMessage) => boolean {
  const { ev, log } = parts
  const on = listener(ev, log)
  const tellPairs = pairTeller(parts)
  const heard = hearMessages(parts, on, tellPairs)
  hearStatuses(parts, on)
  hearPeople(parts, on, tellPairs)
  hearGroups(parts, on)
  hearChats(parts, on)
  hearRestrictions(parts, on)
  return heard
}

/** Reports a message; false when it holds nothing to store. */
type Heard = (message: WAMessage, origin?: Origin | null, mayWait?: boolean) => boolean

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
  { creds, inbound, know, earlier, beforeTarget, resends, drops, report, clock, log }: DataEventParts,
  on: On,
  tellPairs: TellPairs,
): Heard {
  const hear = (message: WAMessage, origin: Origin | null, mayWait: boolean): boolean => {
    const id = message.key.id ?? ''
    const around = {
      origin,
      me: identityOf(creds),
      know,
      now: clock.now(),
      earlier: earlier.find,
    }
    const incoming = messageOf(message, around)
    if (incoming === null) return false
    const target = incoming.content.type === 'unknown' ? sealedWith(message.message ?? {}) : null
    if (mayWait && target && !earlier.find(target)) {
      beforeTarget.wait(target, () => {
        if (!heard(message, origin, false) && origin) report({ kind: 'handled', inboxIds: [origin.inboxId] })
      })
      return true
    }
    if (message.message) earlier.note(id, message.message)
    if (incoming.content.type === 'delete') resends.takenBack(incoming.content.targetMessageId)
    report({ kind: 'messages', messages: [incoming] })
    beforeTarget.arrived(id)
    return true
  }
  /** Whatever a stranger has put into it, one message concerns nobody but itself. */
  const heard: Heard = (message, origin = inbound.originOf(message.key.id ?? ''), mayWait = true) => {
    try {
      return hear(message, origin, mayWait)
    } catch (error) {
      drops.count('unreadable')
      log.warn('A message could not be read; it is dropped', describe(error))
      return false
    }
  }
  on('messages.upsert', ({ messages }) => {
    for (const message of messages) {
      tellPairs(pairsOf(message))
      if (isForged(message)) {
        drops.count('forged')
        log.warn('A message of somebody else pretended to come from our own phone; it was dropped')
      }
      if (message.messageStubType === WAMessageStubType.CIPHERTEXT) {
        drops.count('undecrypted')
        log.warn('A message could not be decrypted; WhatsApp was asked to send it again')
      }
      inbound.emitted(message.key.id ?? '', heard(message))
    }
  })
  on('messaging-history.set', (history) => {
    const around = {
      me: identityOf(creds),
      know,
      now: clock.now(),
      onDropped(messages: number) {
        drops.count('unreadable', messages)
        log.warn('Messages of the history are too many, too large or unreadable', { messages })
      },
    }
    // Piece by piece, so that a long history holds up nobody; its stanza is done when the last piece is told.
    const told = (async () => {
      for (const piece of historyOf(history, around)) {
        report(piece)
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    told.catch((error: unknown) => log.error('A history could not be read', describe(error)))
    inbound.hold(told)
  })
  return heard
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
    const stars = starsOf(updates)
    if (stars.length > 0) report({ kind: 'stars', stars })
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
  on('messaging-history.set', ({ contacts }) => tell(contacts))
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

function hearChats({ know, report }: DataEventParts, on: On): void {
  on('chats.update', (chats) => {
    for (const { id, ephemeralExpiration } of chats) {
      if (!id || ephemeralExpiration === undefined) continue
      const chat = withoutDevice(id)
      report({
        kind: 'vanishing',
        chat: isPerson(chat) ? (partyOf(chat, know(chat)).lid ?? chat) : chat,
        seconds: ephemeralExpiration ?? 0,
      })
    }
  })
}

function hearRestrictions({ restrictions, report }: DataEventParts, on: On): void {
  on('connection.update', ({ reachoutTimeLock }) => {
    if (reachoutTimeLock) report({ kind: 'restriction', restriction: restrictions.locked(reachoutTimeLock) })
  })
  on('message-capping.update', (info) =>
    report({ kind: 'restriction', restriction: restrictions.capped(info) }),
  )
}
