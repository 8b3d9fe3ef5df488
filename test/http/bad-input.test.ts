/** Whatever is thrown at the API comes back in the one shape of the contract: never a stack, never a 500. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { type CallOptions, startApp, type TestApp } from '../harness/app'

let server: TestApp
beforeAll(async () => {
  server = await startApp()
})
afterAll(() => server.stop())

const JSON_TYPE = { 'content-type': 'application/json' }
const raw = (text: string | Uint8Array, headers: Record<string, string> = JSON_TYPE): CallOptions => ({
  raw: text,
  headers,
})

/** Calls, checks the envelope, and hands the code over. */
async function refusal(method: string, path: string, options?: CallOptions) {
  const { status, body, headers } = await server.call<{
    success: boolean
    error: string
    code: string
    status: number
    details?: { fields?: { path: string; message: string }[] }
  }>(method, path, options)
  expect(body.success).toBe(false)
  expect(body.status).toBe(status)
  expect(body.error.length).toBeGreaterThan(5)
  expect(body.code).toMatch(/^[A-Z][A-Z_]+$/)
  expect(JSON.stringify(body)).not.toMatch(/at .*:\d+:\d+|node_modules|\/src\//)
  expect(headers.get('x-request-id')).toBeTruthy()
  return { status, code: body.code, fields: body.details?.fields ?? [], headers, body }
}
const create = (options: CallOptions) => refusal('POST', '/api/sessions', options)

describe('bodies', () => {
  test.each([
    ['truncated', '{"name":', 'INVALID_JSON', 400],
    ['not JSON', 'name=x', 'INVALID_JSON', 400],
    ['a key twice', '{"name":"a","name":"b"}', 'INVALID_JSON', 400],
    ['a key twice, escaped', '{"name":"a","n\\u0061me":"b"}', 'INVALID_JSON', 400],
    ['100,000 levels deep', '['.repeat(100_000), 'INVALID_JSON', 400],
    ['empty', '', 'VALIDATION_ERROR', 400],
    ['null', 'null', 'VALIDATION_ERROR', 400],
    ['an array', '[]', 'VALIDATION_ERROR', 400],
    ['NUL in a string', '{"name":"a\\u0000b"}', 'VALIDATION_ERROR', 400],
    ['half a surrogate pair', '{"name":"\\ud800"}', 'VALIDATION_ERROR', 400],
    ['infinite number', '{"name":"a","settings":{"reconnectInterval":1e999}}', 'VALIDATION_ERROR', 400],
  ])('%s', async (_, text, code, status) => {
    expect(await create(raw(text))).toMatchObject({ code, status })
  })

  test('bytes that are not UTF-8', async () => {
    const bytes = Uint8Array.from([...Buffer.from('{"name":"'), 0xff, 0xfe, ...Buffer.from('"}')])
    expect(await create(raw(bytes))).toMatchObject({ code: 'INVALID_JSON', status: 400 })
  })

  test.each([
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }],
    ['plain text', { 'content-type': 'text/plain' }],
    ['another charset', { 'content-type': 'application/json; charset=latin1' }],
    ['compressed', { ...JSON_TYPE, 'content-encoding': 'gzip' }],
  ])('%s is not taken', async (_, headers) => {
    expect(await create(raw('{"name":"a"}', headers))).toMatchObject({
      code: 'UNSUPPORTED_MEDIA_TYPE',
      status: 415,
    })
  })

  test('control: a charset of UTF-8 is taken', async () => {
    const answer = await server.call('POST', '/api/sessions', {
      raw: '{"name":"a"}',
      headers: { 'content-type': 'application/json; charset=UTF-8' },
    })
    expect(answer.status).toBe(201)
  })

  test('too large, by its length and without one', async () => {
    const large = JSON.stringify({ name: 'a'.repeat(2 ** 20) })
    expect(await create(raw(large))).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', status: 413 })
    const stream = new ReadableStream({
      start(controller) {
        for (let part = 0; part < 40; part += 1) controller.enqueue(new Uint8Array(64 * 1024).fill(32))
        controller.close()
      },
    })
    const chunked = raw(stream as unknown as Uint8Array)
    expect(await create(chunked)).toMatchObject({ code: 'PAYLOAD_TOO_LARGE', status: 413 })
  })

  test('the fields that are wrong are named', async () => {
    const { fields } = await create({
      body: { ownerId: 1, description: 5, settings: { autoReconect: true } },
    })
    expect(fields.map(({ path }) => path).sort()).toEqual([
      '/description',
      '/name',
      '/ownerId',
      '/settings/autoReconect',
    ])
  })

  test.each([
    ['missing', {}],
    ['empty', { name: '' }],
    ['blank', { name: '   ' }],
    ['101 characters', { name: 'x'.repeat(101) }],
    ['a number', { name: 5 }],
  ])('a name that is %s', async (_, body) => {
    expect(await create({ body })).toMatchObject({ code: 'VALIDATION_ERROR', fields: [{ path: '/name' }] })
  })

  test('keys that reach for the prototype', async () => {
    for (const key of ['__proto__', 'constructor', 'prototype']) {
      const { code } = await create(raw(`{"name":"a","${key}":{"polluted":true}}`))
      expect(code).toBe('VALIDATION_ERROR')
    }
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined()
  })

  test('a list of addresses with something else in it', async () => {
    const body = { name: 'a', settings: { ipWhitelist: ['10.0.0.1', '10.0.0.0/33', 'home'] } }
    const { fields } = await create({ body })
    expect(fields.map(({ path }) => path)).toEqual(['/settings/ipWhitelist/1', '/settings/ipWhitelist/2'])
  })

  test('what looks like SQL is only a name', async () => {
    const name = "'; DROP TABLE sessions; --"
    const id = await server.session(name)
    const { session } = await server.ok<{ session: { name: string } }>('GET', `/api/sessions/${id}`)
    expect(session.name).toBe(name)
  })
})

describe('queries', () => {
  test.each([
    'limit=-1',
    'limit=0',
    'limit=101',
    'limit=1000000000',
    'limit=abc',
    'limit=NaN',
    'limit=',
    'limit=0x10',
    'limit=1e1',
    'limit=1.5',
    'limit=1&limit=2',
    'offset=-1',
    'offset=9223372036854775808',
    'status=bogus',
    'colour=red',
  ])('?%s', async (query) => {
    expect(await refusal('GET', `/api/sessions?${query}`)).toMatchObject({
      status: 400,
      code: 'VALIDATION_ERROR',
      fields: [{ path: expect.stringMatching(/^\/(limit|offset|status|colour)$/) }],
    })
  })

  test('the default page holds fifty, and says what is left', async () => {
    const { total } = await server.ok<{ total: number }>('GET', '/api/sessions')
    for (let made = total; made < 51; made += 1) await server.session(`Number ${made}`)
    const page = await server.ok<{ sessions: object[]; total: number }>('GET', '/api/sessions')
    expect(page.sessions).toHaveLength(50)
    expect(page).toMatchObject({ limit: 50, offset: 0, hasMore: true })
    expect(page.total).toBeGreaterThan(50)
  })

  test('control: good ones', async () => {
    const page = await server.ok('GET', '/api/sessions?limit=7&offset=2&status=inactive')
    expect(page).toMatchObject({ limit: 7, offset: 2 })
  })
})

describe('addresses', () => {
  test('no such route', async () => {
    expect(await refusal('GET', '/api/nothing')).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' })
    expect(await refusal('GET', '/')).toMatchObject({ status: 404, code: 'ROUTE_NOT_FOUND' })
  })

  test('a method that is not there says which are', async () => {
    const { status, code, headers } = await refusal('PATCH', '/api/sessions/x/settings')
    expect({ status, code, allow: headers.get('allow') }).toEqual({
      status: 405,
      code: 'METHOD_NOT_ALLOWED',
      allow: 'PUT',
    })
    expect((await refusal('DELETE', '/api/sessions')).headers.get('allow')).toBe('POST, GET, HEAD')
  })

  test('a WebSocket address asked without an upgrade', async () => {
    expect(await refusal('GET', '/api/events/ws')).toMatchObject({ status: 426, code: 'UPGRADE_REQUIRED' })
  })

  test.each([
    ['a path', '..%2f..%2fetc%2fpasswd'],
    ['NUL', '%00'],
    ['long', 'x'.repeat(5000)],
    ['upper case', 'A'.repeat(32)],
    ['unknown', 'f'.repeat(32)],
  ])('a session id that is none: %s', async (_, id) => {
    const { status } = await refusal('GET', `/api/sessions/${id}`)
    expect(status).toBe(404)
  })
})

test('a sane request id is taken over, another one is replaced', async () => {
  const sane = await server.call('GET', '/healthz', { headers: { 'x-request-id': 'abc-123' } })
  expect(sane.headers.get('x-request-id')).toBe('abc-123')
  const strange = await server.call('GET', '/healthz', { headers: { 'x-request-id': 'a b<script>' } })
  expect(strange.headers.get('x-request-id')).toMatch(/^req_/)
})
