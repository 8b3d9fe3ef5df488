/** Events on their ways out of the server: WebSocket, pull, webhook. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { type Receiver, startReceiver } from '../harness/receiver'
import { openStream } from '../harness/stream'

let server: TestApp
let receiver: Receiver
beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  receiver = startReceiver()
})
afterAll(async () => {
  await server.stop()
  await receiver.stop()
})

const KEY = { 'x-api-key': OWNER_KEY }
type Page = { events: Record<string, unknown>[]; cursor: string; hasMore: boolean }
const pull = (path: string) => server.ok<Page>('GET', path)

describe('WebSocket', () => {
  test('all sessions: live, and the same JSON as by pull', async () => {
    const stream = await openStream(`${server.url}/api/events/ws?events=*`, KEY)
    await stream.waitFor(({ type }) => type === 'subscribed')
    const id = await server.session('Watched')
    const frame = await stream.event('session.created', id)
    const { events } = await pull(`/api/sessions/${id}/events`)
    expect(events).toEqual([frame])
    stream.close()
  })

  test('one session: only its events, also when others happen', async () => {
    const [one, other] = [await server.session('One'), await server.session('Other')]
    const stream = await openStream(`${server.url}/api/sessions/${one}/ws?events=session.*`, KEY)
    await stream.waitFor(({ type }) => type === 'subscribed')
    await server.ok('PUT', `/api/sessions/${other}/settings`, { body: { name: 'Other 2' } })
    await server.ok('PUT', `/api/sessions/${one}/settings`, { body: { name: 'One 2' } })
    await stream.event('session.settings_updated')
    expect(stream.frames.filter(({ event }) => event).map(({ sessionId }) => sessionId)).toEqual([one])
    stream.close()
  })

  test('a first frame subscribes from a cursor, without gap or duplicate', async () => {
    const id = await server.session('Replayed')
    const { cursor } = await pull(`/api/sessions/${id}/events`)
    for (let at = 0; at < 5; at += 1) {
      await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: `Name ${at}` } })
    }
    const stream = await openStream(`${server.url}/api/events/ws`, KEY)
    stream.send({ type: 'subscribe', events: ['session.settings_updated'], sessionIds: [id], after: cursor })
    await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: 'Name 5' } })
    await stream.waitFor(() => stream.frames.filter(({ event }) => event !== undefined).length === 6)
    const cursors = stream.frames.filter(({ event }) => event !== undefined).map((frame) => frame.cursor)
    expect(new Set(cursors).size).toBe(6)
    stream.send({ type: 'ping' })
    await stream.waitFor(({ type }) => type === 'pong')
    stream.close()
  })

  test('bad frames, foreign sessions and bad cursors close with their codes', async () => {
    for (const [frame, code] of [
      ['nonsense', 4400],
      [{ type: 'subscribe', events: ['no.such'] }, 4400],
      [{ type: 'subscribe', sessionIds: ['f'.repeat(32)] }, 4404],
      [{ type: 'subscribe', after: 'zzzzzzzz-1' }, 4410],
    ] as const) {
      const stream = await openStream(`${server.url}/api/events/ws`, KEY)
      stream.send(frame)
      expect((await stream.closed).code).toBe(code)
    }
  })

  test('credentials that are taken back close it with 4401', async () => {
    const { token, apiKey } = await server.ok<{ token: string; apiKey: string }>(
      'POST',
      '/api/auth/register',
      {
        key: null,
        body: { username: 'carol', email: 'carol@example.com', password: 'a long password' },
      },
    )
    const authorization = `Bearer ${token}`
    const byToken = await openStream(`${server.url}/api/events/ws`, { authorization })
    const byKey = await openStream(`${server.url}/api/events/ws`, { 'x-api-key': apiKey })
    await server.ok('POST', '/api/auth/logout', { key: null, headers: { authorization } })
    expect((await byToken.closed).code).toBe(4401)
    await server.ok('POST', '/api/auth/regenerate-api-key', { key: apiKey })
    expect((await byKey.closed).code).toBe(4401)
  })

  test('codes that link a phone go only to those who may ask for them', async () => {
    const { apiKey } = await server.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', {
      body: { name: 'Reader', scopes: ['sessions:read', 'messages:read'] },
    })
    const all = await openStream(`${server.url}/api/events/ws?events=*`, KEY)
    const reader = await openStream(`${server.url}/api/events/ws?events=*`, { 'x-api-key': apiKey })
    for (const each of [all, reader]) await each.waitFor(({ type }) => type === 'subscribed')
    const id = await server.session('Secret code')
    await server.ok('POST', `/api/sessions/${id}/start`)
    await all.event('session.qr_generated', id)
    await server.ok('POST', `/api/sessions/${id}/stop`)
    await reader.event('session.stopped', id)
    expect(reader.frames.map(({ event }) => event)).not.toContain('session.qr_generated')
    all.close()
    reader.close()
  })

  test('a stop of the server closes it with 1001', async () => {
    const another = await startApp()
    const stream = await openStream(`${another.url}/api/events/ws`, KEY)
    await another.stop()
    expect((await stream.closed).code).toBe(1001)
  })
})

describe('pull', () => {
  test('pages from the oldest, waits, and refuses cursors', async () => {
    const id = await server.session('Pulled')
    for (let at = 0; at < 3; at += 1) {
      await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: `Name ${at}` } })
    }
    const first = await pull(`/api/sessions/${id}/events?limit=2`)
    expect(first.events).toHaveLength(2)
    expect(first.hasMore).toBe(true)
    const rest = await pull(`/api/sessions/${id}/events?after=${first.cursor}`)
    expect(rest.events).toHaveLength(2)
    const waiting = pull(`/api/sessions/${id}/events?after=${rest.cursor}&wait=20`)
    await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: 'Late' } })
    expect((await waiting).events).toMatchObject([{ event: 'session.settings_updated', sessionId: id }])
    for (const [after, status, code] of [
      ['junk', 400, 'INVALID_CURSOR'],
      ['zzzzzzzz-1', 410, 'CURSOR_EXPIRED'],
    ] as const) {
      const answer = await server.call('GET', `/api/events?after=${after}`)
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status, code })
    }
  })
})

describe('webhook configuration', () => {
  test('is set, shown masked, changed and deleted', async () => {
    const id = await server.session('Configured')
    const path = `/api/webhook/config/${id}`
    expect((await server.call('GET', path)).body.code).toBe('WEBHOOK_NOT_FOUND')
    type Config = { config: { secret: string; events: string[]; url: string; isActive: boolean } }
    const made = await server.ok<Config>('PUT', path, { body: { url: receiver.url, events: ['session.*'] } })
    expect(made.config.secret).toStartWith('whsec_')
    const shown = await server.ok<Config>('GET', path)
    expect(shown.config.secret).toContain('…')
    const again = await server.ok<Config>('PUT', path, { body: { url: receiver.url, events: ['message.*'] } })
    expect(again.config).toEqual({ ...shown.config, events: ['message.*'] })
    const bad = await server.call('PUT', path, { body: { url: receiver.url, events: ['no.such'] } })
    expect(bad.body.code).toBe('VALIDATION_ERROR')
    const forbidden = await server.call('PUT', path, { body: { url: 'http://169.254.169.254/' } })
    expect(forbidden.body.code).toBe('WEBHOOK_URL_FORBIDDEN')
    await server.ok('DELETE', path)
    expect((await server.call('GET', path)).status).toBe(404)
  })

  test('what it is told is what pull shows, byte for byte', async () => {
    const id = await server.session('Posted')
    await server.ok('PUT', `/api/webhook/config/${id}`, { body: { url: receiver.url } })
    await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: 'Posted 2' } })
    const post = await receiver.waitFor((posts) =>
      posts.find(({ json, event }) => json.sessionId === id && event === 'session.settings_updated'),
    )
    const { body } = await server.call<Page>('GET', `/api/sessions/${id}/events`)
    expect(body.events).toContainEqual(post.json)
  })

  test('the catalogue is listed', async () => {
    const { eventTypes } = await server.ok<{ eventTypes: { name: string }[] }>(
      'GET',
      '/api/webhook/event-types',
    )
    expect(eventTypes.map(({ name }) => name)).toContain('message.received')
  })
})

describe('status', () => {
  test('numbers are the caller’s own', async () => {
    const { sessions } = await server.ok<{ sessions: { total: number } }>('GET', '/api/status')
    const { total } = await server.ok<{ total: number }>('GET', '/api/sessions')
    expect(sessions.total).toBe(total)
    const stats = await server.ok('GET', '/api/status/stats')
    expect(Object.keys(stats).sort()).toEqual([
      'memory',
      'messages',
      'sessions',
      'status',
      'success',
      'uptime',
    ])
    expect(await server.ok('GET', '/api/status/info')).toMatchObject({ name: 'Wabun', whatsapp: 'sandbox' })
  })
})
