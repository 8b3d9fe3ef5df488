/** Channels in stanzas and in GraphQL: description, posts, and the news of a change. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { type Channel, type ChannelText, channelJid, type Post, reactionCounts, roleIn } from '../channels'
import { notify } from '../delivery'
import { companionsOf } from '../devices'
import { node } from '../node'
import type { Account } from '../types'
import type { World } from '../world'

/** Everything clients read of a channel, as one account sees it. */
export function channelData(channel: Channel, viewer: Account): Record<string, unknown> {
  return {
    ...threadData(channel),
    viewer_metadata: {
      mute: channel.followers.get(viewer)?.muted ? 'ON' : 'OFF',
      role: roleIn(channel, viewer),
    },
  }
}

/** What is the same for everybody. */
export function threadData(channel: Channel): Record<string, unknown> {
  const picture = pictureData(channel)
  return {
    id: channelJid(channel),
    state: { type: 'ACTIVE' },
    thread_metadata: {
      creation_time: channel.createdAt,
      name: textData(channel.name),
      description: textData(channel.description),
      handle: null,
      invite: channel.invite,
      picture: { ...picture, type: 'IMAGE' },
      preview: { ...picture, type: 'PREVIEW' },
      settings: { reaction_codes: { value: channel.reactionCodes } },
      subscribers_count: String(channel.followers.size),
      verification: 'UNVERIFIED',
    },
  }
}

const textData = ({ id, text }: ChannelText) => ({ id, text, update_time: id })
const pictureData = ({ picture }: Channel) =>
  picture === null ? { id: '', direct_path: '' } : { id: picture.id, direct_path: `/pps/${picture.id}.jpg` }

/** A post with what has become of it, as histories and live updates carry it. */
export function postNode(post: Post, viewer: Account, withContent = true): BinaryNode {
  const { id, serverId, at, type, by } = post
  const attrs = {
    id,
    server_id: String(serverId),
    t: at,
    type,
    is_sender: by === viewer ? 'true' : undefined,
  }
  const reactions = reactionCounts(post).map(([code, count]) =>
    node('reaction', { code, count: String(count) }),
  )
  return node('message', attrs, [
    ...(withContent ? [plaintextNode(post)] : []),
    ...(reactions.length > 0 ? [node('reactions', {}, reactions)] : []),
    node('views_count', { count: String(post.views.size) }),
  ])
}

/** A post's own bytes; nobody encrypts in a channel. */
export const plaintextNode = ({ content, mediatype }: Post): BinaryNode =>
  node('plaintext', { mediatype }, content.length > 0 ? content : undefined)

/** Tells devices that asked for it how a post is doing; those whose time is over are forgotten. */
export function tellLive(world: World, channel: Channel, post: Post): void {
  const from = channelJid(channel)
  for (const [device, until] of channel.listeners) {
    const { account } = device
    if (until <= world.clock.now() || account.devices.get(device.id) !== device) {
      channel.listeners.delete(device)
      continue
    }
    const messages = node('messages', { jid: from, t: world.seconds() }, [postNode(post, account, false)])
    notify(world, device, 'newsletter', [node('live_updates', {}, [messages])], from)
  }
}

/** Tells an account's companions in GraphQL's words. `updates` is the older form, which Baileys reads. */
export function tellAccount(
  world: World,
  account: Account,
  operation: string,
  data: Record<string, unknown>,
  updates?: unknown[],
): void {
  const told = JSON.stringify({ data, ...(updates && { updates }) })
  const update = node('update', { op_name: operation }, told)
  for (const device of companionsOf(account)) notify(world, device, 'mex', [update])
}
