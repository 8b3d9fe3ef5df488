/** Every answer that a receiver can give, and when the delivery is tried again, under a clock of the test's own. */
import { afterEach, describe, expect, test } from 'bun:test'
import type { Delivery } from '../../src/domain/webhook'
import { leavesLane, RETRY_WAITS } from '../../src/domain/webhook'
import { createManualClock } from '../harness/clock'
import { startRawReceiver } from '../harness/raw-receiver'
import { TENANT } from '../storage/rig'
import { makeWebhookRig, sessionOf } from './rig'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const DAY = 86_400_000
const ATTEMPTS = RETRY_WAITS.length + 1

/** One endpoint for each path, and one event for all of them. */
async function world(paths: readonly string[]) {
  const clock = createManualClock()
  const rig = makeWebhookRig(clock)
  const receiver = startRawReceiver()
  ends.push(rig.clear, receiver.stop)
  await rig.sessions(1)
  for (const path of paths) await rig.endpoint(path, receiver.url + path, { events: ['message.*'] })
  const delivery = await rig.deliver({ timeoutMs: 400, random: Math.random })
  await rig.happen(sessionOf(1), [1])
  const { webhooks, journal } = rig.storage
  return {
    clock,
    receiver,
    webhooks,
    /** Lets time pass in one step, so that all that is due is tried at one moment. */
    pass(ms: number) {
      clock.jump(ms)
      delivery.wake()
    },
    /** Until nothing is due any more; no time passes. */
    async rest() {
      const isBusy = () =>
        webhooks.position() < journal.head() ||
        webhooks.queueCounts(TENANT).processing > 0 ||
        (webhooks.nextDueAt() ?? Number.POSITIVE_INFINITY) <= clock.now()
      while (isBusy()) await clock.advance(0)
    },
    of(path: string): Delivery {
      const { deliveries } = webhooks.deliveries({
        sessionId: sessionOf(1),
        endpointId: path,
        limit: 1,
        offset: 0,
      })
      if (!deliveries[0]) throw new Error(`nothing for ${path}`)
      return deliveries[0]
    },
    /** A connection that ends without an answer is tried a second time within one attempt. */
    timesAsked: (path: string) =>
      new Set(receiver.asked.filter((asked) => asked.path === path).map(({ attempt }) => attempt)).size,
  }
}

describe('the retry table', () => {
  test('is kept for every status, and for answers that are none', async () => {
    const statuses = Array.from({ length: 500 }, (_, n) => n + 100)
    const kinds = ['reset', 'empty', 'junk', 'silent', 'half-head', 'slow-body-200', 'slow-body-503']
    const paths = [...statuses.map((status) => `/status/${status}`), ...kinds.map((kind) => `/${kind}`)]
    const { clock, receiver, webhooks, rest, pass, of, timesAsked } = await world(paths)
    const succeeds = (path: string) => /^\/(status\/2|slow-body-2)/.test(path)
    const failing = paths.filter((path) => !succeeds(path) && path !== '/status/410')
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      await rest()
      const wait = RETRY_WAITS[attempt - 1]
      for (const path of failing) {
        const { attempts, nextAttemptAt, state } = of(path)
        expect({ path, attempts, state }).toEqual({
          path,
          attempts: attempt,
          state: wait === undefined ? 'failed' : 'retrying',
        })
        if (wait === undefined) continue
        const share = ((nextAttemptAt ?? 0) - clock.now()) / wait
        expect({ path, early: share < 0.8 - 1e-6, late: share > 1.2 + 1e-6 }).toEqual({
          path,
          early: false,
          late: false,
        })
      }
      pass((wait ?? DAY) * 1.2 + 1)
    }
    await rest()
    for (const path of failing) expect({ path, n: timesAsked(path) }).toEqual({ path, n: ATTEMPTS })
    for (const path of paths.filter(succeeds)) {
      expect({ path, n: timesAsked(path), state: of(path).state }).toEqual({ path, n: 1, state: 'delivered' })
    }
    expect(timesAsked('/status/410')).toBe(1)
    expect(of('/status/410')).toMatchObject({ state: 'retrying', nextAttemptAt: null })
    expect(webhooks.endpoint(TENANT, '/status/410')).toMatchObject({
      isActive: false,
      disabledReason: 'gone',
    })
    // No redirect was followed.
    expect(receiver.asked.filter(({ path }) => path.includes('followed'))).toEqual([])
  }, 120_000)

  test('gives way to Retry-After: seconds and dates up to a day, nothing else', async () => {
    const inTenMinutes = new Date(Date.now() + 600_000).toUTCString()
    const asked: [string, number, number][] = [
      ['600', 600_000, 600_000],
      [inTenMinutes, 595_000, 601_000],
      ['31536000', DAY, DAY],
      ['999999999999999', DAY, DAY],
      ['Fri, 31 Dec 2100 23:59:59 GMT', DAY, DAY],
      ['0', 24_000, 36_000],
      ['Thu, 01 Jan 1970 00:00:00 GMT', 24_000, 36_000],
      ['-5', 24_000, 36_000],
      ['1e9', 24_000, 36_000],
      ['soon', 24_000, 36_000],
      ['9'.repeat(40), 24_000, 36_000],
    ]
    const pathOf = (header: string) => `/retry/${encodeURIComponent(header)}`
    const { clock, rest, of } = await world(asked.map(([header]) => pathOf(header)))
    await rest()
    for (const [header, least, most] of asked) {
      const wait = (of(pathOf(header)).nextAttemptAt ?? 0) - clock.now()
      expect({ header, fits: wait >= least && wait <= most }).toEqual({ header, fits: true })
    }
  })
})

test('which failures leave their lane', () => {
  const atOnce = (status: number | null) => leavesLane(1, status)
  for (let status = 100; status < 600; status += 1) {
    const refuses = status >= 400 && status < 500 && ![408, 410, 425, 429].includes(status)
    expect({ status, leaves: atOnce(status) }).toEqual({ status, leaves: refuses })
  }
  expect([1, 2, 3, 4].map((attempt) => leavesLane(attempt, null))).toEqual([false, false, true, true])
  expect([1, 2, 3, 4].map((attempt) => leavesLane(attempt, 503))).toEqual([false, false, true, true])
})
