/**
 * Votes and answers to events as WhatsApp seals them: nobody can read one who does not have the message it belongs to, and
 * nobody can pass one off as another person's, because message, author and voter are mixed into the key. AES-256-GCM under
 * HKDF of the message's secret.
 */
import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'
import { proto } from '@whiskeysockets/baileys'

export type Ballot = {
  /** The `messageSecret` of the poll or event. */
  secret: Uint8Array
  targetId: string
  /** Bare addresses as both sides write them. */
  creator: string
  voter: string
}
type Purpose = 'Poll Vote' | 'Event Response'
type Sealed = { encPayload?: Uint8Array | null; encIv?: Uint8Array | null }

const TAG_BYTES = 16
const keyOf = ({ secret, targetId, creator, voter }: Ballot, purpose: Purpose): Buffer =>
  Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(32), `${targetId}${creator}${voter}${purpose}`, 32))
const nameOf = ({ targetId, voter }: Ballot): Buffer => Buffer.from(`${targetId}\0${voter}`)

function seal(ballot: Ballot, purpose: Purpose, plain: Uint8Array): { encPayload: Buffer; encIv: Buffer } {
  const encIv = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', keyOf(ballot, purpose), encIv).setAAD(nameOf(ballot))
  return { encIv, encPayload: Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]) }
}

/** Null when it was sealed for another message, another purpose or by somebody else. */
function open(ballot: Ballot, purpose: Purpose, { encPayload, encIv }: Sealed): Buffer | null {
  if (!encPayload || !encIv || encPayload.length < TAG_BYTES) return null
  const sealed = Buffer.from(encPayload)
  try {
    const decipher = createDecipheriv('aes-256-gcm', keyOf(ballot, purpose), encIv)
    decipher.setAAD(nameOf(ballot)).setAuthTag(sealed.subarray(-TAG_BYTES))
    return Buffer.concat([decipher.update(sealed.subarray(0, -TAG_BYTES)), decipher.final()])
  } catch {
    return null
  }
}

/** How an option is named in a vote. */
export const optionHash = (option: string): Buffer => createHash('sha256').update(option).digest()

/** Seals the choice of these options. */
export function sealVote(ballot: Ballot, options: readonly string[]): proto.Message.IPollEncValue {
  const selectedOptions = options.map(optionHash)
  return seal(ballot, 'Poll Vote', proto.Message.PollVoteMessage.encode({ selectedOptions }).finish())
}

/** The hashes of the chosen options; null when the vote is none for this poll by its sender. */
export function openVote(ballot: Ballot, vote: Sealed): Buffer[] | null {
  const plain = open(ballot, 'Poll Vote', vote)
  const { selectedOptions } = plain ? proto.Message.PollVoteMessage.decode(plain) : {}
  return plain && (selectedOptions ?? []).map((hash) => Buffer.from(hash))
}

export const RESPONSES = { going: 1, not_going: 2, maybe: 3 } as const
export type Answer = { response: keyof typeof RESPONSES; extraGuests?: number }

/** Seals an answer to an event. */
export function sealAnswer(ballot: Ballot, { response, extraGuests }: Answer, now: number) {
  const answer = { response: RESPONSES[response], timestampMs: now, extraGuestCount: extraGuests ?? null }
  return seal(ballot, 'Event Response', proto.Message.EventResponseMessage.encode(answer).finish())
}

/** The answer; null when it is none to this event by its sender, or none that phones know. */
export function openAnswer(ballot: Ballot, sealed: Sealed): Answer | null {
  const plain = open(ballot, 'Event Response', sealed)
  if (!plain) return null
  const { response, extraGuestCount } = proto.Message.EventResponseMessage.decode(plain)
  const [name] = Object.entries(RESPONSES).find(([, number]) => number === response) ?? []
  if (name === undefined) return null
  return {
    response: name as Answer['response'],
    ...(extraGuestCount ? { extraGuests: extraGuestCount } : {}),
  }
}
