/** Names of events as one byte. A number that was given is never given to anything else, and none is 0. */
import type { EventName } from '../domain/events'

export const EVENT_CODE: { readonly [N in EventName]: number } = {
  'session.created': 1,
  'session.connecting': 2,
  'session.qr_generated': 3,
  'session.pairing_code': 4,
  'session.connected': 5,
  'session.disconnected': 6,
  'session.stopped': 7,
  'session.deleted': 8,
  'session.settings_updated': 9,
  'session.limit_reached': 10,
  'session.restricted': 11,
  'session.unrestricted': 12,
  'session.credentials_cleared': 13,
  'session.gap': 14,
  'session.stalled': 15,
  'session.volume_alert': 16,
  'message.received': 20,
  'message.queued': 21,
  'message.sent': 22,
  'message.delivered': 23,
  'message.read': 24,
  'message.played': 25,
  'message.failed': 26,
  'message.edited': 27,
  'message.deleted': 28,
  'message.reaction': 29,
  'message.poll_vote': 30,
  'message.pinned': 31,
  'message.starred': 32,
  'message.event_response': 33,
  'status.received': 40,
  'contact.updated': 41,
  'group.updated': 42,
  'group.participants': 43,
  'call.received': 44,
  'history.synced': 45,
  'webhook.disabled': 46,
  'presence.updated': 47,
  typing: 48,
}

const NAMES = new Map(
  (Object.entries(EVENT_CODE) as [EventName, number][]).map(([name, code]) => [code, name]),
)

/** Throws when it was written by a newer program. */
export function eventOf(code: number): EventName {
  const name = NAMES.get(code)
  if (name === undefined) throw new Error(`This program does not know event ${code}`)
  return name
}
