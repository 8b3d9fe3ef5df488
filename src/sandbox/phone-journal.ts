/** What a phone has received and sent, in memory and in the sandbox's state. */
import { proto } from '@whiskeysockets/baileys'
import type { ReadContent } from './content'
import type { SandboxState } from './state'

/** A message as a phone shows it: everything in it was decrypted with the phone's own keys. */
export type PhoneMessage = {
  id: string
  /** The phone number's JID where it is known, else the LID; a group's JID. */
  chat: string
  /** The author, bare, named like `chat`. */
  from: string
  /** Said by this account itself: by the phone, or by one of its companions. */
  fromMe: boolean
  /** The author's device that sent it. */
  device: number
  /** Seconds since 1970, as the server stamped it. */
  timestamp: number
  /** WhatsApp's own name of the content, such as `conversation`. */
  kind: string
  content: ReadContent
  pushName?: string
}

/** How the message was addressed on the wire; receipts must answer in the same words. */
export type WireAddress = { from: string; participant?: string; recipient?: string }

export type Received = { shown: PhoneMessage; message: proto.IMessage; address: WireAddress }

export type SentStatus = 'sent' | 'delivered' | 'read' | 'played'
export type Sent = {
  shown: PhoneMessage
  message: proto.IMessage
  /** The chat as it was addressed on the wire. */
  to: string
  /** The farthest receipt of each reader, by bare JID as it came. */
  receipts: Record<string, SentStatus>
}

export interface PhoneJournal {
  received(): readonly Received[]
  sent(): readonly Sent[]
  findReceived(id: string): Received | null
  findSent(id: string): Sent | null
  /** Whether this author's message is already there. */
  has(id: string, from: string): boolean
  addReceived(entry: Received): void
  addSent(entry: Sent): void
  /** Takes back what was not sent after all. */
  dropSent(entry: Sent): void
  /** Notes a receipt; a lower one never takes back a higher one. */
  mark(id: string, reader: string, status: SentStatus): void
  /** Puts what has changed into the state, in one write. */
  commit(): void
}

const KEEP = 20_000
const RANK: Record<SentStatus, number> = { sent: 0, delivered: 1, read: 2, played: 3 }

/** Opens a phone's journal under `scope`. */
export function openPhoneJournal(state: SandboxState, scope: string): PhoneJournal {
  const received: Received[] = []
  const sent: Sent[] = []
  const receivedKeys = new Map<Received, string>()
  const receivedById = new Map<string, Received>()
  const sentById = new Map<string, Sent>()
  const authored = new Set<string>()
  const sentKeys = new Map<Sent, string>()
  const dirty = new Map<string, Buffer | null>()
  let sequence = 0

  const index = (entry: Received) => {
    received.push(entry)
    receivedById.set(entry.shown.id, entry)
    authored.add(`${entry.shown.id} ${entry.shown.from}`)
  }
  const indexSent = (entry: Sent) => {
    sent.push(entry)
    sentById.set(entry.shown.id, entry)
  }
  for (const { key, value } of state.entries(scope)) {
    sequence = Math.max(sequence, Number(key.slice(2)))
    const { message, ...rest } = JSON.parse(value.toString())
    const entry = { ...rest, message: proto.Message.decode(Buffer.from(message, 'base64')) }
    if (key.startsWith('r')) {
      receivedKeys.set(entry, key)
      index(entry)
    } else {
      sentKeys.set(entry, key)
      indexSent(entry)
    }
  }
  const nextKey = (kind: 'r' | 's') => `${kind} ${String(++sequence).padStart(9, '0')}`
  const write = (key: string, { message, ...rest }: Received | Sent) => {
    if (!state.durable) return
    const encoded = Buffer.from(proto.Message.encode(message).finish()).toString('base64')
    dirty.set(key, Buffer.from(JSON.stringify({ ...rest, message: encoded })))
  }
  const dropOldest = <T extends Received | Sent>(
    list: T[],
    keys: Map<T, string>,
    forget: (entry: T) => void,
  ) => {
    const oldest = list.length > KEEP ? list.shift() : undefined
    if (!oldest) return
    const key = keys.get(oldest)
    if (key) dirty.set(key, null)
    keys.delete(oldest)
    forget(oldest)
  }

  return {
    received: () => received,
    sent: () => sent,
    findReceived: (id) => receivedById.get(id) ?? null,
    findSent: (id) => sentById.get(id) ?? null,
    has: (id, from) => authored.has(`${id} ${from}`),
    addReceived(entry) {
      const key = nextKey('r')
      receivedKeys.set(entry, key)
      index(entry)
      write(key, entry)
      dropOldest(received, receivedKeys, ({ shown }) => {
        receivedById.delete(shown.id)
        authored.delete(`${shown.id} ${shown.from}`)
      })
    },
    addSent(entry) {
      const key = nextKey('s')
      sentKeys.set(entry, key)
      indexSent(entry)
      write(key, entry)
      dropOldest(sent, sentKeys, ({ shown }) => sentById.delete(shown.id))
    },
    dropSent(entry) {
      const at = sent.lastIndexOf(entry)
      if (at !== -1) sent.splice(at, 1)
      const key = sentKeys.get(entry)
      if (key) dirty.set(key, null)
      sentKeys.delete(entry)
      sentById.delete(entry.shown.id)
    },
    mark(id, reader, status) {
      const entry = sentById.get(id)
      const key = entry && sentKeys.get(entry)
      if (!entry || !key) return
      const known = entry.receipts[reader]
      if (known !== undefined && RANK[known] >= RANK[status]) return
      entry.receipts[reader] = status
      write(key, entry)
    },
    commit() {
      if (state.durable) state.write(scope, dirty)
      dirty.clear()
    },
  }
}

/** The farthest that any reader got with a message. */
export const statusOf = ({ receipts }: Sent): SentStatus =>
  Object.values(receipts).reduce<SentStatus>((far, next) => (RANK[next] > RANK[far] ? next : far), 'sent')
