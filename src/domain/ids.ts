/**
 * Ids and addresses: made and parsed here, and nowhere else.
 *
 * WhatsApp addresses a person by phone number (`…@s.whatsapp.net`) or by LID (`…@lid`), an opaque number that says
 * nothing about the phone. The LID is the anchor; a phone number is shown only when WhatsApp itself has told it.
 */
declare const brand: unique symbol
type Branded<Name extends string> = string & { readonly [brand]: Name }

/** 32 lower-case hex characters. */
export type SessionId = Branded<'SessionId'>
/** The account that owns sessions; a user id. */
export type TenantId = Branded<'TenantId'>
/** A real WhatsApp message id, fixed before the first try. */
export type MessageId = Branded<'MessageId'>
/** A WhatsApp address without device suffix: `…@s.whatsapp.net`, `…@lid`, `…@g.us`, `…@newsletter`, `status@broadcast`. */
export type Jid = Branded<'Jid'>

export const SESSION_ID_PATTERN = '^[0-9a-f]{32}$'

export const asSessionId = (text: string): SessionId => text as SessionId
export const asTenantId = (text: string): TenantId => text as TenantId
export const asMessageId = (text: string): MessageId => text as MessageId
export const asJid = (text: string): Jid => text as Jid

const JID = /^(?:\d{1,20}(?:-\d{1,20})?@(?:s\.whatsapp\.net|lid|g\.us|newsletter)|status@broadcast)$/
/** Between people, digits may be written with a plus, spaces, dots, dashes and brackets. */
const PHONE_NOISE = /[\s().-]/g
const PHONE_DIGITS = /^\+?(\d{7,15})$/

/** The digits of a phone number in international form, or null when the text is not one (7–15 digits). */
export function parsePhoneNumber(text: string): string | null {
  return PHONE_DIGITS.exec(text.replace(PHONE_NOISE, ''))?.[1] ?? null
}

/** The address meant by an API caller's `to`: a phone number or a WhatsApp id; null when it is neither. */
export function parseRecipient(text: string): Jid | null {
  const trimmed = text.trim()
  if (JID.test(trimmed)) return trimmed as Jid
  const digits = parsePhoneNumber(trimmed)
  return digits === null ? null : phoneJid(digits)
}

export const phoneJid = (digits: string): Jid => `${digits}@s.whatsapp.net` as Jid
export const isPhoneJid = (jid: string): boolean => jid.endsWith('@s.whatsapp.net')
export const isLid = (jid: string): boolean => jid.endsWith('@lid')
export const isGroup = (jid: string): boolean => jid.endsWith('@g.us')
export const isChannel = (jid: string): boolean => jid.endsWith('@newsletter')

/** Digits of a phone-number address, null for every other kind. */
export const phoneOf = (jid: string): string | null => (isPhoneJid(jid) ? (jid.split('@')[0] ?? null) : null)

/** `1234:5@s.whatsapp.net` → `1234@s.whatsapp.net`: the person or group without the device. */
export const withoutDevice = (jid: string): Jid =>
  // Most have none, and this is asked a dozen times for each message.
  (jid.includes(':') || jid.includes('_') ? jid.replace(/(?::\d+|_\d+)+(?=@)/, '') : jid) as Jid

/** A person as far as WhatsApp has told us; at least one of the two is known. */
export type Party = { lid: Jid | null; phoneNumber: string | null }

/** How a party is shown in payloads: digits when the phone number is known, else the LID. Never an invented number. */
export const shownParty = (party: Party): string => party.phoneNumber ?? party.lid ?? 'unknown'

/** Both addresses of a person, from whichever WhatsApp gave. */
export function partyOf(...jids: readonly (string | null | undefined)[]): Party {
  const known = jids.filter((jid): jid is string => typeof jid === 'string').map(withoutDevice)
  return {
    lid: known.find(isLid) ?? null,
    phoneNumber: known.map(phoneOf).find((phone) => phone !== null) ?? null,
  }
}
