/** What any message can carry beside its content: quotes, mentions, forwarding, how long it stays. */
import { proto } from '@whiskeysockets/baileys'
import type { MessageContext } from '../../../domain/message'
import type { EncodeContext } from '../../../domain/whatsapp'
import { isPerson } from '../people'
import { isAddress, isMessageId } from '../stanza-ids'
import { albumOf } from './files'
import { some } from './shapes'
import { unwrap } from './wrappers'

/** WhatsApp's mark of a message that names everybody. */
const EVERYBODY = 1
/** A hostile message names no more people than any group has. */
const MAX_MENTIONS = 2_048

/** The context of a part, when it can have one and does. */
export function contextOf(part: unknown): proto.IContextInfo | null {
  if (typeof part !== 'object' || part === null || !('contextInfo' in part)) return null
  return (part.contextInfo as proto.IContextInfo | null | undefined) ?? null
}

export const mentionsOf = (context: proto.IContextInfo | null): string[] =>
  (context?.mentionedJid ?? []).slice(0, MAX_MENTIONS).filter(isAddress)

/** The context in our words. */
export function readContext(
  context: proto.IContextInfo | null,
  envelope: proto.IMessageContextInfo,
): MessageContext {
  const score = context?.forwardingScore || (context?.isForwarded ? 1 : 0)
  return {
    ...((context?.nonJidMentions ?? 0) > 0 ? { mentionsAll: true as const } : {}),
    ...some('forwardingScore', score),
    ...some('disappearingSeconds', context?.expiration),
    ...some('albumId', albumIn(envelope)),
  }
}

function albumIn(envelope: proto.IMessageContextInfo): string | null {
  const id = albumOf(envelope)
  return id !== null && isMessageId(id) ? id : null
}

type Given = Pick<EncodeContext, 'mentions' | 'quoted' | 'extra' | 'chat'>

/** Our words as a context; null when there is nothing to say. */
export function writeContext({ mentions, quoted, extra, chat }: Given): proto.IContextInfo | null {
  const context: proto.IContextInfo = {
    ...(mentions.length > 0 ? { mentionedJid: [...mentions] } : {}),
    ...(extra.mentionsAll ? { nonJidMentions: EVERYBODY } : {}),
    ...some('expiration', extra.disappearingSeconds),
    ...(quoted
      ? {
          stanzaId: quoted.id,
          participant: quoted.sender,
          quotedMessage: quotable(quoted.raw),
          ...(isElsewhere(quoted.chat, chat) ? { remoteJid: quoted.chat } : {}),
        }
      : {}),
  }
  return Object.keys(context).length > 0 ? context : null
}

/** A person's chat has two addresses; only what many can see is quoted out of its place. */
const isElsewhere = (from: string, to: string): boolean => from !== to && !isPerson(from)

/** The quoted message without its own quote, its wrappers and its secret: WhatsApp quotes one level deep. */
function quotable(raw: Uint8Array): proto.IMessage {
  const { messageContextInfo: _secret, ...parts } = unwrap(proto.Message.decode(raw)).inner
  return Object.fromEntries(
    Object.entries(parts).map(([kind, part]) => [kind, withoutContext(part)]),
  ) as proto.IMessage
}

function withoutContext(part: unknown): unknown {
  if (typeof part !== 'object' || part === null || !('contextInfo' in part)) return part
  const { contextInfo: _context, ...rest } = part
  return rest
}
