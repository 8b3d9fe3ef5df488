/**
 * The delivery queue: journal entries become deliveries, one lane for each endpoint and session.
 *
 * A lane's `due_at` is that of its oldest delivery, so finding what is due costs the same however long a dead
 * endpoint's backlog is. Nothing is claimed on disk: after a crash a delivery under way is simply due again.
 */
import type { Database } from 'bun:sqlite'
import { eventFilter } from '../domain/events'
import type { Entry } from '../domain/journal'
import { type DueDelivery, type Endpoint, laneOf, type Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import { faultPoint } from '../lib/fault-points'
import type { Log } from '../lib/log'
import { type Endpoints, PARKED, type StoredEndpoint } from './endpoints'
import type { GroupCommit } from './group-commit'
import type { StoredJournal } from './journal'
import type { Meta } from './meta'
import type { Numbers } from './numbers'

/** Journal entries that one `fanOut` reads at most. */
const PAGE = 1_000

type Lane = { endpoint: number; session: number; due_at: number }

export function createWebhooks(parts: {
  database: Database
  writer: GroupCommit
  meta: Meta
  numbers: Numbers
  endpoints: Endpoints
  journal: StoredJournal
  clock: Clock
  log: Log
}): Webhooks {
  const { database, writer, meta, numbers, endpoints, journal, clock, log } = parts
  const add = database.prepare<unknown, [number, number, number, number]>(
    "INSERT INTO deliveries (endpoint, session, seq, state, attempts, created_at) VALUES (?, ?, ?, 'open', 0, ?) ON CONFLICT DO NOTHING",
  )
  const addLane = database.prepare<unknown, [number, number, number]>(
    'INSERT INTO lanes (endpoint, session, due_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING',
  )
  const dueLanes = database.prepare<Lane, [number, number]>(
    'SELECT endpoint, session, due_at FROM lanes WHERE due_at <= ? ORDER BY due_at LIMIT ?',
  )
  const nextDue = database.prepare<{ at: number | null }, [number]>(
    'SELECT min(due_at) AS at FROM lanes WHERE due_at < ?',
  )
  type Head = { seq: number; attempts: number }
  const headOf = database.prepare<Head, [number, number]>(
    "SELECT seq, attempts FROM deliveries WHERE endpoint = ? AND session = ? AND state = 'open' ORDER BY seq LIMIT 1",
  )
  const setLane = database.prepare<unknown, [number, number, number]>(
    'UPDATE lanes SET due_at = ? WHERE endpoint = ? AND session = ?',
  )
  const dropLane = database.prepare<unknown, [number, number]>(
    'DELETE FROM lanes WHERE endpoint = ? AND session = ?',
  )
  const dropDelivery = database.prepare<unknown, [number, number, number]>(
    'DELETE FROM deliveries WHERE endpoint = ? AND session = ? AND seq = ?',
  )
  const noteTry = database.prepare<
    unknown,
    [string, number, number | null, string | null, number, number | null, number, number, number]
  >(
    "UPDATE deliveries SET state = ?, attempts = ?, response = ?, says = ?, duration = ?, finished_at = ? WHERE endpoint = ? AND session = ? AND seq = ? AND state = 'open'",
  )
  const counts = database.prepare<{ state: string; tried: number; n: number }, [string]>(
    `SELECT state, attempts > 0 AS tried, count(*) AS n FROM deliveries
     WHERE state <> 'done' AND endpoint IN (SELECT number FROM endpoints WHERE tenant = ?) GROUP BY 1, 2`,
  )
  const tenantOf = database.prepare<{ tenant: string }, [string]>('SELECT tenant FROM sessions WHERE id = ?')

  let position = Number(meta.get('webhook_position') ?? 0)
  let storedPosition = position
  /** Deliveries handed out and not yet recorded: lane → tenant. */
  const handedOut = new Map<string, string>()

  const filters = new WeakMap<Endpoint, (event: string) => boolean>()
  function wants(endpoint: Endpoint, event: string): boolean {
    const filter = filters.get(endpoint) ?? eventFilter(endpoint.events)
    filters.set(endpoint, filter)
    return filter(event)
  }

  function meant(one: StoredEndpoint, entry: Entry): boolean {
    const { endpoint } = one
    if (endpoint.tenantId !== entry.tenantId || !endpoint.isActive) return false
    if (endpoint.sessionId !== null && endpoint.sessionId !== entry.sessionId) return false
    if (one.doomed && entry.event !== 'session.deleted') return false
    return (entry.seq ?? 0) > one.since && wants(endpoint, entry.event)
  }

  /** Goes on with the next delivery of a lane, or ends it. */
  function advance(one: StoredEndpoint | null, endpoint: number, session: number): void {
    if (!headOf.get(endpoint, session)) dropLane.run(endpoint, session)
    else setLane.run(one?.endpoint.isActive ? clock.now() : PARKED, endpoint, session)
  }

  /** A delivery whose endpoint or event has been removed meanwhile. */
  function discard(lane: Lane, seq: number | null): void {
    writer
      .run(() => {
        if (seq === null) dropLane.run(lane.endpoint, lane.session)
        else {
          dropDelivery.run(lane.endpoint, lane.session, seq)
          advance(endpoints.byNumber(lane.endpoint), lane.endpoint, lane.session)
        }
      })
      .catch((error) => log.error('A void webhook delivery cannot be removed', { error: String(error) }))
  }

  function deliveryOf(lane: Lane): DueDelivery | null {
    const one = endpoints.byNumber(lane.endpoint)
    const head = headOf.get(lane.endpoint, lane.session)
    if (!one || !head) {
      discard(lane, head?.seq ?? null)
      return null
    }
    const entry = journal.read(head.seq - 1, 1)[0]
    if (entry?.seq !== head.seq) {
      discard(lane, head.seq)
      return null
    }
    return {
      id: `dlv_${lane.endpoint}_${head.seq}`,
      endpoint: one.endpoint,
      sessionId: entry.sessionId,
      seq: head.seq,
      eventId: entry.id,
      event: entry.event,
      json: entry.json,
      attempt: head.attempts + 1,
    }
  }

  const visible = (tenantId: string, sessionId: string): Endpoint[] =>
    [...endpoints.all()]
      .filter(({ endpoint, doomed }) => {
        if (doomed || endpoint.tenantId !== tenantId) return false
        return endpoint.sessionId === null || endpoint.sessionId === sessionId
      })
      .map((one) => one.endpoint)

  return {
    endpoints(sessionId) {
      // Most servers have no endpoint for most sessions.
      let any = false
      for (const { endpoint } of endpoints.all()) {
        any ||= endpoint.sessionId === null || endpoint.sessionId === sessionId
      }
      const tenant = any ? tenantOf.get(sessionId)?.tenant : undefined
      return tenant === undefined ? [] : visible(tenant, sessionId)
    },
    endpointsOf: visible,
    async saveEndpoint(endpoint) {
      await writer.run((tx) => endpoints.save(tx, endpoint))
    },
    async removeEndpoint(id) {
      await writer.run((tx) => {
        const one = endpoints.byId(id)
        if (one) endpoints.remove(tx, one.number)
      })
    },
    position: () => position,
    async fanOut(upTo) {
      const entries = journal.read(position, PAGE).filter((entry) => (entry.seq ?? 0) <= upTo)
      const to = entries.length < PAGE ? upTo : (entries.at(-1)?.seq ?? upTo)
      const all = [...endpoints.all()]
      const planned: { endpoint: number; entry: Entry }[] = []
      const finished: number[] = []
      for (const entry of entries) {
        for (const one of all) {
          if (meant(one, entry)) planned.push({ endpoint: one.number, entry })
          else if (
            one.doomed &&
            entry.event === 'session.deleted' &&
            one.endpoint.sessionId === entry.sessionId
          ) {
            finished.push(one.number)
          }
        }
      }
      // Without deliveries there is nothing to keep: reading those entries again after a crash leads to the same.
      if (planned.length > 0 || finished.length > 0 || to - storedPosition >= PAGE) {
        await writer.run((tx) => {
          const now = clock.now()
          for (const { endpoint, entry } of planned) {
            const session = numbers.ensureSessionNumber(tx, entry.sessionId)
            add.run(endpoint, session, entry.seq ?? 0, now)
            addLane.run(endpoint, session, now)
          }
          for (const number of finished) endpoints.remove(tx, number)
          meta.set('webhook_position', String(to))
        })
        storedPosition = to
        if (planned.length > 0) faultPoint('delivery stored')
      }
      position = to
      return to
    },
    due(now, limit, busy) {
      const found: DueDelivery[] = []
      if (endpoints.none()) return found
      for (const lane of dueLanes.all(now, limit + busy.size)) {
        if (found.length >= limit) break
        const one = endpoints.byNumber(lane.endpoint)
        const sessionId = numbers.sessionId(lane.session)
        const name = laneOf({ endpoint: { id: one?.endpoint.id ?? '' }, sessionId })
        if (busy.has(name)) continue
        const delivery = deliveryOf(lane)
        if (!delivery) continue
        handedOut.set(name, delivery.endpoint.tenantId)
        found.push(delivery)
      }
      return found
    },
    nextDueAt: () => (endpoints.none() ? null : (nextDue.get(PARKED)?.at ?? null)),
    async record(delivery, outcome, nextAttemptAt) {
      const state = outcome.ok ? 'done' : nextAttemptAt === null ? 'dead' : 'open'
      await writer.run((tx) => {
        const one = endpoints.byId(delivery.endpoint.id)
        if (!one) return
        const session = numbers.ensureSessionNumber(tx, delivery.sessionId)
        const { changes } = noteTry.run(
          state,
          delivery.attempt,
          outcome.status,
          outcome.ok ? null : outcome.says,
          Math.round(outcome.durationMs),
          state === 'open' ? null : clock.now(),
          one.number,
          session,
          delivery.seq,
        )
        if (changes === 0) return
        if (nextAttemptAt !== null && state === 'open') {
          setLane.run(one.endpoint.isActive ? nextAttemptAt : PARKED, one.number, session)
          return
        }
        if (one.doomed) endpoints.remove(tx, one.number)
        else advance(one, one.number, session)
      })
      handedOut.delete(laneOf(delivery))
    },
    queueCounts(tenantId) {
      const processing = [...handedOut.values()].filter((tenant) => tenant === tenantId).length
      const sums = { pending: 0, processing, failed: 0, retrying: 0 }
      for (const { state, tried, n } of counts.all(tenantId)) {
        if (state === 'dead') sums.failed += n
        else if (tried) sums.retrying += n
        else sums.pending += n
      }
      return { ...sums, pending: Math.max(0, sums.pending - processing) }
    },
  }
}
