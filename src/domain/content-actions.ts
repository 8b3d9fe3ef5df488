/**
 * Types that act on another message of the same chat: they change what is stored of it, and are stored themselves so that
 * each is queued, told and applied exactly once.
 */
import { Type } from '@sinclair/typebox'
import { MAX_POLL_OPTIONS, MAX_TEXT_LENGTH, target } from './content-limits'

const strict = { additionalProperties: false } as const

const reaction = {
  type: Type.Literal('reaction'),
  emoji: Type.String({ maxLength: 64, description: 'Empty = the reaction is taken back' }),
  targetMessageId: target('The message that is reacted to'),
}
export const ReactionContent = Type.Object(reaction)
export const ReactionAsk = Type.Object(reaction, strict)

/** New words for an own text, or for the caption of an own file. */
const edit = {
  type: Type.Literal('edit'),
  text: Type.String({ minLength: 1, maxLength: MAX_TEXT_LENGTH, description: 'The new words' }),
  targetMessageId: target('The message whose words are replaced'),
}
/** Told also when a caption was taken away altogether. */
export const EditContent = Type.Object({
  ...edit,
  text: Type.String({ description: 'The new words; empty = the caption was taken away' }),
})
export const EditAsk = Type.Object(edit, strict)

/** Taken back for everyone. */
const remove = { type: Type.Literal('delete'), targetMessageId: target('The message that is taken back') }
export const DeleteContent = Type.Object(remove)
export const DeleteAsk = Type.Object(remove, strict)

const pin = {
  type: Type.Literal('pin'),
  targetMessageId: target('The message that is pinned in its chat'),
  pinned: Type.Boolean({ default: true, description: 'false takes the pin away' }),
  seconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 2_592_000,
      description: 'How long: WhatsApp offers 1, 7 and 30 days',
    }),
  ),
}
export const PinContent = Type.Object(pin)
export const PinAsk = Type.Object({ ...pin, pinned: Type.Optional(pin.pinned) }, strict)

/** A vote replaces the voter's earlier one; without options it is taken back. */
const vote = {
  type: Type.Literal('vote'),
  targetMessageId: target('The poll'),
  options: Type.Array(Type.String({ minLength: 1, maxLength: 255 }), { maxItems: MAX_POLL_OPTIONS }),
}
export const VoteContent = Type.Object(vote)
export const VoteAsk = Type.Object(vote, strict)

export const RSVP_RESPONSES = ['going', 'not_going', 'maybe'] as const
/** An answer to an event; it replaces the same person's earlier one. */
const rsvp = {
  type: Type.Literal('rsvp'),
  targetMessageId: target('The event'),
  response: Type.Union(RSVP_RESPONSES.map((response) => Type.Literal(response))),
  extraGuests: Type.Optional(
    Type.Integer({ minimum: 1, maximum: 99, description: 'Others who are brought along, where guests may' }),
  ),
}
export const RsvpContent = Type.Object(rsvp)
export const RsvpAsk = Type.Object(rsvp, strict)
