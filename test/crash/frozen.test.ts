/**
 * Connections that seem to stand: a server that says nothing any more, and a process of ours that was frozen while its
 * connection went. The status shown is wrong for 35 seconds at most, the outage is told, and nothing is lost.
 */
import { afterAll, beforeAll, expect, setDefaultTimeout, test } from 'bun:test'
import { until } from '../harness/measure'
import { type SandboxProcess, startSandboxProcess } from '../harness/sandbox-process'
import { type Sink, startSink } from '../harness/sink'
import { numberOf, pairAll, type Wabun, wabunGateway } from '../harness/world'

setDefaultTimeout(120_000)

/** The promise (ms). */
const WRONG_AT_MOST = 35_000

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
  gateway = wabunGateway({ sandbox, env: { LOG_LEVEL: 'warn' } })
  await gateway.start()
  const [paired = ''] = await pairAll(gateway, sandbox, [us])
  id = paired
  await gateway.api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
  await sandbox.say(peer, us, 'first')
  await told('message.received')
})
afterAll(async () => {
  sandbox.child.signal('SIGCONT')
  await gateway.end()
  await sink.stop()
  await sandbox.stop()
})

const eventsOf = (name: string) => sink.deliveries.filter(({ event }) => event === name)
const told = (name: string) => until(name, async () => eventsOf(name).at(-1)?.body ?? null)
const status = (is: string) =>
  until(is, async () => ((await gateway.statusOf(id)) === is ? true : null), 90_000)

test('a process that was frozen while its connection went shows the truth, and tells what it missed', async () => {
  sink.clear()
  const before = Date.now()
  gateway.child.signal('SIGSTOP')
  await sandbox.fault({ kind: 'drop', phoneNumber: us })
  await sandbox.say(peer, us, 'to a frozen process')
  await Bun.sleep(1_500)
  const thawed = performance.now()
  gateway.child.signal('SIGCONT')
  const gap = await told('session.gap')
  expect(performance.now() - thawed).toBeLessThan(WRONG_AT_MOST)
  expect(gap).toMatchObject({ count: 1 })
  const late = await told('message.received')
  expect(late).toMatchObject({ text: 'to a frozen process', offline: true })
  expect(Date.parse(String(gap.from))).toBeLessThan(before + 1_000)
  expect(Date.parse(String(gap.to))).toBeGreaterThan(before + 1_500)
  await status('connected')
})

test('kill -9 is told by the next process: from the last moment on disk, with all that came late', async () => {
  sink.clear()
  await sandbox.say(peer, us, 'just before')
  await told('message.received')
  const before = Date.now()
  await gateway.kill()
  await sandbox.burst(Array.from({ length: 20 }, (_, n) => ({ from: peer, to: us, text: `missed ${n}` })))
  await gateway.start()
  const gap = await told('session.gap')
  expect(gap).toMatchObject({ count: 20, reason: 'process_restarted' })
  expect(Date.parse(String(gap.from))).toBeLessThanOrEqual(before)
  expect(Date.parse(String(gap.to))).toBeGreaterThan(before)
  const late = eventsOf('message.received').filter(({ body }) => body.offline === true)
  expect(new Set(late.map(({ body }) => body.text)).size).toBe(20)
  await status('connected')
})

test('a server that says nothing any more is told as stalled within 35 seconds, and the session comes back', async () => {
  sink.clear()
  const before = performance.now()
  sandbox.child.signal('SIGSTOP')
  const shown = await until(
    'another status',
    async () => ((await gateway.statusOf(id)) === 'connected' ? null : performance.now()),
    60_000,
  )
  expect(shown - before).toBeLessThan(WRONG_AT_MOST)
  const stalled = await told('session.stalled')
  expect(stalled).toMatchObject({ reason: 'no_answer' })
  expect(await told('session.disconnected')).toMatchObject({ reason: 'connection_lost', willReconnect: true })
  sandbox.child.signal('SIGCONT')
  await status('connected')
  const shownAgain = await gateway.api<{ diagnosis: { timeline: { reason: string | null }[] } }>(
    'GET',
    `/api/sessions/${id}/diagnosis`,
  )
  expect(shownAgain.diagnosis.timeline.map(({ reason }) => reason)).toContain('connection_lost')
})
