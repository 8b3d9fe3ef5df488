import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asJid, type SessionId } from '../../src/domain/ids'
import {
  CONNECTS_LIMIT,
  LOOK_EVERY,
  LOOK_IDLE,
  QUEUE_LIMIT,
  STEP_LIMIT,
} from '../../src/sessions/stall-watch'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { ADA } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const stalls = (id: SessionId) =>
  rig.told
    .filter(({ event, sessionId }) => event === 'session.stalled' && sessionId === id)
    .map(({ reason, since, action, kept }) => ({ reason, since, action, kept }))

const iso = (ms: number) => new Date(ms).toISOString()
const lose = async () => {
  rig.whatsapp.last().closed('connection_lost', 428)
  await settle()
  await rig.clock.advance(3_000)
}
const send = (id: SessionId) =>
  rig.supervisor.send(id, {
    to: asJid(`${ADA.phoneNumber}@s.whatsapp.net`),
    ask: { type: 'text', text: 'hello' },
    queue: true,
  } as never)

describe('a connection that does not answer any more', () => {
  test('is told as stalled before it is told as lost', async () => {
    const id = await rig.link()
    const since = rig.clock.now()
    await rig.clock.advance(34_000)
    const why = { reason: 'connection_lost' as const, code: 408, detail: 'silence' }
    rig.whatsapp.last().report({ kind: 'closed', why: { ...why, stall: { reason: 'no_answer', since } } })
    await settle()
    expect(rig.events(id, 'session.').slice(-2)).toEqual(['session.stalled', 'session.disconnected'])
    expect(stalls(id)).toMatchObject([{ reason: 'no_answer', since: iso(since), kept: true }])
  })

  test('that was only lost has not stalled', async () => {
    const id = await rig.link()
    await lose()
    expect(stalls(id)).toEqual([])
  })
})

describe('a disk that refuses', () => {
  test('is told once it takes writes again, and once only', async () => {
    const id = await rig.link()
    rig.diskFull = true
    rig.whatsapp.last().message()
    await settle()
    expect(rig.status(id)).toBe('disconnected')
    await rig.clock.advance(20_000)
    expect(stalls(id)).toEqual([])
    rig.diskFull = false
    await rig.clock.advance(60_000)
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.status(id)).toBe('connected')
    expect(stalls(id)).toMatchObject([{ reason: 'storage' }])
  })
})

describe('a queue from which nothing leaves although nothing holds it', () => {
  test('is told, and the session connects anew', async () => {
    const id = await rig.link()
    rig.whatsapp.acknowledges = false
    await send(id)
    const connections = rig.whatsapp.connections.length
    await rig.clock.advance(QUEUE_LIMIT + LOOK_IDLE + LOOK_EVERY)
    expect(stalls(id)).toMatchObject([{ reason: 'queue' }])
    expect(rig.whatsapp.connections).toHaveLength(connections + 1)
    rig.whatsapp.acknowledges = true
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.sent'])
    await rig.clock.advance(QUEUE_LIMIT + LOOK_IDLE + LOOK_EVERY)
    expect(stalls(id)).toHaveLength(1)
  })

  test('is none while it is paused', async () => {
    const id = await rig.link({ queuePaused: true })
    await send(id)
    await rig.clock.advance(2 * QUEUE_LIMIT)
    expect(stalls(id)).toEqual([])
  })

  test('is none while others leave it', async () => {
    const id = await rig.link()
    rig.whatsapp.acknowledges = false
    for (let passed = 0; passed < 2 * QUEUE_LIMIT; passed += 30_000) {
      await send(id)
      await rig.clock.advance(30_000)
      rig.whatsapp.last().sends.at(-1)?.acknowledge()
      await settle()
    }
    expect(stalls(id)).toEqual([])
  })
})

describe('a received stanza that no connection gets through', () => {
  test('is told at the third connection, once', async () => {
    const id = await rig.link()
    const at = rig.clock.now()
    await rig.whatsapp.last().request.vault.receive(new Uint8Array([1]))
    await settle()
    for (let connection = 1; connection <= CONNECTS_LIMIT + 1; connection += 1) {
      await lose()
      rig.whatsapp.last().opened()
      await settle()
      await rig.clock.advance(60_000)
      expect(stalls(id)).toHaveLength(connection < CONNECTS_LIMIT ? 0 : 1)
    }
    expect(stalls(id)).toMatchObject([{ reason: 'message', since: iso(at) }])
  })
})

describe('a step of the session that does not end', () => {
  test('is told although the session’s turn is what does not move', async () => {
    const id = await rig.link()
    const since = rig.clock.now()
    const done = Promise.withResolvers<void>()
    rig.holdCommits = done.promise
    rig.whatsapp.last().message()
    await settle()
    rig.holdCommits = null
    await rig.clock.advance(STEP_LIMIT + LOOK_IDLE)
    expect(stalls(id)).toMatchObject([{ reason: 'intake', since: iso(since) }])
    done.resolve()
    await settle()
    expect(rig.events(id, 'message.')).toEqual(['message.received'])
  })
})
