/** A message as the API shows it: flat, `me` for ourselves, digits where WhatsApp has told a number; absent = not so. */
import { type Static, Type } from '@sinclair/typebox'
import { type Content, contentFields, MESSAGE_TYPES } from '../domain/content'
import { RSVP_RESPONSES } from '../domain/content-actions'
import { type Party, partyOf, shownParty } from '../domain/ids'
import { MESSAGE_STATUSES, type MessageContext, type StoredMessage, type Vote } from '../domain/message'
import { isoTime } from '../lib/clock'
import { placesUnder, shownChat } from '../sessions/payload'
import { nullable, oneOf, time } from './docs'

export const MessageTypeSchema = oneOf(MESSAGE_TYPES)
export const MessageStatusSchema = oneOf(MESSAGE_STATUSES)

const Person = Type.String({ description: '"me", digits, or a WhatsApp id when no number is known' })

export const MessageView = Type.Object(
  {
    id: Type.String({ description: 'WhatsApp’s own message id' }),
    type: MessageTypeSchema,
    from: Person,
    to: Type.String({ description: '"me", digits, or a WhatsApp id' }),
    chat: Type.String({ description: 'The person or group that the message belongs to' }),
    timestamp: time(),
    status: MessageStatusSchema,
    senderName: Type.Optional(nullable(Type.String({ description: 'The name the sender gives itself' }))),
    mentions: Type.Optional(Type.Array(Type.String())),
    mentionsAll: Type.Optional(Type.Boolean({ description: 'Everybody in the group is named' })),
    quoted: Type.Optional(
      Type.Object({
        messageId: Type.String(),
        from: nullable(Type.String()),
        text: nullable(Type.String()),
      }),
    ),
    forwarded: Type.Optional(Type.Boolean()),
    forwardingScore: Type.Optional(Type.Integer({ description: 'How often it was forwarded, at least' })),
    disappearingSeconds: Type.Optional(Type.Integer()),
    albumId: Type.Optional(Type.String({ description: 'The album it belongs to' })),
    audience: Type.Optional(
      Type.Array(Type.String(), { description: 'Who may see this status post of ours' }),
    ),
    error: Type.Optional(Type.String({ description: 'Why it failed' })),
    code: Type.Optional(Type.String({ description: 'WhatsApp’s code of the failure' })),
    text: Type.Optional(Type.String()),
    caption: Type.Optional(Type.String()),
    media: Type.Optional(
      Type.Object(
        { url: Type.Optional(Type.String({ description: 'Where the file is to be had' })) },
        { additionalProperties: true, description: 'mimetype, size, filename, seconds, width, height, url' },
      ),
    ),
    viaApi: Type.Optional(Type.Boolean({ description: 'Of an own message: sent by this API' })),
    offline: Type.Optional(Type.Boolean({ description: 'It arrived while the session was away' })),
    history: Type.Optional(Type.Boolean({ description: 'The phone handed it over when it was linked' })),
    sendAt: Type.Optional(time('While it waits: when it is to leave')),
    expiresAt: Type.Optional(time('While it waits: until when it is worth sending')),
    editedAt: Type.Optional(time()),
    deletedAt: Type.Optional(time('Taken back; its content is gone')),
    starred: Type.Optional(Type.Boolean()),
    pinnedUntil: Type.Optional(time()),
    reactions: Type.Optional(
      Type.Array(Type.Object({ emoji: Type.String(), from: Person, timestamp: time() })),
    ),
    votes: Type.Optional(
      Type.Array(
        Type.Object({
          option: Type.String(),
          count: Type.Integer(),
          voters: Type.Array(Person),
        }),
        { description: 'Of a poll: every option with those who chose it' },
      ),
    ),
    responses: Type.Optional(
      Type.Array(
        Type.Object({
          response: oneOf(RSVP_RESPONSES),
          extraGuests: Type.Integer({ description: 'Whom the person brings along' }),
          from: Person,
          timestamp: time(),
        }),
        { description: 'Of an event: the present answer of each person' },
      ),
    ),
  },
  { title: 'Message', additionalProperties: true, description: 'Beside these, the fields of its type' },
)
export type MessageView = Static<typeof MessageView>

/** `publicUrl`: what the addresses of files begin with; null = they are relative to this server. */
export function messageView(message: StoredMessage, publicUrl: string | null): MessageView {
  const { content, fromMe, sender, error } = message
  const chat = shownChat(message.chat, message.chatParty)
  return {
    ...contentFields(content),
    ...mediaOf(message, publicUrl),
    id: message.id,
    type: content.type,
    from: fromMe ? 'me' : sender ? shownParty(sender) : chat,
    to: fromMe ? chat : 'me',
    chat,
    timestamp: isoTime(message.timestamp),
    status: message.status,
    ...(message.senderName === null ? {} : { senderName: message.senderName }),
    ...(message.mentions.length > 0 ? { mentions: message.mentions } : {}),
    ...(message.quoted ? { quoted: message.quoted } : {}),
    ...contextFields(message.context),
    ...(error ? { error: error.says, code: error.code } : {}),
    ...(fromMe ? { viaApi: message.viaApi } : {}),
    ...(message.offline ? { offline: true } : {}),
    ...(message.history ? { history: true } : {}),
    ...datesOf(message),
    ...afterlifeFields(message),
  }
}

function mediaOf({ content, sessionId, id, afterlife }: StoredMessage, publicUrl: string | null) {
  if (!('media' in content) || afterlife.deletedAt !== null) return {}
  return { media: { ...content.media, url: placesUnder(publicUrl).media(sessionId, id) } }
}

const contextFields = ({ forwardingScore, audience, ...rest }: MessageContext) => ({
  ...rest,
  ...(forwardingScore === undefined ? {} : { forwarded: true, forwardingScore }),
  ...(audience ? { audience: audience.map((jid) => shownParty(partyOf(jid))) } : {}),
})

export function datesOf({ status, schedule }: Pick<StoredMessage, 'status' | 'schedule'>) {
  if (status !== 'queued' || schedule === null) return {}
  const { sendAt, expiresAt } = schedule
  return {
    ...(sendAt === null ? {} : { sendAt: isoTime(sendAt) }),
    ...(expiresAt === null ? {} : { expiresAt: isoTime(expiresAt) }),
  }
}

function afterlifeFields({ afterlife, content }: StoredMessage) {
  const { editedAt, deletedAt, starred, pinnedUntil, reactions, votes, responses } = afterlife
  return {
    ...(editedAt === null ? {} : { editedAt: isoTime(editedAt) }),
    ...(deletedAt === null ? {} : { deletedAt: isoTime(deletedAt) }),
    ...(starred ? { starred } : {}),
    ...(pinnedUntil === null ? {} : { pinnedUntil: isoTime(pinnedUntil) }),
    ...(reactions.length > 0
      ? {
          reactions: reactions.map(({ emoji, from, at }) => ({
            emoji,
            from: shownPerson(from),
            timestamp: isoTime(at),
          })),
        }
      : {}),
    ...tallyOf(content, votes),
    ...(responses.length > 0
      ? {
          responses: responses.map(({ from, at, ...said }) => ({
            ...said,
            from: shownPerson(from),
            timestamp: isoTime(at),
          })),
        }
      : {}),
  }
}

const shownPerson = (who: 'me' | Party): string => (who === 'me' ? 'me' : shownParty(who))

function tallyOf(content: Content, votes: readonly Vote[]) {
  if (content.type !== 'poll') return {}
  return {
    votes: content.options.map((option) => {
      const voters = votes
        .filter(({ options }) => options.includes(option))
        .map(({ from }) => shownPerson(from))
      return { option, count: voters.length, voters }
    }),
  }
}
