/** The sandbox in a process of its own (`sandbox-server.ts`): it survives whatever happens to the gateways. */
import type { PhoneContent } from '../../src/sandbox/content-schemas'
import type { StatsSnapshot } from '../../src/sandbox/stats'
import { type Child, type Endpoint, startChild } from './process'

/** A message as the phone shows it. */
export type PhoneText = { id: string; from: string; text: string | null }

/** Something to be sent by a phone: a text or any content that phones know. */
export type Order = { from: string; to: string } & ({ text: string } | { content: PhoneContent })

/** Client of a sandbox process. Phone numbers are digits. */
export interface SandboxProcess {
  readonly child: Child
  /** The variables that point a server at it. */
  readonly endpoint: Endpoint
  addPhone(phoneNumber: string, name?: string): Promise<void>
  /** Scans a QR code; resolves when the companion is linked. */
  scan(phoneNumber: string, qr: string): Promise<void>
  /** Sends a text from a phone; resolves with the message id once the server has taken it. */
  say(from: string, to: string, text: string): Promise<string>
  /** Sends a document of random bytes from a phone. */
  sayFile(from: string, to: string, size: number): Promise<{ messageId: string; sha256: string }>
  /** The file of a message that a phone has got or is about to get. */
  fileAt(phoneNumber: string, messageId: string): Promise<{ size: number; sha256: string }>
  /** Makes a group; resolves with its address. */
  addGroup(owner: string, subject: string, members: readonly string[]): Promise<string>
  /** Sends many texts at once; resolves with their ids once the server has taken all. */
  burst(orders: readonly Order[]): Promise<string[]>
  /** Kills process `pid` at once when the n-th message or delivery receipt of this number's companion has arrived. */
  killAt(what: 'receipt' | 'message', pid: number, phoneNumber: string, nth: number): Promise<void>
  /**
   * Cuts this number's connection without a word when so many delivery receipts of its companion have arrived, then after
   * so many more, and so on. Until the last cut no backlog comes to its end mark, which Baileys waits for.
   */
  dropAtReceipts(phoneNumber: string, counts: readonly number[]): Promise<void>
  /**
   * Ids that this number's companion has confirmed, and those of messages that anybody could not decrypt, both since the
   * last time they were asked for.
   */
  confirmed(phoneNumber: string): Promise<{ ids: string[]; unreadable: string[] }>
  /** From now on keeps every message that goes to this number's companion. */
  remember(phoneNumber: string): Promise<void>
  /** Delivers all that was kept so many times again, in another order each time; resolves with the number of stanzas. */
  redeliver(phoneNumber: string, times: number, seed: number): Promise<number>
  /** Ids of stanzas that companions have refused with an error, and which. */
  refused(): Promise<string[]>
  /** What a phone has got from others, decrypted there, without the first `after`. A caption counts as text. */
  received(phoneNumber: string, after?: number): Promise<PhoneText[]>
  /** A fault by its name (contract §9); resolves with its id. */
  fault(fault: Record<string, unknown>): Promise<string>
  clearFaults(): Promise<void>
  stats(): Promise<StatsSnapshot>
  /** Messages that companions have confirmed so far, and when the last was (ms since the epoch, with fractions). */
  tally(): Promise<{ confirmed: number; lastAt: number }>
  /** When the first WebSocket since the last `watchConnections` came (ms since the epoch, with fractions). */
  firstConnection(): Promise<number | null>
  watchConnections(): Promise<void>
  stop(): Promise<void>
}

const answerOf = async <T>(response: Response): Promise<T> => {
  if (!response.ok) throw new Error(`The sandbox answered ${response.status}: ${await response.text()}`)
  return (await response.json()) as T
}

/** Starts the process and resolves when it listens. */
export async function startSandboxProcess(): Promise<SandboxProcess> {
  const child = await startChild({ name: 'sandbox', args: ['test/harness/sandbox-server.ts'], env: {} })
  const call = async <T>(method: string, path: string, body?: unknown): Promise<T> => {
    const request =
      body === undefined
        ? { method }
        : { method, body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const response = await fetch(`${child.url}${path}`, request).catch((error: unknown) => {
      throw new Error(`The sandbox does not answer: ${String(error)}\n${child.output().slice(-4000)}`)
    })
    return answerOf<T>(response)
  }
  return {
    child,
    endpoint: await call<Endpoint>('GET', '/endpoint'),
    async addPhone(phoneNumber, name = `Phone ${phoneNumber}`) {
      await call('POST', '/phones', { phoneNumber, name })
    },
    async scan(phoneNumber, qr) {
      await call('POST', `/phones/${phoneNumber}/scan`, { qr })
    },
    say: async (from, to, text) =>
      (await call<{ messageId: string }>('POST', `/phones/${from}/messages`, { to, text })).messageId,
    sayFile: (from, to, size) => call('POST', `/phones/${from}/files`, { to, size }),
    fileAt: (phoneNumber, messageId) => call('GET', `/phones/${phoneNumber}/files/${messageId}`),
    addGroup: async (owner, subject, members) =>
      (await call<{ jid: string }>('POST', '/groups', { owner, subject, members })).jid,
    burst: (orders) => call<string[]>('POST', '/burst', orders),
    async killAt(tag, pid, phoneNumber, nth) {
      await call('POST', '/doom', { tag, pid, phoneNumber, left: nth })
    },
    confirmed: (phoneNumber) => call('GET', `/confirmed/${phoneNumber}`),
    async dropAtReceipts(phoneNumber, [left, ...more]) {
      await call('POST', '/doom', { tag: 'receipt', pid: null, phoneNumber, left, more })
    },
    async remember(phoneNumber) {
      await call('PUT', `/remembered/${phoneNumber}`)
    },
    redeliver: async (phoneNumber, times, seed) =>
      (await call<{ sent: number }>('POST', `/remembered/${phoneNumber}`, { times, seed })).sent,
    refused: () => call('GET', '/refused'),
    received: (phoneNumber, after = 0) =>
      call<PhoneText[]>('GET', `/phones/${phoneNumber}/messages?after=${after}`),
    fault: async (fault) => (await call<{ id: string }>('POST', '/faults', fault)).id,
    async clearFaults() {
      await call('DELETE', '/faults')
    },
    tally: () => call('GET', '/tally'),
    stats: () => call<StatsSnapshot>('GET', '/stats'),
    firstConnection: async () => (await call<{ at: number | null }>('GET', '/first-connection')).at,
    async watchConnections() {
      await call('DELETE', '/first-connection')
    },
    async stop() {
      await child.stop()
    },
  }
}
