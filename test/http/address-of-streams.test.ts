/** The list of addresses of a session holds wherever the session is told of: on every way out of its events, and in lists. */
import { afterAll, beforeAll, expect, test } from 'bun:test'
import { OWNER_KEY, startApp, type TestApp } from '../harness/app'
import { openEventSource } from '../harness/event-source'
import { openStream } from '../harness/stream'

let server: TestApp
beforeAll(async () => {
  server = await startApp({ flags: { '--trusted-proxies': '127.0.0.1' } })
})
afterAll(() => server.stop())

const from = (address: string) => ({ 'x-api-key': OWNER_KEY, 'x-forwarded-for': address })
const INSIDE = from('10.1.2.3')
const OUTSIDE = from('192.0.2.1')
const change = (id: string, body: object) =>
  server.ok('PUT', `/api/sessions/${id}/settings`, { body, headers: { 'x-forwarded-for': '10.1.2.3' } })

test('a session is told of at its own addresses only, as its settings are at the time', async () => {
  const open = await server.session('Open')
  const fenced = await server.session('Fenced', { ipWhitelist: ['10.0.0.0/8'] })
  const sources = [
    await openEventSource(`${server.url}/api/events/stream`, INSIDE),
    await openEventSource(`${server.url}/api/events/stream`, OUTSIDE),
  ]
  const sockets = [
    await openStream(`${server.url}/api/events/ws?events=*`, INSIDE),
    await openStream(`${server.url}/api/events/ws?events=*`, OUTSIDE),
  ]
  for (const socket of sockets) await socket.waitFor(({ type }) => type === 'subscribed')
  await change(fenced, { name: 'Fenced 1' })
  await change(fenced, { settings: { ipWhitelist: [] } })
  await change(fenced, { name: 'Free' })
  await change(fenced, { settings: { ipWhitelist: ['10.0.0.0/8'] } })
  await change(fenced, { name: 'Fenced 2' })
  await change(open, { name: 'The last' })
  type Told = { event?: string; sessionId: string }
  const ofFenced = (all: readonly unknown[]) =>
    (all as Told[]).filter(({ event, sessionId }) => event !== undefined && sessionId === fenced).length
  const counts: number[] = []
  for (const source of sources) {
    await source.waitFor(({ data }) => JSON.parse(data).sessionId === open)
    counts.push(ofFenced(source.blocks.map(({ data }) => JSON.parse(data))))
    source.close()
  }
  for (const socket of sockets) {
    await socket.event('session.settings_updated', open)
    counts.push(ofFenced(socket.frames))
    socket.close()
  }
  // Inside: all five. Outside: the moment in which the list was empty, which begins with the change that made it so.
  expect(counts).toEqual([5, 2, 5, 2])

  const listed = async (headers: Record<string, string>, query = '') => {
    const { sessions, total } = await server.ok<{ sessions: { id: string }[]; total: number }>(
      'GET',
      `/api/sessions${query}`,
      { headers },
    )
    return { ids: sessions.map(({ id }) => id).sort(), total }
  }
  expect(await listed(INSIDE)).toEqual({ ids: [open, fenced].sort(), total: 2 })
  expect(await listed(OUTSIDE)).toEqual({ ids: [open], total: 1 })
  expect(await listed(OUTSIDE, '?status=inactive&limit=1')).toEqual({ ids: [open], total: 1 })

  const pulled = async (headers: Record<string, string>) =>
    (await server.ok<{ events: Told[] }>('GET', '/api/events', { headers })).events
  expect(ofFenced(await pulled(INSIDE))).toBe(6)
  expect(ofFenced(await pulled(OUTSIDE))).toBe(0)
  for (const path of [
    `/api/sessions/${fenced}/events`,
    `/api/sessions/${fenced}/events/stream`,
    `/api/events?sessionIds=${fenced}`,
    `/api/events/stream?sessionIds=${open},${fenced}`,
  ]) {
    const { status, body } = await server.call('GET', path, { headers: OUTSIDE })
    expect({ path, status, code: body.code }).toEqual({ path, status: 403, code: 'IP_NOT_ALLOWED' })
  }
  await expect(openStream(`${server.url}/api/sessions/${fenced}/ws`, OUTSIDE)).rejects.toThrow('refused')
})
