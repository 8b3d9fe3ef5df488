/**
 * What WhatsApp does not let the number do for a while. It says so in two ways that know nothing of each other: a lock on
 * starting chats, and a cap on new chats per cycle.
 */
import type { BaileysEventMap, ReachoutTimelockState } from '@whiskeysockets/baileys'
import type { Restriction } from '../../domain/session'
import type { Clock } from '../../lib/clock'

/** WhatsApp is asked no more often than this. */
export const ASK_AGAIN_MS = 60_000

type CapInfo = BaileysEventMap['message-capping.update']

export interface Restrictions {
  /** Asks WhatsApp; callers within a minute share one answer. */
  ask(): Promise<Restriction | null>
  /** WhatsApp has told of the lock; the answer is what is in force now. */
  locked(state: ReachoutTimelockState): Restriction | null
  /** WhatsApp has told of the cap. */
  capped(info: CapInfo): Restriction | null
}

export type RestrictionParts = {
  fetchLock: () => Promise<ReachoutTimelockState>
  clock: Clock
}

export function createRestrictions({ fetchLock, clock }: RestrictionParts): Restrictions {
  let lock: Restriction | null = null
  let cap: Restriction | null = null
  let asked: { at: number; answer: Promise<Restriction | null> } | null = null

  const present = (): Restriction | null => {
    const running = (one: Restriction | null) =>
      one && (one.until === null || one.until > clock.now()) ? one : null
    return running(lock) ?? running(cap)
  }

  function locked(state: ReachoutTimelockState): Restriction | null {
    lock = state.isActive ? restriction(state.timeEnforcementEnds?.getTime(), state.enforcementType) : null
    return present()
  }

  const restriction = (until: number | null | undefined, type: string | undefined): Restriction => ({
    until: until !== undefined && Number.isFinite(until) ? until : null,
    type: type ?? 'DEFAULT',
    since: clock.now(),
  })

  return {
    ask() {
      if (asked === null || clock.monotonic() - asked.at >= ASK_AGAIN_MS) {
        asked = { at: clock.monotonic(), answer: fetchLock().then(locked) }
        asked.answer.catch(() => undefined)
      }
      return asked.answer
    },
    locked,
    capped(info) {
      const isCapped = info.capping_status === CAPPED
      cap = isCapped ? restriction(momentOf(info.cycle_end_timestamp), 'NEW_CHAT_MESSAGES_CAPPED') : null
      return present()
    },
  }
}

const CAPPED = 'CAPPED'

/** Seconds or milliseconds as text, or a date. */
function momentOf(text: string | undefined): number | null {
  if (text === undefined || text === '') return null
  const number = Number(text)
  if (Number.isFinite(number)) return number < 1e11 ? number * 1000 : number
  const date = Date.parse(text)
  return Number.isFinite(date) ? date : null
}
