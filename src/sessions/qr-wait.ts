/** Waiting for the code on show, and asking for a pairing code instead. */
import { closeRow } from '../domain/close-reasons'
import { type AppError, fail } from '../domain/errors'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import type { LiveSession } from './live-session'
import { notConnected } from './not-connected'

export type ShownCode = { text: string; expiresAt: number }

/** The code on show, null when waiting for one makes sense, or the error of a session that will not show one. */
function codeOf(session: Session, now: number): ShownCode | AppError | null {
  const { state } = session
  switch (state.status) {
    case 'inactive':
      return fail('SESSION_NOT_STARTED')
    case 'connected':
      return fail('SESSION_ALREADY_CONNECTED')
    case 'connecting':
      return null
    case 'qr_generated':
      return state.expiresAt > now ? { text: state.qr, expiresAt: state.expiresAt } : null
    case 'disconnected': {
      if (state.retryAt !== null) return null
      const { reason } = state.why
      if (reason === 'qr_timeout' || reason === 'process_restarted') return fail('QR_CODE_EXPIRED')
      const { code, action } = closeRow(reason)
      return code === 'SESSION_NOT_CONNECTED' ? notConnected(session) : fail(code, { action, reason })
    }
  }
}

/** Resolves with a code that is current at that moment; rejects like `Supervisor.waitForQr`. */
export async function waitForCode(
  live: LiveSession,
  clock: Clock,
  waitMs: number,
  signal?: AbortSignal,
): Promise<ShownCode> {
  const first = codeOf(live.view(), clock.now())
  if (first instanceof Error) throw first
  if (first) return first
  if (waitMs <= 0) throw fail('QR_NOT_READY')
  signal?.throwIfAborted()
  const { promise, resolve, reject } = Promise.withResolvers<ShownCode>()
  const leave = live.onChange(() => {
    if (live.ended) return reject(fail(live.ended))
    const code = codeOf(live.view(), clock.now())
    if (code instanceof Error) reject(code)
    else if (code) resolve(code)
  })
  const cancel = clock.after(waitMs, () => reject(fail('QR_NOT_READY')))
  const onAbort = () => reject(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  try {
    return await promise
  } finally {
    leave()
    cancel()
    signal?.removeEventListener('abort', onAbort)
  }
}
