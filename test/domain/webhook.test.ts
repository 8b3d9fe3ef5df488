import { expect, test } from 'bun:test'
import { nextAttemptAt, RETRY_WAITS } from '../../src/domain/webhook'

const MINUTE = 60_000
const HOUR = 60 * MINUTE

test('retries follow the documented table, with a fifth of jitter either way', () => {
  expect<number[]>([...RETRY_WAITS]).toEqual([
    30_000,
    5 * MINUTE,
    30 * MINUTE,
    2 * HOUR,
    6 * HOUR,
    12 * HOUR,
    24 * HOUR,
  ])
  RETRY_WAITS.forEach((wait: number, index: number) => {
    expect(nextAttemptAt(index + 1, 1_000, null, () => 0.5)).toBe(1_000 + wait)
    expect(nextAttemptAt(index + 1, 0, null, () => 0)).toBe(Math.round(wait * 0.8))
    expect(nextAttemptAt(index + 1, 0, null, () => 1)).toBe(Math.round(wait * 1.2))
  })
})

test('after the last retry a delivery is dead', () => {
  expect(nextAttemptAt(RETRY_WAITS.length + 1, 0, null, Math.random)).toBeNull()
  expect(nextAttemptAt(RETRY_WAITS.length + 1, 0, 1_000, Math.random)).toBeNull()
})

test('Retry-After is honoured when it asks for more, up to a day', () => {
  const half = () => 0.5
  expect(nextAttemptAt(1, 0, 90_000, half)).toBe(90_000)
  expect(nextAttemptAt(1, 0, 1_000, half)).toBe(30_000)
  expect(nextAttemptAt(1, 0, -5, half)).toBe(30_000)
  expect(nextAttemptAt(1, 0, 365 * 24 * HOUR, half)).toBe(24 * HOUR)
})
