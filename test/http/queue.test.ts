/** The queue seen and held from outside: what waits and why, pause and resume, taking a message out of it. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'

const PHONE = '491703380001'
const FRIEND = '491703380002'

let server: TestApp
let id = ''
beforeAll(async () => {
  server = await startApp()
  await server.phone(FRIEND)
  id = await server.linked(PHONE)
})
afterAll(() => server.stop())

type Queue = {
  messages: { messageId: string; type: string; to: string; sendAt?: string; expiresAt?: string }[]
  waiting: number
  scheduled: number
  hold: string | null
  nextAt: string | null
  total: number
  hasMore: boolean
}
const queue = (query = '') => server.ok<Queue>('GET', `/api/messages/queue/${id}${query}`)
const send = (body: object, type = 'text') =>
  server.call<{ messageId: string; status: string; code: string }>('POST', `/api/messages/send/${type}`, {
    body: { sessionId: id, to: FRIEND, ...body },
  })
const arrived = async (messageId: string) => {
  for (;;) {
    const { status } = await server.call('GET', `/sandbox/phones/${FRIEND}/messages/${messageId}`)
    if (status === 200) return
    await Bun.sleep(10)
  }
}
const cancel = (messageId: string, query = '') =>
  server.call<{ code: string; message: string }>('DELETE', `/api/messages/queue/${messageId}${query}`)

test('an empty queue', async () => {
  expect(await queue()).toMatchObject({
    messages: [],
    waiting: 0,
    scheduled: 0,
    hold: null,
    nextAt: null,
    total: 0,
  })
})

test('paused: messages are taken, wait and say why; resumed: they leave', async () => {
  expect(await server.ok('POST', `/api/messages/queue/${id}/pause`)).toMatchObject({
    message: 'Queue paused successfully',
    paused: true,
  })
  const { session } = await server.ok<{ session: { settings: object } }>('GET', `/api/sessions/${id}`)
  expect(session.settings).toMatchObject({ queuePaused: true })
  const first = await send({ text: 'one' })
  const second = await send({ text: 'two', queue: true, ttl: 3_600 })
  expect([first.status, second.status]).toEqual([202, 202])
  const shown = await queue()
  expect(shown).toMatchObject({ waiting: 2, paused: true, hold: 'paused', total: 2, hasMore: false })
  expect(shown.messages.map(({ messageId }) => messageId)).toEqual([
    first.body.messageId,
    second.body.messageId,
  ])
  expect(shown.messages[1]).toMatchObject({ type: 'text', to: FRIEND, expiresAt: expect.any(String) })
  expect((await queue('?limit=1')).hasMore).toBe(true)
  expect((await queue('?limit=1&offset=1')).messages[0]?.messageId).toBe(second.body.messageId)
  const detail = await server.ok<{ session: { messageQueue: number } }>('GET', `/api/sessions/${id}`)
  expect(detail.session.messageQueue).toBe(2)
  expect(await server.ok('POST', `/api/messages/queue/${id}/resume`)).toMatchObject({
    message: 'Queue resumed successfully',
  })
  await arrived(first.body.messageId)
  await arrived(second.body.messageId)
})

describe('taking a message out', () => {
  test('that waits: it fails as cancelled, and never leaves', async () => {
    const sendAt = new Date(Date.now() + 3_600_000).toISOString()
    const { body } = await send({ text: 'never', sendAt })
    expect(await queue()).toMatchObject({ scheduled: 1, hold: 'scheduled', nextAt: sendAt })
    const { status, body: told } = await cancel(body.messageId)
    expect({ status, told }).toMatchObject({
      status: 200,
      told: { message: 'Message cancelled successfully' },
    })
    expect((await queue()).total).toBe(0)
    const { message } = await server.ok<{ message: object }>('GET', `/api/messages/${id}/${body.messageId}`)
    expect(message).toMatchObject({ status: 'failed', code: 'MESSAGE_CANCELLED' })
  })

  test('that has left, is not there, or names another session', async () => {
    const sent = await send({ text: 'gone' })
    const other = await server.session('Other')
    for (const [messageId, query, status, code] of [
      [sent.body.messageId, '', 409, 'MESSAGE_NOT_QUEUED'],
      ['3EB000', '', 404, 'MESSAGE_NOT_FOUND'],
      ['3EB000', `?sessionId=${id}`, 404, 'MESSAGE_NOT_FOUND'],
      [sent.body.messageId, `?sessionId=${other}`, 404, 'MESSAGE_NOT_FOUND'],
      [sent.body.messageId, `?sessionId=${'f'.repeat(32)}`, 404, 'SESSION_NOT_FOUND'],
    ] as const) {
      const answer = await cancel(messageId, query)
      expect({ messageId, query, status: answer.status, code: answer.body.code }).toEqual({
        messageId,
        query,
        status,
        code,
      })
    }
  })
})

describe('gestures', () => {
  const gesture = (name: string, body: object) =>
    server.call<{ code: string; details?: { fields: { path: string }[] } }>(
      'POST',
      `/api/messages/send/${name}`,
      { body: { sessionId: id, ...body } },
    )

  test('presence: of a chat, and of all', async () => {
    for (const body of [
      { to: FRIEND, presence: 'composing' },
      { to: FRIEND, presence: 'recording' },
      { to: FRIEND, presence: 'paused' },
      { presence: 'available' },
      { presence: 'unavailable' },
    ]) {
      expect((await gesture('presence', body)).status).toBe(200)
    }
    for (const [body, path] of [
      [{ presence: 'composing' }, '/to'],
      [{ to: FRIEND, presence: 'available' }, '/to'],
      [{ to: FRIEND, presence: 'dancing' }, '/presence'],
    ] as const) {
      expect((await gesture('presence', body)).body.details?.fields[0]?.path).toBe(path)
    }
  })

  test('star and unstar', async () => {
    const { body } = await send({ text: 'bright' })
    const { messageId } = body
    expect((await gesture('star', { messageId })).body).toMatchObject({ starred: true } as never)
    const starred = () => server.ok<{ total: number }>('GET', `/api/messages/history/${id}?starred=true`)
    for (; (await starred()).total !== 1; ) await Bun.sleep(10)
    expect((await gesture('star', { messageId, starred: false, to: FRIEND })).status).toBe(200)
    for (; (await starred()).total !== 0; ) await Bun.sleep(10)
    expect((await gesture('star', { messageId: '3EB000' })).body.code).toBe('MESSAGE_NOT_FOUND')
  })

  test('read: the author is told', async () => {
    const said = await server.ok<{ message: { id: string } }>('POST', `/sandbox/phones/${FRIEND}/messages`, {
      body: { to: PHONE, content: { type: 'text', text: 'Read me' } },
    })
    const messageId = said.message.id
    for (;;) {
      if ((await server.call('GET', `/api/messages/${id}/${messageId}`)).status === 200) break
      await Bun.sleep(10)
    }
    expect((await gesture('read', { messageIds: [messageId] })).status).toBe(200)
    for (;;) {
      const { messages } = await server.ok<{ messages: object[] }>('GET', `/sandbox/phones/${FRIEND}/sent`)
      if (JSON.stringify(messages.at(-1)).includes('read')) break
      await Bun.sleep(10)
    }
    for (const [body, code] of [
      [{ messageIds: [] }, 'VALIDATION_ERROR'],
      [{ messageIds: ['3EB000'] }, 'MESSAGE_NOT_FOUND'],
      [{ messageIds: ['a', 'a'] }, 'VALIDATION_ERROR'],
    ] as const) {
      expect((await gesture('read', body)).body.code).toBe(code)
    }
  })
})
