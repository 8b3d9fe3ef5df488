/** X4: resources, states and ids. */
import { expect } from 'bun:test'
import { FRIEND, type HardRig, head } from './rig'
import { type HardRow, proved, row } from './row'

type Named = { session: { id: string; name: string; status: string } }
const detail = (rig: HardRig, id: string) => rig.app.ok<Named>('GET', `/api/sessions/${id}`)
const SQL = "'; DROP TABLE sessions; --"

async function query(rig: HardRig, queries: readonly string[]): Promise<void> {
  for (const each of queries) {
    const named = new Set(new URLSearchParams(each).keys())
    await rig.refused('GET', `/api/sessions?${each}`, undefined, [
      400,
      'VALIDATION_ERROR',
      ...[...named].map((name) => `/${name}`),
    ])
  }
}

export const STATE_ROWS: readonly HardRow[] = [
  row(63, 'an unknown session', async (rig) => {
    await rig.refused('GET', `/api/sessions/${'f'.repeat(32)}`, undefined, [404, 'SESSION_NOT_FOUND'])
    await rig.refused('GET', '/api/nothing', undefined, [404, 'ROUTE_NOT_FOUND'])
    await rig.refused('GET', '/', undefined, [404, 'ROUTE_NOT_FOUND'])
  }),
  row(64, 'ids that are paths, NUL, long, or nearly right', async (rig) => {
    const own = await rig.app.session('Owned')
    for (const id of [
      '..%2f..%2fetc%2fpasswd',
      '..%5c..%5cetc',
      '%00',
      `${own}%00`,
      `${own}%20`,
      'x'.repeat(9_000),
      own.toUpperCase(),
      'A'.repeat(32),
      '%ff',
      '%zz',
      '__proto__',
      'constructor',
      'null',
      '*',
    ]) {
      await rig.refused('GET', `/api/sessions/${id}`, undefined, [404, 'SESSION_NOT_FOUND'])
      await rig.refused('GET', `/media/${id}`, { key: null }, [404, 'UPLOAD_NOT_FOUND'])
      await rig.refused('GET', `/api/messages/${own}/${id}`, undefined, [404, 'MESSAGE_NOT_FOUND'])
      await rig.refused('GET', `/api/webhook/endpoints/${id}`, undefined, [404, 'WEBHOOK_NOT_FOUND'])
    }
    for (const path of [
      '/api/sessions/../x',
      '/api/sessions/..',
      '/media/../../etc/passwd',
      '//etc/passwd',
    ]) {
      expect((await rig.raw(head('GET', path))).statuses).toEqual([404])
    }
  }),
  row(65, 'started twice', async (rig) => {
    const id = await rig.app.session('Started twice')
    const answers = await Promise.all([1, 2, 3].map(() => rig.app.call('POST', `/api/sessions/${id}/start`)))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
    await rig.app.until(id, ({ status }) => status === 'qr_generated')
    expect(await connecting(rig, id)).toBe(1)
    await rig.app.ok('DELETE', `/api/sessions/${id}`)
  }),
  row(66, 'started while it stops', async (rig) => {
    const id = await rig.app.session('Back and forth')
    const commands = ['start', 'stop', 'start', 'stop', 'restart', 'clear-auth', 'stop', 'start']
    const answers = await Promise.all(
      commands.map((command) => rig.app.call('POST', `/api/sessions/${id}/${command}`)),
    )
    expect(answers.map(({ status }) => status)).toEqual(commands.map(() => 200))
    await rig.app.ok('POST', `/api/sessions/${id}/stop`)
    await rig.app.until(id, ({ status }) => status === 'inactive')
    await rig.app.ok('DELETE', `/api/sessions/${id}`)
  }),
  // The contract’s status is 400, on which the manual’s samples poll; that no code is served late is a test of its own
  // (sessions/qr).
  row(67, 'a QR code of a session that needs none, or has none', async (rig) => {
    const id = await rig.linked()
    for (const format of ['', '?format=png', '?format=svg', '?format=raw']) {
      await rig.refused('GET', `/api/sessions/${id}/qr${format}`, undefined, [
        400,
        'SESSION_ALREADY_CONNECTED',
      ])
    }
    await rig.refused('GET', `/api/sessions/${rig.adas}/qr`, { key: rig.ada.apiKey }, [
      400,
      'SESSION_NOT_STARTED',
    ])
  }),
  row(68, 'a message over a session that is not connected', async (rig) => {
    const body = { sessionId: rig.adas, to: FRIEND, text: 'x' }
    const refused = await rig.refused('POST', '/api/messages/send/text', { key: rig.ada.apiKey, body }, [
      400,
      'SESSION_NOT_CONNECTED',
    ])
    expect(refused.body.details).toMatchObject({ currentStatus: 'inactive' })
  }),
  row(69, 'deleted while it sends', async (rig) => {
    await rig.linked()
    const id = await rig.app.linked('491703370069')
    const sends = Array.from({ length: 20 }, (_, at) =>
      rig.app.call<{ code?: string }>('POST', '/api/messages/send/text', {
        body: { sessionId: id, to: FRIEND, text: `Number ${at}` },
      }),
    )
    await rig.app.ok('DELETE', `/api/sessions/${id}`)
    for (const { status, body } of await Promise.all(sends)) {
      // Sent before, or told that it was not; never left open, never an error that nobody has a name for.
      expect({ status, named: status === 200 || body.code !== undefined }).toMatchObject({ named: true })
      expect(body.code).not.toBe('INTERNAL_ERROR')
    }
    await rig.refused('GET', `/api/messages/history/${id}`, undefined, [404, 'SESSION_NOT_FOUND'])
    await rig.refused('POST', '/api/messages/send/text', { body: { sessionId: id, to: FRIEND, text: 'x' } }, [
      404,
      'SESSION_NOT_FOUND',
    ])
  }),
  row(70, 'a fourth session where three are allowed', async (rig) => {
    const key = rig.ada.apiKey
    const create = () => rig.app.call('POST', '/api/sessions', { key, body: { name: 'One of many' } })
    const all = await Promise.all(Array.from({ length: 6 }, create))
    expect(all.map(({ status }) => status).sort()).toEqual([201, 201, 403, 403, 403, 403])
    const { body } = await rig.refused('POST', '/api/sessions', { key, body: { name: 'x' } }, [
      403,
      'SESSION_LIMIT_REACHED',
    ])
    expect(body.details).toMatchObject({ plan: 'free', limit: 3 })
  }),
  // Monitors of the manual call restart again and again: it joins the attempt under way instead of being refused. What an
  // account may ask in a minute is a limit of its plan.
  row(71, 'a hundred restarts at once', async (rig) => {
    const id = await rig.app.session('Restless')
    await rig.app.ok('POST', `/api/sessions/${id}/start`)
    const answers = await Promise.all(
      Array.from({ length: 100 }, () => rig.app.call('POST', `/api/sessions/${id}/restart`)),
    )
    expect(answers.every(({ status }) => status === 200)).toBe(true)
    await rig.app.until(id, ({ status }) => status === 'qr_generated')
    expect(await connecting(rig, id)).toBeLessThan(100)
    await rig.app.ok('DELETE', `/api/sessions/${id}`)
  }),
  proved(72, 'credentials that come after they were cleared', 'storage/vault', 'a wipe fences at once'),
  row(73, 'the same name twice', async (rig) => {
    const ids = [await rig.app.session('Twin'), await rig.app.session('Twin')]
    expect(new Set(ids).size).toBe(2)
    await rig.app.ok('PUT', `/api/sessions/${ids[0]}/settings`, { body: { description: 'the first' } })
    expect((await detail(rig, ids[1] ?? '')).session).toMatchObject({ name: 'Twin', description: null })
  }),
  row(74, 'limits that are none', (rig) =>
    query(
      rig,
      ['-1', '0', '101', '1000000000', 'abc', 'NaN', '', '1e1', '1.5', '%201', '1%00', 'null', '１'].map(
        (limit) => `limit=${limit}`,
      ),
    ),
  ),
  row(75, 'a limit in another notation, or twice', async (rig) => {
    await query(rig, ['limit=0x10', 'limit=1&limit=2', 'limit=1&LIMIT=2&colour=red'].slice(0, 2))
    await rig.refused('GET', '/api/sessions?limit[]=1', undefined, [400, 'VALIDATION_ERROR', '/limit[]'])
    const page = await rig.app.ok('GET', '/api/sessions?limit=7&offset=2&status=inactive')
    expect(page).toMatchObject({ limit: 7, offset: 2 })
  }),
  row(76, 'offsets that are none', (rig) =>
    query(
      rig,
      ['-1', '9223372036854775808', '99999999999999999999', '1e400', 'x'].map((at) => `offset=${at}`),
    ),
  ),
  row(77, 'a status that does not exist, and a parameter', (rig) =>
    query(rig, ['status=bogus', 'status=', 'status=CONNECTED', 'colour=red', '__proto__=1']),
  ),
  row(78, 'cursors', async (rig) => {
    const { cursor } = await rig.app.ok<{ cursor: string }>('GET', '/api/events?limit=1')
    const epoch = cursor.split('-')[0] ?? ''
    const ask = (after: string, path = '/api/events') =>
      rig.app.call<{ code?: string }>('GET', `${path}?after=${encodeURIComponent(after)}`)
    for (const after of [
      'x',
      cursor.slice(0, -1).replace(/\d+$/, ''),
      `${epoch}-`,
      `${epoch}--1`,
      `${epoch}-1x`,
      `${epoch}-999999999999999`,
      `${epoch}-9999999999999999`,
      `${epoch}-0x1`,
      `${epoch.toUpperCase()}-1 `,
      `${cursor}\n`,
    ]) {
      const { status, body } = await ask(after)
      expect({ after, status, code: body.code }).toEqual({ after, status: 400, code: 'INVALID_CURSOR' })
    }
    // Of another database, or one that this one has put away.
    expect(await ask('zzzzzzzz-1')).toMatchObject({ status: 410, body: { code: 'CURSOR_EXPIRED' } })
    await rig.refused('GET', `/api/events?after=${'x'.repeat(65)}`, undefined, [400, 'VALIDATION_ERROR'])
    // A cursor is a place, not a permission: another’s shows nothing of theirs.
    const theirs = await rig.app.ok<{ events: { sessionId: string }[] }>(
      'GET',
      `/api/events?after=${epoch}-0`,
      {
        key: rig.bob.apiKey,
      },
    )
    expect(theirs.events.map(({ sessionId }) => sessionId)).not.toContain(rig.adas)
  }),
  row(79, 'what looks like SQL is only a text', async (rig) => {
    const id = await rig.app.session(SQL)
    expect((await detail(rig, id)).session.name).toBe(SQL)
    const linked = await rig.linked()
    const encoded = encodeURIComponent(SQL)
    for (const path of [
      `/api/messages/history/${linked}?search=${encoded}`,
      `/api/messages/history/${linked}?search=${encodeURIComponent('" OR "a" NEAR(*')}`,
    ]) {
      await rig.app.ok('GET', path)
    }
    await rig.refused('GET', `/api/sessions/${encoded}`, undefined, [404, 'SESSION_NOT_FOUND'])
    await rig.refused('GET', `/api/messages/history/${encoded}`, undefined, [404, 'SESSION_NOT_FOUND'])
    await rig.refused('POST', '/api/auth/login', { key: null, body: { username: SQL, password: SQL } }, [
      401,
      'AUTH_INVALID_CREDENTIALS',
    ])
    await rig.refused('GET', `/api/messages/history/${linked}?from=${encoded}`, undefined, [
      400,
      'INVALID_PHONE_NUMBER',
    ])
    await detail(rig, id)
  }),
  row(80, 'a method that is not there says which are', async (rig) => {
    const { headers } = await rig.refused('PATCH', '/api/sessions/x/settings', undefined, [
      405,
      'METHOD_NOT_ALLOWED',
    ])
    expect(headers.get('allow')).toBe('PUT')
    for (const method of ['PATCH', 'DELETE', 'PUT', 'OPTIONS', 'TRACE']) {
      const { statuses, text } = await rig.raw(head(method, '/api/sessions'))
      expect({ method, statuses }).toEqual({ method, statuses: [405] })
      expect(text).toMatch(/^allow: POST, GET, HEAD\r$/im)
      expect(text).not.toContain('wapi_')
    }
    // Under a host of one letter too.
    const short = await rig.raw('PATCH /api/sessions HTTP/1.1\r\nHost: x\r\n\r\n')
    expect(short.statuses).toEqual([405])
    const { code } = (await rig.app.call<{ code: string }>('GET', '/api/events/ws')).body
    expect(code).toBe('UPGRADE_REQUIRED')
  }),
]

/** How often a session has begun to connect. */
async function connecting(rig: HardRig, id: string): Promise<number> {
  const { events } = await rig.app.ok<{ events: { event: string }[] }>(
    'GET',
    `/api/sessions/${id}/events?events=session.connecting`,
  )
  return events.length
}
