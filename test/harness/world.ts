/**
 * A whole world of processes: the sandbox in its own, and the product or the raw Baileys gateway in another.
 *
 * Both gateways are driven through the same few verbs, so that a rig can put one in the other's place.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inParallel, until } from './measure'
import { type Child, startChild } from './process'
import type { SandboxProcess } from './sandbox-process'

/** A gateway as the rigs see it. */
export interface Gateway {
  readonly name: 'wabun' | 'raw'
  readonly child: Child
  readonly dataDir: string
  /** Starts the process on its data directory. */
  start(env?: Record<string, string>, onSpawn?: (pid: number) => void): Promise<void>
  /** SIGKILL. */
  kill(): Promise<void>
  /** Makes a session and resolves with its id. */
  createSession(name: string): Promise<string>
  /** The QR text of a session that was just opened. */
  qrOf(id: string): Promise<string>
  connected(): Promise<number>
  statusOf(id: string): Promise<string>
  /** Resolves with the message id after the server's acknowledgement. */
  send(id: string, to: string, text: string, key?: string): Promise<string>
  /** Collects the process's garbage, if it was started with the preload that can. */
  collect(): void
  /** Stops the process and removes the data directory. */
  end(): Promise<void>
}

const asJson = async <T>(response: Response): Promise<T> => {
  if (!response.ok)
    throw new Error(`${response.url} answered ${response.status}: ${(await response.text()).slice(0, 500)}`)
  return (await response.json()) as T
}
const post = (url: string, body: unknown, headers: Record<string, string> = {}) =>
  fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

/** The owner's key in every test process. */
export const API_KEY = 'wapi_test-key-of-the-owner-0123456789abcdef'

const temporary = (name: string): string => mkdtempSync(join(tmpdir(), `wabun-${name}-`))

/** Phone numbers of a rig: the same base and different ends. */
export const numberOf = (index: number, base = 49_170_000_0000): string => String(base + index)

export type WabunOptions = {
  sandbox: Pick<SandboxProcess, 'endpoint'>
  env?: Record<string, string>
  preload?: string
  /** A compiled program to run in place of the sources; the variable `WABUN_PROGRAM` unless given. */
  program?: string
  /** A command that runs it, such as `strace`; it must leave its place to it, so that signals arrive. */
  under?: readonly string[]
}

export type HistoryMessage = { id: string; text?: string; from: string; to: string; status: string }

/** The product's own verbs beside those of any gateway; calls carry the owner's key. */
export interface Wabun extends Gateway {
  call(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
  /** Like `call`; rejects unless the answer is 2xx. */
  api<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<T>
  /** The whole history of a session, newest first. */
  history(id: string): Promise<HistoryMessage[]>
}

/** The product: `bun src/main.ts serve` on a directory of its own. */
export function wabunGateway(options: WabunOptions): Wabun {
  const dataDir = temporary('data')
  const program = options.program ?? process.env.WABUN_PROGRAM
  const preload = program === undefined ? options.preload : undefined
  const { under = [] } = options
  const args = program ? ['serve'] : [...(preload ? ['--preload', preload] : []), 'src/main.ts', 'serve']
  const started = { args, ...(program ? { program } : {}) }
  const command = [program ?? process.execPath, ...args]
  let child: Child | null = null
  const running = (): Child => {
    if (child === null) throw new Error('The service is not running')
    return child
  }
  const call = (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) =>
    fetch(`${running().url}${path}`, {
      method,
      headers: {
        'x-api-key': API_KEY,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const api = async <T>(method: string, path: string, body?: unknown, headers?: Record<string, string>) =>
    asJson<T>(await call(method, path, body, headers))
  return {
    name: 'wabun',
    dataDir,
    get child() {
      return running()
    },
    async start(env = {}, onSpawn) {
      child = await startChild({
        ...(onSpawn === undefined ? {} : { onSpawn }),
        name: 'wabun serve',
        ...(under.length > 0 ? { program: under[0] ?? '', args: [...under.slice(1), ...command] } : started),
        env: {
          HOST: '127.0.0.1',
          PORT: '0',
          DATA_DIR: dataDir,
          API_KEY,
          LOG_FORMAT: 'json',
          WEBHOOK_ALLOW_INSECURE: 'true',
          WEBHOOK_ALLOW_NETWORKS: '127.0.0.0/8',
          MEDIA_ALLOW_NETWORKS: '127.0.0.0/8',
          ...options.sandbox.endpoint,
          ...options.env,
          ...env,
        },
      })
    },
    kill: () => running().kill(),
    collect() {
      if (preload !== undefined) running().signal('SIGUSR2')
    },
    async createSession(name) {
      const made = await api<{ session: { id: string } }>('POST', '/api/sessions', { name })
      await api('POST', `/api/sessions/${made.session.id}/start`)
      return made.session.id
    },
    qrOf: async (id) => (await api<{ qrText: string }>('GET', `/api/sessions/${id}/qr?wait=60`)).qrText,
    connected: async () =>
      (await api<{ sessions: { connected: number } }>('GET', '/api/status')).sessions.connected,
    statusOf: async (id) => (await api<{ status: string }>('GET', `/api/sessions/${id}/status`)).status,
    send: async (id, to, text, key) =>
      (
        await api<{ messageId: string }>(
          'POST',
          '/api/messages/send/text',
          { sessionId: id, to, text },
          key === undefined ? {} : { 'idempotency-key': key },
        )
      ).messageId,
    async history(id) {
      const all: HistoryMessage[] = []
      for (;;) {
        const page = await api<{ messages: HistoryMessage[]; hasMore: boolean }>(
          'GET',
          `/api/messages/history/${id}?limit=100&offset=${all.length}`,
        )
        all.push(...page.messages)
        if (!page.hasMore) return all
      }
    },
    api,
    call,
    async end() {
      await child?.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** The yardstick: stock Baileys with SQLite keys, a bare port and a bare webhook. */
export function rawGateway(options: {
  sandbox: SandboxProcess
  webhookUrl: string
  preload?: string
}): Gateway {
  const dataDir = temporary('raw')
  let child: Child | null = null
  const running = (): Child => {
    if (child === null) throw new Error('The raw gateway is not running')
    return child
  }
  type Row = { id: string; status: string; qr: string | null }
  const rows = async () => asJson<Row[]>(await fetch(`${running().url}/sessions`))
  return {
    name: 'raw',
    dataDir,
    get child() {
      return running()
    },
    async start(env = {}, onSpawn) {
      child = await startChild({
        ...(onSpawn === undefined ? {} : { onSpawn }),
        name: 'raw gateway',
        args: [
          ...(options.preload === undefined ? [] : ['--preload', options.preload]),
          'test/bench/raw-gateway.ts',
        ],
        env: { DATA_DIR: dataDir, WEBHOOK_URL: options.webhookUrl, ...options.sandbox.endpoint, ...env },
      })
    },
    kill: () => running().kill(),
    collect() {
      if (options.preload !== undefined) running().signal('SIGUSR2')
    },
    async createSession(name) {
      await asJson(await post(`${running().url}/sessions`, { id: name }))
      return name
    },
    qrOf: (id) =>
      until(`a QR code of ${id}`, async () => (await rows()).find((row) => row.id === id)?.qr ?? null),
    connected: async () =>
      (await asJson<{ connected: number }>(await fetch(`${running().url}/connected`))).connected,
    statusOf: async (id) => (await rows()).find((row) => row.id === id)?.status ?? 'unknown',
    send: async (id, to, text) =>
      (await asJson<{ messageId: string }>(await post(`${running().url}/send`, { sessionId: id, to, text })))
        .messageId,
    async end() {
      await child?.kill()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}

/** Links one new phone per number; resolves with the session ids, in the order of the numbers, once all are connected. */
export async function pairAll(
  gateway: Gateway,
  sandbox: SandboxProcess,
  numbers: readonly string[],
  onProgress: (done: number) => void = () => undefined,
): Promise<string[]> {
  const before = await gateway.connected()
  const ids: string[] = []
  let done = 0
  await inParallel(numbers, 4, async (number, index) => {
    await sandbox.addPhone(number)
    const id = await gateway.createSession(`session-${number}`)
    ids[index] = id
    await sandbox.scan(number, await gateway.qrOf(id))
    onProgress(++done)
  })
  await allConnected(gateway, before + numbers.length)
  return ids
}

/** Resolves once exactly `count` sessions are connected. */
export const allConnected = (gateway: Gateway, count: number, withinMs = 120_000): Promise<true> =>
  until(
    `${count} sessions of ${gateway.name} connected`,
    async () => ((await gateway.connected()) >= count ? (true as const) : null),
    withinMs,
  )
