/** What a plan does to sending (pace, room in the queue), the session that it refuses, and the alert on suspicious volume. */
import { afterEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { type Allowance, DEFAULT_PLANS } from '../../src/domain/plans'
import type { SendRequest } from '../../src/domain/sending'
import { createRig, type Rig, TENANT } from './rig'
import { adaPhone } from './scripted-whatsapp'

let rig: Rig
afterEach(() => rig.end())

const MINUTE = 60_000
const HOUR = 60 * MINUTE
const BIG: Allowance = { plan: 'enterprise', limits: { ...DEFAULT_PLANS.enterprise, queue: null } }
const FREE: Allowance = { plan: 'free', limits: { ...DEFAULT_PLANS.free, messages: 3, queue: 5 } }

const say = (text: string): SendRequest => ({ to: adaPhone, ask: { type: 'text', text } })
const send = (id: SessionId, text: string) => rig.supervisor.send(id, { ...say(text), queue: true })
const wire = () => rig.whatsapp.last().sends.map(({ raw }) => new TextDecoder().decode(raw))
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    ({ code }: { code: string }) => code,
  )
const told = (name: string) => rig.told.filter(({ event }) => event === name)

describe('messages a minute', () => {
  test('so many leave at once; what is more waits, in order, and nothing is refused', async () => {
    rig = await createRig({ allowanceOf: () => FREE })
    const id = await rig.link()
    for (const text of ['1', '2', '3', '4', '5', '6', '7']) await send(id, text)
    await rig.clock.advance(0)
    expect(wire()).toEqual(['1', '2', '3'])
    expect(rig.supervisor.queueState(id)).toMatchObject({
      waiting: 4,
      hold: 'pacing',
      nextAt: rig.clock.now() + MINUTE,
    })
    await rig.clock.advance(MINUTE - 1)
    expect(wire()).toHaveLength(3)
    await rig.clock.advance(1)
    expect(wire()).toEqual(['1', '2', '3', '4', '5', '6'])
    await rig.clock.advance(MINUTE)
    expect(wire()).toEqual(['1', '2', '3', '4', '5', '6', '7'])
    expect(told('message.failed')).toEqual([])
  })

  test('any minute that one looks at has no more than that', async () => {
    rig = await createRig({ allowanceOf: () => FREE })
    const id = await rig.link()
    const at: number[] = []
    const look = () => {
      while (at.length < wire().length) at.push(rig.clock.monotonic())
    }
    for (let step = 0; step < 60; step += 1) {
      // As much as the queue takes, at uneven times.
      await codeOf(send(id, `${step}`))
      look()
      for (let second = 0; second < ((step * 7) % 5) * 4; second += 1) {
        await rig.clock.advance(1_000)
        look()
      }
    }
    expect(at.length).toBeGreaterThan(15)
    for (let index = 3; index < at.length; index += 1) {
      expect((at[index] ?? 0) - (at[index - 3] ?? 0)).toBeGreaterThanOrEqual(MINUTE)
    }
  })

  test('the pace of the settings holds as well when it is slower', async () => {
    rig = await createRig({ allowanceOf: () => FREE })
    const id = await rig.link({ sendPacing: { messagesPerMinute: 2 } })
    for (const text of ['1', '2', '3']) await send(id, text)
    await rig.clock.advance(MINUTE - 1)
    expect(wire()).toEqual(['1', '2'])
    await rig.clock.advance(1)
    expect(wire()).toEqual(['1', '2', '3'])
  })

  test('another plan counts for what waits already', async () => {
    let allowance = FREE
    rig = await createRig({ allowanceOf: () => allowance })
    const id = await rig.link()
    for (const text of ['1', '2', '3', '4', '5']) await send(id, text)
    await rig.clock.advance(0)
    expect(wire()).toHaveLength(3)
    allowance = BIG
    await rig.clock.advance(30_000)
    await send(id, '6')
    await rig.clock.advance(0)
    expect(wire()).toHaveLength(6)
    allowance = FREE
    for (const text of ['7', '8', '9', '10']) await send(id, text)
    await rig.clock.advance(0)
    // What left while nothing was counted is no matter now, the three before it are.
    expect(wire()).toHaveLength(6)
    await rig.clock.advance(30_000)
    expect(wire()).toHaveLength(9)
  })

  test('control: without a plan everything leaves at once', async () => {
    rig = await createRig()
    const id = await rig.link()
    for (const text of ['1', '2', '3', '4', '5', '6', '7']) await send(id, text)
    await rig.clock.advance(0)
    expect(wire()).toHaveLength(7)
  })
})

describe('room in the queue', () => {
  test('as the plan says at the moment; the sixth that waits is refused', async () => {
    let allowance = FREE
    rig = await createRig({ allowanceOf: () => allowance })
    const id = await rig.link({ queuePaused: true })
    for (const text of ['1', '2', '3', '4', '5']) await send(id, text)
    const refused = await send(id, '6').catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'QUEUE_FULL', status: 429, details: { waiting: 5, limit: 5 } })
    allowance = BIG
    await send(id, '6')
  })
})

describe('session.limit_reached', () => {
  const create = () => rig.supervisor.create(TENANT, { name: 'One more' }, 1)

  test('is told with plan and numbers, by the newest session, once a minute', async () => {
    rig = await createRig({ allowanceOf: () => FREE })
    const id = await rig.make()
    const refused = await create().catch((error: unknown) => error)
    expect(refused).toMatchObject({ code: 'SESSION_LIMIT_REACHED', details: { limit: 1, sessions: 1 } })
    expect(told('session.limit_reached')).toMatchObject([
      { sessionId: id, kept: true, plan: 'free', limit: 1, sessions: 1 },
    ])
    for (let again = 0; again < 20; again += 1) expect(await codeOf(create())).toBe('SESSION_LIMIT_REACHED')
    expect(told('session.limit_reached')).toHaveLength(1)
    await rig.clock.advance(MINUTE)
    expect(await codeOf(create())).toBe('SESSION_LIMIT_REACHED')
    expect(told('session.limit_reached')).toHaveLength(2)
  })

  test('a disk that refuses changes nothing about the answer', async () => {
    rig = await createRig()
    await rig.make()
    rig.diskFull = true
    expect(await codeOf(create())).toBe('SESSION_LIMIT_REACHED')
  })
})

describe('session.volume_alert', () => {
  const sendMany = async (id: SessionId, count: number) => {
    for (let index = 0; index < count; index += 1) await send(id, `${index}`)
    await rig.clock.advance(10)
  }
  const alerts = () => told('session.volume_alert')

  test('is told with the message that is one too many, once in that hour', async () => {
    rig = await createRig({ volumeAlert: 5 })
    const id = await rig.link()
    const from = Math.floor(rig.clock.now() / HOUR) * HOUR
    await sendMany(id, 5)
    expect(alerts()).toEqual([])
    await sendMany(id, 1)
    expect(alerts()).toMatchObject([
      {
        sessionId: id,
        kept: true,
        count: 6,
        limit: 5,
        from: new Date(from).toISOString(),
        until: new Date(from + HOUR).toISOString(),
      },
    ])
    await sendMany(id, 20)
    expect(alerts()).toHaveLength(1)
    await rig.clock.advance(HOUR)
    await sendMany(id, 5)
    expect(alerts()).toHaveLength(1)
    await sendMany(id, 1)
    expect(alerts()).toHaveLength(2)
  })

  test('it is in one commit with its message', async () => {
    rig = await createRig({ volumeAlert: 1 })
    const id = await rig.link()
    await sendMany(id, 2)
    const names = rig.commits.map((facts) => facts.flatMap(({ events }) => events.map(({ name }) => name)))
    expect(names.filter((each) => each.includes('session.volume_alert'))).toEqual([
      ['message.sent', 'session.volume_alert'],
    ])
  })

  test.each([
    ['before it', 4, 2],
    ['right before it', 5, 1],
    ['after it', 6, 1],
  ])('a crash %s neither forgets nor doubles it', async (_, before, after) => {
    rig = await createRig({ volumeAlert: 5 })
    const id = await rig.link()
    await sendMany(id, before)
    await rig.crash()
    rig.whatsapp.last().opened({})
    await rig.clock.advance(10)
    await sendMany(id, after)
    expect(alerts()).toHaveLength(1)
    await sendMany(id, 5)
    expect(alerts()).toHaveLength(1)
  })

  test('a clock that is set back into an hour that was told tells it not again', async () => {
    rig = await createRig({ volumeAlert: 2 })
    const id = await rig.link()
    await sendMany(id, 3)
    expect(alerts()).toHaveLength(1)
    rig.clock.jump(2 * HOUR)
    await sendMany(id, 1)
    rig.clock.jump(-2 * HOUR)
    await sendMany(id, 3)
    expect(alerts()).toHaveLength(1)
  })

  test('a commit that fails is not counted, and the alert comes with the next', async () => {
    rig = await createRig({ volumeAlert: 1 })
    const id = await rig.link()
    await sendMany(id, 1)
    const held = Promise.withResolvers<void>()
    await send(id, 'second')
    rig.holdCommits = held.promise
    await rig.clock.advance(0)
    rig.diskFull = true
    held.resolve()
    rig.holdCommits = null
    await rig.clock.advance(10)
    expect(alerts()).toEqual([])
    rig.diskFull = false
    await rig.clock.advance(31_000)
    expect(alerts()).toHaveLength(1)
    expect(alerts()[0]).toMatchObject({ count: 2 })
  })

  test('messages that fail, come in, or are sent on the phone are none of them', async () => {
    rig = await createRig({ volumeAlert: 1 })
    const id = await rig.link({ queuePaused: true })
    for (let index = 0; index < 5; index += 1) {
      const { message } = await send(id, `${index}`)
      await rig.supervisor.cancel(id, message.id)
    }
    await rig.supervisor.update(id, { settings: { queuePaused: false } })
    await sendMany(id, 1)
    expect(alerts()).toEqual([])
  })

  test('control: without a number there is no alert', async () => {
    rig = await createRig()
    const id = await rig.link()
    await sendMany(id, 20)
    expect(alerts()).toEqual([])
  })
})
