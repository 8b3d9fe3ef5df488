/** Webhook endpoints: several for a session, and those that get the events of every session of the account. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { AppError, fail } from '../domain/errors'
import { type Endpoint, rotated } from '../domain/webhook'
import { randomHexId } from '../lib/token'
import { answer, notes, says } from './docs'
import { type Caller, wholeAccount } from './guard'
import { readJson } from './json'
import { limitParameter, offsetParameter } from './query'
import type { AddEndpoint } from './webhook-limit'
import {
  checkEndpoint,
  EndpointView,
  endpointFields,
  endpointView,
  webhookTags as tags,
} from './webhook-view'
import type { WebhookRoutesParts } from './webhooks'

/** Most endpoints of a session, and most that an account has for all of its sessions. */
const MAX_ENDPOINTS = 100
const CREATED = 'Webhook endpoint created successfully'
const UPDATED = 'Webhook endpoint updated successfully'
const DELETED = 'Webhook endpoint deleted successfully'
const ROTATED = 'Webhook secret rotated successfully'

const Params = Type.Object({ id: Type.String({ description: 'Endpoint id' }) })
const CreateBody = Type.Object(
  {
    ...endpointFields,
    sessionId: Type.Optional(
      Type.String({ maxLength: 64, description: 'All sessions of the account when missing' }),
    ),
  },
  { additionalProperties: false, title: 'WebhookEndpointInput' },
)
const ChangeBody = Type.Partial(Type.Object(endpointFields), {
  additionalProperties: false,
  minProperties: 1,
  title: 'WebhookEndpointChange',
})
const one = { endpoint: EndpointView }

/** Whether a caller may see an endpoint: with its session, or with the whole account. */
export function isOpenTo(
  { gate }: Pick<WebhookRoutesParts, 'gate'>,
  caller: Caller,
  { sessionId }: Pick<Endpoint, 'sessionId'>,
): boolean {
  if (sessionId === null) return caller.principal.sessionIds === null
  try {
    gate(caller, sessionId)
    return true
  } catch (error) {
    if (error instanceof AppError) return false
    throw error
  }
}

/** Makes the routes under `/api/webhook/endpoints`. */
export function webhookEndpointRoutes(parts: WebhookRoutesParts & { addEndpoint: AddEndpoint }) {
  const { guard, gate, webhooks, checkUrl, newSecret, wake, idempotent, clock } = parts

  /** The caller's own endpoint; one of a session that this caller may not see does not exist either. */
  function found(caller: Caller, id: string): Endpoint {
    const { tenantId, sessionIds } = caller.principal
    const endpoint = webhooks.endpoint(tenantId, id)
    const isTheirs = sessionIds === null || (endpoint?.sessionId && sessionIds.includes(endpoint.sessionId))
    if (!endpoint || !isTheirs) throw fail('WEBHOOK_NOT_FOUND')
    if (endpoint.sessionId !== null) gate(caller, endpoint.sessionId)
    return endpoint
  }

  const shown = (endpoint: Endpoint, secret?: string) => endpointView(endpoint, clock.now(), secret)

  async function create(caller: Caller, body: typeof CreateBody.static) {
    const { tenantId } = caller.principal
    if (body.sessionId === undefined) wholeAccount(caller)
    const sessionId = body.sessionId === undefined ? null : gate(caller, body.sessionId).id
    checkUrl(body.url)
    checkEndpoint(body)
    const present = webhooks.endpointsOfTenant(tenantId).filter((other) => other.sessionId === sessionId)
    if (present.length >= MAX_ENDPOINTS) throw fail('WEBHOOK_LIMIT_REACHED', { limit: MAX_ENDPOINTS })
    const endpoint: Endpoint = {
      id: randomHexId(),
      tenantId,
      sessionId,
      url: body.url,
      description: body.description ?? null,
      events: body.events ?? [],
      headers: body.headers ?? {},
      secret: body.secret ?? newSecret(),
      previousSecret: null,
      isActive: body.isActive ?? true,
      disabledReason: null,
      failingSince: null,
      fromSettings: false,
      isConfig: false,
      createdAt: clock.now(),
    }
    await parts.addEndpoint(caller, endpoint)
    return { success: true as const, message: CREATED, endpoint: shown(endpoint, endpoint.secret) }
  }

  async function change(caller: Caller, id: string, body: typeof ChangeBody.static) {
    const present = found(caller, id)
    if (body.url !== undefined) {
      checkUrl(body.url)
      // Its URL is that of the session's settings.
      if (present.fromSettings && body.url !== present.url) {
        throw fail('VALIDATION_ERROR', {
          in: 'body',
          fields: [{ path: '/url', message: 'This endpoint follows settings.webhookUrl; change it there' }],
        })
      }
    }
    checkEndpoint(body)
    const { secret = present.secret } = body
    const isNews = secret !== present.secret
    const endpoint: Endpoint = {
      ...present,
      ...body,
      secret,
      previousSecret: isNews ? null : present.previousSecret,
      disabledReason: body.isActive === undefined ? present.disabledReason : null,
    }
    await webhooks.saveEndpoint(endpoint)
    wake()
    const saved = webhooks.endpoint(endpoint.tenantId, id) ?? endpoint
    return { success: true as const, message: UPDATED, endpoint: shown(saved, isNews ? secret : undefined) }
  }

  return new Elysia({ prefix: '/api/webhook/endpoints', normalize: false })
    .use(guard)
    .post(
      '/',
      (context) => {
        const { caller, body } = context
        // Before an earlier answer is given again: what a session's list shuts out gets none about it.
        if (body.sessionId !== undefined) gate(caller, body.sessionId)
        return idempotent(context, () => create(caller, body), 201)
      },
      {
        access: 'webhooks:write',
        parse: readJson,
        body: CreateBody,
        response: { 201: answer({ message: says(CREATED), ...one }) },
        detail: notes({
          summary: 'Add a webhook endpoint',
          description:
            'Beside the one of /config. It gets what happens from now on; replay brings what was before.',
          tags,
          errors: ['SESSION_NOT_FOUND', 'WEBHOOK_URL_FORBIDDEN', 'WEBHOOK_LIMIT_REACHED'],
          requestExample: {
            url: 'https://your-server.com/webhook',
            events: ['message.*'],
            headers: { Authorization: 'Bearer your-own-token' },
            description: 'Messages of all sessions',
          },
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .get(
      '/',
      ({ caller, query: { sessionId, limit, offset } }) => {
        if (sessionId !== undefined) gate(caller, sessionId)
        const all = webhooks
          .endpointsOfTenant(caller.principal.tenantId)
          .filter((endpoint) => sessionId === undefined || endpoint.sessionId === sessionId)
          .filter((endpoint) => isOpenTo({ gate }, caller, endpoint))
        const page = all.slice(offset, offset + limit)
        return {
          success: true as const,
          endpoints: page.map((endpoint) => shown(endpoint)),
          total: all.length,
          limit,
          offset,
          hasMore: offset + page.length < all.length,
        }
      },
      {
        access: 'webhooks:read',
        query: Type.Object(
          {
            sessionId: Type.Optional(
              Type.String({ maxLength: 64, description: 'Those of this session alone' }),
            ),
            limit: limitParameter,
            offset: offsetParameter,
          },
          { additionalProperties: false },
        ),
        response: {
          200: answer({
            endpoints: Type.Array(EndpointView),
            total: Type.Integer(),
            limit: Type.Integer(),
            offset: Type.Integer(),
            hasMore: Type.Boolean(),
          }),
        },
        detail: notes({
          summary: 'List webhook endpoints',
          description: 'All of the account, also those of /config and of settings.webhookUrl, oldest first.',
          tags,
          errors: ['SESSION_NOT_FOUND'],
        }),
      },
    )
    .get(
      '/:id',
      ({ caller, params }) => ({ success: true as const, endpoint: shown(found(caller, params.id)) }),
      {
        access: 'webhooks:read',
        params: Params,
        response: { 200: answer(one) },
        detail: notes({ summary: 'Get a webhook endpoint', tags, errors: ['WEBHOOK_NOT_FOUND'] }),
      },
    )
    .patch('/:id', ({ caller, params, body }) => change(caller, params.id, body), {
      access: 'webhooks:write',
      parse: readJson,
      params: Params,
      body: ChangeBody,
      response: { 200: answer({ message: says(UPDATED), ...one }) },
      detail: notes({
        summary: 'Change, pause or resume a webhook endpoint',
        description:
          'What is not named stays. isActive true goes on with what waits, also where the endpoint was disabled.',
        tags,
        errors: ['WEBHOOK_NOT_FOUND', 'WEBHOOK_URL_FORBIDDEN'],
        requestExample: { isActive: false },
      }),
    })
    .delete(
      '/:id',
      async ({ caller, params }) => {
        const endpoint = found(caller, params.id)
        if (endpoint.fromSettings) {
          throw fail('WEBHOOK_NOT_FOUND', {
            action: 'This endpoint follows settings.webhookUrl: set it to null',
          })
        }
        await webhooks.removeEndpoint(endpoint.id)
        return { success: true as const, message: DELETED }
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says(DELETED) }) },
        detail: notes({
          summary: 'Remove a webhook endpoint',
          description: 'What waits for it goes too.',
          tags,
          errors: ['WEBHOOK_NOT_FOUND'],
        }),
      },
    )
    .post(
      '/:id/rotate-secret',
      (context) => {
        found(context.caller, context.params.id)
        return idempotent(
          { ...context, body: null },
          async () => {
            const endpoint = rotated(found(context.caller, context.params.id), newSecret(), clock.now())
            await webhooks.saveEndpoint(endpoint)
            return { success: true as const, message: ROTATED, endpoint: shown(endpoint, endpoint.secret) }
          },
          200,
        )
      },
      {
        access: 'webhooks:write',
        params: Params,
        response: { 200: answer({ message: says(ROTATED), ...one }) },
        detail: notes({
          summary: 'Give a webhook endpoint a new secret',
          description: 'The new one is shown this once; the old one signs along for 24 hours.',
          tags,
          errors: ['WEBHOOK_NOT_FOUND'],
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
}
