import { afterEach, describe, expect, test } from 'bun:test'
import { systemClock } from '../../src/lib/clock'
import { createTunnels } from '../../src/lib/tunnel'
import { type AppParts, createAppParts } from '../harness/app-parts'
import { type ProxyKind, startProxy, type TestProxy, type TestProxyOptions } from '../harness/proxy'

const KINDS: readonly ProxyKind[] = ['http', 'https', 'socks5']
/** Nobody but the proxies of these tests knows where it is. */
const NAME = 'whatsapp.invalid'
const LOGIN = { username: 'träger', password: 'p:a@ß' }
const OURS = '491710000001'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

async function proxyOf(kind: ProxyKind, options?: TestProxyOptions): Promise<TestProxy> {
  const proxy = await startProxy(kind, { names: [NAME], credentials: LOGIN, ...options })
  ends.push(() => proxy.stop())
  return proxy
}

/** All parts, with a WhatsApp that has a name which leads nowhere from here. */
async function world(proxy: TestProxy): Promise<AppParts> {
  const parts = await createAppParts({
    endpointHost: NAME,
    network: {
      tunnels: createTunnels({ clock: systemClock, allowNetworks: ['127.0.0.0/8'], ca: proxy.ca }),
    },
  })
  ends.push(() => parts.stop())
  return parts
}

/** WebSockets that the sandbox has had so far. */
const reached = (parts: AppParts): number => parts.sandbox.server.stats.snapshot().connections
const wsPort = (parts: AppParts): string => new URL(parts.sandbox.url).port

describe.each(KINDS)('a session with a proxy (%s)', (kind) => {
  test('is linked and unlinked through it', async () => {
    const proxy = await proxyOf(kind)
    const parts = await world(proxy)
    const phone = parts.sandbox.addPhone({ phoneNumber: OURS, name: 'Ours' })
    const id = await parts.link(phone, { proxyUrl: proxy.url })
    await parts.supervisor.command(id, 'logout')
    await parts.reach(id, 'inactive')
    while (phone.devices().length > 0) await Bun.sleep(5)
    const places = new Set(proxy.asked)
    places.delete(parts.sandbox.mediaHost)
    expect([...places]).toEqual([`${NAME}:${wsPort(parts)}`])
  }, 20_000)
})

test('a session comes back through its proxy after a crash', async () => {
  const proxy = await proxyOf('http')
  const parts = await world(proxy)
  const id = await parts.link(parts.sandbox.addPhone({ phoneNumber: OURS, name: 'Ours' }), {
    proxyUrl: proxy.url,
  })
  const { length } = proxy.asked
  await parts.crash()
  await parts.reach(id, 'connected')
  expect(parts.session(id).settings.proxyUrl).toBe(proxy.url)
  expect(proxy.asked.length).toBeGreaterThan(length)
}, 20_000)

describe('a proxy that fails', () => {
  test('is told apart from WhatsApp, and is never passed by', async () => {
    const proxy = await proxyOf('https')
    const parts = await world(proxy)
    proxy.behave('refuse')
    const id = await parts.make({ proxyUrl: proxy.url, reconnectInterval: 1_000 })
    await parts.supervisor.command(id, 'start')
    const { state, lastDisconnect } = await parts.reach(id, 'disconnected')
    expect(state).toMatchObject({ retryAt: expect.any(Number), attempt: 1 })
    expect(lastDisconnect).toMatchObject({
      reason: 'proxy_failed',
      code: null,
      detail: 'The proxy refuses to connect there',
    })
    expect(reached(parts)).toBe(0)
    // The control: the same session comes through as soon as the proxy lets it.
    proxy.behave('open')
    await parts.event(id, 'session.qr_generated')
    expect(reached(parts)).toBe(1)
  }, 20_000)

  test('for wrong credentials says so, without saying them', async () => {
    const proxy = await proxyOf('socks5')
    const parts = await world(proxy)
    const id = await parts.make({ proxyUrl: proxy.url.replace('@127', 'x@127'), autoReconnect: false })
    await parts.supervisor.command(id, 'start')
    await parts.reach(id, 'disconnected')
    const told = await parts.event(id, 'session.disconnected')
    expect(told).toMatchObject({ reason: 'proxy_failed', willReconnect: false })
    expect(parts.session(id).lastDisconnect?.detail).toBe(
      'The proxy does not accept the user name and password',
    )
    expect(JSON.stringify(parts.told)).not.toContain(LOGIN.password)
    expect(proxy.asked).toEqual([])
    // With the right ones it connects at once, although it had given up.
    await parts.supervisor.update(id, { settings: { proxyUrl: proxy.url } })
    await parts.event(id, 'session.qr_generated')
  }, 20_000)
})

test('without a proxy that name leads nowhere', async () => {
  const proxy = await proxyOf('http')
  const parts = await world(proxy)
  const id = await parts.make({ autoReconnect: false })
  await parts.supervisor.command(id, 'start')
  await parts.reach(id, 'disconnected')
  expect(parts.session(id).lastDisconnect?.reason).toBe('connection_lost')
  expect([proxy.taken, reached(parts)]).toEqual([0, 0])
}, 20_000)

test('a connected session goes over to another proxy, and back to none', async () => {
  const first = await proxyOf('socks5')
  const second = await proxyOf('http')
  const parts = await createAppParts({
    network: { tunnels: createTunnels({ clock: systemClock, allowNetworks: ['127.0.0.0/8'] }) },
  })
  ends.push(() => parts.stop())
  const phone = parts.sandbox.addPhone({ phoneNumber: OURS, name: 'Ours' })
  const id = await parts.link(phone, { proxyUrl: first.url })
  const asked = first.asked.length
  const connecting = () => parts.life(id).filter((name) => name === 'session.connecting').length
  const before = connecting()
  await parts.supervisor.update(id, { settings: { proxyUrl: second.url } })
  await parts.event(id, 'session.settings_updated')
  await parts.reach(id, 'connected')
  expect([first.asked.length, second.asked.length > 0, connecting()]).toEqual([asked, true, before + 1])
  // The address as the API shows it is no change.
  const shown = second.url.replace(/:[^:@]*@/, ':***@')
  await parts.supervisor.update(id, { name: 'Renamed', settings: { proxyUrl: shown } })
  expect(parts.session(id).settings.proxyUrl).toBe(second.url)
  expect(connecting()).toBe(before + 1)
  const direct = reached(parts)
  const taken = second.taken
  await parts.supervisor.update(id, { settings: { proxyUrl: null } })
  await parts.reach(id, 'connected')
  expect(second.taken).toBe(taken)
  expect(reached(parts)).toBeGreaterThan(direct)
}, 20_000)

test('an address that is no proxy’s, found in the database, is not passed by either', async () => {
  const parts = await createAppParts({})
  ends.push(() => parts.stop())
  const id = await parts.make({ proxyUrl: 'socks4://127.0.0.1:1', autoReconnect: false })
  await parts.supervisor.command(id, 'start')
  await parts.reach(id, 'disconnected')
  expect(parts.session(id).lastDisconnect).toMatchObject({ reason: 'proxy_failed' })
  expect(reached(parts)).toBe(0)
})
