/**
 * WhatsApp as the rest of the product sees it: opens sockets to the configured endpoint, with the process-wide repairs
 * in place. `open` never throws; trouble arrives as a report.
 */
import {
  Browsers,
  generateMessageIDV2,
  type WABrowserDescription,
  type WAVersion,
} from '@whiskeysockets/baileys'
import { fail } from '../../domain/errors'
import { asMessageId } from '../../domain/ids'
import type { Connection, OpenRequest, Report, WhatsApp } from '../../domain/whatsapp'
import { SendUnconfirmed } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { createTunnels, type Tunnels } from '../../lib/tunnel'
import { cacheOf, createCache } from './caches'
import { forwarded } from './content/forward'
import { attach, fileOf } from './content/pointer'
import { writeContent } from './content/write'
import { createDrops } from './drops'
import { guardMediaFetch, type PlainFetch } from './media-fetch'
import { createRoutes } from './route'
import { openSocket } from './socket'
import { type Endpoint, isWhatsAppItself, trust } from './trust'
import { ACK_TIMEOUT_MS } from './upstream/acknowledgements'
import { createClientVersion, type VersionStore } from './upstream/client-version'
import { undoFailedAttempts } from './upstream/failed-attempts'
import { keepTransactionsApart } from './upstream/own-transactions'
import { quietLibsignal } from './upstream/quiet-libsignal'
import { repairSignatures } from './upstream/signatures'
import { surviveRejections } from './upstream/unhandled-rejections'
import { WATCH, type WatchTimes } from './watchdog'

export type NetworkOptions = {
  endpoint: Endpoint
  clock: Clock
  log: Log
  /** `WA_VERSION`. */
  version?: WAVersion | null
  versions?: VersionStore
  /** What a phone lists this device as: system, browser, version. It must stay the same for a linked device. */
  browser?: WABrowserDescription
  /** Off: signatures are checked by the slow JavaScript curve. */
  nativeSignatures?: boolean
  watch?: WatchTimes
  ackTimeoutMs?: number
  /** Ways through proxies of sessions; to proxies in public networks unless told otherwise. */
  tunnels?: Tunnels
  /** Only for tests. */
  qrTimeoutMs?: number
}

export interface Network extends WhatsApp {
  /** Figures for the operator. */
  readonly repairs: {
    signatures: 'native' | 'javascript'
    rejectionsSurvived: number
    keyLinesDropped: number
  }
  /** Takes the process-wide repairs away. Close all connections first. */
  stop(): void
}

const HOUR = 60 * 60_000

/** Puts the process-wide repairs in place and trusts the endpoint's root; one network per process. */
export function createNetwork(options: NetworkOptions): Network {
  const { endpoint, clock } = options
  const log = options.log.with({ part: 'whatsapp' })
  const live = isWhatsAppItself(endpoint)
  const distrust = trust(endpoint, log)
  const signatures = repairSignatures({
    native: options.nativeSignatures ?? true,
    checkDates: live,
    now: clock.now,
  })
  if (signatures.mode === 'javascript')
    log.warn('Signatures are made and checked by the slow JavaScript curve')
  const quiet = quietLibsignal()
  keepTransactionsApart()
  undoFailedAttempts()
  const rejections = surviveRejections(log)
  const routes = createRoutes({
    tunnels: options.tunnels ?? createTunnels({ allowNetworks: [], clock }),
    direct: globalThis.fetch as PlainFetch,
    encrypted: endpoint.url.startsWith('wss:'),
  })
  const drops = createDrops()
  const unguard = guardMediaFetch(endpoint, routes.marked)
  const versions = createClientVersion({
    override: options.version ?? null,
    ...(options.versions ? { store: options.versions } : {}),
    // A session without a proxy goes by none, also where the environment names one.
    ...(live ? { fetch: (url, init) => fetch(url, { ...init, proxy: false } as BunFetchRequestInit) } : {}),
  })
  const retries = createCache({ clock, max: 50_000, ttlMs: HOUR })
  const placeholders = createCache({ clock, max: 10_000, ttlMs: HOUR })

  /** A newer version is asked for by the way of the session that was refused. */
  async function lookUp({ proxyUrl }: OpenRequest, refused: WAVersion): Promise<boolean> {
    if (proxyUrl === null) return versions.refused(refused)
    const route = routes.through(proxyUrl, () => undefined)
    return await versions.refused(refused, route.fetch).finally(route.stop)
  }

  function open(request: OpenRequest, report: (report: Report) => void): Connection {
    let refreshed = false
    let closing = false
    let connection = connect()

    function connect(): Connection {
      const version = versions.current()
      const hear = (what: Report) => {
        if (what.kind === 'opened') versions.succeeded(version)
        if (what.kind === 'closed' && what.why.reason === 'client_outdated' && !refreshed && !closing) {
          refreshed = true
          void lookUp(request, version).then((another) => {
            if (!another || closing) report(what)
            else {
              log.warn('WhatsApp refuses this client version; trying another', { version: version.join('.') })
              connection = connect()
            }
          })
          return
        }
        report(what)
      }
      try {
        return openSocket({
          request,
          report: hear,
          endpoint,
          routes,
          drops: drops.of(request.sessionId),
          version,
          browser: options.browser ?? Browsers.macOS('Chrome'),
          caches: {
            retries: cacheOf(retries, request.sessionId),
            placeholders: cacheOf(placeholders, request.sessionId),
          },
          watch: options.watch ?? WATCH,
          ackTimeoutMs: options.ackTimeoutMs ?? ACK_TIMEOUT_MS,
          clock,
          log,
          ...(options.qrTimeoutMs === undefined ? {} : { qrTimeoutMs: options.qrTimeoutMs }),
        })
      } catch (error) {
        log.error('A connection could not be opened', {
          error: error instanceof Error ? error.message : String(error),
        })
        // The caller does not have the connection yet; it hears of its end afterwards.
        queueMicrotask(() =>
          report({
            kind: 'closed',
            why: { reason: 'storage_failed', code: null, detail: 'The key store cannot be read' },
          }),
        )
        return NO_CONNECTION
      }
    }

    return {
      send: (message) => connection.send(message),
      pairingCode: (phoneNumber) => connection.pairingCode(phoneNumber),
      lookUp: (phoneNumbers) => connection.lookUp(phoneNumbers),
      upload: (source) => connection.upload(source),
      download: (wanted) => connection.download(wanted),
      showPresence: (to, presence) => connection.showPresence(to, presence),
      star: (message, starred) => connection.star(message, starred),
      markRead: (messages) => connection.markRead(messages),
      restriction: () => connection.restriction(),
      close() {
        closing = true
        return connection.close()
      },
      logout() {
        closing = true
        return connection.logout()
      },
    }
  }

  return {
    open,
    dropped: drops.seen,
    newMessageId: () => asMessageId(generateMessageIDV2()),
    encode: writeContent,
    forward: forwarded,
    attach,
    fileOf,
    get repairs() {
      return {
        signatures: signatures.mode,
        rejectionsSurvived: rejections.survived,
        keyLinesDropped: quiet.dropped,
      }
    },
    stop() {
      unguard()
      rejections.undo()
      quiet.undo()
      signatures.undo()
      distrust()
    },
  }
}

const notConnected = () => Promise.reject(fail('SESSION_NOT_CONNECTED'))
const unconfirmed = () => Promise.reject(new SendUnconfirmed('There is no connection'))

/** Stands for a socket that could not be made. */
const NO_CONNECTION: Connection = {
  send: unconfirmed,
  pairingCode: notConnected,
  lookUp: notConnected,
  upload: unconfirmed,
  // biome-ignore lint/correctness/useYield: it ends before the first byte.
  async *download() {
    throw fail('SESSION_NOT_CONNECTED')
  },
  showPresence: notConnected,
  star: notConnected,
  markRead: notConnected,
  restriction: notConnected,
  close: () => Promise.resolve(),
  logout: () => Promise.resolve(),
}
