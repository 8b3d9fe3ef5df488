import { Database } from 'bun:sqlite'
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { type DueDelivery, type Endpoint, laneOf } from '../../src/domain/webhook'
import type { Storage } from '../../src/storage/open'
import {
  created,
  makeEvent,
  makeRig,
  makeSession,
  movableClock,
  OTHER,
  type Rig,
  SESSION,
  TENANT,
} from './rig'

let rig: Rig
let storage: Storage
let clock = movableClock()
beforeEach(async () => {
  rig = makeRig()
  clock = movableClock()
  storage = rig.open({ clock })
  await storage.ledger.commit([created(), created(makeSession(OTHER))])
})
afterEach(() => rig.clear())

const NONE = new Set<string>()
const OK = { ok: true, status: 200, durationMs: 5 } as const
const BAD = { ok: false, status: 500, durationMs: 5, says: 'no', retryAfterMs: null } as const

const endpoint = (id: string, also: Partial<Endpoint> = {}): Endpoint => ({
  id,
  tenantId: TENANT,
  sessionId: SESSION,
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
const happen = async (n: number, sessionId = SESSION) => {
  await storage.ledger.commit([
    { change: { kind: 'told' }, events: [makeEvent('message.received', { n }, sessionId)] },
  ])
  await storage.webhooks.fanOut(storage.journal.head())
}
const due = (busy: ReadonlySet<string> = NONE) => storage.webhooks.due(clock.now(), 10, busy)
const numberOf = (delivery: DueDelivery | undefined) =>
  JSON.parse(delivery?.json ?? '{}').n as number | undefined
const counts = () => storage.webhooks.queueCounts(TENANT)

describe('endpoints', () => {
  test('come back with their secret, and belong to a session or to all of a tenant', async () => {
    await storage.webhooks.saveEndpoint(endpoint('one'))
    await storage.webhooks.saveEndpoint(endpoint('all', { sessionId: null, events: ['session.*'] }))
    await storage.webhooks.saveEndpoint(endpoint('other', { tenantId: 'someone' as never, sessionId: null }))
    await storage.close()
    storage = rig.open({ clock })
    const ids = (list: Endpoint[]) => list.map((one) => one.id).sort()
    expect(ids(storage.webhooks.endpoints(SESSION))).toEqual(['all', 'one'])
    expect(ids(storage.webhooks.endpoints(OTHER))).toEqual(['all'])
    expect(ids(storage.webhooks.endpointsOf(TENANT, OTHER))).toEqual(['all'])
    expect(storage.webhooks.endpointsOf('nobody' as never, SESSION)).toEqual([])
    expect(storage.webhooks.endpoints(SESSION).find((one) => one.id === 'one')).toEqual(endpoint('one'))
    await storage.webhooks.removeEndpoint('one')
    expect(ids(storage.webhooks.endpoints(SESSION))).toEqual(['all'])
  })

  test('keep headers, secrets and what is known of them, none of it readable in the files', async () => {
    const whole = endpoint('one', {
      description: 'For the shop',
      headers: { Authorization: 'Bearer planted-token-1' },
      secret: 'whsec_planted-secret-2',
      previousSecret: { secret: 'whsec_planted-secret-3', until: clock.now() + 1_000 },
      isConfig: true,
    })
    await storage.webhooks.saveEndpoint(whole)
    await happen(1)
    await storage.webhooks.record(due()[0] as DueDelivery, BAD, { at: clock.now() + 30_000, aside: true })
    await storage.close()
    const folder = dirname(rig.file)
    for (const name of readdirSync(folder)) {
      const bytes = statSync(join(folder, name)).isFile() ? readFileSync(join(folder, name)) : Buffer.alloc(0)
      for (const planted of ['planted-token', 'planted-secret']) {
        expect({ name, planted, found: bytes.includes(planted) }).toEqual({ name, planted, found: false })
      }
    }
    storage = rig.open({ clock })
    const [one] = storage.webhooks.endpointsOfTenant(TENANT)
    expect(one).toEqual({ ...whole, failingSince: one?.failingSince ?? null })
    expect(one?.failingSince).toBeGreaterThan(0)
    // A change that was begun before the failure does not wipe it out; switching it off and on does.
    await storage.webhooks.saveEndpoint({ ...whole, description: null })
    expect(storage.webhooks.endpoint(TENANT, 'one')?.failingSince).toBe(one?.failingSince ?? 0)
    await storage.webhooks.saveEndpoint({ ...whole, isActive: false })
    await storage.webhooks.saveEndpoint(whole)
    expect(storage.webhooks.endpoint(TENANT, 'one')?.failingSince).toBeNull()
  })

  test('settings.webhookUrl is one, with a secret of its own that stays', async () => {
    const change = (webhookUrl: string | null) =>
      storage.ledger.commit([
        {
          change: {
            kind: 'session_changed',
            session: makeSession(SESSION, { settings: { ...makeSession().settings, webhookUrl } }),
          },
          events: [],
        },
      ])
    await change('https://one.example')
    const [first] = storage.webhooks.endpoints(SESSION)
    expect(first).toMatchObject({
      url: 'https://one.example',
      fromSettings: true,
      events: [],
      isActive: true,
    })
    expect(first?.secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    await change('https://one.example')
    await change('https://two.example')
    expect(storage.webhooks.endpoints(SESSION)).toEqual([
      { ...(first as Endpoint), url: 'https://two.example' },
    ])
    await change(null)
    expect(storage.webhooks.endpoints(SESSION)).toEqual([])
    // Several changes within one transaction see each other.
    await Promise.all([change('https://a.example'), change('https://b.example'), change('https://c.example')])
    expect(storage.webhooks.endpoints(SESSION).map((one) => one.url)).toEqual(['https://c.example'])
    await storage.close()
    storage = rig.open({ clock })
    expect(storage.webhooks.endpoints(SESSION).map((one) => one.url)).toEqual(['https://c.example'])
  })
})

describe('deliveries', () => {
  test('are made for the matching endpoints, once, and only for what comes after the endpoint', async () => {
    await happen(0)
    await storage.webhooks.saveEndpoint(endpoint('messages', { events: ['message.*'] }))
    await storage.webhooks.saveEndpoint(endpoint('sessions', { events: ['session.*'] }))
    await storage.webhooks.saveEndpoint(endpoint('off', { isActive: false, disabledReason: 'gone' }))
    await happen(1)
    await happen(2, OTHER)
    const before = storage.webhooks.position()
    expect(before).toBe(storage.journal.head())
    const all = due()
    expect(all.map((one) => [one.endpoint.id, numberOf(one), one.attempt])).toEqual([['messages', 1, 1]])
    expect(all[0]?.json).toBe(storage.journal.read(before - 2, 1)[0]?.json ?? '')
    // A restart makes nothing twice.
    await storage.close()
    storage = rig.open({ clock })
    expect(storage.webhooks.position()).toBeLessThanOrEqual(before)
    await storage.webhooks.fanOut(storage.journal.head())
    expect(storage.webhooks.position()).toBe(storage.journal.head())
    expect(counts().pending).toBe(1)
  })

  test('of one lane go one after another; a lane that waits holds up no other', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await storage.webhooks.saveEndpoint(endpoint('b', { sessionId: null }))
    for (const n of [1, 2, 3]) await happen(n)
    await happen(4, OTHER)
    const first = due()
    expect(first.map((one) => [one.endpoint.id, one.sessionId === SESSION, numberOf(one)])).toEqual([
      ['a', true, 1],
      ['b', true, 1],
      ['b', false, 4],
    ])
    expect(counts()).toEqual({ pending: 4, processing: 3, failed: 0, retrying: 0 })
    expect(due(new Set(first.map(laneOf)))).toEqual([])
    expect(storage.webhooks.due(clock.now(), 1, new Set([laneOf(first[0] as DueDelivery)]))).toHaveLength(1)

    const [a1] = first as [DueDelivery]
    await storage.webhooks.record(a1, BAD, { at: clock.now() + 30_000, aside: false })
    expect(due().map((one) => [one.endpoint.id, numberOf(one)])).toEqual([
      ['b', 1],
      ['b', 4],
    ])
    for (const one of first.slice(1)) await storage.webhooks.record(one, OK, null)
    expect(due().map((one) => [one.endpoint.id, numberOf(one)])).toEqual([['b', 2]])
    clock.shift += 30_000
    const again = due().find((one) => one.endpoint.id === 'a')
    expect([numberOf(again), again?.attempt]).toEqual([1, 2])
  })

  test('succeed, are tried again, or die; the next one follows either way', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    for (const n of [1, 2, 3]) await happen(n)
    expect(storage.webhooks.nextDueAt()).toBeLessThanOrEqual(clock.now())
    await storage.webhooks.record(due()[0] as DueDelivery, OK, null)
    const at = clock.now() + 5_000
    await storage.webhooks.record(due()[0] as DueDelivery, BAD, { at, aside: false })
    expect(due()).toEqual([])
    expect(storage.webhooks.nextDueAt()).toBe(at)
    expect(counts()).toEqual({ pending: 1, processing: 0, failed: 0, retrying: 1 })
    clock.shift += 5_000
    const second = due()[0] as DueDelivery
    await storage.webhooks.record(second, BAD, null)
    // The same outcome twice (a writer that did not hear the first answer) counts once.
    await storage.webhooks.record(second, OK, null)
    expect(counts()).toMatchObject({ failed: 1, retrying: 0 })
    const third = due()[0] as DueDelivery
    expect(numberOf(third)).toBe(3)
    await storage.webhooks.record(third, OK, null)
    expect([due(), storage.webhooks.nextDueAt()]).toEqual([[], null])
  })

  test('behind one that is under way are told in order, and recorded while its lane stays taken', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await storage.webhooks.saveEndpoint(endpoint('alone', { events: ['session.*'] }))
    for (const n of [1, 2, 3]) await happen(n)
    await happen(7, OTHER)
    const [first] = due() as [DueDelivery]
    const next = storage.webhooks.following(first)
    const second = next() as DueDelivery
    const third = next() as DueDelivery
    expect([numberOf(second), numberOf(third), next()]).toEqual([2, 3, null])
    expect(second.endpoint).toBe(first.endpoint)
    await storage.webhooks.record(first, OK, null, true)
    expect(counts()).toEqual({ pending: 1, processing: 1, failed: 0, retrying: 0 })
    // A crash now: what was not recorded is due again.
    expect(due().map(numberOf)).toEqual([2])
    await storage.webhooks.record(second, OK, null, true)
    await storage.webhooks.record(third, OK, null)
    expect([due(), storage.webhooks.nextDueAt()]).toEqual([[], null])
    expect(counts()).toEqual({ pending: 0, processing: 0, failed: 0, retrying: 0 })
    expect(storage.webhooks.stats(SESSION).successful).toBe(3)
  })

  const TAKEN_BACK: [why: string, take: () => Promise<unknown>][] = [
    ['the queue was emptied', () => storage.webhooks.clearQueue(SESSION)],
    ['the endpoint is gone', () => storage.webhooks.removeEndpoint('a')],
    [
      'the endpoint was switched off',
      () => storage.webhooks.saveEndpoint(endpoint('a', { isActive: false })),
    ],
    [
      'the session was deleted',
      () =>
        storage.ledger.commit([
          { change: { kind: 'session_deleted', sessionId: SESSION }, events: [makeEvent('session.deleted')] },
        ]),
    ],
  ]
  test.each(TAKEN_BACK)('are not posted after one that was under way when %s', async (_, take) => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    for (const n of [1, 2, 3]) await happen(n)
    const next = storage.webhooks.following(due()[0] as DueDelivery)
    expect(numberOf(next() as DueDelivery)).toBe(2)
    await take()
    expect(next()).toBeNull()
  })

  test('go to the endpoint as it is when their turn comes', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    for (const n of [1, 2]) await happen(n)
    const next = storage.webhooks.following(due()[0] as DueDelivery)
    await storage.webhooks.saveEndpoint(endpoint('a', { url: 'https://new.example' }))
    expect(next()?.endpoint.url).toBe('https://new.example')
  })

  test('under way at a crash are due again', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await happen(1)
    const [taken] = due()
    await storage.close()
    storage = rig.open({ clock })
    expect(due()).toEqual([{ ...(taken as DueDelivery) }])
    expect(storage.webhooks.queueCounts(TENANT).processing).toBe(1)
  })

  test('of an endpoint that is switched off wait, and go on when it is switched on', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await happen(1)
    await happen(2)
    const [one] = due() as [DueDelivery]
    await storage.webhooks.saveEndpoint(endpoint('a', { isActive: false }))
    expect([due(), storage.webhooks.nextDueAt()]).toEqual([[], null])
    await storage.webhooks.record(one, BAD, null)
    expect(due()).toEqual([])
    await storage.webhooks.saveEndpoint(endpoint('a', { url: 'https://new.example' }))
    expect(due().map((next) => [numberOf(next), next.endpoint.url])).toEqual([[2, 'https://new.example']])
  })

  test('wait for an endpoint that is switched off no longer than events are kept', async () => {
    await storage.webhooks.saveEndpoint(endpoint('paused', { isActive: false }))
    await storage.webhooks.saveEndpoint(endpoint('slow'))
    await happen(1)
    expect(counts().pending).toBe(2)
    clock.shift += 31 * 86_400_000
    await happen(2)
    await storage.janitor.sweep()
    // What is meant for one that is on waits as long as it takes, and its event with it.
    expect(counts().pending).toBe(3)
    expect(due().map(numberOf)).toEqual([1])
  })

  test('go with their endpoint', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await happen(1)
    const [one] = due() as [DueDelivery]
    await storage.webhooks.removeEndpoint('a')
    await storage.webhooks.record(one, OK, null)
    expect([due(), storage.webhooks.nextDueAt(), counts().pending]).toEqual([[], null, 0])
  })

  test('of a deleted session go, but its end is still told; then its endpoint goes too', async () => {
    await storage.webhooks.saveEndpoint(endpoint('a'))
    await storage.webhooks.saveEndpoint(endpoint('deaf', { events: ['message.*'] }))
    await happen(1)
    await storage.ledger.commit([
      { change: { kind: 'session_deleted', sessionId: SESSION }, events: [makeEvent('session.deleted')] },
    ])
    expect(storage.webhooks.endpointsOf(TENANT, SESSION)).toEqual([])
    await storage.webhooks.fanOut(storage.journal.head())
    const last = due()
    expect(last.map((one) => [one.endpoint.id, one.event])).toEqual([['a', 'session.deleted']])
    await storage.webhooks.record(last[0] as DueDelivery, OK, null)
    await storage.close()
    storage = rig.open({ clock })
    expect([due(), storage.webhooks.nextDueAt()]).toEqual([[], null])
    expect((await storage.janitor.sweep()) >= 0).toBe(true)
  })

  test('of a deleted session to an endpoint of the account end with its end, and nothing is counted', async () => {
    await storage.webhooks.saveEndpoint(endpoint('wide', { sessionId: null }))
    await happen(1)
    await storage.webhooks.record(due()[0] as DueDelivery, OK, null)
    expect(storage.webhooks.stats(SESSION)).toMatchObject({
      successful: 1,
      byEvent: { 'message.received': 1 },
    })
    await storage.ledger.commit([
      { change: { kind: 'session_deleted', sessionId: SESSION }, events: [makeEvent('session.deleted')] },
    ])
    await storage.webhooks.fanOut(storage.journal.head())
    await storage.webhooks.record(due()[0] as DueDelivery, OK, null)
    expect([due(), storage.webhooks.nextDueAt()]).toEqual([[], null])
    const database = new Database(rig.file, { readonly: true })
    expect(database.query('SELECT * FROM webhook_counts').all()).toEqual([])
    database.close()
    expect(storage.webhooks.endpointsOfTenant(TENANT)).toHaveLength(1)
  })

  test('without any endpoint the journal is passed over without a write for each event', async () => {
    const stored = () => storage.meta.get('webhook_position')
    const before = stored()
    for (const n of [1, 2, 3]) await happen(n)
    expect(storage.webhooks.position()).toBe(storage.journal.head())
    expect(stored()).toBe(before)
  })
})

describe('answers under a key', () => {
  const tenant = TENANT
  test('are new, in progress, repeated, or reused; per tenant', async () => {
    const { idempotency } = storage
    expect(await idempotency.begin(tenant, 'k', 'h1')).toBe('new')
    expect(await idempotency.begin(tenant, 'k', 'h1')).toBe('in_progress')
    expect(await idempotency.begin(tenant, 'k', 'h2')).toBe('reused')
    expect(await idempotency.begin('other' as never, 'k', 'h2')).toBe('new')
    await idempotency.finish(tenant, 'k', { status: 201, body: '{"a":1}' })
    expect(await idempotency.begin(tenant, 'k', 'h1')).toEqual({ status: 201, body: '{"a":1}' })
    expect(await idempotency.begin(tenant, 'k', 'h2')).toBe('reused')
    expect(await idempotency.begin(tenant, 'gone', 'h')).toBe('new')
    await idempotency.abandon(tenant, 'gone')
    expect(await idempotency.begin(tenant, 'gone', 'h')).toBe('new')
  })

  test('survive a restart for a day; what was under way is free again', async () => {
    await storage.idempotency.begin(tenant, 'done', 'h')
    await storage.idempotency.finish(tenant, 'done', { status: 200, body: 'x' })
    await storage.idempotency.begin(tenant, 'open', 'h')
    await storage.close()
    storage = rig.open({ clock })
    expect(await storage.idempotency.begin(tenant, 'done', 'h')).toEqual({ status: 200, body: 'x' })
    expect(await storage.idempotency.begin(tenant, 'open', 'h')).toBe('new')
    clock.shift = 86_400_001
    expect(await storage.janitor.sweep()).toBeGreaterThan(0)
    expect(await storage.idempotency.begin(tenant, 'done', 'h')).toBe('new')
  })
})
