/** What became of deliveries, and what their owner may do with them: lists, counts, replays, and emptying the queue. */
import type { Database } from 'bun:sqlite'
import type { EventName } from '../domain/events'
import type { SessionId, TenantId } from '../domain/ids'
import type { Entry } from '../domain/journal'
import {
  COUNTED,
  type Delivery,
  type DeliveryQuery,
  type DeliveryState,
  type Endpoint,
  type Webhooks,
} from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Endpoints, StoredEndpoint } from './endpoints'
import { PARKED } from './endpoints'
import { EVENT_CODE, eventOf } from './event-codes'
import type { GroupCommit } from './group-commit'
import type { StoredJournal } from './journal'
import type { Numbers } from './numbers'

/** Journal entries that one transaction of a replay looks at, and rows that one of an emptying removes. */
const PAGE = 1_000

const ID = /^dlv_(\d{1,15})_(\d{1,15})$/
/** An endpoint gets each event once, so the two name a delivery. */
export const deliveryId = (endpoint: number, seq: number): string => `dlv_${endpoint}_${seq}`

/** States as rows have them. */
const WHERE: Record<DeliveryState, string> = {
  pending: "(state = 'open' AND attempts = 0)",
  retrying: "(state = 'aside' OR (state = 'open' AND attempts > 0))",
  delivered: "state = 'done'",
  failed: "state = 'dead'",
}

type Row = {
  endpoint: number
  session: number
  seq: number
  state: 'open' | 'aside' | 'done' | 'dead'
  attempts: number
  response: number | null
  says: string | null
  duration: number | null
  created_at: number
  finished_at: number | null
  event: number | null
  due_at: number | null
}

type Key = { endpoint: number; session: number; seq: number; at: number; event: number | null }

const stateOf = (row: Row): DeliveryState => {
  if (row.state === 'done') return 'delivered'
  if (row.state === 'dead') return 'failed'
  return row.attempts > 0 || row.state === 'aside' ? 'retrying' : 'pending'
}

export function createDeliveryLog(parts: {
  database: Database
  writer: GroupCommit
  numbers: Numbers
  endpoints: Endpoints
  journal: StoredJournal
  clock: Clock
  wants(endpoint: Endpoint, entry: Pick<Entry, 'event' | 'json'>): boolean
  /** Up to where the journal has been turned into deliveries. */
  position(): number
  /** Deliveries of a tenant that are under way. */
  processing(tenantId: TenantId): number
  advance(one: StoredEndpoint | null, endpoint: number, session: number, aside: boolean): void
}): Pick<
  Webhooks,
  'queueCounts' | 'deliveries' | 'delivery' | 'replay' | 'replaySince' | 'clearQueue' | 'stats'
> {
  const { database, writer, numbers, endpoints, journal, clock } = parts
  type Sum = { n: number }
  const openOf = database.prepare<Sum, [number]>(
    "SELECT count(*) AS n FROM deliveries WHERE endpoint = ? AND state = 'open'",
  )
  const asideOf = database.prepare<Sum & { tried: number }, [number]>(
    "SELECT count(*) AS n, coalesce(sum(attempts > 0), 0) AS tried FROM deliveries WHERE endpoint = ? AND state = 'aside'",
  )
  const triedHeadsOf = database.prepare<Sum, [number]>(
    `SELECT count(*) AS n FROM lanes WHERE endpoint = ? AND aside = 0 AND
       (SELECT attempts FROM deliveries d WHERE d.endpoint = lanes.endpoint AND d.session = lanes.session
        AND state = 'open' ORDER BY seq LIMIT 1) > 0`,
  )
  const deadOf = database.prepare<Sum, [string]>(
    `SELECT count(*) AS n FROM deliveries INDEXED BY deliveries_dead WHERE state = 'dead'
       AND +endpoint IN (SELECT number FROM endpoints WHERE tenant = ?)`,
  )
  const laneDue = database.prepare<{ due_at: number }, [number, number]>(
    'SELECT due_at FROM lanes WHERE endpoint = ? AND session = ? AND aside = 0',
  )
  const one = database.prepare<Row, [number, number, number]>(
    'SELECT * FROM deliveries WHERE endpoint = ? AND session = ? AND seq = ?',
  )
  const again = database.prepare<unknown, [Key]>(
    `INSERT INTO deliveries (endpoint, session, seq, state, attempts, created_at, event, due_at)
     VALUES ($endpoint, $session, $seq, 'aside', 0, $at, $event, $at)
     ON CONFLICT DO UPDATE SET state = 'aside', attempts = 0, response = NULL, says = NULL, duration = NULL,
       finished_at = NULL, due_at = excluded.due_at WHERE state <> 'open'`,
  )
  const dropSome = database.prepare<unknown, [number, string, number]>(
    'DELETE FROM deliveries WHERE session = ? AND state = ? LIMIT ?',
  )
  const dropLanes = database.prepare<unknown, [number]>('DELETE FROM lanes WHERE session = ?')
  const sums = database.prepare<
    { event: number; successful: number; failed: number; total_ms: number; last_at: number },
    [number]
  >('SELECT event, successful, failed, total_ms, last_at FROM webhook_counts WHERE session = ?')

  function nextAttemptAt(row: Row): number | null {
    if (row.state === 'aside') return row.due_at
    if (row.state !== 'open' || row.attempts === 0) return null
    const due = laneDue.get(row.endpoint, row.session)?.due_at ?? null
    return due === PARKED ? null : due
  }

  function viewOf(row: Row): Delivery {
    const entry = journal.read(row.seq - 1, 1)[0]
    const kept = entry?.seq === row.seq ? entry : null
    return {
      id: deliveryId(row.endpoint, row.seq),
      endpointId: endpoints.byNumber(row.endpoint)?.endpoint.id ?? '',
      sessionId: numbers.sessionId(row.session),
      eventId: kept?.id ?? null,
      event: kept?.event ?? (row.event === null ? null : eventOf(row.event)),
      state: stateOf(row),
      attempts: row.attempts,
      status: row.response,
      error: row.says,
      durationMs: row.duration,
      createdAt: row.created_at,
      finishedAt: row.finished_at,
      nextAttemptAt: nextAttemptAt(row),
    }
  }

  /** The condition of a list with its values, or null when nothing can fulfil it. */
  function condition(query: DeliveryQuery): { sql: string; values: (number | string)[] } | null {
    const session = numbers.session(query.sessionId)
    if (!session) return null
    const terms = ['session = ?']
    const values: (number | string)[] = [session.number]
    if (query.state) terms.push(WHERE[query.state])
    if (query.event !== undefined) {
      const code = EVENT_CODE[query.event as EventName]
      if (code === undefined) return null
      terms.push('event = ?')
      values.push(code)
    }
    if (query.endpointId !== undefined) {
      const endpoint = endpoints.byId(query.endpointId)
      if (!endpoint) return null
      terms.push('endpoint = ?')
      values.push(endpoint.number)
    }
    return { sql: terms.join(' AND '), values }
  }

  function parsed(id: string): { stored: StoredEndpoint; seq: number } | null {
    const match = ID.exec(id)
    const stored = match ? endpoints.byNumber(Number(match[1])) : null
    return stored && match ? { stored, seq: Number(match[2]) } : null
  }

  /** The endpoints that a session's events go to. */
  const meant = (sessionId: SessionId, tenantId: TenantId): StoredEndpoint[] =>
    [...endpoints.all()].filter(
      ({ endpoint, doomed }) =>
        !doomed &&
        endpoint.tenantId === tenantId &&
        (endpoint.sessionId === null || endpoint.sessionId === sessionId),
    )

  return {
    queueCounts(tenantId) {
      const found = { pending: 0, processing: parts.processing(tenantId), failed: 0, retrying: 0 }
      for (const { number, endpoint } of endpoints.all()) {
        if (endpoint.tenantId !== tenantId) continue
        const open = openOf.get(number)?.n ?? 0
        const tried = open === 0 ? 0 : (triedHeadsOf.get(number)?.n ?? 0)
        const aside = asideOf.get(number)
        found.pending += open - tried + (aside ? aside.n - aside.tried : 0)
        found.retrying += tried + (aside?.tried ?? 0)
      }
      found.failed = deadOf.get(tenantId)?.n ?? 0
      found.pending = Math.max(0, found.pending - found.processing)
      return found
    },
    deliveries(query) {
      const where = condition(query)
      if (!where) return { deliveries: [], total: 0, hasMore: false }
      const { limit, offset } = query
      const rows = database
        .query<Row, (number | string)[]>(
          `SELECT * FROM deliveries WHERE ${where.sql} ORDER BY seq DESC, endpoint DESC LIMIT ? OFFSET ?`,
        )
        .all(...where.values, limit + 1, offset)
      const total = database
        .query<Sum, (number | string)[]>(
          `SELECT count(*) AS n FROM (SELECT 1 FROM deliveries WHERE ${where.sql} LIMIT ?)`,
        )
        .get(...where.values, COUNTED)
      return {
        deliveries: rows.slice(0, limit).map(viewOf),
        total: total?.n ?? 0,
        hasMore: rows.length > limit,
      }
    },
    delivery(tenantId, id) {
      const named = parsed(id)
      if (!named || named.stored.doomed || named.stored.endpoint.tenantId !== tenantId) return null
      const entry = journal.read(named.seq - 1, 1)[0]
      const session = entry?.seq === named.seq ? numbers.session(entry.sessionId) : null
      const row = session ? one.get(named.stored.number, session.number, named.seq) : null
      return row ? viewOf(row) : null
    },
    async replay(delivery) {
      const named = parsed(delivery.id)
      if (!named) return false
      return await writer.run((tx) => {
        const entry = journal.read(named.seq - 1, 1)[0]
        if (entry?.seq !== named.seq) return false
        const session = numbers.ensureSessionNumber(tx, entry.sessionId)
        const { number } = named.stored
        again.run({
          endpoint: number,
          session,
          seq: named.seq,
          at: clock.now(),
          event: EVENT_CODE[entry.event],
        })
        parts.advance(endpoints.byNumber(number), number, session, true)
        return true
      })
    },
    async replaySince({ sessionId, after, endpointId }) {
      const upTo = parts.position()
      let sum = 0
      for (let at = after; at < upTo; ) {
        const page = journal.read(at, PAGE)
        const last = page.at(-1)?.seq ?? upTo
        const wanted = page.filter((entry) => entry.sessionId === sessionId && (entry.seq ?? 0) <= upTo)
        if (wanted.length > 0) {
          sum += await writer.run((tx) => {
            const session = numbers.ensureSessionNumber(tx, sessionId)
            const touched = new Set<StoredEndpoint>()
            let made = 0
            for (const entry of wanted) {
              for (const stored of meant(sessionId, entry.tenantId)) {
                if (endpointId !== undefined && stored.endpoint.id !== endpointId) continue
                if (!parts.wants(stored.endpoint, entry)) continue
                made += again.run({
                  endpoint: stored.number,
                  session,
                  seq: entry.seq ?? 0,
                  at: clock.now(),
                  event: EVENT_CODE[entry.event],
                }).changes
                touched.add(stored)
              }
            }
            for (const stored of touched) parts.advance(stored, stored.number, session, true)
            return made
          })
        } else await clock.sleep(0)
        at = last
      }
      return sum
    },
    async clearQueue(sessionId) {
      const session = numbers.session(sessionId)
      if (!session) return 0
      let sum = 0
      for (const state of ['open', 'aside']) {
        for (let gone = PAGE; gone === PAGE; sum += gone) {
          gone = await writer.run((tx) => {
            endpoints.takeBack(tx)
            return dropSome.run(session.number, state, PAGE).changes
          })
        }
      }
      // What came meanwhile keeps its lane.
      await writer.run(() => {
        dropLanes.run(session.number)
        for (const { number } of endpoints.all()) {
          const stored = endpoints.byNumber(number)
          parts.advance(stored, number, session.number, false)
          parts.advance(stored, number, session.number, true)
        }
      })
      return sum
    },
    stats(sessionId) {
      const session = numbers.session(sessionId)
      const found = {
        successful: 0,
        failed: 0,
        totalMs: 0,
        lastAt: null as number | null,
        byEvent: {} as Record<string, number>,
      }
      for (const row of session ? sums.all(session.number) : []) {
        found.successful += row.successful
        found.failed += row.failed
        found.totalMs += row.total_ms
        found.lastAt = Math.max(found.lastAt ?? 0, row.last_at)
        found.byEvent[eventOf(row.event)] = row.successful + row.failed
      }
      return found
    },
  }
}
