/** Numbers of messages: whole days come from counters, the edges and the last 24 hours from the rows themselves. */
import type { Database } from 'bun:sqlite'
import type { MessageType } from '../domain/content'
import type { MessageStats, MessageStatus, Messages } from '../domain/message'
import { bucketOf, dayName, dayOf } from './counters'
import type { Numbers } from './numbers'

type CountRow = { day: number; from_me: number; type: MessageType; status: MessageStatus; n: number }

const DAY = 86_400_000
/** Larger than any time stamp. */
const END = Number.MAX_SAFE_INTEGER

export function createMessageStats(
  database: Database,
  numbers: Numbers,
): Pick<Messages, 'stats' | 'totalsSince'> {
  const days = database.prepare<CountRow, [number, number, number]>(
    'SELECT day, from_me, type, status, count AS n FROM message_counts WHERE session = ? AND day >= ? AND day <= ? AND count > 0',
  )
  const rows = database.prepare<CountRow, [number, number, number]>(
    `SELECT timestamp / ${DAY} AS day, from_me, type, status, count(*) AS n FROM messages
     WHERE session = ? AND timestamp >= ? AND timestamp <= ? GROUP BY 1, 2, 3, 4`,
  )
  const ack = database.prepare<{ average: number | null }, [number, number, number]>(
    `SELECT avg(acked_at - timestamp) AS average FROM messages
     WHERE session = ? AND timestamp >= ? AND timestamp <= ? AND from_me = 1 AND (flags & 1) = 1 AND acked_at IS NOT NULL`,
  )
  const since = database.prepare<{ from_me: number; status: MessageStatus; n: number }, [number, number]>(
    'SELECT from_me, status, count(*) AS n FROM messages WHERE session = ? AND timestamp >= ? GROUP BY 1, 2',
  )
  const sessionsOf = database.prepare<{ number: number }, [string | null]>(
    'SELECT number FROM sessions WHERE ?1 IS NULL OR tenant = ?1',
  )

  /** Counts of a span: counters for the days that lie in it whole, rows for the rest. */
  function countsOf(session: number, from: number, to: number): CountRow[] {
    const firstWhole = dayOf(from + DAY - 1)
    const lastWhole = to >= END ? dayOf(END) : dayOf(to + 1) - 1
    if (firstWhole > lastWhole) return rows.all(session, from, to)
    const before = from < firstWhole * DAY ? rows.all(session, from, firstWhole * DAY - 1) : []
    const after = to >= END ? [] : rows.all(session, (lastWhole + 1) * DAY, to)
    return [...before, ...days.all(session, firstWhole, lastWhole), ...after]
  }

  const sumOf = (counts: readonly { from_me: number; status: MessageStatus; n: number }[]) => {
    const sums = { sent: 0, received: 0, failed: 0 }
    for (const { from_me, status, n } of counts) {
      const bucket = bucketOf(from_me === 1, status)
      if (bucket) sums[bucket] += n
    }
    return sums
  }

  return {
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
      for (const { day, from_me, type, status, n } of counts) {
        stats.byType[type] = (stats.byType[type] ?? 0) + n
        stats.byStatus[status] = (stats.byStatus[status] ?? 0) + n
        const bucket = bucketOf(from_me === 1, status)
        if (bucket === null || bucket === 'failed') continue
        const name = dayName(day)
        const sums = stats.byDay[name] ?? { sent: 0, received: 0 }
        sums[bucket] += n
        stats.byDay[name] = sums
      }
      const asked = span.from !== undefined || span.to !== undefined
      const recentFrom = asked ? from : span.now - DAY
      const recent = asked ? stats : sumOf(rows.all(session.number, recentFrom, END))
      const average = ack.get(session.number, recentFrom, to)?.average ?? null
      stats.recent = {
        sent: recent.sent,
        received: recent.received,
        failed: recent.failed,
        averageAckMs: average,
      }
      return stats
    },
    totalsSince(tenantId, moment) {
      let sent = 0
      let received = 0
      for (const { number } of sessionsOf.all(tenantId)) {
        const sums = sumOf(since.all(number, moment))
        sent += sums.sent
        received += sums.received
      }
      return { sent, received }
    },
  }
}
