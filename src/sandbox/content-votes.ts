/**
 * Votes as WhatsApp seals them: nobody can read one who does not have the poll, and nobody can pass one off as another
 * person's, because poll, author and voter are mixed into the key. AES-256-GCM under HKDF of the poll's secret.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'

export type Ballot = {
  /** The poll's `messageSecret`. */
  secret: Uint8Array
  pollId: string
  /** Bare addresses as both sides write them. */
  creator: string
  voter: string
}

const TAG_BYTES = 16
const keyOf = ({ secret, pollId, creator, voter }: Ballot): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(32), `${pollId}${creator}${voter}Poll Vote`, 32))
const nameOf = ({ pollId, voter }: Ballot): Buffer => Buffer.from(`${pollId}\0${voter}`)

/** How an option is named in a vote. */
export const optionHash = (option: string): Buffer => createHash('sha256').update(option).digest()

/** Seals the choice of these options. */
export function sealVote(ballot: Ballot, options: readonly string[]): proto.Message.IPollEncValue {
  const encIv = randomBytes(12)
  const plain = proto.Message.PollVoteMessage.encode({ selectedOptions: options.map(optionHash) }).finish()
  const cipher = createCipheriv('aes-256-gcm', keyOf(ballot), encIv).setAAD(nameOf(ballot))
  return { encIv, encPayload: Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]) }
}

/** The hashes of the chosen options; null when the vote was sealed for another poll or by somebody else. */
export function openVote(ballot: Ballot, vote: proto.Message.IPollEncValue): Buffer[] | null {
  const { encPayload, encIv } = vote
  if (!encPayload || !encIv || encPayload.length < TAG_BYTES) return null
  const sealed = Buffer.from(encPayload)
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(ballot), encIv)
    decipher.setAAD(nameOf(ballot)).setAuthTag(sealed.subarray(-TAG_BYTES))
    const plain = Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
    return (proto.Message.PollVoteMessage.decode(plain).selectedOptions ?? []).map((hash) =>
      Buffer.from(hash),
    )
  } catch {
    return null
  }
}
