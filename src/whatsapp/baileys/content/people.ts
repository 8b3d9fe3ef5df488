/** People's cards. */
import type { proto } from '@whiskeysockets/baileys'
import type { ContactCard } from '../../../domain/content-plain'
import type { PartReaders, Writer } from './shapes'
import { readCard, writeCard } from './vcard'

function cardOf({ displayName, vcard }: proto.Message.IContactMessage): ContactCard {
  const { fullName, ...said } = readCard(vcard ?? '')
  return { fullName: displayName || fullName || '', ...said, ...(vcard ? { vcard } : {}) }
}

export const readContact: PartReaders<'contact'> = {
  contactMessage: (part) => ({ type: 'contact', contacts: [cardOf(part)] }),
  contactsArrayMessage: (part) => ({ type: 'contact', contacts: (part.contacts ?? []).map(cardOf) }),
}

const partOf = (card: ContactCard): proto.Message.IContactMessage => ({
  displayName: card.fullName,
  vcard: writeCard(card),
})

export const writeContact: Writer<'contact'> = ({ contacts }) => {
  const [only, ...others] = contacts
  if (only && others.length === 0) return { contactMessage: partOf(only) }
  return {
    contactsArrayMessage: { displayName: `${contacts.length} contacts`, contacts: contacts.map(partOf) },
  }
}
