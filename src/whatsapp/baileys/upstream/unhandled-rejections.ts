/**
 * Upstream defect: promises that Baileys starts and nobody awaits (queries of a dead socket, event listeners that are
 * async) end the whole process when they reject, and with it every other session.
 *
 * Repair: the process keeps serving; each such rejection is logged and counted. Frames, the worst offender, are caught
 * at their own socket (`frames.ts`) before they get here.
 *
 * Upstream repaired it when no rejection is counted over a week of operation.
 */
import type { Log } from '../../../lib/log'

export type RejectionGuard = {
  /** Rejections survived so far. */
  readonly survived: number
  undo(): void
}

/** Keeps the process alive through unhandled rejections; process-wide. */
export function surviveRejections(log: Log): RejectionGuard {
  let survived = 0
  const onRejection = (reason: unknown) => {
    survived += 1
    log.error('A promise failed unnoticed; serving on', describe(reason))
  }
  process.on('unhandledRejection', onRejection)
  return {
    get survived() {
      return survived
    },
    undo() {
      process.off('unhandledRejection', onRejection)
    },
  }
}

/** What may be logged of an unknown error: its name, its code and its sentence without numbers that could be phones. */
export function describe(reason: unknown): { error: string; detail: string; code: number | null } {
  if (!(reason instanceof Error)) return { error: typeof reason, detail: '', code: null }
  const output = 'output' in reason ? (reason.output as { statusCode?: number } | undefined) : undefined
  return { error: reason.name, detail: withoutNumbers(reason.message), code: output?.statusCode ?? null }
}

/** Digits that could be a phone number, a LID or a message id, and long base64, are blotted out. */
export const withoutNumbers = (text: string): string =>
  text
    .replace(/[A-Za-z0-9+/=_-]{40,}/g, '…')
    .replace(/\d{5,}/g, '#')
    .slice(0, 300)
