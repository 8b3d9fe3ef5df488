import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Elysia } from 'elysia'
import { sandboxRoutes } from '../../src/sandbox/routes'
import { type StandaloneSandbox, startStandaloneSandbox } from '../../src/sandbox/standalone'
import { quietLibsignal } from '../../src/whatsapp/baileys/upstream/quiet-libsignal'
import { type BaileysClient, baileysClient, hasStatus, textOf } from '../harness/sandbox'

let standalone: StandaloneSandbox
let directory: string
const quiet = quietLibsignal()
const clients: BaileysClient[] = []

type Answer = Record<string, unknown> & { code?: string; details?: { fields?: { path: string }[] } }
const call = async (method: string, path: string, body?: unknown) => {
  const response = await fetch(`${standalone.controlUrl}${path}`, {
    method,
    ...(body === undefined
      ? {}
      : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
  })
  return { status: response.status, body: (await response.json()) as Answer }
}
const [ADA, BOB] = ['+49 1555 100 1', '+49 1555 100 2']

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'sandbox-routes-'))
  standalone = await startStandaloneSandbox({ controlPort: 0, caFile: join(directory, 'ca.pem') })
  for (const [phoneNumber, name] of [
    [ADA, 'Ada'],
    [BOB, 'Bob'],
  ]) {
    const { status } = await call('POST', '/sandbox/phones', { phoneNumber, name })
    expect(status).toBe(201)
  }
})
afterAll(async () => {
  for (const client of clients) await client.close()
  await standalone.stop()
  quiet.undo()
  rmSync(directory, { recursive: true })
})

test('says how to reach it', () => {
  const { sandbox, environment } = standalone
  expect(environment).toEqual([
    `WHATSAPP_URL=${sandbox.url}`,
    `WHATSAPP_ROOT_KEY=${sandbox.rootPublicKey}`,
    `WHATSAPP_MEDIA_HOSTS=${sandbox.mediaHost}`,
    `NODE_EXTRA_CA_CERTS=${join(directory, 'ca.pem')}`,
  ])
  expect(readFileSync(join(directory, 'ca.pem'), 'utf8')).toBe(sandbox.caPem)
})

describe('with a companion', () => {
  let client: BaileysClient
  beforeAll(async () => {
    client = baileysClient(standalone.sandbox)
    clients.push(client)
    const qr = await client.showQr()
    const open = client.until((e) => e.name === 'connection.update' && e.data.connection === 'open')
    const { status, body } = await call('POST', `/sandbox/phones/${encodeURIComponent(ADA)}/scan`, { qr })
    expect([status, body.device]).toEqual([200, { id: 1, keyIndex: 1, online: expect.any(Boolean) }])
    await open
  })

  test('messages go out of one phone and show on another', async () => {
    const sent = await call('POST', '/sandbox/phones/4915551002/messages', {
      to: ADA,
      content: { type: 'text', text: 'by hand' },
    })
    expect(sent.status).toBe(201)
    const { id } = sent.body.message as { id: string }
    await client.untilMessage((message) => textOf(message) === 'by hand')
    await standalone.sandbox.phone(ADA).waitForMessage((message) => message.id === id)
    const { body } = await call('GET', '/sandbox/phones/4915551001/messages')
    expect(body.messages).toMatchObject([
      {
        id,
        from: '4915551002@s.whatsapp.net',
        kind: 'conversation',
        content: { type: 'text', text: 'by hand' },
      },
    ])
    expect((await call('GET', `/sandbox/phones/4915551001/messages?after=${id}`)).body.messages).toEqual([])
  })

  test('what becomes of a message shows, in either direction', async () => {
    const ada = standalone.sandbox.phone(ADA)
    const sent = await call('POST', '/sandbox/phones/4915551002/messages', {
      to: ADA,
      content: { type: 'poll', question: 'Tea?', options: ['yes', 'no'] },
    })
    const { id } = sent.body.message as { id: string }
    await ada.waitForMessage((message) => message.id === id)
    for (const content of [
      { type: 'vote', targetMessageId: id, options: ['yes'] },
      { type: 'reaction', targetMessageId: id, emoji: '🍵' },
    ]) {
      const { status } = await call('POST', '/sandbox/phones/4915551001/messages', { to: BOB, content })
      expect(status).toBe(201)
    }
    await standalone.sandbox.phone(BOB).waitUntilShown(id, ({ reactions }) => reactions.length === 1)
    expect((await call('POST', '/sandbox/phones/4915551001/star', { messageId: id })).status).toBe(200)
    const shown = { tally: { yes: 1, no: 0 }, reactions: [{ emoji: '🍵' }], votes: [{ options: ['yes'] }] }
    for (const [number, starred] of [
      ['4915551001', true],
      ['4915551002', false],
    ]) {
      const { body } = await call('GET', `/sandbox/phones/${number}/messages/${id}`)
      expect(body.message).toMatchObject({ ...shown, starred, edited: false, deleted: false })
    }
    const { body } = await call('GET', '/sandbox/phones/4915551002/sent?limit=1')
    expect(body.messages).toMatchObject([{ id, ...shown, status: 'delivered' }])
    expect((await call('GET', '/sandbox/phones/4915551002/messages/NONE')).body.code).toBe(
      'MESSAGE_NOT_FOUND',
    )
    const marked = await call('POST', '/sandbox/phones/4915551001/chats', { chat: BOB, pinned: true })
    expect(marked.body.chats).toEqual({
      '4915551002@s.whatsapp.net': { pinned: true, archived: false, mutedUntil: null, read: null },
    })
    expect((await call('GET', '/sandbox/phones/4915551001/chats')).body).toEqual(marked.body)
  })

  test('a file is downloaded by the phone that got it; a voice note is played', async () => {
    const base64 = Buffer.from('sound').toString('base64')
    const content = { type: 'audio', base64, ptt: true }
    const sent = await call('POST', '/sandbox/phones/4915551002/messages', { to: ADA, content })
    const { id } = sent.body.message as { id: string }
    const ada = standalone.sandbox.phone(ADA)
    await ada.waitForMessage((message) => message.id === id)
    const file = await call('GET', `/sandbox/phones/4915551001/messages/${id}/media`)
    expect(file.body).toEqual({ success: true, base64, size: 5 })
    const played = new Promise((resolve) =>
      standalone.sandbox
        .phone(BOB)
        .on((event) => event.type === 'receipt' && event.status === 'played' && resolve(event.id)),
    )
    expect((await call('POST', '/sandbox/phones/4915551001/played', { messageId: id })).status).toBe(200)
    expect(await played).toBe(id)
  })

  test('a status post has an audience', async () => {
    const post = { to: 'status@broadcast', content: { type: 'text', text: 'sunny' }, audience: [ADA] }
    const sent = await call('POST', '/sandbox/phones/4915551002/messages', post)
    expect(sent.body.message).toMatchObject({
      chat: 'status@broadcast',
      audience: ['4915551001@s.whatsapp.net'],
    })
    const { id } = sent.body.message as { id: string }
    await standalone.sandbox.phone(ADA).waitForMessage((message) => message.id === id)
  })

  test('reading and typing reach the companion', async () => {
    const bob = standalone.sandbox.phone(BOB)
    const said = await client.sock.sendMessage(bob.jid, { text: 'read me' })
    const messageId = said?.key.id ?? ''
    await bob.waitForMessage(({ id }) => id === messageId)
    expect((await call('POST', '/sandbox/phones/4915551002/read', { messageId })).status).toBe(200)
    await client.until((e) => hasStatus(e, messageId, 4))
    await client.sock.sendPresenceUpdate('available')
    expect((await call('POST', '/sandbox/phones/4915551002/typing', { to: ADA })).status).toBe(200)
    await client.until((e) => e.name === 'presence.update')
  })

  test('groups are made, faults act, the log tells without content', async () => {
    const made = await call('POST', '/sandbox/groups', { owner: BOB, subject: 'Tea', members: [ADA] })
    expect(made.status).toBe(201)
    expect(made.body.group).toMatchObject({ subject: 'Tea', members: ['4915551002', '4915551001'] })

    const fault = await call('POST', '/sandbox/faults', {
      kind: 'reject_messages',
      phoneNumber: ADA,
      code: 463,
    })
    expect(fault.body.fault).toMatchObject({ kind: 'reject_messages', code: 463, hits: 0 })
    const said = await client.sock.sendMessage(standalone.sandbox.phone(BOB).jid, { text: 'refused' })
    await client.until((e) => hasStatus(e, said?.key.id ?? '', 0))
    expect((await call('GET', '/sandbox/faults')).body.faults).toMatchObject([{ hits: 1 }])
    expect((await call('DELETE', '/sandbox/faults')).body).toEqual({ success: true, cleared: 1 })

    const { body } = await call('GET', '/sandbox/log?limit=500&tag=message')
    expect(JSON.stringify(body)).not.toContain('by hand')
    expect((body.entries as unknown[]).length).toBeGreaterThan(0)
    expect((await call('GET', '/sandbox/stats')).body.stats).toMatchObject({ pairings: 1 })
  })

  test('unlinking logs the companion out', async () => {
    expect((await call('DELETE', '/sandbox/phones/4915551001/devices/9')).body.code).toBe('DEVICE_NOT_FOUND')
    expect((await call('DELETE', '/sandbox/phones/4915551001/devices/1')).status).toBe(200)
    await client.until(
      (e) =>
        e.name === 'connection.update' &&
        e.data.connection === 'close' &&
        e.data.lastDisconnect?.error !== undefined,
    )
    const { body } = await call('GET', '/sandbox/phones')
    expect(body.phones).toMatchObject([{ name: 'Ada', devices: [] }, { name: 'Bob' }])
  })
})

describe('refuses', () => {
  test.each([
    [
      'a second phone with one number',
      'POST',
      '/sandbox/phones',
      { phoneNumber: ADA, name: 'x' },
      409,
      'PHONE_EXISTS',
    ],
    [
      'an unknown field',
      'POST',
      '/sandbox/phones',
      { phoneNumber: '4977777', name: 'x', colour: 1 },
      400,
      'VALIDATION_ERROR',
    ],
    [
      'letters for a number',
      'POST',
      '/sandbox/phones',
      { phoneNumber: 'abcdefg', name: 'x' },
      400,
      'INVALID_PHONE_NUMBER',
    ],
    [
      'an unknown phone',
      'POST',
      '/sandbox/phones/499999999/read',
      { messageId: 'A' },
      404,
      'PHONE_NOT_FOUND',
    ],
    [
      'an unknown message',
      'POST',
      '/sandbox/phones/4915551001/read',
      { messageId: 'A' },
      404,
      'MESSAGE_NOT_FOUND',
    ],
    ['a QR that is none', 'POST', '/sandbox/phones/4915551001/scan', { qr: 'hello' }, 409, 'PAIRING_FAILED'],
    [
      'a number without a phone',
      'POST',
      '/sandbox/phones/4915551001/messages',
      { to: '4988888888', content: { type: 'text', text: 'x' } },
      404,
      'NUMBER_NOT_ON_WHATSAPP',
    ],
    [
      'content of an unknown type',
      'POST',
      '/sandbox/phones/4915551001/messages',
      { to: BOB, content: { type: 'smell' } },
      400,
      'VALIDATION_ERROR',
    ],
    ['an unknown fault', 'POST', '/sandbox/faults', { kind: 'flood', all: true }, 400, 'VALIDATION_ERROR'],
    ['a fault for nobody', 'POST', '/sandbox/faults', { kind: 'drop' }, 400, 'SANDBOX_REFUSED'],
    [
      'a fault for two',
      'POST',
      '/sandbox/faults',
      { kind: 'drop', all: true, phoneNumber: ADA },
      400,
      'SANDBOX_REFUSED',
    ],
    [
      'a fault for a session where there are none',
      'POST',
      '/sandbox/faults',
      { kind: 'drop', sessionId: 'a' },
      404,
      'SESSION_NOT_FOUND',
    ],
    ['to end what does not stand', 'DELETE', '/sandbox/faults/f99', undefined, 404, 'FAULT_NOT_FOUND'],
    ['an unknown route', 'GET', '/sandbox/weather', undefined, 404, 'ROUTE_NOT_FOUND'],
  ])('%s', async (_, method, path, body, status, code) => {
    const answer = await call(method, path, body)
    expect(answer.body).toMatchObject({ success: false, code, status })
    expect(answer.status).toBe(status)
  })

  test('callers under another name than loopback, and networks without a key', async () => {
    const response = await fetch(`${standalone.controlUrl}/sandbox/phones`, {
      headers: { host: 'evil.example' },
    })
    expect(response.status).toBe(403)
    const open = startStandaloneSandbox({ controlPort: 0, caFile: join(directory, 'x.pem'), host: '0.0.0.0' })
    await expect(open).rejects.toThrow('API key')
  })

  test('callers without the key, where there is one', async () => {
    const apiKey = 'k'.repeat(32)
    const locked = await startStandaloneSandbox({ controlPort: 0, caFile: join(directory, 'y.pem'), apiKey })
    const url = `${locked.controlUrl}/sandbox/phones`
    expect((await fetch(url)).status).toBe(401)
    expect((await fetch(url, { headers: { 'x-api-key': apiKey } })).status).toBe(200)
    await locked.stop()
  })
})

test('the app mounts it behind its own guard, and resolves sessions', async () => {
  const { sandbox } = standalone
  const routes = sandboxRoutes({
    sandbox,
    clientOf: (id) => (id === 'mine' ? { noiseKey: 'ab'.repeat(32) } : null),
  })
  const access = new Elysia({ name: 'access' }).macro('access', (scope: string) => ({
    detail: { 'x-access': scope } as object,
    transform({ request }: { request: Request }) {
      if (request.headers.get('x-scope') !== scope) throw new Response('no', { status: 403 })
    },
  }))
  const app = new Elysia({ normalize: false })
    .use(access)
    .guard({ access: 'admin' }, (guarded) => guarded.use(routes))
  const post = (scope: string, sessionId: string) =>
    app.handle(
      new Request('http://localhost/sandbox/faults', {
        method: 'POST',
        body: JSON.stringify({ kind: 'slow_ack', sessionId, ms: 5 }),
        headers: { 'content-type': 'application/json', 'x-scope': scope },
      }),
    )
  expect((await post('none', 'mine')).status).toBe(403)
  const made = await post('admin', 'mine')
  expect(made.status).toBe(201)
  expect(await made.json()).toMatchObject({ fault: { noiseKey: 'ab'.repeat(32), kind: 'slow_ack' } })
  sandbox.server.faults.clear()
  for (const { hooks } of app.routes) expect(hooks.detail?.['x-access']).toBe('admin')
})
