/** What a webhook endpoint looks like in requests and answers, and what is refused of it. */
import { Type } from '@sinclair/typebox'
import { isEventPattern } from '../domain/events'
import type { Endpoint } from '../domain/webhook'
import { headersProblem, MAX_HEADERS } from '../domain/webhook-headers'
import { isoTime } from '../lib/clock'
import { nullable, oneOf, time } from './docs'
import { invalid } from './query'

export const webhookTags = ['Webhooks']

const EVENTS = 'Names, prefixes like message.*, or *'

/** The fields that both ways of making an endpoint take. */
export const endpointFields = {
  url: Type.String({ minLength: 1, maxLength: 2048, examples: ['https://your-server.com/webhook'] }),
  events: Type.Optional(
    Type.Array(Type.String({ maxLength: 64 }), {
      maxItems: 100,
      description: `${EVENTS}; all when missing`,
    }),
  ),
  secret: Type.Optional(
    Type.String({ minLength: 16, maxLength: 256, description: 'Made and shown once when missing' }),
  ),
  headers: Type.Optional(
    Type.Record(Type.String(), Type.String(), {
      description: `Up to ${MAX_HEADERS} headers that every post carries; those of HTTP itself and ours cannot be set`,
    }),
  ),
  description: Type.Optional(nullable(Type.String({ maxLength: 500 }))),
  isActive: Type.Optional(
    Type.Boolean({
      description: 'false = pause: what is meant for it waits, for as long as events are kept; true goes on',
    }),
  ),
}

export const EndpointView = Type.Object(
  {
    id: Type.String(),
    sessionId: nullable(Type.String({ description: 'null = all sessions of the account' })),
    url: Type.String(),
    description: nullable(Type.String()),
    events: Type.Array(Type.String(), { description: `${EVENTS}; empty = all` }),
    headers: Type.Record(Type.String(), Type.String(), { description: 'Values are masked' }),
    secret: Type.String({ description: 'Shown in full only when it was just made or given' }),
    previousSecretUntil: nullable(time('Until then the secret before the last rotation signs along')),
    isActive: Type.Boolean(),
    disabledReason: nullable(
      oneOf(['gone', 'failing'], {
        description: 'Why it was disabled: it answered 410, or did nothing but fail for five days',
      }),
    ),
    failingSince: nullable(time('Since when every attempt has failed; null = the last one succeeded')),
    createdAt: time(),
  },
  { title: 'WebhookEndpoint' },
)

/** The webhook of a session, which always has one. */
export const ConfigView = Type.Object(
  { ...EndpointView.properties, sessionId: Type.String() },
  { title: 'WebhookConfig' },
)

export const masked = (secret: string): string =>
  secret.length < 24 ? '…' : `${secret.slice(0, 8)}…${secret.slice(-4)}`

/** The endpoint as its owner sees it; `secret` is shown as it is. */
export const endpointView = (endpoint: Endpoint, now: number, secret = masked(endpoint.secret)) => ({
  id: endpoint.id,
  sessionId: endpoint.sessionId as string | null,
  url: endpoint.url,
  description: endpoint.description,
  events: endpoint.events,
  headers: Object.fromEntries(Object.entries(endpoint.headers).map(([name, value]) => [name, masked(value)])),
  secret,
  previousSecretUntil:
    endpoint.previousSecret && endpoint.previousSecret.until > now
      ? isoTime(endpoint.previousSecret.until)
      : null,
  isActive: endpoint.isActive,
  disabledReason: endpoint.disabledReason,
  failingSince: endpoint.failingSince === null ? null : isoTime(endpoint.failingSince),
  createdAt: isoTime(endpoint.createdAt),
})

/** Throws `VALIDATION_ERROR` for events that do not exist and headers that cannot be set. */
export function checkEndpoint(body: { events?: string[]; headers?: Record<string, string> }): void {
  const wrong = (body.events ?? []).findIndex((pattern) => !isEventPattern(pattern))
  if (wrong !== -1) {
    throw invalid('body', [
      { path: `/events/${wrong}`, message: 'There is no such event; see GET /api/webhook/event-types' },
    ])
  }
  const problem = headersProblem(body.headers ?? {})
  if (problem) {
    const path = problem.name === null ? '/headers' : `/headers/${problem.name}`
    throw invalid('body', [{ path, message: problem.says }])
  }
}
