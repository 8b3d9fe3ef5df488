import { afterEach, beforeEach, expect, test } from 'bun:test'
import { type AppParts, createAppParts } from '../harness/app-parts'

let parts: AppParts
beforeEach(async () => {
  parts = await createAppParts()
})
afterEach(() => parts.stop())

test('a phone scans the code and the session is connected', async () => {
  const phone = parts.sandbox.addPhone({ phoneNumber: '4915111111111', name: 'Support', platform: 'iphone' })
  const id = await parts.make()
  const answer = await parts.supervisor.command(id, 'start')
  expect(answer.state.status).toBe('connecting')
  const shown = await parts.event(id, 'session.qr_generated')
  expect(parts.session(id).state).toMatchObject({ status: 'qr_generated', qr: shown.qrText })
  expect(Date.parse(String(shown.expiresAt)) - Date.parse(shown.timestamp)).toBeGreaterThan(50_000)
  await parts.scan(id, phone)
  const connected = await parts.event(id, 'session.connected')
  expect(connected).toMatchObject({
    phoneNumber: '+4915111111111',
    deviceInfo: { model: 'iphone', version: expect.stringMatching(/^\d+\.\d+\.\d+$/) },
  })
  expect(parts.life(id)).toEqual([
    'session.created',
    'session.connecting',
    'session.connecting',
    'session.connected',
  ])
  expect(parts.session(id)).toMatchObject({
    credentials: 'linked',
    me: { phoneNumber: '4915111111111', lid: phone.lid, platform: 'iphone' },
  })
  expect(parts.online(phone)).toBe(1)
})

test('fifty parallel starts open one connection', async () => {
  const phone = parts.sandbox.addPhone({ phoneNumber: '4915111111111', name: 'Support' })
  const id = await parts.make()
  const before = parts.sandbox.server.stats.snapshot()
  await Promise.all(Array.from({ length: 50 }, () => parts.supervisor.command(id, 'start')))
  await parts.event(id, 'session.qr_generated')
  const after = parts.sandbox.server.stats.snapshot()
  expect(after.connections - before.connections).toBe(1)
  await parts.scan(id, phone)
  await parts.reach(id, 'connected')
  expect(parts.online(phone)).toBe(1)
})

test('a pairing code does what the QR code does', async () => {
  const phone = parts.sandbox.addPhone({ phoneNumber: '4915111111111', name: 'Support' })
  const id = await parts.make()
  await parts.supervisor.command(id, 'start')
  const issued = await parts.supervisor.pairingCode(id, '4915111111111')
  expect(await parts.supervisor.pairingCode(id, '4915111111111')).toEqual(issued)
  expect(parts.told.filter(({ event }) => event === 'session.pairing_code')).toHaveLength(1)
  await phone.enterPairingCode(issued.code)
  await parts.reach(id, 'connected')
  expect(parts.session(id).me?.phoneNumber).toBe('4915111111111')
})

test('nobody scans: the codes replace each other, then the session waits for a human', async () => {
  await parts.stop()
  parts = await createAppParts({
    network: { qrTimeoutMs: 200 },
    sandbox: { qrLifetimes: [200, 200, 200] },
  })
  const id = await parts.make()
  await parts.supervisor.command(id, 'start')
  const ended = await parts.event(id, 'session.disconnected')
  expect(ended).toMatchObject({ reason: 'qr_timeout', willReconnect: false, nextAttemptAt: null })
  const codes = parts.told.filter(({ event }) => event === 'session.qr_generated')
  expect(codes).toHaveLength(3)
  expect(new Set(codes.map(({ qrText }) => qrText)).size).toBe(3)
  expect(parts.supervisor.waitForQr(id, 1_000)).rejects.toMatchObject({ code: 'QR_CODE_EXPIRED' })
})
