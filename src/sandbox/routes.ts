/**
 * The control API: what a tester's hands do with the simulated phones, as HTTP. Mounted by the app behind its guard, and
 * by the standalone sandbox on a port of its own. Failures are `SandboxError`s; the caller puts them into its shape.
 */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { isoTime } from '../lib/clock'
import { type PhoneContent, PhoneContentSchema } from './content'
import { SandboxError } from './errors'
import { inWords } from './failures'
import type { FaultInput } from './faults'
import type { Phone } from './phone'
import type { PhoneMessage } from './phone-journal'
import {
  Address,
  answer,
  Device,
  Digits,
  FaultBody,
  FaultView,
  MessageView,
  numberParam,
  PhoneNumber,
  PhoneView,
  strict,
  told,
  word,
} from './route-schemas'
import type { Sandbox } from './sandbox'

export type SandboxRoutesParts = {
  sandbox: Sandbox
  /**
   * Which client a session of the service is: its public Noise key in hex, and its number once it is linked. Null when
   * there is no such session, or it has not connected yet. Absent where there are no sessions.
   */
  clientOf?: (sessionId: string) => Promise<SessionClient | null> | SessionClient | null
}
export type SessionClient = { noiseKey?: string; phoneNumber?: string }

const DEFAULT_LOG_ENTRIES = 100

const tags = ['Sandbox']
/** What the routes say of themselves; under both names, for the service's own reader and for OpenAPI's. */
const says = (summary: string) => {
  const notes = { summary, tags }
  return { detail: { ...notes, ...({ 'x-notes': notes } as object) } }
}

const phoneView = (phone: Phone) => ({
  phoneNumber: phone.phoneNumber,
  name: phone.name,
  platform: phone.platform,
  jid: phone.jid,
  lid: phone.lid,
  devices: phone.devices(),
})
const messageView = (message: PhoneMessage) => ({
  ...message,
  timestamp: isoTime(message.timestamp * 1000),
})

/** Makes the routes under `/sandbox`. */
export function sandboxRoutes({ sandbox, clientOf }: SandboxRoutesParts) {
  const phone = (number: string) => sandbox.phone(number)

  async function targetOf(body: { sessionId?: string; phoneNumber?: string; all?: true }) {
    const named = [body.sessionId, body.phoneNumber, body.all].filter((each) => each !== undefined)
    if (named.length !== 1) {
      throw new SandboxError('SANDBOX_REFUSED', 400, 'Name exactly one of sessionId, phoneNumber and all')
    }
    if (body.all) return { all: true }
    if (body.phoneNumber !== undefined) return { phoneNumber: body.phoneNumber.replace(/\D/g, '') }
    const client = await clientOf?.(body.sessionId ?? '')
    if (!client || (client.noiseKey === undefined && client.phoneNumber === undefined)) {
      throw new SandboxError('SESSION_NOT_FOUND', 404, 'No such session has ever connected to this sandbox')
    }
    return client
  }

  return new Elysia({ name: 'sandbox', normalize: false, prefix: '/sandbox' })
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
      '/phones/:number/messages',
      ({ params, body, set }) =>
        inWords(async () => {
          const sent = await phone(params.number).send(body.to, body.content as PhoneContent)
          set.status = 201
          return { success: true as const, message: messageView(sent) }
        }),
      {
        params: numberParam,
        body: Type.Object({ to: Address, content: PhoneContentSchema }, strict),
        response: { 201: answer({ message: MessageView }) },
        ...says('Send a message from a phone'),
      },
    )
    .get(
      '/phones/:number/messages',
      ({ params, query }) => {
        const all = phone(params.number).messages()
        const from = query.after === undefined ? 0 : all.findIndex(({ id }) => id === query.after) + 1
        const wanted = all.slice(from)
        const shown = wanted.slice(-(Number(query.limit ?? 0) || wanted.length))
        return { success: true as const, messages: shown.map(messageView), total: all.length }
      },
      {
        params: numberParam,
        query: Type.Object(
          {
            after: Type.Optional(Type.String({ description: 'Only what came after this message' })),
            limit: Type.Optional(Digits('Only the latest so many')),
          },
          strict,
        ),
        response: { 200: answer({ messages: Type.Array(MessageView), total: Type.Integer() }) },
        ...says('What a phone received, decrypted there; oldest first'),
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
    .post(
      '/groups',
      ({ body, set }) =>
        inWords(async () => {
          const group = await sandbox.createGroup(body)
          set.status = 201
          return { success: true as const, group }
        }),
      {
        body: Type.Object(
          {
            owner: PhoneNumber,
            subject: Type.String({ minLength: 1, maxLength: 100 }),
            members: Type.Array(Address, { minItems: 1, maxItems: 1023 }),
          },
          strict,
        ),
        response: {
          201: answer({
            group: Type.Object({
              jid: Type.String(),
              subject: Type.String(),
              owner: Type.String(),
              members: Type.Array(Type.String()),
            }),
          }),
        },
        ...says('Let a phone create a group'),
      },
    )
    .post(
      '/faults',
      async ({ body, set }) => {
        const { sessionId, phoneNumber, all, until, contact, ...rest } = body
        const target = await targetOf({
          ...(sessionId === undefined ? {} : { sessionId }),
          ...(phoneNumber === undefined ? {} : { phoneNumber }),
          ...(all === undefined ? {} : { all }),
        })
        const ends = until === undefined ? {} : { until: Date.parse(until) }
        const other = contact === undefined ? {} : { contact: contact.replace(/\D/g, '') }
        const fault = sandbox.server.faults.add({ ...rest, ...ends, ...other, ...target } as FaultInput)
        set.status = 201
        return { success: true as const, fault }
      },
      {
        body: FaultBody,
        response: { 201: answer({ fault: FaultView }) },
        ...says('Cause trouble'),
      },
    )
    .get('/faults', () => ({ success: true as const, faults: sandbox.server.faults.list() }), {
      response: { 200: answer({ faults: Type.Array(FaultView) }) },
      ...says('List the trouble that stands'),
    })
    .delete('/faults', () => ({ success: true as const, cleared: sandbox.server.faults.clear() }), {
      response: { 200: answer({ cleared: Type.Integer() }) },
      ...says('End all trouble'),
    })
    .delete(
      '/faults/:id',
      ({ params }) => {
        if (sandbox.server.faults.clear(params.id) === 0) {
          throw new SandboxError('FAULT_NOT_FOUND', 404, 'No such fault stands')
        }
        return { success: true as const, cleared: 1 }
      },
      {
        params: Type.Object({ id: Type.String() }, strict),
        response: { 200: answer({ cleared: Type.Integer() }) },
        ...says('End one trouble'),
      },
    )
    .get(
      '/log',
      ({ query }) => {
        const { limit, after, ...filter } = query
        const entries = sandbox.server.log
          .entries({ ...filter, after: Number(after ?? 0) })
          .slice(-(Number(limit ?? 0) || DEFAULT_LOG_ENTRIES))
        return { success: true as const, entries: entries.map((each) => ({ ...each, at: isoTime(each.at) })) }
      },
      {
        query: Type.Object(
          {
            after: Type.Optional(Digits('Only entries after this `seq`')),
            phoneNumber: Type.Optional(Type.String({ pattern: '^\\d+$' })),
            tag: Type.Optional(Type.String()),
            limit: Type.Optional(Digits('Only the latest so many; default 100')),
          },
          strict,
        ),
        response: {
          200: answer({
            entries: Type.Array(
              Type.Object({
                seq: Type.Integer(),
                at: Type.String({ format: 'date-time' }),
                direction: word(['in', 'out']),
                phoneNumber: Type.Union([Type.String(), Type.Null()]),
                deviceId: Type.Union([Type.Integer(), Type.Null()]),
                stanza: Type.Object({ tag: Type.String() }, { additionalProperties: true }),
              }),
            ),
          }),
        },
        ...says('The stanzas that passed, redacted; oldest first'),
      },
    )
    .get('/stats', () => ({ success: true as const, stats: { ...sandbox.server.stats.snapshot() } }), {
      response: { 200: answer({ stats: Type.Object({}, { additionalProperties: true }) }) },
      ...says('Counters of the sandbox’s server'),
    })
    .get(
      '/endpoint',
      () => ({
        success: true as const,
        url: sandbox.url,
        rootPublicKey: sandbox.rootPublicKey,
        mediaHost: sandbox.mediaHost,
        caPem: sandbox.caPem,
      }),
      {
        response: {
          200: answer({
            url: Type.String(),
            rootPublicKey: Type.String(),
            mediaHost: Type.String(),
            caPem: Type.String(),
          }),
        },
        ...says('Where and with which keys clients reach this sandbox'),
      },
    )
}
