/** How the control API shows the messages of a phone. */
import { Type } from '@sinclair/typebox'
import { word } from './route-schemas'

const said = {
  id: Type.String(),
  chat: Type.String(),
  from: Type.String(),
  fromMe: Type.Boolean(),
  device: Type.Integer({ description: 'The device of the author that sent it; 0 is the phone' }),
  timestamp: Type.String({ format: 'date-time' }),
  kind: Type.String({ description: 'WhatsApp’s own name of the content' }),
  content: Type.Object({ type: Type.String() }, { additionalProperties: true }),
  pushName: Type.Optional(Type.String()),
  serverId: Type.Optional(Type.String({ description: 'Number of a post in its channel' })),
  refused: Type.Optional(Type.String({ description: 'Why the phone did not do what the message asks for' })),
  audience: Type.Optional(Type.Array(Type.String())),
}
const done = {
  messageId: Type.String(),
  from: Type.String(),
  at: Type.Integer({ description: 'Milliseconds since 1970, as the sender says' }),
}
const afterlife = {
  edited: Type.Boolean(),
  deleted: Type.Boolean({ description: 'Taken back for everyone: its content is gone' }),
  pinned: Type.Boolean(),
  starred: Type.Boolean(),
  reactions: Type.Array(Type.Object({ ...done, emoji: Type.String() })),
  votes: Type.Array(Type.Object({ ...done, options: Type.Array(Type.String()) })),
  responses: Type.Array(
    Type.Object({ ...done, response: word(['going', 'not_going', 'maybe']), extraGuests: Type.Integer() }),
  ),
  tally: Type.Optional(
    Type.Record(Type.String(), Type.Integer(), { description: 'Of a poll: votes by option' }),
  ),
}
const status = word(['sent', 'delivered', 'read', 'played'])

/** A message at the moment at which it was said. */
export const SaidView = Type.Object(said)
/** A message with what later ones have made of it. */
export const MessageView = Type.Object({ ...said, ...afterlife })
/** A message of the phone itself, with its readers. */
export const SentView = Type.Object({
  ...said,
  ...afterlife,
  status,
  receipts: Type.Record(Type.String(), status, { description: 'How far each reader got' }),
})
