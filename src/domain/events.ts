/**
 * The catalogue of events. Each says when it is emitted; `momentary` ones are never stored, replayed or retried.
 */
import { type Static, Type } from '@sinclair/typebox'
import type { SessionId, TenantId } from './ids'

type Row = { kept: boolean; says: string }

const CATALOGUE = {
  'session.created': { kept: true, says: 'emitted when a session has been created' },
  'session.connecting': { kept: true, says: 'emitted when a connection attempt begins' },
  'session.qr_generated': { kept: false, says: 'emitted for every new QR code, with the code; momentary' },
  'session.pairing_code': { kept: false, says: 'emitted when a pairing code was issued; momentary' },
  'session.connected': { kept: true, says: 'emitted when a session is ready to send and receive' },
  'session.disconnected': {
    kept: true,
    says: 'emitted when a connection is lost or refused; says whether it comes back',
  },
  'session.stopped': { kept: true, says: 'emitted when a session was stopped on request' },
  'session.deleted': { kept: true, says: 'emitted as the last event of a session' },
  'session.settings_updated': { kept: true, says: 'emitted when name, description or settings have changed' },
  'session.limit_reached': { kept: true, says: 'emitted when a session was refused because of the plan' },
  'session.volume_alert': {
    kept: true,
    says: 'emitted once for an hour in which a session has sent more messages than VOLUME_ALERT',
  },
  'session.restricted': {
    kept: true,
    says: 'emitted when WhatsApp restricts what this number may send, with until when; established chats go on',
  },
  'session.unrestricted': { kept: true, says: 'emitted when a restriction has ended' },
  'session.gap': {
    kept: true,
    says: 'emitted when an outage is over in which messages were missed or that was longer than a minute; count says how many came late',
  },
  'session.stalled': {
    kept: true,
    says: 'emitted when something of the session does not move; says since when, why, and what is to be done',
  },
  'session.credentials_cleared': {
    kept: true,
    says: 'emitted when stored credentials were removed on request',
  },
  'message.received': { kept: true, says: 'emitted when a message of somebody else is stored' },
  'message.queued': { kept: true, says: 'emitted when a message to be sent is on disk' },
  'message.sent': {
    kept: true,
    says: 'emitted when WhatsApp’s server has acknowledged an own message (viaApi tells whose)',
  },
  'message.delivered': { kept: true, says: 'emitted when the message has reached a device of the recipient' },
  'message.read': { kept: true, says: 'emitted when the message was read' },
  'message.played': { kept: true, says: 'emitted when the voice note or video was played' },
  'message.failed': { kept: true, says: 'emitted when a message cannot be sent; nothing is tried again' },
  'message.edited': { kept: true, says: 'emitted when the words of a message were replaced' },
  'message.deleted': { kept: true, says: 'emitted when a message was taken back for everyone' },
  'message.reaction': { kept: true, says: 'emitted when somebody reacts to a message' },
  'message.poll_vote': { kept: true, says: 'emitted when somebody votes in a poll, with the chosen options' },
  'message.event_response': {
    kept: true,
    says: 'emitted when somebody answers an event: going, not_going or maybe, with how many guests',
  },
  'message.pinned': { kept: true, says: 'emitted when a message was pinned in its chat, or unpinned' },
  'message.starred': {
    kept: true,
    says: 'emitted when a message was starred on a device of ours, or unstarred',
  },
  'status.received': { kept: true, says: 'emitted when somebody has posted a status' },
  'contact.updated': { kept: true, says: 'emitted when a contact’s name or address has become known' },
  'group.updated': { kept: true, says: 'emitted when a group’s subject or settings have changed' },
  'group.participants': { kept: true, says: 'emitted when people join or leave a group' },
  'call.received': { kept: true, says: 'emitted when somebody calls' },
  'history.synced': { kept: true, says: 'emitted once per piece of history that the phone has handed over' },
  'webhook.disabled': {
    kept: true,
    says: 'emitted when an endpoint was disabled because it is gone or only fails',
  },
  'presence.updated': { kept: false, says: 'emitted when somebody comes online or goes; momentary' },
  typing: { kept: false, says: 'emitted when somebody starts or stops typing; momentary' },
} as const satisfies Record<string, Row>

export type EventName = keyof typeof CATALOGUE
export const EVENT_NAMES = Object.keys(CATALOGUE) as EventName[]

/** Whether events of this name are stored and replayed. */
export const isKept = (name: EventName): boolean => CATALOGUE[name].kept
/** "emitted when …" */
export const eventSays = (name: EventName): string => CATALOGUE[name].says

/**
 * Whether a told event is about the account as a whole, although a session of it tells it: an endpoint of all sessions
 * that was disabled. Keys and endpoints of single sessions do not hear of it.
 */
export const concernsAccount = ({ event, json }: { event: EventName; json: string }): boolean =>
  event === 'webhook.disabled' && (JSON.parse(json) as { allSessions?: unknown }).allSessions !== false

/** An event before it has a place in the journal. */
export type NewEvent = {
  name: EventName
  tenantId: TenantId
  sessionId: SessionId
  /** The payload's own fields, flat beside `id, cursor, event, sessionId, timestamp`. */
  fields: Record<string, unknown>
}

/** The envelope that WebSocket, SSE, pull and webhook share (contract §6); payload fields are beside it. */
export const EventEnvelope = Type.Object(
  {
    id: Type.String({ description: 'Unique; repeated deliveries carry the same id' }),
    cursor: Type.Union([Type.String(), Type.Null()], {
      description: 'Place in the journal; null for momentary events',
    }),
    event: Type.Union(EVENT_NAMES.map((name) => Type.Literal(name))),
    sessionId: Type.String(),
    timestamp: Type.String({ format: 'date-time' }),
  },
  { additionalProperties: true },
)
export type EventEnvelope = Static<typeof EventEnvelope>

/** Short names that older clients know. */
const ALIASES: ReadonlyMap<string, readonly string[]> = new Map([
  ['message', ['message.*']],
  ['status', ['session.*']],
  ['qr', ['session.qr_generated']],
  ['ready', ['session.connected']],
  ['disconnected', ['session.disconnected']],
])

/** True for `*`, a catalogue name, `prefix.*` with at least one name behind it, and the aliases. */
export function isEventPattern(pattern: string): boolean {
  if (pattern === '*' || ALIASES.has(pattern) || Object.hasOwn(CATALOGUE, pattern)) return true
  return pattern.endsWith('.*') && EVENT_NAMES.some((name) => name.startsWith(pattern.slice(0, -1)))
}

/** Makes a test for names out of patterns; an empty list admits everything. */
export function eventFilter(patterns: readonly string[]): (name: string) => boolean {
  const all = patterns.flatMap((pattern) => ALIASES.get(pattern) ?? [pattern])
  if (all.length === 0 || all.includes('*')) return () => true
  const names = new Set(all.filter((pattern) => !pattern.endsWith('.*')))
  const prefixes = all.filter((pattern) => pattern.endsWith('.*')).map((pattern) => pattern.slice(0, -1))
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix))
}
