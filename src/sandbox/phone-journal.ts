/** What a phone has received and sent, in memory and in the sandbox's state. */
import { proto } from '@whiskeysockets/baileys'
import type { ReadContent } from './content-shape'
import type { Answer } from './content-votes'
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
  /** Of a post in a channel: its number there. */
  serverId?: string
  /** Why the phone did not do what this message asks for. */
  refused?: string
  /** Of a status post of this phone: who may see it, as bare JIDs. */
  audience?: string[]
}

/** What later messages have made of a message. */
export type Afterlife = {
  /** Its content is that of the last edit. */
  edited: boolean
  /** Taken back: of its content only the type is left. */
  deleted: boolean
  pinned: boolean
  starred: boolean
  /** One per person, the latest; `at` in milliseconds, as its sender says. */
  reactions: { messageId: string; emoji: string; from: string; at: number }[]
  /** Of a poll; one per person, the latest. */
  votes: { messageId: string; options: string[]; from: string; at: number }[]
  /** Of an event; one per person, the latest. */
  responses: {
    messageId: string
    response: Answer['response']
    extraGuests: number
    from: string
    at: number
  }[]
}

/** A message with everything that has happened to it. */
export type ShownMessage = PhoneMessage &
  Afterlife & { /** Of a poll: votes by option. */ tally?: Record<string, number> }

/** How the message was addressed on the wire; receipts must answer in the same words. */
export type WireAddress = { from: string; participant?: string; recipient?: string }

type Kept = {
  shown: PhoneMessage
  message: proto.IMessage
  /** Absent until something happens to it. */
  afterlife?: Afterlife
}
export type Received = Kept & { address: WireAddress }

export type SentStatus = 'sent' | 'delivered' | 'read' | 'played'
export type Sent = Kept & {
  /** The chat as it was addressed on the wire. */
  to: string
  /** The farthest receipt of each reader, by bare JID as it came. */
  receipts: Record<string, SentStatus>
}

export type Entry = Received | Sent

export interface PhoneJournal {
  received(): readonly Received[]
  sent(): readonly Sent[]
  findReceived(id: string): Received | null
  findSent(id: string): Sent | null
  /** A message of either direction; within a chat, the first that came under the id. */
  find(id: string, chat?: string): Entry | null
  /** Whether this author's message is already there. */
  has(id: string, from: string): boolean
  addReceived(entry: Received): void
  addSent(entry: Sent): void
  /** Takes back what was not sent after all. */
  dropSent(entry: Sent): void
  /** Notes a receipt; a lower one never takes back a higher one. */
  mark(id: string, reader: string, status: SentStatus): void
  /** Keeps what was changed in an entry. */
  save(entry: Entry): void
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
  const inChats = new Map<string, Entry>()
  const authored = new Set<string>()
  const sentKeys = new Map<Sent, string>()
  const dirty = new Map<string, Buffer | null>()
  let sequence = 0

  const place = ({ shown }: Entry) => `${shown.chat} ${shown.id}`
  // The first message under an id keeps it: nobody takes the place of another's message by repeating its id.
  const indexInChat = (entry: Entry) => {
    if (!inChats.has(place(entry))) inChats.set(place(entry), entry)
  }
  const forgetInChat = (entry: Entry) => {
    if (inChats.get(place(entry)) === entry) inChats.delete(place(entry))
  }
  const index = (entry: Received) => {
    indexInChat(entry)
    received.push(entry)
    if (!receivedById.has(entry.shown.id)) receivedById.set(entry.shown.id, entry)
    authored.add(`${entry.shown.id} ${entry.shown.from}`)
  }
  const indexSent = (entry: Sent) => {
    indexInChat(entry)
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
  const write = (key: string, { message, ...rest }: Entry) => {
    if (!state.durable) return
    const encoded = Buffer.from(proto.Message.encode(message).finish()).toString('base64')
    dirty.set(key, Buffer.from(JSON.stringify({ ...rest, message: encoded })))
  }
  const dropOldest = <T extends Entry>(list: T[], keys: Map<T, string>, forget: (entry: T) => void) => {
    const oldest = list.length > KEEP ? list.shift() : undefined
    if (!oldest) return
    const key = keys.get(oldest)
    if (key) dirty.set(key, null)
    keys.delete(oldest)
    forgetInChat(oldest)
    forget(oldest)
  }

  return {
    received: () => received,
    sent: () => sent,
    findReceived: (id) => receivedById.get(id) ?? null,
    findSent: (id) => sentById.get(id) ?? null,
    find: (id, chat) =>
      chat === undefined
        ? (receivedById.get(id) ?? sentById.get(id) ?? null)
        : (inChats.get(`${chat} ${id}`) ?? null),
    has: (id, from) => authored.has(`${id} ${from}`),
    addReceived(entry) {
      const key = nextKey('r')
      receivedKeys.set(entry, key)
      index(entry)
      write(key, entry)
      dropOldest(received, receivedKeys, (oldest) => {
        const { shown } = oldest
        if (receivedById.get(shown.id) === oldest) receivedById.delete(shown.id)
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
      forgetInChat(entry)
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
    save(entry) {
      const key = 'address' in entry ? receivedKeys.get(entry) : sentKeys.get(entry)
      if (key) write(key, entry)
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

/** A message as the phone shows it now. */
export function shownNow({ shown, afterlife }: Entry): ShownMessage {
  const message = { ...shown, ...freshAfterlife(), ...afterlife }
  const { options } = shown.content
  if (shown.content.type !== 'poll' || !Array.isArray(options)) return message
  const tally = Object.fromEntries(options.map((option: string) => [option, 0]))
  for (const vote of message.votes)
    for (const option of vote.options) tally[option] = (tally[option] ?? 0) + 1
  return { ...message, tally }
}

export const freshAfterlife = (): Afterlife => ({
  edited: false,
  deleted: false,
  pinned: false,
  starred: false,
  reactions: [],
  votes: [],
  responses: [],
})
