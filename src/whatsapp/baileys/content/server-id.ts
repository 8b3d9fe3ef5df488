/**
 * The number under which WhatsApp's server knows a post of a channel. `proto.Message` has no field for it; it is kept
 * behind the encoded message in one that every decoder skips, and is gone when the message is encoded anew.
 */
const FIELD = [0xfa, 0x7f] as const
const MAX_LENGTH = 127

/** The encoded message with the server's number; unchanged when there is none. */
export function serverIdIn(raw: Uint8Array, serverId: string | null): Uint8Array {
  const bytes = Buffer.from(serverId ?? '')
  if (bytes.length === 0 || bytes.length > MAX_LENGTH) return raw
  return Buffer.concat([raw, Buffer.from([...FIELD, bytes.length]), bytes])
}

/** The number kept in an encoded message; null when it has none. */
export function serverIdOf(raw: Uint8Array): string | null {
  const bytes = Buffer.from(raw)
  const start = bytes.lastIndexOf(Buffer.from(FIELD))
  if (start < 0 || bytes[start + FIELD.length] !== bytes.length - start - FIELD.length - 1) return null
  return bytes.subarray(start + FIELD.length + 1).toString()
}
