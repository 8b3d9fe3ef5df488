/** The control API of the phones themselves: switching on, linking, unlinking, typing. */
import { type TSchema, Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { SandboxError } from './errors'
import { inWords } from './failures'
import type { Phone } from './phone'
import type { ChatState } from './phone-app-state'
import {
  Address,
  answer,
  Device,
  Digits,
  numberParam,
  PhoneNumber,
  PhoneView,
  says,
  strict,
  told,
  word,
} from './route-schemas'
import type { Sandbox } from './sandbox'

const orNull = <S extends TSchema>(schema: S) => Type.Union([schema, Type.Null()])
const ChatView = Type.Object({
  archived: Type.Boolean(),
  pinned: Type.Boolean(),
  mutedUntil: orNull(Type.Integer({ description: 'Milliseconds since 1970; −1 = for ever' })),
  read: orNull(Type.Boolean({ description: 'As last marked' })),
})

const phoneView = (phone: Phone) => ({
  phoneNumber: phone.phoneNumber,
  name: phone.name,
  platform: phone.platform,
  jid: phone.jid,
  lid: phone.lid,
  devices: phone.devices(),
})

/** Routes under `/phones`. */
export function phoneRoutes(sandbox: Sandbox) {
  const phone = (number: string) => sandbox.phone(number)

  return new Elysia({ name: 'sandbox-phones', normalize: false })
    .post(
      '/phones',
      ({ body, set }) => {
        const made = sandbox.addPhone(body)
        set.status = 201
        return { success: true as const, phone: phoneView(made) }
      },
      {
        body: Type.Object(
          {
            phoneNumber: PhoneNumber,
            name: Type.String({ minLength: 1, maxLength: 100 }),
            platform: Type.Optional(word(['android', 'iphone', 'smba', 'smbi'])),
            addressing: Type.Optional(word(['lid', 'pn'])),
          },
          strict,
        ),
        response: { 201: answer({ phone: PhoneView }) },
        ...says('Switch a simulated phone on'),
      },
    )
    .get('/phones', () => ({ success: true as const, phones: [...sandbox.phones.values()].map(phoneView) }), {
      response: { 200: answer({ phones: Type.Array(PhoneView) }) },
      ...says('List the simulated phones'),
    })
    .post(
      '/phones/:number/scan',
      ({ params, body }) =>
        inWords(async () => ({ success: true as const, device: await phone(params.number).scan(body.qr) })),
      {
        params: numberParam,
        body: Type.Object({ qr: Type.String({ minLength: 1, maxLength: 2048 }) }, strict),
        response: { 200: answer({ device: Device }) },
        ...says('Let a phone scan a QR code'),
      },
    )
    .post(
      '/phones/:number/pairing-code',
      ({ params, body }) =>
        inWords(async () => {
          const code = body.code.replace(/[\s-]/g, '').toUpperCase()
          return { success: true as const, device: await phone(params.number).enterPairingCode(code) }
        }),
      {
        params: numberParam,
        body: Type.Object({ code: Type.String({ minLength: 8, maxLength: 16 }) }, strict),
        response: { 200: answer({ device: Device }) },
        ...says('Type a pairing code into a phone'),
      },
    )
    .post(
      '/phones/:number/typing',
      ({ params, body }) => {
        phone(params.number).typing(body.to, body.state)
        return { success: true as const, message: 'Told' }
      },
      {
        params: numberParam,
        body: Type.Object(
          { to: Address, state: Type.Optional(word(['composing', 'recording', 'paused'])) },
          strict,
        ),
        response: { 200: told },
        ...says('Let a phone show that it is typing'),
      },
    )
    .post(
      '/phones/:number/reachable',
      ({ params, body }) => {
        phone(params.number).setReachable(body.reachable)
        return { success: true as const, message: body.reachable ? 'Reachable' : 'Away' }
      },
      {
        params: numberParam,
        body: Type.Object({ reachable: Type.Boolean() }, strict),
        response: { 200: told },
        ...says('Let a phone lose its network, or find it again: it catches up then'),
      },
    )
    .delete(
      '/phones/:number/devices/:id',
      ({ params }) =>
        inWords(async () => {
          const owner = phone(params.number)
          const wanted = Number(params.id)
          if (!owner.devices().some(({ id }) => id === wanted)) {
            throw new SandboxError('DEVICE_NOT_FOUND', 404, 'This phone has no such linked device')
          }
          await owner.unlink(wanted)
          return { success: true as const, message: 'Unlinked' }
        }),
      {
        params: Type.Object({ number: PhoneNumber, id: Digits('Number of the linked device') }, strict),
        response: { 200: told },
        ...says('Let a phone unlink a device'),
      },
    )
    .get(
      '/phones/:number/chats',
      ({ params }) => ({ success: true as const, chats: phone(params.number).chats() }),
      {
        params: numberParam,
        response: { 200: answer({ chats: Type.Record(Type.String(), ChatView) }) },
        ...says('How a phone’s chats are marked'),
      },
    )
    .post(
      '/phones/:number/chats',
      ({ params, body }) =>
        inWords(async () => {
          const { chat, ...change } = body
          await phone(params.number).changeChat(chat, change as Partial<ChatState>)
          return { success: true as const, chats: phone(params.number).chats() }
        }),
      {
        params: numberParam,
        body: Type.Object({ chat: Address, ...Type.Partial(ChatView).properties }, strict),
        response: { 200: answer({ chats: Type.Record(Type.String(), ChatView) }) },
        ...says('Let a phone pin, archive, mute or mark a chat'),
      },
    )
}
