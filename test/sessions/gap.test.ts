import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { BACKLOG_QUIET, LONG_OUTAGE } from '../../src/sessions/gap-watch'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const gaps = (id: SessionId) =>
  rig.told
    .filter(({ event, sessionId }) => event === 'session.gap' && sessionId === id)
    .map(({ from, to, count, reason, kept }) => ({ from, to, count, reason, kept }))

const iso = (ms: number) => new Date(ms).toISOString()
const alive = () => rig.whatsapp.last().report({ kind: 'alive', at: rig.clock.now() })
/** The next connection comes through, with `late` messages of the time before. */
const back = async (late = 0) => {
  rig.whatsapp.last().opened()
  for (let n = 0; n < late; n += 1) rig.whatsapp.last().message({ offline: true })
  await settle()
}

describe('an outage', () => {
  test('in which messages were missed is told once, with the last sign of life, the end of the backlog, and how many', async () => {
    const id = await rig.link()
    await rig.clock.advance(10_000)
    alive()
    const from = rig.clock.now()
    await rig.clock.advance(5_000)
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back(2)
    await rig.clock.advance(1_000)
    rig.whatsapp.last().message({ offline: true })
    await settle()
    const to = rig.clock.now()
    expect(gaps(id)).toEqual([])
    await rig.clock.advance(BACKLOG_QUIET)
    const told = [{ from: iso(from), to: iso(to), count: 3, reason: 'connection_lost', kept: true }]
    expect(gaps(id)).toEqual(told)
    rig.whatsapp.last().message({ offline: true })
    await rig.clock.advance(10 * BACKLOG_QUIET)
    expect(gaps(id)).toEqual(told)
    expect(rig.session(id).outage).toBeNull()
  })

  test('that was short and in which nothing was missed is nobody’s news', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back()
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toEqual([])
    expect(rig.session(id).outage).toBeNull()
  })

  test('that was longer than a minute is told although nothing was missed', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'stop')
    await rig.clock.advance(LONG_OUTAGE + 1)
    await rig.supervisor.command(id, 'start')
    await settle()
    await back()
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ count: 0, reason: 'stopped' }])
  })

  test('counts each message once, however often it is brought', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back()
    for (let n = 0; n < 3; n += 1) rig.whatsapp.last().message({ id: 'SAME' as never, offline: true })
    await settle()
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ count: 1 }])
  })

  test('that breaks again before its backlog is through is one outage', async () => {
    const id = await rig.link()
    alive()
    const from = rig.clock.now()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back(1)
    rig.whatsapp.last().closed('stream_error', 503)
    await settle()
    await rig.clock.advance(10_000)
    await back(1)
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ from: iso(from), count: 2, reason: 'connection_lost' }])
  })

  test('signs of life of attempts that failed do not shorten it', async () => {
    const id = await rig.link()
    alive()
    const from = rig.clock.now()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    for (let n = 0; n < 3; n += 1) {
      await rig.clock.advance(30_000)
      alive()
      rig.whatsapp.last().closed('connection_lost', 428)
      await settle()
    }
    await rig.clock.advance(30_000)
    await back()
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ from: iso(from), count: 0 }])
  })

  test('is not over while stanzas wait on disk, unless they wait for ever', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back(1)
    const { vault } = rig.whatsapp.last().request
    const inboxId = await vault.receive(new Uint8Array([1]))
    await rig.clock.advance(5 * BACKLOG_QUIET)
    expect(gaps(id)).toEqual([])
    rig.whatsapp.last().message({ offline: true, inboxId })
    await settle()
    await rig.clock.advance(2 * BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ count: 2 }])

    await vault.receive(new Uint8Array([2]))
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back(1)
    await rig.clock.advance(70_000)
    expect(gaps(id)).toMatchObject([{ count: 2 }, { count: 1 }])
  })

  test('is measured truly although the clock is set, forward or back, while it lasts', async () => {
    for (const jump of [86_400_000, -86_400_000]) {
      const id = await rig.link({}, `4930${Math.abs(jump)}${jump > 0 ? 1 : 2}`)
      rig.whatsapp.last().closed('connection_lost', 428)
      await settle()
      rig.clock.jump(jump)
      await rig.clock.advance(3_000)
      rig.whatsapp.last().opened({ phoneNumber: rig.session(id).me?.phoneNumber ?? '' })
      rig.whatsapp.last().message({ offline: true })
      await settle()
      await rig.clock.advance(BACKLOG_QUIET)
      const [gap] = gaps(id)
      expect(Date.parse(String(gap?.to)) - Date.parse(String(gap?.from))).toBe(3_000)
      expect(Date.parse(String(gap?.to))).toBe(rig.clock.now() - BACKLOG_QUIET)
    }
  })
})

describe('over a restart', () => {
  test('a killed process is an outage, from the last moment that is on disk', async () => {
    const id = await rig.link()
    await rig.clock.advance(60_000)
    alive()
    await settle()
    const from = rig.clock.now()
    await rig.crash()
    await rig.clock.advance(5_000)
    await back(2)
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ from: iso(from), count: 2, reason: 'process_restarted' }])
  })

  test('an outage that the last process has begun, and half of its backlog, are not forgotten', async () => {
    const id = await rig.link()
    alive()
    const from = rig.clock.now()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.clock.advance(3_000)
    await back(2)
    await rig.crash()
    await back(1)
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toMatchObject([{ from: iso(from), count: 3, reason: 'connection_lost' }])
    await rig.crash()
    await back()
    await rig.clock.advance(BACKLOG_QUIET)
    expect(gaps(id)).toHaveLength(1)
  })
})
