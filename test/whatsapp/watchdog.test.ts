import { describe, expect, test } from 'bun:test'
import { startWatchdog, WATCH } from '../../src/whatsapp/baileys/watchdog'
import { createManualClock } from '../harness/clock'

function watch(answer: () => Promise<boolean>) {
  const clock = createManualClock()
  const seen = { asked: 0, dead: 0, turns: 0 }
  const dog = startWatchdog({
    clock,
    times: WATCH,
    ask: () => {
      seen.asked += 1
      return answer()
    },
    onDead: () => {
      seen.dead += 1
    },
    onTurn: () => {
      seen.turns += 1
    },
  })
  return { clock, dog, seen }
}

describe('the watchdog', () => {
  test('never asks while frames flow', async () => {
    const { clock, dog, seen } = watch(async () => false)
    for (let minute = 0; minute < 60; minute += 1) {
      await clock.advance(25_000)
      dog.heard()
    }
    expect(seen).toEqual({ asked: 0, dead: 0, turns: 750 })
    dog.stop()
    expect(clock.waiting).toBe(0)
  })

  test('a silent connection that answers lives', async () => {
    const { clock, dog, seen } = watch(async () => true)
    await clock.advance(120_000)
    expect(seen.asked).toBeGreaterThan(3)
    expect(seen.dead).toBe(0)
    dog.stop()
  })

  test('a dead one is told within 35 s of its last frame, once, whenever that came', async () => {
    for (let last = 0; last < WATCH.everyMs; last += 100) {
      const { clock, dog, seen } = watch(async () => {
        await clock.sleep(WATCH.answerMs)
        return false
      })
      await clock.advance(last)
      dog.heard()
      await clock.advance(35_000)
      expect(seen.dead).toBe(1)
      await clock.advance(35_000)
      expect(seen.dead).toBe(1)
      dog.stop()
    }
  })

  test('a frame that comes while we ask is an answer', async () => {
    const { clock, dog, seen } = watch(async () => {
      await clock.sleep(5_000)
      dog.heard()
      throw new Error('the query itself failed')
    })
    await clock.advance(60_000)
    expect(seen.asked).toBeGreaterThan(0)
    expect(seen.dead).toBe(0)
    dog.stop()
  })
})
