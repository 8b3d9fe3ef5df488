/**
 * What a report of WhatsApp leaves behind: report → facts. Pure; the caller commits.
 *
 * `notify` and `append` upserts arrive here as one kind: both are messages (field notes A9). An own message that we sent
 * ourselves is stored already, so its echo is no news and its event is dropped by the ledger.
 */
import type { Fact } from '../domain/changes'
import type { NewEvent } from '../domain/events'
import { type Jid, type MessageId, type Party, phoneJid, shownParty } from '../domain/ids'
import type { Message, StoredMessage } from '../domain/message'
import type { Session } from '../domain/session'
import type { Input } from '../domain/session-life'
import type { IncomingMessage, Report, StatusReport } from '../domain/whatsapp'
import {
  arrivalEvent,
  ownFields,
  ownFieldsWithContent,
  type Places,
  receivedFields,
  sessionEvent,
  shownChat,
  statusEvent,
} from './payload'

/** Reports that move the session itself; `session-life.ts` decides on them. */
export type LifeReport = Extract<Report, { kind: 'qr' | 'paired' | 'opened' | 'closed' }>
/** Reports that pass and are told but never stored. */
export type MomentaryReport = Extract<Report, { kind: 'presence' }>
/** What WhatsApp says about the number itself; the session keeps it. */
export type RestrictionReport = Extract<Report, { kind: 'restriction' }>
/** What a chat has agreed on; kept by whoever writes into it. */
export type VanishingReport = Extract<Report, { kind: 'vanishing' }>
export type DataReport = Exclude<
  Report,
  LifeReport | MomentaryReport | RestrictionReport | VanishingReport | { kind: 'alive' }
>

/** The report as an input of session life. */
export function inputOf(report: LifeReport): Input {
  switch (report.kind) {
    case 'qr':
      return { on: 'qr', text: report.text, expiresAt: report.expiresAt }
    case 'paired':
      return { on: 'paired', me: report.me }
    case 'opened':
      return { on: 'opened', me: report.me, clientVersion: report.clientVersion }
    case 'closed':
      return { on: 'closed', why: report.why }
  }
}

export type RecordContext = {
  session: Session
  places: Places
  /** The stored message under an id, for the events of its statuses. */
  stored: (messageId: MessageId) => StoredMessage | null
}

/**
 * Names that come in such numbers are part of the history which the phone hands over; `history.synced` tells of that,
 * and nobody gets a thousand events.
 */
const BULK = 100

/** The LID anchors a person; a phone address is used until the LID is known. */
function chatOf(message: IncomingMessage): Jid {
  const { lid, phoneNumber } = message.chatParty
  return lid ?? (phoneNumber === null ? message.chat : phoneJid(phoneNumber))
}

function toMessage(incoming: IncomingMessage, session: Session, history = false): Message {
  const sent = incoming.fromMe && incoming.status !== 'queued' && incoming.status !== 'failed'
  return {
    sessionId: session.id,
    id: incoming.id,
    chat: chatOf(incoming),
    fromMe: incoming.fromMe,
    sender: incoming.fromMe ? null : (incoming.sender ?? incoming.chatParty),
    senderName: incoming.fromMe ? null : incoming.senderName,
    content: incoming.content,
    mentions: incoming.mentions,
    quoted: incoming.quoted,
    context: incoming.context,
    status: incoming.fromMe ? incoming.status : 'received',
    timestamp: incoming.timestamp,
    viaApi: false,
    offline: incoming.offline,
    history,
    error: null,
    raw: incoming.raw,
    ackedAt: sent ? incoming.timestamp : null,
    attachment: null,
    schedule: null,
  }
}

const changeOf = (message: Message, session: Session, inboxId: number | null): Fact['change'] => ({
  kind: 'message',
  message,
  keepContent: session.settings.messageHistory,
  inboxId,
})

function messageFact(incoming: IncomingMessage, { session, places }: RecordContext): Fact {
  const message = toMessage(incoming, session)
  const fields = message.fromMe
    ? { ...ownFieldsWithContent(message, incoming.chatParty, places), offline: message.offline }
    : receivedFields(message, incoming.chatParty, places)
  return {
    change: changeOf(message, session, incoming.inboxId),
    events: [sessionEvent(session, arrivalEvent(message), fields)],
  }
}

/** Nobody is told of old messages one by one; without a history they are nothing to keep. */
const historyFacts = (messages: readonly IncomingMessage[], session: Session): Fact[] =>
  session.settings.messageHistory
    ? messages.map((incoming) => ({
        change: changeOf(toMessage(incoming, session, true), session, incoming.inboxId),
        events: [],
      }))
    : []

function statusFact(report: StatusReport, message: StoredMessage | null, session: Session): Fact {
  const name = statusEvent(report.status)
  const events: NewEvent[] =
    message === null || name === null
      ? []
      : [
          sessionEvent(session, name, {
            ...ownFields(message, message.chatParty),
            ...(report.error ? { code: report.error.code, error: report.error.says } : {}),
          }),
        ]
  return {
    change: {
      kind: 'message_status',
      sessionId: session.id,
      messageId: report.messageId,
      status: report.status,
      at: report.at,
      error: report.error,
    },
    events,
  }
}

/** A receipt can overtake the server's acknowledgement: what has been delivered has been sent, and that is told first. */
function statusFacts(report: StatusReport, { session, stored }: RecordContext): Fact[] {
  const message = stored(report.messageId)
  const overtakes =
    (message?.status === 'queued' || message?.status === 'failed') &&
    (report.status === 'delivered' || report.status === 'read' || report.status === 'played')
  const fact = statusFact(report, message, session)
  return overtakes ? [statusFact({ ...report, status: 'sent' }, message, session), fact] : [fact]
}

const told = (event: NewEvent): Fact => ({ change: { kind: 'told' }, events: [event] })

const shown = (party: Party) => ({ lid: party.lid, phoneNumber: party.phoneNumber })

type Recorders = {
  [K in DataReport['kind']]: (report: Extract<DataReport, { kind: K }>, context: RecordContext) => Fact[]
}

const RECORDERS: Recorders = {
  messages: ({ messages }, context) => messages.map((message) => messageFact(message, context)),
  handled: ({ inboxIds }, { session }) =>
    inboxIds.length === 0
      ? []
      : [{ change: { kind: 'inbox_done', sessionId: session.id, inboxIds }, events: [] }],
  statuses: ({ statuses }, context) => statuses.flatMap((status) => statusFacts(status, context)),
  identities: ({ pairs }, { session }) =>
    pairs.map(({ lid, phoneNumber }) => ({
      change: { kind: 'identity', sessionId: session.id, lid, phoneNumber },
      events:
        pairs.length > BULK
          ? []
          : [sessionEvent(session, 'contact.updated', { lid, phoneNumber, name: null })],
    })),
  history: ({ chats, contacts, messages, progress }, { session }) => [
    ...historyFacts(messages, session),
    told(sessionEvent(session, 'history.synced', { chats, contacts, messages: messages.length, progress })),
  ],
  stars: ({ stars }, { session, stored }) =>
    stars.map(({ messageId, fromMe, starred }) => {
      const message = stored(messageId)
      const about = message
        ? { chat: shownChat(message.chat, message.chatParty), type: message.content.type }
        : {}
      return {
        change: { kind: 'message_starred', sessionId: session.id, messageId, fromMe, starred },
        events: [sessionEvent(session, 'message.starred', { messageId, starred, fromMe, ...about })],
      }
    }),
  contacts: ({ contacts }, { session }) =>
    contacts.length > BULK
      ? []
      : contacts.map(({ party, name }) =>
          told(sessionEvent(session, 'contact.updated', { ...shown(party), name })),
        ),
  groups: ({ groups }, { session }) =>
    groups.map(({ id, subject, participants }) =>
      told(sessionEvent(session, 'group.updated', { groupId: id, subject, participants })),
    ),
  participants: ({ group, action, participants, by }, { session }) => [
    told(
      sessionEvent(session, 'group.participants', {
        groupId: group,
        action,
        participants: participants.map(shownParty),
        by: by === null ? null : shownParty(by),
      }),
    ),
  ],
  calls: ({ calls }, { session }) =>
    calls
      .filter(({ status }) => status === 'offer')
      .map(({ id, from, video }) =>
        told(
          sessionEvent(session, 'call.received', {
            callId: id,
            from: shownParty(from),
            ...shown(from),
            video,
          }),
        ),
      ),
}

/** The facts of one report, in the order in which they are to be committed. */
export function factsOf(report: DataReport, context: RecordContext): Fact[] {
  // The table is typed kind by kind; picking by a run-time kind loses that pairing, hence the one cast.
  const recorder = RECORDERS[report.kind] as (report: DataReport, context: RecordContext) => Fact[]
  return recorder(report, context)
}

const TYPING = new Set(['composing', 'recording', 'paused'])

/** Typing and presence: told to whoever listens at this moment. */
export function momentaryEvent(report: MomentaryReport, session: Session): NewEvent {
  const who = { chat: shownParty(report.chat), from: shownParty(report.chat), ...shown(report.chat) }
  return report.typing || TYPING.has(report.presence)
    ? sessionEvent(session, 'typing', { ...who, typing: report.typing, presence: report.presence })
    : sessionEvent(session, 'presence.updated', { ...who, presence: report.presence })
}
