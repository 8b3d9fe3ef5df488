/**
 * One Baileys socket as a `Connection`, with the repairs of `upstream/` put in.
 *
 * It ends once, for whatever reason comes first: what Baileys still buffers is handed out, then `closed` is reported
 * (unless we asked for it), then the socket goes.
 */
import type { BinaryNode, CacheStore, WABrowserDescription, WAVersion } from '@whiskeysockets/baileys'
import { makeWASocket, S_WHATSAPP_NET } from '@whiskeysockets/baileys'
import type { Closing } from '../../domain/close-reasons'
import { fail } from '../../domain/errors'
import { VaultFenced } from '../../domain/ownership'
import type { Connection, OpenRequest, Report } from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { createAddressBook } from './address-book'
import { openAuthState } from './auth-state'
import { createBeforeTarget } from './before-target'
import { closingOf, closingOfUpgrade, disconnectOf } from './close-codes'
import { createRecollection } from './content/earlier'
import { hearData, listener } from './data-events'
import type { Drops } from './drops'
import { createGroupCache } from './group-cache'
import { refusalOf } from './inbound-door'
import { type InboundJournal, journalInbound, leftoversOf } from './inbound-journal'
import { lookUpNumbers } from './look-up'
import { createMediaTransfer } from './media-transfer'
import { openPairingWindow } from './pairing-window'
import { isMe, type Know } from './people'
import { identityOf } from './reports'
import { signalRepositoryWith } from './repository'
import { createRestrictions } from './restriction'
import type { Routes } from './route'
import { createSender, isConnectionTrouble } from './sending'
import { socketOptions } from './socket-options'
import { keyOfRef, starPatch } from './star'
import type { Endpoint } from './trust'
import { createAcknowledgements } from './upstream/acknowledgements'
import { showVersion } from './upstream/client-version'
import { holdWritesFor } from './upstream/commit-before-wire'
import { guardFrames } from './upstream/frames'
import { forgetAbandonedPairing, isPaired } from './upstream/pairing'
import { keepPrivacyTokens } from './upstream/privacy-tokens'
import { closePromptly } from './upstream/prompt-close'
import { rawSocketOf, type SocketEvents } from './upstream/raw-socket'
import { hearRefusedUpgrade } from './upstream/refused-upgrade'
import { sendWhatIsStored } from './upstream/stale-resends'
import { messageWithout } from './upstream/tripping'
import { describe } from './upstream/unhandled-rejections'
import { startWatchdog, type WatchTimes } from './watchdog'

export type SocketParts = {
  request: OpenRequest
  report: (report: Report) => void
  endpoint: Endpoint
  routes: Pick<Routes, 'through'>
  drops: ReturnType<Drops['of']>
  version: WAVersion
  browser: WABrowserDescription
  caches: { retries: CacheStore; placeholders: CacheStore }
  watch: WatchTimes
  ackTimeoutMs: number
  clock: Clock
  log: Log
  qrTimeoutMs?: number
}

/** How long WhatsApp may take to confirm that this device is unlinked. */
const LOGOUT_MS = 5_000
/** How long stanzas that have arrived may take to be handled when we close. */
const DRAIN_MS = 4_500
/** Sweeping plaintexts is due once in so many turns of the watchdog. */
const TURNS_PER_SWEEP = 30
/** Signs of life are reported at most this often. */
const ALIVE_MS = 1_000

/** Opens a socket. Throws only when the vault cannot be read; everything later is a report. */
export function openSocket(parts: SocketParts): Connection {
  const { request, clock, version, browser } = parts
  const log = parts.log.with({ sessionId: request.sessionId, generation: request.vault.generation })
  const qrTimeout = parts.qrTimeoutMs === undefined ? {} : { qrTimeoutMs: parts.qrTimeoutMs }
  let ended = false
  /** We close it ourselves, and nobody needs to be told why. */
  let leaving = false
  let journal: InboundJournal | null = null

  const report = (what: Report) => {
    if (!ended) parts.report(what)
  }

  // ——— what it stands on ———
  const auth = openAuthState(request.vault, onStorageFailure)
  const leftovers = leftoversOf(request.vault)
  const { creds } = auth
  /** A failed save ends the socket by itself (`onStorageFailure`). */
  const saveUnwatched = () => void auth.saveCreds().catch(() => undefined)
  if (!isPaired(creds)) {
    forgetAbandonedPairing(creds)
    saveUnwatched()
  }
  const route = parts.routes.through(request.proxyUrl, ({ message }) =>
    end({ reason: 'proxy_failed', code: null, detail: message }),
  )
  const acks = createAcknowledgements(clock, parts.ackTimeoutMs)
  const groups = createGroupCache(clock, (jid) => sock.groupMetadata(jid))
  const sock = makeWASocket(
    socketOptions({
      ...qrTimeout,
      endpoint: parts.endpoint,
      route,
      version,
      browser,
      auth,
      markOnline: request.markOnline,
      clock,
      log,
      caches: parts.caches,
      raw: request.raw,
      groupMetadata: (jid) => groups.get(jid),
      makeSignalRepository: signalRepositoryWith(
        { has: (id) => journal?.has(id) ?? false, add: (id, plaintext) => journal?.add(id, plaintext) },
        (jid) => isMe(jid, identityOf(creds)),
      ),
    }),
  )
  const ws: SocketEvents = sock.ws
  const raw = rawSocketOf(ws)
  const media = createMediaTransfer({
    sock,
    me: () => creds.me?.id,
    // By way of the guard, which knows the mark.
    fetch: (url, init) => fetch(url, { ...init, dispatcher: route.dispatcher } as RequestInit),
    clock,
    log,
  })
  const restrictions = createRestrictions({ fetchLock: () => sock.fetchAccountReachoutTimelock(), clock })

  // ——— repairs of this socket; all in the tick in which it was made, so nothing has passed by ———
  keepPrivacyTokens(sock.authState.keys)
  holdWritesFor(raw, auth.commits)
  closePromptly(ws, raw, clock)
  guardFrames(ws, {
    onUnreadable(error) {
      parts.drops.count('unreadable')
      log.warn('A frame could not be read', describe(error))
    },
    onUseless: () => end({ reason: 'stream_error', code: null, detail: 'WhatsApp’s frames cannot be read' }),
  })
  const resends = sendWhatIsStored(sock.messageRetryManager, request.raw)
  hearRefusedUpgrade(ws, (status) => end(closingOfUpgrade(status)))
  const inbound = journalInbound({
    ws,
    vault: request.vault,
    leftovers,
    commit: auth.commit,
    flush: () => sock.ev.flush(),
    onRefused: () => parts.drops.count('refused'),
    refuse: (node, refusal) => sock.sendNode(refusalOf(node, refusal, creds.me?.id)),
    onTripped: (node, plaintexts) => {
      const message = messageWithout(node, plaintexts, creds)
      const isKept = message !== null && heard(message)
      log.warn('A message that Baileys could not handle was read without it', { kept: isKept })
      return isKept
    },
    onHandled: (inboxIds) => report({ kind: 'handled', inboxIds }),
    onFailure: onStorageFailure,
    clock,
    log,
  })
  journal = inbound
  const pairing = openPairingWindow({
    ...qrTimeout,
    sock: { ws, sendNode: sock.sendNode, query: sock.query },
    creds,
    browser,
    save: auth.saveCreds,
    report,
    onPasskeyRequired: () =>
      end({
        reason: 'passkey_required',
        code: null,
        detail: 'The account asks for a passkey to link a device',
      }),
    clock,
    log,
  })

  // ——— its life ———
  let turns = 0
  const watchdog = startWatchdog({
    clock,
    times: parts.watch,
    ask: async (timeoutMs) => (await sock.query(ping(), timeoutMs)) !== undefined,
    onDead() {
      raw.terminate()
      end({ reason: 'connection_lost', code: 408, detail: 'WhatsApp does not answer any more' })
    },
    onTurn() {
      turns += 1
      // A failed sweep ends the socket by itself (`onStorageFailure`).
      if (turns % TURNS_PER_SWEEP === 0) inbound.sweep().catch(() => undefined)
    },
  })
  let lastAlive = Number.NEGATIVE_INFINITY
  ws.on('frame', () => {
    watchdog.heard()
    if (clock.monotonic() - lastAlive < ALIVE_MS) return
    lastAlive = clock.monotonic()
    report({ kind: 'alive', at: clock.now() })
  })

  const on = listener(sock.ev, log)
  on('creds.update', saveUnwatched)
  on('connection.update', ({ connection, lastDisconnect, qr, isNewLogin }) => {
    const me = identityOf(creds)
    if (qr) pairing.show(qr)
    if (isNewLogin && me) onceStored(() => report({ kind: 'paired', me }))
    if (connection === 'open' && me) report({ kind: 'opened', me, clientVersion: showVersion(version) })
    if (connection === 'close') end(closingOf(disconnectOf(lastDisconnect?.error), clock.now()))
  })
  const book = createAddressBook(auth.keys)
  const know: Know = (jid) => book(jid) ?? groups.otherAddress(jid)
  const earlier = createRecollection(request.raw)
  const beforeTarget = createBeforeTarget(clock)
  const heard = hearData({
    ev: sock.ev,
    ws,
    creds,
    inbound,
    acks,
    groups,
    know,
    earlier,
    beforeTarget,
    resends,
    restrictions,
    drops: parts.drops,
    report,
    clock,
    log,
  })

  function onceStored(task: () => void): void {
    auth.commits.settled().then(task, () => undefined)
  }

  /** Baileys notices silence as well, sometimes before the watchdog does. */
  function silence(closing: Closing): Closing {
    const silent = watchdog.silentFor()
    if (closing.reason !== 'connection_lost' || silent < parts.watch.silentMs) return closing
    return { ...closing, stall: { reason: 'no_answer', since: clock.now() - silent } }
  }

  // ——— its end ———
  function end(closing: Closing | null): void {
    if (ended) return
    sock.ev.flush()
    inbound.stop()
    beforeTarget.stop()
    watchdog.stop()
    acks.end()
    pairing.end()
    media.stop()
    route.stop()
    if (closing !== null && !leaving) report({ kind: 'closed', why: silence(closing) })
    ended = true
    void sock.end(undefined)
  }

  function onStorageFailure(error: unknown): void {
    if (ended) return
    // Nothing may leave any more, a receipt least of all.
    raw.terminate()
    if (error instanceof VaultFenced) leaving = true
    end({ reason: 'storage_failed', code: null, detail: 'The key store does not accept writes' })
  }

  async function close(): Promise<void> {
    leaving = true
    if (ended) return
    await Promise.race([inbound.finish(), clock.sleep(DRAIN_MS)])
    end(null)
  }

  /** What Baileys does for us; its own words for a socket that went are not shown. */
  async function whileOpen<T>(task: () => Promise<T>): Promise<T> {
    if (ended) throw fail('SESSION_NOT_CONNECTED')
    try {
      return await task()
    } catch (error) {
      if (ended || isConnectionTrouble(error)) throw fail('SESSION_NOT_CONNECTED')
      throw error
    }
  }

  const send = createSender({
    sock,
    creds,
    auth,
    acks,
    resends,
    raw: request.raw,
    isOver: () => ended,
  })

  return {
    send,
    pairingCode: pairing.code,
    lookUp: (phoneNumbers) => lookUpNumbers(sock, phoneNumbers),
    upload: media.upload,
    download: media.download,
    showPresence: (to, presence) => whileOpen(() => sock.sendPresenceUpdate(presence, to ?? undefined)),
    star: (message, starred) => whileOpen(() => sock.appPatch(starPatch(message, starred))),
    markRead: (messages) => whileOpen(() => sock.readMessages(messages.map(keyOfRef))),
    restriction: () => whileOpen(() => restrictions.ask()),
    close,
    async logout() {
      leaving = true
      const jid = creds.me?.id
      if (!ended && jid && isPaired(creds)) {
        // Unlinking is a favour: when WhatsApp does not answer, the device stays listed and is closed all the same.
        await Promise.race([sock.query(unlink(jid), LOGOUT_MS), clock.sleep(LOGOUT_MS)]).catch(
          () => undefined,
        )
      }
      await close()
    },
  }
}

/** A new one each time: Baileys writes the query's id into it. */
const ping = (): BinaryNode => ({
  tag: 'iq',
  attrs: { to: S_WHATSAPP_NET, type: 'get', xmlns: 'w:p' },
  content: [{ tag: 'ping', attrs: {} }],
})

const unlink = (jid: string): BinaryNode => ({
  tag: 'iq',
  attrs: { to: S_WHATSAPP_NET, type: 'set', xmlns: 'md' },
  content: [{ tag: 'remove-companion-device', attrs: { jid, reason: 'user_initiated' } }],
})
