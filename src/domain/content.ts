/**
 * What a message can hold: one union told, one union asked for, the same field names in both.
 *
 * A type is one schema in `content-*.ts`, one reader and one writer in the adapter; what must change with it does not
 * compile until it has changed.
 */
import { type Static, Type } from '@sinclair/typebox'
import {
  DeleteAsk,
  DeleteContent,
  EditAsk,
  EditContent,
  PinAsk,
  PinContent,
  ReactionAsk,
  ReactionContent,
  RsvpAsk,
  RsvpContent,
  VoteAsk,
  VoteContent,
} from './content-actions'
import { target } from './content-limits'
import {
  AlbumAsk,
  AlbumContent,
  AudioAsk,
  AudioContent,
  DocumentAsk,
  DocumentContent,
  ImageAsk,
  ImageContent,
  StickerAsk,
  StickerContent,
  VideoAsk,
  VideoContent,
} from './content-media'
import {
  ButtonsContent,
  ChoiceContent,
  CommentContent,
  ContactAsk,
  ContactContent,
  EventAsk,
  EventContent,
  InviteContent,
  ListContent,
  LocationAsk,
  LocationContent,
  OrderContent,
  PollAsk,
  PollContent,
  ProductContent,
  TextAsk,
  TextContent,
  UnknownContent,
} from './content-plain'

export { MAX_TEXT_LENGTH } from './content-limits'
export { type Media, MediaSchema } from './content-media'

/** A message as it is told, stored and shown. */
export const ContentSchema = Type.Union([
  TextContent,
  ImageContent,
  VideoContent,
  AudioContent,
  DocumentContent,
  StickerContent,
  AlbumContent,
  LocationContent,
  ContactContent,
  PollContent,
  EventContent,
  ReactionContent,
  EditContent,
  DeleteContent,
  PinContent,
  VoteContent,
  RsvpContent,
  ButtonsContent,
  ListContent,
  ChoiceContent,
  ProductContent,
  OrderContent,
  InviteContent,
  CommentContent,
  UnknownContent,
])
export type Content = Static<typeof ContentSchema>
export type MessageType = Content['type']
export type ContentOf<T extends MessageType> = Extract<Content, { type: T }>

export const MESSAGE_TYPES = ContentSchema.anyOf.map((schema) => schema.properties.type.const)

/** A message of this session sent on to somebody else; it becomes a message of the original's type. */
export const ForwardAsk = Type.Object(
  { type: Type.Literal('forward'), messageId: target('The message that is sent on') },
  { additionalProperties: false },
)

/** What can be asked for; by type, so that each has its route. */
export const ASKS = {
  text: TextAsk,
  image: ImageAsk,
  video: VideoAsk,
  audio: AudioAsk,
  document: DocumentAsk,
  sticker: StickerAsk,
  album: AlbumAsk,
  location: LocationAsk,
  contact: ContactAsk,
  poll: PollAsk,
  event: EventAsk,
  reaction: ReactionAsk,
  edit: EditAsk,
  delete: DeleteAsk,
  pin: PinAsk,
  vote: VoteAsk,
  rsvp: RsvpAsk,
  forward: ForwardAsk,
} as const
export type AskType = keyof typeof ASKS
export const ASK_TYPES = Object.keys(ASKS) as AskType[]
export type Ask = { [T in AskType]: Static<(typeof ASKS)[T]> }[AskType]
export type AskOf<T extends AskType> = Extract<Ask, { type: T }>

/** Every ask in one schema: `POST /api/messages/send`. */
export const AskSchema = Type.Union(ASK_TYPES.map((type) => ASKS[type]))

/** Types that act on another message: stored, but shown in a history only when asked for by type. */
export const ACTION_TYPES = [
  'reaction',
  'edit',
  'delete',
  'pin',
  'vote',
  'rsvp',
] as const satisfies readonly MessageType[]
export type ActionType = (typeof ACTION_TYPES)[number]
export type ActionContent = ContentOf<ActionType>
export const isAction = (content: Content): content is ActionContent =>
  (ACTION_TYPES as readonly string[]).includes(content.type)

/** Types that this service writes: everything that can be asked for except what becomes another type. */
export type SendableType = Exclude<AskType, 'forward'>
export type SendableContent = ContentOf<SendableType>

const none = () => null
const WORDS: { readonly [T in MessageType]: (content: ContentOf<T>) => string | null } = {
  text: ({ text }) => text,
  image: ({ caption }) => caption ?? null,
  video: ({ caption }) => caption ?? null,
  audio: none,
  document: ({ caption, media }) => caption ?? media.filename ?? null,
  sticker: none,
  album: none,
  location: ({ name, caption }) => name ?? caption ?? null,
  contact: ({ contacts }) => contacts.map(({ fullName }) => fullName).join(', '),
  poll: ({ question }) => question,
  event: ({ name }) => name,
  reaction: none,
  edit: ({ text }) => text,
  delete: none,
  pin: none,
  vote: none,
  rsvp: none,
  buttons: ({ text }) => text,
  list: ({ text }) => text,
  choice: ({ text }) => text,
  product: ({ title }) => title,
  order: ({ text, title }) => text ?? title ?? null,
  invite: ({ caption }) => caption ?? null,
  comment: ({ text }) => text,
  unknown: none,
}

/** The words of a message as people search and quote them: text, caption, question, name; null when it has none. */
export function wordsOf(content: Content): string | null {
  // The table is typed type by type; picking by a run-time type loses that pairing, hence the one cast.
  return (WORDS[content.type] as (content: Content) => string | null)(content)
}

/** Content without its `type`, as payloads carry it beside their own fields. */
export function contentFields(content: Content): Record<string, unknown> {
  const { type: _, ...fields } = content
  return fields
}
