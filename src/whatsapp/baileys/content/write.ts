/**
 * What we are asked to send → a protocol message, the counterpart of `read.ts`.
 *
 * A message gets a random secret, as WhatsApp's own clients give it: its reporting token, votes and reactions derive from
 * it. What is itself encrypted with another message's secret, or reacts to one, has none.
 */
import { randomBytes } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'
import { type ActionType, isAction, type SendableContent, type SendableType } from '../../../domain/content'
import type { EncodeContext } from '../../../domain/whatsapp'
import { writeDelete, writeEdit, writePin, writeReaction } from './actions'
import { writeContext } from './context'
import { writeEvent, writeRsvp } from './event'
import { inAlbum, writeAlbum, writeAudio, writeDocument, writeImage, writeSticker, writeVideo } from './files'
import { writeContact } from './people'
import { writeLocation } from './place'
import { writePoll, writeVote } from './poll'
import type { Writer } from './shapes'
import { writeText } from './text'
import { unwrap } from './wrappers'

const WRITERS: { [T in SendableType]: Writer<T> } = {
  text: writeText,
  image: writeImage,
  video: writeVideo,
  audio: writeAudio,
  document: writeDocument,
  sticker: writeSticker,
  album: writeAlbum,
  location: writeLocation,
  contact: writeContact,
  poll: writePoll,
  event: writeEvent,
  reaction: writeReaction,
  edit: writeEdit,
  delete: writeDelete,
  pin: writePin,
  vote: writeVote,
  rsvp: writeRsvp,
}

/** Nothing can be added to these: they are additions themselves. */
const ADDITIONS: { readonly [T in ActionType]: boolean } = {
  reaction: true,
  vote: true,
  rsvp: true,
  edit: false,
  delete: false,
  pin: false,
}
const SECRET_LENGTH = 32

/**
 * The encoded `proto.Message`; with a file it is incomplete until `attach`. Throws `MESSAGE_NOT_FOUND` when an action comes
 * without its target, `MESSAGE_NOT_SUITABLE` when the target does not fit it.
 */
export function writeContent(content: SendableContent, context: EncodeContext): Uint8Array {
  const message = (WRITERS[content.type] as Writer<SendableType>)(content, context)
  if (!isAction(content)) addContext(message, context)
  return encoded(message, context, !isAction(content) || !ADDITIONS[content.type])
}

/** Puts quotes, mentions and the like into the part that holds the content. */
export function addContext(message: proto.IMessage, context: EncodeContext, more?: proto.IContextInfo): void {
  const contextInfo = { ...writeContext(context), ...more }
  if (Object.keys(contextInfo).length === 0) return
  const { inner } = unwrap(message)
  for (const [name, part] of Object.entries(inner)) {
    if (name !== 'messageContextInfo' && typeof part === 'object' && part !== null) {
      Object.assign(part, { contextInfo })
    }
  }
}

/** The message with its envelope. */
export function encoded(
  message: proto.IMessage,
  { extra, chat }: EncodeContext,
  withSecret: boolean,
): Uint8Array {
  const envelope = {
    ...message.messageContextInfo,
    ...(extra.albumId === undefined ? {} : inAlbum(extra.albumId, chat)),
    ...(withSecret ? { messageSecret: randomBytes(SECRET_LENGTH) } : {}),
  }
  return proto.Message.encode({
    ...message,
    ...(Object.keys(envelope).length > 0 ? { messageContextInfo: envelope } : {}),
  }).finish()
}
