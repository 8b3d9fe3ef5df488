/** The control API of what phones say and hear. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { isoTime } from '../lib/clock'
import { type PhoneContent, PhoneContentSchema } from './content-schemas'
import { SandboxError } from './errors'
import { inWords } from './failures'
import type { ShownMessage } from './phone-journal'
import { MessageView, SaidView, SentView } from './phone-message-views'
import { Address, answer, Limit, numberParam, PhoneNumber, says, strict, told } from './route-schemas'
import type { Sandbox } from './sandbox'

const messageParam = Type.Object(
  { number: PhoneNumber, messageId: Type.String({ minLength: 1, maxLength: 128 }) },
  strict,
)

const page = Type.Object(
  {
    after: Type.Optional(Type.String({ description: 'Only what came after this message' })),
    limit: Type.Optional(Limit('Only the latest so many')),
  },
  strict,
)
function pageOf<T extends ShownMessage>(all: T[], query: { after?: string; limit?: string | number }) {
  const from = query.after === undefined ? 0 : all.findIndex(({ id }) => id === query.after) + 1
  const wanted = all.slice(from)
  return wanted.slice(-(Number(query.limit ?? 0) || wanted.length))
}

const noSuchMessage = (id: string) =>
  new SandboxError('MESSAGE_NOT_FOUND', 404, `This phone has no message ${id}`)

const view = <T extends { timestamp: number }>(message: T) => ({
  ...message,
  timestamp: isoTime(message.timestamp * 1000),
})

/** Routes under `/phones/:number`. */
export function phoneMessageRoutes(sandbox: Sandbox) {
  const phone = (number: string) => sandbox.phone(number)

  return new Elysia({ name: 'sandbox-phone-messages', normalize: false })
    .post(
      '/phones/:number/messages',
      ({ params, body, set }) =>
        inWords(async () => {
          const sent = await phone(params.number).send(
            body.to,
            body.content as PhoneContent,
            body.audience === undefined ? {} : { audience: body.audience },
          )
          set.status = 201
          return { success: true as const, message: view(sent) }
        }),
      {
        params: numberParam,
        body: Type.Object(
          {
            to: Address,
            content: PhoneContentSchema,
            audience: Type.Optional(
              Type.Array(Address, { description: 'Who may see a post to `status@broadcast`' }),
            ),
          },
          strict,
        ),
        response: { 201: answer({ message: SaidView }) },
        ...says('Send a message from a phone'),
      },
    )
    .get(
      '/phones/:number/messages',
      ({ params, query }) => {
        const all = phone(params.number).messages()
        return { success: true as const, messages: pageOf(all, query).map(view), total: all.length }
      },
      {
        params: numberParam,
        query: page,
        response: { 200: answer({ messages: Type.Array(MessageView), total: Type.Integer() }) },
        ...says('What a phone received, decrypted there; oldest first'),
      },
    )
    .get(
      '/phones/:number/sent',
      ({ params, query }) => {
        const all = phone(params.number).sent()
        return { success: true as const, messages: pageOf(all, query).map(view), total: all.length }
      },
      {
        params: numberParam,
        query: page,
        response: { 200: answer({ messages: Type.Array(SentView), total: Type.Integer() }) },
        ...says('What a phone itself said, and how far it got; oldest first'),
      },
    )
    .get(
      '/phones/:number/messages/:messageId',
      ({ params }) => {
        const message = phone(params.number).message(params.messageId)
        if (message === null) throw noSuchMessage(params.messageId)
        return { success: true as const, message: view(message) }
      },
      {
        params: messageParam,
        response: { 200: answer({ message: MessageView }) },
        ...says('One message that a phone received or sent, as it is now'),
      },
    )
    .get(
      '/phones/:number/messages/:messageId/media',
      ({ params }) =>
        inWords(async () => {
          const bytes = await phone(params.number).download(params.messageId)
          return { success: true as const, base64: bytes.toString('base64'), size: bytes.length }
        }),
      {
        params: messageParam,
        response: { 200: answer({ base64: Type.String(), size: Type.Integer() }) },
        ...says('The file of a message, downloaded and opened by the phone'),
      },
    )
    .post(
      '/phones/:number/read',
      ({ params, body }) =>
        inWords(async () => {
          await phone(params.number).read(body.messageId)
          return { success: true as const, message: 'Read' }
        }),
      {
        params: numberParam,
        body: Type.Object({ messageId: Type.String({ minLength: 1, maxLength: 128 }) }, strict),
        response: { 200: told },
        ...says('Let a phone read a message'),
      },
    )
    .post(
      '/phones/:number/played',
      ({ params, body }) =>
        inWords(async () => {
          await phone(params.number).played(body.messageId)
          return { success: true as const, message: 'Played' }
        }),
      {
        params: numberParam,
        body: Type.Object({ messageId: Type.String({ minLength: 1, maxLength: 128 }) }, strict),
        response: { 200: told },
        ...says('Let a phone play a voice note'),
      },
    )
    .post(
      '/phones/:number/star',
      ({ params, body }) =>
        inWords(async () => {
          await phone(params.number).star(body.messageId, body.starred ?? true)
          return { success: true as const, message: 'Done' }
        }),
      {
        params: numberParam,
        body: Type.Object(
          {
            messageId: Type.String({ minLength: 1, maxLength: 128 }),
            starred: Type.Optional(Type.Boolean({ default: true })),
          },
          strict,
        ),
        response: { 200: told },
        ...says('Let a phone star a message, or no longer'),
      },
    )
}
