/** One signed post on request, to see whether a receiver is in order. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { signingSecrets } from '../domain/webhook'
import { isoTime } from '../lib/clock'
import { randomToken } from '../lib/token'
import { answer, notes, nullable } from './docs'
import { readJson } from './json'
import { isOpenTo } from './webhook-endpoints'
import { webhookTags as tags } from './webhook-view'
import type { WebhookRoutesParts } from './webhooks'

/** Test posts under way at a time, of everybody: they share the process' connections with real deliveries. */
const MOST = 8
/** Characters of the receiver's answer that are shown. */
const BODY_START = 1_000
const EVENT = 'webhook.test'
const EVENT_NAME = /^[a-z_]+(?:\.[a-z_]+)*$/

/** Makes `POST /api/webhook/test`. */
export function webhookTestRoutes({
  guard,
  gate,
  webhooks,
  checkUrl,
  newSecret,
  post,
  clock,
}: WebhookRoutesParts) {
  let underWay = 0

  return new Elysia({ prefix: '/api/webhook', normalize: false }).use(guard).post(
    '/test',
    async ({ caller, body }) => {
      checkUrl(body.url)
      if (underWay >= MOST) throw fail('RATE_LIMIT_EXCEEDED', { retryAfter: 10 })
      // Only who may see an endpoint has something signed in its name.
      const known = webhooks
        .endpointsOfTenant(caller.principal.tenantId)
        .find((endpoint) => endpoint.url === body.url && isOpenTo({ gate }, caller, endpoint))
      const made = body.secret === undefined && !known ? newSecret() : null
      const eventId = `evt_${randomToken(12)}`
      const payload: Record<string, unknown> = body.payload ?? {
        id: eventId,
        cursor: null,
        event: EVENT,
        sessionId: known?.sessionId ?? null,
        timestamp: isoTime(clock.now()),
      }
      const named =
        typeof payload.event === 'string' && EVENT_NAME.test(payload.event) ? payload.event : EVENT
      underWay += 1
      try {
        const { outcome, body: text } = await post({
          url: body.url,
          ...(known ? { headers: known.headers } : {}),
          secrets:
            body.secret === undefined && known
              ? signingSecrets(known, clock.now())
              : [body.secret ?? made ?? newSecret()],
          eventId,
          event: named.slice(0, 64),
          json: JSON.stringify(payload),
          attempt: 1,
        })
        return {
          success: true as const,
          delivered: outcome.ok,
          status: outcome.status,
          duration: `${Math.round(outcome.durationMs)}ms`,
          body: text === null ? null : text.text.slice(0, BODY_START),
          error: outcome.ok ? null : outcome.says,
          eventId,
          ...(made === null ? {} : { secret: made }),
        }
      } finally {
        underWay -= 1
      }
    },
    {
      access: 'webhooks:write',
      parse: readJson,
      body: Type.Object(
        {
          url: Type.String({ minLength: 1, maxLength: 2048 }),
          payload: Type.Optional(
            Type.Record(Type.String(), Type.Unknown(), { description: 'The body; an event when missing' }),
          ),
          secret: Type.Optional(
            Type.String({
              minLength: 16,
              maxLength: 256,
              description: 'Signs; when missing, that of your endpoint with this URL, else one that is made',
            }),
          ),
        },
        { additionalProperties: false, title: 'WebhookTest' },
      ),
      response: {
        200: answer({
          delivered: Type.Boolean({ description: 'Answered with 2xx within 10 seconds' }),
          status: nullable(Type.Integer({ description: 'HTTP status of the answer; null = none' })),
          duration: Type.String({ examples: ['145ms'] }),
          body: nullable(Type.String({ description: 'The beginning of the answer' })),
          error: nullable(Type.String()),
          eventId: Type.String({ description: 'X-Webhook-Id of the post' }),
          secret: Type.Optional(Type.String({ description: 'Made for this post' })),
        }),
      },
      detail: notes({
        summary: 'Post once to a URL and see what it answers',
        description: 'Signed like every post and never repeated; redirects are not followed.',
        tags,
        errors: ['WEBHOOK_URL_FORBIDDEN', 'RATE_LIMIT_EXCEEDED'],
        requestExample: { url: 'https://your-server.com/webhook', payload: { event: 'message.received' } },
        example: {
          success: true,
          delivered: true,
          status: 200,
          duration: '145ms',
          body: 'ok',
          error: null,
          eventId: 'evt_9sJ2kQx1ZbT0aWcD',
        },
      }),
    },
  )
}
