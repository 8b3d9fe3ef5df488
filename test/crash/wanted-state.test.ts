/**
 * kill -9 with many sessions in every state: each comes back in the state that its owner wanted.
 *
 *   WANTED_RUNNING=200 WANTED_STOPPED=20 WANTED_WAITING=10 bun test test/crash/wanted-state.test.ts
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

const RUNNING = Number(process.env.WANTED_RUNNING ?? 20)
const STOPPED = Number(process.env.WANTED_STOPPED ?? 4)
const WAITING = Number(process.env.WANTED_WAITING ?? 3)
setDefaultTimeout(60_000 + (RUNNING + STOPPED) * 2_000)

let sandbox: SandboxProcess
let gateway: Wabun
beforeAll(async () => {
  sandbox = await startSandboxProcess()
  gateway = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await gateway.start()
})
afterAll(async () => {
  await gateway.end()
  await sandbox.stop()
})

test(`${RUNNING} running, ${STOPPED} stopped, ${WAITING} waiting for a phone, over kill -9`, async () => {
  const numbers = Array.from({ length: RUNNING + STOPPED }, (_, index) => numberOf(index))
  const linked = await pairAll(gateway, sandbox, numbers)
  const running = linked.slice(0, RUNNING)
  const stopped = linked.slice(RUNNING)
  for (const id of stopped) await gateway.api('POST', `/api/sessions/${id}/stop`)
  const waiting: string[] = []
  for (let n = 0; n < WAITING; n += 1) {
    const id = await gateway.createSession(`Waiting ${n}`)
    await gateway.qrOf(id)
    waiting.push(id)
  }
  const untouched = await gateway.api<{ session: { id: string } }>('POST', '/api/sessions', { name: 'New' })
  await until('all running', async () => ((await gateway.connected()) === RUNNING ? true : null))

  await gateway.kill()
  const began = performance.now()
  await gateway.start()
  let first = 0
  await until(
    'all running again',
    async () => {
      const connected = await gateway.connected()
      if (connected > 0 && first === 0) first = performance.now() - began
      return connected === RUNNING ? true : null
    },
    60_000,
  )
  console.log(
    `first session after ${Math.round(first)} ms, all ${RUNNING} after ${Math.round(performance.now() - began)} ms`,
  )

  const statuses = async (ids: readonly string[]) => [
    ...new Set(await Promise.all(ids.map((id) => gateway.statusOf(id)))),
  ]
  expect(await statuses(running)).toEqual(['connected'])
  expect(await statuses([...stopped, untouched.session.id])).toEqual(['inactive'])
  expect(await statuses(waiting)).toEqual(['disconnected'])
  for (const id of waiting) {
    const { diagnosis } = await gateway.api<{ diagnosis: object }>('GET', `/api/sessions/${id}/diagnosis`)
    expect(diagnosis).toMatchObject({
      problem: 'The server was restarted before a phone was linked',
      action: 'Restart the session to get a new QR code',
    })
  }
  // Their links have survived as well: stopped ones come back without a code.
  for (const id of stopped) await gateway.api('POST', `/api/sessions/${id}/start`)
  await until('the stopped ones, started', async () =>
    (await gateway.connected()) === RUNNING + STOPPED ? true : null,
  )
})
