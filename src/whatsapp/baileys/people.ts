/** People by their addresses. */
import { isLid, type Jid, type Party, partyOf, phoneJid, phoneOf, withoutDevice } from '../../domain/ids'
import type { Identity } from '../../domain/session'

/** The other address of a person, when it is known. */
export type Know = (jid: string) => string | null
export const knowNothing: Know = () => null

export const isPerson = (jid: string): boolean => jid.endsWith('@s.whatsapp.net') || isLid(jid)

export function isMe(jid: string, me: Identity | null): boolean {
  if (me === null) return false
  const plain = withoutDevice(jid)
  return plain === me.lid || phoneOf(plain) === me.phoneNumber
}

/** Every address of a person, the LID first. */
export const addressesOf = ({ lid, phoneNumber }: Party): Jid[] => [
  ...(lid ? [lid] : []),
  ...(phoneNumber ? [phoneJid(phoneNumber)] : []),
]

/** Our own. */
export const ownAddresses = (me: Identity | null): Jid[] =>
  me ? addressesOf(partyOf(me.lid, phoneJid(me.phoneNumber))) : []
