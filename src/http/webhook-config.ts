/** The webhook of a session: one address, which events, and its secret. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { EVENT_NAMES, eventSays, isKept } from '../domain/events'
import type { SessionId } from '../domain/ids'
import { type Endpoint, rotated } from '../domain/webhook'
import { randomHexId } from '../lib/token'
import { answer, notes, says } from './docs'
import { readJson } from './json'
import type { AddEndpoint } from './webhook-limit'
import { ConfigView, checkEndpoint, endpointFields, endpointView, webhookTags as tags } from './webhook-view'
import type { WebhookRoutesParts } from './webhooks'

const Params = Type.Object({ sessionId: Type.String({ description: 'Session id' }) })
const ConfigBody = Type.Object(endpointFields, {
  additionalProperties: false,
  title: 'WebhookConfigInput',
})
const UPDATED = 'Webhook configuration updated successfully'
const DELETED = 'Webhook configuration deleted successfully'
const ROTATED = 'Webhook secret rotated successfully'

/** Makes the routes under `/api/webhook/config`, the rotation of its secret, and the list of events. */
export function webhookConfigRoutes(parts: WebhookRoutesParts & { addEndpoint: AddEndpoint }) {
  const { guard, gate, webhooks, checkUrl, newSecret, wake, idempotent, clock } = parts

  const ofSession = (tenantId: Endpoint['tenantId'], sessionId: SessionId) =>
    webhooks.endpointsOf(tenantId, sessionId).filter((endpoint) => endpoint.sessionId === sessionId)

  /** The configured endpoint; the short form `settings.webhookUrl` when there is no other. */
  function configured(tenantId: Endpoint['tenantId'], sessionId: SessionId): Endpoint {
    const endpoints = ofSession(tenantId, sessionId)
    const found =
      endpoints.find(({ isConfig }) => isConfig) ?? endpoints.find(({ fromSettings }) => fromSettings)
    if (!found) throw fail('WEBHOOK_NOT_FOUND')
    return found
  }

  const configView = (endpoint: Endpoint, sessionId: SessionId, secret?: string) => ({
    ...endpointView(endpoint, clock.now(), secret),
    sessionId: sessionId as string,
  })

  return new Elysia({ prefix: '/api/webhook', normalize: false })
    .use(guard)
    .put(
      '/config/:sessionId',
      async ({ caller, params, body }) => {
        const { id: sessionId, tenantId } = gate(caller, params.sessionId)
        checkUrl(body.url)
        checkEndpoint(body)
        const present = ofSession(tenantId, sessionId).find(
          ({ isConfig, fromSettings, url }) => isConfig || (fromSettings && url === body.url),
        )
        const secret = body.secret ?? present?.secret ?? newSecret()
        const isNews = secret !== present?.secret
        const endpoint: Endpoint = {
          id: present?.id ?? randomHexId(),
          tenantId,
          sessionId,
          url: body.url,
          description: body.description === undefined ? (present?.description ?? null) : body.description,
          events: body.events ?? [],
          headers: body.headers ?? present?.headers ?? {},
          secret,
          previousSecret: isNews ? null : (present?.previousSecret ?? null),
          isActive: body.isActive ?? true,
          disabledReason: null,
          failingSince: present?.failingSince ?? null,
          fromSettings: present?.fromSettings ?? false,
          isConfig: true,
          createdAt: present?.createdAt ?? clock.now(),
        }
        if (present) await webhooks.saveEndpoint(endpoint)
        else await parts.addEndpoint(caller, endpoint)
        wake()
        const saved = webhooks.endpoint(tenantId, endpoint.id) ?? endpoint
        return {
          success: true as const,
          message: UPDATED,
          config: configView(saved, sessionId, isNews ? secret : undefined),
        }
      },
      {
        access: 'webhooks:write',
        parse: readJson,
        params: Params,
        body: ConfigBody,
        response: { 200: answer({ message: says(UPDATED), config: ConfigView }) },
        detail: notes({
          summary: 'Set the webhook of a session',
          description:
            'Another secret takes the place of the old one at once; rotate-secret lets both sign for a day.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_URL_FORBIDDEN', 'WEBHOOK_LIMIT_REACHED'],
          requestExample: { url: 'https://your-server.com/webhook', events: ['message.*', 'session.*'] },
        }),
      },
    )
    .get(
      '/config/:sessionId',
      ({ caller, params }) => {
        const { id, tenantId } = gate(caller, params.sessionId)
        return { success: true as const, config: configView(configured(tenantId, id), id) }
      },
      {
        access: 'webhooks:read',
        params: Params,
        response: { 200: answer({ config: ConfigView }) },
        detail: notes({
          summary: 'Get the webhook of a session',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_NOT_FOUND'],
        }),
      },
    )
    .delete(
      '/config/:sessionId',
      async ({ caller, params }) => {
        const { id, tenantId } = gate(caller, params.sessionId)
        const endpoint = ofSession(tenantId, id).find(
          ({ isConfig, fromSettings }) => isConfig && !fromSettings,
        )
        if (!endpoint) throw fail('WEBHOOK_NOT_FOUND')
        await webhooks.removeEndpoint(endpoint.id)
        return { success: true as const, message: DELETED }
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says(DELETED) }) },
        detail: notes({
          summary: 'Remove the webhook of a session',
          description: 'The one of settings.webhookUrl is removed by setting it to null.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_NOT_FOUND'],
        }),
      },
    )
    .post(
      '/rotate-secret/:sessionId',
      (context) => {
        gate(context.caller, context.params.sessionId)
        return idempotent(
          { ...context, body: null },
          async () => {
            const { id, tenantId } = gate(context.caller, context.params.sessionId)
            const endpoint = rotated(configured(tenantId, id), newSecret(), clock.now())
            await webhooks.saveEndpoint(endpoint)
            return {
              success: true as const,
              message: ROTATED,
              config: configView(endpoint, id, endpoint.secret),
            }
          },
          200,
        )
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says(ROTATED), config: ConfigView }) },
        detail: notes({
          summary: 'Give the webhook of a session a new secret',
          description:
            'The new one is shown this once. For 24 hours webhook-signature carries a signature of each, and X-Webhook-Signature that of the new one.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_NOT_FOUND'],
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .get(
      '/event-types',
      () => ({
        success: true as const,
        eventTypes: EVENT_NAMES.map((name) => ({
          name,
          description: eventSays(name),
          momentary: !isKept(name),
        })),
      }),
      {
        access: 'webhooks:read',
        response: {
          200: answer({
            eventTypes: Type.Array(
              Type.Object({
                name: Type.String(),
                description: Type.String(),
                momentary: Type.Boolean({ description: 'Never stored, replayed or retried' }),
              }),
            ),
          }),
        },
        detail: notes({ summary: 'List all events', tags }),
      },
    )
}
