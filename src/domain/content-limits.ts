/** Lengths that WhatsApp itself sets, and the small schemas that every type of content shares. */
import { Type } from '@sinclair/typebox'

/** WhatsApp's own hard limit for a text. */
export const MAX_TEXT_LENGTH = 65_536
/** Most answers that WhatsApp’s clients offer in a poll. */
export const MAX_POLL_OPTIONS = 12

export const optionalText = (maxLength: number, description?: string) =>
  Type.Optional(Type.String({ maxLength, ...(description === undefined ? {} : { description }) }))

/** The id of a message of the same session. */
export const target = (description: string) => Type.String({ minLength: 1, maxLength: 128, description })
