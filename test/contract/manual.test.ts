/**
 * The manual, run: every curl line and every script of `sessions-manual.md` as it is printed, with only host, token and
 * id changed, against the real server with the sandbox. Answers are compared with the printed ones.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import axios from 'axios'
import { startApp, type TestApp } from '../harness/app'
import { decodePng } from '../harness/png'
import { type Receiver, startReceiver } from '../harness/receiver'
import { differences } from './as-printed'
import { type CurlLine, curlLines, FENCES, only, printed, under } from './manual-text'

const HOST = 'https://api.yourwhatsappapi.com'
const PHONE = '491702220001'
const FRIEND = '491702220002'

let server: TestApp
let receiver: Receiver
let token = ''
let apiKey = ''
/** Stands for YOUR_SESSION_ID. */
let id = ''

beforeAll(async () => {
  server = await startApp({ flags: { '--registration': 'open' } })
  receiver = startReceiver()
  const registered = await server.ok<{ token: string; apiKey: string }>('POST', '/api/auth/register', {
    key: null,
    body: { username: 'manual', email: 'manual@example.com', password: 'a long password' },
  })
  token = registered.token
  apiKey = registered.apiKey
  await server.phone(PHONE)
  await server.phone(FRIEND)
})
afterAll(async () => {
  await server.stop()
  await receiver.stop()
})

/** curl lines that were run, to prove that none is left out. */
const ran = new Set<string>()

async function run(line: CurlLine) {
  ran.add(`${line.method} ${line.url}`)
  const replace = (text: string) =>
    text.replace(HOST, server.url).replace('YOUR_SESSION_ID', id).replace('YOUR_JWT_TOKEN', token)
  const response = await fetch(replace(line.url), {
    method: line.method,
    headers: Object.fromEntries(Object.entries(line.headers).map(([name, value]) => [name, replace(value)])),
    ...(line.body === null ? {} : { body: line.body }),
  })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

/** Runs the curl line of a section and compares with its printed answer. */
async function asPrinted(heading: string, free: readonly string[] = []) {
  const [line] = curlLines(only(heading, 'bash'))
  if (!line) throw new Error(`No curl line under "${heading}"`)
  const { status, body } = await run(line)
  expect(status).toBe(heading === 'Basic Session Creation' ? 201 : 200)
  expect(differences(body, printed(only(heading, 'json')), free)).toEqual([])
  return body
}

/** The manual's account is another one than the harness's; its own key sees its sessions. */
const own = <Body = Record<string, unknown>>(method: string, path: string, body?: unknown) =>
  server.ok<Body>(method, path, { key: apiKey, ...(body === undefined ? {} : { body }) })
async function reach(wanted: string) {
  for (;;) {
    const { status } = await own<{ status: string }>('GET', `/api/sessions/${id}/status`)
    if (status === wanted) return
    await Bun.sleep(10)
  }
}
const scan = async () => {
  const { qrText } = await own<{ qrText: string }>('GET', `/api/sessions/${id}/qr`)
  await server.ok('POST', `/sandbox/phones/${PHONE}/scan`, { body: { qr: qrText } })
  await reach('connected')
}

describe('the curl lines, in the order of the manual', () => {
  test('Basic Session Creation', async () => {
    const body = await asPrinted('Basic Session Creation')
    id = (body.session as { id: string }).id
  })

  test('Session Configuration Options', async () => {
    const text = only('Session Configuration Options', 'json')
    const options = printed(
      text.replace('"webhookUrl": "string"', '"webhookUrl": "https://example.com/hook"'),
    )
    const { session } = await own<{ session: { id: string; settings: object } }>(
      'POST',
      '/api/sessions',
      options,
    )
    expect(session.settings).toMatchObject((options as { settings: object }).settings)
    await own('DELETE', `/api/sessions/${session.id}`)
  })

  test('Start a Session', async () => {
    await asPrinted('Start a Session')
  })

  test('Monitor Status', async () => {
    await reach('qr_generated')
    await asPrinted('Monitor Status')
  })

  test('Get QR Code', async () => {
    const { expiresAt } = await asPrinted('Get QR Code')
    const left = Date.parse(String(expiresAt)) - Date.now()
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThanOrEqual(90_000)
  })

  test('Display QR in Terminal: the pipe makes a PNG file of 256×256, and qrText feeds qrencode', async () => {
    const [line] = curlLines(only('Display QR in Terminal', 'bash'))
    if (!line) throw new Error('No curl line')
    expect(line.pipe).toEqual(["jq -r '.qrCode'", "sed 's/data:image\\/png;base64,//'", 'base64 -d > qr.png'])
    const { body } = await run(line)
    const file = Buffer.from(String(body.qrCode).replace(/data:image\/png;base64,/, ''), 'base64')
    expect(decodePng(file)).toMatchObject({ width: 256, height: 256 })
    expect(only('Display QR in Terminal', 'bash')).toContain("jq -r '.qrText'")
    expect(body.qrText).toMatch(/2@/)
  })

  test('Web Display: the page’s script shows the picture', async () => {
    const script = /<script>([\s\S]*)<\/script>/.exec(only('Web Display', 'html'))?.[1] ?? ''
    const image = { src: '' }
    const page = { getElementById: (name: string) => (name === 'qrCode' ? image : null) }
    const sameOrigin = (path: string, init: RequestInit) =>
      fetch(server.url + path.replace('YOUR_SESSION_ID', id), {
        ...init,
        headers: { Authorization: `Bearer ${token}` },
      })
    await new Function('fetch', 'document', `${script}\nreturn getQRCode()`)(sameOrigin, page)
    expect(image.src).toStartWith('data:image/png;base64,')
  })

  test('List Sessions and Get Session Details, of a linked session', async () => {
    await scan()
    await own('PUT', `/api/sessions/${id}/settings`, {
      settings: { webhookUrl: 'https://your-server.com/webhook' },
    })
    await own('POST', '/api/messages/send/text', { sessionId: id, to: FRIEND, text: 'Hello' })
    await asPrinted('List Sessions')
    await asPrinted('Get Session Details', ['session.connectionInfo.deviceModel'])
    const { session } = await own<{ session: { connectionInfo: { deviceModel: string } } }>(
      'GET',
      `/api/sessions/${id}`,
    )
    expect(session.connectionInfo.deviceModel).toBe('android')
  })

  test('Health Checks: the one-liner’s fields are there', async () => {
    const [line] = curlLines(only('Health Checks', 'bash'))
    if (!line) throw new Error('No curl line')
    expect(line.pipe).toEqual(["jq '.sessions[] | {id, status, phoneNumber}'"])
    const { body } = await run(line)
    const [first] = body.sessions as Record<string, unknown>[]
    expect(first).toMatchObject({ id, status: 'connected', phoneNumber: `+${PHONE}` })
  })

  test('Message Statistics, with the performance of the section below', async () => {
    await server.ok('POST', `/sandbox/phones/${FRIEND}/messages`, {
      body: { to: PHONE, content: { type: 'text', text: 'Hi' } },
    })
    for (;;) {
      const { stats } = await own<{ stats: { received: number } }>('GET', `/api/messages/stats/${id}`)
      if (stats.received === 1) break
      await Bun.sleep(10)
    }
    // Sandbox phones have exchanged texts only, today: the other types and the days are the manual's own.
    const others = ['image', 'document', 'video', 'audio', 'location'].map((type) => `stats.byType.${type}`)
    const answer = await asPrinted('Message Statistics', ['stats.byDay', ...others])
    const today = new Date().toISOString().slice(0, 10)
    expect(answer).toMatchObject({
      success: true,
      stats: {
        total: 2,
        sent: 1,
        received: 1,
        failed: 0,
        byType: { text: 2 },
        byDay: { [today]: { sent: 1, received: 1 } },
      },
    })
    expect(differences(answer, printed(only('Performance Metrics', 'json')))).toEqual([])
    const alone = await own('GET', `/api/sessions/${id}/performance`)
    expect(differences(alone, printed(only('Performance Metrics', 'json')))).toEqual([])
  })

  test('Update Session Settings', async () => {
    const [line] = curlLines(only('Update Session Settings', 'bash'))
    if (!line) throw new Error('No curl line')
    const { status, body } = await run(line)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      success: true,
      message: 'Session settings updated successfully',
      session: {
        ...JSON.parse(line.body ?? ''),
        settings: {
          autoReconnect: false,
          webhookUrl: 'https://new-webhook.com/endpoint',
          messageHistory: true,
        },
        status: 'connected',
      },
    })
  })

  test('Stop Session', async () => {
    await asPrinted('Stop Session')
  })

  test('Restart Session: it comes back without a QR code', async () => {
    await asPrinted('Restart Session')
    await reach('connected')
  })

  test('Clear Authentication: a new QR code by itself', async () => {
    await asPrinted('Clear Authentication')
    await reach('qr_generated')
  })

  test('Delete Session: gone, with what the error section prints', async () => {
    const [line] = curlLines(only('Delete Session', 'bash'))
    if (!line) throw new Error('No curl line')
    const deleted = await run(line)
    expect(deleted).toEqual({
      status: 200,
      body: { success: true, message: 'Session deleted successfully' },
    })
    const again = await run(line)
    expect(again.status).toBe(404)
    expect(differences(again.body, printed(only('Session Not Found', 'json')))).toEqual([])
  })

  test('none is left out', () => {
    const all = FENCES.filter(({ language }) => language === 'bash')
      .flatMap(({ text }) => curlLines(text))
      .map(({ method, url }) => `${method} ${url}`)
    expect(all.length).toBe(14)
    expect(all.filter((line) => !ran.has(line))).toEqual([])
  })
})

describe('what is not a curl line', () => {
  test('Status Types: the five states are all there are', async () => {
    const { body } = await server.call('GET', '/api/sessions?status=x')
    const [field] = (body as { details: { fields: { message: string }[] } }).details.fields
    expect(field?.message).toBe('Use one of inactive, connecting, qr_generated, connected, disconnected')
  })

  test('Auto-Reconnection: its settings are taken', async () => {
    const options = printed(only('Auto-Reconnection', 'json')) as { settings: object }
    const { session } = await own<{ session: { id: string; settings: object } }>('POST', '/api/sessions', {
      name: 'Customer-Support-US',
      ...options,
    })
    expect(session.settings).toMatchObject(options.settings)
    await own('DELETE', `/api/sessions/${session.id}`)
  })

  test('Connection Events: the webhook gets the printed event, flat', async () => {
    const made = await own<{ session: { id: string } }>('POST', '/api/sessions', {
      name: 'Hooked',
      settings: { webhookUrl: receiver.url },
    })
    id = made.session.id
    await own('POST', `/api/sessions/${id}/start`)
    await scan()
    const post = await receiver.waitFor((posts) => posts.find(({ event }) => event === 'session.connected'))
    expect(differences(post.json, printed(only('Connection Events', 'json')))).toEqual([])
    expect(post.json.sessionId).toBe(id)
    expect(post.headers['x-webhook-signature']).toMatch(/^sha256=[0-9a-f]{64}$/)
  })

  test('Load Distribution: the sample’s function picks the connected session with a short queue', async () => {
    const code = only('Load Distribution', 'javascript').replace(/const sessions = \[[\s\S]*?\];/, '')
    const { sessions } = await own<{ sessions: object[] }>('GET', '/api/sessions')
    const picked = new Function('sessions', `${code}\nreturn getAvailableSession()`)(sessions)
    expect(picked).toMatchObject({ id, status: 'connected', messageQueue: 0 })
  })

  test('Session Not Connected: the printed error', async () => {
    const created = await own<{ session: { id: string } }>('POST', '/api/sessions', { name: 'Idle' })
    const { status, body } = await server.call('POST', '/api/messages/send/text', {
      key: apiKey,
      body: { sessionId: created.session.id, to: FRIEND, text: 'x' },
    })
    expect(status).toBe(400)
    expect(
      differences(body, printed(only('Session Not Connected', 'json')), [
        'details.currentStatus',
        'details.action',
      ]),
    ).toEqual([])
    expect((body as { details: { currentStatus: string } }).details.currentStatus).toBe('inactive')
    await own('DELETE', `/api/sessions/${created.session.id}`)
  })

  test('Best Practices: the secure creation’s settings are taken, and its answer has messageStats', async () => {
    const code = only('Security Considerations', 'javascript')
    const warned: unknown[] = []
    const notified: unknown[] = []
    const api = {
      createSession: async (options: unknown) =>
        (await own<{ session: object }>('POST', '/api/sessions', options)).session,
    }
    const run = new Function(
      'api',
      'console',
      'notifyAdmin',
      `return (async () => { ${code}\nreturn session })()`,
    )
    const session = await run(api, { warn: (text: unknown) => warned.push(text) }, (who: unknown) =>
      notified.push(who),
    )
    expect(session).toMatchObject({
      name: 'Production-Support',
      settings: { ipWhitelist: ['192.168.1.100', '192.168.1.101'], enableEncryption: true },
      messageStats: { sent: 0 },
    })
    expect([warned, notified]).toEqual([[], []])
    // The list holds for this session: we call from elsewhere.
    const { status, body } = await server.call('GET', `/api/sessions/${session.id}`, { key: apiKey })
    expect({ status, code: body.code }).toEqual({ status: 403, code: 'IP_NOT_ALLOWED' })
  })
})

describe('the client scripts, as written', () => {
  /** Runs a script of the manual with the names it expects around it; its host is ours. */
  const script = (text: string, given: Record<string, unknown>, result: string) =>
    new Function(...Object.keys(given), `${text.replaceAll(HOST, server.url)}\nreturn ${result}`)(
      ...Object.values(given),
    )

  test('SessionMonitor lists, and restarts what is disconnected, again and again', async () => {
    const said: string[] = []
    const failed: unknown[] = []
    const timers: { interval: number }[] = []
    let restarts = 0
    // Each call is counted on its way; the script itself is untouched.
    const counted = {
      create(options: object) {
        const instance = axios.create(options)
        instance.interceptors.request.use((request) => {
          if (request.url?.endsWith('/restart')) restarts += 1
          return request
        })
        return instance
      },
    }
    const monitor = script(
      only('Automated Monitoring Script', 'javascript'),
      {
        require: (name: string) => (name === 'axios' ? counted : null),
        process: { env: { WHATSAPP_API_KEY: apiKey } },
        console: {
          log: (text: string) => said.push(text),
          error: (...words: unknown[]) => failed.push(words),
        },
        setInterval: (_: () => void, interval: number) => timers.push({ interval }),
      },
      'monitor',
    ) as { monitorSessions(): Promise<void> }
    expect(timers).toEqual([{ interval: 60_000 }])

    await own('PUT', `/api/sessions/${id}/settings`, { settings: { autoReconnect: false } })
    await server.ok('POST', '/sandbox/faults', { body: { kind: 'drop', phoneNumber: PHONE } })
    await reach('disconnected')
    await server.ok('DELETE', '/sandbox/faults')
    await Promise.all([monitor.monitorSessions(), monitor.monitorSessions(), monitor.monitorSessions()])
    expect(restarts).toBeGreaterThan(0)
    await reach('connected')
    await monitor.monitorSessions()
    expect(failed).toEqual([])
    expect(said).toContain('Session Hooked: connected')
  })

  test('SessionManager recovers by code, with the functions it leaves open', async () => {
    const Manager = script(
      only('Error Recovery', 'javascript'),
      {
        console: { log: () => undefined },
        setTimeout: (resume: () => void) => setTimeout(resume, 10),
      },
      'SessionManager',
    ) as new () => Record<string, (...given: unknown[]) => Promise<unknown>>
    const api = axios.create({ baseURL: `${server.url}/api`, headers: { 'X-API-Key': apiKey } })
    const manager = Object.assign(new Manager(), {
      api,
      getSessionStatus: async (session: string) => (await api.get(`/sessions/${session}/status`)).data.status,
      generateNewQR: async (session: string) => {
        await api.post(`/sessions/${session}/restart`)
        return (await api.get(`/sessions/${session}/qr`)).data.qrCode
      },
      clearAuthAndRestart: async (session: string) => {
        await api.post(`/sessions/${session}/clear-auth`)
        await api.post(`/sessions/${session}/restart`)
        return (await api.get(`/sessions/${session}/qr`)).data.qrCode
      },
    })
    const handle = (code: string) => manager.handleSessionError?.(id, { code })

    await own('POST', `/api/sessions/${id}/stop`)
    const error = await api
      .post('/messages/send/text', { sessionId: id, to: FRIEND, text: 'x' })
      .catch((reason) => reason.response.data)
    expect(error.code).toBe('SESSION_NOT_CONNECTED')
    expect(await handle(error.code)).toBe(true)
    expect(await handle('AUTH_EXPIRED')).toStartWith('data:image/png;base64,')
    expect(await handle('QR_CODE_EXPIRED')).toStartWith('data:image/png;base64,')
    await expect(handle('OTHER') as Promise<unknown>).rejects.toEqual({ code: 'OTHER' })
  })

  test('every script of the manual is run', () => {
    const scripts = FENCES.filter(
      ({ language, text }) => language === 'javascript' && /class|function|await/.test(text),
    )
    expect(scripts.map(({ under: path }) => path.at(-1))).toEqual([
      'Load Distribution',
      'Automated Monitoring Script',
      'Error Recovery',
      'Best Practices',
    ])
    expect(under('Typical flow', 'javascript')).toEqual([])
  })
})

test('control: a wrong answer is seen', () => {
  const print = printed(only('Start a Session', 'json'))
  expect(
    differences({ success: true, message: 'Session started', status: 'connecting' }, print),
  ).toHaveLength(1)
  expect(differences({ success: true, message: 'Session started successfully' }, print)).toEqual([
    'status is missing',
  ])
})
