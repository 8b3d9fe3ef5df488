import { describe, expect, test } from 'bun:test'
import type { ReachoutTimelockState } from '@whiskeysockets/baileys'
import { systemClock } from '../../src/lib/clock'
import { ASK_AGAIN_MS, createRestrictions } from '../../src/whatsapp/baileys/restriction'

function restrictions(answer: () => Promise<ReachoutTimelockState> = async () => ({ isActive: false })) {
  let now = 1_700_000_000_000
  let asked = 0
  const clock = { ...systemClock, now: () => now, monotonic: () => now }
  const made = createRestrictions({
    clock,
    fetchLock() {
      asked += 1
      return answer()
    },
  })
  return {
    made,
    start: now,
    pass: (ms: number) => {
      now += ms
    },
    get asked() {
      return asked
    },
  }
}
const lock = (until: number): ReachoutTimelockState => ({
  isActive: true,
  timeEnforcementEnds: new Date(until),
  enforcementType: 'BIZ_QUALITY' as never,
})

describe('restrictions', () => {
  test('WhatsApp is asked once a minute, whoever asks', async () => {
    const test = restrictions(async () => lock(1_700_000_500_000))
    const answers = await Promise.all([test.made.ask(), test.made.ask(), test.made.ask()])
    const told = { until: 1_700_000_500_000, type: 'BIZ_QUALITY', since: test.start }
    expect(answers).toEqual([told, told, told] as never)
    expect(test.asked).toBe(1)
    test.pass(ASK_AGAIN_MS - 1)
    await test.made.ask()
    expect(test.asked).toBe(1)
    test.pass(1)
    await test.made.ask()
    expect(test.asked).toBe(2)
  })

  test('a question that fails is not repeated at once either', async () => {
    const test = restrictions(() => Promise.reject(new Error('no answer')))
    expect(test.made.ask()).rejects.toThrow('no answer')
    expect(test.made.ask()).rejects.toThrow('no answer')
    expect(test.asked).toBe(1)
  })

  test('lock and cap end each on its own', () => {
    const { made, pass, start } = restrictions()
    const capped = { capping_status: 'CAPPED', cycle_end_timestamp: `${start / 1000 + 100}` } as never
    const cap = { until: start + 100_000, type: 'NEW_CHAT_MESSAGES_CAPPED', since: start }
    expect(made.capped(capped)).toEqual(cap)
    expect(made.locked(lock(start + 50_000))?.type).toBe('BIZ_QUALITY')
    expect(made.locked({ isActive: false })).toEqual(cap)
    expect(made.capped({ capping_status: 'FIRST_WARNING' } as never)).toBeNull()
    expect(made.locked({ isActive: true })).toEqual({ until: null, type: 'DEFAULT', since: start })
    expect(made.capped(capped)?.until).toBeNull()
    expect(made.locked(lock(start + 50_000))?.until).toBe(start + 50_000)
    pass(60_000)
    expect(made.capped(capped)?.type).toBe('NEW_CHAT_MESSAGES_CAPPED')
    expect(made.locked(lock(start))?.type).toBe('NEW_CHAT_MESSAGES_CAPPED')
  })
})
