/**
 * Disconnect codes of WhatsApp and Baileys → our reasons: one row each (field notes B2, wire notes §10).
 *
 * The same number means different things by the way it came: 401 in a `<failure>` unlinks the device, 401 from an HTTP
 * proxy says nothing about the account.
 */
import type { CloseReason, Closing } from '../../domain/close-reasons'
import { withoutNumbers } from './upstream/unhandled-rejections'

/** A disconnect as Baileys tells it: the Boom's status, its sentence, and the attributes of the stanza behind it. */
export type Disconnect = {
  code: number | null
  message: string
  attrs: Readonly<Record<string, string>>
}

const CODES: Record<number, CloseReason> = {
  400: 'generic_failure',
  401: 'logged_out',
  402: 'temporarily_banned',
  403: 'account_locked',
  405: 'client_outdated',
  406: 'banned',
  408: 'connection_lost',
  409: 'client_refused',
  411: 'client_refused',
  413: 'client_refused',
  414: 'client_refused',
  415: 'client_refused',
  418: 'client_refused',
  428: 'connection_lost',
  429: 'rate_limited',
  440: 'replaced',
  500: 'stream_error',
  501: 'generic_failure',
  503: 'server_unavailable',
  515: 'restart_required',
}

/** Sentences that say more than their code. */
const SENTENCES: readonly { match: RegExp; reason: CloseReason }[] = [
  { match: /QR refs attempts ended/, reason: 'qr_timeout' },
  {
    match: /noise.*certificate|certification match failed/i,
    reason: 'untrusted_server',
  },
  {
    match: /Invalid account signature|Failed to verify account|signature.*pairing/i,
    reason: 'pairing_failed',
  },
  { match: /Unexpected server response/, reason: 'upgrade_refused' },
  { match: /^WebSocket Error/, reason: 'connection_lost' },
]

/** An unknown number is a stream error: tried again, credentials kept. `now` in ms, for bans that tell their length. */
export function closingOf({ code, message, attrs }: Disconnect, now: number): Closing {
  const reason =
    SENTENCES.find(({ match }) => match.test(message))?.reason ??
    (code === null ? 'connection_lost' : (CODES[code] ?? 'stream_error'))
  const until = reason === 'temporarily_banned' ? banEnd(attrs, now) : null
  return {
    reason,
    code,
    detail: withoutNumbers(message) || 'The connection ended',
    ...(until === null ? {} : { until }),
  }
}

/** An HTTP answer instead of the WebSocket upgrade: it comes from the network between, never from the account. */
export const closingOfUpgrade = (status: number): Closing => ({
  reason: status === 429 ? 'rate_limited' : status >= 500 ? 'server_unavailable' : 'upgrade_refused',
  code: status === 0 ? null : status,
  detail: `The WebSocket upgrade was answered with HTTP ${status}`,
})

/** `expire` holds seconds from now, `retry` of some versions a time stamp. */
function banEnd(attrs: Disconnect['attrs'], now: number): number | null {
  const seconds = Number(attrs.expire ?? attrs.retry)
  if (!Number.isFinite(seconds) || seconds <= 0) return null
  return seconds > 1_000_000_000 ? seconds * 1000 : now + seconds * 1000
}

/** What Baileys hands over with `connection: 'close'`. */
export function disconnectOf(error: unknown): Disconnect {
  if (!(error instanceof Error)) return { code: null, message: '', attrs: {} }
  const boom = error as Error & { output?: { statusCode?: number }; data?: unknown }
  const data = boom.data
  const attrs = isAttributes(data) ? data : isNode(data) ? data.attrs : {}
  return { code: boom.output?.statusCode ?? null, message: error.message, attrs }
}

const isNode = (data: unknown): data is { attrs: Record<string, string> } =>
  typeof data === 'object' && data !== null && 'attrs' in data
const isAttributes = (data: unknown): data is Record<string, string> =>
  typeof data === 'object' && data !== null && !('attrs' in data) && 'reason' in data
