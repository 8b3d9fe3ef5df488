/**
 * Upstream defect: what our other devices send comes to us inside a `deviceSentMessage`, its envelope beside it; Baileys
 * takes the inside and drops the envelope, and with it the secret without which nobody's vote on an own poll can be read.
 *
 * Repair: the envelope is put inside before Baileys sees the bytes.
 *
 * Upstream repaired it when the test named "upstream: …" of `own-copies.test.ts` fails.
 */
import { proto, unpadRandomMax16, writeRandomPadMax16 } from '@whiskeysockets/baileys'

/** The decrypted, padded bytes of a message by one of our own devices, with the envelope where it is read. */
export function withOwnEnvelope(padded: Uint8Array): Uint8Array {
  const message = proto.Message.decode(unpadRandomMax16(padded))
  const inner = message.deviceSentMessage?.message
  const outer = message.messageContextInfo
  if (!inner || !outer) return padded
  inner.messageContextInfo = proto.MessageContextInfo.fromObject({
    ...presentOf(outer),
    ...presentOf(inner.messageContextInfo),
  })
  return writeRandomPadMax16(proto.Message.encode(message).finish())
}

const presentOf = (info: proto.IMessageContextInfo | null | undefined) =>
  Object.fromEntries(Object.entries(info ?? {}).filter(([, value]) => value !== null && value !== undefined))
