/** What a diagnosis says, in sentences for whoever looks at it at night. */
import type { CloseReason } from '../domain/close-reasons'
import type { Outage, OwnReason, TimelineCause, TimelineEntry } from '../domain/session'

/** Why a connection ended. */
const ENDED: Record<CloseReason, string> = {
  restart_required: 'WhatsApp has linked the phone and asked for a new connection',
  connection_lost: 'The connection to WhatsApp was lost',
  server_unavailable: 'WhatsApp’s servers were not available',
  stream_error: 'WhatsApp ended the connection because of an error',
  upgrade_refused: 'WhatsApp could not be reached: something on the way refused the connection',
  proxy_failed: 'The proxy of this session did not let it through to WhatsApp',
  rate_limited: 'WhatsApp asked us to come back later',
  storage_failed: 'The disk of this server did not accept writes, so the connection was closed',
  untrusted_server: 'The other side could not prove to be WhatsApp',
  generic_failure: 'WhatsApp refused the login without saying why',
  replaced: 'Another program took over the connection of this linked device',
  qr_timeout: 'Nobody scanned the QR code in time',
  pairing_failed: 'The phone could not be linked',
  passkey_required: 'The account asks for a passkey to link devices',
  logged_out: 'The device was unlinked on the phone or by WhatsApp',
  account_locked: 'WhatsApp has locked the account until its owner has done something on the phone',
  temporarily_banned: 'WhatsApp has banned the number for a time',
  banned: 'WhatsApp has banned the number',
  client_outdated: 'WhatsApp does not accept this version of the server any more',
  client_refused: 'WhatsApp refused this client',
  duplicate_phone_number: 'Another session holds the same phone number',
  process_restarted: 'The server was restarted before a phone was linked',
}

const OWN: Record<OwnReason, string> = {
  stopped: 'The session was stopped on request',
  restarted: 'The session was restarted on request',
  process_restarted: 'The server was restarted',
}

const HAPPENED: Record<Exclude<TimelineCause, 'closed' | 'resume' | 'unknown'>, string> = {
  created: 'The session was created',
  start: 'The session was started on request',
  stop: 'The session was stopped on request',
  restart: 'The session was restarted on request',
  rerouted: 'The session connects anew, because its proxy was changed',
  clear_auth: 'The credentials were removed on request',
  logout: 'The device was unlinked on request',
  retry_due: 'The session connects again, as planned',
  qr: 'A QR code is on show',
  paired: 'The phone has linked this device',
  opened: 'The session is connected to WhatsApp',
}

/** The state itself, when nobody knows what has led to it. */
const IS: Record<TimelineEntry['status'], string> = {
  inactive: 'The session is stopped',
  connecting: 'The session connects to WhatsApp',
  qr_generated: 'A QR code is on show',
  connected: 'The session is connected to WhatsApp',
  disconnected: 'The connection to WhatsApp has ended',
}

export const endedBecause = (reason: CloseReason): string => ENDED[reason]

/** What has begun an outage; a restart of the process means that of a session with a linked phone here. */
export const outageBecause = (reason: Outage['reason']): string =>
  reason in OWN ? OWN[reason as OwnReason] : ENDED[reason as CloseReason]

/** One entry of the timeline as a sentence. */
export function entrySays({ status, cause, reason }: TimelineEntry): string {
  if (reason !== null) return ENDED[reason]
  if (cause === 'resume') return 'The server was started again, and the session connects'
  if (cause === 'closed') return status === 'connecting' ? ENDED.restart_required : IS[status]
  return cause === 'unknown' ? IS[status] : HAPPENED[cause]
}

/** A moment inside a sentence: `2026-01-31 14:05 UTC`. */
export const spoken = (ms: number): string => {
  const [day = '', time = ''] = new Date(ms).toISOString().split('T')
  return `${day} ${time.slice(0, 5)} UTC`
}
