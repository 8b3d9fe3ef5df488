/** A sandbox, simulated phones and our adapter in one process; every wait is for a report. */

import { asJid } from '../../../src/domain/ids'
import type { Connection, EncodeContext, Report } from '../../../src/domain/whatsapp'
import { systemClock } from '../../../src/lib/clock'
import { type Log, silentLog } from '../../../src/lib/log'
import { createPhone, type Phone } from '../../../src/sandbox/phone'
import { createSandboxServer, type SandboxServerOptions } from '../../../src/sandbox/server'
import { openState } from '../../../src/sandbox/state'
import { createNetwork, type Network, type NetworkOptions } from '../../../src/whatsapp/baileys/network'
import { createMemoryVault, type MemoryVault } from './memory-vault'

type ReportOf<K extends Report['kind']> = Extract<Report, { kind: K }>

/** One of our sessions: opens connections one after another on the same vault and keeps what they report. */
export interface TestSession {
  readonly id: string
  readonly reports: Report[]
  vault: MemoryVault
  connection: Connection
  /** Opens the next connection, with a vault of the next generation. */
  open(): void
  /** The first report of this kind from now on (or from index `since`) that fits. */
  next<K extends Report['kind']>(
    kind: K,
    fits?: (report: ReportOf<K>) => boolean,
    since?: number,
  ): Promise<ReportOf<K>>
  of<K extends Report['kind']>(kind: K): ReportOf<K>[]
  /** Deletes the inbox rows of what was reported, as the recorder's commit does. */
  recording: boolean
  /** By which it goes from the next `open` on. */
  proxyUrl: string | null
}

export interface TestWorld {
  readonly server: ReturnType<typeof createSandboxServer>
  readonly network: Network
  phone(phoneNumber: string, name?: string): Phone
  session(id?: string): TestSession
  /** A session linked to a phone by QR, through the restart, and opened. */
  linked(phone: Phone, id?: string): Promise<TestSession>
  /** Says something from a session; `acknowledged` is what `Connection.send` gives. */
  say(session: TestSession, to: string, text: string): { id: string; acknowledged: Promise<{ at: number }> }
  stop(): Promise<void>
}

export type WorldOptions = {
  server?: SandboxServerOptions
  network?: Partial<NetworkOptions>
  log?: Log
}

export async function createWorld(options: WorldOptions = {}): Promise<TestWorld> {
  const server = createSandboxServer(options.server)
  await server.start()
  const network = createNetwork({
    endpoint: { url: server.url, rootKey: Buffer.from(server.rootPublicKey, 'hex'), mediaHosts: [] },
    clock: systemClock,
    log: options.log ?? silentLog,
    ...options.network,
  })
  const state = openState()
  const phones: Phone[] = []
  const sessions: TestSession[] = []

  function phone(phoneNumber: string, name = `Owner of ${phoneNumber}`): Phone {
    const made = createPhone(
      { phoneNumber, name },
      {
        state,
        clock: systemClock,
        attach: (registration, receive) => server.attachPhone(registration, receive),
        media: { fetch: storedFiles(), renew: () => null },
        onTrouble: (error, stanza) => {
          throw new Error(`A phone failed at <${stanza.tag}>: ${error}`)
        },
      },
    )
    phones.push(made)
    return made
  }

  function session(id = `session-${sessions.length}`): TestSession {
    const listeners = new Set<() => void>()
    const self: TestSession = {
      id,
      reports: [],
      recording: true,
      proxyUrl: null,
      vault: createMemoryVault(),
      connection: undefined as unknown as Connection,
      open() {
        const vault = self.vault
        self.connection = network.open(
          {
            sessionId: id,
            vault,
            markOnline: false,
            proxyUrl: self.proxyUrl,
            raw: (messageId) => rawOf(self, messageId),
          },
          (report) => {
            self.reports.push(report)
            if (self.recording) void record(vault, report)
            for (const listener of [...listeners]) listener()
          },
        )
      },
      next(kind, fits = () => true, since = self.reports.length) {
        const { promise, resolve } = Promise.withResolvers<ReportOf<typeof kind>>()
        const look = () => {
          for (const report of self.reports.slice(since)) {
            if (report.kind !== kind || !fits(report as ReportOf<typeof kind>)) continue
            listeners.delete(look)
            return resolve(report as ReportOf<typeof kind>)
          }
        }
        listeners.add(look)
        look()
        return promise
      },
      of: (kind) => self.reports.filter((report): report is ReportOf<typeof kind> => report.kind === kind),
    }
    sessions.push(self)
    return self
  }

  return {
    server,
    network,
    phone,
    session,
    async linked(owner, id) {
      const linked = session(id)
      linked.open()
      const { text } = await linked.next('qr', undefined, 0)
      const closed = linked.next('closed')
      await owner.scan(text)
      await closed
      linked.vault = linked.vault.next()
      const opened = linked.next('opened')
      linked.open()
      await opened
      return linked
    },
    say(session, to, text) {
      const raw = network.encode({ type: 'text', text }, context({ chat: asJid(to) }))
      const id = network.newMessageId()
      remember(session, id, raw)
      return { id, acknowledged: session.connection.send({ id, to: asJid(to), raw }) }
    },
    async stop() {
      await Promise.all(sessions.map(({ connection }) => connection?.close()))
      await Promise.all(phones.map((one) => one.close()))
      await server.stop()
      state.close()
      network.stop()
    },
  }
}

/** What a message is encoded with; everything that is not given says nothing. */
export const context = (given: Partial<EncodeContext> = {}): EncodeContext => ({
  me: asJid('100@lid'),
  chat: asJid('1@lid'),
  mentions: [],
  quoted: null,
  target: null,
  extra: {},
  thumbnail: null,
  now: 1_700_000_000_000,
  ...given,
})

/** A media host that takes everything and gives it back; what travels there is tested with the real one. */
function storedFiles(): (url: string, init?: RequestInit) => Promise<Response> {
  const files = new Map<string, Uint8Array>()
  return async (url, init) => {
    const { pathname } = new URL(url)
    if (init?.method !== 'POST') return new Response(Buffer.from(files.get(pathname) ?? []))
    files.set(pathname, await new Response(init.body).bytes())
    return Response.json({ url: `https://mmg.whatsapp.net${pathname}`, direct_path: pathname })
  }
}

async function record(vault: MemoryVault, report: Report): Promise<void> {
  if (report.kind === 'handled') await vault.discard(report.inboxIds)
  if (report.kind !== 'messages') return
  await vault.discard(report.messages.flatMap(({ inboxId }) => (inboxId === null ? [] : [inboxId])))
}

const sent = new WeakMap<TestSession, Map<string, Uint8Array>>()

/** Remembers what a session sends, as the message rows do. */
export function remember(session: TestSession, messageId: string, raw: Uint8Array): void {
  const own = sent.get(session) ?? new Map<string, Uint8Array>()
  sent.set(session, own.set(messageId, raw))
}

/** What was sent is not kept any more. */
export const forget = (session: TestSession, messageId: string): void => {
  sent.get(session)?.delete(messageId)
}

const rawOf = (session: TestSession, messageId: string): Uint8Array | null =>
  sent.get(session)?.get(messageId) ?? null
