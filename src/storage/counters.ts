/** Numbers of messages, written in the transaction of the message itself, so that they are exact after any crash. */
import type { Database } from 'bun:sqlite'
import type { MessageType } from '../domain/content'
import type { MessageStatus } from '../domain/message'
import type { Totals } from './session-totals'

/** What one message counts as. */
export type Counted = {
  session: number
  fromMe: boolean
  type: MessageType
  status: MessageStatus
  /** Its time (ms); it counts for that UTC day. */
  timestamp: number
  /** Handed over by the phone when it was linked: counted for lists, in no statistics. */
  history: boolean
}

const DAY = 86_400_000
export const dayOf = (ms: number): number => Math.floor(ms / DAY)
/** `2026-01-31` */
export const dayName = (day: number): string => new Date(day * DAY).toISOString().slice(0, 10)

type Bucket = 'sent' | 'received' | 'failed' | null

/** Into which of the manual's three numbers a message falls; one that is still queued falls into none. */
export function bucketOf(fromMe: boolean, status: MessageStatus): Bucket {
  if (!fromMe) return 'received'
  if (status === 'failed') return 'failed'
  return status === 'queued' ? null : 'sent'
}

type CountKey = [session: number, day: number, fromMe: number, type: string, status: string, history: number]
type Total = { sent: number; received: number; failed: number }

/** Gathers changes and writes them once per commit: a batch of many messages touches few counters. */
export interface Tally {
  add(message: Counted, by: 1 | -1): void
  write(): void
}

export interface Counters {
  tally(): Tally
  forget(session: number): void
}

export function createCounters(database: Database, totals: Pick<Totals, 'changed'>): Counters {
  const count = database.prepare<unknown, [...CountKey, number]>(
    'INSERT INTO message_counts (session, day, from_me, type, status, history, count) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count',
  )
  const total = database.prepare<unknown, [number, number, number, number]>(
    'INSERT INTO message_totals (session, sent, received, failed) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sent = sent + excluded.sent, received = received + excluded.received, failed = failed + excluded.failed',
  )
  const dropCounts = database.prepare<unknown, [number]>('DELETE FROM message_counts WHERE session = ?')
  const dropTotals = database.prepare<unknown, [number]>('DELETE FROM message_totals WHERE session = ?')
  return {
    tally() {
      const counts = new Map<string, { key: CountKey; by: number }>()
      const sums = new Map<number, Total>()
      return {
        add(message, by) {
          const { session, fromMe, type, status, history } = message
          const key: CountKey = [
            session,
            dayOf(message.timestamp),
            fromMe ? 1 : 0,
            type,
            status,
            history ? 1 : 0,
          ]
          const name = key.join()
          const seen = counts.get(name)
          if (seen) seen.by += by
          else counts.set(name, { key, by })
          const bucket = history ? null : bucketOf(fromMe, status)
          if (!bucket) return
          const sum = sums.get(session) ?? { sent: 0, received: 0, failed: 0 }
          sum[bucket] += by
          sums.set(session, sum)
        },
        write() {
          for (const { key, by } of counts.values()) {
            totals.changed(key[0])
            if (by !== 0) count.run(...key, by)
          }
          for (const [session, { sent, received, failed }] of sums) {
            if (sent !== 0 || received !== 0 || failed !== 0) total.run(session, sent, received, failed)
          }
        },
      }
    },
    forget(session) {
      totals.changed(session)
      dropCounts.run(session)
      dropTotals.run(session)
    },
  }
}
