/** What the parts of one server share. Each part asks for this and nothing global exists. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'
import type { Channels } from './channels'
import type { Chats } from './chats'
import type { Directory } from './directory'
import type { Faults } from './faults'
import type { Group, Groups } from './groups'
import type { Caps } from './limits'
import type { StanzaLog } from './log'
import type { Presence } from './presence'
import type { Picture, Profiles } from './profiles'
import type { Random } from './random'
import type { Registration } from './registration'
import type { Stats } from './stats'
import type { Account, Device } from './types'

export type World = {
  clock: Clock
  random: Random
  directory: Directory
  groups: Groups
  channels: Channels
  profiles: Profiles
  presence: Presence
  pictures: Map<Account | Group, Picture>
  chats: Chats
  caps: Caps
  faults: Faults
  log: StanzaLog
  stats: Stats
  /** Companions that wait for a phone. */
  registrations: Set<Registration>
  /** Logged-in companion connections. */
  lines: Map<Device, Line>
  /** Who asked for an account's devices, by which kind of address, and therefore hears of changes. */
  watchers: Map<Account, Map<Account, Set<'lid' | 'pn'>>>
  /** A number for a stanza that the server starts. */
  nextId(): string
  /** Seconds since the epoch, as stanzas carry time. */
  seconds(): string
  /** Runs a task later, unless the server stops first. */
  after(ms: number, task: () => void): () => void
  /** Told of a defect of the sandbox itself; never of a client's mistake. */
  trouble(error: unknown, where: string): void
  /** `host` or `host:port` of the media host. */
  mediaHost(): string
  /** Keeps a sealed file on the media host and says under which path; null without a media host of the sandbox's own. */
  storeFile: ((sealed: Buffer) => string) | null
  /** What media requests must show. */
  mediaAuth: string
}

/** A logged-in companion connection, as the rest of the server sees it. */
export interface Line {
  readonly device: Device
  /** Sends a last stanza, if any, and closes. */
  end(last?: BinaryNode): void
  /** Cuts the connection without a word. */
  cut(): void
}

/** Who sent a stanza, and how to answer on the same line. */
export type Origin = {
  device: Device
  reply(stanza: BinaryNode): void
  end(last?: BinaryNode): void
  /** The device is ready: its backlog may come. */
  activate(): void
}
