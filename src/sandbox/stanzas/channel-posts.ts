/**
 * What is said in a channel: posts, changed and taken back by those who may post, and reactions by those who follow.
 * Unlike everywhere else the server reads along: posts are plain text.
 */
import { type BinaryNode, proto } from '@whiskeysockets/baileys'
import {
  audienceOf,
  type Channel,
  channelJid,
  mayPost,
  type Post,
  postById,
  roleIn,
  touch,
} from '../channels'
import { bytesOf, child, children, node } from '../node'
import { demand } from '../refusal'
import type { Device } from '../types'
import type { World } from '../world'
import { plaintextNode, tellLive } from './channel-nodes'
import { MALFORMED, type Outgoing, type Plan } from './message-form'

const TYPES = new Set(['text', 'media', 'poll'])

/** The `edit` attribute in channels: an admin's change, and an admin's revocation, of the message with the same id. */
const CHANGE = '3'
const REVOKE = '8'
const BASIC_REACTIONS = new Set(['👍', '❤', '❤️', '😂', '😮', '😢', '🙏'])
const MOST_REACTION_BYTES = 64

/** Who gets what is said; the acknowledgement names the post. */
export function planChannel(message: Outgoing): Plan {
  const { world, sender, stanza } = message
  const channel = world.channels.get(stanza.attrs.to ?? '')
  demand(channel !== undefined, 404, 'item-not-found')
  if (stanza.attrs.type === 'reaction') return react(world, channel, sender, stanza)
  demand(mayPost(channel, sender.account), 403, 'only admins may post')
  demand(TYPES.has(stanza.attrs.type ?? ''), MALFORMED, 'no kind of post')
  const { edit } = stanza.attrs
  if (edit !== undefined) return change(world, channel, sender, stanza, edit)

  // Sent again because the acknowledgement was lost: it is the same post.
  const known = postById(channel, stanza.attrs.id)
  if (known !== undefined) {
    demand(known.by === sender.account, 409, 'conflict')
    return { copies: [], told: { server_id: String(known.serverId) } }
  }
  const post: Post = {
    serverId: channel.nextServerId++,
    id: stanza.attrs.id ?? '',
    by: sender.account,
    at: world.seconds(),
    changedAt: world.seconds(),
    revision: 0,
    editedAt: null,
    type: stanza.attrs.type ?? '',
    ...readPlaintext(stanza),
    reactions: new Map(),
    views: new Set(),
  }
  channel.posts.set(post.serverId, post)
  return publish(channel, sender, post)
}

function change(world: World, channel: Channel, sender: Device, stanza: BinaryNode, edit: string): Plan {
  demand(edit === CHANGE || edit === REVOKE, MALFORMED, 'no change that channels know')
  const post = postById(channel, stanza.attrs.id)
  demand(post !== undefined && post.content.length > 0, 404, 'item-not-found')
  touch(post, world.seconds())
  if (edit === REVOKE) post.content = Buffer.alloc(0)
  else {
    Object.assign(post, readPlaintext(stanza))
    post.editedAt = world.seconds()
  }
  return publish(channel, sender, post, edit)
}

/** One readable message, not encrypted. */
function readPlaintext(stanza: BinaryNode): Pick<Post, 'content' | 'mediatype'> {
  const plain = child(stanza, 'plaintext')
  const content = bytesOf(plain)
  const encrypted = children(stanza).some(({ tag }) => tag === 'enc' || tag === 'participants')
  demand(content !== undefined && content.length > 0 && !encrypted, MALFORMED, 'no plain text')
  demand(isMessage(content), MALFORMED, 'not a message')
  return { content, mediatype: plain?.attrs.mediatype }
}

function isMessage(content: Buffer): boolean {
  try {
    const { protocolMessage, ...said } = proto.Message.decode(content)
    // Changes are an attribute here; what would say them to a person's devices says nothing to a channel.
    return !protocolMessage && Object.keys(said).length > 0
  } catch {
    return false
  }
}

function publish(channel: Channel, sender: Device, post: Post, edit?: string): Plan {
  const attrs = {
    from: channelJid(channel),
    id: post.id,
    server_id: String(post.serverId),
    t: post.at,
    type: post.type,
    edit,
  }
  const changed = { msg_edit_t: post.editedAt ?? undefined, original_msg_t: post.at }
  const meta = edit === CHANGE ? [node('meta', changed)] : []
  const copies: [Device, BinaryNode][] = []
  for (const account of audienceOf(channel)) {
    const own = { ...attrs, is_sender: account === post.by ? 'true' : undefined }
    const copy = node('message', own, [plaintextNode(post), ...meta])
    for (const device of account.devices.values()) if (device !== sender) copies.push([device, copy])
  }
  return { copies, told: { server_id: String(post.serverId) } }
}

function react(world: World, channel: Channel, { account }: Device, stanza: BinaryNode): Plan {
  const post = channel.posts.get(Number(stanza.attrs.server_id))
  demand(roleIn(channel, account) !== 'GUEST', 403, 'not a follower')
  demand(post !== undefined && post.content.length > 0, 404, 'item-not-found')
  const reaction = child(stanza, 'reaction')
  demand(reaction !== undefined, MALFORMED, 'no reaction')
  const { code } = reaction.attrs
  // Taking it back is an edit of the reaction, as everywhere (`edit=7`).
  demand((stanza.attrs.edit === '7') === (code === undefined), MALFORMED, 'a reaction or its removal')
  if (code === undefined) post.reactions.delete(account)
  else {
    demand(code.length > 0 && Buffer.byteLength(code) <= MOST_REACTION_BYTES, MALFORMED, 'no reaction')
    const allowed = { ALL: true, BASIC: BASIC_REACTIONS.has(code), NONE: false }[channel.reactionCodes]
    demand(allowed, 405, 'not-allowed')
    post.reactions.set(account, code)
  }
  touch(post, world.seconds())
  tellLive(world, channel, post)
  return { copies: [] }
}
