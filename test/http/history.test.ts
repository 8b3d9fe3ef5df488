/** Looking back: every filter, search, and the numbers. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { startApp, type TestApp } from '../harness/app'
import { png } from '../media/pictures'

const PHONE = '491703390001'
const FRIEND = '491703390002'
const OTHER = '491703390003'

let server: TestApp
let id = ''
let group = ''
const ids: Record<string, string> = {}

type Shown = { id: string; type: string; text?: string } & Record<string, unknown>
type Page = { messages: Shown[]; total: number; code: string; details: { fields: { path: string }[] } }
const history = (query: string) => server.call<Page>('GET', `/api/messages/history/${id}?${query}`)
const found = async (query: string) => {
  const { status, body } = await history(query)
  if (status !== 200) throw new Error(`${query}: ${JSON.stringify(body)}`)
  return body.messages
}
const send = async (name: string, type: string, body: object) => {
  const { messageId } = await server.ok<{ messageId: string }>('POST', `/api/messages/send/${type}`, {
    body: { sessionId: id, ...body },
  })
  ids[name] = messageId
}
const receive = async (name: string, from: string, to: string, content: object) => {
  const { message } = await server.ok<{ message: { id: string } }>(
    'POST',
    `/sandbox/phones/${from}/messages`,
    {
      body: { to, content },
    },
  )
  ids[name] = message.id
  for (;;) {
    if ((await server.call('GET', `/api/messages/${id}/${message.id}`)).status === 200) return
    await Bun.sleep(10)
  }
}

beforeAll(async () => {
  server = await startApp()
  await server.phone(FRIEND)
  await server.phone(OTHER)
  id = await server.linked(PHONE)
  const made = await server.ok<{ group: { jid: string } }>('POST', '/sandbox/groups', {
    body: { subject: 'All', owner: FRIEND, members: [PHONE, OTHER] },
  })
  group = made.group.jid
  await send('hello', 'text', { to: FRIEND, text: 'Grüße aus Köln' })
  await send('picture', 'image', {
    to: OTHER,
    imageBase64: png(8, 8).toString('base64'),
    caption: 'The Cathedral of Köln',
  })
  await receive('answer', FRIEND, PHONE, { type: 'text', text: 'gruesse zurück' })
  await receive('grouped', OTHER, group, { type: 'text', text: 'For all of us' })
  await send('reaction', 'reaction', { targetMessageId: ids.answer, emoji: '❤️' })
  await send('forwarded', 'forward', { to: OTHER, messageId: ids.answer })
})
afterAll(() => server.stop())

const names = async (query: string) => {
  const byId = new Map(Object.entries(ids).map(([name, messageId]) => [messageId, name]))
  return (await found(query)).map((message) => byId.get(message.id) ?? message.id).sort()
}

test('actions are told with their targets, and listed only by their type', async () => {
  expect(await names('')).toEqual(['answer', 'forwarded', 'grouped', 'hello', 'picture'])
  expect(await names('type=reaction')).toEqual(['reaction'])
  const answer = (await found(`from=${FRIEND}`)).find((message) => message.id === ids.answer)
  expect(answer).toMatchObject({ reactions: [{ emoji: '❤️', from: 'me' }] })
})

test.each([
  [`chat=${FRIEND}`, ['answer', 'hello']],
  [`chat=%2B${FRIEND.slice(0, 4)}%20${FRIEND.slice(4)}`, ['answer', 'hello']],
  [`from=${OTHER}`, ['grouped']],
  ['from=me', ['forwarded', 'hello', 'picture']],
  ['to=me', ['answer', 'grouped']],
  [`to=${OTHER}`, ['forwarded', 'picture']],
  ['type=image', ['picture']],
  ['status=received', ['answer', 'grouped']],
  ['status=failed', []],
  ['starred=true', []],
  ['search=koln', ['hello', 'picture']],
  ['search=k%C3%B6ln%20cathedral', ['picture']],
  ['search=nothing', []],
  ['search=k%C3%B6ln&from=me&type=text', ['hello']],
])('%s', async (query, expected) => {
  expect(await names(query)).toEqual([...expected])
})

test('a group', async () => {
  const [message] = await found(`chat=${encodeURIComponent(group)}`)
  expect(message).toMatchObject({ id: ids.grouped, chat: group, from: OTHER, to: 'me' })
})

test('a forwarded message says so', async () => {
  const { message } = await server.ok<{ message: Shown }>('GET', `/api/messages/${id}/${ids.forwarded}`)
  expect(message).toMatchObject({ forwarded: true, forwardingScore: expect.any(Number), viaApi: true })
})

test.each([
  ['from=nobody', 'INVALID_PHONE_NUMBER', null],
  ['chat=', 'VALIDATION_ERROR', '/chat'],
  ['type=bogus', 'VALIDATION_ERROR', '/type'],
  ['starred=yes', 'VALIDATION_ERROR', '/starred'],
  ['search=', 'VALIDATION_ERROR', '/search'],
  ['search=%20%20', 'VALIDATION_ERROR', '/search'],
  [`search=${'x'.repeat(201)}`, 'VALIDATION_ERROR', '/search'],
  ['startDate=2024-02-01&endDate=2024-01-01', 'VALIDATION_ERROR', '/endDate'],
  ['startDate=2024-13-01', 'VALIDATION_ERROR', '/startDate'],
])('?%s is refused', async (query, code, path) => {
  const { status, body } = await history(query)
  expect({ status, code: body.code }).toEqual({ status: 400, code })
  if (path) expect(body.details.fields[0]?.path).toBe(path)
})

test('search is no language of its own', async () => {
  for (const text of [
    '"',
    '*',
    'NEAR(a b)',
    'a OR b',
    "'; DROP TABLE messages; --",
    '%',
    '_',
    '-köln',
    'text:köln',
  ]) {
    expect((await history(`search=${encodeURIComponent(text)}`)).status).toBe(200)
  }
})

test('the numbers: by type, status and day', async () => {
  const { stats, performance } = await server.ok<{
    stats: {
      total: number
      sent: number
      received: number
      byType: Record<string, number>
      byStatus: Record<string, number>
      byDay: Record<string, { sent: number; received: number }>
    }
    performance: object
  }>('GET', `/api/messages/stats/${id}`)
  expect(stats.byType).toMatchObject({ text: 4, image: 1, reaction: 1 })
  expect(stats.total).toBe(stats.sent + stats.received)
  const statuses = Object.values(stats.byStatus).reduce((sum, count) => sum + count, 0)
  expect(statuses).toBe(stats.total)
  const days = Object.values(stats.byDay)
  expect(days.reduce((sum, day) => sum + day.sent + day.received, 0)).toBe(stats.total)
  expect(Object.keys(performance).sort()).toEqual([
    'averageResponseTime',
    'errorRate',
    'messagesPerHour',
    'uptime',
  ])
})
