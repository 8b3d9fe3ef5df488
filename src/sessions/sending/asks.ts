/**
 * What is asked for → what the message holds: one row per type. Pure; files, link previews and other messages have been
 * looked up before.
 */
import type { AskOf, AskType, Content, ContentOf } from '../../domain/content'
import type { LinkPreview } from '../../domain/content-plain'
import { type AppError, fail } from '../../domain/errors'
import type { StagedFile } from '../../domain/media'
import type { StoredMessage } from '../../domain/message'

export type Found = {
  /** The file, when the ask has one. */
  staged: StagedFile | null
  /** The card of a link, when one was asked for and found. */
  preview: LinkPreview | null
  /** The message that is acted on, when there is one. */
  target: StoredMessage | null
}

/** Asks that become one message of their own type; an album and a forward are made elsewhere. */
export type PlainAskType = Exclude<AskType, 'album' | 'forward'>

/** A week, as WhatsApp's clients offer first. */
const PIN_SECONDS = 604_800

/** A field that no schema can judge is wrong. */
export const wrong = (path: string, message: string): AppError =>
  fail('VALIDATION_ERROR', { in: 'body', fields: [{ path, message }] })

/** Copies what is there; absent fields stay absent. */
function picked<T extends object, K extends keyof T>(from: T, ...keys: K[]): Pick<T, K> {
  const copy: Partial<Pick<T, K>> = {}
  for (const key of keys) if (from[key] !== undefined) copy[key] = from[key]
  return copy as Pick<T, K>
}

const fileOf = ({ staged }: Found): StagedFile => {
  if (!staged) throw new Error('The file of this message was not made ready')
  return staged
}

const MOMENT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,9})?)?(?:Z|[+-]\d{2}:?\d{2})$/

function momentOf(path: string, text: string): string {
  const at = MOMENT.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(at)) throw wrong(path, 'Not an ISO 8601 moment with a time zone')
  return new Date(at).toISOString()
}

function eventOf(ask: AskOf<'event'>): ContentOf<'event'> {
  const startsAt = momentOf('/startsAt', ask.startsAt)
  const endsAt = ask.endsAt === undefined ? undefined : momentOf('/endsAt', ask.endsAt)
  if (endsAt !== undefined && endsAt <= startsAt) throw wrong('/endsAt', 'Must be later than startsAt')
  return { ...ask, startsAt, ...(endsAt === undefined ? {} : { endsAt }) }
}

function pollOf({ question, options, selectable = 1 }: AskOf<'poll'>): ContentOf<'poll'> {
  if (selectable > options.length) throw wrong('/selectable', 'More than there are options')
  if (new Set(options).size < options.length) throw wrong('/options', 'Must all be different')
  return { type: 'poll', question, options, selectable }
}

function contactsOf({ contact, contacts }: AskOf<'contact'>): ContentOf<'contact'> {
  if ((contact === undefined) === (contacts === undefined))
    throw wrong('/contact', 'Give either contact or contacts')
  return { type: 'contact', contacts: contacts ?? (contact ? [contact] : []) }
}

function locationOf(ask: AskOf<'location'>): ContentOf<'location'> {
  if (ask.duration !== undefined && ask.live !== true) throw wrong('/duration', 'Only of a live location')
  return ask
}

function voteOf(ask: AskOf<'vote'>, { target }: Found): ContentOf<'vote'> {
  const poll = target?.content
  if (poll?.type !== 'poll') throw fail('MESSAGE_NOT_SUITABLE', { reason: 'That message is no poll' })
  const strange = ask.options.find((option) => !poll.options.includes(option))
  if (strange !== undefined) throw wrong('/options', `The poll has no option “${strange}”`)
  const options = [...new Set(ask.options)]
  if (poll.selectable > 0 && options.length > poll.selectable)
    throw wrong('/options', `At most ${poll.selectable} can be chosen`)
  return { ...ask, options }
}

function rsvpOf(ask: AskOf<'rsvp'>, { target }: Found): ContentOf<'rsvp'> {
  const event = target?.content
  if (ask.extraGuests !== undefined && event?.type === 'event' && !event.guestsAllowed)
    throw wrong('/extraGuests', 'Nobody may be brought along to this event')
  return ask
}

type Rows = { [T in PlainAskType]: (ask: AskOf<T>, found: Found) => ContentOf<T> }

const ROWS: Rows = {
  text: (ask, { preview }) => ({
    ...picked(ask, 'type', 'text', 'backgroundColor', 'font'),
    ...(preview ? { linkPreview: preview } : {}),
  }),
  image: (ask, found) => ({ ...picked(ask, 'type', 'caption', 'viewOnce'), media: fileOf(found).media }),
  video: (ask, found) => ({
    ...picked(ask, 'type', 'caption', 'viewOnce', 'gifPlayback', 'ptv'),
    media: fileOf(found).media,
  }),
  audio: (ask, found) => ({
    ...picked(ask, 'type', 'viewOnce'),
    ptt: ask.ptt ?? false,
    media: fileOf(found).media,
  }),
  document: (ask, found) => ({ ...picked(ask, 'type', 'caption'), media: fileOf(found).media }),
  sticker: (ask, found) => ({
    type: ask.type,
    ...(fileOf(found).animated ? { animated: true } : {}),
    media: fileOf(found).media,
  }),
  location: locationOf,
  contact: contactsOf,
  poll: pollOf,
  event: eventOf,
  reaction: (ask) => ask,
  edit: (ask) => ask,
  delete: (ask) => ask,
  pin: ({ pinned = true, seconds = PIN_SECONDS, ...ask }) => ({
    ...ask,
    pinned,
    ...(pinned ? { seconds } : {}),
  }),
  vote: voteOf,
  rsvp: rsvpOf,
}

/** The content of a message; throws `VALIDATION_ERROR` or `MESSAGE_NOT_SUITABLE`. */
export function contentOf(ask: AskOf<PlainAskType>, found: Found): Content {
  // The table is typed type by type; picking by a run-time type loses that pairing, hence the one cast.
  const row = ROWS[ask.type] as (ask: AskOf<PlainAskType>, found: Found) => Content
  return row(ask, found)
}

/** Types of which a status post can be. */
const POSTS: ReadonlySet<string> = new Set(['text', 'image', 'video', 'audio'])
export const canBePosted = (type: AskType): boolean => POSTS.has(type)
