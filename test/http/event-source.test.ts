/** Server-sent events: what a browser's EventSource gets, and how the stream begins and ends. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
})
afterAll(() => server.stop())

const KEY = { 'x-api-key': OWNER_KEY }
const ALL = '/api/events/stream'
type Told = Record<string, unknown>
const told = ({ data }: { data: string }): Told => JSON.parse(data) as Told
const rename = (id: string, name: string) =>
  server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name } })
const pulled = async (path: string) =>
  (await server.ok<{ events: Told[]; cursor: string }>('GET', path)).events
const open = (path: string, headers: Record<string, string> = KEY) =>
  openEventSource(server.url + path, headers)

async function account(username: string): Promise<{ token: string; apiKey: string }> {
  return server.ok('POST', '/api/auth/register', {
    key: null,
    body: { username, email: `${username}@example.com`, password: 'a long password' },
  })
}

describe('server-sent events', () => {
  test('are told live, with the cursor as id, and are the same as by pull', async () => {
    const stream = await open(ALL)
    expect(stream.headers.get('content-type')).toBe('text/event-stream;charset=utf-8')
    expect(stream.headers.get('cache-control')).toContain('no-cache')
    expect(stream.headers.get('x-accel-buffering')).toBe('no')
    const id = await server.session('Watched')
    const block = await stream.waitFor((block) => told(block).sessionId === id)
    expect([told(block)]).toEqual(await pulled(`/api/sessions/${id}/events`))
    expect(block).toMatchObject({ event: 'message', lastEventId: told(block).cursor })
    stream.close()
  })

  test('begin with the cursor from which they are told, so that nothing is missed after an early end', async () => {
    const stream = await open(ALL)
    await stream.until((text) => text.includes('\n\n'))
    expect(stream.text).toMatch(/^retry: \d+\nid: [a-z0-9]{8}-\d+\n\n/)
    const at = stream.lastEventId
    stream.close()
    const id = await server.session('Made while nobody listened')
    const again = await open(ALL, { ...KEY, 'last-event-id': at })
    expect(told(await again.waitFor(() => true))).toMatchObject({ event: 'session.created', sessionId: id })
    again.close()
  })

  test('go on after Last-Event-ID, which counts for more than after', async () => {
    const id = await server.session('Replayed')
    for (const name of ['One', 'Two', 'Three']) await rename(id, name)
    const [first, second] = await pulled(`/api/sessions/${id}/events`)
    const path = `/api/sessions/${id}/events/stream?after=${first?.cursor}&events=session.settings_updated`
    const byQuery = await open(path)
    const byHeader = await open(path, { ...KEY, 'last-event-id': String(second?.cursor) })
    await rename(id, 'Four')
    const last = (await pulled(`/api/sessions/${id}/events`)).at(-1)
    for (const [stream, count] of [
      [byQuery, 4],
      [byHeader, 3],
    ] as const) {
      await stream.waitFor((block) => told(block).cursor === last?.cursor)
      expect(stream.blocks).toHaveLength(count)
      stream.close()
    }
  })

  test('of one session and of some kinds leave out the others', async () => {
    const [one, other] = [await server.session('One'), await server.session('Other')]
    const single = await open(`/api/sessions/${one}/events/stream`)
    const named = await open(
      `${ALL}?sessionIds=${one},${other}&events=session.created,session.settings_updated`,
    )
    await rename(other, 'Other 2')
    await rename(one, 'One 2')
    await single.waitFor(() => true)
    await named.waitFor((block) => told(block).sessionId === one)
    expect(single.blocks.map((block) => told(block).sessionId)).toEqual([one])
    expect(named.blocks.map((block) => told(block).sessionId)).toEqual([other, one])
    single.close()
    named.close()
  })

  test('that are momentary have no id and leave the last one standing; readers get no linking codes', async () => {
    const { apiKey } = await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', {
      body: { name: 'Reader', scopes: ['sessions:read', 'messages:read'] },
    })
    const id = await server.session('To be linked')
    const all = await open(`/api/sessions/${id}/events/stream`)
    const reader = await open(`/api/sessions/${id}/events/stream`, { 'x-api-key': apiKey })
    await server.ok('POST', `/api/sessions/${id}/start`)
    const code = await all.waitFor((block) => told(block).event === 'session.qr_generated')
    expect(told(code).cursor).toBeNull()
    expect(code.lastEventId).not.toBe('')
    expect(all.text).not.toContain('id: null')
    await server.ok('POST', `/api/sessions/${id}/stop`)
    await reader.waitFor((block) => told(block).event === 'session.stopped')
    expect(reader.blocks.map((block) => told(block).event)).not.toContain('session.qr_generated')
    all.close()
    reader.close()
  })

  test('are refused before they begin, in the API’s own words', async () => {
    const id = await server.session('Mine')
    const other = await server.session('Also mine')
    const { apiKey } = await account('stranger')
    const cases = [
      [`${ALL}?after=junk`, KEY, 400, 'INVALID_CURSOR'],
      [`${ALL}?after=zzzzzzzz-1`, KEY, 410, 'CURSOR_EXPIRED'],
      [ALL, { ...KEY, 'last-event-id': 'zzzzzzzz-1' }, 410, 'CURSOR_EXPIRED'],
      [ALL, { ...KEY, 'last-event-id': 'junk' }, 400, 'INVALID_CURSOR'],
      [`${ALL}?events=no.such`, KEY, 400, 'VALIDATION_ERROR'],
      [`${ALL}?surprise=1`, KEY, 400, 'VALIDATION_ERROR'],
      [`${ALL}?sessionIds=${'f'.repeat(32)}`, KEY, 404, 'SESSION_NOT_FOUND'],
      [`${ALL}?sessionIds=${id}`, { 'x-api-key': apiKey }, 404, 'SESSION_NOT_FOUND'],
      [`/api/sessions/${id}/events/stream`, { 'x-api-key': apiKey }, 404, 'SESSION_NOT_FOUND'],
      [`/api/sessions/${id}/events/stream?sessionIds=${other}`, KEY, 404, 'SESSION_NOT_FOUND'],
      [ALL, {}, 401, 'AUTH_REQUIRED'],
      [`${ALL}?ticket=made-up`, {}, 401, 'AUTH_INVALID_TOKEN'],
    ] as const
    for (const [path, headers, status, code] of cases) {
      const answer = await server.call('GET', path, { key: null, headers })
      expect({ path, status: answer.status, code: answer.body.code }).toEqual({ path, status, code })
    }
  })

  test('open with a ticket, once', async () => {
    const { ticket } = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket')
    const stream = await open(`${ALL}?ticket=${ticket}`, {})
    const id = await server.session('By ticket')
    await stream.waitFor((block) => told(block).sessionId === id)
    stream.close()
    expect((await server.call('GET', `${ALL}?ticket=${ticket}`, { key: null })).status).toBe(401)
    const other = await server.ok<{ ticket: string }>('POST', '/api/auth/ticket')
    expect((await server.call('GET', `/api/events?ticket=${other.ticket}`, { key: null })).status).toBe(401)
  })

  test('do not open with a ticket whose credentials have been taken back meanwhile', async () => {
    const { token } = await account('dave')
    const headers = { authorization: `Bearer ${token}` }
    const issue = () => server.ok<{ ticket: string }>('POST', '/api/auth/ticket', { key: null, headers })
    const { ticket } = await issue()
    await server.ok('POST', '/api/auth/logout', { key: null, headers })
    expect((await server.call('GET', `${ALL}?ticket=${ticket}`, { key: null })).status).toBe(401)
  })

  test('end when the credentials are taken back, and say so', async () => {
    const { token, apiKey } = await account('erin')
    const authorization = { authorization: `Bearer ${token}` }
    const byToken = await open(ALL, authorization)
    const byKey = await open(ALL, { 'x-api-key': apiKey })
    const { cursor } = await server.ok<{ cursor: string }>('GET', '/api/events', {
      key: null,
      headers: authorization,
    })
    const polling = server.call('GET', `/api/events?after=${cursor}&wait=60`, {
      key: null,
      headers: authorization,
    })
    for (let at = 0; at < 3; at += 1) await server.ok('GET', '/api/status')
    await server.ok('POST', '/api/auth/logout', { key: null, headers: authorization })
    await byToken.ended
    expect((await polling).body.code).toBe('AUTH_INVALID_TOKEN')
    expect(byToken.blocks.map(told)).toMatchObject([{ type: 'end', code: 'AUTH_REVOKED' }])
    expect(byToken.blocks[0]?.event).toBe('end')
    await server.ok('POST', '/api/auth/regenerate-api-key', { key: apiKey })
    await byKey.ended
    expect(byKey.blocks.map(told)).toMatchObject([{ type: 'end', code: 'AUTH_REVOKED' }])
  })

  test('end when the server stops, at once, and go on after it has started again', async () => {
    const another = await startApp()
    const at = (path: string, also = {}) => openEventSource(another.url + path, { ...KEY, ...also })
    const stream = await at(ALL)
    await another.session('Before')
    await stream.waitFor((block) => told(block).event === 'session.created')
    const waiting = another.call<{ events: unknown[] }>(
      'GET',
      `/api/events?after=${stream.lastEventId}&wait=60`,
    )
    // Answered after the request that waits has come in, on a connection that was there before.
    for (let at = 0; at < 3; at += 1) await another.ok('GET', '/api/status')
    await another.restart()
    await stream.ended
    expect((await waiting).body.events).toEqual([])
    expect(told(stream.blocks.at(-1) ?? { data: '' })).toMatchObject({ type: 'end', code: 'GOING_AWAY' })
    const id = await another.session('After')
    const again = await at(ALL, { 'last-event-id': stream.lastEventId })
    expect(told(await again.waitFor(() => true))).toMatchObject({ event: 'session.created', sessionId: id })
    again.close()
    await another.stop()
  })

  test('HEAD tells what would be answered, and ends', async () => {
    const head = await fetch(server.url + ALL, { method: 'HEAD', headers: KEY })
    expect(head.headers.get('content-type')).toStartWith('text/event-stream')
    expect(await head.text()).toBe('')
  })
})
