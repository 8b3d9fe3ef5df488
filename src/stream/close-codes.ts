/**
 * Why a stream ended, as a WebSocket close code, and whether the client should come back.
 *
 * 1xxx are WebSocket's own; 4xxx follow the HTTP status that the same trouble would have.
 */
type Row = {
  /** The word that begins the close reason. */
  says: string
  meaning: string
  /** `with_cursor`: connect again with the last cursor; `without_cursor`: fetch the current state first; `never`: ask a human. */
  comeBack: 'with_cursor' | 'without_cursor' | 'never'
}

const ROWS = {
  1001: { says: 'GOING_AWAY', meaning: 'The server stops or restarts', comeBack: 'with_cursor' },
  1008: {
    says: 'RATE_LIMIT_EXCEEDED',
    meaning: 'The client says more than 20 frames in a second',
    comeBack: 'with_cursor',
  },
  1011: {
    says: 'INTERNAL_ERROR',
    meaning: 'The server cannot read its journal now',
    comeBack: 'with_cursor',
  },
  4400: {
    says: 'VALIDATION_ERROR',
    meaning: 'A frame or query is not valid; an error frame before says what',
    comeBack: 'never',
  },
  4401: { says: 'AUTH_REVOKED', meaning: 'The credentials were revoked or have expired', comeBack: 'never' },
  4403: { says: 'FORBIDDEN', meaning: 'The credentials do not allow this', comeBack: 'never' },
  4404: {
    says: 'SESSION_NOT_FOUND',
    meaning: 'A session that was asked for does not exist',
    comeBack: 'never',
  },
  4408: {
    says: 'SLOW_CONSUMER',
    meaning: 'The client does not read; its last cursor follows',
    comeBack: 'with_cursor',
  },
  4410: {
    says: 'CURSOR_EXPIRED',
    meaning: 'The cursor is older than what is kept, or of another database',
    comeBack: 'without_cursor',
  },
} as const satisfies Record<number, Row>

export type CloseCode = keyof typeof ROWS
export const CLOSE_CODES = Object.keys(ROWS).map(Number) as CloseCode[]

/** The row of a code. */
export const closeCodeRow = (code: CloseCode): Row => ROWS[code]

/** A reason cannot be longer (RFC 6455, bytes). */
const LONGEST_REASON = 123

/** The close reason: the code's word, then what may help the client, cut to what a close frame can hold. */
export function closeReason(code: CloseCode, detail = ''): string {
  const reason = detail === '' ? ROWS[code].says : `${ROWS[code].says} ${detail}`
  const bytes = new TextEncoder().encode(reason)
  return bytes.length <= LONGEST_REASON
    ? reason
    : new TextDecoder().decode(bytes.subarray(0, LONGEST_REASON)).replace(/\uFFFD$/, '')
}
