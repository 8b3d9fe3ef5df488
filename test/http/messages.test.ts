/** Sending, looking back and counting through the front door. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'

const PHONE = '491703330001'
const FRIEND = '491703330002'

let server: TestApp
let id = ''
beforeAll(async () => {
  server = await startApp()
  await server.phone(FRIEND)
  id = await server.linked(PHONE)
})
afterAll(() => server.stop())

type Sent = { messageId: string; status: string; to: string; message: string; timestamp: string }
const send = (body: object, headers: Record<string, string> = {}) =>
  server.call<Sent & { code: string; details: { fields: { path: string }[]; messageId?: string } }>(
    'POST',
    '/api/messages/send/text',
    { body: { sessionId: id, to: FRIEND, ...body }, headers },
  )
const received = async () => {
  const { messages } = await server.ok<{ messages: { id: string; content: { text?: string } }[] }>(
    'GET',
    `/sandbox/phones/${FRIEND}/messages`,
  )
  return messages
}
const arrived = async (messageId: string) => {
  for (;;) {
    const found = (await received()).find((message) => message.id === messageId)
    if (found) return found.content.text
    await Bun.sleep(10)
  }
}

describe('a text', () => {
  test('is sent once WhatsApp has acknowledged it, and arrives', async () => {
    const { status, body } = await send({ to: `+${FRIEND.slice(0, 4)} ${FRIEND.slice(4)}`, text: 'Grüße 👋' })
    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: true,
      message: 'Message sent successfully',
      to: FRIEND,
      status: 'sent',
    })
    expect(body.messageId).toMatch(/^3EB0[0-9A-F]+$/)
    expect(await arrived(body.messageId)).toBe('Grüße 👋')
    const one = await server.ok<{ message: object }>('GET', `/api/messages/${id}/${body.messageId}`)
    expect(one.message).toMatchObject({
      id: body.messageId,
      type: 'text',
      from: 'me',
      to: FRIEND,
      text: 'Grüße 👋',
    })
  })

  test('fills its places; a missing variable is named', async () => {
    const good = await send({ text: 'Hi {{name}}, {{ count }} new', variables: { name: 'Ada', count: 3 } })
    expect(await arrived(good.body.messageId)).toBe('Hi Ada, 3 new')
    const { status, body } = await send({ text: 'Hi {{name}} {{other}}', variables: { name: 'Ada' } })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'VALIDATION_ERROR' })
    expect(body.details.fields.map(({ path }) => path)).toEqual(['/variables/other'])
    expect((await send({ text: '{{constructor}}', variables: {} })).status).toBe(400)
  })

  test.each([
    ['letters', 'abc'],
    ['too short', '+12'],
    ['40 digits', '1'.repeat(40)],
    ['emoji digits', '1️⃣2️⃣3️⃣4️⃣5️⃣6️⃣7️⃣'],
    ['another domain', '1234567@example.com'],
  ])('to %s is refused', async (_, to) => {
    const { status, body } = await send({ to, text: 'x' })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'INVALID_PHONE_NUMBER' })
  })

  test('to a number without WhatsApp is refused', async () => {
    const { status, body } = await send({ to: '491709999999', text: 'x' })
    expect({ status, code: body.code }).toEqual({ status: 404, code: 'NUMBER_NOT_ON_WHATSAPP' })
  })

  test.each([
    ['empty', ''],
    ['too long', 'x'.repeat(65_537)],
  ])('that is %s is refused', async (_, text) => {
    expect((await send({ text })).body.code).toBe('VALIDATION_ERROR')
  })

  test('that quotes an unknown message is refused; a known one goes', async () => {
    const unknown = await send({ text: 'x', quotedMessageId: '3EB0000000000000000000' })
    expect({ status: unknown.status, code: unknown.body.code }).toEqual({
      status: 404,
      code: 'MESSAGE_NOT_FOUND',
    })
    const first = await send({ text: 'Question' })
    expect((await send({ text: 'Answer', quotedMessageId: first.body.messageId })).status).toBe(200)
  })

  test('may be left to the queue', async () => {
    for (const [body, headers] of [
      [{ text: 'later 1', queue: true }, {}],
      [{ text: 'later 2' }, { prefer: 'respond-async' }],
    ] as const) {
      const queued = await send(body, headers)
      expect({ status: queued.status, said: queued.body.status }).toEqual({ status: 202, said: 'queued' })
      expect(await arrived(queued.body.messageId)).toBe(body.text)
    }
  })
})

test('three hundred at once to one session: every one arrives, none twice', async () => {
  const answers = await Promise.all(Array.from({ length: 300 }, (_, at) => send({ text: `many ${at}` })))
  const ids = answers.map(({ status, body }) => (status === 200 ? body.messageId : `${status} ${body.code}`))
  expect(new Set(ids).size).toBe(300)
  await Promise.all(ids.map((messageId) => arrived(messageId)))
  const texts = (await received()).flatMap(({ content }) =>
    content.text?.startsWith('many') ? content.text : [],
  )
  expect(new Set(texts).size).toBe(300)
  expect(texts).toHaveLength(300)
}, 30_000)

describe('Idempotency-Key', () => {
  const again = (key: string, text: string) => send({ text }, { 'idempotency-key': key })

  test('the same request gets the first answer, and nothing is sent twice', async () => {
    const first = await again('key-1', 'Once')
    const second = await again('key-1', 'Once')
    expect(second.body).toEqual(first.body)
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    await arrived(first.body.messageId)
    expect((await received()).filter(({ content }) => content.text === 'Once')).toHaveLength(1)
    // Control: another key sends another message.
    expect((await again('key-2', 'Once')).body.messageId).not.toBe(first.body.messageId)
  })

  test('another request under the key is refused', async () => {
    await again('key-3', 'A')
    const { status, body } = await again('key-3', 'B')
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'IDEMPOTENCY_KEY_REUSED' })
  })

  test('two at once: one is sent', async () => {
    const both = await Promise.all([again('key-4', 'Race'), again('key-4', 'Race')])
    expect(both.map(({ status }) => status).sort()).toEqual([200, 409])
    expect(both.find(({ status }) => status === 409)?.body.code).toBe('IDEMPOTENCY_IN_PROGRESS')
  })

  test('a failure that sent nothing leaves the key free', async () => {
    const failed = await send({ to: '491709999998', text: 'x' }, { 'idempotency-key': 'key-5' })
    expect(failed.status).toBe(404)
    await server.phone('491709999998')
    // What is known about a number is remembered for a while, so the other recipient is a new one.
    const { status } = await send({ to: FRIEND, text: 'x' }, { 'idempotency-key': 'key-6' })
    expect(status).toBe(200)
  })

  test('after an orderly restart the answer is still there', async () => {
    const first = await again('key-7', 'Over the restart')
    await server.restart()
    await server.until(id, ({ status }) => status === 'connected')
    const second = await again('key-7', 'Over the restart')
    expect(second.body).toEqual(first.body)
  })

  test.each([
    ['empty', ''],
    ['300 characters', 'k'.repeat(300)],
    ['spaces', 'a b'],
  ])('a key with %s is refused', async (_, key) => {
    const { status, body } = await again(key, 'x')
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'VALIDATION_ERROR' })
  })

  test('creates one session', async () => {
    const make = () =>
      server.call<{ session: { id: string } }>('POST', '/api/sessions', {
        body: { name: 'Only one' },
        headers: { 'idempotency-key': 'make-1' },
      })
    const [first, second] = [await make(), await make()]
    expect([first.status, second.status]).toEqual([201, 201])
    expect(second.body.session.id).toBe(first.body.session.id)
  })
})

describe('history', () => {
  test('newest first, filtered, paged', async () => {
    await server.ok('POST', `/sandbox/phones/${FRIEND}/messages`, {
      body: { to: PHONE, content: { type: 'text', text: 'From the friend' } },
    })
    type Page = {
      messages: { from: string; to: string; text: string; timestamp: string }[]
      total: number
      hasMore: boolean
    }
    const history = (query: string) => server.ok<Page>('GET', `/api/messages/history/${id}?${query}`)
    for (;;) {
      const { messages } = await history(`from=${FRIEND}`)
      if (messages[0]?.text === 'From the friend') {
        expect(messages[0]).toMatchObject({ from: FRIEND, to: 'me', type: 'text', status: 'received' })
        break
      }
      await Bun.sleep(10)
    }
    const all = await history('limit=100')
    const times = all.messages.map(({ timestamp }) => Date.parse(timestamp))
    expect(times).toEqual([...times].sort((a, b) => b - a))
    const page = await history('limit=2&offset=1')
    expect(page.messages).toEqual(all.messages.slice(1, 3))
    expect(page).toMatchObject({ total: all.total, hasMore: true, limit: 2, offset: 1 })
    expect((await history('startDate=2099-01-01')).total).toBe(0)
    expect((await history(`endDate=${new Date().toISOString().slice(0, 10)}`)).total).toBe(all.total)
    const { body } = await server.call('GET', `/api/messages/history/${id}?startDate=yesterday`)
    expect(body.code).toBe('VALIDATION_ERROR')
  })
})

test('a session without a connection says what to do', async () => {
  const idle = await server.session('Idle')
  const { status, body } = await send({ sessionId: idle, text: 'x' })
  expect({ status, code: body.code }).toEqual({ status: 400, code: 'SESSION_NOT_CONNECTED' })
  expect(body.details).toMatchObject({ currentStatus: 'inactive', action: expect.any(String) })
})
