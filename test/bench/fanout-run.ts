/** One event to a thousand WebSockets: the journal with its filters beside Bun's own publish. */
import { cpuOf } from '../harness/measure'
import { type Child, startChild } from '../harness/process'
import type { Row } from './report'
import type { BenchWorld } from './runs'

const CLIENTS = 1_000
const EVENTS = 200
const SIDES = ['publish', 'wabun'] as const
type Side = (typeof SIDES)[number]

type Fan = { child: Child; burst(): Promise<{ ms: number; cpu: number }>; end(): Promise<void> }

/** Starts one side and connects everybody to it. */
async function startFan(side: Side): Promise<Fan> {
  const child = await startChild({
    name: `fan-out by ${side}`,
    args: ['test/bench/fanout-server.ts', side],
    env: {},
  })
  const { stream, headers } = (await (await fetch(child.url)).json()) as {
    stream: string
    headers: Record<string, string>
  }
  let left = 0
  let all = Promise.withResolvers<void>()
  const sockets: WebSocket[] = []
  for (let at = 0; at < CLIENTS; at += 1) {
    const socket = new WebSocket(stream, { headers } as unknown as string[])
    sockets.push(socket)
    // The first frame of ours is the notice; nobody looks into the frames, on either side.
    const opened = Promise.withResolvers<void>()
    socket.onopen = () => opened.resolve()
    socket.onerror = () => opened.reject(new Error(`${side} refused a WebSocket`))
    socket.onmessage = () => {
      if (--left === 0) all.resolve()
    }
    await opened.promise
  }
  // A frame that came with the upgrade (`subscribed`) is behind us before anything is counted.
  await Bun.sleep(500)
  return {
    child,
    async burst() {
      all = Promise.withResolvers()
      left = CLIENTS * EVENTS
      const cpu = cpuOf(child.pid)
      const startedAt = performance.now()
      await (await fetch(`${child.url}/?n=${EVENTS}`, { method: 'POST' })).text()
      await all.promise
      return { ms: performance.now() - startedAt, cpu: cpuOf(child.pid) - cpu }
    },
    async end() {
      for (const socket of sockets) socket.terminate()
      await child.kill()
    },
  }
}

/** 200 events to 1,000 clients each, after one burst that is not counted. */
export async function measureFanout({ options }: BenchWorld): Promise<Row[]> {
  const rate: Record<Side, number[]> = { publish: [], wabun: [] }
  const cpu: Record<Side, number[]> = { publish: [], wabun: [] }
  for (let round = 0; round < options.rounds; round += 1) {
    for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) {
      const fan = await startFan(side)
      await fan.burst()
      const { ms, cpu: seconds } = await fan.burst()
      rate[side].push((CLIENTS * EVENTS) / (ms / 1000))
      cpu[side].push((seconds * 1e6) / (CLIENTS * EVENTS))
      await fan.end()
    }
    options.say(`round ${round + 1} of ${options.rounds} done`)
  }
  return [
    {
      name: `WebSocket fan-out to ${CLIENTS} clients (beside Bun's publish)`,
      unit: '1/s',
      wabun: rate.wabun,
      raw: rate.publish,
      goal: '≥ 0.7 × publish',
      meets: (wabun, raw) => wabun >= 0.7 * raw,
    },
    {
      name: '… CPU of the server per delivery',
      unit: 'µs',
      wabun: cpu.wabun,
      raw: cpu.publish,
      goal: '',
      meets: null,
    },
  ]
}
