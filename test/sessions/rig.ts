/** The supervisor on a real database, a scripted WhatsApp and a clock that the test moves. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Fact, Ledger } from '../../src/domain/changes'
import { fail } from '../../src/domain/errors'
import { asTenantId, type SessionId } from '../../src/domain/ids'
import type { Entry } from '../../src/domain/journal'
import type { Session, SessionSettings, SessionStatus } from '../../src/domain/session'
import type { Clock } from '../../src/lib/clock'
import { silentLog } from '../../src/lib/log'
import { createSupervisor, type Supervisor, type SupervisorOptions } from '../../src/sessions/supervisor'
import { openStorage } from '../../src/storage/open'
import { createManualClock, type ManualClock, settle } from '../harness/clock'
import { MEDIA_KEPT, mediaOf } from '../harness/media-desk'
import { createScriptedWhatsApp, type ScriptedWhatsApp } from './scripted-whatsapp'

export const TENANT = asTenantId('tenant-1')

type Told = { event: string; sessionId: string; kept: boolean } & Record<string, unknown>

export interface Rig {
  readonly clock: ManualClock
  readonly whatsapp: ScriptedWhatsApp
  readonly supervisor: Supervisor
  readonly storage: ReturnType<typeof openStorage>
  /** Where files of messages lie. */
  readonly mediaFolder: string
  /** Everything that was told so far, as readers get it. */
  readonly told: Told[]
  /** Facts of each commit. */
  readonly commits: (readonly Fact[])[]
  /** Timers of sessions that wait; those of the storage are not counted. */
  timers(): number
  /** While set, the disk refuses. */
  diskFull: boolean
  /** While set, a commit that begins waits for it. */
  holdCommits: Promise<void> | null
  status(id: SessionId): SessionStatus
  session(id: SessionId): Session
  events(id: SessionId, prefix?: string): string[]
  /** A new session, not started. */
  make(settings?: Partial<SessionSettings>): Promise<SessionId>
  /** A started session whose phone has been linked and which is connected. */
  link(settings?: Partial<SessionSettings>, phoneNumber?: string): Promise<SessionId>
  /** Ends this process as `kill -9` does, and starts the next one on the same data. */
  crash(): Promise<void>
  /** Ends this process in order, and starts the next one. */
  restart(): Promise<void>
  end(): Promise<void>
}

/** `draws`: what the dice show, in a circle. */
export async function createRig(
  options: Partial<SupervisorOptions> = {},
  draws: readonly number[] = [0.5],
): Promise<Rig> {
  let drawn = 0
  const folder = mkdtempSync(join(tmpdir(), 'wabun-sessions-'))
  const clock = createManualClock()
  const whatsapp = createScriptedWhatsApp(clock)
  const told: Told[] = []
  const commits: (readonly Fact[])[] = []
  let diskFull = false
  let holdCommits: Promise<void> | null = null
  const storageTimers = new Set<() => void>()
  const storageClock: Clock = {
    ...clock,
    after(ms, task) {
      const done = () => {
        storageTimers.delete(done)
        cancel()
      }
      const cancel = clock.after(ms, () => {
        storageTimers.delete(done)
        task()
      })
      storageTimers.add(done)
      return done
    },
  }

  const boot = async () => {
    const storage = openStorage({
      file: join(folder, 'wabun.sqlite'),
      masterKey: new Uint8Array(32).fill(7),
      clock: storageClock,
      sync: 'normal',
      log: silentLog,
    })
    storage.journal.onEntries((entries: readonly Entry[]) => {
      for (const { json, seq } of entries) told.push({ ...JSON.parse(json), kept: seq !== null })
    })
    const ledger: Ledger = {
      async commit(facts) {
        await holdCommits
        if (diskFull) throw fail('STORAGE_UNAVAILABLE')
        commits.push(facts)
        return storage.ledger.commit(facts)
      },
    }
    const supervisor = createSupervisor({
      ...mediaOf(storage, clock),
      whatsapp,
      sessions: storage.sessions,
      messages: storage.messages,
      identities: storage.identities,
      vaults: storage.vaults,
      journal: storage.journal,
      ledger,
      clock,
      random: () => draws[drawn++ % draws.length] ?? 0.5,
      log: silentLog,
      options: {
        qrMaxWindows: 1,
        resumeConcurrency: 4,
        maxQueue: 100,
        ackTimeoutMs: 20_000,
        mediaKeptMs: MEDIA_KEPT,
        ...options,
      },
    })
    await supervisor.start()
    return { storage, supervisor }
  }

  let running = await boot()
  const stop = async () => {
    const stopping = running.supervisor.stop()
    await settle()
    await stopping
    await running.storage.close()
  }

  const rig: Rig = {
    clock,
    whatsapp,
    mediaFolder: join(folder, 'media'),
    told,
    commits,
    get supervisor() {
      return running.supervisor
    },
    get storage() {
      return running.storage
    },
    timers: () => clock.waiting - storageTimers.size,
    get diskFull() {
      return diskFull
    },
    set diskFull(full) {
      diskFull = full
    },
    session(id) {
      const session = running.supervisor.find(id)
      if (!session) throw new Error(`there is no session ${id}`)
      return session
    },
    get holdCommits() {
      return holdCommits
    },
    set holdCommits(held) {
      holdCommits = held
    },
    status: (id) => rig.session(id).state.status,
    events: (id, prefix = '') =>
      told
        .filter(({ sessionId, event }) => sessionId === id && event.startsWith(prefix))
        .map(({ event }) => event),
    async make(settings = {}) {
      const { id } = await running.supervisor.create(TENANT, { name: 'Support', settings }, null)
      return id
    },
    async link(settings = {}, phoneNumber) {
      const me = phoneNumber === undefined ? {} : { phoneNumber, lid: `${phoneNumber}0@lid` }
      const id = await rig.make(settings)
      await running.supervisor.command(id, 'start')
      await settle()
      whatsapp.last().qr()
      whatsapp.last().paired(me)
      whatsapp.last().closed('restart_required', 515)
      await settle()
      whatsapp.last().opened(me)
      await settle()
      return id
    },
    async crash() {
      // The old process knows nothing any more: its supervisor is left as it is, its sockets are gone.
      const { storage, supervisor } = running
      await storage.close()
      for (const connection of whatsapp.connections) connection.isClosed = true
      running = await boot()
      void supervisor.stop()
      await settle()
    },
    async restart() {
      await stop()
      running = await boot()
      await settle()
    },
    async end() {
      diskFull = false
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
  return rig
}
