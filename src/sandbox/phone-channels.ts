/**
 * How a phone speaks in channels. Nothing is encrypted there, and what acts on an earlier post is an attribute of the
 * stanza: a changed post is the same id once more, a reaction names the post's number.
 */
import { type BinaryNode, normalizeMessageContent, proto } from '@whiskeysockets/baileys'
import { outerAttributes } from './content-outer'
import { UnknownMessage } from './content-shape'
import { node } from './node'
import type { PhoneJournal, Sent } from './phone-journal'

/** The `edit` attribute: a post changed, or taken back, by one who may post; a reaction taken back. */
export const CHANGED = '3'
export const REVOKED = '8'
const REACTION_REMOVED = '7'

/** The stanza for something said in a channel. */
export function channelStanza(sent: Sent, journal: PhoneJournal): BinaryNode {
  const { to, shown, message } = sent
  const target = String(shown.content.targetMessageId)
  const act = ACTS[shown.content.type]
  if (act) return act(sent, target, journal)
  const { stanza, enc, children } = outerAttributes(message)
  return node('message', { id: shown.id, to, ...stanza }, [plaintext(message, enc.mediatype), ...children])
}

const plaintext = (message: proto.IMessage, mediatype?: string): BinaryNode =>
  node('plaintext', { mediatype }, proto.Message.encode(message).finish())

const ACTS: Partial<Record<string, (sent: Sent, target: string, journal: PhoneJournal) => BinaryNode>> = {
  edit({ to, message }, id) {
    const edited = normalizeMessageContent(message)?.protocolMessage?.editedMessage ?? {}
    const { stanza, enc } = outerAttributes(edited)
    return node('message', { id, to, ...stanza, edit: CHANGED }, [plaintext(edited, enc.mediatype)])
  },
  delete: ({ to }, id) => node('message', { id, to, type: 'text', edit: REVOKED }, [node('plaintext')]),
  reaction({ to, shown }, target, journal) {
    const serverId = journal.find(target, to)?.shown.serverId
    if (serverId === undefined) throw new UnknownMessage(target)
    const code = String(shown.content.emoji) || undefined
    const edit = code === undefined ? REACTION_REMOVED : undefined
    return node('message', { id: shown.id, to, type: 'reaction', server_id: serverId, edit }, [
      node('reaction', { code }),
    ])
  },
}
