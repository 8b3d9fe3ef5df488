/**
 * Why a connection ended, and what follows: one row per reason.
 *
 * The adapter turns every disconnect code of WhatsApp into one of these names (`whatsapp/baileys/close-codes.ts`);
 * nothing else in the product knows codes.
 */
import type { ErrorCode } from './errors'
import type { Stall } from './stalls'

/** When a connection is tried again. */
export type Retry =
  /** Immediately and without counting as an attempt: the normal handover after pairing. */
  | 'at_once'
  /** With growing waits, as far as the session's settings allow. */
  | 'backoff'
  /** A single time after a pause, then never. */
  | 'once'
  /** A new pairing window, as often as QR_MAX_WINDOWS allows. */
  | 'new_window'
  | 'never'

export type CloseRow = {
  retry: Retry
  /** Credentials are removed at the next start; nothing else ever removes them. */
  wipe: 'never' | 'at_next_start'
  /** What the human should do, in words for tired people. */
  action: string
  /** The error code that a caller gets who needs the connection. */
  code: ErrorCode
}

const WAIT = 'Nothing to do: the session reconnects by itself'

const ROWS = {
  restart_required: { retry: 'at_once', wipe: 'never', action: WAIT, code: 'SESSION_NOT_CONNECTED' },
  connection_lost: { retry: 'backoff', wipe: 'never', action: WAIT, code: 'SESSION_NOT_CONNECTED' },
  server_unavailable: { retry: 'backoff', wipe: 'never', action: WAIT, code: 'SESSION_NOT_CONNECTED' },
  stream_error: { retry: 'backoff', wipe: 'never', action: WAIT, code: 'SESSION_NOT_CONNECTED' },
  upgrade_refused: {
    retry: 'backoff',
    wipe: 'never',
    action: 'Check the network and the proxy between this server and WhatsApp',
    code: 'SESSION_NOT_CONNECTED',
  },
  proxy_failed: {
    retry: 'backoff',
    wipe: 'never',
    action:
      'Check the proxy of this session (settings.proxyUrl): that it runs and takes its user name and password',
    code: 'SESSION_NOT_CONNECTED',
  },
  rate_limited: { retry: 'backoff', wipe: 'never', action: WAIT, code: 'SESSION_NOT_CONNECTED' },
  storage_failed: {
    retry: 'backoff',
    wipe: 'never',
    action: 'Free disk space on the server',
    code: 'STORAGE_UNAVAILABLE',
  },
  untrusted_server: {
    retry: 'never',
    wipe: 'never',
    action: 'The server does not prove to be WhatsApp: check WHATSAPP_URL, WHATSAPP_ROOT_KEY and the network',
    code: 'SESSION_NOT_CONNECTED',
  },
  generic_failure: {
    retry: 'once',
    wipe: 'never',
    action: 'Restart the session; if it persists, clear the authentication',
    code: 'SESSION_NOT_CONNECTED',
  },
  replaced: {
    retry: 'once',
    wipe: 'never',
    action: 'Another program uses the same linked device: stop it, then restart the session',
    code: 'SESSION_NOT_CONNECTED',
  },
  qr_timeout: {
    retry: 'new_window',
    wipe: 'never',
    action: 'Restart the session and scan the new QR code',
    code: 'SESSION_NOT_CONNECTED',
  },
  pairing_failed: {
    retry: 'never',
    wipe: 'never',
    action: 'Restart the session and link the phone again',
    code: 'SESSION_NOT_CONNECTED',
  },
  passkey_required: {
    retry: 'never',
    wipe: 'never',
    action: 'This account asks for a passkey to link devices; no server can answer that: use another number',
    code: 'PASSKEY_REQUIRED',
  },
  logged_out: {
    retry: 'never',
    wipe: 'at_next_start',
    action: 'Clear the authentication, start the session and scan a new QR code',
    code: 'AUTH_EXPIRED',
  },
  account_locked: {
    retry: 'never',
    wipe: 'never',
    action: 'Open WhatsApp on the phone and follow what it says, then restart the session',
    code: 'SESSION_NOT_CONNECTED',
  },
  temporarily_banned: {
    retry: 'never',
    wipe: 'never',
    action:
      'WhatsApp has banned this number for a time: open the app on the phone, wait, then restart the session',
    code: 'SESSION_NOT_CONNECTED',
  },
  banned: {
    retry: 'never',
    wipe: 'never',
    action: 'WhatsApp has banned this number: open the app on the phone and ask for a review',
    code: 'SESSION_NOT_CONNECTED',
  },
  client_outdated: {
    retry: 'never',
    wipe: 'never',
    action: 'Update this server, or set WA_VERSION to a current WhatsApp Web version',
    code: 'CLIENT_OUTDATED',
  },
  client_refused: {
    retry: 'never',
    wipe: 'never',
    action: 'WhatsApp refuses this client; update this server',
    code: 'SESSION_NOT_CONNECTED',
  },
  duplicate_phone_number: {
    retry: 'never',
    wipe: 'at_next_start',
    action: 'Another session already holds this phone number: use that one, or delete it first',
    code: 'SESSION_NOT_CONNECTED',
  },
  process_restarted: {
    retry: 'never',
    wipe: 'never',
    action: 'Restart the session to get a new QR code',
    code: 'SESSION_NOT_CONNECTED',
  },
} as const satisfies Record<string, CloseRow>

/** A named reason, as told in `session.disconnected` and `lastDisconnect`. */
export type CloseReason = keyof typeof ROWS
export const CLOSE_REASONS = Object.keys(ROWS) as CloseReason[]

/** What follows from a reason. */
export const closeRow = (reason: CloseReason): CloseRow => ROWS[reason]

/** A closing as the adapter reports it. */
export type Closing = {
  reason: CloseReason
  /** WhatsApp's or HTTP's number, null when there is none. */
  code: number | null
  /** A sentence for the log and for `lastDisconnect`; never a secret. */
  detail: string
  /** Milliseconds since the epoch until which trying is useless (temporary bans). */
  until?: number
  /** The connection seemed to stand and did nothing any more: this is what was found. */
  stall?: Stall
}
