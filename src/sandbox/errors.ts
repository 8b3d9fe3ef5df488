/** What the sandbox's control side says no with. */

/** An error with the code, HTTP status and sentence that the control API answers; callers map it to their own shape. */
export class SandboxError extends Error {
  constructor(
    readonly code: SandboxErrorCode,
    readonly status: number,
    message: string,
    readonly details?: Record<string, unknown>,
  ) {
    super(message)
    this.name = 'SandboxError'
  }
}

/** Codes of the service's own catalogue where it has one for the case. */
export type SandboxErrorCode =
  | 'INVALID_PHONE_NUMBER'
  | 'NUMBER_NOT_ON_WHATSAPP'
  | 'MESSAGE_NOT_FOUND'
  | 'MESSAGE_REJECTED'
  | 'MEDIA_DOWNLOAD_FAILED'
  | 'SESSION_NOT_FOUND'
  | 'PHONE_NOT_FOUND'
  | 'PHONE_EXISTS'
  | 'PAIRING_FAILED'
  | 'DEVICE_NOT_FOUND'
  | 'FAULT_NOT_FOUND'
  | 'CHANNEL_NOT_FOUND'
  | 'SANDBOX_REFUSED'
