import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

/** Lets everything that waits to come back come back. */
const welcome = async (): Promise<void> => {
  for (let round = 0; round < 50; round += 1) {
    for (const connection of rig.whatsapp.live()) {
      const { phoneNumber } = rig.session(connection.request.sessionId as SessionId).me ?? {}
      if (phoneNumber !== undefined) connection.opened({ phoneNumber })
    }
    await settle()
    if (rig.supervisor.resumed) return
  }
}

describe('after a crash and after an orderly stop', () => {
  for (const how of ['crash', 'restart'] as const) {
    test(`${how}: each session is in the state that it was wanted in`, async () => {
      const linked = [await rig.link({}, '49301000001'), await rig.link({}, '49301000002')]
      const stopped = await rig.link({}, '49301000003')
      await rig.supervisor.command(stopped, 'stop')
      const loggedOut = await rig.link({}, '49301000004')
      rig.whatsapp.last().closed('logged_out', 401)
      await settle()
      const retrying = await rig.link({}, '49301000005')
      rig.whatsapp.last().closed('connection_lost', 428)
      await settle()
      const inactive = await rig.make()
      const pairing = await rig.make()
      await rig.supervisor.command(pairing, 'start')
      await settle()
      rig.whatsapp.last().qr()
      await settle()

      await rig[how]()
      expect(rig.supervisor.resumed).toBe(false)
      await welcome()
      expect(rig.supervisor.resumed).toBe(true)
      expect([...linked, retrying].map(rig.status)).toEqual(['connected', 'connected', 'connected'])
      expect([stopped, inactive].map(rig.status)).toEqual(['inactive', 'inactive'])
      expect(rig.session(loggedOut).state).toMatchObject({ why: { reason: 'logged_out' }, retryAt: null })
      expect(rig.session(pairing).state).toMatchObject({
        status: 'disconnected',
        why: { reason: 'process_restarted' },
      })
      expect(rig.whatsapp.connections.filter(({ isUnlinked }) => isUnlinked)).toEqual([])
    })
  }

  test('time in which no process ran is not time connected', async () => {
    const id = await rig.link()
    await rig.clock.advance(100_000)
    rig.whatsapp.last().message()
    await settle()
    await rig.clock.advance(50_000)
    await rig.crash()
    rig.clock.jump(86_400_000)
    await welcome()
    expect(rig.session(id).connectedMs).toBe(100_000)
    await rig.clock.advance(30_000)
    await rig.restart()
    await welcome()
    expect(rig.session(id).connectedMs).toBe(130_000)
  })

  test('as many sessions at a time as configured, and every one gets its turn', async () => {
    const ids: SessionId[] = []
    for (let index = 0; index < 10; index += 1) ids.push(await rig.link({}, `4930100001${index}`))
    await rig.crash()
    expect(rig.whatsapp.live()).toHaveLength(4)
    const [first] = rig.whatsapp.live()
    first?.opened({ phoneNumber: rig.session(first.request.sessionId as SessionId).me?.phoneNumber ?? '' })
    await settle()
    expect(rig.whatsapp.live()).toHaveLength(5)
    await welcome()
    expect(ids.map(rig.status)).toEqual(ids.map(() => 'connected'))
  })

  test('a command that comes before a session’s turn is not done twice', async () => {
    const ids: SessionId[] = []
    for (let index = 0; index < 6; index += 1) ids.push(await rig.link({}, `4930100001${index}`))
    await rig.crash()
    const early = rig.whatsapp.live().map(({ request }) => request.sessionId)
    const late = ids.filter((id) => !early.includes(id))
    expect(late.map(rig.status)).toEqual(['connecting', 'connecting'])
    for (const id of late) {
      await rig.supervisor.command(id, 'stop')
      await rig.supervisor.command(id, 'start')
    }
    await settle()
    expect(rig.whatsapp.live()).toHaveLength(6)
    const opened = rig.whatsapp.connections.length
    for (const connection of rig.whatsapp.live().slice(0, 2)) {
      const { phoneNumber = '' } = rig.session(connection.request.sessionId as SessionId).me ?? {}
      connection.opened({ phoneNumber })
    }
    await settle()
    expect(late.map(rig.status)).toEqual(['connecting', 'connecting'])
    await welcome()
    expect(rig.whatsapp.connections).toHaveLength(opened)
    expect(ids.map(rig.status)).toEqual(ids.map(() => 'connected'))
  })

  test('sessions that do not come through do not keep the others waiting for ever', async () => {
    for (let index = 0; index < 6; index += 1) await rig.link({}, `4930100001${index}`)
    await rig.crash()
    expect(rig.whatsapp.live()).toHaveLength(4)
    await rig.clock.advance(60_000)
    expect(rig.whatsapp.live().length).toBeGreaterThan(0)
    await rig.clock.advance(60_000)
    expect(rig.supervisor.resumed).toBe(true)
  })
})

describe('an orderly stop', () => {
  test('closes without unlinking, stores what still came, and is not a stop of the sessions', async () => {
    const id = await rig.link()
    const connection = rig.whatsapp.last()
    connection.onClose = () => {
      connection.message()
      connection.closed('connection_lost', 428)
    }
    const before = rig.events(id).length
    await rig.restart()
    expect(connection).toMatchObject({ isClosed: true, isUnlinked: false })
    expect(rig.events(id).slice(before)).toEqual(['message.received', 'session.connecting'])
    expect(rig.session(id).credentials).toBe('linked')
  })

  test('leaves no timer and refuses further commands', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    const { supervisor } = rig
    await supervisor.stop()
    expect(rig.timers()).toBe(0)
    expect(supervisor.command(id, 'start')).rejects.toMatchObject({ code: 'SHUTTING_DOWN' })
    expect(supervisor.create('t' as never, { name: 'x' }, null)).rejects.toMatchObject({
      code: 'SHUTTING_DOWN',
    })
    await supervisor.stop()
  })
})
