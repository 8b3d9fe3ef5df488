/** The numbers of a session. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { MessageStats, Messages } from '../domain/message'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import { performanceView, statsView } from '../stats/report'
import { answer, notes } from './docs'
import type { Guard, SessionGate } from './guard'
import { moment } from './moment'
import { invalid } from './query'

export type StatsRoutesParts = { guard: Guard; gate: SessionGate; messages: Messages; clock: Clock }

const Count = Type.Integer({ minimum: 0 })
const Performance = Type.Object(
  {
    averageResponseTime: Type.String({
      description: 'From a send to WhatsApp’s acknowledgement, on average',
      examples: ['2.3s'],
    }),
    uptime: Type.String({
      description: 'Share of time connected since the first start',
      examples: ['99.8%'],
    }),
    messagesPerHour: Type.Number({ description: 'Over the last 24 hours' }),
    errorRate: Type.String({ description: 'Failed share of what was to be sent', examples: ['0.2%'] }),
  },
  { title: 'Performance' },
)
const Stats = Type.Object(
  {
    total: Type.Integer({ description: 'Sent and received' }),
    sent: Count,
    received: Count,
    failed: Count,
    byType: Type.Record(Type.String(), Count),
    byDay: Type.Record(Type.String(), Type.Object({ sent: Count, received: Count }), {
      description: 'By day in UTC',
    }),
    byStatus: Type.Record(Type.String(), Count),
  },
  { title: 'Stats' },
)

const example = {
  success: true,
  stats: {
    total: 239,
    sent: 150,
    received: 89,
    failed: 2,
    byType: { text: 180, image: 35, document: 15, video: 5, audio: 3, location: 1 },
    byDay: { '2024-01-01': { sent: 45, received: 23 }, '2024-01-02': { sent: 52, received: 31 } },
    byStatus: { sent: 10, delivered: 40, read: 100, received: 89, failed: 2 },
  },
  performance: { averageResponseTime: '2.3s', uptime: '99.8%', messagesPerHour: 25, errorRate: '0.2%' },
}

/** Makes the routes. */
export function statsRoutes({ guard, gate, messages, clock }: StatsRoutesParts) {
  const numbers = (session: Session, span: { from?: number; to?: number }): MessageStats =>
    messages.stats(session.id, { ...span, now: clock.now() })
  return new Elysia({ normalize: false })
    .use(guard)
    .get(
      '/api/messages/stats/:sessionId',
      ({ caller, params, query }) => {
        const session = gate(caller, params.sessionId)
        const stats = numbers(session, spanOf(query))
        return {
          success: true as const,
          stats: statsView(stats),
          performance: performanceView(session, stats, clock.now()),
        }
      },
      {
        access: 'messages:read',
        params: Type.Object({ sessionId: Type.String({ description: 'Session id' }) }),
        query: Type.Object(
          {
            from: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601, inclusive' })),
            to: Type.Optional(Type.String({ maxLength: 40, description: 'ISO 8601, inclusive' })),
          },
          { additionalProperties: false },
        ),
        response: { 200: answer({ stats: Stats, performance: Performance }) },
        detail: notes({
          summary: 'Message statistics',
          tags: ['Messages'],
          errors: ['SESSION_NOT_FOUND'],
          example,
        }),
      },
    )
    .get(
      '/api/sessions/:id/performance',
      ({ caller, params }) => {
        const session = gate(caller, params.id)
        return {
          success: true as const,
          performance: performanceView(session, numbers(session, {}), clock.now()),
        }
      },
      {
        access: 'sessions:read',
        params: Type.Object({ id: Type.String({ description: 'Session id' }) }),
        response: { 200: answer({ performance: Performance }) },
        detail: notes({
          summary: 'Performance metrics',
          tags: ['Sessions'],
          errors: ['SESSION_NOT_FOUND'],
          example: { success: true, performance: example.performance },
        }),
      },
    )
}

function spanOf({ from, to }: { from?: string; to?: string }): { from?: number; to?: number } {
  const span = {
    ...(from === undefined ? {} : { from: moment('from', from, 'start') }),
    ...(to === undefined ? {} : { to: moment('to', to, 'end') }),
  }
  if (span.from !== undefined && span.to !== undefined && span.from > span.to) {
    throw invalid('query', [{ path: '/to', message: 'Is before from' }])
  }
  return span
}
