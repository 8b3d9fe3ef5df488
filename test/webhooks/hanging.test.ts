/** A server as its own process, 300 endpoints, and 256 of them hang. */
import { afterEach, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { limitsFor } from '../../src/webhooks/admission'
import { startChild } from '../harness/process'
import { startReceiver } from '../harness/receiver'

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end()
})

const KEY = 'k'.repeat(40)
const ENDPOINTS = 300
const HANGING = 256
const EVENTS = 20

async function world(env: Record<string, string> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'wabun-hanging-'))
  ends.push(() => rmSync(folder, { recursive: true, force: true }))
  const server = await startChild({
    name: 'server',
    args: [
      ...[join(import.meta.dir, '..', '..', 'src', 'main.ts'), 'serve', '--port', '0', '--sandbox'],
      ...['--data-dir', folder, '--api-key', KEY, '--webhook-allow-insecure'],
      ...['--webhook-allow-networks', '127.0.0.0/8', '--log-level', 'warn'],
    ],
    env,
  })
  ends.push(() => server.kill())
  const call = async <T>(method: string, path: string, body?: object): Promise<T> => {
    const response = await fetch(server.url + path, {
      method,
      headers: { 'x-api-key': KEY, ...(body ? { 'content-type': 'application/json' } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
    })
    const text = await response.text()
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`)
    return JSON.parse(text) as T
  }
  const hanging = startReceiver({ answer: () => 'hang' })
  const healthy = startReceiver()
  ends.push(hanging.stop, healthy.stop)
  const sessions: string[] = []
  for (const n of [0, 1, 2]) {
    const made = await call<{ session: { id: string } }>('POST', '/api/sessions', { name: `Session ${n}` })
    sessions.push(made.session.id)
  }
  for (let n = 0; n < ENDPOINTS; n += 1) {
    // Those that answer come last: nothing but room for them lets them in.
    const url = n < HANGING ? `${hanging.url}${n}` : `${healthy.url}${n}`
    await call('POST', '/api/webhook/endpoints', { sessionId: sessions[n % 3], url })
  }
  const happen = (n: number) =>
    Promise.all(
      sessions.map((id) =>
        call('PUT', `/api/sessions/${id}/settings`, { settings: {}, description: `${n}` }),
      ),
    )
  return { server, call, sessions, hanging, healthy, happen }
}

test('receivers that hang keep nothing from those that answer, nor from the API', async () => {
  const { call, sessions, hanging, healthy, happen } = await world()
  await happen(0)
  await hanging.waitFor((posts) => posts.length === HANGING)
  for (let n = 1; n < EVENTS; n += 1) await happen(n)
  await healthy.waitFor((posts) => posts.length === (ENDPOINTS - HANGING) * EVENTS)
  // All of them still hang: none has been given up, and none got a second post.
  expect(hanging.posts).toHaveLength(HANGING)
  expect(hanging.posts.every(({ answered }) => answered === null)).toBe(true)
  for (const id of sessions) {
    expect(await call('GET', `/api/webhook/deliveries/${id}?state=retrying`)).toMatchObject({ total: 0 })
  }
  expect(await call('GET', '/api/webhook/queue')).toMatchObject({
    queue: { processing: HANGING, pending: HANGING * (EVENTS - 1), retrying: 0 },
  })
  const byPath = Map.groupBy(healthy.posts, ({ path }) => path)
  for (const posts of byPath.values()) {
    const cursors = posts.map(({ json }) => Number(String(json.cursor).split('-')[1]))
    expect(cursors).toEqual([...cursors].sort((a, b) => a - b))
  }
}, 30_000)

test('a process that was given fewer requests stays below them', () => {
  expect(limitsFor(256)).toEqual({ fresh: 64, total: 192, perEndpoint: 8 })
  expect(limitsFor(4_096).total).toBe(1_024)
  for (const requests of [1, 2, 10, 64]) expect(limitsFor(requests).total).toBeLessThanOrEqual(requests)
})
