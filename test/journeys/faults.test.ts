/**
 * Every way in which a connection ends, seen from outside: status, events, connections at the sandbox, credentials.
 *
 * One service process and one sandbox process; each row has a session and a phone of its own, and all rows run at the
 * same time, so that a fault which spilled over to a neighbour would show.
 */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { type Sink, startSink } from '../harness/sink'
import { numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

setDefaultTimeout(180_000)

type Expected = {
  /** The reason in the last `session.disconnected`; null = none was told. */
  reason: string | null
  code?: number | null
  /** Whether the session comes back by itself. */
  ends: 'connected' | 'disconnected'
  /** What a later start leads to. */
  credentials: 'kept' | 'revoked'
}
type Row = Expected & {
  name: string
  faults: readonly Record<string, unknown>[]
}

/** A failure at login: the fault cuts the live connection, and the next login is refused. */
const refusedLogin = (code: number) => [{ kind: 'ban', code }]

const ROWS: readonly Row[] = [
  {
    name: 'drop',
    faults: [{ kind: 'drop' }],
    reason: 'connection_lost',
    code: 428,
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: '515',
    faults: [{ kind: 'stream_error', code: 515 }],
    reason: null,
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: '503',
    faults: [{ kind: 'stream_error', code: 503 }],
    reason: 'server_unavailable',
    code: 503,
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: '500',
    faults: [{ kind: 'stream_error', code: 500 }],
    reason: 'stream_error',
    code: 500,
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: 'corrupt frame',
    faults: [{ kind: 'corrupt_frame' }, { kind: 'drop' }],
    reason: 'connection_lost',
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: 'replace',
    faults: [{ kind: 'replace' }],
    reason: 'replaced',
    code: 440,
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: 'logout',
    faults: [{ kind: 'logout' }],
    reason: 'logged_out',
    code: 401,
    ends: 'disconnected',
    credentials: 'revoked',
  },
  {
    name: 'stall',
    faults: [{ kind: 'stall', times: 1 }],
    reason: 'connection_lost',
    ends: 'connected',
    credentials: 'kept',
  },
  {
    name: '402',
    faults: [{ kind: 'ban', for: 3_600_000 }],
    reason: 'temporarily_banned',
    code: 402,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '403',
    faults: refusedLogin(403),
    reason: 'account_locked',
    code: 403,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '405',
    faults: [{ kind: 'outdated' }, { kind: 'drop' }],
    reason: 'client_outdated',
    code: 405,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '406',
    faults: refusedLogin(406),
    reason: 'banned',
    code: 406,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '409',
    faults: refusedLogin(409),
    reason: 'client_refused',
    code: 409,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '411',
    faults: refusedLogin(411),
    reason: 'client_refused',
    code: 411,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '413',
    faults: refusedLogin(413),
    reason: 'client_refused',
    code: 413,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '414',
    faults: refusedLogin(414),
    reason: 'client_refused',
    code: 414,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '415',
    faults: refusedLogin(415),
    reason: 'client_refused',
    code: 415,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '418',
    faults: refusedLogin(418),
    reason: 'client_refused',
    code: 418,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '400',
    faults: refusedLogin(400),
    reason: 'generic_failure',
    code: 400,
    ends: 'disconnected',
    credentials: 'kept',
  },
  {
    name: '501',
    faults: refusedLogin(501),
    reason: 'generic_failure',
    code: 501,
    ends: 'disconnected',
    credentials: 'kept',
  },
]

let sandbox: SandboxProcess
let sink: Sink
let service: Wabun
const numbers = ROWS.map((_, index) => numberOf(index))
const bystander = numberOf(ROWS.length)
const peer = numberOf(ROWS.length + 1)
let ids: string[] = []

const eventsOf = (id: string, name: string) =>
  sink.deliveries.filter((delivery) => delivery.sessionId === id && delivery.event === name)
type Detail = {
  status: string
  reconnect?: { nextAt: string }
  lastDisconnect: { code: number | null; reason: string; action: string } | null
}
const detailOf = async (id: string) =>
  (await service.api<{ session: Detail }>('GET', `/api/sessions/${id}`)).session

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  sink = startSink()
  service = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await service.start()
  await sandbox.addPhone(peer)
  ids = await pairAll(service, sandbox, [...numbers, bystander])
  for (const id of ids)
    await service.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
})
afterAll(async () => {
  await service?.end()
  await sandbox?.stop()
  await sink?.stop()
})

describe('each disconnect code', () => {
  let loginsBefore: Record<string, number> = {}

  beforeAll(async () => {
    loginsBefore = (await sandbox.stats()).loginsOf
    await Promise.all(
      ROWS.map(async (row, index) => {
        for (const fault of row.faults) await sandbox.fault({ ...fault, phoneNumber: numbers[index] })
      }),
    )
    // A session has come to rest when it is connected by a new login, or is down with no attempt planned.
    await Promise.all(
      ROWS.map((row, index) =>
        until(
          `${row.name} to end ${row.ends}`,
          async () => {
            const detail = await detailOf(ids[index] ?? '')
            if (detail.status !== row.ends || detail.reconnect !== undefined) return null
            if (row.ends === 'disconnected') return true
            const number = numbers[index] ?? ''
            return ((await sandbox.stats()).loginsOf[number] ?? 0) > (loginsBefore[number] ?? 0) ? true : null
          },
          150_000,
          250,
        ).catch((error: Error) => error),
      ),
    )
  })

  test.each(ROWS.map((row, index) => [row.name, row, index] as const))('%s', async (_, row, index) => {
    const id = ids[index] ?? ''
    const number = numbers[index] ?? ''
    const detail = await detailOf(id)
    const told = eventsOf(id, 'session.disconnected')
    const last = told.at(-1)?.body
    expect({
      status: detail.status,
      reason: last?.reason ?? null,
      willReconnect: last?.willReconnect ?? null,
    }).toEqual({
      status: row.ends,
      reason: row.reason,
      willReconnect: row.reason === null ? null : row.ends === 'connected',
    })
    if (row.reason !== null) {
      expect(detail.lastDisconnect).toMatchObject({ reason: row.reason, action: expect.any(String) })
      if (row.code !== undefined) expect(detail.lastDisconnect?.code).toBe(row.code)
    }
    expect((await sandbox.stats()).live[number] ?? 0).toBe(row.ends === 'connected' ? 1 : 0)
  })

  test('the session beside them was never touched', async () => {
    const id = ids.at(-1) ?? ''
    expect(await service.statusOf(id)).toBe('connected')
    expect(eventsOf(id, 'session.disconnected')).toHaveLength(0)
    expect((await sandbox.stats()).loginsOf[bystander]).toBe(loginsBefore[bystander] ?? 0)
  })

  test('a send over a lost login says what to do', async () => {
    const index = ROWS.findIndex((row) => row.credentials === 'revoked')
    const answer = await service.call('POST', '/api/messages/send/text', {
      sessionId: ids[index],
      to: peer,
      text: 'hello',
    })
    expect(answer.status).toBe(400)
    expect(await answer.json()).toMatchObject({ success: false, code: 'AUTH_EXPIRED' })
  })

  test('credentials are kept, except where WhatsApp has revoked them', async () => {
    await sandbox.clearFaults()
    await Promise.all(
      ROWS.map(async (row, index) => {
        const id = ids[index] ?? ''
        if (row.ends !== 'disconnected') return
        await service.api('POST', `/api/sessions/${id}/start`)
        const wanted = row.credentials === 'kept' ? 'connected' : 'qr_generated'
        await until(`${row.name}: ${wanted} after a start`, async () =>
          (await service.statusOf(id)) === wanted ? true : null,
        )
      }),
    )
  })
})

describe('at the upgrade', () => {
  test.each([
    ['refuse', 503, 'server_unavailable'],
    ['refuse', 403, 'upgrade_refused'],
    ['rate_limit', 429, 'rate_limited'],
  ])('%s %i: the HTTP status is told, and the session comes back', async (kind, status, reason) => {
    const id = ids.at(-1) ?? ''
    // A fresh attempt count, so that the wait before the next attempt is short.
    await service.api('POST', `/api/sessions/${id}/restart`)
    await until('connected again', async () => ((await service.statusOf(id)) === 'connected' ? true : null))
    sink.clear()
    await sandbox.fault({ kind, all: true, status, times: 1 })
    await sandbox.fault({ kind: 'drop', phoneNumber: bystander })
    await until(`${kind} to be told`, () =>
      eventsOf(id, 'session.disconnected').some(({ body }) => body.reason === reason) ? true : null,
    )
    const told = eventsOf(id, 'session.disconnected').find(({ body }) => body.reason === reason)
    expect(told?.body).toMatchObject({ reason, code: status, willReconnect: true })
    await sandbox.clearFaults()
    await until(`connected after ${kind} ${status}`, async () =>
      (await service.statusOf(id)) === 'connected' ? true : null,
    )
  })
})

describe('faults of messages', () => {
  test('reject_messages: 502 with WhatsApp’s code, and the message has failed', async () => {
    const id = ids.at(-1) ?? ''
    const fault = await sandbox.fault({
      kind: 'reject_messages',
      phoneNumber: bystander,
      code: 463,
      times: 1,
    })
    const answer = await service.call('POST', '/api/messages/send/text', {
      sessionId: id,
      to: peer,
      text: 'no',
    })
    expect(fault).toBeString()
    expect(answer.status).toBe(502)
    expect(await answer.json()).toMatchObject({ code: 'MESSAGE_REJECTED' })
    expect((await service.history(id)).find((message) => message.text === 'no')?.status).toBe('failed')
  })

  test('slow_ack: answered only once the server has acknowledged', async () => {
    const id = ids.at(-1) ?? ''
    await sandbox.fault({ kind: 'slow_ack', phoneNumber: bystander, ms: 1500, times: 1 })
    const messageId = await service.send(id, peer, 'slow')
    expect(['sent', 'delivered']).toContain(
      (await service.history(id)).find((message) => message.id === messageId)?.status ?? '',
    )
  })

  test('duplicate: one row, one event', async () => {
    const id = ids.at(-1) ?? ''
    sink.clear()
    await sandbox.fault({ kind: 'duplicate', phoneNumber: bystander, times: 1 })
    const doubled = await sandbox.say(peer, bystander, 'twice')
    const after = await sandbox.say(peer, bystander, 'after it')
    await until('the message after the doubled one', () =>
      eventsOf(id, 'message.received').some(({ messageId }) => messageId === after) ? true : null,
    )
    expect((await service.history(id)).filter((message) => message.id === doubled)).toHaveLength(1)
    const events = eventsOf(id, 'message.received').filter(({ messageId }) => messageId === doubled)
    expect(new Set(events.map(({ body }) => body.id)).size).toBe(1)
  })

  test('corrupt_frame: the process and the session live on', async () => {
    const id = ids.at(-1) ?? ''
    sink.clear()
    const pid = service.child.pid
    await sandbox.fault({ kind: 'corrupt_frame', phoneNumber: bystander })
    const messageId = await sandbox.say(peer, bystander, 'after the corrupt frame')
    await until('the message after the corrupt frame', () =>
      eventsOf(id, 'message.received').some((delivery) => delivery.messageId === messageId) ? true : null,
    )
    expect(service.child.pid).toBe(pid)
  })
})

describe('while linking', () => {
  const linking = async (number: string) => {
    await sandbox.addPhone(number)
    const id = await service.createSession(`linking ${number}`)
    return { id, qr: await service.qrOf(id) }
  }

  test('pair_refresh: another secret under the same ref, and it links', async () => {
    const number = numberOf(500)
    const { id, qr } = await linking(number)
    const [ref, noiseKey, , secret] = qr.slice(qr.indexOf('#') + 1).split(',')
    await sandbox.fault({
      kind: 'pair_refresh',
      noiseKey: Buffer.from(noiseKey ?? '', 'base64').toString('hex'),
    })
    const next = await until('the renewed code', async () => {
      const now = await service.qrOf(id)
      return now === qr ? null : now
    })
    const fields = next.slice(next.indexOf('#') + 1).split(',')
    expect(fields[0]).toBe(ref ?? '')
    expect(fields[3]).not.toBe(secret ?? '')
    await sandbox.scan(number, next)
    await until('connected', async () => ((await service.statusOf(id)) === 'connected' ? true : null))
  })

  test('passkey: told as such, and no further code', async () => {
    const number = numberOf(501)
    const { id, qr } = await linking(number)
    const noiseKey = qr.slice(qr.indexOf('#') + 1).split(',')[1] ?? ''
    await sandbox.fault({ kind: 'passkey', noiseKey: Buffer.from(noiseKey, 'base64').toString('hex') })
    await until('the end of the attempt', async () =>
      (await service.statusOf(id)) === 'disconnected' ? true : null,
    )
    expect((await detailOf(id)).lastDisconnect).toMatchObject({ reason: 'passkey_required' })
    const answer = await service.call('GET', `/api/sessions/${id}/qr?wait=0`)
    expect(await answer.json()).toMatchObject({ code: 'PASSKEY_REQUIRED' })
  })
})
