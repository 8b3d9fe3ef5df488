/** What a caller may say with a message of any type, and the body of each send made out of that and the type's own fields. */
import { type TObject, type TProperties, Type } from '@sinclair/typebox'
import { ACTION_TYPES, ASKS, type AskType, MAX_TEXT_LENGTH } from '../domain/content'
import { LONGEST_TTL } from './limits'

export const sessionIdField = Type.String({ maxLength: 64, description: 'The session that sends' })
export const toField = Type.String({
  minLength: 1,
  maxLength: 64,
  description: 'Phone number in international form, or a WhatsApp id (…@g.us, …@lid, …@newsletter)',
  examples: ['1234567890'],
})
export const messageIdField = (description: string) =>
  Type.String({ minLength: 1, maxLength: 128, description })

export const Variables = Type.Record(
  Type.String(),
  Type.Union([Type.String({ maxLength: MAX_TEXT_LENGTH }), Type.Number()]),
  { description: 'Values for the {{name}} places of text and caption; without it braces stay as they are' },
)
export type Variables = Readonly<Record<string, string | number>>

/** When it leaves, and until when it is worth sending. */
export const WHEN = {
  sendAt: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        'ISO 8601: not before this moment (UTC unless it names an offset); a moment that has passed means now. Answers 202',
      examples: ['2030-01-01T09:00:00Z'],
    }),
  ),
  ttl: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: LONGEST_TTL,
      description:
        'Seconds after which a message that still waits fails with MESSAGE_EXPIRED; a day unless given',
    }),
  ),
}
export const queueField = Type.Optional(
  Type.Boolean({
    description: 'Answer 202 as soon as it is on disk, also while the session is reconnecting or paused',
  }),
)

const mentions = Type.Optional(
  Type.Array(Type.String({ maxLength: 64 }), {
    maxItems: 1024,
    description: 'People who are named; their places in the words are written by you as @<number>',
  }),
)
const variables = Type.Optional(Variables)

/** Beside a message that says something of its own. */
export const SAID = {
  variables,
  mentions,
  mentionsAll: Type.Optional(Type.Boolean({ description: 'Names everybody in the group' })),
  quotedMessageId: Type.Optional(messageIdField('The message that this one answers')),
  disappearingSeconds: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 31_536_000,
      description: 'It vanishes so many seconds after it was read; unless given, what the chat has agreed on',
    }),
  ),
}

const actions: ReadonlySet<string> = new Set(ACTION_TYPES)
export const isActionType = (type: AskType): boolean => actions.has(type)

/** The fields of one message without its session: an entry of a bulk, and most of a send's body. */
export function entryFields(type: AskType): TProperties {
  const { type: _, ...own } = ASKS[type].properties as TProperties
  if (!isActionType(type)) return { to: toField, ...own, ...SAID, ...WHEN }
  const words = type === 'edit' ? { variables, mentions } : {}
  return { to: Type.Optional(toField), ...own, ...words, ...WHEN }
}

/** One message as it comes out of its check; the fields of its type stand beside these. */
export type Entry = {
  to?: string
  variables?: Variables
  mentions?: string[]
  mentionsAll?: boolean
  quotedMessageId?: string
  disappearingSeconds?: number
  sendAt?: string
  ttl?: number
} & Record<string, unknown>

/** `POST /api/messages/send/{type}`. */
export type SendBody = Entry & { sessionId: string; queue?: boolean }

export const sendBody = (type: AskType): TObject =>
  Type.Object(
    { sessionId: sessionIdField, ...entryFields(type), queue: queueField },
    { additionalProperties: false, title: `Send${type.charAt(0).toUpperCase()}${type.slice(1)}` },
  )
