/**
 * Notices a session that sends suspiciously much, as one does whose key was stolen: told once for an hour of the clock, in
 * the commit of the message that is one too many. So what is on disk says by itself whether it was told, and a restart
 * neither forgets nor doubles it.
 */
import type { Fact } from '../../domain/changes'
import type { Messages } from '../../domain/message'
import type { Session } from '../../domain/session'
import { type Clock, isoTime } from '../../lib/clock'
import { sessionEvent } from '../payload'

const HOUR = 3_600_000

export interface VolumeWatch {
  /** A message was sent at this moment (ms): what goes into its commit, and how to take it back when that fails. */
  sent(at: number): { facts: readonly Fact[]; takeBack(): void }
}

const NOTHING = { facts: [], takeBack: () => undefined }

/** `limit`: messages of an hour that are no matter; 0 = never tells anything. */
export function createVolumeWatch(parts: {
  session: () => Session
  messages: Pick<Messages, 'sentSince'>
  clock: Clock
  limit: number
}): VolumeWatch {
  const { session, messages, limit } = parts
  let hour: { from: number; count: number; isTold: boolean } | null = null

  const hourOf = (at: number) => {
    const from = Math.floor(at / HOUR) * HOUR
    if (hour?.from === from) return hour
    // A later hour begins with nothing; of another one, only the disk knows what has happened in it.
    const count = hour && from > hour.from ? 0 : messages.sentSince(session().id, from, limit + 1)
    hour = { from, count, isTold: count > limit }
    return hour
  }

  const alert = (from: number, count: number): Fact => ({
    change: { kind: 'told' },
    events: [
      sessionEvent(session(), 'session.volume_alert', {
        count,
        limit,
        from: isoTime(from),
        until: isoTime(from + HOUR),
        action: 'If this is not your doing, stop the session and replace the API keys',
      }),
    ],
  })

  return {
    sent(at) {
      if (limit === 0) return NOTHING
      const now = hourOf(at)
      now.count += 1
      const tells = !now.isTold && now.count > limit
      if (tells) now.isTold = true
      return {
        facts: tells ? [alert(now.from, now.count)] : [],
        takeBack() {
          now.count -= 1
          if (tells) now.isTold = false
        },
      }
    },
  }
}
