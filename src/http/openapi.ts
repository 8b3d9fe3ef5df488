/**
 * The OpenAPI 3.1 document, made from the routes themselves: their schemas are what validates, their notes are beside
 * them, so neither can be forgotten. Schemas with a title become components.
 */

import type { ErrorCode } from '../domain/errors'
import { EVENT_NAMES, EventEnvelope, type EventName, eventSays } from '../domain/events'
import { NOTES, type RouteNotes } from './docs'
import { ACCESS } from './guard'
import { failures, type Json, requestBody, type Schema, successes, type Tidy } from './openapi-content'

/** A route as Elysia lists it. */
export type ListedRoute = {
  method: string
  path: string
  hooks: {
    detail?: object
    body?: unknown
    query?: unknown
    params?: unknown
    response?: unknown
  }
}

const ANY_ROUTE: readonly ErrorCode[] = ['INTERNAL_ERROR']
const GUARDED: readonly ErrorCode[] = [
  'AUTH_REQUIRED',
  'AUTH_INVALID_TOKEN',
  'AUTH_TOKEN_EXPIRED',
  'AUTH_INVALID_API_KEY',
  'AUTH_ACCOUNT_INACTIVE',
  'FORBIDDEN',
  'RATE_LIMIT_EXCEEDED',
]
const WITH_BODY: readonly ErrorCode[] = [
  'VALIDATION_ERROR',
  'INVALID_JSON',
  'UNSUPPORTED_MEDIA_TYPE',
  'PAYLOAD_TOO_LARGE',
  'REQUEST_TIMEOUT',
]

/** Builds the document. */
export function openApiDocument(
  routes: readonly ListedRoute[],
  about: { version: string; url: string | null },
): Json {
  const components: Record<string, Json> = { Error: ERROR_SCHEMA }
  const tidy = (schema: unknown): Json => componentOf(schema as Schema, components)
  const paths: Record<string, Json> = {}
  const tags = new Set<string>()
  for (const route of routes) {
    const path = pathOf(route.path)
    const method = route.method === 'WS' ? 'get' : route.method.toLowerCase()
    paths[path] = { ...paths[path], [method]: operation(route, tidy) }
    for (const tag of notesOf(route)?.tags ?? []) tags.add(tag)
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Wabun',
      version: about.version,
      description:
        'A self-hosted WhatsApp session server. Every answer carries X-Request-Id; every failure has the shape of Error. Answers to accounts whose plan limits them carry RateLimit-Limit, RateLimit-Remaining and RateLimit-Reset (seconds); 429 says in Retry-After when to come back.',
      license: { name: 'MIT' },
    },
    servers: [{ url: about.url ?? '/' }],
    tags: [...tags].map((name) => ({ name })),
    security: SECURITY,
    paths,
    webhooks: webhooks(tidy),
    components: { schemas: components, securitySchemes: SECURITY_SCHEMES },
  }
}

const SECURITY = [{ bearer: [] }, { apiKey: [] }]
const SECURITY_SCHEMES = {
  bearer: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'Decides when both are sent' },
  ticket: {
    type: 'apiKey',
    in: 'query',
    name: 'ticket',
    description: 'One-time, 30 seconds, for streams only',
  },
}

const ERROR_SCHEMA: Json = {
  type: 'object',
  title: 'Error',
  required: ['success', 'error', 'code', 'status'],
  properties: {
    success: { const: false },
    error: { type: 'string', description: 'A sentence' },
    code: { type: 'string', description: 'Stable, UPPER_SNAKE' },
    status: { type: 'integer', description: 'The HTTP status' },
    details: {
      type: 'object',
      additionalProperties: true,
      properties: {
        action: { type: 'string', description: 'What to do next' },
        requestId: { type: 'string' },
        fields: {
          type: 'array',
          items: {
            type: 'object',
            required: ['path', 'message'],
            properties: { path: { type: 'string' }, message: { type: 'string' } },
          },
        },
      },
    },
  },
}

const pathOf = (path: string): string => path.replace(/(.)\/$/, '$1').replace(/:([A-Za-z]+)/g, '{$1}')

const notesOf = ({ hooks }: ListedRoute): RouteNotes | undefined =>
  (hooks.detail as Record<string, unknown> | undefined)?.[NOTES] as RouteNotes | undefined

/** `POST /api/sessions/:id/start` → `postSessionsIdStart`: stable names for generated clients. */
const operationId = ({ method, path }: ListedRoute): string => {
  const words = path
    .replace(/^\/api(?=\/)/, '')
    .split(/[/:.-]+/)
    .filter(Boolean)
  const name = words.map((word) => word.charAt(0).toUpperCase() + word.slice(1)).join('')
  return `${method === 'WS' ? 'stream' : method.toLowerCase()}${name}`
}

function operation(route: ListedRoute, tidy: Tidy): Json {
  const { hooks, method } = route
  const notes = notesOf(route)
  const detail = (hooks.detail ?? {}) as Record<string, unknown>
  const access = detail[ACCESS]
  const query = (hooks.query as Schema | undefined)?.properties
  const security = query && 'ticket' in query ? [...SECURITY, { ticket: [] }] : SECURITY
  const scopes =
    access === undefined ? [] : ([access].flat() as string[]).filter((scope) => scope !== 'account')
  const description = [
    notes?.description,
    scopes.length > 0 ? `Needs the scope${scopes.length > 1 ? 's' : ''} ${scopes.join(' and ')}.` : undefined,
  ].filter((text) => text !== undefined)
  return {
    operationId: operationId(route),
    summary: notes?.summary ?? detail.summary ?? operationId(route),
    ...(description.length > 0 ? { description: description.join(' ') } : {}),
    tags: notes?.tags ?? detail.tags ?? [],
    security: access === undefined ? [] : security,
    // Keys have no scopes in OpenAPI's own terms, so they stand beside.
    ...(access === undefined ? {} : { 'x-scopes': scopes }),
    parameters: [
      ...parametersOf('path', hooks.params as Schema | undefined, tidy),
      ...parametersOf('query', hooks.query as Schema | undefined, tidy),
      ...Object.entries(notes?.headers ?? {}).map(([name, says]) => ({
        name,
        in: 'header',
        required: false,
        description: says,
        schema: { type: 'string' },
      })),
    ],
    ...(bodyOf(route, notes) ? { requestBody: requestBody(bodyOf(route, notes), notes, tidy) } : {}),
    responses: {
      ...(method === 'WS' ? SOCKET : successes(hooks.response, notes, tidy)),
      ...failures(errorsOf(route, notes)),
    },
  }
}

function parametersOf(place: 'path' | 'query', schema: Schema | undefined, tidy: Tidy): Json[] {
  return Object.entries(schema?.properties ?? {}).map(([name, property]) => {
    const { description, ...rest } = tidy(property)
    return {
      name,
      in: place,
      required: place === 'path' || ((schema?.required ?? []).includes(name) && !('default' in property)),
      ...(description ? { description } : {}),
      schema: rest,
    }
  })
}

const bodyOf = ({ hooks }: ListedRoute, notes: RouteNotes | undefined): unknown => hooks.body ?? notes?.body

const SOCKET = { '101': { description: 'The WebSocket is open' } }

function errorsOf({ hooks, method }: ListedRoute, notes: RouteNotes | undefined): ErrorCode[] {
  const guarded = ACCESS in (hooks.detail ?? {})
  const queried = Object.keys((hooks.query as Schema | undefined)?.properties ?? {}).length > 0
  return [
    ...new Set([
      ...(notes?.errors ?? []),
      ...(hooks.body || notes?.body ? WITH_BODY : queried ? (['VALIDATION_ERROR'] as const) : []),
      ...(guarded ? GUARDED : []),
      ...(notes?.errors?.includes('SESSION_NOT_FOUND') ? (['IP_NOT_ALLOWED'] as const) : []),
      ...(method === 'GET' || method === 'WS' ? [] : (['STORAGE_UNAVAILABLE'] as const)),
      ...ANY_ROUTE,
    ]),
  ]
}

/** What is posted to a webhook: one entry per event. */
function webhooks(tidy: Tidy): Json {
  const envelope = tidy({ ...EventEnvelope, title: 'Event' })
  const hook = (name: EventName) => ({
    post: {
      operationId: `on${name
        .split(/[._]/)
        .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
        .join('')}`,
      summary: name,
      description: eventSays(name),
      tags: ['Events'],
      requestBody: { required: true, content: { 'application/json': { schema: envelope } } },
      responses: { '2XX': { description: 'Taken; anything else is tried again' } },
    },
  })
  return Object.fromEntries(EVENT_NAMES.map((name) => [name, hook(name)]))
}

/** The schema as JSON; those with a title are put among the components and referred to. */
function componentOf(schema: Schema, components: Record<string, Json>): Json {
  const walked = walk(schema, components) as Json
  if (typeof schema.title !== 'string') return walked
  components[schema.title] = walked
  return { $ref: `#/components/schemas/${schema.title}` }
}

/** Keywords whose values are names and examples, not schemas. */
const PLAIN = new Set(['default', 'examples', 'example', 'const', 'enum', 'required'])

function walk(value: unknown, components: Record<string, Json>): unknown {
  if (Array.isArray(value)) return value.map((item) => inner(item, components))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, PLAIN.has(key) ? item : inner(item, components)]),
  )
}

const inner = (value: unknown, components: Record<string, Json>): unknown =>
  typeof value === 'object' && value !== null && typeof (value as Schema).title === 'string'
    ? componentOf(value as Schema, components)
    : walk(value, components)
