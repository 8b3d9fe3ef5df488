/**
 * Upstream defect: for a message to the own number Baileys asks for the devices of its sender and of its recipient, which
 * are the same, and names each of them twice; the server refuses such a message as malformed.
 *
 * Repair: the option with which a message is fitted to its devices is given each device once.
 *
 * Upstream repaired it when the test named "upstream: …" of `once-each-device.test.ts` fails.
 */
import type { proto, UserFacingSocketConfig } from '@whiskeysockets/baileys'

/** The option `patchMessageBeforeSending`; changes nothing in what is said. */
export const onceEachDevice: NonNullable<UserFacingSocketConfig['patchMessageBeforeSending']> = (
  message,
  devices = [],
) => {
  const once = new Set(devices)
  // An array names the devices; anything else is the message for all of them, as it is the common case.
  return once.size === devices.length
    ? message
    : [...once].map((recipientJid): proto.IMessage & { recipientJid: string; message: proto.IMessage } => ({
        recipientJid,
        message,
      }))
}
