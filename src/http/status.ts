/** Health, information and numbers of this server. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import type { Messages } from '../domain/message'
import type { Sessions } from '../domain/session'
import { type Clock, isoTime } from '../lib/clock'
import { answer, notes, time } from './docs'
import type { Caller, Guard } from './guard'

export type StatusRoutesParts = {
  guard: Guard
  clock: Clock
  version: string
  sessions: Pick<Sessions, 'countByStatus'>
  messages: Pick<Messages, 'totalsSince'>
  /** What keeps the server from being ready; empty when nothing does. */
  notReady(): string[]
  /** Which WhatsApp the sessions talk to. */
  endpoint: 'whatsapp' | 'sandbox' | 'other'
}

const DAY = 86_400_000
const tags = ['Status']

const Numbers = {
  status: Type.Literal('operational'),
  uptime: Type.Number({ description: 'Seconds since the start' }),
  sessions: Type.Object({
    total: Type.Integer(),
    active: Type.Integer({ description: 'Connecting, showing a QR code, or connected' }),
    connected: Type.Integer(),
  }),
  messages: Type.Object({ sent24h: Type.Integer(), received24h: Type.Integer() }),
}

/** Makes the routes under `/api/status`, and the two probes. */
export function statusRoutes(parts: StatusRoutesParts) {
  const { guard, clock, version, sessions, messages, notReady, endpoint } = parts
  const started = clock.monotonic()
  const numbers = ({ principal: { tenantId, sessionIds } }: Caller) => {
    const by = sessions.countByStatus(tenantId, sessionIds)
    const totals = messages.totalsSince(tenantId, clock.now() - DAY, sessionIds)
    return {
      success: true as const,
      status: 'operational' as const,
      uptime: Math.round(clock.monotonic() - started) / 1000,
      sessions: {
        total: Object.values(by).reduce((sum, count) => sum + count, 0),
        active: by.connecting + by.qr_generated + by.connected,
        connected: by.connected,
      },
      messages: { sent24h: totals.sent, received24h: totals.received },
    }
  }
  return new Elysia({ normalize: false })
    .use(guard)
    .get(
      '/api/status/health',
      () => ({ success: true as const, status: 'OK' as const, timestamp: isoTime(clock.now()), version }),
      {
        response: { 200: answer({ status: Type.Literal('OK'), timestamp: time(), version: Type.String() }) },
        detail: notes({ summary: 'Is the server up', tags }),
      },
    )
    .get(
      '/api/status/info',
      () => ({
        success: true as const,
        name: 'Wabun' as const,
        version,
        whatsapp: endpoint,
        documentation: '/docs',
      }),
      {
        response: {
          200: answer({
            name: Type.Literal('Wabun'),
            version: Type.String(),
            whatsapp: Type.Union([Type.Literal('whatsapp'), Type.Literal('sandbox'), Type.Literal('other')], {
              description: 'Which WhatsApp the sessions talk to',
            }),
            documentation: Type.String(),
          }),
        },
        detail: notes({ summary: 'What this server is', tags }),
      },
    )
    .get('/api/status', ({ caller }) => numbers(caller), {
      access: 'sessions:read',
      response: { 200: answer(Numbers) },
      detail: notes({ summary: 'Numbers of the own account', tags }),
    })
    .get(
      '/api/status/stats',
      ({ caller }) => {
        const { rss, heapUsed, heapTotal, external } = process.memoryUsage()
        return { ...numbers(caller), memory: { rss, heapUsed, heapTotal, external } }
      },
      {
        access: 'sessions:read',
        response: {
          200: answer({
            ...Numbers,
            memory: Type.Object(
              {
                rss: Type.Integer(),
                heapUsed: Type.Integer(),
                heapTotal: Type.Integer(),
                external: Type.Integer(),
              },
              { description: 'Bytes' },
            ),
          }),
        },
        detail: notes({ summary: 'The same, with memory', tags }),
      },
    )
    .get('/healthz', () => ({ success: true as const }), {
      response: { 200: answer({}) },
      detail: notes({ summary: 'Liveness probe', tags }),
    })
    .get(
      '/readyz',
      () => {
        const waitingFor = notReady()
        if (waitingFor.length > 0) throw fail('NOT_READY', { waitingFor })
        return { success: true as const }
      },
      {
        response: { 200: answer({}) },
        detail: notes({
          summary: 'Readiness probe',
          description:
            '503 until the storage is open and sessions are being resumed, and while shutting down.',
          tags,
          errors: ['NOT_READY'],
        }),
      },
    )
}
