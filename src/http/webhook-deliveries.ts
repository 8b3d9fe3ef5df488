/** What became of webhook deliveries: the log, numbers, the queue, and posting again. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { EVENT_NAMES } from '../domain/events'
import { checkCursor, parseCursor } from '../domain/journal'
import { COUNTED, DELIVERY_STATES, type Delivery } from '../domain/webhook'
import { isoTime } from '../lib/clock'
import { answer, notes, nullable, oneOf, says, time } from './docs'
import { wholeAccount } from './guard'
import { readJson } from './json'
import { limitParameter, offsetParameter } from './query'
import { webhookTags as tags } from './webhook-view'
import type { WebhookRoutesParts } from './webhooks'

const CLEARED = 'Webhook queue cleared successfully'
const REPLAYED = 'Webhook deliveries queued again'
const Params = Type.Object({ sessionId: Type.String({ description: 'Session id' }) })

const DeliveryView = Type.Object(
  {
    id: Type.String(),
    endpointId: Type.String(),
    sessionId: Type.String(),
    eventId: nullable(Type.String({ description: 'X-Webhook-Id of its posts; null = not kept any more' })),
    event: nullable(Type.String()),
    state: oneOf(DELIVERY_STATES, { description: 'failed = given up: kept, and replayable' }),
    attempts: Type.Integer(),
    status: nullable(Type.Integer({ description: 'HTTP status of the last attempt; null = no answer' })),
    error: nullable(Type.String({ description: 'Why the last attempt has failed' })),
    durationMs: nullable(Type.Integer()),
    createdAt: time(),
    finishedAt: nullable(time()),
    nextAttemptAt: nullable(time('When it is tried again')),
  },
  { title: 'WebhookDelivery' },
)

const shownTime = (at: number | null) => (at === null ? null : isoTime(at))
const deliveryView = (delivery: Delivery) => ({
  ...delivery,
  sessionId: delivery.sessionId as string,
  createdAt: isoTime(delivery.createdAt),
  finishedAt: shownTime(delivery.finishedAt),
  nextAttemptAt: shownTime(delivery.nextAttemptAt),
})

/** Makes the routes `deliveries`, `replay`, `stats` and `queue`. */
export function webhookDeliveryRoutes(parts: WebhookRoutesParts) {
  const { guard, gate, webhooks, journal, wake } = parts

  /** The place in the journal that a cursor's text means. */
  function placeOf(text: string): number {
    const cursor = parseCursor(text)
    const check = checkCursor(journal, cursor)
    if (check === 'expired') throw fail('CURSOR_EXPIRED')
    if (check === 'invalid' || !cursor) throw fail('INVALID_CURSOR')
    return cursor.seq
  }

  return new Elysia({ prefix: '/api/webhook', normalize: false })
    .use(guard)
    .get(
      '/deliveries/:sessionId',
      ({ caller, params, query: { state, event, endpointId, limit, offset } }) => {
        const { id: sessionId } = gate(caller, params.sessionId)
        const page = webhooks.deliveries({
          sessionId,
          limit,
          offset,
          ...(state ? { state } : {}),
          ...(event ? { event } : {}),
          ...(endpointId ? { endpointId } : {}),
        })
        return {
          success: true as const,
          deliveries: page.deliveries.map(deliveryView),
          total: page.total,
          limit,
          offset,
          hasMore: page.hasMore,
        }
      },
      {
        access: 'webhooks:read',
        params: Params,
        query: Type.Object(
          {
            state: Type.Optional(oneOf(DELIVERY_STATES)),
            event: Type.Optional(oneOf(EVENT_NAMES)),
            endpointId: Type.Optional(Type.String({ maxLength: 64 })),
            limit: limitParameter,
            offset: offsetParameter,
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            deliveries: Type.Array(DeliveryView),
            total: Type.Integer({ description: `Counted up to ${COUNTED}` }),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({
          summary: 'List the webhook deliveries of a session',
          description:
            'Newest first. Delivered ones stay listed for seven days, failed ones as long as their event is kept.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
        }),
      },
    )
    .post(
      '/deliveries/:id/replay',
      async ({ caller, params, set }) => {
        const { tenantId, sessionIds } = caller.principal
        const delivery = webhooks.delivery(tenantId, params.id)
        if (!delivery || (sessionIds !== null && !sessionIds.includes(delivery.sessionId)))
          throw fail('DELIVERY_NOT_FOUND')
        gate(caller, delivery.sessionId)
        if (!(await webhooks.replay(delivery))) throw fail('DELIVERY_NOT_FOUND')
        wake()
        set.status = 202
        const queued = webhooks.delivery(tenantId, params.id) ?? delivery
        return { success: true as const, message: REPLAYED, delivery: deliveryView(queued) }
      },
      {
        access: 'webhooks:write',
        params: Type.Object({ id: Type.String({ description: 'Delivery id' }) }),
        response: { 202: answer({ message: says(REPLAYED), delivery: DeliveryView }) },
        detail: notes({
          summary: 'Post a delivery again',
          description:
            'Under the same event id, with all its attempts anew, beside what is delivered in order. One that still waits goes on waiting.',
          tags,
          errors: ['DELIVERY_NOT_FOUND', 'SESSION_NOT_FOUND'],
        }),
      },
    )
    .post(
      '/replay',
      async ({ caller, body, set }) => {
        const { id: sessionId, tenantId } = gate(caller, body.sessionId)
        const after = placeOf(body.after)
        const { endpointId } = body
        if (endpointId !== undefined) {
          const endpoint = webhooks.endpoint(tenantId, endpointId)
          if (!endpoint || (endpoint.sessionId ?? sessionId) !== sessionId) throw fail('WEBHOOK_NOT_FOUND')
        }
        const replayed = await webhooks.replaySince({
          sessionId,
          after,
          ...(endpointId === undefined ? {} : { endpointId }),
        })
        wake()
        set.status = 202
        return { success: true as const, message: REPLAYED, replayed }
      },
      {
        access: 'webhooks:write',
        parse: readJson,
        body: Type.Object(
          {
            sessionId: Type.String({ maxLength: 64 }),
            after: Type.String({ maxLength: 64, description: 'Cursor of the last event that you have' }),
            endpointId: Type.Optional(
              Type.String({ maxLength: 64, description: 'To this endpoint alone; to all when missing' }),
            ),
          },
          { additionalProperties: false, title: 'WebhookReplay' },
        ),
        response: {
          202: answer({
            message: says(REPLAYED),
            replayed: Type.Integer({ description: 'Deliveries that are posted again or for the first time' }),
          }),
        },
        detail: notes({
          summary: 'Post everything since a cursor again',
          description:
            'In order, under the same event ids, to the endpoints that want it; also what an endpoint has missed because it was disabled or did not exist yet.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_NOT_FOUND', 'INVALID_CURSOR', 'CURSOR_EXPIRED'],
          requestExample: { sessionId: '3f2a9c4e8b1d4f6aa0c7e5d2b9f81c34', after: '9f86d081-1042' },
        }),
      },
    )
    .get(
      '/stats/:sessionId',
      ({ caller, params }) => {
        const { id } = gate(caller, params.sessionId)
        const { successful, failed, totalMs, lastAt, byEvent } = webhooks.stats(id)
        const totalSent = successful + failed
        return {
          success: true as const,
          stats: {
            totalSent,
            successful,
            failed,
            averageResponseTime: `${totalSent === 0 ? 0 : Math.round(totalMs / totalSent)}ms`,
            lastDelivery: shownTime(lastAt),
            byEvent,
          },
        }
      },
      {
        access: 'webhooks:read',
        params: Params,
        response: {
          200: answer({
            stats: Type.Object(
              {
                totalSent: Type.Integer({ description: 'Posts, repetitions included' }),
                successful: Type.Integer(),
                failed: Type.Integer(),
                averageResponseTime: Type.String({ examples: ['145ms'] }),
                lastDelivery: nullable(time('The last post')),
                byEvent: Type.Record(Type.String(), Type.Integer(), { description: 'Event → posts' }),
              },
              { title: 'WebhookStats' },
            ),
          }),
        },
        detail: notes({
          summary: 'Get webhook statistics of a session',
          description: 'Over all endpoints, since the session exists.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
          example: {
            success: true,
            stats: {
              totalSent: 150,
              successful: 145,
              failed: 5,
              averageResponseTime: '145ms',
              lastDelivery: '2024-01-01T12:00:00.000Z',
              byEvent: { 'message.received': 120, 'session.connected': 30 },
            },
          },
        }),
      },
    )
    .get(
      '/queue',
      ({ caller }) => {
        wholeAccount(caller)
        return { success: true as const, queue: webhooks.queueCounts(caller.principal.tenantId) }
      },
      {
        access: 'webhooks:read',
        response: {
          200: answer({
            queue: Type.Object(
              {
                pending: Type.Integer({ description: 'Not tried yet' }),
                processing: Type.Integer({ description: 'On their way' }),
                failed: Type.Integer({ description: 'Given up; kept, and replayable' }),
                retrying: Type.Integer({ description: 'Tried, and to be tried again' }),
              },
              { title: 'WebhookQueue' },
            ),
          }),
        },
        detail: notes({
          summary: 'Look at the webhook queue',
          description: 'Of all endpoints of the account.',
          tags,
          example: { success: true, queue: { pending: 5, processing: 2, failed: 1, retrying: 3 } },
        }),
      },
    )
    .delete(
      '/queue/:sessionId',
      async ({ caller, params }) => {
        const { id } = gate(caller, params.sessionId)
        return { success: true as const, message: CLEARED, removed: await webhooks.clearQueue(id) }
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says(CLEARED), removed: Type.Integer() }) },
        detail: notes({
          summary: 'Empty the webhook queue of a session',
          description:
            'What waits or is to be tried again is not delivered any more; the events themselves stay, and replay brings them back.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
        }),
      },
    )
}
