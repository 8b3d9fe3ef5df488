/** `xmlns=newsletter`: reading posts, and asking for news of them for a while. Channels are open: anybody may read. */
import type { BinaryNode } from '@whiskeysockets/baileys'
import { type Channel, channelJid, type Post, touch } from '../channels'
import { isChannel } from '../jid'
import { child, children, node, result } from '../node'
import { demand, Refusal } from '../refusal'
import { entryOf } from '../table'
import type { Account, Device } from '../types'
import type { Origin, World } from '../world'
import { postNode, tellLive } from './channel-nodes'
import { subject } from './subject'

/** How long live updates last, in seconds; clients ask again. */
const LIVE_SECONDS = 300
const MOST_POSTS = 100

type Step = (world: World, origin: Origin, request: BinaryNode, item: BinaryNode) => BinaryNode

const QUERIES: Record<string, Step> = {
  'set live_updates': (world, { device }, request) => {
    const channel = channelAt(world, request.attrs.to)
    channel.listeners.set(device, world.clock.now() + LIVE_SECONDS * 1000)
    return result(request, [node('live_updates', { duration: String(LIVE_SECONDS) })])
  },
  'get message_updates': (world, { device }, request, { attrs }) => {
    const channel = channelAt(world, request.attrs.to)
    const posts = [...channel.posts.values()].filter(
      ({ serverId, changedAt }) =>
        serverId > Number(attrs.after ?? 0) && Number(changedAt) >= Number(attrs.since ?? 0),
    )
    const shown = latest(posts, attrs.count)
    return result(request, [node('message_updates', {}, [history(world, channel, shown, device.account)])])
  },
  'get messages': (world, { device }, request, { attrs }) => {
    const channel =
      attrs.type === 'invite' ? world.channels.byInvite(attrs.key ?? '') : world.channels.get(attrs.jid ?? '')
    demand(channel !== undefined, 404, 'item-not-found')
    const before = attrs.before === undefined ? Number.POSITIVE_INFINITY : Number(attrs.before)
    const posts = [...channel.posts.values()].filter(({ serverId }) => serverId < before)
    return result(request, [history(world, channel, latest(posts, attrs.count), device.account)])
  },
}

export function handleChannels(world: World, origin: Origin, request: BinaryNode): BinaryNode {
  const item = subject(request)
  const step = entryOf(QUERIES, `${request.attrs.type} ${item.tag}`)
  demand(step !== undefined, 400, 'bad-request')
  return step(world, origin, request, item)
}

function channelAt(world: World, jid = ''): Channel {
  demand(isChannel(jid), 400, 'bad-request')
  const channel = world.channels.get(jid)
  demand(channel !== undefined, 404, 'item-not-found')
  return channel
}

function latest(posts: Post[], count: string | undefined): Post[] {
  const wanted = Number(count ?? MOST_POSTS)
  if (!Number.isInteger(wanted) || wanted < 1) throw new Refusal(400, 'bad-request')
  return posts.slice(-Math.min(wanted, MOST_POSTS))
}

const history = (world: World, channel: Channel, posts: Post[], viewer: Account): BinaryNode =>
  node(
    'messages',
    { jid: channelJid(channel), t: world.seconds() },
    posts.map((post) => postNode(post, viewer)),
  )

/** `<receipt type=view>`: somebody has seen these posts; each account counts once. */
export function viewPosts(world: World, reader: Device, receipt: BinaryNode): void {
  const channel = channelAt(world, receipt.attrs.to)
  for (const { attrs } of children(child(receipt, 'list'), 'item')) {
    const post = channel.posts.get(Number(attrs.server_id))
    if (post !== undefined) viewPost(world, channel, post, reader.account)
  }
}

/** An account has seen a post; again changes nothing. */
export function viewPost(world: World, channel: Channel, post: Post, account: Account): void {
  if (post.views.has(account)) return
  post.views.add(account)
  touch(post, world.seconds())
  tellLive(world, channel, post)
}
