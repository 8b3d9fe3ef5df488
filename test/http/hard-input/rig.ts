/**
 * What every row is tried on: one server with nothing opened but 127.0.0.5, which stands for a place on the Internet, two
 * accounts, a linked session, and sockets that say what no HTTP client would.
 */
import { expect } from 'bun:test'
import { connect } from 'node:net'
import type { ErrorCode } from '../../../src/domain/errors'
import type { ResolvedAddress } from '../../../src/lib/target'
import { issueHostCertificate } from '../../../src/sandbox/tls-certificate'
import { type CallOptions, OWNER_KEY, startApp, type TestApp } from '../../harness/app'
import { createHastyClock, type HastyClock } from '../../harness/hasty-clock'

/** The one address outside that may be reached. */
export const OUTSIDE = '127.0.0.5'
export const PHONE = '491703370001'
export const FRIEND = '491703370002'

export type Refusal = {
  success: boolean
  error: string
  code: string
  status: number
  details?: Record<string, unknown> & { fields?: { path: string; message: string }[] }
}
export type Refused = { headers: Headers; body: Refusal; paths: string[] }
type Account = { token: string; apiKey: string; id: string }

/** What signs the rig's tokens, so that a row can make some of its own. */
/** Refused credentials that an address has in a minute. */
export const MOST_FAILURES = 900
export const JWT_SECRET = 'a secret of the rig that signs tokens, long enough'

export interface HardRig {
  readonly app: TestApp
  readonly clock: HastyClock
  readonly port: number
  readonly ada: Account
  readonly bob: Account
  /** A session of Ada's, never started. */
  readonly adas: string
  /** The owner's linked session, and what a send to its friend needs. */
  linked(): Promise<string>
  /** What names mean; each answer but the last is used once. */
  readonly names: Map<string, string[][]>
  /** A certificate for `right.example` that the server's client trusts. */
  readonly certificate: { key: string; cert: string }
  /** Calls, and fails unless the answer is this refusal in the one shape; `at`: fields that must be named. */
  refused(
    method: string,
    path: string,
    options: CallOptions | undefined,
    expected: [status: number, code: ErrorCode, ...at: string[]],
  ): Promise<Refused>
  /**
   * Sends bytes over a connection of its own and ends it after the first whole answer, or after what is said `next` has
   * been answered too; resolves when it is closed. (Bun closes a connection on which a request comes before the last one
   * is answered.)
   */
  raw(
    bytes: string | Uint8Array,
    also?: { drip?: { piece: string; everyMs: number }; next?: string },
  ): Promise<RawAnswer>
  /** Ends with the rig. */
  onEnd(end: () => unknown): void
  stop(): Promise<void>
}

export type RawAnswer = {
  text: string
  /** Status lines, in their order. */
  statuses: number[]
  /** The last body, parsed; null when it is not JSON. */
  body: Refusal | null
}

export async function startHardRig(): Promise<HardRig> {
  const clock = createHastyClock()
  const names = new Map<string, string[][]>()
  const ends: (() => unknown)[] = []
  const { keyPem, certPem, caPem } = issueHostCertificate('right.example', Date.now())
  const app = await startApp({
    clock,
    flags: {
      '--registration': 'open',
      '--jwt-secret': JWT_SECRET,
      '--auth-failures': String(MOST_FAILURES),
      '--webhook-allow-insecure': 'false',
      '--webhook-allow-networks': `${OUTSIDE}/32`,
      '--media-allow-networks': `${OUTSIDE}/32`,
    },
    outside: {
      resolve: async (host): Promise<ResolvedAddress[]> => {
        const answers = names.get(host)
        const addresses = answers && answers.length > 1 ? answers.shift() : answers?.[0]
        if (!addresses) throw new Error('ENOTFOUND')
        return addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }))
      },
      own: () => ['9.9.9.9'],
      fetch: (url, init) => {
        // What must not be reached would be the Internet itself here.
        if (!new URL(url).hostname.startsWith('127.')) throw new Error(`${url} was asked`)
        return fetch(url, { ...init, tls: { ...init.tls, ca: caPem } })
      },
    },
  })
  await app.ok('GET', '/api/auth/profile')
  const register = async (username: string): Promise<Account> => {
    const made = await app.ok<{ token: string; apiKey: string; user: { id: string } }>(
      'POST',
      '/api/auth/register',
      { key: null, body: { username, email: `${username}@example.com`, password: 'a long password' } },
    )
    return { token: made.token, apiKey: made.apiKey, id: made.user.id }
  }
  const ada = await register('ada')
  const bob = await register('bob')
  const made = await app.ok<{ session: { id: string } }>('POST', '/api/sessions', {
    key: ada.apiKey,
    body: { name: 'Ada’s' },
  })
  const port = Number(new URL(app.url).port)
  let link: Promise<string> | null = null

  return {
    app,
    clock,
    port,
    ada,
    bob,
    adas: made.session.id,
    names,
    linked() {
      link ??= app.phone(FRIEND).then(() => app.linked(PHONE))
      return link
    },
    certificate: { key: keyPem, cert: certPem },
    async refused(method, path, options, [status, code, ...at]) {
      const answer = await app.call<Refusal>(method, path, options)
      const told = `${method} ${path.slice(0, 100)} ${JSON.stringify(options?.body ?? null).slice(0, 200)}`
      expect({ told, status: answer.status, code: answer.body.code }).toEqual({ told, status, code })
      expectEnvelope(answer.body, answer.status)
      expect(answer.headers.get('x-request-id')).toBeTruthy()
      const paths = (answer.body.details?.fields ?? []).map((field) => field.path).sort()
      if (at.length > 0) expect({ told, paths }).toEqual({ told, paths: at.sort() })
      return { headers: answer.headers, body: answer.body, paths }
    },
    raw: (bytes, { drip, next } = {}) =>
      new Promise((resolve, reject) => {
        const socket = connect(port, '127.0.0.1')
        let text = ''
        let said = false
        const dripping = drip
          ? setInterval(() => socket.writable && socket.write(drip.piece), drip.everyMs)
          : undefined
        socket.on('data', (data) => {
          text += data.toString('latin1')
          if (!isWhole(text)) return
          if (next !== undefined && !said) socket.write(next)
          else socket.end()
          said = true
        })
        // A reset is an end like any other here; what was answered before is what counts.
        socket.on('error', () => undefined)
        socket.on('close', () => {
          clearInterval(dripping)
          resolve(rawAnswer(text))
        })
        socket.on('timeout', () => reject(new Error('The connection stays open without an answer')))
        socket.write(bytes)
      }),
    onEnd: (end) => {
      ends.push(end)
    },
    async stop() {
      for (const end of ends.reverse()) await end()
      await app.stop()
    },
  }
}

/** The contract's one shape, and nothing of the inside. */
export function expectEnvelope(body: Refusal, status: number): void {
  expect(body.success).toBe(false)
  expect(body.status).toBe(status)
  expect(body.error.length).toBeGreaterThan(5)
  expect(body.code).toMatch(/^[A-Z][A-Z_]+$/)
  expect(JSON.stringify(body)).not.toMatch(/at .*:\d+:\d+|node_modules|\/src\/|SQLITE/)
}

/** Whether the first answer (100 aside) has come with all of its body. */
export function isWhole(text: string): boolean {
  const answer = text.replace(/^HTTP\/1\.1 100 [^\r]*\r\n\r\n/, '')
  const split = answer.indexOf('\r\n\r\n')
  if (split === -1) return false
  const length = /^content-length: (\d+)/im.exec(answer.slice(0, split))?.[1]
  return answer.length >= split + 4 + Number(length ?? 0)
}

function rawAnswer(text: string): RawAnswer {
  const statuses = [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status))
  const json = text.slice(text.lastIndexOf('\r\n\r\n') + 4)
  return { text, statuses, body: json.startsWith('{') ? (JSON.parse(json) as Refusal) : null }
}

/** The head of a raw request by the owner. */
export const head = (method: string, path: string, ...more: string[]): string =>
  [`${method} ${path} HTTP/1.1`, 'Host: wabun.test', `X-API-Key: ${OWNER_KEY}`, ...more, '', ''].join('\r\n')
