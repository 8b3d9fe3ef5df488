/**
 * Baileys' events about people, groups and calls → reports. Pure: what has to be looked up is given by `know`. Messages
 * have files of their own.
 */
import { type AuthenticationCreds, type BaileysEventMap, isJidGroup } from '@whiskeysockets/baileys'
import { partyOf, phoneOf, withoutDevice } from '../../domain/ids'
import type { Identity } from '../../domain/session'
import type { Report } from '../../domain/whatsapp'
import { isPerson, type Know, knowNothing } from './people'
import { shownName } from './stanza-ids'

/** Who we are; a name is only there once the phone has told it. */
export function identityOf(creds: AuthenticationCreds): Identity | null {
  const phoneNumber = creds.me ? phoneOf(withoutDevice(creds.me.id)) : null
  if (!creds.me || phoneNumber === null) return null
  const { lid, name } = creds.me
  return {
    phoneNumber,
    lid: lid ? withoutDevice(lid) : null,
    name: name && name !== '~' ? name : null,
    platform: creds.platform ?? null,
  }
}

type ContactLike = {
  id?: string
  lid?: string
  phoneNumber?: string
  name?: string | null
  notify?: string | null
  verifiedName?: string | null
}

/** People with a name, and the pairs of addresses among them. */
export function contactsOf(contacts: readonly ContactLike[], know: Know = knowNothing) {
  const people = contacts
    .filter(
      (contact): contact is ContactLike & { id: string } => contact.id !== undefined && isPerson(contact.id),
    )
    .map((contact) => ({
      party: partyOf(contact.id, contact.lid, contact.phoneNumber, know(contact.id)),
      name: shownName(contact.name ?? contact.verifiedName ?? contact.notify),
    }))
  return {
    named: people.filter(({ name }) => name !== null),
    pairs: people.flatMap(({ party: { lid, phoneNumber } }) =>
      lid && phoneNumber ? [{ lid, phoneNumber }] : [],
    ),
  }
}

type GroupLike = { id?: string; subject?: string; participants?: readonly unknown[]; size?: number }

export function groupsOf(groups: readonly GroupLike[]): Extract<Report, { kind: 'groups' }> {
  return {
    kind: 'groups',
    groups: groups
      .filter((group): group is GroupLike & { id: string } => isJidGroup(group.id) === true)
      .map(({ id, subject, participants, size }) => ({
        id: withoutDevice(id),
        subject: shownName(subject),
        participants: size ?? participants?.length ?? null,
      })),
  }
}

export function participantsOf(
  update: BaileysEventMap['group-participants.update'],
  know: Know,
): Extract<Report, { kind: 'participants' }> {
  return {
    kind: 'participants',
    group: withoutDevice(update.id),
    action: update.action,
    participants: update.participants.map(({ id, lid, phoneNumber }) =>
      partyOf(id, lid, phoneNumber, know(id)),
    ),
    by: update.author ? partyOf(update.author, update.authorPn, know(update.author)) : null,
  }
}

/** One report per member whose presence is told. */
export function presencesOf(
  update: BaileysEventMap['presence.update'],
  know: Know,
): Extract<Report, { kind: 'presence' }>[] {
  const chat = withoutDevice(update.id)
  return Object.values(update.presences).map(({ lastKnownPresence }) => ({
    kind: 'presence',
    chat: isPerson(chat) ? partyOf(chat, know(chat)) : { lid: chat, phoneNumber: null },
    presence: lastKnownPresence,
    typing: lastKnownPresence === 'composing' || lastKnownPresence === 'recording',
  }))
}

export function callsOf(calls: BaileysEventMap['call'], know: Know): Extract<Report, { kind: 'calls' }> {
  return {
    kind: 'calls',
    calls: calls.map(({ id, from, callerPn, status, isVideo }) => ({
      id,
      from: partyOf(from, callerPn, know(from)),
      status,
      video: isVideo === true,
    })),
  }
}
