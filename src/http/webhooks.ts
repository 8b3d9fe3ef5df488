/** The webhook of a session: one address, which events, and its secret. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import { EVENT_NAMES, eventSays, isEventPattern, isKept } from '../domain/events'
import type { SessionId } from '../domain/ids'
import type { Endpoint, Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import { isoTime } from '../lib/clock'
import { randomHexId } from '../lib/token'
import { answer, notes, says, time } from './docs'
import type { Guard, SessionGate } from './guard'
import { readJson } from './json'
import { invalid } from './query'

export type WebhookRoutesParts = {
  guard: Guard
  gate: SessionGate
  webhooks: Pick<Webhooks, 'endpointsOf' | 'saveEndpoint' | 'removeEndpoint'>
  /** Throws `WEBHOOK_URL_FORBIDDEN`. */
  checkUrl(url: string): void
  newSecret(): string
  clock: Clock
}

const tags = ['Webhooks']
const Params = Type.Object({ sessionId: Type.String({ description: 'Session id' }) })

const ConfigView = Type.Object(
  {
    id: Type.String(),
    sessionId: Type.String(),
    url: Type.String(),
    events: Type.Array(Type.String(), { description: 'Names, prefixes like message.*, or *; empty = all' }),
    secret: Type.String({ description: 'Shown in full only when it was just made or given' }),
    isActive: Type.Boolean(),
    createdAt: time(),
  },
  { title: 'WebhookConfig' },
)

const ConfigBody = Type.Object(
  {
    url: Type.String({ minLength: 1, maxLength: 2048, examples: ['https://your-server.com/webhook'] }),
    events: Type.Optional(
      Type.Array(Type.String({ maxLength: 64 }), {
        maxItems: 100,
        description: 'Names, prefixes like message.*, or *; all when missing',
      }),
    ),
    secret: Type.Optional(
      Type.String({ minLength: 16, maxLength: 256, description: 'Made and shown once when missing' }),
    ),
    isActive: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false, title: 'WebhookConfigInput' },
)

const masked = (secret: string): string => `${secret.slice(0, 8)}…${secret.slice(-4)}`

const view = (endpoint: Endpoint, sessionId: SessionId, secret: string) => ({
  id: endpoint.id,
  sessionId,
  url: endpoint.url,
  events: endpoint.events,
  secret,
  isActive: endpoint.isActive,
  createdAt: isoTime(endpoint.createdAt),
})

/** Makes the routes under `/api/webhook`. */
export function webhookRoutes({ guard, gate, webhooks, checkUrl, newSecret, clock }: WebhookRoutesParts) {
  /** The configured endpoint; the short form `settings.webhookUrl` is shown when there is no other. */
  const configured = (endpoints: readonly Endpoint[]): Endpoint | undefined =>
    endpoints.find(({ fromSettings }) => !fromSettings) ?? endpoints[0]

  const ofSession = (tenantId: Endpoint['tenantId'], sessionId: SessionId) =>
    webhooks.endpointsOf(tenantId, sessionId).filter((endpoint) => endpoint.sessionId === sessionId)

  return new Elysia({ prefix: '/api/webhook', normalize: false })
    .use(guard)
    .put(
      '/config/:sessionId',
      async ({ caller, params, body }) => {
        const { id: sessionId, tenantId } = gate(caller, params.sessionId)
        checkUrl(body.url)
        const wrong = (body.events ?? []).findIndex((pattern) => !isEventPattern(pattern))
        if (wrong !== -1) {
          throw invalid('body', [
            { path: `/events/${wrong}`, message: 'There is no such event; see GET /api/webhook/event-types' },
          ])
        }
        const endpoints = ofSession(tenantId, sessionId)
        const present = endpoints.find(({ fromSettings, url }) => !fromSettings || url === body.url)
        const secret = body.secret ?? present?.secret ?? newSecret()
        const endpoint: Endpoint = {
          id: present?.id ?? randomHexId(),
          tenantId,
          sessionId,
          url: body.url,
          description: present?.description ?? null,
          events: body.events ?? [],
          headers: present?.headers ?? {},
          secret,
          previousSecret: present?.secret === secret ? present.previousSecret : null,
          isActive: body.isActive ?? true,
          disabledReason: null,
          failingSince: null,
          fromSettings: present?.fromSettings ?? false,
          isConfig: present?.isConfig ?? true,
          createdAt: present?.createdAt ?? clock.now(),
        }
        await webhooks.saveEndpoint(endpoint)
        const isNews = secret !== present?.secret
        return {
          success: true as const,
          message: 'Webhook configuration updated successfully',
          config: view(endpoint, sessionId, isNews ? secret : masked(secret)),
        }
      },
      {
        access: 'webhooks:write',
        parse: readJson,
        params: Params,
        body: ConfigBody,
        response: {
          200: answer({ message: says('Webhook configuration updated successfully'), config: ConfigView }),
        },
        detail: notes({
          summary: 'Set the webhook of a session',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_URL_FORBIDDEN'],
          requestExample: { url: 'https://your-server.com/webhook', events: ['message.*', 'session.*'] },
        }),
      },
    )
    .get(
      '/config/:sessionId',
      ({ caller, params }) => {
        const { id, tenantId } = gate(caller, params.sessionId)
        const endpoint = configured(ofSession(tenantId, id))
        if (!endpoint) throw fail('WEBHOOK_NOT_FOUND')
        return { success: true as const, config: view(endpoint, id, masked(endpoint.secret)) }
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
        const endpoint = ofSession(tenantId, id).find(({ fromSettings }) => !fromSettings)
        if (!endpoint) throw fail('WEBHOOK_NOT_FOUND')
        await webhooks.removeEndpoint(endpoint.id)
        return { success: true as const, message: 'Webhook configuration deleted successfully' }
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says('Webhook configuration deleted successfully') }) },
        detail: notes({
          summary: 'Remove the webhook of a session',
          description: 'The one of settings.webhookUrl is removed by setting it to null.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_NOT_FOUND'],
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
