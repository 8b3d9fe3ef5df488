/** Every option of Baileys' socket, each one chosen (field notes B1). */
import type { Agent as TlsAgent } from 'node:https'
import {
  type AuthenticationState,
  type CacheStore,
  type GroupMetadata,
  proto,
  type UserFacingSocketConfig,
  type WABrowserDescription,
  type WAVersion,
} from '@whiskeysockets/baileys'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { createCache } from './caches'
import { baileysLogger } from './logger'
import type { Route } from './route'
import type { Endpoint } from './trust'
import { onceEachDevice } from './upstream/once-each-device'

const MINUTE = 60_000

export type SocketOptions = {
  endpoint: Endpoint
  version: WAVersion
  browser: WABrowserDescription
  auth: AuthenticationState
  markOnline: boolean
  clock: Clock
  log: Log
  /** Counters and placeholders that must outlive a socket. */
  caches: { retries: CacheStore; placeholders: CacheStore }
  makeSignalRepository: NonNullable<UserFacingSocketConfig['makeSignalRepository']>
  groupMetadata: (jid: string) => Promise<GroupMetadata | undefined>
  raw: (messageId: string) => Uint8Array | null
  route: Route
  /** Only for tests; without it the first QR lives 60 s, the others 20 s. */
  qrTimeoutMs?: number
}

/** Past the handshake, 20 s without an answer is a time-out. */
const CONNECT_TIMEOUT_MS = 20_000
const KEEP_ALIVE_MS = 25_000

export function socketOptions(options: SocketOptions): UserFacingSocketConfig {
  const { clock } = options
  return {
    waWebSocketUrl: options.endpoint.url,
    version: options.version,
    browser: options.browser,
    auth: options.auth,
    logger: baileysLogger(options.log),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
    keepAliveIntervalMs: KEEP_ALIVE_MS,
    defaultQueryTimeoutMs: MINUTE,
    // Rotation follows WhatsApp's own lifetimes; a fixed value would show dead codes.
    ...(options.qrTimeoutMs === undefined ? {} : { qrTimeout: options.qrTimeoutMs }),
    // A failed commit ends the socket at once; trying again would hold the ratchet's mutex meanwhile.
    transactionOpts: { maxCommitRetries: 1, delayBetweenTriesMs: 0 },
    makeSignalRepository: options.makeSignalRepository,
    getMessage: async ({ id }) => {
      const raw = id ? options.raw(id) : null
      return raw ? proto.Message.decode(raw) : undefined
    },
    cachedGroupMetadata: options.groupMetadata,
    msgRetryCounterCache: options.caches.retries,
    placeholderResendCache: options.caches.placeholders,
    userDevicesCache: createCache({ clock, max: 5_000, ttlMs: 5 * MINUTE }),
    callOfferCache: createCache({ clock, max: 100, ttlMs: 5 * MINUTE }),
    mediaCache: createCache({ clock, max: 100, ttlMs: 10 * MINUTE }),
    maxMsgRetryCount: 5,
    retryRequestDelayMs: 350,
    enableRecentMessageCache: true,
    enableAutoSessionRecreation: true,
    // Ignored messages are refused with an error that stalls the offline queue; what we do not want is dropped later.
    shouldIgnoreJid: () => false,
    // All but the full archive: the others bring the LID mappings without which groups do not decrypt.
    shouldSyncHistoryMessage: ({ syncType }) => syncType !== proto.HistorySync.HistorySyncType.FULL,
    syncFullHistory: false,
    markOnlineOnConnect: options.markOnline,
    // Own messages are sent by `relayMessage`, which has no echo; those of other devices come as messages.
    emitOwnEvents: true,
    fireInitQueries: true,
    patchMessageBeforeSending: onceEachDevice,
    generateHighQualityLinkPreview: false,
    linkPreviewImageThumbnailWidth: 192,
    countryCode: 'US',
    // Upstream's own default: a wrong MAC in one old patch would otherwise block the whole collection.
    appStateMacVerification: { patch: false, snapshot: false },
    customUploadHosts: [],
    // Typed for https alone, and used for whichever protocol the endpoint has.
    ...(options.route.agent === null ? {} : { agent: options.route.agent as TlsAgent }),
    // Left out on purpose: `fetchAgent` (files go up by our own `fetch`), `mobile` and `printQRInTerminal` (removed
    // upstream), `pushName` (the phone tells the name).
    options: { dispatcher: options.route.dispatcher } as RequestInit,
  }
}
