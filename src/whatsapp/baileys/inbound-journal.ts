/**
 * Every message stanza is on disk before Baileys sees it, and stays there until its message is stored.
 *
 * Upstream defect (quality notes F1–F4): Baileys tells WhatsApp that a message was delivered before the application has
 * it; a crash in between, or a connection that ends while events are still buffered, loses it for good.
 *
 * How it is closed. A stanza gets a journal row first; only then it is handed to Baileys, one after another. Baileys
 * decrypts (the plaintext goes to disk with the ratchet, `repository.ts`), sends its receipt and emits the message; the
 * commit that stores the message deletes the row. Rows left by a crash are handed to Baileys again after the next login,
 * before anything new: what was decrypted is found again, what was receipted is receipted once more, and the recorder
 * drops what it has. A journal that refuses a write ends the socket before any receipt.
 *
 * A row does not outlive what it holds: what Baileys trips over after it has decrypted it is read without Baileys.
 *
 * Upstream repaired it when stock Baileys loses none of the messages of `inbound-journal.test.ts`.
 */
import { type BinaryNode, isJidNewsletter } from '@whiskeysockets/baileys'
import type { InboxRow, SessionVault, VaultWrite } from '../../domain/ownership'
import type { Clock } from '../../lib/clock'
import { faultPoint } from '../../lib/fault-points'
import type { Log } from '../../lib/log'
import { changeOf, type PostChange } from './channel-changes'
import { withheldIn } from './content/withheld'
import { atTheDoor, type Refusal } from './inbound-door'
import { waitingRows } from './inbound-waiting'
import { PLAINTEXT, type PlaintextIndex } from './repository'
import { stanzaOf } from './stanza-bytes'
import { interpose, type SocketEvents } from './upstream/raw-socket'
import { withKnownType } from './upstream/withheld'

/** Plaintexts of stored messages are kept this long for a stanza that WhatsApp delivers twice. */
export const PLAINTEXT_KEPT_MS = 10 * 60_000
/** A stanza that Baileys cannot get through is given up after a day of trying at each connect. */
const STANZA_KEPT_MS = 24 * 60 * 60_000

/** Where a message came from, and what only its stanza says of it. */
export type Origin = {
  inboxId: number
  offline: boolean
  /** Of a channel: the post was replaced or taken back. */
  change: PostChange | null
  /** Of a channel: the post is by this account. */
  own: boolean
  /** A file that can be opened once, which only the phone got. */
  withheld: 'image' | 'video' | 'audio' | null
}

/** What earlier connections left on disk. */
export type Leftovers = { stanzas: readonly InboxRow[]; plaintexts: readonly string[] }

/** Reads them; throws when they cannot be unsealed. Call it before the socket is made. */
export const leftoversOf = (vault: SessionVault): Leftovers => ({
  stanzas: vault.inbox(),
  plaintexts: vault.ids(PLAINTEXT),
})

export type InboundParts = {
  ws: SocketEvents
  vault: SessionVault
  leftovers: Leftovers
  commit: (writes: readonly VaultWrite[]) => Promise<void>
  /** Hands out what Baileys still buffers. */
  flush: () => void
  /** A stanza was not let in. */
  onRefused: () => void
  /** Tells WhatsApp that a stanza was not let in. */
  refuse: (node: BinaryNode, refusal: Refusal) => Promise<void>
  /**
   * Baileys has decrypted a stanza and failed before it handed the message over; these are its plaintexts, padded. Reports
   * what can be read of it; true when that takes the row along.
   */
  onTripped: (node: BinaryNode, plaintexts: readonly Uint8Array[]) => boolean
  /** Stanzas that hold no message to store. */
  onHandled: (inboxIds: number[]) => void
  /** The journal refused a write. */
  onFailure: (error: unknown) => void
  clock: Clock
  log: Log
}

export interface InboundJournal extends PlaintextIndex {
  /** The stanza that is being handled, when it bears this id. */
  originOf(messageId: string): Origin | null
  /**
   * Baileys has emitted this message. `kept` when it goes to the recorder, who will delete the row; without it the
   * stanza turned out to hold nothing to store.
   */
  emitted(messageId: string, kept: boolean): void
  /** The stanza that is being handled is not done before this is; a rejection leaves it for the next connect. */
  hold(work: Promise<unknown>): void
  /** Removes plaintexts whose messages are stored and old enough. */
  sweep(): Promise<void>
  /**
   * Lets no more stanzas in, and resolves when those taken so far are handled. WhatsApp has no receipt for what comes
   * meanwhile, and tells it again at the next login.
   */
  finish(): Promise<void>
  /** Nothing more is handed to Baileys; what is journalled waits for the next connection. */
  stop(): void
}

type Current = Origin & {
  messageId: string | undefined
  emitted: boolean
  claimed: boolean
  plaintexts: Uint8Array[]
  held: Promise<unknown>[]
}
type Kept = { at: number; inboxId: number }

/** Takes the message stanzas of a socket that has just been made. */
export function journalInbound(parts: InboundParts): InboundJournal {
  const { ws, vault, clock, log } = parts
  const leftovers = parts.leftovers.stanzas
  const lastLeftover = leftovers.at(-1)?.id ?? 0
  const kept = new Map<string, Kept>()
  // A row that is too old is dropped unread, so a copy of it is let in.
  const waiting = waitingRows(leftovers.filter((row) => !isTooOld(row)))
  for (const id of parts.leftovers.plaintexts) kept.set(id, { at: clock.now(), inboxId: lastLeftover })

  let current: Current | null = null
  let stopped = false
  let isFinishing = false
  let started = false
  let handle: (node: BinaryNode) => unknown = () => undefined

  const loggedIn = Promise.withResolvers<void>()
  let tail: Promise<void> = loggedIn.promise.then(() => {
    started = true
    return replay()
  })

  async function handleOne(node: BinaryNode, inboxId: number): Promise<void> {
    if (stopped) return
    const { offline, ...attrs } = node.attrs
    current = {
      inboxId,
      messageId: attrs.id,
      offline: offline !== undefined,
      change: changeOf(node),
      withheld: withheldIn(node),
      own: attrs.is_sender === 'true' && isJidNewsletter(attrs.from ?? '') === true,
      emitted: false,
      claimed: false,
      plaintexts: [],
      held: [],
    }
    const mine = current
    try {
      // Without `offline` Baileys awaits the stanza instead of queueing it, so its end is known.
      await handle({ ...withKnownType(node), attrs })
    } catch (error) {
      log.warn('A message stanza failed', { error: error instanceof Error ? error.name : typeof error })
    }
    parts.flush()
    const isTripped = mine.plaintexts.length > 0 && !mine.emitted
    if (isTripped && !stopped && ws.isOpen) mine.claimed = parts.onTripped(node, mine.plaintexts)
    current = null
    const held = await Promise.allSettled(mine.held)
    if (held.some(({ status }) => status === 'rejected')) return
    if (mine.claimed || stopped || !ws.isOpen) return
    parts.onHandled([inboxId])
  }

  async function replay(): Promise<void> {
    if (leftovers.length > 0) log.info('Handling stanzas that were left over', { stanzas: leftovers.length })
    for (const row of leftovers) {
      if (stopped) return
      const node = isTooOld(row) ? null : await nodeOf(row)
      if (node === null) parts.onHandled([row.id])
      else await handleOne({ ...node, attrs: { ...node.attrs, offline: '0' } }, row.id)
      waiting.handled(row)
    }
  }

  function isTooOld(row: InboxRow): boolean {
    return clock.now() - row.at > STANZA_KEPT_MS
  }

  async function nodeOf(row: InboxRow): Promise<BinaryNode | null> {
    try {
      return await stanzaOf(row.stanza)
    } catch {
      log.error('A journalled stanza cannot be read; it is dropped')
      return null
    }
  }

  function take(node: BinaryNode): void {
    if (isFinishing) return
    loggedIn.resolve()
    faultPoint('stanza read')
    const entering = atTheDoor(node)
    if ('why' in entering) {
      parts.onRefused()
      log.warn('A message stanza was refused', { why: entering.why })
      // Told or not, it is not let in the next time either; without an id there is nothing to name.
      if (node.attrs.id) parts.refuse(node, entering).catch(() => undefined)
      return
    }
    if (waiting.has(node)) return
    const written = vault.receive(entering.stanza)
    written.catch((error: unknown) => {
      stopped = true
      parts.onFailure(error)
    })
    tail = tail
      .then(() => written)
      .then((inboxId) => {
        faultPoint('stanza journalled')
        return handleOne(node, inboxId)
      })
      .catch(() => undefined)
  }

  ws.on('CB:success', () => loggedIn.resolve())
  interpose(ws, 'CB:message', (call) => {
    handle = call
    return (node) => take(node as BinaryNode)
  })

  return {
    has: (id) => kept.has(id),
    add(id, plaintext) {
      current?.plaintexts.push(plaintext)
      kept.set(id, { at: clock.now(), inboxId: current?.inboxId ?? 0 })
    },
    originOf(messageId) {
      if (current?.messageId !== messageId) return null
      const { inboxId, offline, change, own, withheld } = current
      return { inboxId, offline, change, own, withheld }
    },
    emitted(messageId, isKept) {
      if (current?.messageId !== messageId) return
      faultPoint('message emitted')
      current.emitted = true
      current.claimed ||= isKept
    },
    hold(work) {
      work.catch(() => undefined)
      current?.held.push(work)
    },
    async sweep() {
      const due = [...kept].filter(([, { at }]) => clock.now() - at > PLAINTEXT_KEPT_MS)
      if (due.length === 0) return
      const oldestWaiting = vault.inbox()[0]?.id ?? Number.POSITIVE_INFINITY
      const gone = due.filter(([, { inboxId }]) => inboxId < oldestWaiting).map(([id]) => id)
      if (gone.length === 0) return
      for (const id of gone) kept.delete(id)
      await parts.commit(gone.map((id) => ({ type: PLAINTEXT, id, value: null })))
    },
    finish() {
      isFinishing = true
      return started ? tail : Promise.resolve()
    },
    stop() {
      stopped = true
      loggedIn.resolve()
    },
  }
}
