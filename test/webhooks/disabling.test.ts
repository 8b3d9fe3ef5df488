/** An endpoint that does nothing but fail is switched off after five days, told, and can be brought back whole. */
import { afterEach, describe, expect, test } from 'bun:test'
import { Webhook } from 'standardwebhooks'
import { rotated, SECRET_OVERLAP, signingSecrets } from '../../src/domain/webhook'
import { createManualClock } from '../harness/clock'
import { startReceiver } from '../harness/receiver'
import { TENANT } from '../storage/rig'
import { makeWebhookRig, sessionOf } from './rig'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const HOUR = 3_600_000

async function world() {
  const clock = createManualClock()
  const rig = makeWebhookRig(clock)
  const dead = startReceiver({ answer: () => 500 })
  const other = startReceiver()
  ends.push(rig.clear, dead.stop, other.stop)
  await rig.sessions(1)
  await rig.endpoint('dead', `${dead.url}hook?token=secret`, { events: ['message.*'] })
  await rig.endpoint('other', other.url, { events: ['webhook.*'] })
  let delivery = await rig.deliver()
  const { webhooks } = rig.storage
  const shown = () => rig.storage.webhooks.endpoint(TENANT, 'dead')
  let hour = 0
  return {
    clock,
    rig,
    dead,
    other,
    shown,
    webhooks,
    /** One event an hour, each of them tried; over a restart every second day. */
    async hours(n: number, until: () => boolean = () => false) {
      for (let passed = 0; passed < n; passed += 1) {
        await rig.happen(sessionOf(1), [hour])
        hour += 1
        if (hour % 48 === 0) {
          await rig.reopen()
          delivery = await rig.deliver()
        }
        clock.jump(HOUR)
        delivery.wake()
        const isBusy = () =>
          rig.storage.webhooks.position() < rig.storage.journal.head() ||
          rig.storage.webhooks.queueCounts(TENANT).processing > 0 ||
          (rig.storage.webhooks.nextDueAt() ?? Number.POSITIVE_INFINITY) <= clock.now()
        while (isBusy()) await clock.advance(0)
        if (until()) return passed + 1
      }
      return n
    },
    wake: () => delivery.wake(),
    happened: () => hour,
  }
}

describe('an endpoint that does nothing but fail', () => {
  test('is disabled after 120 hours, told once, and a replay brings everything', async () => {
    const { clock, rig, dead, other, shown, hours, wake, happened } = await world()
    const start = rig.storage.journal.head()
    const began = clock.now()
    const took = await hours(130, () => shown()?.isActive === false)
    expect(took).toBeGreaterThanOrEqual(120)
    expect(took).toBeLessThanOrEqual(122)
    expect(shown()).toMatchObject({ isActive: false, disabledReason: 'failing' })
    const told = await other.waitFor((posts) => posts.find(({ event }) => event === 'webhook.disabled'))
    expect(told.json).toMatchObject({ endpointId: 'dead', reason: 'failing', url: `${dead.url}hook` })
    expect(Date.parse(String(told.json.since)) - began).toBeLessThanOrEqual(HOUR)
    expect(told.body).not.toContain('token=secret')
    const posted = dead.posts.length
    await hours(30)
    expect(dead.posts).toHaveLength(posted)
    expect(other.posts).toHaveLength(1)

    dead.answerWith(() => 204)
    const endpoint = shown()
    if (!endpoint) throw new Error('it is there')
    await rig.storage.webhooks.saveEndpoint({ ...endpoint, isActive: true })
    expect(shown()).toMatchObject({ isActive: true, disabledReason: null, failingSince: null })
    wake()
    // What waited comes by itself; what was given up or came while it was off, by a replay.
    await rig.drained()
    await rig.storage.webhooks.replaySince({ sessionId: sessionOf(1), after: start, endpointId: 'dead' })
    wake()
    await rig.drained()
    const got = new Set(dead.posts.filter(({ answered }) => answered === 204).map(({ json }) => json.n))
    expect(got.size).toBe(happened())
  }, 60_000)

  test('stays on when one attempt of the fourth day succeeds', async () => {
    const { dead, other, shown, hours } = await world()
    await hours(96)
    expect(shown()?.failingSince).not.toBeNull()
    let given = 1
    dead.answerWith(() => {
      given -= 1
      return given >= 0 ? 204 : 500
    })
    await hours(110)
    expect(shown()?.isActive).toBe(true)
    expect(other.posts).toHaveLength(0)
    const more = await hours(40, () => shown()?.isActive === false)
    expect(more).toBeGreaterThanOrEqual(8)
    expect(more).toBeLessThanOrEqual(14)
  }, 60_000)

  test('and answers 410 is disabled at once, and nothing of what it was meant to get is lost', async () => {
    const { dead, other, shown, hours, rig, wake } = await world()
    dead.answerWith(() => 410)
    await hours(1)
    expect(shown()).toMatchObject({ isActive: false, disabledReason: 'gone' })
    expect((await other.waitFor((posts) => posts[0])).json).toMatchObject({ reason: 'gone' })
    dead.answerWith(() => 204)
    const endpoint = shown()
    if (!endpoint) throw new Error('it is there')
    await rig.storage.webhooks.saveEndpoint({ ...endpoint, isActive: true })
    wake()
    await dead.waitFor((posts) => posts.some(({ answered, json }) => answered === 204 && json.n === 0))
  })
})

test('the secret before a rotation signs along for 24 hours and no longer', async () => {
  const clock = createManualClock()
  const rig = makeWebhookRig(clock)
  const receiver = startReceiver()
  ends.push(rig.clear, receiver.stop)
  await rig.sessions(1)
  const before = await rig.endpoint('one', receiver.url)
  const now = clock.now()
  const after = rotated(before, `whsec_${Buffer.alloc(32, 5).toString('base64')}`, now)
  await rig.storage.webhooks.saveEndpoint(after)
  expect(signingSecrets(after, now + SECRET_OVERLAP - 1)).toEqual([after.secret, before.secret])
  expect(signingSecrets(after, now + SECRET_OVERLAP)).toEqual([after.secret])
  await rig.reopen()
  await rig.deliver()
  const postAfter = async (ms: number, n: number) => {
    clock.jump(ms)
    await rig.happen(sessionOf(1), [n])
    return receiver.waitFor((posts) => posts.find(({ json }) => json.n === n))
  }
  const verify = (secret: string, { body, headers }: { body: string; headers: Record<string, string> }) =>
    new Webhook(secret).verify(body, headers)
  const early = await postAfter(SECRET_OVERLAP - 1_000, 1)
  for (const secret of [before.secret, after.secret]) expect(verify(secret, early)).toMatchObject({ n: 1 })
  const late = await postAfter(2_000, 2)
  expect(verify(after.secret, late)).toMatchObject({ n: 2 })
  expect(() => verify(before.secret, late)).toThrow()
})
