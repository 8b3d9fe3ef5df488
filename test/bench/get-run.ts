/**
 * An authenticated `GET /api/sessions/:id` of the whole server beside Bun's own server, which knows nothing and answers the
 * same JSON, and beside Express on Node doing the same. All three stay up; rounds alternate between them.
 */
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { cpuOf, percentile } from '../harness/measure'
import { type Child, startChild } from '../harness/process'
import { startExpress, startRaw } from './get-servers'
import type { Row } from './report'
import type { BenchWorld } from './runs'

const CONNECTIONS = 16
const WARM_MS = 1_500
const ROUND_MS = 3_000
const KEY = 'bench-key-0123456789-0123456789-abcdef'

type Side = 'raw' | 'wabun' | 'express'
type Load = { perSecond: number; p99: number; cpu: number }

/** Asks over so many connections, each for the next answer as soon as it has one, and counts whole answers. */
async function load(child: Child, path: string, key: string, ms: number): Promise<Load> {
  const { hostname, port } = new URL(child.url)
  const request = `GET ${path} HTTP/1.1\r\nHost: ${hostname}:${port}\r\nX-API-Key: ${key}\r\nAccept: application/json\r\n\r\n`
  const times: number[] = []
  let answers = 0
  let ends = 0
  const cpu = cpuOf(child.pid)
  const startedAt = performance.now()
  await Promise.all(
    Array.from({ length: CONNECTIONS }, async () => {
      const over = Promise.withResolvers<void>()
      let got = ''
      let askedAt = 0
      const socket = await Bun.connect({
        hostname,
        port: Number(port),
        socket: {
          data(connection, bytes) {
            got = got === '' ? bytes.toString('latin1') : got + bytes.toString('latin1')
            const head = got.indexOf('\r\n\r\n')
            if (head < 0) return
            const length = /\r\ncontent-length: (\d+)/i.exec(got.slice(0, head))?.[1]
            if (!got.startsWith('HTTP/1.1 200') || length === undefined) {
              over.reject(new Error(`${child.url}${path} answered ${got.slice(0, 200)}`))
              return
            }
            if (got.length < head + 4 + Number(length)) return
            got = ''
            const now = performance.now()
            answers += 1
            times.push(now - askedAt)
            if (now - startedAt >= ms) over.resolve()
            else {
              askedAt = now
              connection.write(request)
            }
          },
          error: (_, error) => over.reject(error),
          close: () => over.reject(new Error(`${child.url} has closed a connection`)),
        },
      })
      askedAt = performance.now()
      socket.write(request)
      await over.promise
      ends = Math.max(ends, performance.now())
      socket.terminate()
    }),
  )
  return {
    perSecond: answers / ((ends - startedAt) / 1000),
    p99: percentile(times, 0.99),
    cpu: ((cpuOf(child.pid) - cpu) * 1e6) / answers,
  }
}

/** The server with one session and a key of its own for it. */
async function startWabun(): Promise<{ child: Child; path: string; key: string; body: unknown }> {
  const child = await startChild({
    name: 'wabun serve',
    args: ['src/main.ts', 'serve'],
    env: {
      HOST: '127.0.0.1',
      PORT: '0',
      DATA_DIR: mkdtempSync(join(tmpdir(), 'wabun-get-')),
      SANDBOX: 'true',
      API_KEY: KEY,
      LOG_LEVEL: 'warn',
    },
  })
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const answer = await fetch(child.url + path, {
      method,
      headers: { 'x-api-key': KEY, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${await answer.text()}`)
    return (await answer.json()) as T
  }
  const { session } = await call<{ session: { id: string } }>('POST', '/api/sessions', { name: 'Shop' })
  const { apiKey } = await call<{ apiKey: string }>('POST', '/api/auth/api-keys', { name: 'Bench' })
  const path = `/api/sessions/${session.id}`
  return { child, path, key: apiKey, body: await call('GET', path) }
}

export async function measureGet({ options }: BenchWorld): Promise<Row[]> {
  const { child, path, key, body } = await startWabun()
  const express = await startExpress(body, options.say)
  const children: [Side, Child][] = [
    ['raw', await startRaw(body)],
    ['wabun', child],
    ...(express ? ([['express', express]] as [Side, Child][]) : []),
  ]
  const rate: Record<Side, number[]> = { raw: [], wabun: [], express: [] }
  const p99: Record<Side, number[]> = { raw: [], wabun: [], express: [] }
  const cpu: Record<Side, number[]> = { raw: [], wabun: [], express: [] }
  for (const [, one] of children) await load(one, path, key, WARM_MS)
  for (let round = 0; round < options.rounds; round += 1) {
    for (const [side, one] of round % 2 === 0 ? children : children.toReversed()) {
      const figures = await load(one, path, key, ROUND_MS)
      rate[side].push(figures.perSecond)
      p99[side].push(figures.p99)
      cpu[side].push(figures.cpu)
    }
    options.say(`round ${round + 1} of ${options.rounds} done`)
  }
  for (const [, one] of children) await one.kill()
  const beside = (yardstick: string) => `(beside ${yardstick})`
  return [
    {
      name: `GET of a session, ${CONNECTIONS} connections ${beside('Bun.serve')}`,
      unit: '1/s',
      wabun: rate.wabun,
      raw: rate.raw,
      goal: '≥ 0.4 × Bun.serve',
      meets: (wabun, raw) => wabun >= 0.4 * raw,
    },
    {
      name: '… p99',
      unit: 'ms',
      wabun: p99.wabun,
      raw: p99.raw,
      goal: '≤ 3 × Bun.serve',
      meets: (wabun, raw) => wabun <= 3 * raw,
    },
    // The client shares the machine, so the rate of the faster side is partly the client's; this is the server's alone.
    {
      name: '… CPU of the server',
      unit: 'µs',
      wabun: cpu.wabun,
      raw: cpu.raw,
      goal: '≤ 2.5 × Bun.serve',
      meets: (wabun, raw) => wabun <= 2.5 * raw,
    },
    ...(express
      ? [
          {
            name: `GET of a session ${beside('Express on Node')}`,
            unit: '1/s',
            wabun: rate.wabun,
            raw: rate.express,
            goal: '≥ 3 × Express',
            meets: (wabun: number, raw: number) => wabun >= 3 * raw,
          },
          {
            name: '… CPU of the server',
            unit: 'µs',
            wabun: cpu.wabun,
            raw: cpu.express,
            goal: '',
            meets: null,
          },
        ]
      : [
          {
            name: `GET of a session ${beside('Express on Node')}: not measured`,
            unit: '',
            wabun: [],
            raw: [],
            goal: '',
            meets: null,
          },
        ]),
  ]
}
