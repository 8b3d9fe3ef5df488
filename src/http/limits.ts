/** Sizes and times of the HTTP surface, in one place. */

/** Largest JSON body (bytes). */
export const MAX_BODY = 1024 * 1024
/** A body must have arrived within this (ms). */
export const BODY_DEADLINE = 30_000
/** Deepest nesting of a JSON body. */
export const MAX_DEPTH = 64
/** Seconds without traffic after which a connection is closed; routes that wait longer say so themselves. */
export const IDLE_TIMEOUT = 30
/** Longest `?wait=` of a long poll (s). */
export const LONGEST_WAIT = 60
/** How long a QR request is held while the session is connecting, unless `?wait=` says otherwise (s). */
export const QR_WAIT = 20
/** Lists without `?limit=`, and the most a list gives. */
export const DEFAULT_LIMIT = 50
export const MAX_LIMIT = 100
/** Life of a WebSocket ticket (ms). */
export const TICKET_LIFE = 30_000
