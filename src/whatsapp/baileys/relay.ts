/**
 * What stands around an encrypted message for the server to read: Baileys' `sendMessage` adds it, `relayMessage` leaves it
 * to the caller. Two things more are from WhatsApp's own clients: a vote says so, and a reaction taken back is an edit.
 */
import {
  type BinaryNode,
  isJidGroup,
  isJidStatusBroadcast,
  type MessageRelayOptions,
  type proto,
} from '@whiskeysockets/baileys'
import { some } from './content/shapes'
import { unwrap } from './content/wrappers'

const EDIT = { words: '1', pin: '2', byAuthor: '7', byAdmin: '8' } as const

/** `ProtocolMessage.Type`. */
const REVOKE = 0
const MESSAGE_EDIT = 14

type Frame = Pick<MessageRelayOptions, 'additionalAttributes' | 'additionalNodes' | 'statusJidList'>

/** Attributes and nodes of the stanza; a status post goes to `audience` and to our own devices. */
export function frameOf(
  message: proto.IMessage,
  to: string,
  audience: readonly string[],
  me: string | null,
): Frame {
  const { inner } = unwrap(message)
  const meta = metaOf(inner)
  const attributes = {
    ...some('edit', editOf(inner, to)),
    // Baileys takes an answer to an event for a text.
    ...(inner.encEventResponseMessage ? { type: 'event' } : {}),
  }
  return {
    ...(Object.keys(attributes).length > 0 ? { additionalAttributes: attributes } : {}),
    ...(meta === null ? {} : { additionalNodes: [meta] }),
    ...(isJidStatusBroadcast(to)
      ? { statusJidList: [...new Set([...audience, ...(me === null ? [] : [me])])] }
      : {}),
  }
}

function editOf(
  { protocolMessage, pinInChatMessage, reactionMessage }: proto.IMessage,
  to: string,
): string | null {
  if (protocolMessage?.type === MESSAGE_EDIT) return EDIT.words
  if (protocolMessage?.key && (protocolMessage.type ?? REVOKE) === REVOKE) {
    return isJidGroup(to) && !protocolMessage.key.fromMe ? EDIT.byAdmin : EDIT.byAuthor
  }
  if (pinInChatMessage) return EDIT.pin
  return reactionMessage && !reactionMessage.text ? EDIT.byAuthor : null
}

const meta = (attrs: Record<string, string>): BinaryNode => ({ tag: 'meta', attrs })

function metaOf(inner: proto.IMessage): BinaryNode | null {
  if (inner.pollCreationMessage || inner.pollCreationMessageV2 || inner.pollCreationMessageV3) {
    return meta({ polltype: 'creation' })
  }
  if (inner.pollUpdateMessage) return meta({ polltype: 'vote' })
  if (inner.encEventResponseMessage) return meta({ event_type: 'response' })
  return inner.eventMessage ? meta({ event_type: 'creation' }) : null
}
