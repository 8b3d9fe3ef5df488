/**
 * Messages that are encrypted a second time, for those only who know the message they belong to: votes, answers to events
 * and, in announcement groups of communities, reactions and comments.
 *
 * key = HKDF-SHA256(secret of the target, no salt, target id ‖ its author ‖ author of the addition ‖ purpose); AES-256-GCM
 * with a 12-byte nonce. Addresses are those without device; whether phone number or LID depends on how the two devices
 * saw the chat, so opening tries both of each.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto'
import type { proto } from '@whiskeysockets/baileys'
import type { Reading } from './shapes'

/** What an addition is: a name that takes part in the key, and whether target and author are bound to the ciphertext. */
const PURPOSES = {
  vote: { name: 'Poll Vote', binds: true },
  rsvp: { name: 'Event Response', binds: true },
  reaction: { name: 'Enc Reaction', binds: false },
  comment: { name: 'Enc Comment', binds: false },
} as const
export type Purpose = keyof typeof PURPOSES

const TAG_LENGTH = 16

/** Who said what to which message. */
export type Binding = { targetId: string; targetAuthor: string; author: string }

function keyOf(purpose: Purpose, secret: Uint8Array, { targetId, targetAuthor, author }: Binding): Buffer {
  const info = `${targetId}${targetAuthor}${author}${PURPOSES[purpose].name}`
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(), info, 32))
}

const boundTo = (purpose: Purpose, { targetId, author }: Binding): Buffer =>
  Buffer.from(PURPOSES[purpose].binds ? `${targetId}\0${author}` : '')

/** Encrypts an addition to a message. */
export function seal(
  purpose: Purpose,
  secret: Uint8Array,
  binding: Binding,
  plain: Uint8Array,
): { encPayload: Uint8Array; encIv: Uint8Array } {
  const encIv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', keyOf(purpose, secret, binding), encIv)
  cipher.setAAD(boundTo(purpose, binding))
  return { encPayload: Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]), encIv }
}

/** All who may have written the message that a key names, seen by somebody who may have misnamed them. */
export const authorsOf = (key: proto.IMessageKey, about: Reading): string[] => [
  ...new Set([
    ...about.addresses(key.participant ?? ''),
    ...about.addresses(key.remoteJid ?? ''),
    ...about.others,
    ...about.authors,
  ]),
]

/** Decrypts an addition whose two authors are among the given; null when none of them fits. */
export function open(
  purpose: Purpose,
  secret: Uint8Array,
  target: { id: string; authors: readonly string[]; by: readonly string[] },
  { encPayload, encIv }: proto.Message.IPollEncValue,
): Uint8Array | null {
  if (!encPayload || encPayload.length < TAG_LENGTH || encIv?.length !== 12) return null
  for (const author of target.by) {
    for (const targetAuthor of target.authors) {
      const binding = { targetId: target.id, targetAuthor, author }
      const plain = opened(keyOf(purpose, secret, binding), boundTo(purpose, binding), encPayload, encIv)
      if (plain !== null) return plain
    }
  }
  return null
}

function opened(key: Buffer, bound: Buffer, payload: Uint8Array, iv: Uint8Array): Uint8Array | null {
  const decipher = createDecipheriv('aes-256-gcm', key, iv)
  decipher.setAAD(bound)
  decipher.setAuthTag(payload.subarray(-TAG_LENGTH))
  try {
    return Buffer.concat([decipher.update(payload.subarray(0, -TAG_LENGTH)), decipher.final()])
  } catch {
    return null
  }
}
