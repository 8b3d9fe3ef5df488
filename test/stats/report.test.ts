import { describe, expect, test } from 'bun:test'
import type { MessageStats } from '../../src/domain/message'
import type { Session } from '../../src/domain/session'
import { performanceView, statsView } from '../../src/stats/report'

const HOUR = 3_600_000
const NONE: MessageStats = {
  sent: 0,
  received: 0,
  failed: 0,
  byType: {},
  byDay: {},
  byStatus: {},
  recent: { sent: 0, received: 0, failed: 0, averageAckMs: null },
}
type Times = Pick<Session, 'state' | 'firstStartedAt' | 'connectedMs'>
const never: Times = { state: { status: 'inactive' }, firstStartedAt: null, connectedMs: 0 }
const recent = (also: Partial<MessageStats['recent']>) => ({ recent: { ...NONE.recent, ...also } })

describe('stats (R99–R104)', () => {
  test('have the manual’s shape, and failed messages are not in the total', () => {
    const byType = { text: 180, image: 35, document: 15, video: 5, audio: 3, location: 1 }
    const byDay = { '2024-01-01': { sent: 45, received: 23 }, '2024-01-02': { sent: 52, received: 31 } }
    const byStatus = { sent: 10, received: 89 }
    expect(statsView({ ...NONE, sent: 150, received: 89, failed: 2, byType, byDay, byStatus })).toEqual({
      total: 239,
      sent: 150,
      received: 89,
      failed: 2,
      byType,
      byDay,
      byStatus,
    })
  })
})

describe('performance (R105–R109)', () => {
  test('of a session that never did anything is all noughts', () => {
    expect(performanceView(never, NONE, 1_000)).toEqual({
      averageResponseTime: '0.0s',
      uptime: '0.0%',
      messagesPerHour: 0,
      errorRate: '0.0%',
    })
  })
  test('is written as the manual writes it', () => {
    const session: Times = {
      state: { status: 'connected', since: 900 * HOUR, attempt: 0 },
      firstStartedAt: 0,
      connectedMs: 898 * HOUR,
    }
    const { recent: numbers } = recent({ sent: 499, received: 101, failed: 1, averageAckMs: 2_345 })
    expect(performanceView(session, { recent: numbers }, 1_000 * HOUR)).toEqual({
      averageResponseTime: '2.3s',
      uptime: '99.8%',
      messagesPerHour: 25,
      errorRate: '0.2%',
    })
  })
  test('counts the present connection and never exceeds all of the time', () => {
    const session: Times = {
      state: { status: 'connected', since: 0, attempt: 0 },
      firstStartedAt: 10,
      connectedMs: 500,
    }
    expect(performanceView(session, NONE, 1_000).uptime).toBe('100.0%')
    expect(performanceView({ ...session, state: { status: 'inactive' } }, NONE, 1_010).uptime).toBe('50.0%')
  })
  test('a clock set back is no share at all', () => {
    expect(performanceView({ ...never, firstStartedAt: 5_000, connectedMs: 10 }, NONE, 1_000).uptime).toBe(
      '0.0%',
    )
  })
  test('few messages are still some', () => {
    expect(performanceView(never, recent({ received: 5 }), 0).messagesPerHour).toBe(0.2)
  })
})
