/** What an edit makes of the message it replaces: the same encoded message with other words. */
import { proto } from '@whiskeysockets/baileys'
import { unwrap } from './wrappers'

/** Puts words in the place of the text or the caption; null when the message has neither, or cannot be read. */
export function reworded(raw: Uint8Array, text: string): Uint8Array | null {
  const message = decoded(raw)
  if (!message) return null
  const { inner } = unwrap(message)
  const captioned = inner.imageMessage ?? inner.videoMessage ?? inner.documentMessage
  if (inner.conversation) inner.conversation = text
  else if (inner.extendedTextMessage) {
    // The card below belonged to a link of the old words.
    const {
      matchedText: _,
      title: __,
      description: ___,
      jpegThumbnail: ____,
      ...rest
    } = inner.extendedTextMessage
    inner.extendedTextMessage = { ...rest, text }
  } else if (captioned) captioned.caption = text
  else return null
  return proto.Message.encode(message).finish()
}

function decoded(raw: Uint8Array): proto.Message | null {
  try {
    return proto.Message.decode(raw)
  } catch {
    // Damaged bytes have no words.
    return null
  }
}
