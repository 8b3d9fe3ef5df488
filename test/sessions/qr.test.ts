import { afterEach, beforeEach, expect, test } from 'bun:test'
import type { SessionId } from '../../src/domain/ids'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const started = async (): Promise<SessionId> => {
  const id = await rig.make()
  await rig.supervisor.command(id, 'start')
  await settle()
  return id
}
const outcome = (promise: Promise<unknown>): Promise<unknown> =>
  promise.catch((error: unknown) => (error instanceof Error && 'code' in error ? error.code : String(error)))

test('a request right after start is held until the code is there', async () => {
  const id = await started()
  const asked = rig.supervisor.waitForQr(id, 20_000)
  await rig.clock.advance(3_000)
  rig.whatsapp.last().qr('first')
  expect(await asked).toEqual({ text: 'first', expiresAt: rig.clock.now() + 60_000 })
})

test('and no longer than it asked for', async () => {
  const id = await started()
  expect(await outcome(rig.supervisor.waitForQr(id, 0))).toBe('QR_NOT_READY')
  const asked = outcome(rig.supervisor.waitForQr(id, 20_000))
  await rig.clock.advance(20_000)
  expect(await asked).toBe('QR_NOT_READY')
})

test('a code that is no longer current is never served: the request waits for the next', async () => {
  const id = await started()
  rig.whatsapp.last().qr('first', 60_000)
  await rig.clock.advance(60_000)
  const asked = rig.supervisor.waitForQr(id, 5_000)
  await rig.clock.advance(1_000)
  rig.whatsapp.last().qr('second', 20_000)
  expect((await asked).text).toBe('second')
})

test('a code that was scanned is not served any more', async () => {
  const id = await started()
  rig.whatsapp.last().qr('first')
  rig.whatsapp.last().paired()
  await settle()
  const asked = outcome(rig.supervisor.waitForQr(id, 10_000))
  await rig.clock.advance(1_000)
  rig.whatsapp.last().closed('restart_required', 515)
  await settle()
  rig.whatsapp.last().opened()
  expect(await asked).toBe('SESSION_ALREADY_CONNECTED')
})

test('each code is one momentary event with picture, text and the true end', async () => {
  const id = await started()
  for (const text of ['one', 'two', 'three']) {
    rig.whatsapp.last().qr(text, 20_000)
    await rig.clock.advance(20_000)
  }
  const codes = rig.told.filter(({ event }) => event === 'session.qr_generated')
  expect(codes.map(({ qrText }) => qrText)).toEqual(['one', 'two', 'three'])
  expect(codes[0]).toMatchObject({
    kept: false,
    cursor: null,
    sessionId: id,
    expiresAt: '2026-01-01T00:00:20.000Z',
  })
  expect(String(codes[0]?.qrCode)).toStartWith('data:image/png;base64,iVBORw0KGgo')
  // The text is a live secret: it is in no row.
  const rows = JSON.stringify([rig.storage.sessions.get(id), rig.storage.journal.read(0, 500)])
  expect(rows).not.toContain('three')
})

test('what a session without a code says', async () => {
  const inactive = await rig.make()
  expect(await outcome(rig.supervisor.waitForQr(inactive, 1_000))).toBe('SESSION_NOT_STARTED')
  const connected = await rig.link()
  expect(await outcome(rig.supervisor.waitForQr(connected, 1_000))).toBe('SESSION_ALREADY_CONNECTED')
  const id = await started()
  rig.whatsapp.last().qr()
  rig.whatsapp.last().closed('qr_timeout', 408)
  await settle()
  expect(rig.session(id).state).toMatchObject({ status: 'disconnected', retryAt: null })
  expect(await outcome(rig.supervisor.waitForQr(id, 1_000))).toBe('QR_CODE_EXPIRED')
})

test('reasons that end pairing have their own codes', async () => {
  for (const [reason, code] of [
    ['passkey_required', 'PASSKEY_REQUIRED'],
    ['client_outdated', 'CLIENT_OUTDATED'],
    ['logged_out', 'AUTH_EXPIRED'],
    ['pairing_failed', 'SESSION_NOT_CONNECTED'],
  ] as const) {
    const id = await started()
    const asked = outcome(rig.supervisor.waitForQr(id, 10_000))
    rig.whatsapp.last().closed(reason)
    expect(await asked).toBe(code)
  }
})

test('a window nobody scans opens another only when that was configured', async () => {
  const generous = await createRig({ qrMaxWindows: 3 })
  const id = await generous.make()
  await generous.supervisor.command(id, 'start')
  await generous.clock.advance(1_000)
  for (let window = 1; window <= 3; window += 1) {
    expect(generous.whatsapp.connections).toHaveLength(window)
    generous.whatsapp.last().qr()
    generous.whatsapp.last().closed('qr_timeout', 408)
    await generous.clock.advance(1_000)
  }
  expect(generous.session(id).state).toMatchObject({ status: 'disconnected', retryAt: null })
  await generous.clock.advance(600_000)
  expect(generous.whatsapp.connections).toHaveLength(3)
  await generous.end()
})

test('whoever waits is told when the session is deleted, stopped or given up by its client', async () => {
  const id = await started()
  const client = new AbortController()
  const gone = outcome(rig.supervisor.waitForQr(id, 60_000, client.signal))
  const waiting = outcome(rig.supervisor.waitForQr(id, 60_000))
  client.abort(new Error('client left'))
  expect(String(await gone)).toContain('client left')
  await rig.supervisor.remove(id)
  expect(await waiting).toBe('SESSION_NOT_FOUND')
  const other = await started()
  const stopped = outcome(rig.supervisor.waitForQr(other, 60_000))
  await rig.supervisor.command(other, 'stop')
  expect(await stopped).toBe('SESSION_NOT_STARTED')
  await settle()
  expect(rig.timers()).toBe(0)
})

test('a pairing code waits for the connection, and is told once', async () => {
  const id = await started()
  const asked = rig.supervisor.pairingCode(id, '49301111111')
  await rig.clock.advance(1_000)
  rig.whatsapp.last().qr()
  expect(await asked).toMatchObject({ code: 'ABCD-1234' })
  await rig.supervisor.pairingCode(id, '49301111111')
  const codes = rig.told.filter(({ event }) => event === 'session.pairing_code')
  expect(codes).toMatchObject([{ code: 'ABCD-1234', kept: false }])
  const inactive = await rig.make()
  expect(await outcome(rig.supervisor.pairingCode(inactive, '49301111111'))).toBe('SESSION_NOT_STARTED')
})
