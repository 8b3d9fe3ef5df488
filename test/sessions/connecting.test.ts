import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { settle } from '../harness/clock'
import { createRig, type Rig } from './rig'
import { ME } from './scripted-whatsapp'

let rig: Rig
beforeEach(async () => {
  rig = await createRig()
})
afterEach(() => rig.end())

describe('from start to connected', () => {
  test('code, scan, handover, login: each state with its event', async () => {
    const id = await rig.make()
    expect(rig.status(id)).toBe('inactive')
    const answer = await rig.supervisor.command(id, 'start')
    expect(answer.state.status).toBe('connecting')
    await settle()
    rig.whatsapp.last().qr('the code')
    await settle()
    expect(rig.session(id).state).toMatchObject({ status: 'qr_generated', qr: 'the code' })
    rig.whatsapp.last().paired()
    rig.whatsapp.last().closed('restart_required', 515)
    await settle()
    expect(rig.status(id)).toBe('connecting')
    // The handover does not wait for the spacing between two openings.
    expect(rig.whatsapp.connections).toHaveLength(2)
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.session(id)).toMatchObject({ state: { status: 'connected' }, credentials: 'linked', me: ME })
    expect(rig.events(id)).toEqual([
      'session.created',
      'session.connecting',
      'session.qr_generated',
      'session.connecting',
      'session.connected',
    ])
    expect(rig.told.at(-1)).toMatchObject({
      phoneNumber: '+49301111111',
      deviceInfo: { model: 'android', version: '2.3000.1' },
    })
    expect(rig.supervisor.live()).toEqual({ total: 1, connected: 1 })
  })

  test('the stored state is the one on show', async () => {
    const id = await rig.link()
    expect(rig.storage.sessions.get(id)?.state.status).toBe('connected')
    await rig.supervisor.command(id, 'stop')
    await settle()
    expect(rig.storage.sessions.get(id)?.state.status).toBe('inactive')
  })
})

describe('keys of a pairing', () => {
  const KEY = { type: 'creds', id: 'creds', value: new Uint8Array([1]) }
  const keys = () => rig.whatsapp.last().request.vault.get('creds', ['creds']).size

  test('that was abandoned are gone at the next start', async () => {
    const id = await rig.make()
    await rig.supervisor.command(id, 'start')
    await settle()
    await rig.whatsapp.last().request.vault.commit([KEY])
    await rig.supervisor.command(id, 'stop')
    await rig.supervisor.command(id, 'start')
    await rig.clock.advance(1_000)
    expect(rig.whatsapp.connections).toHaveLength(2)
    expect(keys()).toBe(0)
  })

  test('stay when WhatsApp asks for the handover before we have heard who was linked', async () => {
    const id = await rig.make()
    await rig.supervisor.command(id, 'start')
    await settle()
    rig.whatsapp.last().qr()
    await rig.whatsapp.last().request.vault.commit([KEY])
    rig.whatsapp.last().closed('restart_required', 515)
    await rig.clock.advance(1_000)
    expect(rig.whatsapp.connections).toHaveLength(2)
    expect(keys()).toBe(1)
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.session(id)).toMatchObject({ state: { status: 'connected' }, credentials: 'linked', me: ME })
  })
})

describe('one socket per session', () => {
  test('fifty parallel starts open one connection', async () => {
    const id = await rig.make()
    const answers = await Promise.all(Array.from({ length: 50 }, () => rig.supervisor.command(id, 'start')))
    await settle()
    expect(rig.whatsapp.connections).toHaveLength(1)
    expect(answers.map(({ state }) => state.status)).toEqual(Array(50).fill('connecting'))
    expect(rig.events(id, 'session.connecting')).toHaveLength(1)
  })

  test('whatever commands race, there is never a second live socket', async () => {
    const id = await rig.link()
    let most = 0
    const commands = ['restart', 'start', 'stop', 'start', 'clear_auth', 'restart', 'start'] as const
    const racing = Promise.all(
      Array.from({ length: 70 }, (_, index) =>
        rig.supervisor.command(id, commands[index % commands.length] ?? 'start'),
      ),
    )
    for (let second = 0; second < 120; second += 1) {
      await rig.clock.advance(500)
      most = Math.max(most, rig.whatsapp.live().length)
    }
    await racing
    expect(most).toBe(1)
    expect(rig.whatsapp.live()).toHaveLength(1)
  })

  test('openings are at least a second apart', async () => {
    const id = await rig.link()
    const before = rig.whatsapp.connections.length
    await rig.supervisor.command(id, 'restart')
    await settle()
    expect(rig.whatsapp.connections).toHaveLength(before)
    expect(rig.whatsapp.live()).toHaveLength(0)
    await rig.clock.advance(999)
    expect(rig.whatsapp.connections).toHaveLength(before)
    await rig.clock.advance(1)
    expect(rig.whatsapp.connections).toHaveLength(before + 1)
  })

  test('a stop in the pause between two openings means that nothing is opened', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'restart')
    await rig.supervisor.command(id, 'stop')
    const before = rig.whatsapp.connections.length
    await rig.clock.advance(60_000)
    expect(rig.whatsapp.connections).toHaveLength(before)
    expect(rig.status(id)).toBe('inactive')
  })

  test('what an older connection says about the session is dropped', async () => {
    const id = await rig.link()
    const old = rig.whatsapp.last()
    await rig.supervisor.command(id, 'restart')
    await rig.clock.advance(1_000)
    old.closed('logged_out', 401)
    old.opened()
    await settle()
    expect(rig.session(id)).toMatchObject({ state: { status: 'connecting' }, credentials: 'linked' })
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.status(id)).toBe('connected')
  })

  test('messages that a connection hands over while it is being closed are kept', async () => {
    const id = await rig.link()
    const connection = rig.whatsapp.last()
    connection.onClose = () => connection.message({ content: { type: 'text', text: 'late' } })
    await rig.supervisor.command(id, 'stop')
    await settle()
    expect(rig.told.filter(({ event }) => event === 'message.received')).toMatchObject([{ text: 'late' }])
  })
})

describe('a connection that does not come through', () => {
  test('is given up after a minute, and tried again', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'restart')
    await rig.clock.advance(1_000)
    const silent = rig.whatsapp.last()
    await rig.clock.advance(59_999)
    expect(rig.status(id)).toBe('connecting')
    await rig.clock.advance(1)
    expect(rig.session(id).state).toMatchObject({
      status: 'disconnected',
      why: { reason: 'connection_lost' },
    })
    expect(silent.isClosed).toBe(true)
    await rig.clock.advance(2_000)
    expect(rig.status(id)).toBe('connecting')
    expect(rig.whatsapp.live()).toHaveLength(1)
  })

  test('is not given up while a long backlog arrives', async () => {
    const id = await rig.link()
    await rig.supervisor.command(id, 'restart')
    await rig.clock.advance(1_000)
    for (let half = 0; half < 6; half += 1) {
      await rig.clock.advance(30_000)
      rig.whatsapp.last().message({ offline: true })
    }
    await settle()
    expect(rig.status(id)).toBe('connecting')
    rig.whatsapp.last().opened()
    await settle()
    expect(rig.status(id)).toBe('connected')
  })

  test('a pairing whose codes simply stop ends like one that nobody scanned', async () => {
    const id = await rig.make()
    await rig.supervisor.command(id, 'start')
    await settle()
    rig.whatsapp.last().qr('only', 20_000)
    await rig.clock.advance(79_000)
    expect(rig.status(id)).toBe('qr_generated')
    await rig.clock.advance(2_000)
    expect(rig.session(id).state).toMatchObject({ why: { reason: 'qr_timeout' }, retryAt: null })
    expect(rig.whatsapp.live()).toHaveLength(0)
  })
})

describe('lost connections', () => {
  test('come back with growing waits, and a stop cancels the planned attempt', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    expect(rig.session(id).state).toMatchObject({ status: 'disconnected' })
    expect(rig.told.at(-1)).toMatchObject({
      event: 'session.disconnected',
      reason: 'connection_lost',
      code: 428,
      willReconnect: true,
    })
    await rig.clock.advance(1_000)
    expect(rig.status(id)).toBe('connecting')
    rig.whatsapp.last().closed('server_unavailable', 503)
    await settle()
    await rig.supervisor.command(id, 'stop')
    await settle()
    expect(rig.timers()).toBe(0)
    const { length } = rig.whatsapp.connections
    await rig.clock.advance(600_000)
    expect(rig.whatsapp.connections).toHaveLength(length)
    expect(rig.events(id).at(-1)).toBe('session.stopped')
  })

  test('a monitor that restarts every disconnected session does not lose anything', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    for (let knock = 0; knock < 20; knock += 1) await rig.supervisor.command(id, 'restart')
    await rig.clock.advance(1_000)
    expect(rig.whatsapp.live()).toHaveLength(1)
    rig.whatsapp.last().opened()
    await rig.clock.advance(120_000)
    expect(rig.status(id)).toBe('connected')
  })

  test('autoReconnect off: no attempt, also when it is switched off during the wait', async () => {
    const quiet = await rig.link({ autoReconnect: false })
    rig.whatsapp.last().closed('connection_lost', 428)
    await rig.clock.advance(600_000)
    expect(rig.session(quiet).state).toMatchObject({ status: 'disconnected', retryAt: null })

    const id = await rig.link({}, '49303333333')
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    await rig.supervisor.update(id, { settings: { autoReconnect: false } })
    const { length } = rig.whatsapp.connections
    await rig.clock.advance(600_000)
    expect(rig.whatsapp.connections).toHaveLength(length)
    expect(rig.session(id).state).toMatchObject({ status: 'disconnected', retryAt: null })
  })

  test('a jump of the wall clock does not move a planned attempt', async () => {
    const id = await rig.link()
    rig.whatsapp.last().closed('connection_lost', 428)
    await settle()
    rig.clock.jump(-86_400_000)
    await rig.clock.advance(1_000)
    expect(rig.status(id)).toBe('connecting')
  })

  test('removed on the phone: disconnected, nothing tried, the next start begins with a code and clean keys', async () => {
    const id = await rig.link()
    const vault = rig.whatsapp.last().request.vault
    await vault.commit([{ type: 'creds', id: 'creds', value: new Uint8Array([1]) }])
    rig.whatsapp.last().closed('logged_out', 401)
    await rig.clock.advance(600_000)
    expect(rig.session(id)).toMatchObject({
      state: { status: 'disconnected', retryAt: null },
      credentials: 'revoked',
    })
    expect(rig.whatsapp.live()).toHaveLength(0)
    await rig.supervisor.command(id, 'start')
    await settle()
    expect(rig.session(id)).toMatchObject({ state: { status: 'connecting' }, credentials: 'none', me: null })
    expect(rig.whatsapp.last().request.vault.get('creds', ['creds']).size).toBe(0)
  })
})

describe('activity', () => {
  test('is seen at once and written at most every five seconds', async () => {
    const id = await rig.link()
    await rig.clock.advance(10_000)
    rig.commits.length = 0
    const writes = () => rig.commits.flat().filter(({ change }) => change.kind === 'session_active').length
    for (let tenth = 0; tenth < 100; tenth += 1) {
      rig.whatsapp.last().message()
      await rig.clock.advance(100)
    }
    expect(rig.session(id).lastActivity).toBe(rig.clock.now() - 100)
    expect(writes()).toBe(2)
    expect(rig.storage.messages.list({ sessionId: id, limit: 1, offset: 0 }).total).toBe(100)
  })

  test('signs of life alone are written twice a minute', async () => {
    const id = await rig.link()
    await rig.clock.advance(60_000)
    rig.commits.length = 0
    for (let second = 0; second < 120; second += 1) {
      rig.whatsapp.last().report({ kind: 'alive', at: rig.clock.now() })
      await rig.clock.advance(1_000)
    }
    expect(rig.commits.length).toBeLessThanOrEqual(5)
    expect(rig.session(id).lastActivity).toBe(rig.clock.now() - 1_000)
  })

  test('reports that wait are stored in one commit', async () => {
    await rig.link()
    rig.commits.length = 0
    for (let index = 0; index < 300; index += 1) rig.whatsapp.last().message()
    await settle()
    expect(rig.commits).toHaveLength(1)
    expect(rig.events(rig.storage.sessions.all()[0]?.id as never, 'message.received')).toHaveLength(300)
  })
})
