/** The document: complete, valid in itself, and made of the schemas that validate. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Value } from '@sinclair/typebox/value'
import { ASK_TYPES } from '../../src/domain/content'
import { ERROR_CODES } from '../../src/domain/errors'
import { EVENT_NAMES } from '../../src/domain/events'
import { checker } from '../../src/http/checked'
import { PUBLIC_ROUTES } from '../../src/http/guard'
import { SendAnswer } from '../../src/http/send-answer'
import { ANY_CONTENT, STATUS_CONTENT } from '../../src/http/send-content'
import { sendBody } from '../../src/http/send-fields'
import { SessionView } from '../../src/http/session-view'
import { startApp, type TestApp } from '../harness/app'

type Operation = {
  operationId: string
  summary: string
  tags: string[]
  security: object[]
  parameters: { name: string; in: string }[]
  requestBody?: { content: Record<string, { schema: object; example?: unknown }> }
  responses: Record<
    string,
    { content?: Record<string, { schema?: object; example?: unknown; examples?: object }> }
  >
}
type Document = {
  openapi: string
  paths: Record<string, Record<string, Operation>>
  webhooks: Record<string, unknown>
  components: { schemas: Record<string, object>; securitySchemes: object }
}

let server: TestApp
let document: Document
let operations: { route: string; path: string; operation: Operation }[]
beforeAll(async () => {
  server = await startApp()
  document = await server.ok<Document>('GET', '/docs/openapi.json', { key: null })
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      route: `${method.toUpperCase()} ${path}`,
      path,
      operation,
    })),
  )
})
afterAll(() => server.stop())

test('is OpenAPI 3.1 and every reference leads somewhere', () => {
  expect(document.openapi).toStartWith('3.1')
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/components\/schemas\/([^"]+)"/g)]
  expect(references.length).toBeGreaterThan(50)
  for (const [, name = ''] of references) expect(Object.keys(document.components.schemas)).toContain(name)
})

test('every route of the contract that exists so far is there', () => {
  const routes = operations.map(({ route }) => route)
  for (const route of CONTRACT) expect(routes).toContain(route)
})

test('every route has words, a name of its own, its path parameters, answers and errors', () => {
  const names = new Set(operations.map(({ operation }) => operation.operationId))
  expect(names.size).toBe(operations.length)
  for (const { route, path, operation } of operations) {
    expect({ route, words: operation.summary.length > 3 && operation.tags.length > 0 }).toEqual({
      route,
      words: true,
    })
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
    const named = operation.parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name)
    expect({ route, named }).toEqual({ route, named: inPath as string[] })
    const statuses = Object.keys(operation.responses)
    expect({ route, success: statuses.some((status) => /^(101|2)/.test(status)) }).toEqual({
      route,
      success: true,
    })
    if (/^(POST|PUT) /.test(route) && !ACTIONS.test(route)) {
      expect({ route, body: operation.requestBody !== undefined }).toEqual({ route, body: true })
    }
  }
})

test('says which routes are public', () => {
  const open = operations.filter(({ operation }) => operation.security.length === 0).map(({ route }) => route)
  expect(open.sort()).toEqual([...PUBLIC_ROUTES].sort())
})

test('every error code that a route names is one of the catalogue, with its status', () => {
  const seen = new Set<string>()
  for (const { operation } of operations) {
    for (const [status, answer] of Object.entries(operation.responses)) {
      for (const [code, { value }] of Object.entries(
        (answer.content?.['application/json']?.examples ?? {}) as Record<
          string,
          { value: { status: number } }
        >,
      )) {
        seen.add(code)
        expect(ERROR_CODES as string[]).toContain(code)
        expect(String(value.status)).toBe(status)
      }
    }
  }
  expect(seen.size).toBeGreaterThan(25)
})

test('every event is described as a webhook', () => {
  expect(Object.keys(document.webhooks).sort()).toEqual([...EVENT_NAMES].sort())
})

test('the schema of a session is the one that validates', async () => {
  const id = await server.session('Described')
  const { session } = await server.ok<{ session: object }>('GET', `/api/sessions/${id}`)
  expect(Value.Check(SessionView, session)).toBe(true)
  expect(document.components.schemas.Session).toEqual(JSON.parse(JSON.stringify(SessionView)))
})

test('the examples of the answers fit their schemas', () => {
  const { example } =
    document.paths['/api/sessions/{id}']?.get?.responses['200']?.content?.['application/json'] ?? {}
  expect(Value.Check(SessionView, (example as { session: unknown }).session)).toBe(true)
})

describe('every type', () => {
  test.each(ASK_TYPES)('%s: its example is a good request, its words are there', (type) => {
    const operation = document.paths[`/api/messages/send/${type}`]?.post
    const { schema, example } = operation?.requestBody?.content['application/json'] ?? {}
    expect(() => checker(sendBody(type))(example)).not.toThrow()
    expect(schema).toEqual({ $ref: `#/components/schemas/${sendBody(type).title}` })
    expect(Value.Check(SendAnswer, operation?.responses['200']?.content?.['application/json']?.example)).toBe(
      true,
    )
    expect(Object.keys(operation?.responses ?? {})).toEqual(
      expect.arrayContaining(['200', '202', '400', '404']),
    )
  })

  test('those with a file take forms as well', () => {
    const forms = operations
      .filter(({ operation }) => operation.requestBody?.content['multipart/form-data'])
      .map(({ route }) => route.replace('POST /api/messages/', ''))
    expect(forms.sort()).toEqual([
      'send',
      'send/audio',
      'send/document',
      'send/image',
      'send/status',
      'send/sticker',
      'send/video',
      'upload',
    ])
  })

  test('the other examples of requests are good ones too', () => {
    for (const [path, check] of [
      ['/api/messages/send', (value: unknown) => ANY_CONTENT.check(value)],
      ['/api/messages/send/status', (value: unknown) => STATUS_CONTENT.check(value)],
    ] as const) {
      const { example } = document.paths[path]?.post?.requestBody?.content['application/json'] ?? {}
      expect(() => check(example)).not.toThrow()
    }
  })
})

test('the scan’s six steps are told where the QR code is', () => {
  const { description } = (document.paths['/api/sessions/{id}/qr']?.get ?? {}) as { description?: string }
  for (const step of [
    'Open WhatsApp',
    'Settings',
    'Linked Devices',
    'Link a Device',
    'Scan the QR code',
    'Wait',
  ]) {
    expect(description).toContain(step)
  }
})

test('the page has no outside resource', async () => {
  const { body, headers } = await server.call<string>('GET', '/docs', { key: null })
  expect(body).not.toMatch(/https?:\/\/|src=/)
  expect(headers.get('content-security-policy')).toContain("default-src 'none'")
})

/** POSTs that need no body. */
const ACTIONS =
  /\/(start|stop|restart|clear-auth|logout|ticket|regenerate-api-key|pause|resume|rotate-secret(\/\{sessionId\})?|\{id\}\/replay)$/

const CONTRACT = [
  'POST /api/auth/register',
  'POST /api/auth/login',
  'POST /api/auth/logout',
  'POST /api/auth/refresh',
  'GET /api/auth/profile',
  'POST /api/auth/regenerate-api-key',
  'POST /api/auth/ticket',
  'GET /api/auth/api-keys',
  'POST /api/auth/api-keys',
  'DELETE /api/auth/api-keys/{id}',
  'PATCH /api/auth/api-keys/{id}',
  'PUT /api/auth/profile',
  'POST /api/auth/change-password',
  'DELETE /api/auth/account',
  'GET /api/admin/users',
  'POST /api/admin/users',
  'GET /api/admin/users/{id}',
  'PATCH /api/admin/users/{id}',
  'DELETE /api/admin/users/{id}',
  'POST /api/sessions',
  'GET /api/sessions',
  'GET /api/sessions/{id}',
  'DELETE /api/sessions/{id}',
  'GET /api/sessions/{id}/status',
  'GET /api/sessions/{id}/diagnosis',
  'GET /api/sessions/{id}/qr',
  'PUT /api/sessions/{id}/settings',
  'POST /api/sessions/{id}/start',
  'POST /api/sessions/{id}/stop',
  'POST /api/sessions/{id}/restart',
  'POST /api/sessions/{id}/clear-auth',
  'POST /api/sessions/{id}/logout',
  'POST /api/sessions/{id}/pairing-code',
  'GET /api/sessions/{id}/performance',
  'GET /api/sessions/{id}/events',
  'GET /api/sessions/{id}/ws',
  ...ASK_TYPES.map((type) => `POST /api/messages/send/${type}`),
  'POST /api/messages/send',
  'POST /api/messages/send/bulk',
  'POST /api/messages/send/status',
  'POST /api/messages/send/presence',
  'POST /api/messages/send/star',
  'POST /api/messages/send/read',
  'POST /api/messages/upload',
  'GET /media/{name}',
  'GET /api/messages/queue/{sessionId}',
  'DELETE /api/messages/queue/{messageId}',
  'POST /api/messages/queue/{sessionId}/pause',
  'POST /api/messages/queue/{sessionId}/resume',
  'GET /api/messages/{sessionId}/{messageId}/media',
  'GET /api/messages/history/{sessionId}',
  'GET /api/messages/stats/{sessionId}',
  'GET /api/messages/{sessionId}/{messageId}',
  'GET /api/events',
  'GET /api/events/stream',
  'GET /api/events/ws',
  'PUT /api/webhook/config/{sessionId}',
  'GET /api/webhook/config/{sessionId}',
  'DELETE /api/webhook/config/{sessionId}',
  'GET /api/webhook/event-types',
  'POST /api/webhook/rotate-secret/{sessionId}',
  'GET /api/webhook/endpoints',
  'POST /api/webhook/endpoints',
  'GET /api/webhook/endpoints/{id}',
  'PATCH /api/webhook/endpoints/{id}',
  'DELETE /api/webhook/endpoints/{id}',
  'POST /api/webhook/endpoints/{id}/rotate-secret',
  'GET /api/webhook/deliveries/{sessionId}',
  'POST /api/webhook/deliveries/{id}/replay',
  'POST /api/webhook/replay',
  'GET /api/webhook/stats/{sessionId}',
  'GET /api/webhook/queue',
  'DELETE /api/webhook/queue/{sessionId}',
  'POST /api/webhook/test',
  'GET /api/status/health',
  'GET /api/status/info',
  'GET /api/status',
  'GET /api/status/stats',
  'GET /healthz',
  'GET /readyz',
  'GET /docs/openapi.json',
  'POST /sandbox/phones',
  'GET /sandbox/phones',
  'POST /sandbox/phones/{number}/scan',
  'POST /sandbox/phones/{number}/pairing-code',
  'POST /sandbox/phones/{number}/messages',
  'GET /sandbox/phones/{number}/messages',
  'POST /sandbox/phones/{number}/read',
  'POST /sandbox/phones/{number}/typing',
  'DELETE /sandbox/phones/{number}/devices/{id}',
  'POST /sandbox/groups',
  'POST /sandbox/faults',
  'DELETE /sandbox/faults',
  'GET /sandbox/log',
]
