import { beforeEach, describe, expect, test } from 'bun:test'
import { asSessionId, asTenantId } from '../../src/domain/ids'
import type { Entry } from '../../src/domain/journal'
import { createLivePath, type LivePath } from '../../src/stream/live-path'
import { createManualClock, type ManualClock } from '../harness/clock'

const ADA = asTenantId('ada')
const BOB = asTenantId('bob')

let clock: ManualClock
let passed: number
let tell: (entries: readonly Entry[]) => void
let live: LivePath
beforeEach(() => {
  clock = createManualClock()
  passed = 0
  live = createLivePath({
    clock: { after: clock.after, monotonic: () => passed },
    journal: {
      onEntries(listener) {
        tell = listener
        return () => {
          tell = () => undefined
        }
      },
    },
  })
})

const entry = (seq: number | null, tenantId = ADA): Entry => ({
  seq,
  tenantId,
  id: `evt_${seq}`,
  sessionId: asSessionId('a'.repeat(32)),
  event: 'message.received',
  timestamp: 0,
  json: '{}',
})
/** A reader for whom each batch takes so long (ms). */
function reader(takes: number, tenantId = ADA): (number | null)[][] {
  const batches: (number | null)[][] = []
  live.join(tenantId, (entries) => {
    batches.push(entries.map(({ seq }) => seq))
    passed += takes
  })
  return batches
}

describe('the live path', () => {
  test('hands over at once, each commit as one batch, to the readers of its tenant', () => {
    const ofAda = reader(0)
    const ofBob = reader(0, BOB)
    tell([entry(1), entry(2, BOB), entry(3)])
    tell([entry(null)])
    expect(ofAda).toEqual([[1, 3], [null]])
    expect(ofBob).toEqual([[2]])
    expect(live.last()).toBe(3)
    expect(clock.waiting).toBe(0)
  })

  test('makes as long a pause as it took, in which entries gather, in order', async () => {
    const batches = reader(4)
    tell([entry(1)])
    tell([entry(2)])
    tell([entry(3), entry(null)])
    expect(batches).toEqual([[1]])
    expect(live.last()).toBe(1)
    await clock.advance(3)
    expect(batches).toHaveLength(1)
    await clock.advance(1)
    expect(batches).toEqual([[1], [2, 3, null]])
    expect(live.last()).toBe(3)
  })

  test('never pauses for long, and not at all when nothing came meanwhile', async () => {
    const batches = reader(500)
    tell([entry(1)])
    tell([entry(2)])
    await clock.advance(10)
    expect(batches).toEqual([[1], [2]])
    passed += 10
    tell([entry(3)])
    expect(batches).toEqual([[1], [2], [3]])
  })

  test('tells nobody after it has stopped', async () => {
    const batches = reader(4)
    tell([entry(1)])
    tell([entry(2)])
    live.stop()
    tell([entry(3)])
    await clock.advance(100)
    expect(batches).toEqual([[1]])
    expect(clock.waiting).toBe(0)
  })
})
