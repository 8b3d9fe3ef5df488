/** Everything about the session itself that can keep a request from being taken. */
import { fail } from '../../domain/errors'
import type { Jid } from '../../domain/ids'
import type { SendRequest } from '../../domain/sending'
import type { Session } from '../../domain/session'
import type { Connection } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import { comesBack, notConnected } from '../not-connected'
import type { RestrictionWatch } from '../restriction'
import type { SendQueue } from './queue'

export type AdmissionParts = {
  session: () => Session
  connection: () => Connection | null
  isGone: () => boolean
  restriction: RestrictionWatch
  queue: SendQueue
  clock: Clock
  /** Unacknowledged messages that the session may hold at the moment. */
  mostQueued: () => number
}

export interface Admission {
  /**
   * Takes room for so many messages; `leave` gives it back once they are in the queue or have failed. Throws
   * `SESSION_NOT_FOUND`, `SESSION_NOT_CONNECTED` (or the code of the reason) or `QUEUE_FULL`.
   */
  enter(count: number, queue: boolean): Session
  leave(count: number): void
  /** Throws `SESSION_RESTRICTED` for a chat that must not be opened at the moment the message could leave. */
  refuseNewChat(chat: Jid, request: Pick<SendRequest, 'sendAt'>): void
  /** Throws when the session was removed meanwhile. */
  stillThere(): void
}

export function createAdmission(parts: AdmissionParts): Admission {
  const { restriction, queue, clock, mostQueued } = parts
  let entering = 0

  const stillThere = () => {
    if (parts.isGone()) throw fail('SESSION_NOT_FOUND')
  }

  return {
    enter(count, mayWait) {
      stillThere()
      const session = parts.session()
      if (parts.connection() === null && !(mayWait && comesBack(session))) throw notConnected(session)
      const waiting = queue.size + entering
      const limit = mostQueued()
      if (waiting + count > limit) throw fail('QUEUE_FULL', { waiting, limit })
      entering += count
      return session
    },
    leave(count) {
      entering -= count
    },
    refuseNewChat(chat, { sendAt }) {
      if (!restriction.isInDoubt || !restriction.forbids(chat)) return
      const until = parts.session().restriction?.until ?? null
      if (sendAt !== undefined && until !== null && sendAt >= until && sendAt > clock.now()) return
      throw restriction.refused()
    },
    stillThere,
  }
}
