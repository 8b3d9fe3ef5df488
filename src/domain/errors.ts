/**
 * The catalogue of errors: code → HTTP status, one sentence, and what to do next.
 * Anything that is not in it is answered as INTERNAL_ERROR, without its cause.
 */
type Row = { status: number; says: string; action?: string }

const CATALOGUE = {
  VALIDATION_ERROR: {
    status: 400,
    says: 'The request is not valid',
    action: 'Correct the fields listed in details.fields',
  },
  INVALID_JSON: { status: 400, says: 'The body is not valid JSON', action: 'Send a JSON object in UTF-8' },
  UNSUPPORTED_MEDIA_TYPE: {
    status: 415,
    says: 'This content type is not accepted here',
    action: 'Send Content-Type: application/json',
  },
  PAYLOAD_TOO_LARGE: { status: 413, says: 'The body is too large' },
  REQUEST_TIMEOUT: { status: 408, says: 'The body did not arrive in time' },
  ROUTE_NOT_FOUND: {
    status: 404,
    says: 'There is no such route',
    action: 'See /docs/openapi.json for all routes',
  },
  METHOD_NOT_ALLOWED: { status: 405, says: 'This method is not allowed here' },
  AUTH_REQUIRED: {
    status: 401,
    says: 'Authentication is required',
    action: 'Send Authorization: Bearer <token> or X-API-Key',
  },
  AUTH_INVALID_CREDENTIALS: { status: 401, says: 'Username or password is wrong' },
  AUTH_INVALID_TOKEN: { status: 401, says: 'This token is not valid', action: 'Log in again' },
  AUTH_TOKEN_EXPIRED: { status: 401, says: 'This token has expired', action: 'Log in again' },
  AUTH_INVALID_API_KEY: { status: 401, says: 'This API key is not valid' },
  AUTH_ACCOUNT_INACTIVE: {
    status: 401,
    says: 'This account is not active',
    action: 'Ask the owner of this server',
  },
  FORBIDDEN: { status: 403, says: 'These credentials do not allow this' },
  IP_NOT_ALLOWED: { status: 403, says: 'This address is not allowed here' },
  REGISTRATION_CLOSED: {
    status: 403,
    says: 'Registration is closed',
    action: 'Ask the owner of this server for an account',
  },
  USERNAME_TAKEN: { status: 409, says: 'This username is taken', action: 'Choose another username' },
  EMAIL_TAKEN: {
    status: 409,
    says: 'This e-mail address is taken',
    action: 'Log in, or use another address',
  },
  API_KEY_NOT_FOUND: { status: 404, says: 'API key not found' },
  USER_NOT_FOUND: { status: 404, says: 'Account not found' },
  LAST_ADMIN: {
    status: 409,
    says: 'This is the last active administrator',
    action: 'Make another account an administrator first',
  },
  API_KEY_LIMIT_REACHED: {
    status: 403,
    says: 'The account has as many API keys as its plan allows',
    action: 'Delete a key that is not needed any more',
  },
  RATE_LIMIT_EXCEEDED: { status: 429, says: 'Too many requests', action: 'Wait as long as Retry-After says' },
  IDEMPOTENCY_KEY_REUSED: {
    status: 409,
    says: 'This Idempotency-Key was used for another request',
    action: 'Use a new key for a new request',
  },
  IDEMPOTENCY_IN_PROGRESS: {
    status: 409,
    says: 'The first request with this Idempotency-Key is still running',
    action: 'Ask again with the same key in a moment',
  },
  SESSION_NOT_FOUND: { status: 404, says: 'Session not found' },
  SESSION_NOT_CONNECTED: {
    status: 400,
    says: 'Session is not connected',
    action: 'Please restart the session',
  },
  SESSION_NOT_STARTED: { status: 400, says: 'Session is not started', action: 'Start the session first' },
  SESSION_ALREADY_CONNECTED: {
    status: 400,
    says: 'Session is already connected',
    action: 'No QR code is needed; clear-auth links another phone',
  },
  SESSION_LIMIT_REACHED: {
    status: 403,
    says: 'The session limit of this plan is reached',
    action: 'Delete a session or change the plan',
  },
  QR_CODE_EXPIRED: { status: 400, says: 'QR code has expired', action: 'Generate a new QR code' },
  QR_NOT_READY: { status: 400, says: 'QR code is not ready yet', action: 'Ask again in a moment' },
  AUTH_EXPIRED: {
    status: 400,
    says: 'WhatsApp has unlinked this device',
    action: 'Clear the authentication, start the session and scan a new QR code',
  },
  PASSKEY_REQUIRED: {
    status: 400,
    says: 'This WhatsApp account asks for a passkey to link a device',
    action: 'Link the device from the phone itself, or use another number',
  },
  PAIRING_CODE_REFUSED: {
    status: 400,
    says: 'WhatsApp refused the pairing code',
    action: 'Check the number, or scan the QR code instead',
  },
  CLIENT_OUTDATED: {
    status: 400,
    says: 'WhatsApp refuses this client version',
    action: 'Update, or set WA_VERSION',
  },
  INVALID_PHONE_NUMBER: {
    status: 400,
    says: 'This is not a phone number or WhatsApp id',
    action: 'Use 7 to 15 digits in international form',
  },
  NUMBER_NOT_ON_WHATSAPP: { status: 404, says: 'This number is not on WhatsApp' },
  MESSAGE_NOT_FOUND: { status: 404, says: 'Message not found' },
  MESSAGE_NOT_QUEUED: {
    status: 409,
    says: 'This message does not wait any more',
    action: 'Ask for its status; a sent message can be taken back with send/delete',
  },
  MESSAGE_CANCELLED: { status: 409, says: 'The message was cancelled before it was sent' },
  MESSAGE_EXPIRED: { status: 410, says: 'The message was not sent within its time to live' },
  MESSAGE_NOT_SUITABLE: { status: 400, says: 'This cannot be done with that message' },
  SESSION_RESTRICTED: {
    status: 403,
    says: 'WhatsApp does not let this number write to new chats at the moment',
    action: 'Wait until details.until; chats that exist already go on',
  },
  MESSAGE_REJECTED: { status: 502, says: 'WhatsApp rejected the message' },
  MESSAGE_TIMEOUT: {
    status: 504,
    says: 'WhatsApp has not acknowledged the message yet',
    action: 'It stays queued under this id; ask for its status, or repeat with the same Idempotency-Key',
  },
  QUEUE_FULL: { status: 429, says: 'The queue of this session is full', action: 'Send more slowly' },
  MEDIA_URL_FORBIDDEN: {
    status: 400,
    says: 'This media URL is not allowed',
    action: 'Use http or https and a public address, or send the file itself',
  },
  MEDIA_DOWNLOAD_FAILED: {
    status: 400,
    says: 'The file could not be fetched',
    action: 'See details.reason; check that the URL answers with the file',
  },
  FILE_TOO_LARGE: { status: 413, says: 'The file is too large', action: 'See details.maxBytes' },
  MEDIA_LIMIT_REACHED: {
    status: 403,
    says: 'The files of this account take all the space that its plan allows',
    action:
      'Wait until old files have expired, or change the plan; see details.maxBytes and details.usedBytes',
  },
  MEDIA_CONVERSION_UNAVAILABLE: {
    status: 400,
    says: 'This file cannot be converted on this server',
    action: 'Install ffmpeg on the server, or send the format named in details.accepted',
  },
  MEDIA_UNAVAILABLE: {
    status: 424,
    says: 'WhatsApp does not give this file',
    action:
      'See details.reason; when it has expired, the phone must be online to upload it again, and what was withheld can be opened on the phone alone',
  },
  MEDIA_NOT_FOUND: { status: 404, says: 'This message has no file' },
  RANGE_NOT_SATISFIABLE: {
    status: 416,
    says: 'This part of the file does not exist',
    action: 'Ask for a range within details.size',
  },
  UPLOAD_NOT_FOUND: {
    status: 404,
    says: 'There is no such upload',
    action: 'Upload the file again; uploads expire',
  },
  PROXY_URL_FORBIDDEN: {
    status: 400,
    says: 'This proxy address is not allowed',
    action:
      'Use http, https or socks5 and a public address (socks5://user:password@host:1080), or allow the network in the configuration',
  },
  WEBHOOK_URL_FORBIDDEN: {
    status: 400,
    says: 'This webhook URL is not allowed',
    action: 'Use https and a public address, or allow the network in the configuration',
  },
  WEBHOOK_NOT_FOUND: { status: 404, says: 'Webhook not found' },
  WEBHOOK_LIMIT_REACHED: {
    status: 403,
    says: 'There are too many webhook endpoints',
    action: 'Remove one that is not needed any more',
  },
  DELIVERY_NOT_FOUND: {
    status: 404,
    says: 'Webhook delivery not found',
    action: 'Delivered ones are kept for seven days, failed ones as long as their event',
  },
  INVALID_CURSOR: { status: 400, says: 'This cursor is not valid', action: 'Start without a cursor' },
  CURSOR_EXPIRED: {
    status: 410,
    says: 'This cursor is too old',
    action: 'Fetch the current state, then start without a cursor',
  },
  UPGRADE_REQUIRED: {
    status: 426,
    says: 'This address speaks WebSocket only',
    action: 'Connect with a WebSocket client',
  },
  STORAGE_UNAVAILABLE: {
    status: 503,
    says: 'The storage does not accept writes',
    action: 'Free disk space; nothing was lost',
  },
  NOT_READY: { status: 503, says: 'The server is not ready', action: 'Ask again in a moment' },
  SHUTTING_DOWN: { status: 503, says: 'The server is shutting down', action: 'Ask again in a moment' },
  INTERNAL_ERROR: { status: 500, says: 'Internal error', action: 'Tell the operator the request id' },
} as const satisfies Record<string, Row>

/** A stable code of the catalogue. */
export type ErrorCode = keyof typeof CATALOGUE
export const ERROR_CODES = Object.keys(CATALOGUE) as ErrorCode[]

/** Further facts for the caller; `action` says what to do next. */
export type ErrorDetails = Record<string, unknown>

/** An error with a code from the catalogue; everything in it may be shown to the caller. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly status: number
  readonly details: ErrorDetails | undefined

  constructor(code: ErrorCode, details?: ErrorDetails, says?: string) {
    const row: Row = CATALOGUE[code]
    super(says ?? row.says)
    this.name = 'AppError'
    this.code = code
    this.status = row.status
    const action = row.action === undefined ? {} : { action: row.action }
    this.details = details || row.action ? { ...action, ...details } : undefined
  }

  /** The body of the answer, in the contract's one shape. */
  toBody(): ErrorBody {
    return errorBody(this)
  }
}

/** The one shape of every failure (contract §1). */
export type ErrorBody = {
  success: false
  error: string
  code: string
  status: number
  details?: ErrorDetails
}

/** Builds the contract's error body from anything that carries code, status and sentence. */
export const errorBody = (of: {
  message: string
  code: string
  status: number
  details?: ErrorDetails | undefined
}): ErrorBody => ({
  success: false,
  error: of.message,
  code: of.code,
  status: of.status,
  ...(of.details ? { details: of.details } : {}),
})

/** Makes an error of the catalogue: `throw fail('SESSION_NOT_FOUND')`. */
export const fail = (code: ErrorCode, details?: ErrorDetails, says?: string): AppError =>
  new AppError(code, details, says)

/** The row of a code, for documents. */
export const errorRow = (code: ErrorCode): Row => CATALOGUE[code]
