/** Message stanzas that are not let in: nothing of them is kept, and WhatsApp is told that they were refused. */
import { type BinaryNode, buildAckStanza, NACK_REASONS } from '@whiskeysockets/baileys'
import { stanzaBytes } from './stanza-bytes'
import { isMessageId } from './stanza-ids'
import { isUnsealed } from './upstream/plaintext'

/** No message of WhatsApp's clients is half as large; files lie elsewhere. */
export const MAX_STANZA_BYTES = 4 * 1024 * 1024

export type Refusal = { why: string; code: number }
export type AtTheDoor = { stanza: Uint8Array } | Refusal

/** A stanza in the form in which it is kept, or why it is refused. */
export function atTheDoor(node: BinaryNode): AtTheDoor {
  if (!isMessageId(node.attrs.id ?? '')) return { why: 'no id', code: NACK_REASONS.ParsingError }
  if (isUnsealed(node)) return { why: 'not encrypted', code: NACK_REASONS.UnrecognizedStanza }
  const stanza = encoded(node)
  if (stanza === null) return { why: 'unreadable', code: NACK_REASONS.ParsingError }
  if (stanza.length > MAX_STANZA_BYTES) return { why: 'too large', code: NACK_REASONS.ParsingError }
  return { stanza }
}

function encoded(node: BinaryNode): Uint8Array | null {
  try {
    return stanzaBytes(node)
  } catch {
    return null
  }
}

/** What WhatsApp is told of it, so that it does not bring it again. */
export const refusalOf = (node: BinaryNode, { code }: Refusal, me: string | undefined): BinaryNode =>
  buildAckStanza(node, code, me)
