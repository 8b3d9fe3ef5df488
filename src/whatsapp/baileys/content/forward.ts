/** A message sent on: the same content and the same file, without what belonged to its first place. */
import { isJidNewsletter, proto } from '@whiskeysockets/baileys'
import type { MessageType } from '../../../domain/content'
import { fail } from '../../../domain/errors'
import type { EncodeContext } from '../../../domain/whatsapp'
import { isFileOpen, withoutPlace } from './pointer'
import { readContent } from './read'
import type { PartName } from './shapes'
import { unwrap } from './wrappers'
import { addContext, encoded } from './write'

/** Types that make sense in another chat. */
const FORWARDABLE: ReadonlySet<MessageType> = new Set([
  'text',
  'image',
  'video',
  'audio',
  'document',
  'sticker',
  'location',
  'contact',
  'poll',
  'event',
  'product',
  'invite',
])
/** WhatsApp counts no further; from 5 on it says “forwarded many times”. */
const MAX_SCORE = 127

/**
 * Marked as forwarded once more, also when the first author was us. Throws `MESSAGE_NOT_SUITABLE` for actions, for files
 * that can be opened once and for what we cannot read. A file on its way between a channel and anywhere else is incomplete
 * until `attach`: the two keep their files apart.
 */
export function forwarded(raw: Uint8Array, context: EncodeContext): Uint8Array {
  const message = proto.Message.decode(raw)
  const read = readContent(message)
  if (read === null || !FORWARDABLE.has(read.content.type) || isOnce(read.content)) {
    throw fail('MESSAGE_NOT_SUITABLE', { reason: 'It cannot be forwarded' })
  }
  const { messageContextInfo: _envelope, ...parts } = unwrap(message).inner
  const copy = asParts(parts)
  const isOpen = isFileOpen(copy)
  if (isOpen !== null && isOpen !== (isJidNewsletter(context.chat) === true)) withoutPlace(copy)
  const score = Math.min((read.context.forwardingScore ?? 0) + 1, MAX_SCORE)
  const first = { ...context, mentions: [], quoted: null }
  addContext(copy, first, { forwardingScore: score, isForwarded: true })
  return encoded(copy, context, true)
}

const isOnce = (content: object): boolean => 'viewOnce' in content && content.viewOnce === true

/** Bare words cannot carry the mark; a place that moves stands still for those who get it from somebody else. */
function asParts({ conversation, liveLocationMessage: moving, ...parts }: proto.IMessage): proto.IMessage {
  if (conversation) return { extendedTextMessage: { text: conversation } }
  if (moving) return { locationMessage: standing(moving) }
  const { senderKeyDistributionMessage: _key, ...said } = parts
  return Object.fromEntries(
    Object.entries(said).map(([name, part]) => [name as PartName, { ...part }]),
  ) as proto.IMessage
}

const standing = (moving: proto.Message.ILiveLocationMessage): proto.Message.ILocationMessage => ({
  degreesLatitude: moving.degreesLatitude ?? null,
  degreesLongitude: moving.degreesLongitude ?? null,
  comment: moving.caption ?? null,
  jpegThumbnail: moving.jpegThumbnail ?? null,
})
