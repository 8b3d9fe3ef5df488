/**
 * What WhatsApp tells of a channel's posts beside the message: the number of a post, the name of its file. `proto.Message`
 * has no field for them; they are kept behind the encoded message in fields that every decoder skips, and are gone when
 * the message is encoded anew.
 */
import { isMessageId } from '../stanza-ids'

/** Tags of fields 2047 and 2046, text. */
const TAGS = { serverId: [0xfa, 0x7f], mediaHandle: [0xf2, 0x7f] } as const
export type Behind = keyof typeof TAGS
const MAX_LENGTH = 127

/** The encoded message with a text behind it; unchanged when there is none, or none that WhatsApp would write. */
export function putBehind(raw: Uint8Array, what: Behind, text: string | null | undefined): Uint8Array {
  if (!text || text.length > MAX_LENGTH || !isMessageId(text)) return raw
  return Buffer.concat([raw, Buffer.from([...TAGS[what], text.length]), Buffer.from(text)])
}

/** The text that was put behind an encoded message last; null when it is another one, or none. */
export function behind(raw: Uint8Array, what: Behind): string | null {
  const bytes = Buffer.from(raw)
  const start = bytes.lastIndexOf(Buffer.from(TAGS[what]))
  const from = start + TAGS[what].length + 1
  if (start < 0 || bytes[from - 1] !== bytes.length - from) return null
  return bytes.subarray(from).toString()
}
