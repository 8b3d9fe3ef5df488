/** The counters behind the limits: bounded, and exact by the clock that never jumps. */
import { describe, expect, test } from 'bun:test'
import { DEFAULT_PLANS, type Plans } from '../../src/domain/plans'
import type { Principal } from '../../src/domain/principal'
import { createRateLimits, createWindows } from '../../src/http/rate-limit'
import { createManualClock } from '../harness/clock'

const principal = (plan: Principal['plan'], tenantId = 'usr_1') => ({ plan, tenantId }) as Principal
const request = () => new Request('http://localhost/')
const PLANS: Plans = { ...DEFAULT_PLANS, free: { ...DEFAULT_PLANS.free, requests: 2 } }
const limitsOf = (clock = createManualClock()) =>
  createRateLimits({ clock, plans: PLANS, passwords: 5, failures: 2 })
const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'fine'
  } catch (error) {
    return (error as { code: string }).code
  }
}

describe('windows', () => {
  test('begin with the first count and end a minute later, whatever is asked in between', async () => {
    const clock = createManualClock()
    const windows = createWindows(clock)
    expect(windows.look('a').count).toBe(0)
    await clock.advance(30_000)
    expect(windows.count('a')).toMatchObject({ count: 1, endsAt: 90_000 })
    await clock.advance(59_999)
    expect(windows.count('a').count).toBe(2)
    await clock.advance(1)
    expect(windows.look('a').count).toBe(0)
    expect(windows.count('a').count).toBe(1)
  })

  test('looking keeps nothing; those that are over go, and never more are kept than fit', async () => {
    const clock = createManualClock()
    const windows = createWindows(clock, 100)
    for (let index = 0; index < 1_000; index += 1) windows.look(`look ${index}`)
    expect(windows.size).toBe(0)
    for (let index = 0; index < 1_000; index += 1) windows.count(`count ${index}`)
    expect(windows.size).toBe(100)
    expect(windows.look('count 999').count).toBe(1)
    expect(windows.look('count 0').count).toBe(0)
    await clock.advance(60_000)
    windows.count('fresh')
    expect(windows.size).toBe(1)
  })
})

describe('limits', () => {
  test('what is beyond the limit does not lengthen the wait', async () => {
    const clock = createManualClock()
    const limits = limitsOf(clock)
    const ask = () => limits.request('requests', request(), principal('free'), { headers: {} })
    expect([codeOf(ask), codeOf(ask), codeOf(ask)]).toEqual(['fine', 'fine', 'RATE_LIMIT_EXCEEDED'])
    await clock.advance(59_000)
    expect(codeOf(ask)).toBe('RATE_LIMIT_EXCEEDED')
    await clock.advance(1_000)
    expect(codeOf(ask)).toBe('fine')
  })

  test('an account that gets another plan is limited by that one from its next request on', () => {
    const limits = limitsOf()
    const ask = (plan: Principal['plan']) =>
      codeOf(() => limits.request('requests', request(), principal(plan), { headers: {} }))
    expect([ask('free'), ask('free'), ask('free')]).toEqual(['fine', 'fine', 'RATE_LIMIT_EXCEEDED'])
    expect([ask('pro'), ask('enterprise'), ask('free')]).toEqual(['fine', 'fine', 'RATE_LIMIT_EXCEEDED'])
  })

  test('sends are not counted unless they are refused, and not when the fault is ours', () => {
    const limits = limitsOf()
    const send = (status: number) =>
      codeOf(() => {
        const one = request()
        limits.request('sends', one, principal('free'), { headers: {} })
        if (status >= 400) limits.refused(one, status)
      })
    for (let index = 0; index < 50; index += 1) expect(send(200)).toBe('fine')
    for (let index = 0; index < 50; index += 1) expect(send(504)).toBe('fine')
    expect([send(400), send(404), send(200)]).toEqual(['fine', 'fine', 'RATE_LIMIT_EXCEEDED'])
  })

  test('an unlimited caller costs next to nothing and leaves nothing behind', () => {
    const limits = limitsOf()
    const set = { headers: {} }
    const who = principal('enterprise')
    const one = request()
    const before = process.memoryUsage().heapUsed
    for (let index = 0; index < 200_000; index += 1) limits.request('requests', one, who, set)
    expect(set.headers).toEqual({})
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(20_000_000)
  })

  test('failures: the first are answered as they are, then 429; each address by itself', () => {
    const limits = limitsOf()
    expect([limits.failure('203.0.113.1'), limits.failure('203.0.113.1')]).toEqual([null, null])
    expect(limits.failure('203.0.113.1')?.code).toBe('RATE_LIMIT_EXCEEDED')
    expect(limits.failure('203.0.113.2')).toBeNull()
  })
})
