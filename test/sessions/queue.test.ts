/** The send queue on a clock that the test moves: scheduled, out of time, called back, paused, paced. */
import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { Ask } from '../../src/domain/content'
import { asMessageId, phoneJid, type SessionId } from '../../src/domain/ids'
import type { SendRequest } from '../../src/domain/sending'
import type { SessionSettings } from '../../src/domain/session'
import { SendUnconfirmed } from '../../src/domain/whatsapp'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { adaPhone } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const HOUR = 3_600_000
const DAY = 86_400_000
const BOB = phoneJid('49304444444')

const said = (words: string): Ask => ({ type: 'text', text: words })
const send = async (id: SessionId, words: string, also: Partial<SendRequest> = {}) =>
  (await rig.supervisor.send(id, { to: adaPhone, ask: said(words), ...also })).message
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no failure',
    ({ code }: { code: string }) => code,
  )
const wire = () => rig.whatsapp.last().sends.map(({ raw }) => new TextDecoder().decode(raw))
const stored = (id: SessionId, messageId: string) => rig.storage.messages.get(id, messageId)
const failures = () =>
  rig.told.filter(({ event }) => event === 'message.failed').map(({ code, messageId }) => [code, messageId])
const set = (id: SessionId, settings: Partial<SessionSettings>) => rig.supervisor.update(id, { settings })
const state = (id: SessionId) => rig.supervisor.queueState(id)

describe('scheduled', () => {
  test('leaves at its moment, not before, and lets others of its chat pass', async () => {
    const id = await rig.link()
    const at = rig.clock.now() + 2 * HOUR
    const later = await send(id, 'later', { sendAt: at })
    expect(later).toMatchObject({ status: 'queued', schedule: { sendAt: at, expiresAt: at + DAY } })
    await send(id, 'now')
    expect(state(id)).toEqual({ waiting: 0, scheduled: 1, hold: 'scheduled', nextAt: at })
    await rig.clock.advance(2 * HOUR - 1)
    expect(wire()).toEqual(['now'])
    await rig.clock.advance(1)
    expect(wire()).toEqual(['now', 'later'])
    expect(stored(id, later.id)).toMatchObject({ status: 'sent', schedule: null })
    expect(state(id)).toEqual({ waiting: 0, scheduled: 0, hold: null, nextAt: null })
    expect(rig.told.find(({ event, text }) => event === 'message.queued' && text === 'later')).toMatchObject({
      sendAt: new Date(at).toISOString(),
    })
  })

  test('a month ahead, which is more than a timer can hold', async () => {
    const id = await rig.link()
    await send(id, 'next month', { sendAt: rig.clock.now() + 40 * DAY })
    await rig.clock.advance(40 * DAY - 1)
    expect(wire()).toEqual([])
    await rig.clock.advance(1)
    expect(wire()).toEqual(['next month'])
  })

  test('by the wall clock: set forward it comes sooner, set back it comes later', async () => {
    const id = await rig.link()
    await send(id, 'soon', { sendAt: rig.clock.now() + 10 * HOUR })
    await send(id, 'late', { sendAt: rig.clock.now() + 20 * HOUR })
    rig.clock.jump(10 * HOUR)
    await rig.clock.advance(30_000)
    expect(wire()).toEqual(['soon'])
    rig.clock.jump(-5 * HOUR)
    await rig.clock.advance(10 * HOUR)
    expect(wire()).toEqual(['soon'])
    await rig.clock.advance(5 * HOUR)
    expect(wire()).toEqual(['soon', 'late'])
  })

  test('over a crash and while away: at once when its moment has passed, in the order of the moments', async () => {
    const id = await rig.link()
    await send(id, 'second', { sendAt: rig.clock.now() + 2 * HOUR })
    await send(id, 'first', { sendAt: rig.clock.now() + HOUR })
    await send(id, 'third', { sendAt: rig.clock.now() + 5 * HOUR })
    rig.clock.jump(3 * HOUR)
    await rig.crash()
    rig.whatsapp.last().opened()
    await settle()
    expect(wire()).toEqual(['first', 'second'])
    await rig.clock.advance(2 * HOUR)
    expect(wire()).toEqual(['first', 'second', 'third'])
  })

  test('is taken while the session is reconnecting', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    expect((await send(id, 'x', { sendAt: rig.clock.now() + HOUR })).status).toBe('queued')
  })
})

describe('time to live', () => {
  test('over: failed, told once, never sent', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    const short = await send(id, 'short', { queue: true, ttlMs: 500 })
    const long = await send(id, 'long', { queue: true })
    // The connection comes back only after that.
    await rig.clock.advance(999)
    expect(failures()).toEqual([['MESSAGE_EXPIRED', short.id]])
    await rig.clock.advance(1)
    rig.whatsapp.last().opened()
    await settle()
    expect(wire()).toEqual(['long'])
    expect(stored(id, short.id)).toMatchObject({ status: 'failed', error: { code: 'MESSAGE_EXPIRED' } })
    expect(stored(id, long.id)?.status).toBe('sent')
    expect(failures()).toHaveLength(1)
  })

  test('counts from the moment at which it could have left', async () => {
    const id = await rig.link()
    await set(id, { queuePaused: true })
    const message = await send(id, 'x', { sendAt: rig.clock.now() + HOUR, ttlMs: HOUR })
    await rig.clock.advance(2 * HOUR - 1)
    expect(stored(id, message.id)?.status).toBe('queued')
    await rig.clock.advance(1)
    expect(stored(id, message.id)?.status).toBe('failed')
  })

  test('over during a time without a process', async () => {
    const id = await rig.link()
    await set(id, { queuePaused: true })
    const message = await send(id, 'x', { ttlMs: HOUR })
    await rig.crash()
    expect(stored(id, message.id)?.status).toBe('queued')
    await rig.clock.advance(HOUR)
    expect(failures()).toEqual([['MESSAGE_EXPIRED', message.id]])
  })

  test('over by a clock that was set forward', async () => {
    const id = await rig.link()
    await set(id, { queuePaused: true })
    const message = await send(id, 'x', { ttlMs: HOUR })
    rig.clock.jump(HOUR)
    await rig.clock.advance(30_000)
    expect(stored(id, message.id)?.status).toBe('failed')
  })

  test('a disk that is full then: told when it takes it', async () => {
    const id = await rig.link()
    await set(id, { queuePaused: true })
    const message = await send(id, 'x', { ttlMs: HOUR })
    rig.diskFull = true
    await rig.clock.advance(HOUR)
    expect(stored(id, message.id)?.status).toBe('queued')
    rig.diskFull = false
    await rig.clock.advance(60_000)
    expect(stored(id, message.id)?.status).toBe('failed')
    expect(failures()).toHaveLength(1)
  })
})

describe('called back', () => {
  test('one that waits: failed and told, and not sent', async () => {
    const id = await rig.link()
    const message = await send(id, 'x', { sendAt: rig.clock.now() + HOUR })
    const cancelled = await rig.supervisor.cancel(id, message.id)
    expect(cancelled).toMatchObject({ status: 'failed', error: { code: 'MESSAGE_CANCELLED' } })
    expect(failures()).toEqual([['MESSAGE_CANCELLED', message.id]])
    expect(state(id).scheduled).toBe(0)
    await rig.clock.advance(2 * HOUR)
    expect(wire()).toEqual([])
    expect(await codeOf(rig.supervisor.cancel(id, message.id))).toBe('MESSAGE_NOT_QUEUED')
  })

  test('whoever waits for it is told', async () => {
    const id = await rig.link({ sendPacing: { messagesPerMinute: 1 } })
    await send(id, 'first')
    const second = codeOf(send(id, 'second'))
    await settle()
    const [queued] = rig.storage.messages.queued(id)
    await rig.supervisor.cancel(id, queued?.id ?? asMessageId('none'))
    expect(await second).toBe('MESSAGE_CANCELLED')
  })

  test('one on the wire, or that may have arrived, is not', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const message = await send(id, 'x', { queue: true })
    await settle()
    expect(await codeOf(rig.supervisor.cancel(id, message.id))).toBe('MESSAGE_NOT_QUEUED')
    rig.whatsapp.last().sends[0]?.fail(new SendUnconfirmed('no acknowledgement'))
    await settle()
    expect(await codeOf(rig.supervisor.cancel(id, message.id))).toBe('MESSAGE_NOT_QUEUED')
    expect(stored(id, message.id)?.status).toBe('queued')
  })

  test('one that was sent, one that never was, one of somebody else', async () => {
    const id = await rig.link()
    const { id: sent } = await send(id, 'x')
    expect(await codeOf(rig.supervisor.cancel(id, sent))).toBe('MESSAGE_NOT_QUEUED')
    expect(await codeOf(rig.supervisor.cancel(id, asMessageId('NOPE')))).toBe('MESSAGE_NOT_FOUND')
    rig.whatsapp.last().message({ id: asMessageId('THEIRS') })
    await settle()
    expect(await codeOf(rig.supervisor.cancel(id, asMessageId('THEIRS')))).toBe('MESSAGE_NOT_FOUND')
  })

  test('a disk that refuses leaves it waiting for its moment', async () => {
    const id = await rig.link()
    const message = await send(id, 'x', { sendAt: rig.clock.now() + HOUR })
    rig.diskFull = true
    expect(await codeOf(rig.supervisor.cancel(id, message.id))).toBe('STORAGE_UNAVAILABLE')
    rig.diskFull = false
    await rig.clock.advance(HOUR - 1)
    expect(wire()).toEqual([])
    await rig.clock.advance(1)
    expect(wire()).toEqual(['x'])
  })
})

describe('paused', () => {
  test('messages are taken, answered at once, and wait; resumed they go in order', async () => {
    const id = await rig.link({ queuePaused: true })
    const answers = await Promise.all(['one', 'two', 'three'].map((words) => send(id, words)))
    expect(answers.map(({ status }) => status)).toEqual(['queued', 'queued', 'queued'])
    await rig.clock.advance(HOUR)
    expect(wire()).toEqual([])
    expect(state(id)).toEqual({ waiting: 3, scheduled: 0, hold: 'paused', nextAt: null })
    await set(id, { queuePaused: false })
    await settle()
    expect(wire()).toEqual(['one', 'two', 'three'])
  })

  test('takes effect at once: what is on the wire ends, what is behind it stays', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const first = send(id, 'first')
    const second = send(id, 'second', { queue: true })
    await settle()
    await set(id, { queuePaused: true })
    rig.whatsapp.last().sends[0]?.acknowledge()
    expect((await first).status).toBe('sent')
    await second
    await settle()
    expect(wire()).toEqual(['first'])
    rig.whatsapp.acknowledges = true
    await set(id, { queuePaused: false })
    await settle()
    expect(wire()).toEqual(['first', 'second'])
  })

  test('stays so over a restart', async () => {
    const id = await rig.link({ queuePaused: true })
    await send(id, 'x')
    await rig.crash()
    rig.whatsapp.last().opened()
    await settle()
    expect(wire()).toEqual([])
    await set(id, { queuePaused: false })
    await settle()
    expect(wire()).toEqual(['x'])
  })

  test('is no way around a session that cannot send', async () => {
    const id = await rig.make({ queuePaused: true })
    expect(await codeOf(send(id, 'x'))).toBe('SESSION_NOT_CONNECTED')
  })
})

describe('paced', () => {
  test('one message per pause, over all chats, in turns', async () => {
    const id = await rig.link({ sendPacing: { messagesPerMinute: 6 } })
    for (const words of ['a1', 'a2', 'a3']) await send(id, words, { queue: true })
    await send(id, 'b1', { queue: true, to: BOB })
    await settle()
    expect(wire()).toEqual(['a1'])
    expect(state(id)).toMatchObject({ waiting: 3, hold: 'pacing', nextAt: rig.clock.now() + 10_000 })
    await rig.clock.advance(9_999)
    expect(wire()).toHaveLength(1)
    await rig.clock.advance(1)
    expect(wire()).toHaveLength(2)
    await rig.clock.advance(20_000)
    expect(wire().sort()).toEqual(['a1', 'a2', 'a3', 'b1'])
  })

  test('pauses vary as far as the jitter allows', async () => {
    const jittered = await createRig({}, [0, 1, 0.5])
    const id = await jittered.link({ sendPacing: { messagesPerMinute: 6, jitter: 0.5 } })
    const lengths: number[] = []
    for (const words of ['1', '2', '3', '4'])
      await jittered.supervisor.send(id, { to: adaPhone, ask: said(words), queue: true })
    await settle()
    for (let sent = 1; sent < 4; sent += 1) {
      const from = jittered.clock.monotonic()
      while (jittered.whatsapp.last().sends.length === sent) await jittered.clock.advance(100)
      lengths.push(jittered.clock.monotonic() - from)
    }
    expect(lengths).toEqual([5_000, 15_000, 10_000])
    await jittered.end()
  })

  test('a caller whose time is over is told that its message waits; it is sent all the same', async () => {
    const id = await rig.link({ sendPacing: { messagesPerMinute: 1 } })
    await send(id, 'first')
    const second = codeOf(send(id, 'second', { waitMs: 5_000 }))
    await rig.clock.advance(5_000)
    expect(await second).toBe('MESSAGE_TIMEOUT')
    await rig.clock.advance(55_000)
    expect(wire()).toEqual(['first', 'second'])
  })

  test('a change of pace counts from the last message', async () => {
    const id = await rig.link({ sendPacing: { messagesPerMinute: 1 } })
    await send(id, 'first')
    await send(id, 'second', { queue: true })
    await rig.clock.advance(20_000)
    await set(id, { sendPacing: { messagesPerMinute: 3 } })
    await settle()
    expect(wire()).toEqual(['first', 'second'])
    await send(id, 'third', { queue: true })
    await set(id, { sendPacing: null })
    await settle()
    expect(wire()).toHaveLength(3)
  })

  test('shows “typing…” before a text, as long as its length suggests; called back meanwhile it is not sent', async () => {
    const id = await rig.link({ sendPacing: { messagesPerMinute: 6000, typing: true } })
    const words = 'x'.repeat(50)
    const message = await send(id, words, { queue: true })
    await settle()
    expect(rig.whatsapp.last().deeds).toEqual([{ did: 'presence', to: adaPhone, presence: 'composing' }])
    await rig.clock.advance(2_999)
    expect(wire()).toEqual([])
    await rig.clock.advance(1)
    expect(wire()).toEqual([words])
    expect(stored(id, message.id)?.status).toBe('sent')
    const second = await send(id, words, { queue: true })
    await rig.clock.advance(1_000)
    await rig.supervisor.cancel(id, second.id)
    await rig.clock.advance(10_000)
    expect(wire()).toHaveLength(1)
    expect(stored(id, second.id)?.error?.code).toBe('MESSAGE_CANCELLED')
    // Its chat goes on.
    await send(id, 'y', { queue: true })
    await rig.clock.advance(10_000)
    expect(wire()).toEqual([words, 'y'])
  })
})

describe('waiting for more than the server', () => {
  const report = (messageId: string, status: 'delivered' | 'read') =>
    rig.whatsapp.last().report({
      kind: 'statuses',
      statuses: [{ messageId: asMessageId(messageId), status, at: rig.clock.now(), error: null }],
    })

  test('resolves when it is delivered, or read', async () => {
    const id = await rig.link()
    const delivered = send(id, 'x', { waitFor: 'delivered' })
    const read = send(id, 'y', { waitFor: 'read' })
    await settle()
    for (const { id: messageId } of rig.whatsapp.last().sends) report(messageId, 'delivered')
    expect((await delivered).status).toBe('delivered')
    await settle()
    report(rig.whatsapp.last().sends[1]?.id ?? '', 'read')
    expect((await read).status).toBe('read')
  })

  test('time over: what has left is answered as it stands, what has not is a time-out', async () => {
    const id = await rig.link()
    const left = send(id, 'x', { waitFor: 'read', waitMs: 1_000 })
    await rig.clock.advance(1_000)
    expect((await left).status).toBe('sent')
    rig.whatsapp.acknowledges = false
    const stuck = codeOf(send(id, 'y', { waitFor: 'read', waitMs: 1_000 }))
    await rig.clock.advance(1_000)
    expect(await stuck).toBe('MESSAGE_TIMEOUT')
  })
})

test('room is for all of the queue: scheduled ones take theirs, ended ones give it back', async () => {
  const small = await createRig({ maxQueue: 2 })
  const id = await small.link()
  const request = { to: adaPhone, ask: said('x') }
  const sendAt = small.clock.now() + HOUR
  const { message } = await small.supervisor.send(id, { ...request, sendAt })
  await small.supervisor.send(id, { ...request, sendAt })
  expect(await codeOf(small.supervisor.send(id, request))).toBe('QUEUE_FULL')
  await small.supervisor.cancel(id, message.id)
  expect((await small.supervisor.send(id, request)).message.status).toBe('sent')
  await small.end()
})

test('nothing is left ticking when the queue is empty, nor after the end', async () => {
  const id = await rig.link()
  const idle = rig.timers()
  const message = await send(id, 'x', { sendAt: rig.clock.now() + HOUR })
  expect(rig.timers()).toBeGreaterThan(idle)
  await rig.supervisor.cancel(id, message.id)
  expect(rig.timers()).toBe(idle)
})

test('a repeated request meets its first message, whatever has become of it', async () => {
  const id = await rig.link({ queuePaused: true })
  const mine = { id: asMessageId('3EB0MINE') }
  expect(await send(id, 'x', mine)).toMatchObject({ id: mine.id, status: 'queued' })
  expect(await send(id, 'x', mine)).toMatchObject({ id: mine.id, status: 'queued' })
  await set(id, { queuePaused: false })
  await settle()
  expect(await send(id, 'x', mine)).toMatchObject({ id: mine.id, status: 'sent' })
  expect(wire()).toEqual(['x'])
  expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.sent'])
})
