/** A hundred thousand deliveries that wait cost their readers no more than a page. */
import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { DeliveryQuery, Endpoint } from '../../src/domain/webhook'
import { COUNTED, DELIVERY_STATES } from '../../src/domain/webhook'
import type { Storage } from '../../src/storage/open'
import { created, makeEvent, makeRig, makeSession, movableClock, OTHER, SESSION, TENANT } from './rig'

let rig: ReturnType<typeof makeRig>
let storage: Storage
let asked: Set<string>
const real = { prepare: Database.prototype.prepare, query: Database.prototype.query }
const clock = movableClock()

beforeEach(() => {
  asked = new Set()
  for (const name of ['prepare', 'query'] as const) {
    Database.prototype[name] = function (this: Database, sql: string) {
      asked.add(sql)
      return real[name].call(this, sql)
    } as never
  }
  rig = makeRig()
  storage = rig.open({ clock })
})
afterEach(async () => {
  Object.assign(Database.prototype, real)
  await rig.clear()
})

const endpoint = (id: string, also: Partial<Endpoint> = {}): Endpoint => ({
  id,
  tenantId: TENANT,
  sessionId: null,
  url: 'https://example.com/hook',
  description: null,
  events: [],
  headers: {},
  secret: 'whsec_abc',
  previousSecret: null,
  isActive: true,
  disabledReason: null,
  failingSince: null,
  fromSettings: false,
  isConfig: false,
  createdAt: 1,
  ...also,
})

async function happen(count: number): Promise<void> {
  for (let made = 0; made < count; made += 1_000) {
    await storage.ledger.commit(
      Array.from({ length: Math.min(1_000, count - made) }, (_, n) => ({
        change: { kind: 'told' as const },
        events: [makeEvent('message.received', { n: made + n }, n % 2 === 0 ? SESSION : OTHER)],
      })),
    )
    while (storage.webhooks.position() < storage.journal.head()) {
      await storage.webhooks.fanOut(storage.journal.head())
    }
  }
}

/** How SQLite goes about every statement about deliveries that was prepared so far. */
function plans(): { sql: string; plan: string }[] {
  const database = new Database(rig.file, { readonly: true })
  const found = [...asked]
    .filter((sql) => /^(SELECT|UPDATE|DELETE)/.test(sql) && /deliveries|lanes|webhook_counts/.test(sql))
    .map((sql) => ({
      sql,
      plan: real.query
        .call(database, `EXPLAIN QUERY PLAN ${sql}`)
        .all()
        .map((row) => (row as { detail: string }).detail)
        .join(', '),
    }))
  database.close()
  return found
}

/** Of the janitor, who goes through a table an hour, and of endpoints that are removed with all they have. */
const MAY_SCAN = /^DELETE FROM|min\(seq\)|session_numbers/

describe('deliveries that wait', () => {
  test('are found by indexes, whatever is asked of them', async () => {
    await storage.ledger.commit([created(), created(makeSession(OTHER))])
    await storage.webhooks.saveEndpoint(endpoint('one'))
    await happen(10)
    const queries: DeliveryQuery[] = [undefined, ...DELIVERY_STATES].flatMap((state) =>
      [{}, { event: 'message.received' }, { endpointId: 'one' }].map((also) => ({
        sessionId: SESSION,
        limit: 10,
        offset: 0,
        ...(state ? { state } : {}),
        ...also,
      })),
    )
    for (const query of queries) storage.webhooks.deliveries(query)
    const found = plans()
    expect(found.length).toBeGreaterThan(30)
    for (const { sql, plan } of found) {
      if (MAY_SCAN.test(sql)) continue
      expect({
        sql,
        plan,
        scans: /SCAN (deliveries(?! USING COVERING INDEX deliveries_dead)|lanes)/.test(plan),
      }).toMatchObject({
        scans: false,
      })
    }
    const dead = found.find(({ sql }) => sql.startsWith('SELECT count') && sql.includes("'dead'"))
    // Those are few; the rows of an endpoint may be many.
    expect(dead?.plan).toContain('deliveries_dead')
    const list = found.filter(({ sql }) => sql.includes('ORDER BY seq DESC'))
    expect(list.length).toBe(queries.length)
    for (const { sql, plan } of list) {
      expect({ sql, plan, sorts: plan.includes('TEMP B-TREE FOR ORDER BY') }).toMatchObject({ sorts: false })
    }
  })

  test('a hundred thousand of them: pages, counts, the next that is due, a new endpoint, and emptying', async () => {
    const total = 100_000
    await storage.ledger.commit([created(), created(makeSession(OTHER))])
    await storage.webhooks.saveEndpoint(endpoint('one', { isActive: false }))
    await happen(total)
    const { webhooks } = storage
    expect(webhooks.queueCounts(TENANT)).toEqual({ pending: total, processing: 0, failed: 0, retrying: 0 })
    expect([webhooks.due(clock.now(), 64, new Set()), webhooks.nextDueAt()]).toEqual([[], null])
    const page = webhooks.deliveries({ sessionId: SESSION, limit: 100, offset: 40_000 })
    expect(page).toMatchObject({ total: COUNTED, hasMore: true })
    expect(page.deliveries).toHaveLength(100)
    await webhooks.saveEndpoint(endpoint('one'))
    expect(webhooks.due(clock.now(), 64, new Set())).toHaveLength(2)
    // Emptying lets others in between: their work is not behind all of it.
    let isEmptied = false
    const emptied = webhooks.clearQueue(SESSION).finally(() => {
      isEmptied = true
    })
    let between = 0
    while (!isEmptied) {
      await webhooks.saveEndpoint(endpoint('two', { isActive: false, disabledReason: 'gone' }))
      between += 1
    }
    expect(await emptied).toBe(total / 2)
    expect(between).toBeGreaterThan(10)
    expect(webhooks.queueCounts(TENANT).pending + webhooks.queueCounts(TENANT).processing).toBeGreaterThan(
      total / 2 - 2,
    )
    expect(webhooks.deliveries({ sessionId: SESSION, limit: 1, offset: 0 }).total).toBe(0)
  }, 60_000)
})
