/** All sessions of this process: commands in, WhatsApp connections held, every fact written through the ledger. */
import type { Ledger } from '../domain/changes'
import { fail } from '../domain/errors'
import { asSessionId, type Jid, type MessageId, type SessionId, type TenantId } from '../domain/ids'
import type { Journal } from '../domain/journal'
import type { KeptFile, MediaDesk, MediaStore } from '../domain/media'
import type { Identities, Message, Messages } from '../domain/message'
import type { Vaults } from '../domain/ownership'
import { type Allowance, UNLIMITED } from '../domain/plans'
import type { BulkOutcome, Examined, QueueState, SendRequest, Sent } from '../domain/sending'
import { DEFAULT_SETTINGS, type Session, type SessionSettings, type Sessions } from '../domain/session'
import type { Stall } from '../domain/stalls'
import type { ChatPresence, Dropped, WhatsApp } from '../domain/whatsapp'
import { type Clock, isoTime } from '../lib/clock'
import type { Part } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import { maskedProxy } from '../lib/proxy-url'
import { randomHexId } from '../lib/token'
import { edited } from './edit'
import { createIncomingMedia, type ReceivedFiles } from './incoming-media'
import { createLimitNote } from './limit-note'
import { createLiveSession, type LiveSession } from './live-session'
import { createNumberCache, createNumberCheck } from './number-check'
import { createOnMessages } from './on-messages'
import { createNumberHolders } from './one-number'
import { placesUnder, sessionEvent } from './payload'
import { waitForCode } from './qr-wait'
import { createSending } from './sending/sending'

/** What a caller can ask of a session. */
export type SessionCommand = 'start' | 'stop' | 'restart' | 'clear_auth' | 'logout'

export type NewSession = {
  name: string
  description?: string | null
  settings?: Partial<SessionSettings>
}

export type SessionUpdate = {
  name?: string
  description?: string | null
  /** Merged into the present settings. */
  settings?: Partial<SessionSettings>
}

export type SupervisorOptions = {
  /** Pairing windows opened in a row when nobody scans. */
  qrMaxWindows: number
  /** Sessions that connect at the same time after a process start. */
  resumeConcurrency: number
  /** Unacknowledged messages a session may hold. */
  maxQueue: number
  /** The plan of an account, with what it allows at the moment; everything unless given. */
  allowanceOf?: (tenantId: TenantId) => Allowance
  /** Messages of a session in one hour after which that is told; 0 and absent = never. */
  volumeAlert?: number
  /** Longest wait for the server's acknowledgement of a message (ms). */
  ackTimeoutMs: number
  /** How long the files of messages are kept (ms). */
  mediaKeptMs: number
  /** The address under which callers reach this server, for places in events; null = paths only. */
  publicUrl?: string | null
  /** Throws `WEBHOOK_URL_FORBIDDEN` for addresses that `settings.webhookUrl` must not have. */
  checkWebhookUrl?: (url: string) => void
  /** Throws `PROXY_URL_FORBIDDEN` for addresses that `settings.proxyUrl` must not have. */
  checkProxyUrl?: (url: string) => void
}

export type SupervisorParts = {
  whatsapp: WhatsApp
  sessions: Sessions
  messages: Messages
  identities: Identities
  ledger: Ledger
  journal: Journal
  vaults: Vaults
  desk: MediaDesk
  files: MediaStore
  received: ReceivedFiles
  clock: Clock
  random: () => number
  log: Log
  options: SupervisorOptions
}

/** The machine behind the session routes; tenancy is the caller's check. */
export interface Supervisor extends Part {
  /** True once every session that was running before the process start has been opened or given up. */
  readonly resumed: boolean
  /** The live session, with the QR text on show and the newest activity. */
  find(id: SessionId): Session | null
  /** Fails with `SESSION_LIMIT_REACHED` when the tenant has `maxSessions` already; null = unlimited. */
  create(tenantId: TenantId, input: NewSession, maxSessions: number | null): Promise<Session>
  /** Resolves with the session as it stands once the command is on disk; `SESSION_NOT_FOUND`. */
  command(id: SessionId, command: SessionCommand): Promise<Session>
  update(id: SessionId, input: SessionUpdate): Promise<Session>
  /** Unlinks the device if it can, and removes the session with all that belongs to it. */
  remove(id: SessionId): Promise<void>
  /**
   * The code on show, waited for at most `waitMs`. Fails with `QR_NOT_READY`, `SESSION_ALREADY_CONNECTED`,
   * `SESSION_NOT_STARTED`, `QR_CODE_EXPIRED`, or the code of the reason that ended the connection.
   */
  waitForQr(id: SessionId, waitMs: number, signal?: AbortSignal): Promise<{ text: string; expiresAt: number }>
  /** A code to type on the phone; digits only. Fails like `waitForQr`, and with `PAIRING_CODE_REFUSED`. */
  pairingCode(id: SessionId, phoneNumber: string): Promise<{ code: string; expiresAt: number }>
  /**
   * Sends a message and resolves with it: at `waitFor` (WhatsApp's acknowledgement unless said otherwise), or `queued` at
   * once with `queue`, with `sendAt`, and while the queue is paused. An album resolves when all its items are there.
   *
   * Fails with `SESSION_NOT_CONNECTED`, `AUTH_EXPIRED`, `SESSION_RESTRICTED`, `NUMBER_NOT_ON_WHATSAPP`, `QUEUE_FULL`,
   * `VALIDATION_ERROR`, `MESSAGE_NOT_FOUND` and `MESSAGE_NOT_SUITABLE` (quoted, acted on, forwarded), or what `MediaDesk`
   * finds wrong, and then nothing is left of it; with `MESSAGE_REJECTED`, `MESSAGE_EXPIRED`, `MESSAGE_CANCELLED` when the
   * message has failed; with `MESSAGE_TIMEOUT` (details.messageId) when it stays queued.
   */
  send(id: SessionId, request: SendRequest): Promise<Sent>
  /**
   * Sends many, each judged by itself; outcomes in the order of the requests. Without `queue` it waits up to `waitMs` for
   * the acknowledgements and tells what is. Rejects only for what concerns all of them (`SESSION_NOT_CONNECTED`,
   * `QUEUE_FULL`, `STORAGE_UNAVAILABLE`).
   */
  sendMany(
    id: SessionId,
    requests: readonly SendRequest[],
    options: { queue: boolean; waitMs: number },
  ): Promise<BulkOutcome[]>
  /** Everything that `send` would find wrong; sends and keeps nothing. */
  examine(id: SessionId, request: SendRequest): Promise<Examined>
  /** Calls a message back that waits; it ends as failed with `MESSAGE_CANCELLED`. `MESSAGE_NOT_FOUND`, `MESSAGE_NOT_QUEUED`. */
  cancel(id: SessionId, messageId: MessageId): Promise<Message>
  queueState(id: SessionId): QueueState
  /** What of the session does not move at the moment. */
  stall(id: SessionId): Stall | null
  /** What it has dropped of what came in, since the process began. */
  dropped(id: SessionId): Dropped
  /** Shows “typing…” and the like; `SESSION_NOT_CONNECTED`. */
  showPresence(id: SessionId, to: Jid | null, presence: ChatPresence): Promise<void>
  /** `MESSAGE_NOT_FOUND`, `SESSION_NOT_CONNECTED`. */
  star(id: SessionId, messageId: MessageId, starred: boolean): Promise<void>
  /** Tells the authors that their messages were read. `MESSAGE_NOT_FOUND`, `SESSION_NOT_CONNECTED`. */
  markRead(id: SessionId, messageIds: readonly MessageId[]): Promise<void>
  /**
   * The file of a message, from our disk or fetched from WhatsApp now. `MESSAGE_NOT_FOUND`, `MEDIA_NOT_FOUND`,
   * `MEDIA_UNAVAILABLE` (details.reason), `SESSION_NOT_CONNECTED` when it has to be fetched and cannot be.
   */
  fetchFile(id: SessionId, messageId: MessageId): Promise<KeptFile>
  /** Removes every session of an account. */
  removeTenant(tenantId: TenantId): Promise<void>
  live(): { total: number; connected: number }
}

/** How long a pairing code waits for its connection to be ready (ms). */
const PAIRING_WAIT = 20_000

type Resuming = { live: LiveSession; open: () => Promise<void> }

/** Makes the supervisor; `start` reads all sessions and brings back those that were running. */
export function createSupervisor(parts: SupervisorParts): Supervisor {
  const { clock, ledger, options } = parts
  const log = parts.log.with({ part: 'sessions' })
  const lives = new Map<SessionId, LiveSession>()
  const holders = createNumberHolders()
  const cache = createNumberCache(clock)
  const places = placesUnder(options.publicUrl ?? null)
  const allowanceOf = options.allowanceOf ?? (() => UNLIMITED)
  const noteLimit = createLimitNote({ ledger, clock, log })
  const onMessages = createOnMessages({ ...parts, log })
  const incomingMedia = createIncomingMedia({
    ...parts,
    log,
    connection: (id) => lives.get(id)?.through() ?? null,
  })
  const toldCodes = new Map<SessionId, string>()
  /** Sessions on their way into storage, so that parallel requests cannot pass the limit together. */
  const creating = new Map<TenantId, number>()
  let resumed = false
  let stopping = false

  const add = (session: Session): LiveSession => {
    const live = createLiveSession({
      ...parts,
      session,
      holders,
      log,
      places,
      qrMaxWindows: options.qrMaxWindows,
      sending: (of) =>
        createSending({
          ...parts,
          ...of,
          log,
          places,
          numbers: createNumberCheck(cache),
          limits: { ...options, planOf: (tenantId) => allowanceOf(tenantId).limits },
          fetchFile: (messageId) => incomingMedia.fetchFile(of.session(), messageId),
        }),
      onMessages: incomingMedia.arrived,
    })
    lives.set(session.id, live)
    return live
  }

  const get = (id: SessionId): LiveSession => {
    const live = lives.get(id)
    if (!live) throw fail('SESSION_NOT_FOUND')
    return live
  }

  /** Opens one session and waits until its first attempt has come to something. */
  const openOne = async ({ live, open }: Resuming): Promise<void> => {
    const settled = Promise.withResolvers<void>()
    const look = () => {
      if (live.ended || live.view().state.status !== 'connecting') settled.resolve()
    }
    const leave = live.onChange(look)
    try {
      await open()
      look()
      await settled.promise
    } catch (error) {
      log.error('A session could not be resumed', { sessionId: live.view().id, error: String(error) })
    } finally {
      leave()
    }
  }

  /** As many at a time as the machine can take: each login costs both sides real work. */
  const openAll = async (queue: Resuming[]): Promise<void> => {
    const worker = async () => {
      for (let next = queue.shift(); next && !stopping; next = queue.shift()) await openOne(next)
    }
    await Promise.all(Array.from({ length: Math.max(1, options.resumeConcurrency) }, worker))
    resumed = true
  }

  /** Puts every session into the state that the end of the last process has left it in, in one commit. */
  const takeUp = async (): Promise<Resuming[]> => {
    const taken = [...lives.values()].flatMap((live) => {
      const resuming = live.resume()
      return resuming ? [{ live, ...resuming }] : []
    })
    try {
      if (taken.length > 0) await ledger.commit(taken.map(({ fact }) => fact))
    } catch (error) {
      // The states in memory are right; each session's next commit brings its own to disk.
      log.error('The start could not be recorded', { error: String(error) })
    }
    return taken.filter(({ live }) => live.view().state.status === 'connecting')
  }

  const ofTenant = (tenantId: TenantId) =>
    [...lives.values()].filter((live) => live.view().tenantId === tenantId)

  /** Addresses in settings; one that is there already (`known`) is not judged again. */
  const checkAddresses = (
    { webhookUrl = null, proxyUrl = null }: Partial<SessionSettings>,
    known: string | null = null,
  ) => {
    if (webhookUrl !== null) options.checkWebhookUrl?.(webhookUrl)
    if (proxyUrl !== null && proxyUrl !== known) options.checkProxyUrl?.(proxyUrl)
  }

  const refuseBeyond = (tenantId: TenantId, maxSessions: number | null): Promise<never> | null => {
    const sessions = ofTenant(tenantId)
    const present = sessions.length + (creating.get(tenantId) ?? 0)
    if (maxSessions === null || present < maxSessions) return null
    const fields = { limit: maxSessions, sessions: present }
    const views = sessions.map((live) => live.view())
    return noteLimit(tenantId, views, { plan: allowanceOf(tenantId).plan, ...fields }).then(() => {
      throw fail('SESSION_LIMIT_REACHED', fields)
    })
  }

  const supervisor: Supervisor = {
    name: 'sessions',
    get resumed() {
      return resumed
    },
    async start() {
      // A number that two rows claim belongs to the one that has been connected with it.
      const rank = (session: Session) => (session.state.status === 'connected' ? 1 : 0)
      const all = parts.sessions
        .all()
        .sort((a, b) => rank(b) - rank(a) || b.connectedMs - a.connectedMs || a.createdAt - b.createdAt)
      for (const session of all) {
        holders.note(session)
        add(session)
      }
      const queue = await takeUp()
      openAll(queue).catch((error: unknown) => log.error('Resuming has failed', { error: String(error) }))
    },
    async stop() {
      stopping = true
      incomingMedia.stop()
      await Promise.all([...lives.values()].map((live) => live.shutDown()))
    },
    find: (id) => lives.get(id)?.view() ?? null,
    async create(tenantId, input, maxSessions) {
      if (stopping) throw fail('SHUTTING_DOWN')
      const refused = refuseBeyond(tenantId, maxSessions)
      if (refused) await refused
      const settings = { ...DEFAULT_SETTINGS, ...input.settings }
      checkAddresses(settings)
      const now = clock.now()
      const session: Session = {
        id: asSessionId(randomHexId()),
        tenantId,
        name: input.name,
        description: input.description ?? null,
        settings,
        state: { status: 'inactive' },
        credentials: 'none',
        me: null,
        clientVersion: null,
        restriction: null,
        lastDisconnect: null,
        createdAt: now,
        updatedAt: now,
        lastActivity: null,
        firstStartedAt: null,
        connectedMs: 0,
        outage: null,
      }
      creating.set(tenantId, (creating.get(tenantId) ?? 0) + 1)
      try {
        await ledger.commit([
          {
            change: { kind: 'session_created', session },
            events: [sessionEvent(session, 'session.created')],
          },
        ])
        return add(session).view()
      } finally {
        creating.set(tenantId, (creating.get(tenantId) ?? 1) - 1)
      }
    },
    async command(id, command) {
      return get(id).command(command)
    },
    async update(id, input) {
      const live = get(id)
      const { proxyUrl } = live.view().settings
      // The address as it is shown is the address as it is.
      const isShown = proxyUrl !== null && input.settings?.proxyUrl === maskedProxy(proxyUrl)
      const update = isShown ? { ...input, settings: { ...input.settings, proxyUrl } } : input
      checkAddresses(update.settings ?? {}, proxyUrl)
      return live.edit((session) => edited(session, update, clock.now()))
    },
    async remove(id) {
      const live = get(id)
      await live.remove()
      lives.delete(id)
      toldCodes.delete(id)
    },
    async waitForQr(id, waitMs, signal) {
      return waitForCode(get(id), clock, waitMs, signal)
    },
    async pairingCode(id, phoneNumber) {
      const live = get(id)
      await waitForCode(live, clock, PAIRING_WAIT)
      const connection = live.connection()
      if (!connection) throw fail('QR_NOT_READY')
      const raw = await connection.pairingCode(phoneNumber)
      const issued = { ...raw, code: readable(raw.code) }
      if (toldCodes.get(id) !== issued.code) {
        toldCodes.set(id, issued.code)
        const fields = { code: issued.code, expiresAt: isoTime(issued.expiresAt) }
        parts.journal.tell(sessionEvent(live.view(), 'session.pairing_code', fields))
      }
      return issued
    },
    async send(id, request) {
      return get(id).sending.send(request)
    },
    async sendMany(id, requests, how) {
      return get(id).sending.sendMany(requests, how)
    },
    async examine(id, request) {
      return get(id).sending.examine(request)
    },
    async cancel(id, messageId) {
      return get(id).sending.cancel(messageId)
    },
    queueState: (id) => get(id).sending.queueState(),
    stall: (id) => get(id).stall(),
    dropped: (id) => parts.whatsapp.dropped(get(id).view().id),
    async showPresence(id, to, presence) {
      await onMessages.showPresence(get(id), to, presence)
    },
    async star(id, messageId, starred) {
      await onMessages.star(get(id), messageId, starred)
    },
    async markRead(id, messageIds) {
      await onMessages.markRead(get(id), messageIds)
    },
    async fetchFile(id, messageId) {
      return incomingMedia.fetchFile(get(id).view(), messageId)
    },
    async removeTenant(tenantId) {
      await Promise.all(ofTenant(tenantId).map((live) => supervisor.remove(live.view().id)))
    },
    live() {
      let connected = 0
      for (const live of lives.values()) if (live.view().state.status === 'connected') connected += 1
      return { total: lives.size, connected }
    },
  }
  return supervisor
}

/** In two halves, as phones ask for it: `ABCD-1234`. */
const readable = (code: string): string => (code.length === 8 ? `${code.slice(0, 4)}-${code.slice(4)}` : code)
