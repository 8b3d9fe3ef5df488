/** X3: who is asking, and whose things they ask for. */
import { expect } from 'bun:test'
import { createHmac } from 'node:crypto'
import { connect } from 'node:net'
import { crc32 } from 'node:zlib'
import { OWNER_KEY } from '../../harness/app'
import { openStream } from '../../harness/stream'
import { FRIEND, type HardRig, head, isWhole, JWT_SECRET, MOST_FAILURES } from './rig'
import { type HardRow, row } from './row'

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
const seconds = () => Math.floor(Date.now() / 1000)

/** A token as the server makes them, but for what is given; `undefined` leaves a claim out. */
function token(sub: string, claims: object = {}, header: object = {}, secret: string = JWT_SECRET): string {
  const payload = {
    sub,
    jti: 'made-by-a-row',
    iss: 'wabun',
    aud: 'wabun-api',
    exp: seconds() + 3_600,
    ...claims,
  }
  const said = `${part({ alg: 'HS256', typ: 'JWT', ...header })}.${part(payload)}`
  return `${said}.${createHmac('sha256', secret).update(said).digest('base64url')}`
}

/** A text in the form of an API key, with the right checksum or a wrong one. */
function keyLike(body: string, right: boolean): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(right ? crc32(`wapi_${body}`) : crc32(`wapi_${body}`) ^ 1)
  return `wapi_${body}${sum.toString('base64url')}`
}

const UPGRADE = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
]

/** A WebSocket by hand; says frames as they are, and resolves with the code that the server closes with. */
function rawSocket(rig: HardRig, frames: readonly Uint8Array[]): Promise<number | null> {
  return new Promise((resolve) => {
    const socket = connect(rig.port, '127.0.0.1')
    let got = Buffer.alloc(0)
    let open = false
    socket.on('data', (data: Buffer) => {
      got = Buffer.concat([got, data])
      if (open) return
      const end = got.indexOf('\r\n\r\n')
      if (end === -1) return
      open = true
      got = got.subarray(end + 4)
      for (const frame of frames) socket.write(frame)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(closeCode(got)))
    socket.write(head('GET', '/api/events/ws?events=*', ...UPGRADE))
  })
}

/** A client's frame, its mask all zeros. */
function frame(opcode: number, payload: Uint8Array): Uint8Array {
  const length = payload.length
  const start = length < 126 ? Buffer.alloc(2) : length < 65_536 ? Buffer.alloc(4) : Buffer.alloc(10)
  start[0] = 0x80 | opcode
  start[1] = 0x80 | (length < 126 ? length : length < 65_536 ? 126 : 127)
  if (length >= 65_536) start.writeBigUInt64BE(BigInt(length), 2)
  else if (length >= 126) start.writeUInt16BE(length, 2)
  return Buffer.concat([start, Buffer.alloc(4), payload])
}

/** The code of the close frame among a server's frames; null when there is none. */
function closeCode(bytes: Buffer): number | null {
  for (let at = 0; at + 2 <= bytes.length; ) {
    const [opcode = 0, short = 0] = [(bytes[at] ?? 0) & 15, (bytes[at + 1] ?? 0) & 127]
    const [length, body] =
      short < 126
        ? [short, at + 2]
        : short === 126
          ? [bytes.readUInt16BE(at + 2), at + 4]
          : [Number(bytes.readBigUInt64BE(at + 2)), at + 10]
    if (opcode === 8) return length >= 2 ? bytes.readUInt16BE(body) : null
    at = body + length
  }
  return null
}

/** Requests of an address, one after another over one connection, each with another key; their answers whole. */
function inTurn(rig: HardRig, localAddress: string, keys: readonly string[]): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: rig.port, host: '127.0.0.1', localAddress })
    const answers: string[] = []
    let text = ''
    const ask = () =>
      socket.write(`GET /api/sessions HTTP/1.1\r\nHost: x.test\r\nX-API-Key: ${keys[answers.length]}\r\n\r\n`)
    socket.on('data', (data: Buffer) => {
      text += data.toString('latin1')
      if (!isWhole(text)) return
      answers.push(text)
      text = ''
      if (answers.length < keys.length) ask()
      else {
        socket.end()
        resolve(answers)
      }
    })
    socket.on('error', reject)
    ask()
  })
}

export const ACCESS_ROWS: readonly HardRow[] = [
  row(48, 'no key', async (rig) => {
    for (const [method, path] of [
      ['GET', '/api/sessions'],
      ['POST', '/api/sessions'],
      ['GET', `/api/sessions/${rig.adas}`],
    ] as const) {
      const { headers } = await rig.refused(method, path, { key: null }, [401, 'AUTH_REQUIRED'])
      expect(headers.get('www-authenticate')).toStartWith('Bearer')
    }
  }),
  row(49, 'a key with a wrong checksum is not even looked up', async (rig) => {
    const { accounts } = rig.app.app.storage
    const byHash = accounts.keyByHash
    let lookUps = 0
    accounts.keyByHash = (hash) => {
      lookUps += 1
      return byHash.call(accounts, hash)
    }
    try {
      const refuse = (key: string) =>
        rig.refused('GET', '/api/sessions', { key: null, headers: { 'x-api-key': key } }, [
          401,
          'AUTH_INVALID_API_KEY',
        ])
      for (const key of [
        'wapi_no',
        'x',
        keyLike('a'.repeat(32), false),
        `${rig.ada.apiKey}x`,
        'a'.repeat(8_000),
      ]) {
        await refuse(key)
      }
      expect(lookUps).toBe(0)
      // Control: one with the right checksum is.
      await refuse(keyLike('a'.repeat(32), true))
      expect(lookUps).toBe(1)
    } finally {
      accounts.keyByHash = byHash
    }
  }),
  row(50, 'what was taken back is refused at once', async (rig) => {
    const { apiKey, key } = await rig.app.ok<{ apiKey: string; key: { id: string } }>(
      'POST',
      '/api/auth/api-keys',
      { key: rig.bob.apiKey, body: { name: 'Short' } },
    )
    const stream = await openStream(`${rig.app.url}/api/events/ws`, { 'x-api-key': apiKey })
    await rig.app.ok('GET', '/api/sessions', { key: apiKey })
    await rig.app.ok('DELETE', `/api/auth/api-keys/${key.id}`, { key: rig.bob.apiKey })
    await rig.refused('GET', '/api/sessions', { key: apiKey }, [401, 'AUTH_INVALID_API_KEY'])
    expect((await stream.closed).code).toBe(4401)
    const { token: login } = await rig.app.ok<{ token: string }>('POST', '/api/auth/login', {
      key: null,
      body: { username: 'bob', password: 'a long password' },
    })
    const headers = { authorization: `Bearer ${login}` }
    await rig.app.ok('POST', '/api/auth/logout', { key: null, headers })
    await rig.refused('GET', '/api/sessions', { key: null, headers }, [401, 'AUTH_INVALID_TOKEN'])
  }),
  row(51, 'another account’s session is as if it were not there', async (rig) => {
    const answer = async (id: string) => {
      const { headers, body } = await rig.refused('GET', `/api/sessions/${id}`, { key: rig.bob.apiKey }, [
        404,
        'SESSION_NOT_FOUND',
      ])
      for (const name of ['x-request-id', 'date']) headers.delete(name)
      return { headers: [...headers].filter(([name]) => !name.startsWith('ratelimit')), body }
    }
    expect(await answer(rig.adas)).toEqual(await answer('f'.repeat(32)))
  }),
  row(52, 'a session named anywhere but in the path', async (rig) => {
    const key = rig.bob.apiKey
    const made = await rig.app.ok<{ session: { id: string } }>('POST', '/api/sessions', {
      key,
      body: { name: 'B' },
    })
    const own = `/api/sessions/${made.session.id}`
    for (const name of ['sessionId', 'id', 'session', 'instanceName']) {
      await rig.refused('GET', `/api/sessions?${name}=${rig.adas}`, { key }, [
        400,
        'VALIDATION_ERROR',
        `/${name}`,
      ])
      const body = { name: 'x', [name]: rig.adas }
      await rig.refused('PUT', `${own}/settings`, { key, body }, [400, 'VALIDATION_ERROR', `/${name}`])
      // What a route has no use for is not looked at.
      const { status, session } = await rig.app
        .ok<{ status?: string; session: { id: string } }>('GET', `${own}?${name}=${rig.adas}`, {
          key,
          headers: { 'x-session': rig.adas, 'x-session-id': rig.adas },
        })
        .catch(() => ({ status: 'refused', session: made.session }))
      expect({ status, id: session.id }).toMatchObject({ id: made.session.id })
    }
    await rig.app.ok('DELETE', own, { key })
  }),
  row(53, 'a key that may only read', async (rig) => {
    const { apiKey: key } = await rig.app.ok<{ apiKey: string }>('POST', '/api/auth/api-keys', {
      key: rig.ada.apiKey,
      body: { name: 'Reader', scopes: ['sessions:read', 'messages:read', 'webhooks:read'] },
    })
    await rig.app.ok('GET', `/api/sessions/${rig.adas}`, { key })
    for (const [method, path, body] of [
      ['GET', `/api/sessions/${rig.adas}/qr`, undefined],
      ['POST', `/api/sessions/${rig.adas}/pairing-code`, { phoneNumber: FRIEND }],
      ['POST', `/api/sessions/${rig.adas}/start`, undefined],
      ['POST', '/api/messages/send/text', { sessionId: rig.adas, to: FRIEND, text: 'x' }],
      ['DELETE', `/api/sessions/${rig.adas}`, undefined],
      ['POST', '/api/auth/api-keys', { name: 'Wider' }],
    ] as const) {
      await rig.refused(method, path, { key, ...(body ? { body } : {}) }, [403, 'FORBIDDEN'])
    }
  }),
  row(54, 'tokens that are none of ours', async (rig) => {
    const { id } = rig.ada
    const ask = (bearer: string) => ({ key: null, headers: { authorization: `Bearer ${bearer}` } })
    await rig.app.ok('GET', '/api/sessions', ask(token(id)))
    const said = token(id).split('.').slice(0, 2).join('.')
    for (const [bearer, code] of [
      [`${part({ alg: 'none', typ: 'JWT' })}.${said.split('.')[1]}.`, 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { alg: 'none' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { alg: 'RS256' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { alg: 'HS512' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { kid: '../../../../dev/null' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { jku: 'https://evil.example/keys' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { x5u: 'https://evil.example/keys' }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { jwk: { kty: 'oct', k: 'AAAA' } }), 'AUTH_INVALID_TOKEN'],
      [token(id, {}, { typ: 'at+jwt' }), 'AUTH_INVALID_TOKEN'],
      [token(id, { exp: undefined }), 'AUTH_INVALID_TOKEN'],
      [token(id, { exp: 'tomorrow' }), 'AUTH_INVALID_TOKEN'],
      [token(id, { exp: 0 }), 'AUTH_TOKEN_EXPIRED'],
      [token(id, { exp: seconds() - 5 }), 'AUTH_TOKEN_EXPIRED'],
      [token(id, { nbf: seconds() + 600 }), 'AUTH_INVALID_TOKEN'],
      [token(id, { aud: 'another' }), 'AUTH_INVALID_TOKEN'],
      [token(id, { iss: 'another' }), 'AUTH_INVALID_TOKEN'],
      [token(id, { jti: undefined }), 'AUTH_INVALID_TOKEN'],
      [token('usr_nobody'), 'AUTH_ACCOUNT_INACTIVE'],
      [token(id, {}, {}, 'another secret that is long enough to sign'), 'AUTH_INVALID_TOKEN'],
      [`${said}.${'A'.repeat(43)}`, 'AUTH_INVALID_TOKEN'],
      ['a'.repeat(8_000), 'AUTH_INVALID_TOKEN'],
      ['..', 'AUTH_INVALID_TOKEN'],
    ] as const) {
      const { body } = await rig.refused('GET', '/api/sessions', ask(bearer), [401, code])
      expect(JSON.stringify(body)).not.toContain(bearer.slice(0, 40))
    }
    // One of 64 KB is more than all headers together may be.
    const huge = `GET /api/sessions HTTP/1.1\r\nHost: x.test\r\nAuthorization: Bearer ${'a'.repeat(65_536)}\r\n\r\n`
    expect((await rig.raw(huge)).statuses).toEqual([431])
  }),
  row(55, 'a key or a token in the query', async (rig) => {
    for (const name of [
      'apiKey',
      'api_key',
      'x-api-key',
      'key',
      'token',
      'access_token',
      'ticket',
      'authorization',
    ]) {
      for (const secret of [OWNER_KEY, rig.ada.token]) {
        await rig.refused('GET', `/api/auth/profile?${name}=${secret}`, { key: null }, [401, 'AUTH_REQUIRED'])
      }
    }
  }),
  row(56, 'two sets of credentials', async (rig) => {
    const bearer = `Authorization: Bearer ${rig.ada.token}`
    const ask = (...lines: string[]) =>
      rig.raw(['GET /api/sessions HTTP/1.1', 'Host: x.test', ...lines, '', ''].join('\r\n'))
    const twice = await ask(bearer, bearer)
    const keys = await ask(`X-API-Key: ${OWNER_KEY}`, `X-API-Key: ${rig.ada.apiKey}`)
    for (const { statuses, body } of [twice, keys]) {
      expect({ statuses, code: body?.code }).toEqual({ statuses: [400], code: 'VALIDATION_ERROR' })
    }
    // One of each is no contradiction: the key decides (contract §1).
    expect((await ask(bearer, `X-API-Key: ${OWNER_KEY}`)).statuses).toEqual([200])
  }),
  row(57, 'an address that is not on the list, whatever it says it is', async (rig) => {
    const id = await rig.app.session('Fenced', { ipWhitelist: ['10.0.0.0/8', '2001:db8::/32'] })
    for (const headers of [
      {},
      { 'x-forwarded-for': '10.0.0.1' },
      { 'x-forwarded-for': '10.0.0.1, 127.0.0.1' },
      { 'x-real-ip': '10.0.0.1' },
      { forwarded: 'for=10.0.0.1' },
      { 'cf-connecting-ip': '10.0.0.1', 'true-client-ip': '10.0.0.1' },
    ]) {
      await rig.refused('GET', `/api/sessions/${id}`, { headers }, [403, 'IP_NOT_ALLOWED'])
    }
    const open = await rig.app.session('Fenced wider', { ipWhitelist: ['127.0.0.0/8', '::1'] })
    await rig.app.ok('GET', `/api/sessions/${open}`)
  }),
  row(58, 'a thousand wrong keys', async (rig) => {
    // From an address of their own: failures are counted for each.
    const wrong = Array.from({ length: MOST_FAILURES + 100 }, (_, at) =>
      at % 2 ? keyLike(String(at).padStart(32, '0'), true) : 'wapi_no',
    )
    const answers = await inTurn(rig, '127.0.0.77', [...wrong, OWNER_KEY])
    const statuses = answers.map((text) => text.slice(9, 12))
    expect(statuses.slice(0, MOST_FAILURES).every((status) => status === '401')).toBe(true)
    expect(statuses.slice(MOST_FAILURES, -1).every((status) => status === '429')).toBe(true)
    expect(answers[MOST_FAILURES]).toMatch(/^retry-after: [1-9]\d*\r$/im)
    expect(answers[MOST_FAILURES]).toContain('"code":"RATE_LIMIT_EXCEEDED"')
    // Nobody is locked out by it: a good key of the same address is served, and so is every other address.
    expect(statuses.at(-1)).toBe('200')
    await rig.refused('GET', '/api/sessions', { key: 'wapi_no' }, [401, 'AUTH_INVALID_API_KEY'])
  }),
  row(59, 'a page of another origin opens no WebSocket', async (rig) => {
    for (const origin of ['https://evil.example', 'null', 'http://wabun.test.evil.example', 'file://']) {
      const { statuses } = await rig.raw(head('GET', '/api/events/ws', ...UPGRADE, `Origin: ${origin}`))
      expect({ origin, statuses }).toEqual({ origin, statuses: [403] })
    }
    const own = await openStream(`${rig.app.url}/api/events/ws`, {
      'x-api-key': OWNER_KEY,
      origin: rig.app.url,
    })
    own.close()
  }),
  // The contract’s words for it are those of a session that does not exist, 4404.
  row(60, 'a WebSocket asks for another account’s session', async (rig) => {
    const stream = await openStream(`${rig.app.url}/api/events/ws`, { 'x-api-key': rig.bob.apiKey })
    stream.send({ type: 'subscribe', sessionIds: [rig.adas] })
    expect(await stream.waitFor(({ type }) => type === 'error')).toMatchObject({ code: 'SESSION_NOT_FOUND' })
    expect((await stream.closed).code).toBe(4404)
    const upgrade = [...UPGRADE, `X-API-Key: ${rig.bob.apiKey}`, 'Host: x.test']
    const ask = (path: string) => rig.raw([`GET ${path} HTTP/1.1`, ...upgrade, '', ''].join('\r\n'))
    expect((await ask(`/api/sessions/${rig.adas}/ws`)).statuses).toEqual([404])
  }),
  row(61, 'a ticket twice, or after half a minute', async (rig) => {
    const issue = async () => (await rig.app.ok<{ ticket: string }>('POST', '/api/auth/ticket')).ticket
    const ask = (ticket: string) =>
      rig.raw(
        [`GET /api/events/ws?ticket=${ticket} HTTP/1.1`, 'Host: x.test', ...UPGRADE, '', ''].join('\r\n'),
      )
    const once = await issue()
    const stream = await openStream(`${rig.app.url}/api/events/ws?ticket=${once}`, {})
    stream.close()
    expect((await ask(once)).statuses).toEqual([401])
    const late = await issue()
    rig.clock.jump(31_000)
    expect((await ask(late)).statuses).toEqual([401])
    expect((await ask('x')).statuses).toEqual([401])
  }),
  row(62, 'frames that are too large, no text, or too many', async (rig) => {
    expect(await rawSocket(rig, [frame(1, new Uint8Array(65 * 1024).fill(120))])).toBe(1009)
    expect(await rawSocket(rig, [frame(1, Uint8Array.from([0xff, 0xfe, 0xfd]))])).toBe(1007)
    const ping = frame(1, new TextEncoder().encode('{"type":"ping"}'))
    expect(await rawSocket(rig, new Array<Uint8Array>(1_000).fill(ping))).toBe(1008)
  }),
]
