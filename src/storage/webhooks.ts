/**
 * The delivery queue: journal entries become deliveries, one lane for each endpoint and session.
 *
 * A lane's `due_at` is that of its next delivery, so finding what is due costs the same however long a dead
 * endpoint's backlog is. What is set aside of a lane stands in a side lane, in the order in which it is due. Nothing is claimed on disk: after a crash a delivery under way is simply due again.
 */
import type { Database } from 'bun:sqlite'
import { concernsAccount, type EventName, eventFilter } from '../domain/events'
import type { Entry } from '../domain/journal'
import { type DueDelivery, type Endpoint, laneOf, type Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import { faultPoint } from '../lib/fault-points'
import type { Log } from '../lib/log'
import { createDeliveryLog, deliveryId } from './delivery-log'
import { type Endpoints, PARKED, type StoredEndpoint } from './endpoints'
import { EVENT_CODE } from './event-codes'
import type { GroupCommit, Tx } from './group-commit'
import type { StoredJournal } from './journal'
import type { Meta } from './meta'
import type { Numbers } from './numbers'

/** Journal entries that one `fanOut` reads at most. */
const PAGE = 1_000
/** Deliveries of a lane that are looked up at a time, beside its first. */
const AHEAD = 15

type Lane = { endpoint: number; session: number; aside: number; due_at: number }

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
  const add = database.prepare<unknown, [number, number, number, number, number]>(
    "INSERT INTO deliveries (endpoint, session, seq, state, attempts, created_at, event) VALUES (?, ?, ?, 'open', 0, ?, ?) ON CONFLICT DO NOTHING",
  )
  const addLane = database.prepare<unknown, [number, number, number]>(
    'INSERT INTO lanes (endpoint, session, aside, due_at) VALUES (?, ?, 0, ?) ON CONFLICT DO NOTHING',
  )
  const dueLanes = database.prepare<Lane, [number, number]>(
    'SELECT endpoint, session, aside, due_at FROM lanes WHERE due_at <= ? ORDER BY due_at LIMIT ?',
  )
  const nextDue = database.prepare<{ at: number | null }, [number]>(
    'SELECT min(due_at) AS at FROM lanes WHERE due_at < ?',
  )
  type Head = { seq: number; attempts: number; due_at: number | null }
  const openAfter = database.prepare<Head, [number, number, number, number]>(
    "SELECT seq, attempts, due_at FROM deliveries WHERE endpoint = ? AND session = ? AND state = 'open' AND seq > ? ORDER BY seq LIMIT ?",
  )
  const isMore = database.prepare<{ seq: number }, [number, number]>(
    "SELECT seq FROM deliveries WHERE endpoint = ? AND session = ? AND state = 'open' LIMIT 1",
  )
  const asideHeadOf = database.prepare<Head, [number, number]>(
    "SELECT seq, attempts, due_at FROM deliveries WHERE endpoint = ? AND session = ? AND state = 'aside' ORDER BY due_at, seq LIMIT 1",
  )
  const setLane = database.prepare<unknown, [number, number, number, number]>(
    'INSERT INTO lanes (endpoint, session, aside, due_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET due_at = excluded.due_at',
  )
  const dropLane = database.prepare<unknown, [number, number, number]>(
    'DELETE FROM lanes WHERE endpoint = ? AND session = ? AND aside = ?',
  )
  const dropDelivery = database.prepare<unknown, [number, number, number]>(
    'DELETE FROM deliveries WHERE endpoint = ? AND session = ? AND seq = ?',
  )
  type Noted = {
    state: string
    attempts: number
    response: number | null
    says: string | null
    duration: number
    finishedAt: number | null
    dueAt: number | null
    endpoint: number
    session: number
    seq: number
    before: string
  }
  const noteTry = database.prepare<unknown, [Noted]>(
    `UPDATE deliveries SET state = $state, attempts = $attempts, response = $response, says = $says,
       duration = $duration, finished_at = $finishedAt, due_at = $dueAt
     WHERE endpoint = $endpoint AND session = $session AND seq = $seq AND state = $before`,
  )
  const count = database.prepare<unknown, [number, number, number, number, number, number]>(
    `INSERT INTO webhook_counts (session, event, successful, failed, total_ms, last_at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT DO UPDATE SET successful = successful + excluded.successful, failed = failed + excluded.failed,
       total_ms = total_ms + excluded.total_ms, last_at = excluded.last_at`,
  )
  const tenantOf = database.prepare<{ tenant: string }, [string]>('SELECT tenant FROM sessions WHERE id = ?')

  let position = Number(meta.get('webhook_position') ?? 0)
  let storedPosition = position
  /** Deliveries handed out and not yet recorded: lane → tenant. */
  const handedOut = new Map<string, string>()
  /** The lane of a delivery that has others behind it. */
  const longLane = new WeakMap<DueDelivery, { one: StoredEndpoint; session: number }>()

  const filters = new WeakMap<Endpoint, (event: string) => boolean>()
  function wants(endpoint: Endpoint, entry: Pick<Entry, 'event' | 'json'>): boolean {
    const filter = filters.get(endpoint) ?? eventFilter(endpoint.events)
    filters.set(endpoint, filter)
    return filter(entry.event) && (endpoint.sessionId === null || !concernsAccount(entry))
  }

  function meant(one: StoredEndpoint, entry: Entry): boolean {
    const { endpoint } = one
    if (endpoint.tenantId !== entry.tenantId || endpoint.disabledReason !== null) return false
    if (endpoint.sessionId !== null && endpoint.sessionId !== entry.sessionId) return false
    if (one.doomed && entry.event !== 'session.deleted') return false
    return (entry.seq ?? 0) > one.since && wants(endpoint, entry)
  }

  /** Goes on with the next delivery of a lane, or ends it. */
  function advance(one: StoredEndpoint | null, endpoint: number, session: number, aside: boolean): void {
    const set = aside ? asideHeadOf.get(endpoint, session) : null
    if (!set && (aside || !isMore.get(endpoint, session))) {
      dropLane.run(endpoint, session, aside ? 1 : 0)
      return
    }
    const dueAt = one?.endpoint.isActive ? (set?.due_at ?? clock.now()) : PARKED
    setLane.run(endpoint, session, aside ? 1 : 0, dueAt)
  }

  /** A delivery whose endpoint or event has been removed meanwhile. */
  function discard(lane: Lane, seq: number | null): void {
    writer
      .run(() => {
        if (seq !== null) dropDelivery.run(lane.endpoint, lane.session, seq)
        advance(endpoints.byNumber(lane.endpoint), lane.endpoint, lane.session, lane.aside === 1)
      })
      .catch((error) => log.error('A void webhook delivery cannot be removed', { error: String(error) }))
  }

  /** Null when its event is not kept any more. */
  function deliveryOf(one: StoredEndpoint, head: Head, aside: boolean): DueDelivery | null {
    const entry = journal.read(head.seq - 1, 1)[0]
    if (entry?.seq !== head.seq) return null
    return {
      id: deliveryId(one.number, head.seq),
      endpoint: one.endpoint,
      sessionId: entry.sessionId,
      seq: head.seq,
      eventId: entry.id,
      event: entry.event,
      json: entry.json,
      attempt: head.attempts + 1,
      aside,
    }
  }

  function firstOf(lane: Lane): DueDelivery | null {
    const one = endpoints.byNumber(lane.endpoint)
    const aside = lane.aside === 1
    const [head, second] = aside
      ? [asideHeadOf.get(lane.endpoint, lane.session)]
      : openAfter.all(lane.endpoint, lane.session, 0, 2)
    const delivery = one && head ? deliveryOf(one, head, aside) : null
    if (!delivery) discard(lane, head?.seq ?? null)
    else if (one && second) longLane.set(delivery, { one, session: lane.session })
    return delivery
  }

  const visible = (tenantId: string, sessionId: string): Endpoint[] =>
    [...endpoints.all()]
      .filter(({ endpoint, doomed }) => {
        if (doomed || endpoint.tenantId !== tenantId) return false
        return endpoint.sessionId === null || endpoint.sessionId === sessionId
      })
      .map((one) => one.endpoint)

  function dueNow(now: number, limit: number, busy: ReadonlySet<string>): DueDelivery[] {
    const found: DueDelivery[] = []
    for (const lane of dueLanes.all(now, limit + busy.size)) {
      if (found.length >= limit) break
      const one = endpoints.byNumber(lane.endpoint)
      const sessionId = numbers.sessionId(lane.session)
      const name = laneOf({
        endpoint: { id: one?.endpoint.id ?? '' },
        sessionId,
        aside: lane.aside === 1,
      })
      if (busy.has(name)) continue
      const delivery = firstOf(lane)
      if (!delivery) continue
      handedOut.set(name, delivery.endpoint.tenantId)
      found.push(delivery)
    }
    return found
  }
  /** One look at the database for all of them. */
  const lookOnce = database.transaction(dueNow)

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
    endpointsOfTenant: (tenantId) =>
      [...endpoints.all()]
        .filter(({ endpoint, doomed }) => !doomed && endpoint.tenantId === tenantId)
        .sort((a, b) => a.number - b.number)
        .map((one) => one.endpoint),
    endpoint(tenantId, id) {
      const one = endpoints.byId(id)
      return one && !one.doomed && one.endpoint.tenantId === tenantId ? one.endpoint : null
    },
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
            add.run(endpoint, session, entry.seq ?? 0, now, EVENT_CODE[entry.event])
            addLane.run(endpoint, session, endpoints.byNumber(endpoint)?.endpoint.isActive ? now : PARKED)
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
      if (endpoints.none()) return []
      return lookOnce(now, limit, busy)
    },
    following(first) {
      const lane = longLane.get(first)
      if (!lane) return () => null
      const { one, session } = lane
      const asOf = endpoints.takenBack()
      let ahead: Head[] | null = null
      return () => {
        ahead ??= openAfter.all(one.number, session, first.seq, AHEAD)
        const current = endpoints.byNumber(one.number)
        // Rows that were taken back, and endpoints that do not want any, are seen before each post as they are then.
        if (!current?.endpoint.isActive || current.doomed || endpoints.takenBack() !== asOf) return null
        const head = ahead.shift()
        return head ? deliveryOf(current, head, false) : null
      }
    },
    nextDueAt: () => (endpoints.none() ? null : (nextDue.get(PARKED)?.at ?? null)),
    async record(delivery, outcome, next, goesOn = false) {
      const { attempt, aside } = delivery
      const state = outcome.ok ? 'done' : next === null ? 'dead' : next.aside || aside ? 'aside' : 'open'
      const triedAgain = state === 'open' || state === 'aside'
      const note = (tx: Tx): void => {
        const one = endpoints.byId(delivery.endpoint.id)
        if (!one) return
        const session = numbers.ensureSessionNumber(tx, delivery.sessionId)
        const { changes } = noteTry.run({
          state,
          attempts: attempt,
          response: outcome.status,
          says: outcome.ok ? null : outcome.says,
          duration: Math.round(outcome.durationMs),
          finishedAt: triedAgain ? null : clock.now(),
          dueAt: state === 'aside' ? (next?.at ?? null) : null,
          endpoint: one.number,
          session,
          seq: delivery.seq,
          before: aside ? 'aside' : 'open',
        })
        if (changes === 0) return
        endpoints.noteOutcome(tx, one.number, outcome.ok)
        if (one.doomed && !triedAgain) {
          endpoints.remove(tx, one.number)
          return
        }
        // Of a deleted session nothing is counted any more.
        if (!one.doomed && delivery.event !== 'session.deleted') {
          const [successful, failed] = outcome.ok ? [1, 0] : [0, 1]
          const code = EVENT_CODE[delivery.event as EventName]
          count.run(session, code, successful, failed, Math.round(outcome.durationMs), clock.now())
        }
        if (goesOn) return
        if (state === 'open') {
          setLane.run(one.number, session, 0, one.endpoint.isActive ? (next?.at ?? clock.now()) : PARKED)
          return
        }
        if (!aside) advance(one, one.number, session, false)
        if (state === 'aside' || aside) advance(one, one.number, session, true)
      }
      await writer.run(note, goesOn ? 'soon' : 'now')
      if (!goesOn) handedOut.delete(laneOf(delivery))
    },
    ...createDeliveryLog({
      database,
      writer,
      numbers,
      endpoints,
      journal,
      clock,
      wants,
      position: () => position,
      processing: (tenantId) => [...handedOut.values()].filter((tenant) => tenant === tenantId).length,
      advance,
    }),
  }
}
