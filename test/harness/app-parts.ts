/** The product without its HTTP side: real storage, real supervisor, real Baileys sockets, and a sandbox to connect to. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { asTenantId, type SessionId, type TenantId } from '../../src/domain/ids'
import { follow } from '../../src/domain/journal'
import type { Session, SessionSettings, SessionStatus } from '../../src/domain/session'
import { systemClock } from '../../src/lib/clock'
import { type Log, silentLog } from '../../src/lib/log'
import type { Phone } from '../../src/sandbox/phone'
import { createSandbox, type Sandbox, type SandboxOptions } from '../../src/sandbox/sandbox'
import { createSupervisor, type Supervisor, type SupervisorOptions } from '../../src/sessions/supervisor'
import { openStorage, type Storage } from '../../src/storage/open'
import { createNetwork, type Network, type NetworkOptions } from '../../src/whatsapp/baileys/network'
import { MEDIA_KEPT, mediaOf } from './media-desk'

export const TENANT: TenantId = asTenantId('tenant-1')

export type Told = {
  event: string
  sessionId: string
  cursor: string | null
  timestamp: string
} & Record<string, unknown>

export type AppPartsOptions = {
  sandbox?: SandboxOptions
  supervisor?: Partial<SupervisorOptions>
  network?: Partial<NetworkOptions>
  log?: Log
  /** Another name for the host of WhatsApp, which only a proxy can resolve. */
  endpointHost?: string
}

export interface AppParts {
  readonly sandbox: Sandbox
  readonly supervisor: Supervisor
  readonly storage: Storage
  /** Everything told so far, momentary events among it. */
  readonly told: readonly Told[]
  session(id: SessionId): Session
  /** A new session of the tenant, not started. */
  make(settings?: Partial<SessionSettings>, tenant?: TenantId): Promise<SessionId>
  /** Starts a session and lets the phone scan its code; resolves when it is connected. */
  link(phone: Phone, settings?: Partial<SessionSettings>): Promise<SessionId>
  /** Lets the phone scan the code on show. */
  scan(id: SessionId, phone: Phone): Promise<void>
  /** First event, told already or yet to come, of this session with this name that fits. */
  event(id: SessionId, name: string, fits?: (told: Told) => boolean): Promise<Told>
  /** Resolves when the session is in this state. */
  reach(id: SessionId, status: SessionStatus): Promise<Session>
  /** Names of the session's events, without those that come at times of the phone's own choosing. */
  life(id: SessionId): string[]
  /** Sockets that the sandbox has from this number's companions. */
  online(phone: Phone): number
  /** Drops everything this process knows and has open, without a word to WhatsApp, and starts on the same data. */
  crash(): Promise<void>
  /** Ends in order, and starts on the same data. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Builds all parts and starts them. */
export async function createAppParts(options: AppPartsOptions = {}): Promise<AppParts> {
  const folder = mkdtempSync(join(tmpdir(), 'wabun-parts-'))
  const log = options.log ?? silentLog
  const sandbox = createSandbox(options.sandbox)
  await sandbox.start()
  const network: Network = createNetwork({
    endpoint: {
      url: options.endpointHost ? sandbox.url.replace('127.0.0.1', options.endpointHost) : sandbox.url,
      rootKey: Buffer.from(sandbox.rootPublicKey, 'hex'),
      mediaHosts: [sandbox.mediaHost],
      mediaCa: sandbox.caPem,
    },
    clock: systemClock,
    log,
    ...options.network,
  })
  const told: Told[] = []
  const watchers = new Set<() => void>()
  const changed = () => {
    for (const watcher of [...watchers]) watcher()
  }

  /** Resolves with what `look` finds, now or after any later event. */
  const watch = <T>(look: () => T | null | undefined | false): Promise<T> => {
    const found = look()
    if (found) return Promise.resolve(found)
    return new Promise((resolve) => {
      const watcher = () => {
        const answer = look()
        if (!answer) return
        watchers.delete(watcher)
        resolve(answer)
      }
      watchers.add(watcher)
    })
  }

  const boot = async () => {
    const storage = openStorage({
      file: join(folder, 'wabun.sqlite'),
      masterKey: new Uint8Array(32).fill(7),
      clock: systemClock,
      sync: 'normal',
      log,
    })
    const stopReading = new AbortController()
    const reading = (async () => {
      for await (const entries of follow(storage.journal, storage.journal.head(), stopReading.signal)) {
        for (const { json } of entries) told.push(JSON.parse(json))
        changed()
      }
    })()
    const supervisor = createSupervisor({
      ...mediaOf(storage),
      whatsapp: network,
      sessions: storage.sessions,
      messages: storage.messages,
      identities: storage.identities,
      vaults: storage.vaults,
      journal: storage.journal,
      ledger: storage.ledger,
      clock: systemClock,
      random: Math.random,
      log,
      options: {
        qrMaxWindows: 1,
        resumeConcurrency: 16,
        maxQueue: 1_000,
        ackTimeoutMs: 20_000,
        mediaKeptMs: MEDIA_KEPT,
        ...options.supervisor,
      },
    })
    await supervisor.start()
    const endReading = (): Promise<void> => {
      stopReading.abort()
      return reading
    }
    return { storage, supervisor, endReading }
  }

  let running = await boot()
  const parts: AppParts = {
    sandbox,
    told,
    get supervisor() {
      return running.supervisor
    },
    get storage() {
      return running.storage
    },
    session(id) {
      const session = running.supervisor.find(id)
      if (!session) throw new Error(`there is no session ${id}`)
      return session
    },
    async make(settings = {}, tenant = TENANT) {
      const { id } = await running.supervisor.create(tenant, { name: 'Support', settings }, null)
      return id
    },
    async scan(id, phone) {
      const { text } = await running.supervisor.waitForQr(id, 20_000)
      await phone.scan(text)
    },
    async link(phone, settings) {
      const id = await parts.make(settings)
      await running.supervisor.command(id, 'start')
      await parts.scan(id, phone)
      await parts.reach(id, 'connected')
      return id
    },
    event: (id, name, fits = () => true) =>
      watch(() => told.find((one) => one.sessionId === id && one.event === name && fits(one))),
    reach: (id, status) =>
      watch(() => {
        const session = running.supervisor.find(id)
        return session?.state.status === status ? session : null
      }),
    life: (id) =>
      told
        .filter(({ sessionId, event }) => sessionId === id && event.startsWith('session.'))
        .map(({ event }) => event)
        .filter((name) => name !== 'session.qr_generated'),
    online: (phone) => phone.devices().filter(({ online }) => online).length,
    async crash() {
      // The database goes first, so that nothing the old supervisor still does can be written.
      const { storage, supervisor, endReading } = running
      await endReading()
      await storage.close()
      await supervisor.stop()
      running = await boot()
    },
    async restart() {
      await running.supervisor.stop()
      await running.endReading()
      await running.storage.close()
      running = await boot()
    },
    async stop() {
      await running.supervisor.stop()
      await running.endReading()
      await running.storage.close()
      network.stop()
      await sandbox.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return parts
}
