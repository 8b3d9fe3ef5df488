import { beforeEach, describe, expect, test } from 'bun:test'
import { createTurns, type Turns } from '../../src/stream/turns'
import { createManualClock, type ManualClock } from '../harness/clock'

let clock: ManualClock
let passed: number
let turns: Turns
let done: string[]
beforeEach(() => {
  clock = createManualClock()
  passed = 0
  done = []
  turns = createTurns({ after: clock.after, monotonic: () => passed })
})
/** A piece of work that takes so long. */
const work = (name: string, ms: number) => () => {
  done.push(name)
  passed += ms
}

describe('turns', () => {
  test('run work at once while there is time', async () => {
    turns.now(work('a', 2))
    turns.now(work('b', 2))
    expect(done).toEqual(['a', 'b'])
    await clock.advance(0)
    expect(clock.waiting).toBe(0)
  })

  test('put off what does not fit into one, in order', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e']) turns.now(work(name, 3))
    expect(done).toEqual(['a', 'b'])
    expect(clock.waiting).toBe(1)
    await clock.advance(0)
    expect(done).toEqual(['a', 'b', 'c', 'd', 'e'])
  })

  test('take work in the order in which it has lined up', async () => {
    let left = 3
    const endless = (name: string) => () => {
      work(name, 3)()
      if (left-- > 0) turns.next(endless(name))
    }
    for (const name of ['a', 'b', 'c']) turns.now(endless(name))
    await clock.advance(0)
    expect(done).toEqual(['a', 'b', 'a', 'b', 'c', 'a'])
    expect(clock.waiting).toBe(0)
  })

  test('forget what is withdrawn, and everything when they stop', async () => {
    turns.now(work('a', 9))
    const withdraw = turns.now(work('b', 1))
    turns.next(work('c', 1))
    withdraw()
    await clock.advance(0)
    expect(done).toEqual(['a', 'c'])
    turns.next(work('d', 1))
    turns.stop()
    expect(clock.waiting).toBe(0)
    await clock.advance(10)
    expect(done).toEqual(['a', 'c'])
  })
})
