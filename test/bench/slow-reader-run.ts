/** One reader of a thousand does not read: what the others notice of it (quality promise P13). */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { percentile, until } from '../harness/measure'
import { startChild } from '../harness/process'
import type { Row } from './report'
import type { BenchWorld } from './runs'

const CLIENTS = 999
const EVENTS = 200
/** Milliseconds between two events. */
const EVERY = 50
/** So long the server waits for one that stalls, and a little (ms). */
const PATIENCE = 12_000
/** The close code of a reader that is too slow, in the order of the network. */
const SLOW_CONSUMER = Buffer.from([4408 >> 8, 4408 & 255])
const MiB = 1024 * 1024

type Place = { stream: string; session: string; key: string }

/** A WebSocket by hand that is told of everything and reads nothing. */
async function stalledReader({ stream, key }: Place): Promise<Socket> {
  const { hostname, port, pathname } = new URL(stream)
  const socket = connect(Number(port), hostname)
  await once(socket, 'connect')
  socket.write(
    `GET ${pathname} HTTP/1.1\r\nHost: localhost\r\nX-API-Key: ${key}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  socket.pause()
  return socket
}

/** Reads what was held for it: how much, and whether it ends with the close that slow readers get. */
async function whatIsLeft(socket: Socket): Promise<{ bytes: number; closed: boolean }> {
  let bytes = 0
  let tail: Buffer = Buffer.alloc(0)
  socket.on('data', (data: Buffer) => {
    bytes += data.length
    tail = Buffer.concat([tail, data]).subarray(-200)
  })
  socket.on('error', () => undefined)
  socket.resume()
  await until('the end of the stalled reader', () => (socket.closed ? true : null))
  return { bytes, closed: tail.includes(SLOW_CONSUMER) }
}

/** Delay from commit to client, with and without the one that stalls; everything else is the same. */
export async function measureSlowReader({ options }: BenchWorld): Promise<Row[]> {
  const child = await startChild({ name: 'slow reader', args: ['test/bench/slow-reader-server.ts'], env: {} })
  const place = (await (await fetch(child.url)).json()) as Place
  let delays: number[] = []
  const clients: WebSocket[] = []
  for (let at = 0; at < CLIENTS; at += 1) {
    const address = `${place.stream}?events=message.*&sessionIds=${place.session}`
    const client = new WebSocket(address, { headers: { 'x-api-key': place.key } } as unknown as string[])
    const opened = Promise.withResolvers<void>()
    client.onopen = () => opened.resolve()
    client.onerror = () => opened.reject(new Error('A WebSocket was refused'))
    client.onmessage = ({ data }) => {
      const sentAt = /"sentAt":([\d.]+)/.exec(data as string)?.[1]
      if (sentAt !== undefined) delays.push(performance.timeOrigin + performance.now() - Number(sentAt))
    }
    clients.push(client)
    await opened.promise
  }
  const phase = async (): Promise<number> => {
    delays = []
    await (await fetch(`${child.url}/?n=${EVENTS}&every=${EVERY}`, { method: 'POST' })).text()
    await until('all frames', () => (delays.length === CLIENTS * EVENTS ? true : null))
    return percentile(delays, 0.99)
  }
  const quiet: number[] = []
  const stalled: number[] = []
  const held: number[] = []
  const closes: number[] = []
  await phase()
  for (let round = 0; round < options.rounds; round += 1) {
    const disturbed = async () => {
      const socket = await stalledReader(place)
      stalled.push(await phase())
      await Bun.sleep(PATIENCE)
      const { bytes, closed } = await whatIsLeft(socket)
      held.push(bytes / MiB)
      closes.push(closed ? 1 : 0)
    }
    if (round % 2 === 0) quiet.push(await phase())
    await disturbed()
    if (round % 2 === 1) quiet.push(await phase())
    options.say(`round ${round + 1} of ${options.rounds} done`)
  }
  for (const client of clients) client.terminate()
  await child.kill()
  return [
    {
      name: `p99 from commit to ${CLIENTS} readers, one more stalls (beside none)`,
      unit: 'ms',
      wabun: stalled,
      raw: quiet,
      goal: '≤ 1.5 × without',
      meets: (wabun, raw) => wabun <= 1.5 * raw,
    },
    {
      name: '… held for the one that stalls, with what the kernel holds',
      unit: 'MiB',
      wabun: held,
      raw: [],
      goal: `of ${((EVENTS * 200_000) / MiB).toFixed(0)}`,
      meets: null,
    },
    {
      name: '… closed as too slow (1 = yes)',
      unit: '',
      wabun: closes,
      raw: [],
      goal: 'always',
      meets: () => closes.every((one) => one === 1),
    },
  ]
}
