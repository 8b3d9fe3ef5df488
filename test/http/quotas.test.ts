/** What an account may have by its plan: sessions, webhook endpoints, API keys, space for files; and what sending is left free of. */
import { afterEach, describe, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { type Answer, OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { openStream } from '../harness/stream'

let server: TestApp
afterEach(() => server.stop())

async function start(free: string): Promise<string> {
  server = await startApp({ flags: { '--registration': 'open', '--plan-free': free } })
  await server.ok('GET', '/api/auth/profile')
  const made = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: 'bob', email: 'bob@example.com', password: 'correct horse battery' },
  })
  return made.apiKey
}

const outcome = ({ status, body }: Answer) => [status, (body as { code?: string }).code ?? null]
const session = async (key: string, settings: object = {}) =>
  (
    await server.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      key,
      body: { name: 'Shop', settings },
    })
  ).session.id

describe('sessions', () => {
  test('as the operator has said; the refusal names plan and limit, and is told', async () => {
    const key = await start('sessions=1')
    const id = await session(key)
    const refused = await server.call('POST', '/api/sessions', { key, body: { name: 'Second' } })
    expect(outcome(refused)).toEqual([403, 'SESSION_LIMIT_REACHED'])
    expect(refused.body.details).toMatchObject({ plan: 'free', limit: 1, sessions: 1 })
    const { events } = await server.ok<{ events: Record<string, unknown>[] }>(
      'GET',
      '/api/events?events=session.limit_reached',
      { key },
    )
    expect(events).toMatchObject([{ sessionId: id, plan: 'free', limit: 1, sessions: 1 }])
  })
})

describe('webhook endpoints', () => {
  test('of the account and of its sessions together; those of settings.webhookUrl come with their session', async () => {
    const key = await start('webhooks=2')
    const url = 'https://example.com/hook'
    const ids = [await session(key, { webhookUrl: url }), await session(key), await session(key)]
    const endpoint = (sessionId?: string) =>
      server.call<{ endpoint: { id: string } }>('POST', '/api/webhook/endpoints', {
        key,
        body: { url, ...(sessionId ? { sessionId } : {}) },
      })
    const config = (sessionId: string | undefined) =>
      server.call('PUT', `/api/webhook/config/${sessionId}`, { key, body: { url } })
    const first = await endpoint()
    expect(first.status).toBe(201)
    expect((await config(ids[1])).status).toBe(200)
    const refused = [await endpoint(ids[0]), await endpoint(), await config(ids[2])]
    expect(refused.map(outcome)).toEqual(new Array(3).fill([403, 'WEBHOOK_LIMIT_REACHED']))
    expect((refused[0] as unknown as Answer).body.details).toMatchObject({ plan: 'free', limit: 2 })
    // What is there may be changed, and room that was given back is room.
    expect((await config(ids[1])).status).toBe(200)
    await server.ok('DELETE', `/api/webhook/endpoints/${first.body.endpoint.id}`, { key })
    expect((await config(ids[2])).status).toBe(200)
  })
})

describe('at the same time', () => {
  test('twenty requests get no more room than there is', async () => {
    const key = await start('sessions=3,webhooks=4,keys=5')
    const twenty = async (method: string, path: string, body: object) => {
      const all = Array.from({ length: 20 }, () => server.call(method, path, { key, body }))
      const statuses = (await Promise.all(all)).map(({ status }) => status)
      return statuses.filter((status) => status === 201).length
    }
    expect(await twenty('POST', '/api/sessions', { name: 'x' })).toBe(3)
    expect(await twenty('POST', '/api/webhook/endpoints', { url: 'https://example.com/hook' })).toBe(4)
    // The default key has taken one.
    expect(await twenty('POST', '/api/auth/api-keys', { name: 'x' })).toBe(4)
  })
})

describe('API keys', () => {
  test('so many, the default one among them; replacing that one needs no room', async () => {
    const key = await start('keys=2')
    const make = () =>
      server.call<{ key: { id: string } }>('POST', '/api/auth/api-keys', { key, body: { name: 'x' } })
    const second = await make()
    expect(second.status).toBe(201)
    const refused = await make()
    expect(outcome(refused as unknown as Answer)).toEqual([403, 'API_KEY_LIMIT_REACHED'])
    await server.ok('DELETE', `/api/auth/api-keys/${second.body.key.id}`, { key })
    expect((await make()).status).toBe(201)
    expect((await server.call('POST', '/api/auth/regenerate-api-key', { key })).status).toBe(200)
  })
})

describe('open streams', () => {
  test('so many of all kinds together; one that ends gives its room back, other plans have their own', async () => {
    const key = await start('streams=2')
    const id = await session(key)
    const socket = (path: string, who = key) => openStream(server.url + path, { 'x-api-key': who })
    const source = (who = key) => openEventSource(`${server.url}/api/events/stream`, { 'x-api-key': who })
    const first = await socket('/api/events/ws?events=*')
    const second = await source()
    const refused = await server.call('GET', '/api/events/stream', { key })
    expect(outcome(refused)).toEqual([429, 'RATE_LIMIT_EXCEEDED'])
    expect(refused.body.details).toMatchObject({ plan: 'free', limit: 2, what: 'open streams' })
    expect(refused.headers.get('retry-after')).toBe('10')
    for (const path of ['/api/events/ws?events=*', `/api/sessions/${id}/ws?events=*`])
      await expect(socket(path)).rejects.toThrow('refused')
    const others = [await source(OWNER_KEY), await source(OWNER_KEY), await source(OWNER_KEY)]
    first.close()
    await first.closed
    const third = await socket(`/api/sessions/${id}/ws?events=*`)
    await expect(socket('/api/events/ws?events=*')).rejects.toThrow('refused')
    third.close()
    for (const each of [second, ...others]) each.close()
  })
})

describe('space for files', () => {
  test('an upload beyond it is refused whole; what was there stays, other accounts have their own', async () => {
    const key = await start('media=1')
    const upload = (size: number, who = key) => {
      const form = new FormData()
      form.set('file', new Blob([new Uint8Array(size).fill(65)], { type: 'text/plain' }), 'a.txt')
      return fetch(`${server.url}/api/messages/upload`, {
        method: 'POST',
        headers: { 'x-api-key': who },
        body: form,
      })
    }
    expect((await upload(700_000)).status).toBe(201)
    const refused = await upload(300_001)
    const body = (await refused.json()) as { code: string; details: object }
    expect([refused.status, body.code]).toEqual([403, 'MEDIA_LIMIT_REACHED'])
    expect(body.details).toMatchObject({ maxBytes: 1_000_000, usedBytes: 700_000 })
    // Two that fit alone and not together, on their way at the same time.
    const both = await Promise.all([upload(200_000), upload(200_000)])
    expect(both.map(({ status }) => status).sort()).toEqual([201, 403])
    expect((await upload(100_000)).status).toBe(201)
    expect((await upload(1)).status).toBe(403)
    expect((await upload(2_000_000, OWNER_KEY)).status).toBe(201)
  })
})

describe('sending', () => {
  test('is paced, not refused, until the queue is full', async () => {
    const key = await start('requests=5,messages=3,queue=10')
    const number = '49301111111'
    const to = '49302222222'
    await server.phone(number)
    await server.phone(to)
    const id = await session(key)
    await server.ok('POST', `/api/sessions/${id}/start`, { key })
    const { qrText } = await server.ok<{ qrText: string }>('GET', `/api/sessions/${id}/qr`, { key })
    await server.ok('POST', `/sandbox/phones/${number}/scan`, { body: { qr: qrText } })
    const status = () => server.app.supervisor.find(id as SessionId)?.state.status
    while (status() !== 'connected') await Bun.sleep(5)
    const send = () =>
      server.call('POST', '/api/messages/send/text', {
        key,
        body: { sessionId: id, to, text: 'hi', queue: true },
      })
    const answers: Answer[] = []
    for (let index = 0; index < 13; index += 1) answers.push(await send())
    expect(answers.map(({ status: code }) => code)).toEqual(new Array(13).fill(202))
    const sent = () => server.app.storage.messages.totalsSince(null, 0).sent
    while (sent() < 3) await Bun.sleep(5)
    const queue = await server.ok<Record<string, unknown>>('GET', `/api/messages/queue/${id}`, { key })
    expect(queue).toMatchObject({ hold: 'pacing', total: 10 })
    const full = await send()
    expect(outcome(full)).toEqual([429, 'QUEUE_FULL'])
    expect(sent()).toBe(3)
  })

  test('what is refused counts as other requests do, by itself', async () => {
    const key = await start('requests=5')
    const id = await session(key)
    const send = (to: string) =>
      server.call('POST', '/api/messages/send/text', {
        key,
        body: { sessionId: id, to, text: 'hi', queue: true },
      })
    // Not started: refused, as often as other requests are allowed in a minute.
    const answers: Answer[] = []
    for (let index = 0; index < 6; index += 1) answers.push(await send('49301111111'))
    expect(answers.map(outcome)).toEqual([
      ...new Array(5).fill([400, 'SESSION_NOT_CONNECTED']),
      [429, 'RATE_LIMIT_EXCEEDED'],
    ])
    // They have used nothing of the account's other requests.
    expect((await server.call('GET', '/api/sessions', { key })).status).toBe(200)
  })
})
