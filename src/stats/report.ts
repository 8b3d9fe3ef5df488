/** The numbers of a session in the shapes of the manual ("Session Analytics"); pure. */
import type { MessageStats } from '../domain/message'
import type { Session } from '../domain/session'

/** `stats` of `GET /api/messages/stats/:sessionId`. */
export type StatsView = {
  /** Sent and received; failed ones are not in it. */
  total: number
  sent: number
  received: number
  failed: number
  byType: MessageStats['byType']
  /** By day in UTC, `YYYY-MM-DD`. */
  byDay: MessageStats['byDay']
  byStatus: MessageStats['byStatus']
}

/** `performance`, beside `stats`. */
export type PerformanceView = {
  /** Average time from a send to WhatsApp's acknowledgement, in seconds: `"2.3s"`. */
  averageResponseTime: string
  /** Share of the time since the first start that the session was connected: `"99.8%"`. */
  uptime: string
  /** Messages sent and received per hour over the last 24 hours. */
  messagesPerHour: number
  /** Failed share of the messages that were to be sent: `"0.2%"`. */
  errorRate: string
}

/** The manual's statistics. */
export function statsView(stats: MessageStats): StatsView {
  const { sent, received, failed, byType, byDay, byStatus } = stats
  return { total: sent + received, sent, received, failed, byType, byDay, byStatus }
}

const HOURS = 24

/** The manual's performance figures; `now` in ms since the epoch. */
export function performanceView(
  session: Pick<Session, 'state' | 'firstStartedAt' | 'connectedMs'>,
  { recent }: Pick<MessageStats, 'recent'>,
  now: number,
): PerformanceView {
  return {
    averageResponseTime: `${((recent.averageAckMs ?? 0) / 1000).toFixed(1)}s`,
    uptime: percent(connectedShare(session, now)),
    messagesPerHour: Math.round(((recent.sent + recent.received) / HOURS) * 10) / 10,
    errorRate: percent(share(recent.failed, recent.sent + recent.failed)),
  }
}

function connectedShare(
  { state, firstStartedAt, connectedMs }: Pick<Session, 'state' | 'firstStartedAt' | 'connectedMs'>,
  now: number,
): number {
  if (firstStartedAt === null) return 0
  const present = state.status === 'connected' ? Math.max(0, now - state.since) : 0
  return share(connectedMs + present, now - firstStartedAt)
}

/** Between 0 and 1; nothing of nothing is 0. */
const share = (part: number, whole: number): number =>
  whole <= 0 ? 0 : Math.min(1, Math.max(0, part / whole))

const percent = (of: number): string => `${(of * 100).toFixed(1)}%`
