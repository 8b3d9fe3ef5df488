/** Ends of a connection that we bring about ourselves: it does not come through, or our disk does not go along. */
import type { CloseReason } from '../domain/close-reasons'
import { AppError } from '../domain/errors'
import type { Session } from '../domain/session'
import { type Decision, decide, type LifeContext } from '../domain/session-life'
import { type Stall, stallRow } from '../domain/stalls'
import type { Log } from '../lib/log'
import type { Intake } from './intake'
import type { Line } from './line'

export type FailuresParts = {
  session: () => Session
  isLive: () => boolean
  line: Line
  intake: Intake
  context: () => LifeContext
  /** Commits a decision and acts on it, whether the disk takes it or not. */
  carryOut: (decision: Decision) => Promise<void>
  log: Log
}

export interface Failures {
  /** Ends the connection of this generation for a reason of our own; goes on even when that cannot be written. */
  endBy(generation: number, reason: CloseReason, detail: string): Promise<void>
  /** Something of the connected session does not move: it connects anew. */
  stalled(generation: number, stall: Stall): Promise<void>
  /** The connection has not come through in time. */
  overdue(generation: number): Promise<void>
  /**
   * The disk has refused what came: the connection is closed so that nothing more is acknowledged, and what is lost from
   * memory comes again from the inbox.
   */
  storageFailed(error: unknown): Promise<void>
}

const isStorageTrouble = (error: unknown) => error instanceof AppError && error.code === 'STORAGE_UNAVAILABLE'

export function createFailures(parts: FailuresParts): Failures {
  const { session, isLive, line, intake, log } = parts

  const failures: Failures = {
    async endBy(generation, reason, detail) {
      if (generation !== line.generation || !isLive()) return
      if (reason === 'connection_lost' && session().state.status === 'connected') return
      const why = { reason, code: null, detail }
      const outcome = decide(session(), { on: 'closed', why }, parts.context())
      if (typeof outcome !== 'string') return parts.carryOut(outcome)
      await line.close()
      intake.drop()
    },
    async stalled(generation, stall) {
      if (generation !== line.generation || !isLive()) return
      const why = {
        reason: 'connection_lost' as const,
        code: null,
        detail: stallRow(stall.reason).says,
        stall,
      }
      const outcome = decide(session(), { on: 'closed', why }, parts.context())
      if (typeof outcome !== 'string') await parts.carryOut(outcome)
    },
    overdue(generation) {
      const { state, credentials } = session()
      return state.status === 'qr_generated' && credentials === 'none'
        ? failures.endBy(generation, 'qr_timeout', 'The last code has run out and no other came')
        : failures.endBy(generation, 'connection_lost', 'WhatsApp did not let the connection through in time')
    },
    async storageFailed(error) {
      log.error('Reports could not be stored; the connection is closed', { error: String(error) })
      intake.drop()
      if (!isStorageTrouble(error)) log.error('The storage has failed in an unknown way')
      if (isLive())
        await failures.endBy(line.generation, 'storage_failed', 'The storage does not accept writes')
    },
  }
  return failures
}
