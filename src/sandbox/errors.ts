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

export type SandboxErrorCode =
  | 'SANDBOX_PHONE_NOT_FOUND'
  | 'SANDBOX_PHONE_EXISTS'
  | 'SANDBOX_PAIRING_FAILED'
  | 'SANDBOX_NOT_ON_WHATSAPP'
  | 'SANDBOX_MESSAGE_NOT_FOUND'
  | 'SANDBOX_MESSAGE_REFUSED'
  | 'SANDBOX_DEVICE_NOT_FOUND'
  | 'SANDBOX_SESSION_NOT_FOUND'
  | 'SANDBOX_REFUSED'
