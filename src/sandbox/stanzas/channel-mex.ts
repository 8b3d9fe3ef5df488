/** Channels in GraphQL: making, finding, following, changing and ending them. */
import { createHash } from 'node:crypto'
import { QueryIds, XWAPaths } from '@whiskeysockets/baileys'
import { audienceOf, type Channel, channelJid, mayPost, roleIn } from '../channels'
import { notify } from '../delivery'
import { addressOf } from '../directory'
import { parseJid } from '../jid'
import { node } from '../node'
import { demand } from '../refusal'
import type { Account } from '../types'
import type { World } from '../world'
import { channelData, tellAccount, threadData } from './channel-nodes'
import type { MexStep, Variables } from './mex'

const MOST_NAME_CHARACTERS = 100
const MOST_DESCRIPTION_CHARACTERS = 2048

/** Makes a channel for an account, and tells its other devices. */
export function createChannel(world: World, owner: Account, name: string, description: string): Channel {
  checkName(name)
  checkDescription(description)
  const channel = world.channels.create(owner, name, description)
  tellJoined(world, channel, owner)
  return channel
}

/** Lets an account follow a channel, or no longer. Doing it twice changes nothing. */
export function follow(world: World, channel: Channel, account: Account, follows: boolean): void {
  demand(channel.owner !== account, 403, 'the owner neither joins nor leaves')
  if (channel.followers.has(account) === follows) return
  if (follows) {
    channel.followers.set(account, { muted: false })
    tellJoined(world, channel, account)
    return
  }
  channel.followers.delete(account)
  channel.admins.delete(account)
  const left = { id: channelJid(channel), role: 'GUEST' }
  tellAccount(world, account, 'NotificationNewsletterLeave', { xwa2_notify_newsletter_on_leave: left })
}

/** Makes an account an admin, or no longer; everybody who may post hears of it. */
export function setAdmin(world: World, channel: Channel, account: Account, admin: boolean): void {
  demand(channel.owner !== account, 403, 'the owner stays what he is')
  demand(admin || channel.admins.has(account), 404, 'not an admin')
  const hearers = new Set([channel.owner, ...channel.admins, account])
  if (admin) {
    channel.admins.add(account)
    channel.followers.set(account, channel.followers.get(account) ?? { muted: false })
  } else channel.admins.delete(account)
  const operation = admin ? 'NotificationNewsletterAdminPromote' : 'NotificationNewsletterAdminDemote'
  const field = admin ? 'xwa2_notify_newsletter_admin_promote' : 'xwa2_notify_newsletter_admin_demote'
  for (const hearer of hearers) {
    const change = { jid: channelJid(channel), user: addressOf(account, hearer.addressing) }
    tellAccount(world, hearer, operation, { [field]: change }, [change])
  }
}

function tellJoined(world: World, channel: Channel, account: Account): void {
  const joined = channelData(channel, account)
  tellAccount(world, account, 'NotificationNewsletterJoin', { xwa2_notify_newsletter_on_join: joined })
}

/** Each query by its number. */
export const CHANNEL_QUERIES: Record<string, MexStep> = {
  [QueryIds.CREATE]: {
    path: XWAPaths.xwa2_newsletter_create,
    answer(world, { device }, { input }) {
      const { name, description } = (input ?? {}) as { name?: unknown; description?: unknown }
      const channel = createChannel(world, device.account, textOf(name), textOf(description ?? ''))
      return channelData(channel, device.account)
    },
  },
  [QueryIds.METADATA]: {
    path: XWAPaths.xwa2_newsletter_metadata,
    answer(world, { device }, { input }) {
      const { key, type } = (input ?? {}) as { key?: unknown; type?: unknown }
      const { channels } = world
      const channel = type === 'INVITE' ? channels.byInvite(textOf(key)) : channels.get(textOf(key))
      demand(channel !== undefined, 404, 'Not Found')
      return channelData(channel, device.account)
    },
  },
  [QueryIds.UPDATE_METADATA]: {
    path: 'xwa2_newsletter_update',
    answer(world, { device }, variables) {
      const channel = named(world, variables)
      demand(mayPost(channel, device.account), 403, 'Forbidden')
      update(world, channel, (variables.updates ?? {}) as Changes)
      return channelData(channel, device.account)
    },
  },
  [QueryIds.SUBSCRIBERS]: {
    path: XWAPaths.xwa2_newsletter_subscribers,
    answer: (world, _origin, variables) => ({ subscribers: named(world, variables).followers.size }),
  },
  [QueryIds.ADMIN_COUNT]: {
    path: XWAPaths.xwa2_newsletter_admin_count,
    answer: (world, _origin, variables) => ({ admin_count: named(world, variables).admins.size + 1 }),
  },
  [QueryIds.FOLLOW]: {
    path: XWAPaths.xwa2_newsletter_join_v2,
    answer(world, { device }, variables) {
      const channel = named(world, variables)
      follow(world, channel, device.account, true)
      return channelData(channel, device.account)
    },
  },
  [QueryIds.UNFOLLOW]: {
    path: XWAPaths.xwa2_newsletter_leave_v2,
    answer(world, { device }, variables) {
      const channel = named(world, variables)
      follow(world, channel, device.account, false)
      return { id: channelJid(channel), state: { type: 'ACTIVE' } }
    },
  },
  [QueryIds.MUTE]: { path: XWAPaths.xwa2_newsletter_mute_v2, answer: muting(true) },
  [QueryIds.UNMUTE]: { path: XWAPaths.xwa2_newsletter_unmute_v2, answer: muting(false) },
  [QueryIds.CHANGE_OWNER]: {
    path: XWAPaths.xwa2_newsletter_change_owner,
    answer: forOwner((world, channel, variables) => {
      const heir = userIn(world, variables)
      demand(channel.admins.has(heir), 403, 'Only an admin can become the owner')
      channel.admins.delete(heir)
      channel.followers.delete(heir)
      channel.admins.add(channel.owner)
      channel.followers.set(channel.owner, { muted: false })
      channel.owner = heir
    }),
  },
  [QueryIds.DEMOTE]: {
    path: XWAPaths.xwa2_newsletter_demote,
    answer: forOwner((world, channel, variables) =>
      setAdmin(world, channel, userIn(world, variables), false),
    ),
  },
  [QueryIds.DELETE]: {
    path: XWAPaths.xwa2_newsletter_delete_v2,
    answer: forOwner((world, channel) => {
      world.channels.delete(channel)
      const gone = { id: channelJid(channel), state: { type: 'DELETED' } }
      for (const account of audienceOf(channel)) {
        tellAccount(world, account, 'NotificationNewsletterStateChange', {
          xwa2_notify_newsletter_on_state_change: gone,
        })
      }
    }),
  },
}

function forOwner(act: (world: World, channel: Channel, variables: Variables) => void): MexStep['answer'] {
  return (world, { device }, variables) => {
    const channel = named(world, variables)
    demand(roleIn(channel, device.account) === 'OWNER', 403, 'Forbidden')
    act(world, channel, variables)
    return { id: channelJid(channel) }
  }
}

function muting(muted: boolean): MexStep['answer'] {
  return (world, { device }, variables) => {
    const channel = named(world, variables)
    const follower = channel.followers.get(device.account)
    demand(follower !== undefined, 403, 'Not a follower')
    follower.muted = muted
    return channelData(channel, device.account)
  }
}

type Changes = { name?: unknown; description?: unknown; picture?: unknown; settings?: unknown }

function update(world: World, channel: Channel, { name, description, picture }: Changes): void {
  const settings: Record<string, string> = {}
  if (typeof name === 'string') {
    checkName(name)
    channel.name = world.channels.text(name)
    settings.name = name
  }
  if (typeof description === 'string') {
    checkDescription(description)
    channel.description = world.channels.text(description)
    settings.description = description
  }
  if (typeof picture === 'string') channel.picture = pictureOf(picture)
  const data = { xwa2_notify_newsletter_on_metadata_update: threadData(channel) }
  const updates = [{ jid: channelJid(channel), settings }]
  for (const account of audienceOf(channel)) {
    tellAccount(world, account, 'NotificationNewsletterUpdate', data, updates)
  }
  if (typeof picture !== 'string') return
  const from = channelJid(channel)
  const tag = channel.picture === null ? 'delete' : 'set'
  for (const { devices } of audienceOf(channel)) {
    const news = node(tag, { id: channel.picture?.id, jid: from })
    for (const device of devices.values()) notify(world, device, 'picture', [news], from)
  }
}

function pictureOf(base64: string): Channel['picture'] {
  if (base64 === '') return null
  const image = Buffer.from(base64, 'base64')
  const id = createHash('sha256').update(image).digest().readUInt32BE(0).toString()
  return { id, image }
}

function checkName(name: string): void {
  demand(name.trim() !== '' && [...name].length <= MOST_NAME_CHARACTERS, 400, 'Bad name')
}
function checkDescription(text: string): void {
  demand([...text].length <= MOST_DESCRIPTION_CHARACTERS, 400, 'Bad description')
}

function textOf(value: unknown): string {
  demand(typeof value === 'string', 400, 'Bad request')
  return value
}

function named(world: World, { newsletter_id: id }: Variables): Channel {
  const channel = world.channels.get(textOf(id))
  demand(channel !== undefined, 404, 'Not Found')
  return channel
}

function userIn(world: World, { user_id: id }: Variables): Account {
  const account = world.directory.find(parseJid(textOf(id)))
  demand(account !== undefined, 404, 'Not Found')
  return account
}
