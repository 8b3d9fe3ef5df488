/**
 * SIGTERM in the middle of traffic: the process is gone within ten seconds, everything that WhatsApp was told we have is
 * stored and told, nothing half-done is left, and the next start loses nothing.
 *
 *   SIGTERM_ROUNDS=20 bun test test/crash/sigterm.test.ts
 */
import { Database } from 'bun:sqlite'
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { join } from 'node:path'
import { seeded, until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { type Sink, startSink } from '../harness/sink'
import { numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

const ROUNDS = Number(process.env.SIGTERM_ROUNDS ?? 3)
const SEED = Number(process.env.SIGTERM_SEED ?? Date.now() % 1_000_000)
setDefaultTimeout(60_000 + ROUNDS * 30_000)

/** Texts towards the session in each round, and texts it sends. */
const INBOUND = 200
const OUTBOUND = 60
/** Who takes so long has been cut off (ms): the sockets have 4.5 s for what has arrived, of the ten that the stop has. */
const CUT_OFF = 4_500

let sandbox: SandboxProcess
let sink: Sink
let gateway: Wabun
let id = ''
const us = numberOf(0)
const peer = numberOf(1)

beforeAll(async () => {
  sandbox = await startSandboxProcess()
  sink = startSink()
  await sandbox.addPhone(peer)
  gateway = wabunGateway({ sandbox, env: { LOG_LEVEL: 'info' } })
  await gateway.start()
  const [paired = ''] = await pairAll(gateway, sandbox, [us])
  id = paired
  await gateway.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
})
afterAll(async () => {
  await gateway.end()
  await sink.stop()
  await sandbox.stop()
})

/** What is in the closed database. */
function atRest<T>(ask: (database: Database) => T): T {
  const database = new Database(join(gateway.dataDir, 'wabun.sqlite'), { readonly: true })
  try {
    return ask(database)
  } finally {
    database.close()
  }
}

const connected = () =>
  until('the session', async () => ((await gateway.statusOf(id)) === 'connected' ? true : null))

test(`leaves within ten seconds, and nothing half-done (${ROUNDS} rounds, seed ${SEED})`, async () => {
  const random = seeded(SEED)
  for (let round = 1; round <= ROUNDS; round += 1) {
    const texts = Array.from({ length: INBOUND }, (_, n) => `round ${round} in ${n}`)
    const answered: string[] = []
    const burst = sandbox.burst(texts.map((text) => ({ from: peer, to: us, text })))
    const lanes = [0, 1, 2, 3].map(async (lane) => {
      for (let n = lane; n < OUTBOUND; n += 4) {
        const text = `round ${round} out ${n}`
        // Refused or cut off as the service leaves: such a message was never accepted.
        const taken = await gateway.send(id, peer, text).catch(() => null)
        if (taken !== null) answered.push(text)
      }
    })
    await Bun.sleep(Math.floor(random() * 400))
    const began = performance.now()
    gateway.child.signal('SIGTERM')
    const code = await gateway.child.exited
    const took = performance.now() - began
    expect({ round, code, inTime: took <= 10_000 }).toEqual({ round, code: 0, inTime: true })
    await Promise.all([burst, ...lanes])

    // What a machine was too slow for waits for the next start, which must tell it as well.
    const left = atRest((database) => database.query('SELECT count(*) AS n FROM inbox').get())
    if (took < CUT_OFF) expect({ round, left }).toEqual({ round, left: { n: 0 } })
    expect(atRest((database) => database.query('PRAGMA integrity_check').get())).toEqual({
      integrity_check: 'ok',
    })

    await gateway.start()
    await connected()
    await until(
      'all that was sent to the session',
      async () => {
        const told = new Set(
          sink.deliveries
            .filter(({ event }) => event === 'message.received')
            .map(({ body }) => String(body.text)),
        )
        return texts.every((text) => told.has(text)) ? true : null
      },
      30_000,
    )
    const there = await until('all that was accepted', async () => {
      const got = (await sandbox.received(peer)).map(({ text }) => text)
      return answered.every((text) => got.includes(text)) ? got : null
    })
    for (const text of answered) expect(there.filter((one) => one === text)).toHaveLength(1)
  }
  const ids = new Map<string, Set<string>>()
  for (const { event, body } of sink.deliveries) {
    if (event !== 'message.received') continue
    ids.set(String(body.text), (ids.get(String(body.text)) ?? new Set()).add(String(body.id)))
  }
  expect([...ids].filter(([, told]) => told.size > 1)).toEqual([])
})

test('control: SIGKILL at such a moment does leave stanzas behind', async () => {
  let left = 0
  for (let round = 0; round < 20 && left === 0; round += 1) {
    const texts = Array.from({ length: INBOUND }, (_, n) => `killed ${round} in ${n}`)
    const burst = sandbox.burst(texts.map((text) => ({ from: peer, to: us, text })))
    await Bun.sleep(20 + round * 20)
    await gateway.kill()
    await burst
    left = atRest(
      (database) => database.query<{ n: number }, []>('SELECT count(*) AS n FROM inbox').get()?.n ?? 0,
    )
    await gateway.start()
    await connected()
  }
  expect(left).toBeGreaterThan(0)
})

test('a second SIGTERM ends the process at once', async () => {
  // A request that waits for WhatsApp keeps an orderly stop busy.
  await sandbox.fault({ kind: 'slow_ack', phoneNumber: us, ms: 20_000 })
  const waiting = gateway.send(id, peer, 'held').catch(() => null)
  await until('the message in the queue', async () => {
    const { waiting: queued } = await gateway.api<{ waiting: number }>('GET', `/api/messages/queue/${id}`)
    return queued > 0 ? true : null
  })
  gateway.child.signal('SIGTERM')
  await until('the first signal', async () => (gateway.child.output().includes('"Stopping"') ? true : null))
  gateway.child.signal('SIGTERM')
  // An orderly stop ends with 0.
  expect(await gateway.child.exited).toBe(1)
  await waiting
  await sandbox.clearFaults()
  await gateway.start()
  await connected()
  await until('the message after all', async () =>
    (await sandbox.received(peer)).some(({ text }) => text === 'held') ? true : null,
  )
})
