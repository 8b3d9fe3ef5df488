/** Everything under `/api/webhook`, against a real receiver. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { Webhook } from 'standardwebhooks'
import { startApp, type TestApp } from '../harness/app'
import { type Receiver, type ReceiverOptions, startReceiver } from '../harness/receiver'

type Shown = {
  id: string
  sessionId: string | null
  url: string
  secret: string
  headers: Record<string, string>
  isActive: boolean
  description: string | null
  previousSecretUntil: string | null
}
type DeliveryShown = { id: string; event: string; eventId: string; state: string; attempts: number }
type Page = { deliveries: DeliveryShown[]; total: number; hasMore: boolean }

let server: TestApp
const receivers: Receiver[] = []
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
})
afterAll(async () => {
  await server.stop()
  for (const receiver of receivers) await receiver.stop()
})
const receive = (options: ReceiverOptions = {}): Receiver => {
  const receiver = startReceiver(options)
  receivers.push(receiver)
  return receiver
}
const add = async (body: object) =>
  (await server.ok<{ endpoint: Shown }>('POST', '/api/webhook/endpoints', { body })).endpoint
/** Makes an event of the session. */
const happen = (id: string, description: string) =>
  server.ok('PUT', `/api/sessions/${id}/settings`, { body: { settings: {}, description } })
const deliveries = (id: string, query = '') => server.ok<Page>('GET', `/api/webhook/deliveries/${id}${query}`)
/** Asks until the deliveries are as wanted. */
async function until(id: string, query: string, fits: (page: Page) => boolean): Promise<Page> {
  for (;;) {
    const page = await deliveries(id, query)
    if (fits(page)) return page
    await Bun.sleep(2)
  }
}

describe('endpoints', () => {
  test('several of a session and one of the account get what they asked for, with headers of their own', async () => {
    const [one, two, all] = [receive(), receive(), receive()]
    const id = await server.session('Hooked')
    const other = await server.session('Other')
    const made = await add({
      sessionId: id,
      url: one.url,
      headers: { Authorization: 'Bearer a-long-token-of-mine-0123456789', 'X-Team': 'a' },
      description: 'First',
    })
    expect(made.secret).toStartWith('whsec_')
    expect(made).toMatchObject({ sessionId: id, description: 'First', isActive: true })
    await add({ sessionId: id, url: two.url, events: ['message.*'] })
    const wide = await add({ url: all.url, events: ['session.*'] })
    await happen(id, 'a')
    await happen(other, 'b')
    const post = await one.waitFor((posts) => posts.find(({ event }) => event === 'session.settings_updated'))
    expect(post.headers).toMatchObject({
      authorization: 'Bearer a-long-token-of-mine-0123456789',
      'x-team': 'a',
      'x-webhook-event': 'session.settings_updated',
    })
    expect(new Webhook(made.secret).verify(post.body, post.headers)).toMatchObject({ sessionId: id })
    await all.waitFor((posts) => new Set(posts.map(({ json }) => json.sessionId)).size === 2)
    expect(two.posts).toHaveLength(0)
    const shown = await server.ok<{ endpoint: Shown }>('GET', `/api/webhook/endpoints/${made.id}`)
    expect(shown.endpoint.secret).not.toBe(made.secret)
    expect(JSON.stringify(shown)).not.toContain('token-of-mine')
    const list = await server.ok<{ endpoints: Shown[]; total: number }>(
      'GET',
      `/api/webhook/endpoints?sessionId=${id}`,
    )
    expect(list.total).toBe(2)
    for (const { id: endpoint } of [made, wide])
      await server.ok('DELETE', `/api/webhook/endpoints/${endpoint}`)
    expect((await server.call('GET', `/api/webhook/endpoints/${made.id}`)).body).toMatchObject({
      code: 'WEBHOOK_NOT_FOUND',
    })
  })

  test('a pause keeps what comes waiting, and resuming goes on, in order and over a restart', async () => {
    const receiver = receive()
    const id = await server.session('Paused')
    const { id: endpoint } = await add({ sessionId: id, url: receiver.url })
    await server.ok('PATCH', `/api/webhook/endpoints/${endpoint}`, { body: { isActive: false } })
    for (const word of ['a', 'b', 'c']) await happen(id, word)
    await until(id, '?state=pending', ({ total }) => total === 3)
    await server.restart()
    expect(receiver.posts).toHaveLength(0)
    const changed = await server.ok<{ endpoint: Shown }>('PATCH', `/api/webhook/endpoints/${endpoint}`, {
      body: { isActive: true, description: null },
    })
    expect(changed.endpoint).toMatchObject({ isActive: true, url: receiver.url })
    await receiver.waitFor((posts) => posts.length === 3)
    const cursors = receiver.posts.map(({ json }) => Number(String(json.cursor).split('-')[1]))
    expect(cursors).toEqual([...cursors].sort((a, b) => a - b))
  })

  test('beside the one of /config, which has its own place', async () => {
    const id = await server.session('Config')
    const extra = await add({ sessionId: id, url: 'http://127.0.0.1:60009/extra' })
    const path = `/api/webhook/config/${id}`
    expect((await server.call('GET', path)).body).toMatchObject({ code: 'WEBHOOK_NOT_FOUND' })
    await server.ok('PUT', path, { body: { url: 'http://127.0.0.1:60009/config' } })
    await server.ok('PUT', path, { body: { url: 'http://127.0.0.1:60009/again', headers: { 'X-A': 'b' } } })
    const urls = async () =>
      (
        await server.ok<{ endpoints: Shown[] }>('GET', `/api/webhook/endpoints?sessionId=${id}`)
      ).endpoints.map(({ url }) => url)
    expect(await urls()).toEqual([extra.url, 'http://127.0.0.1:60009/again'])
    await server.ok('DELETE', path)
    expect(await urls()).toEqual([extra.url])
  })

  test.each([
    { 'X-A': 'a\r\nX-B: b' },
    { 'X-A\r\n': 'a' },
    { 'X A': 'a' },
    { '': 'a' },
    { Host: 'example.com' },
    { 'Content-Length': '1' },
    { 'content-type': 'text/plain' },
    { Connection: 'close' },
    { 'Transfer-Encoding': 'chunked' },
    { 'proxy-authorization': 'a' },
    { 'webhook-signature': 'v1,a' },
    { 'X-Webhook-Id': 'a' },
    { 'X-A': 'é' },
    { 'X-A': 'a', 'x-a': 'b' },
    { 'X-A': 'a'.repeat(1_025) },
    Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`X-${n}`, 'a'])),
  ])('headers %j are refused', async (headers) => {
    const id = await server.session('Refused')
    for (const [method, path, body] of [
      ['POST', '/api/webhook/endpoints', { sessionId: id, url: 'http://127.0.0.1:60009/', headers }],
      ['PUT', `/api/webhook/config/${id}`, { url: 'http://127.0.0.1:60009/', headers }],
    ] as const) {
      expect((await server.call(method, path, { body })).body).toMatchObject({ code: 'VALIDATION_ERROR' })
    }
  })

  test('and deliveries of another account do not exist', async () => {
    const id = await server.session('Mine')
    const receiver = receive()
    const mine = await add({ sessionId: id, url: receiver.url })
    await happen(id, 'a')
    const { deliveries: own } = await until(id, '?state=delivered', ({ total }) => total >= 1)
    const { apiKey: key } = await server.ok<{ apiKey: string }>('POST', '/api/auth/register', {
      body: { username: 'stranger', email: 'stranger@example.com', password: 'long enough 1' },
      key: null,
    })
    const codeOf = async (method: string, path: string, body?: object) =>
      (await server.call(method, `/api/webhook/${path}`, { key, ...(body ? { body } : {}) })).body.code
    for (const [method, body] of [['GET'], ['PATCH', { isActive: true }], ['DELETE']] as const) {
      expect(await codeOf(method, `endpoints/${mine.id}`, body)).toBe('WEBHOOK_NOT_FOUND')
    }
    expect(await codeOf('POST', `endpoints/${mine.id}/rotate-secret`)).toBe('WEBHOOK_NOT_FOUND')
    expect(await codeOf('POST', `deliveries/${own[0]?.id}/replay`)).toBe('DELIVERY_NOT_FOUND')
    for (const [method, path, body] of [
      ['GET', `deliveries/${id}`],
      ['GET', `stats/${id}`],
      ['DELETE', `queue/${id}`],
      ['POST', `rotate-secret/${id}`],
      ['POST', 'endpoints', { sessionId: id, url: receiver.url }],
      ['POST', 'replay', { sessionId: id, after: '00000000-1' }],
    ] as const) {
      expect(await codeOf(method, path, body)).toBe('SESSION_NOT_FOUND')
    }
    expect(await server.ok<{ total: number }>('GET', '/api/webhook/endpoints', { key })).toMatchObject({
      total: 0,
    })
    expect(await server.ok('GET', '/api/webhook/queue', { key })).toMatchObject({
      queue: { pending: 0, processing: 0, failed: 0, retrying: 0 },
    })
    // Of the same account, but with a list of addresses that this caller is not on.
    await server.ok('PUT', `/api/sessions/${id}/settings`, {
      body: { settings: { ipWhitelist: ['10.0.0.1'] } },
    })
    expect((await server.call('GET', `/api/webhook/endpoints/${mine.id}`)).body).toMatchObject({
      code: 'IP_NOT_ALLOWED',
    })
    const list = await server.ok<{ endpoints: Shown[] }>('GET', '/api/webhook/endpoints')
    expect(list.endpoints.map((endpoint) => endpoint.id)).not.toContain(mine.id)
  })
})

describe('a new secret', () => {
  test.each(['config', 'endpoint'] as const)('of a %s: the old one signs along', async (kind) => {
    const receiver = receive()
    const id = await server.session('Rotating')
    let old: string
    let path: string
    if (kind === 'config') {
      const { config } = await server.ok<{ config: Shown }>('PUT', `/api/webhook/config/${id}`, {
        body: { url: receiver.url },
      })
      old = config.secret
      path = `/api/webhook/rotate-secret/${id}`
    } else {
      const endpoint = await add({ sessionId: id, url: receiver.url })
      old = endpoint.secret
      path = `/api/webhook/endpoints/${endpoint.id}/rotate-secret`
    }
    const options = { headers: { 'idempotency-key': `rotate-${kind}-${id}` } }
    const answer = await server.ok<{ config?: Shown; endpoint?: Shown }>('POST', path, options)
    const shown = answer.config ?? answer.endpoint
    // A repetition does not rotate once more, which would lose the old one.
    expect(await server.ok<object>('POST', path, options)).toEqual(answer)
    expect(shown?.secret).not.toBe(old)
    expect(shown?.previousSecretUntil).not.toBeNull()
    await server.restart()
    await happen(id, 'signed')
    const post = await receiver.waitFor((posts) => posts[0])
    expect(post.headers['webhook-signature']?.split(' ')).toHaveLength(2)
    for (const secret of [old, shown?.secret ?? '']) {
      expect(new Webhook(secret).verify(post.body, post.headers)).toMatchObject({ sessionId: id })
    }
    const digest = new Bun.CryptoHasher('sha256', shown?.secret ?? '').update(post.body).digest('hex')
    expect(post.headers['x-webhook-signature']).toBe(`sha256=${digest}`)
  })
})

describe('the log', () => {
  test('lists, counts, replays one and all since a cursor, and is emptied', async () => {
    const receiver = receive({ answer: ({ json }) => (json.event === 'session.deleted' ? 204 : 422) })
    const id = await server.session('Logged')
    const endpoint = await add({ sessionId: id, url: receiver.url })
    for (const word of ['a', 'b', 'c']) await happen(id, word)
    const refused = await until(id, '?state=retrying', ({ total }) => total === 3)
    expect(refused.deliveries[0]).toMatchObject({
      event: 'session.settings_updated',
      state: 'retrying',
      attempts: 1,
      status: 422,
      endpointId: endpoint.id,
    })
    expect(await deliveries(id, '?limit=2')).toMatchObject({ total: 3, hasMore: true })
    expect(await deliveries(id, '?event=message.received')).toMatchObject({ total: 0 })
    expect(await deliveries(id, '?endpointId=none')).toMatchObject({ total: 0 })
    expect(await deliveries(id, `?endpointId=${endpoint.id}&event=session.settings_updated`)).toMatchObject({
      total: 3,
    })
    const stats = async () =>
      (await server.ok<{ stats: Record<string, unknown> }>('GET', `/api/webhook/stats/${id}`)).stats
    expect(await stats()).toMatchObject({
      totalSent: 3,
      successful: 0,
      failed: 3,
      byEvent: { 'session.settings_updated': 3 },
    })
    expect((await stats()).averageResponseTime).toMatch(/^\d+ms$/)
    const { queue } = await server.ok<{ queue: { retrying: number } }>('GET', '/api/webhook/queue')
    expect(queue.retrying).toBeGreaterThanOrEqual(3)

    receiver.answerWith(() => 204)
    const first = refused.deliveries.at(-1)
    const replay = await server.call('POST', `/api/webhook/deliveries/${first?.id}/replay`)
    expect(replay.status).toBe(202)
    await until(id, '?state=delivered', ({ total }) => total === 1)
    expect(receiver.posts.at(-1)).toMatchObject({ id: first?.eventId, attempt: 1 })
    // A delivered one can be had again too.
    await server.ok('POST', `/api/webhook/deliveries/${first?.id}/replay`)
    await receiver.waitFor((posts) => posts.filter((post) => post.id === first?.eventId).length === 3)

    expect(await server.ok('DELETE', `/api/webhook/queue/${id}`)).toMatchObject({ removed: 2 })
    expect(await deliveries(id, '?state=retrying')).toMatchObject({ total: 0 })
    const { events } = await server.ok<{ events: { cursor: string; sessionId: string }[] }>(
      'GET',
      `/api/events?sessionIds=${id}`,
    )
    const cursor = events[0]?.cursor ?? ''
    const before = receiver.posts.length
    const all = await server.call('POST', '/api/webhook/replay', { body: { sessionId: id, after: cursor } })
    expect(all).toMatchObject({ status: 202, body: { replayed: 3 } })
    await receiver.waitFor((posts) => posts.length === before + 3)
    expect(receiver.posts.slice(before).map(({ id: eventId }) => eventId)).toEqual(
      refused.deliveries.map(({ eventId }) => eventId).reverse(),
    )
    for (const [after, code] of [
      ['nonsense', 'INVALID_CURSOR'],
      [`${cursor.split('-')[0]}-999999999`, 'INVALID_CURSOR'],
      ['00000000-1', 'CURSOR_EXPIRED'],
    ]) {
      const answer = await server.call('POST', '/api/webhook/replay', { body: { sessionId: id, after } })
      expect(answer.body).toMatchObject({ code })
    }
    expect((await server.call('POST', '/api/webhook/deliveries/dlv_1_999999/replay')).body).toMatchObject({
      code: 'DELIVERY_NOT_FOUND',
    })
  })
})

describe('the test post', () => {
  const tryOut = (body: object) => server.call<Record<string, unknown>>('POST', '/api/webhook/test', { body })

  test('is signed, carries the payload and tells what was answered', async () => {
    const receiver = receive({ answer: () => ({ status: 200, body: `ok${'x'.repeat(5_000)}` }) })
    const { status, body } = await tryOut({ url: receiver.url, payload: { event: 'message.received', n: 1 } })
    expect(status).toBe(200)
    expect(body).toMatchObject({ success: true, delivered: true, status: 200, error: null })
    expect(String(body.body)).toHaveLength(1_000)
    expect(String(body.duration)).toMatch(/^\d+ms$/)
    const [post] = receiver.posts
    expect(post).toMatchObject({ event: 'message.received', json: { event: 'message.received', n: 1 } })
    expect(new Webhook(String(body.secret)).verify(post?.body ?? '', post?.headers ?? {})).toMatchObject({
      n: 1,
    })
  })

  test('says what went wrong, once', async () => {
    const receiver = receive({ answer: () => 500 })
    expect((await tryOut({ url: receiver.url })).body).toMatchObject({ delivered: false, status: 500 })
    expect(receiver.posts).toHaveLength(1)
    const gone = receive()
    await gone.stop()
    expect((await tryOut({ url: gone.url })).body).toMatchObject({
      delivered: false,
      status: null,
      body: null,
    })
    for (const url of ['ftp://example.com/', 'http://169.254.169.254/', 'no url']) {
      expect((await tryOut({ url })).body).toMatchObject({ code: 'WEBHOOK_URL_FORBIDDEN' })
    }
  })

  test('uses the secret of the endpoint that has this URL', async () => {
    const receiver = receive()
    const endpoint = await add({ url: receiver.url, events: ['session.deleted'] })
    expect((await tryOut({ url: receiver.url })).body.secret).toBeUndefined()
    const [post] = receiver.posts
    expect(new Webhook(endpoint.secret).verify(post?.body ?? '', post?.headers ?? {})).toMatchObject({
      event: 'webhook.test',
    })
  })
})
