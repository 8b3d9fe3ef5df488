import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { asSessionId, asTenantId } from '../../src/domain/ids'
import { settle } from '../harness/clock'
import { createRig, type Rig, TENANT } from './rig'
import { adaPhone } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'no error',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : String(error)),
  )

describe('create', () => {
  test('all settings have their defaults; the id is 32 hex characters', async () => {
    const session = await rig.supervisor.create(
      TENANT,
      { name: 'A', settings: { autoReconnect: false } },
      null,
    )
    expect(session.id).toMatch(/^[0-9a-f]{32}$/)
    expect(session).toMatchObject({
      state: { status: 'inactive' },
      description: null,
      settings: { autoReconnect: false, reconnectInterval: 30_000, maxReconnectAttempts: 10 },
    })
    expect(rig.events(session.id)).toEqual(['session.created'])
  })

  test('parallel requests cannot pass the limit together', async () => {
    const codes = await Promise.all(
      Array.from({ length: 10 }, () => codeOf(rig.supervisor.create(TENANT, { name: 'x' }, 3))),
    )
    expect(codes.filter((code) => code === 'no error')).toHaveLength(3)
    expect(codes.filter((code) => code === 'SESSION_LIMIT_REACHED')).toHaveLength(7)
    expect(await codeOf(rig.supervisor.create(asTenantId('other'), { name: 'x' }, 3))).toBe('no error')
    const [first] = rig.storage.sessions.all()
    if (first) await rig.supervisor.remove(first.id)
    expect(await codeOf(rig.supervisor.create(TENANT, { name: 'x' }, 3))).toBe('no error')
  })
})

describe('stop and start', () => {
  test('keep the link: no code is asked for', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'stop')
    await settle()
    expect(rig.whatsapp.last()).toMatchObject({ isClosed: true, isUnlinked: false })
    expect(rig.session(id).credentials).toBe('linked')
    await rig.supervisor.command(id, 'start')
    await rig.clock.advance(1_000)
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.status(id)).toBe('connected')
  })

  test('an unknown session is not found', async () => {
    const nobody = asSessionId('f'.repeat(32))
    expect(await codeOf(rig.supervisor.command(nobody, 'start'))).toBe('SESSION_NOT_FOUND')
    expect(rig.supervisor.find(nobody)).toBeNull()
  })
})

describe('clear-auth', () => {
  test('of a running session unlinks, wipes, and goes on to a new code', async () => {
    const id = await rig.link()
    const linked = rig.whatsapp.last()
    await linked.request.vault.commit([{ type: 'creds', id: 'creds', value: new Uint8Array([1]) }])
    const answer = await rig.supervisor.command(id, 'clear_auth')
    expect(answer).toMatchObject({ state: { status: 'connecting' }, credentials: 'none', me: null })
    await rig.clock.advance(1_000)
    expect(linked.isUnlinked).toBe(true)
    expect(rig.whatsapp.last()).not.toBe(linked)
    expect(rig.whatsapp.last().request.vault.get('creds', ['creds']).size).toBe(0)
    rig.whatsapp.last().qr()
    await settle()
    expect(rig.status(id)).toBe('qr_generated')
    // The dead socket's late callback cannot bring the old keys back.
    expect(await codeOf(linked.request.vault.commit([]))).toContain('replaced')
  })

  test('of a stopped session connects just long enough to unlink', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'stop')
    await rig.clock.advance(5_000)
    await rig.supervisor.command(id, 'clear_auth')
    await settle()
    const visit = rig.whatsapp.last()
    expect(visit.isClosed).toBe(false)
    visit.opened()
    await settle()
    expect(visit).toMatchObject({ isUnlinked: true, isClosed: true })
    expect(rig.session(id)).toMatchObject({ state: { status: 'inactive' }, credentials: 'none' })
    await rig.clock.advance(600_000)
    expect(rig.whatsapp.live()).toHaveLength(0)
    expect(rig.events(id, 'session.connected')).toHaveLength(1)
  })

  test('does not wait for a WhatsApp that cannot be reached', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'stop')
    await rig.clock.advance(5_000)
    await rig.supervisor.command(id, 'clear_auth')
    await rig.clock.advance(5_000)
    expect(rig.whatsapp.live()).toHaveLength(0)
    await rig.supervisor.command(id, 'start')
    await rig.clock.advance(1_000)
    rig.whatsapp.last().qr()
    await settle()
    expect(rig.status(id)).toBe('qr_generated')
  })
})

test('logout unlinks and keeps the session', async () => {
  const id = await rig.link()
  await rig.supervisor.command(id, 'logout')
  await settle()
  expect(rig.whatsapp.last().isUnlinked).toBe(true)
  expect(rig.session(id)).toMatchObject({ state: { status: 'inactive' }, credentials: 'none', me: null })
})

describe('delete', () => {
  test('unlinks, removes everything, and tells it last', async () => {
    const id = await rig.link()
    const connection = rig.whatsapp.last()
    connection.message()
    await settle()
    connection.onClose = () => connection.message()
    await rig.supervisor.remove(id)
    expect(connection.isUnlinked).toBe(true)
    expect(rig.supervisor.find(id)).toBeNull()
    expect(rig.storage.sessions.get(id)).toBeNull()
    connection.report({ kind: 'alive', at: 0 })
    connection.message()
    connection.opened()
    await rig.clock.advance(600_000)
    expect(rig.events(id).at(-1)).toBe('session.deleted')
    expect(await codeOf(rig.supervisor.command(id, 'start'))).toBe('SESSION_NOT_FOUND')
    expect(rig.timers()).toBe(0)
  })

  test('works although WhatsApp does not answer', async () => {
    const id = await rig.link()
    rig.whatsapp.last().logout = () => new Promise(() => {})
    const removing = rig.supervisor.remove(id)
    await rig.clock.advance(5_000)
    await removing
    expect(rig.supervisor.find(id)).toBeNull()
    expect(rig.whatsapp.live()).toHaveLength(0)
  })

  test('while a retry is planned cancels it, and a second delete finds nothing', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    const both = [rig.supervisor.remove(id), codeOf(rig.supervisor.remove(id))] as const
    await rig.clock.advance(10_000)
    await both[0]
    expect(await both[1]).toBe('SESSION_NOT_FOUND')
    const { length } = rig.whatsapp.connections
    await rig.clock.advance(600_000)
    expect(rig.whatsapp.connections).toHaveLength(length)
  })

  test('ends messages that waited as failed', async () => {
    rig.whatsapp.acknowledges = false
    const id = await rig.link()
    const sending = codeOf(rig.supervisor.send(id, { to: adaPhone, ask: { type: 'text', text: 'x' } }))
    await settle()
    await rig.supervisor.remove(id)
    expect(await sending).toBe('SESSION_NOT_FOUND')
    expect(rig.events(id, 'message.')).toEqual(['message.queued', 'message.failed'])
    expect(rig.events(id).at(-1)).toBe('session.deleted')
  })

  test('an account takes all its sessions with it', async () => {
    const mine = [await rig.link(), await rig.make()]
    const other = await rig.supervisor.create(asTenantId('other'), { name: 'x' }, null)
    await rig.supervisor.removeTenant(TENANT)
    expect(mine.map((id) => rig.supervisor.find(id))).toEqual([null, null])
    expect(rig.supervisor.find(other.id)).not.toBeNull()
  })
})

describe('settings', () => {
  test('are merged, told by name only, and leave the connection alone', async () => {
    const id = await rig.link({ messageHistory: false })
    const connection = rig.whatsapp.last()
    const after = await rig.supervisor.update(id, {
      name: 'Renamed',
      settings: { webhookUrl: 'https://example.com/hook?token=secret' },
    })
    expect(after).toMatchObject({
      name: 'Renamed',
      settings: { messageHistory: false, webhookUrl: 'https://example.com/hook?token=secret' },
      state: { status: 'connected' },
    })
    expect(connection.isClosed).toBe(false)
    expect(rig.told.at(-1)).toMatchObject({
      event: 'session.settings_updated',
      changed: ['name', 'settings.webhookUrl'],
    })
    expect(JSON.stringify(rig.told)).not.toContain('secret')
    expect(rig.storage.sessions.get(id)?.name).toBe('Renamed')
  })

  test('that change nothing are not told', async () => {
    const id = await rig.make()
    rig.told.length = 0
    await rig.supervisor.update(id, { name: 'Support', settings: { autoReconnect: true, ipWhitelist: [] } })
    expect(rig.told).toEqual([])
  })

  test('a webhook address is checked before anything is stored', async () => {
    const strict = await createRig({
      checkWebhookUrl: () => {
        throw new Error('refused')
      },
    })
    const settings = { webhookUrl: 'http://10.0.0.1' }
    expect(await codeOf(strict.supervisor.create(TENANT, { name: 'x', settings }, null))).toContain('refused')
    const id = await strict.make()
    expect(await codeOf(strict.supervisor.update(id, { settings }))).toContain('refused')
    expect(strict.session(id).settings.webhookUrl).toBeNull()
    expect((await strict.supervisor.update(id, { settings: { webhookUrl: null } })).id).toBe(id)
    await strict.end()
  })
})
