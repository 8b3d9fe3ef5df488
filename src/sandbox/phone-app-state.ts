/**
 * What the devices of an account know together: starred messages, pinned, archived, muted and read chats. The phone owns
 * the key of it and hands it to its companions; it takes their patches from the server, and writes its own.
 */
import { randomBytes } from 'node:crypto'
import type { proto } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import {
  type AppStateKey,
  BrokenPatch,
  COLLECTIONS,
  type CollectionName,
  type CollectionState,
  decodePatch,
  emptyCollection,
  encodePatch,
  type Mutation,
  pullRequest,
  pushRequest,
  readCollection,
  UnknownKey,
} from './app-state-patches'
import type { PhoneDeeds } from './phone-deeds'
import type { PhoneJournal } from './phone-journal'
import type { SandboxState } from './state'
import type { PhoneUplink } from './types'

export type ChatState = {
  archived: boolean
  pinned: boolean
  /** Milliseconds since the epoch; −1 = for ever, null = not muted. */
  mutedUntil: number | null
  /** Null until anybody has marked the chat. */
  read: boolean | null
}

export type AppStateParts = {
  state: SandboxState
  scope: string
  uplink: PhoneUplink
  journal: PhoneJournal
  deeds: PhoneDeeds
  clock: Clock
  name: string
  /** Bare, and by number where it is known. */
  nameOf(address: string): Promise<string>
  /** A patch that does not fit: its writer's fault, and no reason to stop. */
  onBroken(collection: string, reason: string): void
}

/** All calls must come one after another. */
export interface PhoneAppState {
  /** The key that companions are given. With the first one goes the patch from which they learn the owner's name. */
  key(): Promise<AppStateKey>
  /** Fetches and applies what other devices have changed. */
  pull(collection: string): Promise<void>
  /** Writes a change, upon whatever others have written meanwhile. */
  push(collection: CollectionName, mutation: Omit<Mutation, 'operation'>): Promise<void>
  chats(): ReadonlyMap<string, ChatState>
}

const KEY = 'app-state-key'
const CHATS = 'chats'
const MOST_CONFLICTS = 5
const FRESH: ChatState = { archived: false, pinned: false, mutedUntil: null, read: null }

/** Opens a phone's app state under `scope`. */
export function openPhoneAppState(parts: AppStateParts): PhoneAppState {
  const { state, scope, uplink, journal, deeds, clock, nameOf } = parts
  const collections = new Map<string, CollectionState>()
  const stored = state.get(scope, CHATS)
  const chats = new Map<string, ChatState>(stored ? JSON.parse(stored.toString()) : [])

  function ownKey(): AppStateKey | null {
    const kept = state.get(scope, KEY)
    return kept && { id: kept.subarray(0, 6), data: kept.subarray(6) }
  }
  const keyOf = (id: Buffer) => {
    const own = ownKey()
    return own && id.equals(own.id) ? own : undefined
  }

  function collectionOf(name: CollectionName): CollectionState {
    const known = collections.get(name) ?? readState(state.get(scope, `collection ${name}`))
    collections.set(name, known)
    return known
  }
  function keep(name: CollectionName, next: CollectionState): void {
    collections.set(name, next)
    state.write(scope, new Map([[`collection ${name}`, writeState(next)]]))
  }

  async function changeChat(jid: string | undefined, change: Partial<ChatState>): Promise<void> {
    if (!jid) return
    const chat = await nameOf(jid)
    chats.set(chat, { ...(chats.get(chat) ?? FRESH), ...change })
    state.write(scope, new Map([[CHATS, Buffer.from(JSON.stringify([...chats]))]]))
  }

  const ACTIONS: Record<string, (index: string[], value: proto.ISyncActionValue) => Promise<void>> = {
    async star([, chat = '', id = ''], { starAction }) {
      const entry = journal.find(id, await nameOf(chat)) ?? journal.find(id)
      if (entry) deeds.change(entry, { starred: starAction?.starred === true })
    },
    pin_v1: ([, chat], { pinAction }) => changeChat(chat, { pinned: pinAction?.pinned === true }),
    archive: ([, chat], { archiveChatAction }) =>
      changeChat(chat, { archived: archiveChatAction?.archived === true }),
    mute: ([, chat], { muteAction }) =>
      changeChat(chat, { mutedUntil: muteAction?.muted ? Number(muteAction.muteEndTimestamp ?? -1) : null }),
    markChatAsRead: ([, chat], { markChatAsReadAction }) =>
      changeChat(chat, { read: markChatAsReadAction?.read === true }),
  }

  async function apply({ index, value, operation }: Mutation): Promise<void> {
    await ACTIONS[index[0] ?? '']?.(index, operation === 'remove' ? {} : value)
  }

  async function take(name: CollectionName, patches: Buffer[]): Promise<boolean> {
    for (const bytes of patches) {
      try {
        const { state: next, mutations } = await decodePatch(name, bytes, collectionOf(name), keyOf)
        for (const mutation of mutations) await apply(mutation)
        keep(name, next)
      } catch (error) {
        if (!(error instanceof BrokenPatch || error instanceof UnknownKey)) throw error
        parts.onBroken(name, error.message)
        return false
      }
    }
    return true
  }

  async function pull(name: string): Promise<void> {
    if (!isCollection(name)) return
    for (let more = true; more; ) {
      const answer = readCollection(await uplink.query(pullRequest(name, collectionOf(name).version)))
      more = (await take(name, answer.patches)) && answer.more
    }
  }

  async function push(name: CollectionName, change: Omit<Mutation, 'operation'>): Promise<void> {
    const own = await key()
    const timestamp = clock.now()
    const mutation = { ...change, operation: 'set' as const, value: { timestamp, ...change.value } }
    for (let attempt = 0; attempt < MOST_CONFLICTS; attempt++) {
      const before = collectionOf(name)
      const { bytes, state: next } = await encodePatch(name, mutation, before, own)
      const answer = readCollection(await uplink.query(pushRequest(name, before.version, bytes)))
      if (!answer.conflict) {
        keep(name, next)
        return apply(mutation)
      }
      await take(name, answer.patches)
    }
    throw new Error(`${name} does not hold still`)
  }

  async function key(): Promise<AppStateKey> {
    const known = ownKey()
    if (known) return known
    const made = { id: Buffer.concat([Buffer.from([0, 0]), randomBytes(4)]), data: randomBytes(32) }
    state.write(scope, new Map([[KEY, Buffer.concat([made.id, made.data])]]))
    const name = { pushNameSetting: { name: parts.name } }
    await push('critical_block', { index: ['setting_pushName'], value: name, version: 1 })
    return made
  }

  return { key, pull, push, chats: () => chats }
}

const isCollection = (name: string): name is CollectionName =>
  (COLLECTIONS as readonly string[]).includes(name)

function readState(stored: Buffer | null): CollectionState {
  if (!stored) return emptyCollection()
  const { version, hash, values } = JSON.parse(stored.toString())
  return {
    version,
    hash: Buffer.from(hash, 'base64'),
    values: Object.fromEntries(
      Object.entries<string>(values).map(([at, mac]) => [at, Buffer.from(mac, 'base64')]),
    ),
  }
}

const writeState = ({ version, hash, values }: CollectionState): Buffer =>
  Buffer.from(
    JSON.stringify({
      version,
      hash: hash.toString('base64'),
      values: Object.fromEntries(Object.entries(values).map(([at, mac]) => [at, mac.toString('base64')])),
    }),
  )
