/**
 * The control API: what a tester's hands do with the simulated phones, as HTTP. Mounted by the app behind its guard, and
 * by the standalone sandbox on a port of its own. Failures are `SandboxError`s; the caller puts them into its shape.
 */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { isoTime } from '../lib/clock'
import { channelRoutes } from './channel-routes'
import { SandboxError } from './errors'
import { inWords } from './failures'
import type { FaultInput } from './faults'
import { phoneMessageRoutes } from './phone-message-routes'
import { phoneRoutes } from './phone-routes'
import {
  Address,
  answer,
  Digits,
  FaultBody,
  FaultView,
  Limit,
  PhoneNumber,
  says,
  strict,
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

/** Makes the routes under `/sandbox`. */
export function sandboxRoutes({ sandbox, clientOf }: SandboxRoutesParts) {
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
    .use(phoneRoutes(sandbox))
    .use(phoneMessageRoutes(sandbox))
    .use(channelRoutes(sandbox))
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
            limit: Type.Optional(Limit('Only the latest so many; default 100')),
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
