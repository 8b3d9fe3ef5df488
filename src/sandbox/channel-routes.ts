/** The control API for channels: what a tester does on a phone's channels tab. Posting goes through the phones' messages. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { isoTime } from '../lib/clock'
import { type Channel, channelJid, reactionCounts } from './channels'
import { SandboxError } from './errors'
import { inWords } from './failures'
import { answer, PhoneNumber, says, strict } from './route-schemas'
import type { Sandbox } from './sandbox'
import { createChannel, follow, setAdmin } from './stanzas/channel-mex'
import { viewPost } from './stanzas/channel-queries'
import type { Account } from './types'

const ChannelView = Type.Object({
  jid: Type.String(),
  name: Type.String(),
  description: Type.String(),
  invite: Type.String({ description: 'What follows https://whatsapp.com/channel/' }),
  owner: Type.String(),
  admins: Type.Array(Type.String()),
  followers: Type.Array(Type.String()),
})
const PostView = Type.Object({
  serverId: Type.Integer(),
  id: Type.String(),
  by: Type.String(),
  timestamp: Type.String({ format: 'date-time' }),
  edited: Type.Boolean(),
  revoked: Type.Boolean(),
  reactions: Type.Record(Type.String(), Type.Integer()),
  views: Type.Integer(),
})
const channelParam = Type.Object({ jid: Type.String({ minLength: 1, maxLength: 64 }) }, strict)
const who = { phoneNumber: PhoneNumber }

const numbersOf = (accounts: Iterable<Account>) => [...accounts].map(({ phoneNumber }) => phoneNumber)
const channelView = (channel: Channel) => ({
  jid: channelJid(channel),
  name: channel.name.text,
  description: channel.description.text,
  invite: channel.invite,
  owner: channel.owner.phoneNumber,
  admins: numbersOf(channel.admins),
  followers: numbersOf(channel.followers.keys()),
})
const postsView = (channel: Channel) =>
  [...channel.posts.values()].map((post) => ({
    serverId: post.serverId,
    id: post.id,
    by: post.by.phoneNumber,
    timestamp: isoTime(Number(post.at) * 1000),
    edited: post.editedAt !== null,
    revoked: post.content.length === 0,
    reactions: Object.fromEntries(reactionCounts(post)),
    views: post.views.size,
  }))

/** Makes the routes under `/channels`. */
export function channelRoutes(sandbox: Sandbox) {
  const { world } = sandbox.server

  const accountOf = (phoneNumber: string) => {
    const account = world.directory.byPhoneNumber(sandbox.phone(phoneNumber).phoneNumber)
    if (!account) throw new Error(`the phone ${phoneNumber} has no account`)
    return account
  }
  const channelOf = (jid: string) => {
    const channel = world.channels.get(jid)
    if (!channel) throw new SandboxError('CHANNEL_NOT_FOUND', 404, 'There is no such channel')
    return channel
  }
  /** Does something to a channel, and shows it then. */
  const change = (jid: string, act: (channel: Channel) => void) =>
    inWords(async () => {
      const channel = channelOf(jid)
      act(channel)
      sandbox.save()
      return { success: true as const, channel: channelView(channel) }
    })

  return new Elysia({ name: 'sandbox-channels', normalize: false })
    .post(
      '/channels',
      ({ body, set }) =>
        inWords(async () => {
          const made = createChannel(world, accountOf(body.owner), body.name, body.description ?? '')
          sandbox.save()
          set.status = 201
          return { success: true as const, channel: channelView(made) }
        }),
      {
        body: Type.Object(
          {
            owner: PhoneNumber,
            name: Type.String({ minLength: 1, maxLength: 100 }),
            description: Type.Optional(Type.String({ maxLength: 2048 })),
          },
          strict,
        ),
        response: { 201: answer({ channel: ChannelView }) },
        ...says('Let a phone create a channel'),
      },
    )
    .get(
      '/channels',
      () => ({ success: true as const, channels: [...world.channels.all].map(channelView) }),
      { response: { 200: answer({ channels: Type.Array(ChannelView) }) }, ...says('List the channels') },
    )
    .get(
      '/channels/:jid',
      ({ params }) => {
        const channel = channelOf(params.jid)
        return { success: true as const, channel: channelView(channel), posts: postsView(channel) }
      },
      {
        params: channelParam,
        response: { 200: answer({ channel: ChannelView, posts: Type.Array(PostView) }) },
        ...says('A channel with its posts, reactions and views; oldest first'),
      },
    )
    .post(
      '/channels/:jid/followers',
      ({ params, body }) =>
        change(params.jid, (channel) =>
          follow(world, channel, accountOf(body.phoneNumber), body.follow ?? true),
        ),
      {
        params: channelParam,
        body: Type.Object({ ...who, follow: Type.Optional(Type.Boolean()) }, strict),
        response: { 200: answer({ channel: ChannelView }) },
        ...says('Let a phone follow a channel, or no longer'),
      },
    )
    .post(
      '/channels/:jid/admins',
      ({ params, body }) =>
        change(params.jid, (channel) =>
          setAdmin(world, channel, accountOf(body.phoneNumber), body.admin ?? true),
        ),
      {
        params: channelParam,
        body: Type.Object({ ...who, admin: Type.Optional(Type.Boolean()) }, strict),
        response: { 200: answer({ channel: ChannelView }) },
        ...says('Make a phone an admin of a channel, or no longer'),
      },
    )
    .post(
      '/channels/:jid/views',
      ({ params, body }) =>
        change(params.jid, (channel) => {
          const post = channel.posts.get(body.serverId)
          if (!post) throw new SandboxError('MESSAGE_NOT_FOUND', 404, 'There is no such post')
          viewPost(world, channel, post, accountOf(body.phoneNumber))
        }),
      {
        params: channelParam,
        body: Type.Object({ ...who, serverId: Type.Integer({ minimum: 1 }) }, strict),
        response: { 200: answer({ channel: ChannelView }) },
        ...says('Let a phone see a post'),
      },
    )
}
