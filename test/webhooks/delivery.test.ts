import { afterEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { RETRY_WAITS } from '../../src/domain/webhook'
import { createManualClock } from '../harness/clock'
import { type Received, type Receiver, type ReceiverOptions, startReceiver } from '../harness/receiver'
import { TENANT } from '../storage/rig'
import { makeWebhookRig, sessionOf, type WebhookRig } from './rig'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})
const rigOf = (...clock: Parameters<typeof makeWebhookRig>): WebhookRig => {
  const rig = makeWebhookRig(...clock)
  ends.push(rig.clear)
  return rig
}
const receive = (options: ReceiverOptions = {}): Receiver => {
  const receiver = startReceiver(options)
  ends.push(receiver.stop)
  return receiver
}
const upTo = (n: number): number[] => Array.from({ length: n }, (_, index) => index)
const numbersOf = (posts: readonly Received[], session?: SessionId) =>
  posts
    .filter(({ json, event }) => event === 'message.received' && (!session || json.sessionId === session))
    .map(({ json }) => json.n as number)
const taken = (posts: readonly Received[]) => posts.filter(({ answered }) => answered === 204)
/** Without repetitions, in the order of the first appearance. */
const once = (numbers: readonly number[]) => [...new Set(numbers)]

describe('delivery', () => {
  test('posts the journal’s own bytes, in order, as they are committed', async () => {
    const rig = rigOf()
    const receiver = receive()
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver()
    for (const n of upTo(20)) await rig.happen(sessionOf(1), [n])
    await receiver.waitFor((posts) => posts.length === 20)
    expect(numbersOf(receiver.posts)).toEqual(upTo(20))
    const entries = rig.storage.journal.read(0, 100).filter(({ event }) => event === 'message.received')
    expect(receiver.posts.map(({ body }) => body)).toEqual(entries.map(({ json }) => json))
    expect(receiver.posts.map(({ id }) => id)).toEqual(entries.map(({ id }) => id))
  })

  test('gives each endpoint what it asked for, and inactive ones nothing', async () => {
    const rig = rigOf()
    const [all, some, off, account] = [receive(), receive(), receive(), receive()]
    await rig.sessions(1, 2)
    await rig.endpoint('all', all.url)
    await rig.endpoint('some', some.url, { events: ['session.*'] })
    await rig.endpoint('off', off.url, { isActive: false, disabledReason: 'gone' })
    await rig.endpoint('account', account.url, { sessionId: null })
    await rig.deliver()
    await rig.happen(sessionOf(1), [1])
    await rig.happen(sessionOf(1), [2], 'session.connecting')
    await rig.happen(sessionOf(2), [3])
    await rig.drained()
    expect(all.posts.map(({ json }) => json.n)).toEqual([1, 2])
    expect(some.posts.map(({ json }) => json.n)).toEqual([2])
    expect(off.posts).toHaveLength(0)
    expect(account.posts.map(({ json }) => json.n as number).sort()).toEqual([1, 2, 3])
  })

  test('posts momentary events once, keeps none, and repeats none', async () => {
    const rig = rigOf()
    const receiver = receive({ answer: () => 500 })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url, { events: ['typing', 'session.qr_generated'] })
    await rig.deliver()
    rig.storage.journal.tell({
      name: 'session.qr_generated',
      tenantId: TENANT,
      sessionId: sessionOf(1),
      fields: { qrText: 'secret' },
    })
    await receiver.waitFor((posts) => posts[0]?.answered === 500)
    expect(receiver.posts[0]).toMatchObject({ event: 'session.qr_generated', json: { cursor: null } })
    expect(rig.storage.webhooks.queueCounts(TENANT)).toEqual({
      pending: 0,
      processing: 0,
      failed: 0,
      retrying: 0,
    })
  })

  test('survives restarts and failures: everything arrives, in order per session, under the same id', async () => {
    const clock = createManualClock()
    const rig = rigOf(clock)
    // Every third post fails, whatever it is, but none so often that its lane would go on without it.
    const receiver = receive({
      answer: ({ attempt }, index) => (index % 3 === 2 && attempt <= 2 ? 503 : 204),
    })
    const sessions = [1, 2, 3, 4].map(sessionOf)
    await rig.sessions(1, 2, 3, 4)
    await rig.endpoint('account', receiver.url, { sessionId: null })
    await rig.deliver()
    const total = 25
    for (let round = 0; ; round += 1) {
      if (round < total) for (const session of sessions) await rig.happen(session, [round])
      if (round % 7 === 6) {
        await rig.reopen()
        await rig.deliver()
      }
      await clock.advance(RETRY_WAITS[0] * 2)
      if (sessions.every((session) => once(numbersOf(taken(receiver.posts), session)).length === total)) break
    }
    expect(receiver.posts.some(({ attempt }) => attempt > 1)).toBe(true)
    for (const session of sessions) {
      expect(numbersOf(taken(receiver.posts), session)).toEqual(upTo(total))
      const ids = new Map<unknown, Set<string>>()
      for (const { json, id, headers } of receiver.posts.filter((post) => post.json.sessionId === session)) {
        expect(headers['webhook-id']).toBe(id)
        ids.set(json.n, (ids.get(json.n) ?? new Set()).add(id))
      }
      for (const same of ids.values()) expect(same.size).toBe(1)
    }
  })

  test('an attempt cut off by the end of the process is due again under the same id', async () => {
    const rig = rigOf()
    const receiver = receive({ answer: () => 'hang' })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver()
    await rig.happen(sessionOf(1), [1])
    await receiver.waitFor((posts) => posts.length === 1)
    await rig.reopen()
    receiver.answerWith(() => 204)
    await rig.deliver()
    await receiver.waitFor((posts) => taken(posts).length === 1)
    expect(receiver.posts.map(({ id }) => id)).toEqual([
      receiver.posts[0]?.id ?? '',
      receiver.posts[0]?.id ?? '',
    ])
    expect(receiver.posts.map(({ attempt }) => attempt)).toEqual([1, 1])
  })
})

describe('the schedule of retries', () => {
  test('is the documented one, to the end', async () => {
    const clock = createManualClock()
    const rig = rigOf(clock)
    const receiver = receive({ answer: () => 500 })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver({ random: () => 0.5 })
    await rig.happen(sessionOf(1), [1])
    const retrying = () => rig.storage.webhooks.queueCounts(TENANT)
    const settled = async (attempts: number) => {
      await receiver.waitFor((posts) => posts[attempts - 1]?.answered)
      while (retrying().processing > 0) await clock.advance(0)
    }
    await settled(1)
    for (const [index, wait] of RETRY_WAITS.entries()) {
      await clock.advance(wait - 1_500)
      expect(receiver.posts).toHaveLength(index + 1)
      await clock.advance(1_500)
      await settled(index + 2)
      expect(receiver.posts.at(-1)?.attempt).toBe(index + 2)
    }
    expect(retrying()).toEqual({ pending: 0, processing: 0, failed: 1, retrying: 0 })
    expect(new Set(receiver.posts.map(({ id }) => id)).size).toBe(1)
  })

  test('waits as long as Retry-After says', async () => {
    const clock = createManualClock()
    const rig = rigOf(clock)
    const receiver = receive({
      answer: (_, index) => (index === 0 ? { status: 429, headers: { 'retry-after': '600' } } : 204),
    })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver()
    await rig.happen(sessionOf(1), [1])
    await receiver.waitFor((posts) => posts[0]?.answered)
    while (rig.storage.webhooks.queueCounts(TENANT).processing > 0) await clock.advance(0)
    await clock.advance(590_000)
    expect(receiver.posts).toHaveLength(1)
    await clock.advance(11_000)
    await receiver.waitFor((posts) => posts.length === 2)
  })
})

describe('a delivery that always fails', () => {
  const later = async (rig: WebhookRig, clock: ReturnType<typeof createManualClock>, ms: number) => {
    const settled = async () => {
      while (rig.storage.webhooks.queueCounts(TENANT).processing > 0) await clock.advance(0)
    }
    await settled()
    await clock.advance(ms)
    await settled()
  }

  test('because the endpoint refuses that event is set aside at once, and retried by the table beside its lane', async () => {
    const clock = createManualClock()
    const rig = rigOf(clock)
    const receiver = receive({ answer: ({ json }) => (json.n === 1 ? 422 : 204) })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver()
    await rig.happen(sessionOf(1), [0, 1, 2, 3])
    await receiver.waitFor((posts) => numbersOf(taken(posts)).length === 3)
    expect(numbersOf(receiver.posts)).toEqual([0, 1, 2, 3])
    for (const wait of RETRY_WAITS) await later(rig, clock, wait + 1_500)
    const refused = receiver.posts.filter(({ json }) => json.n === 1)
    expect(refused.map(({ attempt }) => attempt)).toEqual(upTo(RETRY_WAITS.length + 1).map((n) => n + 1))
    expect(rig.storage.webhooks.queueCounts(TENANT)).toEqual({
      pending: 0,
      processing: 0,
      failed: 1,
      retrying: 0,
    })
  })

  test('because the endpoint is down holds its lane for two retries, over restarts too', async () => {
    const clock = createManualClock()
    const rig = rigOf(clock)
    const receiver = receive({ answer: ({ json }) => (json.n === 1 ? 503 : 204) })
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.deliver()
    await rig.happen(sessionOf(1), [1, 2, 3])
    await receiver.waitFor((posts) => posts.length === 1 && posts[0]?.answered)
    await later(rig, clock, RETRY_WAITS[0] + 1_500)
    expect(numbersOf(receiver.posts)).toEqual([1, 1])
    await rig.reopen()
    await rig.deliver()
    await later(rig, clock, RETRY_WAITS[1] + 1_500)
    await receiver.waitFor((posts) => numbersOf(taken(posts)).length === 2)
    expect(numbersOf(receiver.posts)).toEqual([1, 1, 1, 2, 3])
    await rig.reopen()
    receiver.answerWith(() => 204)
    await rig.deliver()
    await later(rig, clock, RETRY_WAITS[2] + 1_500)
    await rig.drained()
    expect(receiver.posts.at(-1)).toMatchObject({ attempt: 4, json: { n: 1 } })
  })
})

describe('an endpoint that is gone', () => {
  test('is switched off and told to the others, and a new URL brings it back', async () => {
    const rig = rigOf()
    const gone = receive({ answer: () => 410 })
    const other = receive()
    await rig.sessions(1)
    const endpoint = await rig.endpoint('gone', `${gone.url}hook?token=secret`)
    await rig.endpoint('other', other.url, { events: ['webhook.*'] })
    await rig.deliver()
    await rig.happen(sessionOf(1), [1, 2, 3])
    const told = await other.waitFor((posts) => posts.find(({ event }) => event === 'webhook.disabled'))
    expect(told.json).toMatchObject({ endpointId: 'gone', url: `${gone.url}hook`, reason: 'gone' })
    expect(told.body).not.toContain('secret')
    const saved = () => rig.storage.webhooks.endpointsOf(TENANT, sessionOf(1)).find(({ id }) => id === 'gone')
    while (saved()?.isActive !== false) await Bun.sleep(1)
    await rig.happen(sessionOf(1), [4])
    await rig.storage.webhooks.fanOut(rig.storage.journal.head())
    expect(gone.posts.length).toBeLessThanOrEqual(1)
    expect(other.posts.filter(({ event }) => event === 'webhook.disabled')).toHaveLength(1)
    gone.answerWith(() => 204)
    await rig.storage.webhooks.saveEndpoint({ ...endpoint, isActive: true })
    await rig.happen(sessionOf(1), [5])
    await gone.waitFor((posts) => numbersOf(taken(posts)).includes(5))
  })
})

describe('the turn of a lane', () => {
  test('ends after some deliveries, so that a long backlog does not keep the places from others', async () => {
    const rig = rigOf()
    const order: number[] = []
    const receiver = receive({
      answer: ({ json }) => {
        order.push(json.n as number)
        return 204
      },
    })
    await rig.sessions(1, 2)
    for (const session of [1, 2]) {
      await rig.endpoint(`ep${session}`, receiver.url, { sessionId: sessionOf(session) })
    }
    await rig.happen(sessionOf(1), upTo(200))
    await rig.happen(sessionOf(2), [1_000])
    await rig.deliver({ limits: { fresh: 1, total: 1, perEndpoint: 1 } })
    await rig.drained()
    expect(order.filter((n) => n < 1_000)).toEqual(upTo(200))
    expect(order.indexOf(1_000)).toBeLessThanOrEqual(16)
  })

  test('ends when an outcome cannot be stored', async () => {
    const rig = rigOf()
    const receiver = receive()
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.happen(sessionOf(1), upTo(200))
    let isFull = true
    let refusals = 0
    await rig.deliver({
      between: ({ record }) => ({
        async record(...noted) {
          if (!isFull) return record(...noted)
          refusals += 1
          throw new Error('disk full')
        },
      }),
    })
    while (refusals < 3) await Bun.sleep(1)
    // The second was on its way when the outcome of the first was refused.
    expect(receiver.posts.length).toBeLessThanOrEqual(2)
    isFull = false
    await rig.drained()
    expect(numbersOf(receiver.posts)).toEqual(upTo(200))
  })

  test('posts again what it had not stored when the process ended, and loses nothing', async () => {
    const rig = rigOf()
    const receiver = receive()
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    await rig.happen(sessionOf(1), upTo(50))
    const unheard = Promise.withResolvers<void>()
    const cut = await rig.deliver({
      between: ({ record }) => ({
        record(delivery, ...how) {
          if ((JSON.parse(delivery.json) as { n: number }).n < 5) return record(delivery, ...how)
          // Never answered, never stored: as if the process had been killed.
          unheard.resolve()
          return new Promise(() => {})
        },
      }),
    })
    await unheard.promise
    // It never ends, as a killed process would not.
    void cut.stop()
    await rig.deliver()
    await rig.drained()
    const numbers = numbersOf(receiver.posts)
    expect(once(numbers)).toEqual(upTo(50))
    expect(numbers.length - 50).toBeLessThanOrEqual(16)
    const ids = new Map(receiver.posts.map(({ json, id }) => [json.n, id]))
    for (const { json, id } of receiver.posts) expect(id).toBe(ids.get(json.n) ?? '')
  })
})

describe('endpoints do not delay each other', () => {
  test('one of fifty hangs, and all others get everything', async () => {
    const rig = rigOf()
    const count = 50
    const receivers = upTo(count).map((n) => receive(n === 7 ? { answer: () => 'hang' } : {}))
    await rig.sessions(...upTo(count).map((n) => n + 1))
    for (const [n, receiver] of receivers.entries()) {
      await rig.endpoint(`ep${n}`, receiver.url, { sessionId: sessionOf(n + 1) })
    }
    await rig.deliver()
    for (const n of upTo(10)) for (const index of upTo(count)) await rig.happen(sessionOf(index + 1), [n])
    // The hanging one is never answered, and its time-out is far away: only independence lets this end in time.
    for (const [n, receiver] of receivers.entries()) {
      if (n === 7) continue
      await receiver.waitFor((posts) => posts.length === 10)
      expect(numbersOf(receiver.posts)).toEqual(upTo(10))
    }
    expect(receivers[7]?.posts).toHaveLength(1)
  }, 9_000)

  test('an endpoint of many sessions that hangs holds one place, and another with as many sessions gets all', async () => {
    const rig = rigOf()
    const hanging = receive({ answer: () => 'hang' })
    const healthy = receive()
    const sessions = upTo(150)
    await rig.sessions(...sessions.map((n) => n + 1))
    await rig.endpoint('hanging', hanging.url, { sessionId: null })
    await rig.endpoint('healthy', healthy.url, { sessionId: null })
    await rig.deliver()
    for (const n of sessions) await rig.happen(sessionOf(n + 1), [n])
    await healthy.waitFor((posts) => numbersOf(posts).length === sessions.length)
    expect(hanging.posts).toHaveLength(1)
  }, 9_000)

  test('a hundred and eighty that hang leave room for one that answers', async () => {
    const rig = rigOf()
    const hanging = receive({ answer: () => 'hang' })
    const healthy = receive()
    await rig.sessions(1, 2)
    for (const n of upTo(180)) await rig.endpoint(`h${n}`, `${hanging.url}${n}`, { sessionId: sessionOf(1) })
    await rig.endpoint('healthy', healthy.url, { sessionId: sessionOf(2) })
    await rig.deliver()
    await rig.happen(sessionOf(1), [1])
    await hanging.waitFor((posts) => posts.length >= 64)
    for (const n of upTo(50)) await rig.happen(sessionOf(2), [n])
    await healthy.waitFor((posts) => numbersOf(posts).length === 50)
  }, 9_000)

  test('an answering endpoint is posted to for several sessions at once, at most eight', async () => {
    const rig = rigOf()
    let open = 0
    let most = 0
    const receiver = receive({
      async answer() {
        open += 1
        most = Math.max(most, open)
        await Bun.sleep(5)
        open -= 1
        return 204
      },
    })
    const sessions = upTo(40)
    await rig.sessions(...sessions.map((n) => n + 1))
    await rig.endpoint('one', receiver.url, { sessionId: null })
    await rig.deliver()
    for (const n of upTo(3)) for (const session of sessions) await rig.happen(sessionOf(session + 1), [n])
    await rig.drained()
    expect(receiver.posts).toHaveLength(120)
    expect(most).toBeGreaterThan(1)
    expect(most).toBeLessThanOrEqual(8)
  })

  test('many sessions behind one endpoint are read once each, not again for every place that gets free', async () => {
    const rig = rigOf()
    const receiver = receive()
    const sessions = upTo(100)
    await rig.sessions(...sessions.map((n) => n + 1))
    await rig.endpoint('one', receiver.url, { sessionId: null })
    for (const session of sessions) await rig.happen(sessionOf(session + 1), upTo(5))
    let claimed = 0
    await rig.deliver({
      between: ({ due }) => ({
        due(...asked) {
          const found = due(...asked)
          claimed += found.length
          return found
        },
      }),
    })
    await rig.drained()
    expect(receiver.posts).toHaveLength(500)
    // Once each, and again only those that waited for long.
    expect(claimed).toBeLessThan(1_000)
  })
})

describe('a storage that does not accept writes for a while', () => {
  test('delays deliveries, and none is posted again because its outcome could not be stored', async () => {
    const rig = rigOf()
    const receiver = receive()
    await rig.sessions(1)
    await rig.endpoint('one', receiver.url)
    const refusals = { fanOut: 2, due: 2, record: 2 }
    const refuses = (what: keyof typeof refusals): void => {
      if (refusals[what] > 0) {
        refusals[what] -= 1
        throw new Error('disk full')
      }
    }
    await rig.deliver({
      between: ({ fanOut, due, record }) => ({
        async fanOut(to) {
          refuses('fanOut')
          return fanOut(to)
        },
        due(...asked) {
          refuses('due')
          return due(...asked)
        },
        async record(...noted) {
          refuses('record')
          return record(...noted)
        },
      }),
    })
    await rig.happen(sessionOf(1), [1, 2, 3])
    await receiver.waitFor((posts) => posts.length === 3)
    await rig.drained()
    expect(numbersOf(receiver.posts)).toEqual([1, 2, 3])
    expect(refusals).toEqual({ fanOut: 0, due: 0, record: 0 })
  })
})
