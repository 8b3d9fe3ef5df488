/** Sizes and times of the HTTP surface, in one place. */

/** Largest JSON body (bytes). */
export const MAX_BODY = 1024 * 1024
/** Largest JSON body where a file may stand in it as base64. */
export const MAX_FILE_BODY = 24 * MAX_BODY
/** Largest file of a form: on the routes that send, unless the operator says otherwise, and on `/upload`. */
export const MAX_SENT_FILE = 100_000_000
export const MAX_UPLOAD = 50 * MAX_BODY
/** What a form may have beside its file: its fields, their names and boundaries. */
export const FORM_MARGIN = MAX_BODY
/** Most fields of a form, most bytes of one, and most lines and bytes of a part's head. */
export const FORM_FIELDS = 64
export const FORM_FIELD_SIZE = 256 * 1024
export const FORM_HEAD = { headerPairs: 16, headerSize: 8 * 1024 }
/** A body must have arrived within this (ms); a body with a file may take longer. */
export const BODY_DEADLINE = 30_000
export const FILE_BODY_DEADLINE = 300_000
/** Longest silence between two pieces of a form, and its longest time in all (ms). */
export const FORM_IDLE = 30_000
export const FORM_DEADLINE = 1_800_000
/** Deepest nesting of a JSON body, most keys of one of its objects, and of all together (a bulk has a thousand objects). */
export const MAX_DEPTH = 32
export const MAX_KEYS = 1_000
export const MAX_KEYS_IN_ALL = 100_000
/**
 * Seconds without traffic after which a connection is closed; routes that wait longer say so themselves. More than the
 * deadlines of bodies, so that whoever falls silent in the middle of one is told before.
 */
export const IDLE_TIMEOUT = 40
/** Longest `?wait=` of a long poll (s). */
export const LONGEST_WAIT = 60
/** How long a QR request is held while the session is connecting, unless `?wait=` says otherwise (s). */
export const QR_WAIT = 20
/** Lists without `?limit=`, and the most a list gives. */
export const DEFAULT_LIMIT = 50
export const MAX_LIMIT = 100
/** Life of a WebSocket ticket (ms). */
export const TICKET_LIFE = 30_000
/** How long a send waits for WhatsApp unless `?timeout=` says otherwise, and the longest it may be told (s). */
export const SEND_WAIT = 30
export const LONGEST_SEND_WAIT = 200
/** Most entries of a bulk. */
export const MAX_BULK = 1_000
/** Furthest `sendAt` (ms) and longest `ttl` (s). */
export const FURTHEST_SEND = 366 * 86_400_000
export const LONGEST_TTL = 30 * 86_400
/** Most people who see a status post. */
export const MAX_AUDIENCE = 5_000
