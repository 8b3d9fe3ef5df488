/** The session routes against a real server with real Baileys sockets and the sandbox. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import jsQR from 'jsqr'
import { type CallOptions, startApp, type TestApp } from '../harness/app'
import { decodePng } from '../harness/png'

let server: TestApp
beforeAll(async () => {
  server = await startApp()
})
afterAll(() => server.stop())

type Session = Record<string, unknown> & { id: string; status: string; settings: Record<string, unknown> }
const detail = async (id: string) =>
  (await server.ok<{ session: Session }>('GET', `/api/sessions/${id}`)).session

describe('create and change', () => {
  test('a new session has every field and all settings', async () => {
    const { status, body } = await server.call<{ success: boolean; message: string; session: Session }>(
      'POST',
      '/api/sessions',
      { body: { name: 'Customer Support', description: 'Main line', settings: { autoReconnect: false } } },
    )
    expect(status).toBe(201)
    expect(body).toMatchObject({ success: true, message: 'Session created successfully' })
    expect(body.session).toMatchObject({
      id: expect.stringMatching(/^[0-9a-f]{32}$/),
      name: 'Customer Support',
      description: 'Main line',
      status: 'inactive',
      phoneNumber: null,
      lastActivity: null,
      messageQueue: 0,
      messageStats: { sent: 0, received: 0, failed: 0 },
      settings: {
        autoReconnect: false,
        reconnectInterval: 30_000,
        maxReconnectAttempts: 10,
        messageHistory: true,
      },
    })
    expect(body.session.createdAt).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  })

  test('an update leaves alone what it does not name', async () => {
    const id = await server.session('Before', { messageHistory: false, maxReconnectAttempts: 3 })
    const { message, session } = await server.ok<{ message: string; session: Session }>(
      'PUT',
      `/api/sessions/${id}/settings`,
      { body: { name: 'After', settings: { autoReconnect: false } } },
    )
    expect(message).toBe('Session settings updated successfully')
    expect(session).toMatchObject({
      name: 'After',
      settings: { autoReconnect: false, messageHistory: false, maxReconnectAttempts: 3 },
    })
  })

  test('the secret of settings.webhookUrl is shown once and masked later', async () => {
    const created = await server.ok<{ session: Session; webhookSecret: string }>('POST', '/api/sessions', {
      body: { name: 'Hooked', settings: { webhookUrl: 'http://127.0.0.1:9009/hook' } },
    })
    expect(created.webhookSecret).toMatch(/^whsec_/)
    const { id } = created.session
    const again = await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { name: 'Same' } })
    expect(again.webhookSecret).toBeUndefined()
    const { config } = await server.ok<{ config: { secret: string; url: string } }>(
      'GET',
      `/api/webhook/config/${id}`,
    )
    expect(config.url).toBe('http://127.0.0.1:9009/hook')
    expect(config.secret).toContain('…')
    expect(config.secret).not.toBe(created.webhookSecret)
  })

  test('a webhook URL that may never be posted to is refused', async () => {
    const { status, body } = await server.call('POST', '/api/sessions', {
      body: { name: 'Bad', settings: { webhookUrl: 'http://169.254.169.254/latest' } },
    })
    expect(status).toBe(400)
    expect(body).toMatchObject({ code: 'WEBHOOK_URL_FORBIDDEN' })
  })

  test('lists page, filter and count', async () => {
    const { total } = await server.ok<{ total: number }>('GET', '/api/sessions')
    const page = await server.ok<{ sessions: Session[]; total: number; hasMore: boolean }>(
      'GET',
      '/api/sessions?limit=1&offset=1&status=inactive',
    )
    expect(page.sessions).toHaveLength(1)
    expect(page).toMatchObject({ limit: 1, offset: 1, total, hasMore: total > 2 })
    const none = await server.ok<{ sessions: Session[] }>('GET', '/api/sessions?status=qr_generated')
    expect(none.sessions).toEqual([])
  })
})

describe('commands', () => {
  test('need no body and no content type, and take any', async () => {
    const id = await server.session()
    const ways: CallOptions[] = [
      {},
      { headers: { 'content-type': 'application/json' } },
      { raw: '', headers: { 'content-type': 'application/json' } },
      { raw: '{}', headers: { 'content-type': 'application/json' } },
      { raw: 'a=b', headers: { 'content-type': 'application/x-www-form-urlencoded' } },
    ]
    for (const options of ways) {
      const { status, body } = await server.call('POST', `/api/sessions/${id}/stop`, options)
      expect(status).toBe(200)
      expect(body).toEqual({
        status: 'inactive',
        success: true,
        message: 'Session stopped successfully',
      })
    }
  })

  test('start answers at once; a second start changes nothing; stop ends it', async () => {
    const id = await server.session()
    expect(await server.ok('POST', `/api/sessions/${id}/start`)).toEqual({
      success: true,
      message: 'Session started successfully',
      status: 'connecting',
    })
    await server.until(id, ({ status }) => status === 'qr_generated')
    expect(await server.ok('POST', `/api/sessions/${id}/start`)).toMatchObject({ status: 'qr_generated' })
    expect(await server.ok('GET', `/api/sessions/${id}/status`)).toEqual({
      success: true,
      status: 'qr_generated',
      phoneNumber: null,
      lastActivity: null,
      qrAvailable: true,
    })
    expect(await server.ok('POST', `/api/sessions/${id}/stop`)).toMatchObject({ status: 'inactive' })
  })

  test('deleted means gone', async () => {
    const id = await server.session()
    expect(await server.ok('DELETE', `/api/sessions/${id}`)).toEqual({
      success: true,
      message: 'Session deleted successfully',
    })
    for (const [method, path] of [
      ['GET', ''],
      ['GET', '/status'],
      ['POST', '/start'],
      ['DELETE', ''],
    ] as const) {
      const { status, body } = await server.call(method, `/api/sessions/${id}${path}`)
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'SESSION_NOT_FOUND' })
    }
  })
})

describe('QR code', () => {
  test('JSON holds a PNG of 256 by 256 that reads as qrText', async () => {
    const id = await server.session()
    await server.ok('POST', `/api/sessions/${id}/start`)
    const qr = await server.ok<{ qrCode: string; qrText: string; expiresAt: string; message: string }>(
      'GET',
      `/api/sessions/${id}/qr`,
    )
    expect(qr).toMatchObject({ success: true, message: 'QR code generated successfully' })
    expect(Date.parse(qr.expiresAt)).toBeGreaterThan(Date.now())
    const prefix = 'data:image/png;base64,'
    expect(qr.qrCode.startsWith(prefix)).toBe(true)
    const image = decodePng(Buffer.from(qr.qrCode.slice(prefix.length), 'base64'))
    expect([image.width, image.height]).toEqual([256, 256])
    expect(jsQR(image.data, image.width, image.height)?.data).toBe(qr.qrText)

    const raw = await server.call<string>('GET', `/api/sessions/${id}/qr?format=raw`)
    expect(raw.body).toBe(qr.qrText)
    for (const [query, accept, type] of [
      ['?format=png', undefined, 'image/png'],
      ['?format=svg', undefined, 'image/svg+xml'],
      ['?format=terminal', undefined, 'text/plain; charset=utf-8'],
      ['?format=text', undefined, 'text/plain; charset=utf-8'],
      ['', 'image/png', 'image/png'],
      ['', 'image/svg+xml', 'image/svg+xml'],
      ['', 'text/plain', 'text/plain; charset=utf-8'],
      // What axios sends by habit.
      ['', 'application/json, text/plain, */*', 'application/json;charset=utf-8'],
    ] as [string, string | undefined, string][]) {
      const { headers } = await server.call('GET', `/api/sessions/${id}/qr${query}`, {
        headers: accept ? { accept } : {},
      })
      expect(headers.get('content-type')).toBe(type)
      expect(headers.get('cache-control')).toBe('no-store')
    }
  })

  test('asked right after start, it waits; without waiting it says not yet', async () => {
    const id = await server.session()
    const early = await server.call('GET', `/api/sessions/${id}/qr`)
    expect({ status: early.status, code: early.body.code }).toEqual({
      status: 400,
      code: 'SESSION_NOT_STARTED',
    })
    const [, impatient, patient] = await Promise.all([
      server.ok('POST', `/api/sessions/${id}/start`),
      Bun.sleep(0).then(() => server.call('GET', `/api/sessions/${id}/qr?wait=0`)),
      server.ok('POST', `/api/sessions/${id}/start`).then(() => server.call('GET', `/api/sessions/${id}/qr`)),
    ])
    expect(patient.status).toBe(200)
    if (impatient.status !== 200) {
      expect(impatient.body.code).toMatch(/^(QR_NOT_READY|SESSION_NOT_STARTED)$/)
    }
  })

  test('there is none for a linked session, nor after unlinking it by clear-auth without a start', async () => {
    const id = await server.linked('491701110001')
    const { status, body } = await server.call('GET', `/api/sessions/${id}/qr`)
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'SESSION_ALREADY_CONNECTED' })
    expect(await detail(id)).toMatchObject({
      status: 'connected',
      phoneNumber: '+491701110001',
      connectionInfo: {
        connectedAt: expect.any(String),
        clientVersion: expect.stringMatching(/^2\.3000\.\d+$/),
        deviceModel: 'android',
      },
    })
    await server.ok('POST', `/api/sessions/${id}/stop`)
    expect(await detail(id)).toMatchObject({ status: 'inactive', phoneNumber: '+491701110001' })
    const cleared = await server.ok('POST', `/api/sessions/${id}/clear-auth`)
    expect(cleared).toEqual({
      success: true,
      message: 'Authentication cleared successfully',
      status: 'inactive',
    })
    expect(await detail(id)).toMatchObject({ status: 'inactive', phoneNumber: null })
  })
})

describe('linking by code', () => {
  test('a phone that types the code is linked', async () => {
    await server.phone('491701110002')
    const id = await server.session()
    await server.ok('POST', `/api/sessions/${id}/start`)
    const { code } = await server.ok<{ code: string }>('POST', `/api/sessions/${id}/pairing-code`, {
      body: { phoneNumber: '+49 170 111-0002' },
    })
    expect(code).toMatch(/^[A-Z0-9]{4}-[A-Z0-9]{4}$/)
    await server.ok('POST', '/sandbox/phones/491701110002/pairing-code', { body: { code } })
    await server.until(id, ({ status }) => status === 'connected')
  })

  test('what is no phone number is refused', async () => {
    const id = await server.session()
    const { status, body } = await server.call('POST', `/api/sessions/${id}/pairing-code`, {
      body: { phoneNumber: '12' },
    })
    expect({ status, code: body.code }).toEqual({ status: 400, code: 'INVALID_PHONE_NUMBER' })
  })
})

test('a whole restart brings a linked session back without a QR code', async () => {
  const id = await server.linked('491701110003')
  await server.restart()
  await server.until(id, ({ status }) => status === 'connected')
  const { phoneNumber } = await detail(id)
  expect(phoneNumber).toBe('+491701110003')
})

describe('settings of the queue and of files', () => {
  test('are taken on creation and on update, and shown with their defaults', async () => {
    const sendPacing = { messagesPerMinute: 20, jitter: 0.5, typing: true }
    const id = await server.session('Paced', { sendPacing, downloadMedia: true })
    const settings = async () => {
      const { session } = await server.ok<{ session: { settings: object } }>('GET', `/api/sessions/${id}`)
      return session.settings
    }
    expect(await settings()).toMatchObject({ sendPacing, downloadMedia: true, queuePaused: false })
    await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { settings: { queuePaused: true } } })
    expect(await settings()).toMatchObject({ sendPacing, queuePaused: true })
    await server.ok('PUT', `/api/sessions/${id}/settings`, { body: { settings: { sendPacing: null } } })
    expect(await settings()).toMatchObject({ sendPacing: null, downloadMedia: true })
  })

  test.each([
    ['no rate', { sendPacing: {} }],
    ['rate 0', { sendPacing: { messagesPerMinute: 0 } }],
    ['a jitter of 2', { sendPacing: { messagesPerMinute: 5, jitter: 2 } }],
    ['an unknown part', { sendPacing: { messagesPerMinute: 5, burst: 1 } }],
    ['a word', { queuePaused: 'yes' }],
    ['null', { downloadMedia: null }],
  ])('%s', async (_, settings) => {
    const { status, body } = await server.call<{ details: { fields: { path: string }[] } }>(
      'POST',
      '/api/sessions',
      { body: { name: 'x', settings } },
    )
    expect({ status, path: body.details.fields[0]?.path }).toMatchObject({
      status: 400,
      path: expect.stringMatching(/^\/settings\/(sendPacing|queuePaused|downloadMedia)/),
    })
  })
})

test('a restriction is shown until it ends, and refuses new chats with its end', async () => {
  const [phone, stranger] = ['491703310101', '491703310102']
  await server.phone(stranger)
  const id = await server.linked(phone)
  const until = new Date(Date.now() + 3_600_000).toISOString()
  await server.ok('POST', '/sandbox/faults', { body: { kind: 'restrict', phoneNumber: phone, until } })
  const restriction = await server.until(id, (session) => session.restriction as { until: string } | null)
  expect(restriction).toMatchObject({ type: expect.any(String), since: expect.any(String) })
  expect(Math.abs(Date.parse(restriction.until) - Date.parse(until))).toBeLessThan(2_000)
  const { status, body } = await server.call('POST', '/api/messages/send/text', {
    body: { sessionId: id, to: stranger, text: 'x' },
  })
  expect({ status, code: body.code, details: body.details }).toMatchObject({
    status: 403,
    code: 'SESSION_RESTRICTED',
    details: { until: expect.any(String) },
  })
  await server.ok('DELETE', '/sandbox/faults')
  await server.until(id, (session) => session.restriction === null)
})
