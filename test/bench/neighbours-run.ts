/** Sessions and endpoints that misbehave: what callers of other sessions notice of them (quality promise P14). */
import { cpuOf, percentile } from '../harness/measure'
import { startReceiver } from '../harness/receiver'
import { pairAll, type Wabun, wabunGateway } from '../harness/world'
import type { Row } from './report'
import { type BenchWorld, freshNumbers } from './runs'

const HEALTHY = 10
const BAD = 5
const HANGING = 256
/** Requests per second, and for how long, whatever the answers take. */
const RATE = 100
const SECONDS = 8
/** How often whoever makes trouble does it (ms). */
const EVERY = 250

type Trouble = { name: string; start(): Promise<() => Promise<void> | void> }

/** Repeats `work` until told to stop; failures are part of the trouble. */
function again(work: () => Promise<unknown>): () => Promise<void> {
  let stopped = false
  const loop = (async () => {
    while (!stopped) {
      await work().catch(() => undefined)
      await Bun.sleep(EVERY)
    }
  })()
  return async () => {
    stopped = true
    await loop
  }
}

type Probe = { p99: number; cpu: number }

/** Reads and changes of healthy sessions at a fixed pace: the 99th percentile (ms), and what the server uses of a core (%). */
async function probe(wabun: Wabun, ids: readonly string[]): Promise<Probe> {
  const cpu = cpuOf(wabun.child.pid)
  const took: number[] = []
  const under: Promise<void>[] = []
  const startedAt = performance.now()
  for (let n = 0; n < RATE * SECONDS; n += 1) {
    const due = startedAt + (n * 1000) / RATE
    await Bun.sleep(Math.max(0, due - performance.now()))
    const id = ids[n % ids.length]
    const request =
      n % 10 === 0
        ? wabun.call('PUT', `/api/sessions/${id}/settings`, { description: `${n}` })
        : wabun.call('GET', `/api/sessions/${id}`)
    under.push(
      request.then(async (response) => {
        await response.arrayBuffer()
        if (!response.ok) throw new Error(`${response.url} answered ${response.status}`)
        took.push(performance.now() - due)
      }),
    )
  }
  await Promise.all(under)
  const seconds = (performance.now() - startedAt) / 1000
  return { p99: percentile(took, 0.99), cpu: ((cpuOf(wabun.child.pid) - cpu) / seconds) * 100 }
}

/** The same requests with and without each trouble, in turns. */
export async function measureNeighbours({ sandbox, options }: BenchWorld): Promise<Row[]> {
  const wabun = wabunGateway({ sandbox, env: { LOG_LEVEL: 'error' } })
  await wabun.start()
  const healthy = await pairAll(wabun, sandbox, freshNumbers(HEALTHY))
  const numbers = freshNumbers(BAD)
  const bad = await pairAll(wabun, sandbox, numbers)
  const eachBad = (work: (id: string, number: string) => Promise<unknown>) =>
    Promise.all(bad.map((id, at) => work(id, numbers[at] ?? '')))

  const troubles: Trouble[] = [
    {
      name: `${BAD} sessions that are refused at each login and restarted ${1000 / EVERY} times a second`,
      async start() {
        await eachBad((_, phoneNumber) => sandbox.fault({ kind: 'refuse', phoneNumber }))
        return again(() => eachBad((id) => wabun.api('POST', `/api/sessions/${id}/restart`)))
      },
    },
    {
      name: `${BAD} sessions that are sent garbage ${1000 / EVERY} times a second`,
      async start() {
        return again(() =>
          eachBad(async (id, phoneNumber) => {
            await sandbox.fault({ kind: 'corrupt_frame', phoneNumber })
            await wabun.api('POST', `/api/sessions/${id}/start`)
          }),
        )
      },
    },
    {
      name: `${HANGING} webhook endpoints that never answer`,
      async start() {
        const receiver = startReceiver({ answer: () => 'hang' })
        const made: string[] = []
        for (let n = 0; n < HANGING; n += 1) {
          const { endpoint } = await wabun.api<{ endpoint: { id: string } }>(
            'POST',
            '/api/webhook/endpoints',
            {
              sessionId: bad[n % BAD],
              url: `${receiver.url}${n}`,
            },
          )
          made.push(endpoint.id)
        }
        const stop = again(() =>
          eachBad((id) => wabun.api('PUT', `/api/sessions/${id}/settings`, { description: `${Date.now()}` })),
        )
        return async () => {
          await stop()
          for (const id of made) await wabun.api('DELETE', `/api/webhook/endpoints/${id}`)
          await receiver.stop()
        }
      },
    },
  ]
  const figures = troubles.map(({ name }) => ({ name, with: [] as Probe[], without: [] as Probe[] }))
  await probe(wabun, healthy)
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [at, trouble] of troubles.entries()) {
      const figure = figures[at]
      const quiet = async () => void figure?.without.push(await probe(wabun, healthy))
      if (round % 2 === 0) await quiet()
      const stop = await trouble.start()
      // What is slow only at the beginning counts as well, but not the requests that make the trouble.
      figure?.with.push(await probe(wabun, healthy))
      await stop()
      await sandbox.clearFaults()
      await eachBad((id) => wabun.api('POST', `/api/sessions/${id}/restart`))
      await Bun.sleep(2_000)
      if (round % 2 === 1) await quiet()
    }
    options.say(`round ${round + 1} of ${options.rounds} done`)
  }
  const stillThere = await Promise.all(healthy.map((id) => wabun.statusOf(id)))
  await wabun.end()
  return [
    ...figures.flatMap((figure): Row[] => [
      {
        name: `API p99 of others, ${figure.name} (beside none)`,
        unit: 'ms',
        wabun: figure.with.map(({ p99 }) => p99),
        raw: figure.without.map(({ p99 }) => p99),
        goal: '≤ 1.5 × without',
        meets: (wabunMs, quietMs) => wabunMs <= 1.5 * quietMs,
      },
      {
        name: '… CPU of the server meanwhile',
        unit: '% of a core',
        wabun: figure.with.map(({ cpu }) => cpu),
        raw: figure.without.map(({ cpu }) => cpu),
        goal: '',
        meets: null,
      },
    ]),
    {
      name: '… others that stayed connected',
      unit: `of ${HEALTHY}`,
      wabun: [stillThere.filter((status) => status === 'connected').length],
      raw: [],
      goal: 'all',
      meets: (count) => count === HEALTHY,
    },
  ]
}
