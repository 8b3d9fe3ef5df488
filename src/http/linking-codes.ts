/** Codes that link a phone are for those who may also ask for them; to others they are as good as sent. */
import type { EventName } from '../domain/events'
import type { StreamSocket } from '../stream/subscription'
import type { Caller } from './guard'

const CODES: ReadonlySet<EventName> = new Set<EventName>(['session.qr_generated', 'session.pairing_code'])

/** The socket as this caller may use it. */
export function forScopes({ principal }: Caller, socket: StreamSocket): StreamSocket {
  if (principal.scopes.includes('sessions:write')) return socket
  return { ...socket, event: (entry) => (CODES.has(entry.event) ? entry.json.length : socket.event(entry)) }
}
