/** How fast a backlog comes in: the process is stopped, messages pile up before it, it goes on. */
import { cpuOf, inParallel, until } from '../harness/measure'
import { type Gateway, pairAll } from '../harness/world'
import type { Row } from './report'
import { type BenchWorld, both, bothOf, endBoth, freshNumbers, rounds, samples } from './runs'

const SESSIONS = 50
const SENDERS = 10
const MESSAGES = 1_000
const WARM = 1_000

/**
 * Texts to 50 sessions; timed from the moment the process goes on to the last delivery receipt. Ours leaves when the
 * message is in the journal, synced to disk; stock Baileys' when its keys are written.
 */
export async function measureReceive(world: BenchWorld): Promise<Row[]> {
  const { sandbox } = world
  const pair = both(world)
  const numbers = { wabun: freshNumbers(SESSIONS), raw: freshNumbers(SESSIONS) }
  const senders = freshNumbers(SENDERS)
  await inParallel(senders, 4, (number) => sandbox.addPhone(number))
  await bothOf(pair, async (gateway) => {
    await gateway.start()
    await pairAll(gateway, sandbox, numbers[gateway.name])
  })
  const orders = (gateway: Gateway, count: number, label: string) =>
    Array.from({ length: count }, (_, n) => ({
      from: senders[n % SENDERS] ?? '',
      to: numbers[gateway.name][n % SESSIONS] ?? '',
      text: `${label} ${n}`,
    }))

  /** Resolves with the time (ms) and the CPU (µs) that each message has taken. */
  async function backlog(gateway: Gateway, count: number, label: string) {
    const { child } = gateway
    const before = (await sandbox.tally()).confirmed
    child.signal('SIGSTOP')
    await sandbox.burst(orders(gateway, count, label))
    const cpu = cpuOf(child.pid)
    const startedAt = performance.timeOrigin + performance.now()
    child.signal('SIGCONT')
    const last = await until(`${count} receipts of ${gateway.name}`, async () => {
      const { confirmed, lastAt } = await sandbox.tally()
      return confirmed - before >= count ? lastAt : null
    })
    return { rate: (count / (last - startedAt)) * 1_000, cpu: ((cpuOf(child.pid) - cpu) / count) * 1e6 }
  }

  // Every pair of sender and session gets its keys, and compilers settle.
  await bothOf(pair, async (gateway) => {
    for (let turn = 0; turn < 3; turn++) await backlog(gateway, WARM, `warm ${turn}`)
  })
  const figures = { rate: samples(), cpu: samples() }
  await rounds(world, pair, async (gateway, round) => {
    const { rate, cpu } = await backlog(gateway, MESSAGES, `round ${round}`)
    figures.rate[gateway.name].push(rate)
    figures.cpu[gateway.name].push(cpu)
  })
  await endBoth(pair)
  return [
    {
      name: `received texts per second, backlog of ${MESSAGES} over ${SESSIONS} sessions`,
      unit: '1/s',
      ...figures.rate,
      goal: '≥ 0.8 × raw',
      meets: (wabun, raw) => wabun >= 0.8 * raw,
    },
    { name: '… CPU per text', unit: 'µs', ...figures.cpu, goal: '', meets: null },
  ]
}
