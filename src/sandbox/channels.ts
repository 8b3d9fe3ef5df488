/** Channels (newsletters): posts in plain text by a few, read by many. Who follows is known to the server alone. */
import { isChannel } from './jid'
import type { Random } from './random'
import type { Account, Device } from './types'

export type ChannelRole = 'OWNER' | 'ADMIN' | 'SUBSCRIBER' | 'GUEST'

/** A text that can change, with the time of its last change in microseconds, by which clients know it. */
export type ChannelText = { text: string; id: string }

export type Post = {
  /** Place in the channel, from 1; this is what reactions and views name. */
  serverId: number
  /** The author's own id of the message. */
  id: string
  by: Account
  /** Times in seconds, as stanzas carry them. */
  at: string
  /** Of the last change of content, reactions or views. */
  changedAt: string
  /** How often it has changed. */
  revision: number
  editedAt: string | null
  /** Type of the stanza: `text`, `media`, `poll`. */
  type: string
  mediatype: string | undefined
  /** The message as it was sent; empty when it was taken back. */
  content: Buffer
  reactions: Map<Account, string>
  views: Set<Account>
}

export type Channel = {
  /** Without `@newsletter`. */
  id: string
  name: ChannelText
  description: ChannelText
  createdAt: string
  invite: string
  picture: { id: string; image: Buffer } | null
  owner: Account
  admins: Set<Account>
  followers: Map<Account, { muted: boolean }>
  /** Which reactions are allowed. */
  reactionCodes: 'ALL' | 'BASIC' | 'NONE'
  /** By `serverId`, oldest first. */
  posts: Map<number, Post>
  nextServerId: number
  /** Devices that asked for news of reactions and views, and until when, in milliseconds since the epoch. */
  listeners: Map<Device, number>
}

export const channelJid = ({ id }: Channel): string => `${id}${SUFFIX}`
const SUFFIX = '@newsletter'

export function roleIn(channel: Channel, account: Account): ChannelRole {
  if (channel.owner === account) return 'OWNER'
  if (channel.admins.has(account)) return 'ADMIN'
  return channel.followers.has(account) ? 'SUBSCRIBER' : 'GUEST'
}

/** Whether somebody may post, change and take back. */
export const mayPost = (channel: Channel, account: Account): boolean =>
  channel.owner === account || channel.admins.has(account)

/** Everybody who is told of posts. */
export const audienceOf = ({ owner, admins, followers }: Channel): Set<Account> =>
  new Set([owner, ...admins, ...followers.keys()])

/** All channels of one server. */
export class Channels {
  readonly #byId = new Map<string, Channel>()

  constructor(
    readonly random: Random,
    /** Milliseconds since the epoch. */
    readonly now: () => number,
  ) {}

  get all(): Iterable<Channel> {
    return this.#byId.values()
  }

  /** Finds a channel by its id or its whole address. */
  get(id: string): Channel | undefined {
    return this.#byId.get(isChannel(id) ? id.slice(0, -SUFFIX.length) : id)
  }

  byInvite(code: string): Channel | undefined {
    return [...this.all].find(({ invite }) => invite === code)
  }

  create(owner: Account, name: string, description: string): Channel {
    const channel: Channel = {
      id: `120363${(this.random(6).readUIntBE(0, 6) % 10 ** 12).toString().padStart(12, '0')}`,
      name: this.text(name),
      description: this.text(description),
      createdAt: String(Math.floor(this.now() / 1000)),
      invite: `0029Va${this.random(12).toString('base64url')}`,
      picture: null,
      owner,
      admins: new Set(),
      followers: new Map(),
      reactionCodes: 'ALL',
      posts: new Map(),
      nextServerId: 1,
      listeners: new Map(),
    }
    this.adopt(channel)
    return channel
  }

  /** A text that was written now. */
  text(text: string): ChannelText {
    return { text, id: String(this.now() * 1000) }
  }

  /** Takes in a channel that was there before, as it was. */
  adopt(channel: Channel): void {
    this.#byId.set(channel.id, channel)
  }

  delete(channel: Channel): void {
    this.#byId.delete(channel.id)
  }
}

/** Finds a post by the id its author gave it. */
export function postById(channel: Channel, id: string | undefined): Post | undefined {
  for (const post of channel.posts.values()) if (post.id === id) return post
  return undefined
}

/** Notes that a post's content, reactions or views have changed. */
export function touch(post: Post, at: string): void {
  post.changedAt = at
  post.revision++
}

/** Reactions to a post by code, the most frequent first. */
export function reactionCounts({ reactions }: Post): [code: string, count: number][] {
  const counts = new Map<string, number>()
  for (const code of reactions.values()) counts.set(code, (counts.get(code) ?? 0) + 1)
  return [...counts].sort(([, a], [, b]) => b - a)
}
