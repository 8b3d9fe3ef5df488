/** Why a session cannot send, told as the error that its caller gets. */
import { closeRow } from '../domain/close-reasons'
import { type AppError, fail } from '../domain/errors'
import type { Session } from '../domain/session'
import { actionFor } from '../domain/session-life'

function whatToDo(session: Session): string {
  const { state } = session
  switch (state.status) {
    case 'inactive':
      return 'Start the session first'
    case 'connecting':
      return 'Wait until the session is connected'
    case 'qr_generated':
      return 'Scan the QR code first'
    case 'connected':
      return 'Ask again in a moment'
    case 'disconnected':
      // Also while a retry is planned: a restart brings it forward, and the manual says so.
      return actionFor(state.why.reason, null)
  }
}

/** `SESSION_NOT_CONNECTED`, or the code of the reason that ended the connection for good (`AUTH_EXPIRED`, …). */
export function notConnected(session: Session): AppError {
  const { state } = session
  const ended = state.status === 'disconnected' ? state.why : null
  return fail(ended ? closeRow(ended.reason).code : 'SESSION_NOT_CONNECTED', {
    currentStatus: state.status,
    action: whatToDo(session),
    ...(ended ? { reason: ended.reason } : {}),
  })
}

/** Whether a message may wait for this session: it is connected, or it comes back by itself. */
export function comesBack({ state, credentials }: Session): boolean {
  if (credentials !== 'linked') return false
  if (state.status === 'disconnected') return state.retryAt !== null
  return state.status !== 'inactive'
}
