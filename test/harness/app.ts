/** The whole product in the test's process, on free ports, in a directory of its own, with its sandbox. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type App, type AppParts, createApp } from '../../src/app'
import { loadConfig } from '../../src/config'
import { createLog } from '../../src/lib/log'

/** The owner's key in every test app. */
export const OWNER_KEY = 'wapi_test-owner-key-0123456789-abcdefghij'

export type Answer<Body = Record<string, unknown>> = {
  status: number
  headers: Headers
  /** The parsed JSON, or the text where it is none. */
  body: Body
}

export type CallOptions = {
  body?: unknown
  /** A body that is sent as it is. */
  raw?: string | Uint8Array
  headers?: Record<string, string>
  /** Another key than the owner's; null = none. */
  key?: string | null
}

export interface TestApp {
  readonly app: App
  readonly url: string
  readonly dataDir: string
  /** Log lines written so far. */
  readonly lines: readonly string[]
  call<Body = Record<string, unknown>>(
    method: string,
    path: string,
    options?: CallOptions,
  ): Promise<Answer<Body>>
  /** Like `call`, and fails unless the answer is 2xx. */
  ok<Body = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Body>
  /** A new session with this name; not started. */
  session(name?: string, settings?: Record<string, unknown>): Promise<string>
  /** Starts a session and lets a new phone scan its code; resolves when it is connected. */
  linked(phoneNumber: string, settings?: Record<string, unknown>): Promise<string>
  phone(phoneNumber: string, name?: string): Promise<void>
  /** Asks until `look` finds something in the session's detail. */
  until<T>(id: string, look: (session: Record<string, unknown>) => T | null | undefined | false): Promise<T>
  /** Ends in order and starts on the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

export type TestAppOptions = {
  flags?: Record<string, string | true>
  sandboxOptions?: NonNullable<AppParts['sandboxOptions']>
  clock?: NonNullable<AppParts['clock']>
  outside?: NonNullable<AppParts['outside']>
}

/** Starts the app; `flags` are added to those of a test. */
export async function startApp(options: TestAppOptions = {}): Promise<TestApp> {
  const dataDir = mkdtempSync(join(tmpdir(), 'wabun-app-'))
  const lines: string[] = []
  const log = createLog({
    level: 'debug',
    format: 'json',
    write: (line) => lines.push(line),
    now: () => Date.now(),
  })
  const config = loadConfig({
    env: {},
    flags: {
      '--port': '0',
      '--data-dir': dataDir,
      '--sandbox': true,
      '--api-key': OWNER_KEY,
      '--webhook-allow-insecure': true,
      '--webhook-allow-networks': '127.0.0.0/8',
      '--media-allow-networks': '127.0.0.0/8',
      // Tests ask as fast as they can; those of the limits take these away.
      '--plan-free':
        'requests=unlimited,pairings=unlimited,messages=unlimited,webhooks=unlimited,keys=unlimited',
      '--plan-pro':
        'requests=unlimited,pairings=unlimited,messages=unlimited,webhooks=unlimited,keys=unlimited',
      '--auth-attempts': '0',
      '--auth-failures': '0',
      ...options.flags,
    },
  })
  const begin = async () => {
    const app = await createApp(config, {
      log,
      ...(options.clock ? { clock: options.clock } : {}),
      ...(options.outside ? { outside: options.outside } : {}),
      ...(options.sandboxOptions ? { sandboxOptions: options.sandboxOptions } : {}),
    })
    await app.start()
    return app
  }
  let app = await begin()

  const call = async <Body>(method: string, path: string, given: CallOptions = {}): Promise<Answer<Body>> => {
    const { body, raw, headers = {}, key = OWNER_KEY } = given
    const response = await fetch(app.url + path, {
      method,
      headers: {
        ...(key === null ? {} : { 'x-api-key': key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(raw === undefined ? {} : { body: raw as string }),
    })
    const text = await response.text()
    const json = (response.headers.get('content-type') ?? '').startsWith('application/json')
    return {
      status: response.status,
      headers: response.headers,
      body: (json && text !== '' ? JSON.parse(text) : text) as Body,
    }
  }
  const ok = async <Body>(method: string, path: string, given?: CallOptions): Promise<Body> => {
    const answer = await call<Body>(method, path, given)
    if (answer.status >= 200 && answer.status < 300) return answer.body
    throw new Error(`${method} ${path} answered ${answer.status}: ${JSON.stringify(answer.body)}`)
  }
  const session = async (name = 'Test', settings?: Record<string, unknown>) => {
    const made = await ok<{ session: { id: string } }>('POST', '/api/sessions', {
      body: { name, ...(settings ? { settings } : {}) },
    })
    return made.session.id
  }
  const phone = async (phoneNumber: string, name = `Phone ${phoneNumber}`) => {
    await ok('POST', '/sandbox/phones', { body: { phoneNumber, name } })
  }
  const until = async <T>(
    id: string,
    look: (session: Record<string, unknown>) => T | null | undefined | false,
  ): Promise<T> => {
    const deadline = performance.now() + 20_000
    for (;;) {
      const { session: shown } = await ok<{ session: Record<string, unknown> }>('GET', `/api/sessions/${id}`)
      const found = look(shown)
      if (found) return found
      if (performance.now() > deadline) throw new Error(`Still not: ${JSON.stringify(shown)}`)
      await Bun.sleep(10)
    }
  }
  return {
    get app() {
      return app
    },
    get url() {
      return app.url
    },
    dataDir,
    lines,
    call,
    ok,
    session,
    phone,
    until,
    async linked(phoneNumber, settings) {
      await phone(phoneNumber)
      const id = await session(`Of ${phoneNumber}`, settings)
      await ok('POST', `/api/sessions/${id}/start`)
      const { qrText } = await ok<{ qrText: string }>('GET', `/api/sessions/${id}/qr`)
      await ok('POST', `/sandbox/phones/${phoneNumber}/scan`, { body: { qr: qrText } })
      await until(id, ({ status }) => status === 'connected')
      return id
    },
    async restart() {
      await app.stop()
      app = await begin()
    },
    async stop() {
      await app.stop()
      rmSync(dataDir, { recursive: true, force: true })
    },
  }
}
