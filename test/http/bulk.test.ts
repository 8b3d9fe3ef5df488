/** Many messages in one request: mixed, each judged by itself, none twice. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'
import { png } from '../media/pictures'

const PHONE = '491703370001'
const FRIEND = '491703370002'
const OTHER = '491703370003'

let server: TestApp
let id = ''
beforeAll(async () => {
  server = await startApp()
  await server.phone(FRIEND)
  await server.phone(OTHER)
  id = await server.linked(PHONE)
})
afterAll(() => server.stop())

type Result = {
  index: number
  to: string | null
  success: boolean
  messageId?: string
  timestamp?: string
  status?: string
  code?: string
  error?: string
  details?: { fields?: { path: string }[] }
}
type Bulk = {
  code: string
  results: Result[]
  summary: { total: number; successful: number; failed: number }
  details: { fields: { path: string }[] }
}
const bulk = (body: object, headers: Record<string, string> = {}, query = '') =>
  server.call<Bulk>('POST', `/api/messages/send/bulk${query}`, { body: { sessionId: id, ...body }, headers })
const received = async (number: string) => {
  const { messages } = await server.ok<{ messages: { id: string; content: Record<string, unknown> }[] }>(
    'GET',
    `/sandbox/phones/${number}/messages`,
  )
  return messages
}
const arrived = async (number: string, messageId = '') => {
  for (;;) {
    const found = (await received(number)).find((message) => message.id === messageId)
    if (found) return found.content
    await Bun.sleep(10)
  }
}

test('mixed types and bad entries: every one has its own result', async () => {
  const { status, body } = await bulk({
    variables: { shop: 'Ada’s', name: 'you' },
    messages: [
      { to: FRIEND, text: 'Hello {{name}}, {{shop}} is open', variables: { name: 'Grace' } },
      { to: OTHER, type: 'image', imageBase64: png(8, 8).toString('base64'), caption: 'For {{name}}' },
      { to: FRIEND, type: 'location', latitude: 1, longitude: 2 },
      { to: FRIEND, text: '{{missing}}' },
      { to: FRIEND, type: 'location', latitude: 91, longitude: 2 },
      { to: 'nobody', text: 'x' },
      { to: '491709999990', text: 'x' },
      { to: FRIEND, type: 'bogus', text: 'x' },
      { to: FRIEND, type: 'constructor', text: 'x' },
      { to: FRIEND },
      'x',
      null,
      { text: 'x' },
      { to: FRIEND, text: 'x', queue: true },
      { to: FRIEND, type: 'image', imageBase64: '!!' },
    ],
  })
  expect(status).toBe(200)
  expect(body.summary).toEqual({ total: 15, successful: 3, failed: 12 })
  expect(body.results.map(({ index }) => index)).toEqual(Array.from({ length: 15 }, (_, at) => at))
  expect(body.results.map(({ code, status }) => code ?? status)).toEqual([
    'sent',
    'sent',
    'sent',
    'VALIDATION_ERROR',
    'VALIDATION_ERROR',
    'INVALID_PHONE_NUMBER',
    'NUMBER_NOT_ON_WHATSAPP',
    ...Array.from({ length: 8 }, () => 'VALIDATION_ERROR'),
  ])
  const [first, second] = body.results
  expect(first).toMatchObject({ to: FRIEND, success: true, timestamp: expect.any(String) })
  expect(await arrived(FRIEND, first?.messageId)).toMatchObject({ text: 'Hello Grace, Ada’s is open' })
  expect(await arrived(OTHER, second?.messageId)).toMatchObject({ type: 'image', caption: 'For you' })
  expect(body.results[3]?.details?.fields).toEqual([
    { path: '/variables/missing', message: expect.any(String) } as never,
  ])
  expect(body.results[4]?.details?.fields?.[0]?.path).toBe('/latitude')
  for (const { success, error } of body.results.slice(3)) {
    expect(success).toBe(false)
    expect(error).toBeString()
  }
})

test.each([
  ['no entries', { messages: [] }, '/messages'],
  [
    '1,001 entries',
    { messages: Array.from({ length: 1_001 }, () => ({ to: FRIEND, text: 'x' })) },
    '/messages',
  ],
  ['no list', { messages: 'x' }, '/messages'],
  ['an unknown field', { messages: [{}], to: FRIEND }, '/to'],
])('%s', async (_, body, path) => {
  const { status, body: answer } = await bulk(body)
  expect({ status, paths: answer.details.fields.map((field) => field.path) }).toEqual({
    status: 400,
    paths: [path],
  })
})

test('a thousand, left to the queue, in their order', async () => {
  const messages = Array.from({ length: 1_000 }, (_, at) => ({ to: at % 2 ? FRIEND : OTHER, text: `n${at}` }))
  const { status, body } = await bulk({ messages, queue: true })
  expect({ status, summary: body.summary }).toEqual({
    status: 202,
    summary: { total: 1_000, successful: 1_000, failed: 0 },
  })
  expect(new Set(body.results.map(({ messageId }) => messageId)).size).toBe(1_000)
  const wanted = (rest: number) => messages.filter((_, at) => at % 2 === rest).map(({ text }) => text)
  for (const [number, rest] of [
    [OTHER, 0],
    [FRIEND, 1],
  ] as const) {
    for (;;) {
      const texts = (await received(number))
        .map(({ content }) => content.text)
        .filter((text) => /^n\d/.test(String(text)))
      if (texts.length < 500) {
        await Bun.sleep(50)
        continue
      }
      expect(texts).toEqual(wanted(rest))
      break
    }
  }
}, 60_000)

test('the same Idempotency-Key again sends nothing again; entries have ids of their own', async () => {
  const headers = { 'idempotency-key': 'bulk-1' }
  const body = {
    messages: [
      { to: FRIEND, text: 'same' },
      { to: FRIEND, text: 'same' },
      { to: 'x', text: 'bad' },
    ],
  }
  const first = await bulk(body, headers)
  const second = await bulk(body, headers)
  expect(second.body).toEqual(first.body)
  expect(second.headers.get('idempotency-replayed')).toBe('true')
  const ids = first.body.results.flatMap(({ messageId }) => messageId ?? [])
  expect(new Set(ids).size).toBe(2)
  for (const messageId of ids) await arrived(FRIEND, messageId)
  expect((await received(FRIEND)).filter(({ content }) => content.text === 'same')).toHaveLength(2)
})

test('entries of their own time', async () => {
  const sendAt = new Date(Date.now() + 3_600_000).toISOString()
  const { body } = await bulk({
    messages: [
      { to: FRIEND, text: 'now' },
      { to: FRIEND, text: 'later', sendAt },
    ],
  })
  expect(body.results.map(({ status }) => status)).toEqual(['sent', 'queued'])
})

test('a session that is not connected is told once, for all', async () => {
  const idle = await server.session('Idle')
  const { status, body } = await bulk({ sessionId: idle, messages: [{ to: FRIEND, text: 'x' }] })
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'SESSION_NOT_CONNECTED' })
})

test('a form is not taken', async () => {
  const form = new FormData()
  form.append('messages', '[]')
  const response = await fetch(`${server.url}/api/messages/send/bulk`, {
    method: 'POST',
    body: form,
    headers: { 'x-api-key': 'wapi_test-owner-key-0123456789-abcdefghij' },
  })
  expect(response.status).toBe(415)
})
