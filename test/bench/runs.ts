/** The measurements themselves; each returns rows for the table. Rounds alternate between the two gateways. */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buildBinary } from '../../build/binary'
import { cpuOf, inParallel, memoryOf, percentile, until } from '../harness/measure'
import type { SandboxProcess } from '../harness/sandbox-process'
import type { Sink } from '../harness/sink'
import {
  allConnected,
  type Gateway,
  numberOf,
  pairAll,
  rawGateway,
  type Wabun,
  wabunGateway,
} from '../harness/world'
import type { Row } from './report'

export type BenchOptions = { sessions: number; rounds: number; say: (line: string) => void }
export type BenchWorld = { sandbox: SandboxProcess; sink: Sink; options: BenchOptions }

const PRELOAD = './test/bench/collect-garbage.ts'
/** Idle seconds over which CPU is counted. */
const IDLE_SECONDS = 15
const SENDS_PER_ROUND = 300
const THROUGHPUT_SENDS = 2_400
/** Both run so long before anything is timed: compilers settle, keys are exchanged. */
const WARM_MS = 5_000
const THROUGHPUT_SESSIONS = 8
const INBOUND_PER_SECOND = 100
const INBOUND_SECONDS = 5

export const both = (world: BenchWorld): { wabun: Wabun; raw: Gateway } => ({
  wabun: wabunGateway({ sandbox: world.sandbox, preload: PRELOAD, env: { LOG_LEVEL: 'warn' } }),
  raw: rawGateway({ sandbox: world.sandbox, webhookUrl: world.sink.url, preload: PRELOAD }),
})

let nextNumber = 0
/** Numbers nobody has used in this run. */
export const freshNumbers = (count: number): string[] =>
  Array.from({ length: count }, () => numberOf(nextNumber++))

export const bothOf = async (
  pair: { wabun: Gateway; raw: Gateway },
  work: (gateway: Gateway) => Promise<void>,
) => {
  for (const gateway of [pair.wabun, pair.raw]) await work(gateway)
}

/** Order within a round alternates, so that neither gateway always goes first. */
export async function rounds(
  world: BenchWorld,
  pair: { wabun: Gateway; raw: Gateway },
  work: (gateway: Gateway, round: number) => Promise<void>,
): Promise<void> {
  for (let round = 0; round < world.options.rounds; round++) {
    const order = round % 2 === 0 ? [pair.raw, pair.wabun] : [pair.wabun, pair.raw]
    for (const gateway of order) await work(gateway, round)
    world.options.say(`round ${round + 1} of ${world.options.rounds} done`)
  }
}

/** Samples of one figure for both gateways. */
export const samples = (): Record<Gateway['name'], number[]> => ({ wabun: [], raw: [] })

async function settledMemory(gateway: Gateway): Promise<{ asItIs: number; rss: number; pss: number }> {
  await Bun.sleep(3_000)
  const asItIs = memoryOf(gateway.child.pid).rss
  gateway.collect()
  await Bun.sleep(1_000)
  gateway.collect()
  await Bun.sleep(3_000)
  return { asItIs, ...memoryOf(gateway.child.pid) }
}

async function restart(gateway: Gateway, count: number): Promise<void> {
  await gateway.kill()
  await gateway.start()
  await allConnected(gateway, count)
}

/** Memory and CPU of connected sessions that do nothing, after a restart; the empty process is the zero point. */
export async function measureSessions(world: BenchWorld): Promise<Row[]> {
  const { sessions, say } = world.options
  const pair = both(world)
  const empty = { wabun: { asItIs: 0, rss: 0, pss: 0 }, raw: { asItIs: 0, rss: 0, pss: 0 } }
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    empty[gateway.name] = await settledMemory(gateway)
    await pairAll(gateway, world.sandbox, freshNumbers(sessions), (done) => {
      if (done % 50 === 0) say(`${gateway.name}: ${done} of ${sessions} linked`)
    })
    await gateway.kill()
  })
  const figures = { asItIs: samples(), rss: samples(), pss: samples(), total: samples(), cpu: samples() }
  await rounds(world, pair, async (gateway) => {
    await gateway.start()
    await allConnected(gateway, sessions)
    const memory = await settledMemory(gateway)
    const zero = empty[gateway.name]
    const KIB = 1024
    figures.asItIs[gateway.name].push(((memory.asItIs - zero.asItIs) / sessions) * KIB)
    figures.rss[gateway.name].push(((memory.rss - zero.rss) / sessions) * KIB)
    figures.pss[gateway.name].push(((memory.pss - zero.pss) / sessions) * KIB)
    figures.total[gateway.name].push(memory.rss)
    const before = cpuOf(gateway.child.pid)
    await Bun.sleep(IDLE_SECONDS * 1000)
    figures.cpu[gateway.name].push(((cpuOf(gateway.child.pid) - before) / IDLE_SECONDS) * 100)
    await gateway.kill()
  })
  await endBoth(pair)
  const goal = { goal: '≤ 1.5 × raw', meets: (wabun: number, raw: number) => wabun <= 1.5 * raw }
  const none = { goal: '', meets: null }
  return [
    { name: `RSS per idle session at ${sessions}`, unit: 'KiB', ...figures.rss, ...goal },
    { name: '… without forcing a collection', unit: 'KiB', ...figures.asItIs, ...goal },
    { name: '… PSS', unit: 'KiB', ...figures.pss, ...goal },
    { name: `RSS of the process, ${sessions} idle sessions`, unit: 'MiB', ...figures.total, ...none },
    { name: `CPU of ${sessions} idle sessions`, unit: '% of a core', ...figures.cpu, ...none },
    {
      name: 'RSS of the empty process',
      unit: 'MiB',
      wabun: [empty.wabun.rss],
      raw: [empty.raw.rss],
      ...none,
    },
  ]
}

/** kill -9 with every session connected, start again: how long until all are connected, and how fast they log in. */
export async function measureResume(world: BenchWorld): Promise<Row[]> {
  const { sessions } = world.options
  const pair = both(world)
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    await pairAll(gateway, world.sandbox, freshNumbers(sessions))
    // The first start after pairing is a warm-up of the sandbox's side.
    await restart(gateway, sessions)
    await gateway.kill()
  })
  const figures = { all: samples(), rate: samples(), ready: samples(), cpu: samples() }
  await rounds(world, pair, async (gateway) => {
    await world.sandbox.watchConnections()
    const startedAt = performance.now()
    await gateway.start()
    const ready = await firstAnswer(gateway, startedAt)
    await allConnected(gateway, sessions)
    const connectedAt = performance.now()
    const all = connectedAt - startedAt
    const first = (await world.sandbox.firstConnection()) ?? Number.NaN
    const loggingIn = performance.timeOrigin + connectedAt - first
    figures.ready[gateway.name].push(ready)
    figures.all[gateway.name].push(all)
    figures.rate[gateway.name].push((sessions / loggingIn) * 1000)
    figures.cpu[gateway.name].push((cpuOf(gateway.child.pid) / sessions) * 1000)
    await gateway.kill()
  })
  await endBoth(pair)
  return [
    {
      name: `kill -9 to ${sessions} connected`,
      unit: 'ms',
      ...figures.all,
      goal: '≤ raw',
      meets: (wabun, raw) => wabun <= raw,
    },
    {
      name: 'logins per second, first connection to last',
      unit: '1/s',
      ...figures.rate,
      goal: '≥ 2 × raw',
      meets: (wabun, raw) => wabun >= 2 * raw,
    },
    { name: 'CPU per login, start included', unit: 'ms', ...figures.cpu, goal: '', meets: null },
    {
      name: `start to first answer, ${sessions} sessions resuming`,
      unit: 'ms',
      ...figures.ready,
      goal: '≤ 300 ms',
      meets: (wabun) => wabun <= 300,
    },
  ]
}

/** One message in flight, then eight sessions at once; both answers mean that WhatsApp's server has acknowledged. */
export async function measureSend(world: BenchWorld): Promise<Row[]> {
  const pair = both(world)
  const ids = { wabun: [] as string[], raw: [] as string[] }
  const peers = freshNumbers(THROUGHPUT_SESSIONS)
  await inParallel(peers, 4, (number) => world.sandbox.addPhone(number))
  const peerOf = (index: number) => peers[index % peers.length] ?? ''
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    ids[gateway.name] = await pairAll(gateway, world.sandbox, freshNumbers(THROUGHPUT_SESSIONS))
    const warmUntil = performance.now() + WARM_MS
    await inParallel(ids[gateway.name], 8, async (id, index) => {
      for (let warm = 0; performance.now() < warmUntil; warm++)
        await gateway.send(id, peerOf(index), `warm ${warm}`)
    })
  })
  const figures = { p50: samples(), p99: samples(), throughput: samples() }
  await rounds(world, pair, async (gateway, round) => {
    const id = ids[gateway.name][0] ?? ''
    const took: number[] = []
    for (let n = 0; n < SENDS_PER_ROUND; n++) {
      const at = performance.now()
      await gateway.send(id, peerOf(0), `one ${round} ${n}`)
      took.push(performance.now() - at)
    }
    figures.p50[gateway.name].push(percentile(took, 0.5))
    figures.p99[gateway.name].push(percentile(took, 0.99))
    const startedAt = performance.now()
    await inParallel([...Array(THROUGHPUT_SENDS).keys()], 2 * THROUGHPUT_SESSIONS, async (n) => {
      const lane = n % THROUGHPUT_SESSIONS
      await gateway.send(ids[gateway.name][lane] ?? '', peerOf(lane), `many ${round} ${n}`)
    })
    figures.throughput[gateway.name].push((THROUGHPUT_SENDS / (performance.now() - startedAt)) * 1000)
  })
  await endBoth(pair)
  return [
    {
      name: 'send p50, one in flight',
      unit: 'ms',
      ...figures.p50,
      goal: '≤ raw + 1 ms',
      meets: (wabun, raw) => wabun <= raw + 1,
    },
    {
      name: 'send p99, one in flight',
      unit: 'ms',
      ...figures.p99,
      goal: '≤ 1.3 × raw',
      meets: (wabun, raw) => wabun <= 1.3 * raw,
    },
    {
      name: `sends per second, ${THROUGHPUT_SESSIONS} sessions`,
      unit: '1/s',
      ...figures.throughput,
      goal: '≥ 0.8 × raw',
      meets: (wabun, raw) => wabun >= 0.8 * raw,
    },
  ]
}

/** Texts from sandbox phones at a fixed rate: from the phone's order to the delivery at the webhook receiver. */
export async function measureInbound(world: BenchWorld): Promise<Row[]> {
  const { sink, sandbox } = world
  const count = Math.min(world.options.sessions, 50)
  const pair = both(world)
  const numbers = { wabun: freshNumbers(count), raw: freshNumbers(count) }
  const senders = freshNumbers(10)
  await inParallel(senders, 4, (number) => sandbox.addPhone(number))
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    const ids = await pairAll(gateway, sandbox, numbers[gateway.name])
    if (gateway.name === 'wabun')
      await inParallel(ids, 4, (id) =>
        pair.wabun
          .api('PUT', `/api/sessions/${id}/settings`, { settings: { webhookUrl: sink.url } })
          .then(() => undefined),
      )
  })
  const say = (gateway: Gateway, n: number, text: string) =>
    sandbox.say(senders[n % senders.length] ?? '', numbers[gateway.name][n % count] ?? '', text)
  const sentAt = new Map<string, number>()
  const took = new Map<string, number>()
  const stopListening = sink.onDelivery((delivery) => {
    const text = delivery.body.text
    if (delivery.event !== 'message.received' || typeof text !== 'string') return
    const at = sentAt.get(text)
    if (at !== undefined && !took.has(text)) took.set(text, delivery.at - at)
  })
  const burst = async (gateway: Gateway, label: string, total: number): Promise<number[]> => {
    sentAt.clear()
    took.clear()
    const startedAt = performance.now()
    const orders: Promise<unknown>[] = []
    for (let n = 0; n < total; n++) {
      const due = startedAt + (n * 1000) / INBOUND_PER_SECOND
      const wait = due - performance.now()
      if (wait > 0) await Bun.sleep(wait)
      const text = `${label} ${n}`
      sentAt.set(text, performance.now())
      orders.push(say(gateway, n, text))
    }
    await Promise.all(orders)
    await until(`${total} deliveries of ${gateway.name}`, () => (took.size === total ? true : null), 30_000)
    return [...took.values()]
  }
  // Every pair of sender and session has its Signal session before anything is timed.
  await bothOf(pair, async (gateway) => {
    await burst(gateway, `warm ${gateway.name}`, senders.length * count)
  })
  const figures = { p50: samples(), p99: samples() }
  await rounds(world, pair, async (gateway, round) => {
    const values = await burst(gateway, `${gateway.name} ${round}`, INBOUND_PER_SECOND * INBOUND_SECONDS)
    figures.p50[gateway.name].push(percentile(values, 0.5))
    figures.p99[gateway.name].push(percentile(values, 0.99))
  })
  stopListening()
  await endBoth(pair)
  const label = `${INBOUND_PER_SECOND}/s over ${count} sessions`
  return [
    { name: `inbound to webhook p50, ${label}`, unit: 'ms', ...figures.p50, goal: '', meets: null },
    {
      name: `inbound to webhook p99, ${label}`,
      unit: 'ms',
      ...figures.p99,
      goal: '≤ raw + 10 ms',
      meets: (wabun, raw) => wabun <= raw + 10,
    },
  ]
}

/** From the start of the process to its first answered request, on an empty directory and on one that exists. */
export async function measureStart(world: BenchWorld): Promise<Row[]> {
  const program = join(mkdtempSync(join(tmpdir(), 'wabun-bench-')), 'wabun')
  await buildBinary(program)
  const pair = { ...both(world), wabun: wabunGateway({ sandbox: world.sandbox, program }) }
  const first = samples()
  const again = samples()
  await rounds(world, pair, async (gateway, round) => {
    const startedAt = performance.now()
    await gateway.start()
    const took = await firstAnswer(gateway, startedAt)
    ;(round === 0 ? first : again)[gateway.name].push(took)
    await gateway.kill()
  })
  await endBoth(pair)
  const goal = { goal: '≤ 300 ms', meets: (wabun: number) => wabun <= 300 }
  return [
    { name: 'start to first answer (binary)', unit: 'ms', ...again, ...goal },
    { name: 'start to first answer (binary), new directory', unit: 'ms', ...first, ...goal },
  ]
}

async function firstAnswer(gateway: Gateway, startedAt: number): Promise<number> {
  const response = await fetch(`${gateway.child.url}/healthz`)
  await response.text()
  if (response.status !== 200) throw new Error(`${gateway.name}: /healthz answered ${response.status}`)
  return performance.now() - startedAt
}

export async function endBoth(pair: { wabun: Gateway; raw: Gateway }): Promise<void> {
  await pair.wabun.end()
  await pair.raw.end()
}
