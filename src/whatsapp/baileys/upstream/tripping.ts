/**
 * Upstream defect: between decrypting a message and handing it over, Baileys reads fields that a stranger may have left
 * out (`cleanMessage` takes the key of every reaction and vote for granted) and throws. It has sent the receipt by then,
 * so WhatsApp never brings the message again.
 *
 * Repair: the message is put together from its stanza and its plaintext, as Baileys would have.
 *
 * Upstream repaired it when the test named "upstream: …" of `hostile.test.ts` fails.
 */
import {
  type AuthenticationCreds,
  type BinaryNode,
  decodeMessageNode,
  jidNormalizedUser,
  proto,
  unpadRandomMax16,
  type WAMessage,
} from '@whiskeysockets/baileys'

/** The message of a stanza, made without Baileys' steps; null when even that does not go. */
export function messageWithout(
  node: BinaryNode,
  plaintexts: readonly Uint8Array[],
  { me }: Pick<AuthenticationCreds, 'me'>,
): WAMessage | null {
  try {
    const { fullMessage } = decodeMessageNode(node, me?.id ?? '', me?.lid ?? '')
    const { key } = fullMessage
    const message = plaintexts.map(inside).reduce((all, one) => Object.assign(all, one))
    return {
      ...fullMessage,
      key: { ...key, ...(key.remoteJid ? { remoteJid: jidNormalizedUser(key.remoteJid) } : {}) },
      message,
    }
  } catch {
    return null
  }
}

function inside(padded: Uint8Array): proto.IMessage {
  const message = proto.Message.decode(unpadRandomMax16(padded))
  return message.deviceSentMessage?.message ?? message
}
