/** Ids and addresses as strangers can write them, and which of them can stand in our rows and paths. */

const MESSAGE_ID = /^[\x21-\x7e]{1,128}$/
/** WhatsApp's own are 32 letters at most, those of its oldest clients 60; a slash is none of our business. */
export const isMessageId = (id: string): boolean => MESSAGE_ID.test(id)

const ADDRESS = /^[\w.:+-]{1,64}@[\w.]{1,32}$/
/** Somebody's address, with or without its device. */
export const isAddress = (jid: string): boolean => ADDRESS.test(jid)

/** Control characters, and those that turn the direction of what follows: a name must not forge the words around it. */
const FORGING = /[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\ufeff]/g
/** WhatsApp’s clients take 25 letters, 100 for a group. */
const MAX_NAME = 256

/** A name that somebody gives itself, fit to be shown; null when nothing is left of it. */
export function shownName(name: string | null | undefined): string | null {
  // Cut first: what is cut off need not be looked at.
  const clean = (name ?? '')
    .slice(0, 4 * MAX_NAME)
    .replace(FORGING, '')
    .trim()
  return clean.slice(0, MAX_NAME).toWellFormed() || null
}

const DAY_MS = 86_400_000
/** A moment in seconds (of a stanza, or of a phone's history) as milliseconds; `now` when it cannot be true. */
export function momentOr(now: number, seconds: number): number {
  const ms = Math.trunc(seconds) * 1000
  return ms > 0 && ms <= now + DAY_MS ? ms : now
}
