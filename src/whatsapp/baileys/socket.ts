/**
 * One Baileys socket as a `Connection`, with the repairs of `upstream/` put in.
 *
 * It ends once, for whatever reason comes first: what Baileys still buffers is handed out, then `closed` is reported
 * (unless we asked for it), then the socket goes.
 */

import type { CacheStore, WABrowserDescription, WAVersion } from '@whiskeysockets/baileys'
import {
  type BaileysEventMap,
  type BinaryNode,
  isJidGroup,
  makeWASocket,
  proto,
  S_WHATSAPP_NET,
  USyncQuery,
  USyncUser,
  WAMessageStubType,
} from '@whiskeysockets/baileys'
import type { Closing } from '../../domain/close-reasons'
import { fail } from '../../domain/errors'
import { asMessageId, type Jid, partyOf } from '../../domain/ids'
import { VaultFenced } from '../../domain/ownership'
import {
  type Connection,
  type NumberLookup,
  type OpenRequest,
  type Report,
  SendUnconfirmed,
} from '../../domain/whatsapp'
import type { Clock } from '../../lib/clock'
import type { Log } from '../../lib/log'
import { createAddressBook } from './address-book'
import { openAuthState } from './auth-state'
import { closingOf, closingOfUpgrade, disconnectOf } from './close-codes'
import { createGroupCache } from './group-cache'
import { type InboundJournal, journalInbound, leftoversOf } from './inbound-journal'
import {
  callsOf,
  contactsOf,
  groupStatusesOf,
  groupsOf,
  historyOf,
  identityOf,
  messageOf,
  pairsOf,
  participantsOf,
  presencesOf,
  statusesOf,
} from './reports'
import { signalRepositoryWith } from './repository'
import { socketOptions } from './socket-options'
import type { Endpoint } from './trust'
import { createAcknowledgements } from './upstream/acknowledgements'
import { showVersion } from './upstream/client-version'
import { holdWritesFor } from './upstream/commit-before-wire'
import { guardFrames } from './upstream/frames'
import {
  forgetAbandonedPairing,
  hearPairing,
  isPaired,
  requestPairingCode,
  withPresentSecret,
} from './upstream/pairing'
import { closePromptly } from './upstream/prompt-close'
import { rawSocketOf, type SocketEvents } from './upstream/raw-socket'
import { hearRefusedUpgrade } from './upstream/refused-upgrade'
import { describe } from './upstream/unhandled-rejections'
import { startWatchdog, type WatchTimes } from './watchdog'

export type SocketParts = {
  request: OpenRequest
  report: (report: Report) => void
  endpoint: Endpoint
  version: WAVersion
  browser: WABrowserDescription
  caches: { retries: CacheStore; placeholders: CacheStore }
  watch: WatchTimes
  ackTimeoutMs: number
  clock: Clock
  log: Log
  qrTimeoutMs?: number
}

/** Lifetimes of the codes of one pairing window (Baileys' own rotation). */
const FIRST_QR_MS = 60_000
const NEXT_QR_MS = 20_000
const PAIRING_QUERY_MS = 20_000
/** How long WhatsApp may take to confirm that this device is unlinked. */
const LOGOUT_MS = 5_000
/** How long stanzas that have arrived may take to be handled when we close. */
const DRAIN_MS = 2_000
/** Sweeping plaintexts is due once in so many turns of the watchdog. */
const TURNS_PER_SWEEP = 12

/** Opens a socket. Throws only when the vault cannot be read; everything later is a report. */
export function openSocket(parts: SocketParts): Connection {
  const { request, clock, version, browser } = parts
  const log = parts.log.with({ sessionId: request.sessionId, generation: request.vault.generation })
  let ended = false
  /** We close it ourselves, and nobody needs to be told why. */
  let leaving = false
  let journal: InboundJournal | null = null

  const report = (what: Report) => {
    if (!ended) parts.report(what)
  }

  const auth = openAuthState(request.vault, onStorageFailure)
  const leftovers = leftoversOf(request.vault)
  const { creds } = auth
  const save = () => auth.saveCreds()
  /** A failed save ends the socket by itself (`onStorageFailure`). */
  const saveUnwatched = () => void save().catch(() => undefined)
  if (!isPaired(creds)) {
    forgetAbandonedPairing(creds)
    saveUnwatched()
  }

  const know = createAddressBook(auth.keys)
  const acks = createAcknowledgements(clock, parts.ackTimeoutMs)
  const groups = createGroupCache(clock, (jid) => sock.groupMetadata(jid))
  const sock = makeWASocket(
    socketOptions({
      endpoint: parts.endpoint,
      version,
      browser,
      auth,
      markOnline: request.markOnline,
      clock,
      log,
      caches: parts.caches,
      raw: request.raw,
      groupMetadata: (jid) => groups.get(jid),
      makeSignalRepository: signalRepositoryWith({
        has: (id) => journal?.has(id) ?? false,
        add: (id) => journal?.add(id),
      }),
      ...(parts.qrTimeoutMs === undefined ? {} : { qrTimeoutMs: parts.qrTimeoutMs }),
    }),
  )
  const ws: SocketEvents = sock.ws
  const raw = rawSocketOf(ws)
  const pairingSocket = { ws, sendNode: sock.sendNode, query: sock.query }

  holdWritesFor(raw, auth.commits)
  closePromptly(ws, raw, clock)
  guardFrames(ws, {
    onUnreadable: (error) => log.warn('A frame could not be read', describe(error)),
    onUseless: () => end({ reason: 'stream_error', code: null, detail: 'WhatsApp’s frames cannot be read' }),
  })
  hearRefusedUpgrade(ws, (status) => end(closingOfUpgrade(status)))
  journal = journalInbound({
    ws,
    vault: request.vault,
    leftovers,
    commit: auth.commit,
    flush: () => sock.ev.flush(),
    onHandled: (inboxIds) => report({ kind: 'handled', inboxIds }),
    onFailure: onStorageFailure,
    clock,
    log,
  })
  const inbound = journal

  let turns = 0
  const watchdog = startWatchdog({
    clock,
    times: parts.watch,
    ask: async (timeoutMs) => {
      const ping: BinaryNode = {
        tag: 'iq',
        attrs: { to: S_WHATSAPP_NET, type: 'get', xmlns: 'w:p' },
        content: [{ tag: 'ping', attrs: {} }],
      }
      return (await sock.query(ping, timeoutMs)) !== undefined
    },
    onDead: () => {
      raw.terminate()
      end({ reason: 'connection_lost', code: 408, detail: 'WhatsApp does not answer any more' })
    },
    onTurn: () => {
      turns += 1
      if (turns % TURNS_PER_SWEEP === 0) inbound.sweep().catch(() => undefined)
    },
  })

  let lastAlive = Number.NEGATIVE_INFINITY
  ws.on('frame', () => {
    watchdog.heard()
    if (clock.monotonic() - lastAlive < 1_000) return
    lastAlive = clock.monotonic()
    report({ kind: 'alive', at: clock.now() })
  })

  // ——— pairing ———
  let window: { endsAt: number } | null = null
  const windowOpened = Promise.withResolvers<void>()
  let shown: { text: string; expiresAt: number } | null = null
  const codes = new Map<string, Promise<string>>()
  const lifeOfQr = () => parts.qrTimeoutMs ?? (shown === null ? FIRST_QR_MS : NEXT_QR_MS)

  hearPairing(pairingSocket, creds, {
    onWindow(refs) {
      const first = parts.qrTimeoutMs ?? FIRST_QR_MS
      const next = parts.qrTimeoutMs ?? NEXT_QR_MS
      window = { endsAt: clock.now() + first + next * Math.max(0, refs - 1) }
      windowOpened.resolve()
    },
    onRefreshed(advSecretKey) {
      creds.advSecretKey = advSecretKey
      log.info('WhatsApp has retired the QR secret; showing the same code with a new one')
      save().then(showAgain, () => undefined)
    },
    onPasskeyRequired: () =>
      end({
        reason: 'passkey_required',
        code: null,
        detail: 'The account asks for a passkey to link a device',
      }),
  })

  function showAgain(): void {
    if (shown === null) return
    report({ kind: 'qr', text: withPresentSecret(shown.text, creds), expiresAt: shown.expiresAt })
  }

  function onQr(text: string): void {
    shown = { text, expiresAt: clock.now() + lifeOfQr() }
    showAgain()
  }

  // ——— events ———
  /** Every event of Baileys goes through here in order; a failing one does not take the others with it. */
  const on = <E extends keyof BaileysEventMap>(event: E, hear: (data: BaileysEventMap[E]) => void) => {
    sock.ev.on(event, (data) => {
      try {
        hear(data)
      } catch (error) {
        log.error('An event could not be read', { event, ...describe(error) })
      }
    })
  }

  on('creds.update', saveUnwatched)
  on('connection.update', ({ connection, lastDisconnect, qr, isNewLogin }) => {
    if (qr) onQr(qr)
    if (isNewLogin) {
      const me = identityOf(creds)
      if (me)
        auth.commits.settled().then(
          () => report({ kind: 'paired', me }),
          () => undefined,
        )
    }
    if (connection === 'open') {
      const me = identityOf(creds)
      if (me) report({ kind: 'opened', me, clientVersion: showVersion(version) })
    }
    if (connection === 'close') end(closingOf(disconnectOf(lastDisconnect?.error), clock.now()))
  })

  const told = new Set<string>()
  const tellPairs = (pairs: readonly { lid: Jid; phoneNumber: string }[]) => {
    const fresh = pairs.filter(({ lid, phoneNumber }) => !told.has(`${lid} ${phoneNumber}`))
    if (fresh.length === 0) return
    if (told.size > 10_000) told.clear()
    for (const { lid, phoneNumber } of fresh) told.add(`${lid} ${phoneNumber}`)
    report({ kind: 'identities', pairs: fresh })
  }

  on('messages.upsert', ({ messages }) => {
    const me = identityOf(creds)
    for (const message of messages) {
      tellPairs(pairsOf(message))
      const id = message.key.id ?? ''
      const incoming = messageOf(message, { origin: inbound.originOf(id), me, know })
      if (message.messageStubType === WAMessageStubType.CIPHERTEXT) {
        log.warn('A message could not be decrypted; WhatsApp was asked to send it again')
      }
      if (incoming !== null) report({ kind: 'messages', messages: [incoming] })
      inbound.emitted(id, incoming !== null)
    }
  })

  /** Refusals that the sender itself has heard. */
  const refused = new Set<string>()
  ws.prependListener('CB:ack,class:message', (ack: BinaryNode) => {
    const { id, error } = ack.attrs
    if (id === undefined) return
    const awaited = acks.arrived(ack)
    if (awaited && error !== undefined) refused.add(id)
    if (awaited || error !== undefined) return
    report({
      kind: 'statuses',
      statuses: [{ messageId: asMessageId(id), status: 'sent', at: clock.now(), error: null }],
    })
  })
  on('messages.update', (updates) => {
    const statuses = statusesOf(updates, clock.now()).filter(
      ({ messageId, status }) => !(status === 'failed' && refused.delete(messageId)),
    )
    if (statuses.length > 0) report({ kind: 'statuses', statuses })
  })
  on('message-receipt.update', (updates) => {
    const statuses = groupStatusesOf(updates, clock.now())
    if (statuses.length > 0) report({ kind: 'statuses', statuses })
  })

  const names = new Map<string, string>()
  const tellContacts = (contacts: Parameters<typeof contactsOf>[0]) => {
    const { named, pairs } = contactsOf(contacts, know)
    tellPairs(pairs)
    const fresh = named.filter(({ party, name }) => {
      const key = party.lid ?? party.phoneNumber ?? ''
      if (name === null || names.get(key) === name) return false
      if (names.size > 10_000) names.clear()
      names.set(key, name)
      return true
    })
    if (fresh.length > 0) report({ kind: 'contacts', contacts: fresh })
  }
  on('contacts.upsert', tellContacts)
  on('contacts.update', tellContacts)
  on('lid-mapping.update', ({ lid, pn }) => tellPairs(pairsOf({ key: { remoteJid: lid, remoteJidAlt: pn } })))
  on('messaging-history.set', (history) => {
    tellContacts(history.contacts)
    report(historyOf(history))
  })
  on('groups.upsert', (list) => {
    groups.changed({ 'groups.upsert': list })
    report(groupsOf(list))
  })
  on('groups.update', (list) => {
    groups.changed({ 'groups.update': list })
    report(groupsOf(list))
  })
  on('group-participants.update', (update) => {
    groups.changed({ 'group-participants.update': update })
    report(participantsOf(update, know))
  })
  on('presence.update', (update) => {
    if (isJidGroup(update.id)) return
    for (const one of presencesOf(update, know)) report(one)
  })
  on('call', (calls) => report(callsOf(calls, know)))

  // ——— the end ———
  function end(closing: Closing | null): void {
    if (ended) return
    sock.ev.flush()
    inbound.stop()
    watchdog.stop()
    acks.end()
    windowOpened.reject(fail('SESSION_NOT_CONNECTED'))
    if (closing !== null && !leaving) report({ kind: 'closed', why: closing })
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

  async function gone(): Promise<void> {
    leaving = true
    if (ended) return
    await Promise.race([inbound.idle(), clock.sleep(DRAIN_MS)])
    end(null)
  }

  windowOpened.promise.catch(() => undefined)

  return {
    async send({ id, to, raw: encoded }) {
      if (ended) throw new SendUnconfirmed('The connection has ended')
      const answer = acks.expect(id)
      try {
        await sock.relayMessage(to, proto.Message.decode(encoded), {
          messageId: id,
          useCachedGroupMetadata: true,
        })
      } catch (error) {
        acks.forget(id)
        if (ended || isConnectionTrouble(error))
          throw new SendUnconfirmed('The connection ended before the message left')
        throw error
      }
      acks.written(id)
      return answer
    },

    async pairingCode(phoneNumber) {
      if (isPaired(creds)) throw fail('SESSION_ALREADY_CONNECTED')
      await windowOpened.promise
      const asked = codes.get(phoneNumber) ?? requestCode(phoneNumber)
      return { code: await asked, expiresAt: window?.endsAt ?? clock.now() }
    },

    async lookUp(phoneNumbers) {
      const query = new USyncQuery().withContactProtocol().withLIDProtocol().withContext('interactive')
      for (const number of phoneNumbers) query.withUser(new USyncUser().withPhone(`+${number}`))
      const result = await sock.executeUSyncQuery(query)
      if (!result) throw fail('SESSION_NOT_CONNECTED', { reason: 'WhatsApp did not answer' })
      return answersOf(phoneNumbers, result.list)
    },

    close: gone,

    async logout() {
      leaving = true
      const jid = creds.me?.id
      if (!ended && jid && isPaired(creds)) {
        const leave: BinaryNode = {
          tag: 'iq',
          attrs: { to: S_WHATSAPP_NET, type: 'set', xmlns: 'md' },
          content: [{ tag: 'remove-companion-device', attrs: { jid, reason: 'user_initiated' } }],
        }
        await Promise.race([sock.query(leave, LOGOUT_MS), clock.sleep(LOGOUT_MS)]).catch(() => undefined)
      }
      await gone()
    },
  }

  function requestCode(phoneNumber: string): Promise<string> {
    const asked = requestPairingCode({
      sock: pairingSocket,
      creds,
      browser,
      save,
      phoneNumber,
      timeoutMs: PAIRING_QUERY_MS,
    })
    codes.set(phoneNumber, asked)
    asked.catch(() => codes.delete(phoneNumber))
    return asked
  }
}

/** The socket went while Baileys was preparing the message. */
function isConnectionTrouble(error: unknown): boolean {
  const { code } = disconnectOf(error)
  return code === 428 || code === 408
}

type LookedUp = { id: string; contact?: unknown; lid?: unknown }

/** WhatsApp answers with its own form of the number, in its own order; an unanswered one is not there. */
function answersOf(phoneNumbers: readonly string[], list: readonly LookedUp[]): NumberLookup[] {
  const answers = list.map((entry) => ({
    party: partyOf(entry.id, typeof entry.lid === 'string' ? entry.lid : null),
    exists: entry.contact === true,
  }))
  return phoneNumbers.map((asked, index) => {
    const exact = answers.find(({ party }) => party.phoneNumber === asked)
    const answer = exact ?? (answers.length === phoneNumbers.length ? answers[index] : undefined)
    return {
      phoneNumber: answer?.party.phoneNumber ?? asked,
      exists: answer?.exists ?? false,
      lid: answer?.party.lid ?? null,
    }
  })
}
