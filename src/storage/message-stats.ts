/** Numbers of messages; what the phone has handed over as history is in none of them. */
import type { Database } from 'bun:sqlite'
import type { MessageStats, Messages } from '../domain/message'
import { FIRST_ACTION } from './codes'
import { bucketOf, dayName } from './counters'
import { type Counts, type CountsOf, END } from './message-counts'
import { FLAG } from './message-rows'
import type { Numbers } from './numbers'

const DAY = 86_400_000

export function createMessageStats(parts: {
  database: Database
  numbers: Numbers
  countsOf: CountsOf
}): Pick<Messages, 'stats' | 'totalsSince' | 'sentSince'> {
  const { database, numbers } = parts
  const ack = database.prepare<{ average: number | null }, [number, number, number]>(
    `SELECT avg(acked_at - timestamp) AS average FROM messages
     WHERE session = ? AND timestamp >= ? AND timestamp <= ? AND type < ${FIRST_ACTION}
     AND from_me = 1 AND flags & ${FLAG.viaApi} <> 0 AND acked_at IS NOT NULL`,
  )
  // A message waits a day at most unless its sender said otherwise, so what is older is not looked at. Newest first: a
  // session that has sent too much is known after that many rows.
  const sentSince = database.prepare<{ n: number }, [number, number, number, number]>(
    `SELECT count(*) AS n FROM (SELECT 1 FROM messages WHERE session = ? AND timestamp >= ? AND type < ${FIRST_ACTION}
     AND from_me = 1 AND flags & ${FLAG.viaApi} <> 0 AND acked_at >= ? ORDER BY timestamp DESC LIMIT ?)`,
  )
  const sessionsOf = database.prepare<{ number: number }, [string | null, string | null]>(
    'SELECT number FROM sessions WHERE (?1 IS NULL OR tenant = ?1) AND (?2 IS NULL OR id IN (SELECT value FROM json_each(?2)))',
  )

  const countsOf = (session: number, from: number, to: number): Counts[] =>
    parts.countsOf(session, from, to).filter(({ history }) => !history)

  function sumOf(counts: readonly Counts[]): { sent: number; received: number; failed: number } {
    const sums = { sent: 0, received: 0, failed: 0 }
    for (const { fromMe, status, n } of counts) {
      const bucket = bucketOf(fromMe, status)
      if (bucket) sums[bucket] += n
    }
    return sums
  }

  return {
    sentSince(sessionId, since, most) {
      const session = numbers.session(sessionId)
      return session ? (sentSince.get(session.number, since - DAY, since, most)?.n ?? 0) : 0
    },
    stats(sessionId, span) {
      const session = numbers.session(sessionId)
      const stats: MessageStats = {
        sent: 0,
        received: 0,
        failed: 0,
        byType: {},
        byDay: {},
        byStatus: {},
        recent: { sent: 0, received: 0, failed: 0, averageAckMs: null },
      }
      if (!session) return stats
      const from = span.from ?? 0
      const to = span.to ?? END
      const counts = countsOf(session.number, from, to)
      Object.assign(stats, sumOf(counts))
      for (const { day, fromMe, type, status, n } of counts) {
        stats.byType[type] = (stats.byType[type] ?? 0) + n
        stats.byStatus[status] = (stats.byStatus[status] ?? 0) + n
        const bucket = bucketOf(fromMe, status)
        if (bucket === null || bucket === 'failed') continue
        const name = dayName(day)
        const sums = stats.byDay[name] ?? { sent: 0, received: 0 }
        sums[bucket] += n
        stats.byDay[name] = sums
      }
      const asked = span.from !== undefined || span.to !== undefined
      const recentFrom = asked ? from : span.now - DAY
      const recent = asked ? stats : sumOf(countsOf(session.number, recentFrom, END))
      stats.recent = {
        sent: recent.sent,
        received: recent.received,
        failed: recent.failed,
        averageAckMs: ack.get(session.number, recentFrom, to)?.average ?? null,
      }
      return stats
    },
    totalsSince(tenantId, moment, only = null) {
      let sent = 0
      let received = 0
      for (const { number } of sessionsOf.all(tenantId, only && JSON.stringify(only))) {
        const sums = sumOf(countsOf(number, moment, END))
        sent += sums.sent
        received += sums.received
      }
      return { sent, received }
    },
  }
}
