/** Whom a message goes to: the address to write on it, the chat to store it under, and what was learned on the way. */
import { fail } from '../domain/errors'
import { isLid, isPhoneJid, type Jid, type Party, partyOf, phoneJid, phoneOf } from '../domain/ids'
import type { Identities } from '../domain/message'
import type { Session } from '../domain/session'
import type { Connection } from '../domain/whatsapp'
import type { NumberCheck } from './number-check'

export type Recipient = {
  to: Jid
  /** The LID of a person when it is known, else the address itself. */
  chat: Jid
  party: Party
  /** A pair that WhatsApp has told with its answer. */
  learned: { lid: Jid; phoneNumber: string } | null
}

type Parts = { identities: Identities; numbers: NumberCheck }

const knownAs = (identities: Identities, session: Session, jid: Jid): Party => {
  const known = identities.resolve(session.id, jid)
  const own = partyOf(jid)
  return { lid: known.lid ?? own.lid, phoneNumber: known.phoneNumber ?? own.phoneNumber }
}

/** Fails with `NUMBER_NOT_ON_WHATSAPP`; a number that cannot be checked now is taken as it is. */
export async function findRecipient(
  { identities, numbers }: Parts,
  session: Session,
  connection: Connection | null,
  to: Jid,
): Promise<Recipient> {
  if (isLid(to)) return { to, chat: to, party: knownAs(identities, session, to), learned: null }
  const phoneNumber = isPhoneJid(to) ? phoneOf(to) : null
  if (phoneNumber === null) return { to, chat: to, party: { lid: null, phoneNumber: null }, learned: null }
  const party = knownAs(identities, session, to)
  if (party.lid !== null) return { to, chat: party.lid, party, learned: null }
  const answer = await numbers.check(connection, phoneNumber)
  if (answer === null) return { to, chat: to, party, learned: null }
  if (!answer.exists) throw fail('NUMBER_NOT_ON_WHATSAPP', { phoneNumber: `+${phoneNumber}` })
  const { lid } = answer
  const jid = phoneJid(answer.phoneNumber)
  return {
    to: jid,
    chat: lid ?? jid,
    party: { lid, phoneNumber: answer.phoneNumber },
    learned: lid === null ? null : { lid, phoneNumber: answer.phoneNumber },
  }
}

/** Where a stored message goes when it is sent again. */
export function recipientAgain(chat: Jid, party: Party): Jid {
  return party.phoneNumber === null ? chat : phoneJid(party.phoneNumber)
}
