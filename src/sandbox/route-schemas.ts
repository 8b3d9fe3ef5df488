/** The shapes of the control API: what comes in is strict, what goes out is described. */
import { type TProperties, Type } from '@sinclair/typebox'
import { ReachoutTimelockEnforcementType } from '@whiskeysockets/baileys'
import { FAULT_KINDS, type FaultKind } from './faults'

export const strict = { additionalProperties: false }
export const answer = <P extends TProperties>(properties: P) =>
  Type.Object({ success: Type.Literal(true), ...properties })
export const told = answer({ message: Type.String() })
export const word = <const T extends string>(words: readonly T[]) =>
  Type.Unsafe<T>(Type.Union(words.map((each) => Type.Literal(each))))
const tags = ['Sandbox']
/** What the routes say of themselves; under both names, for the service's own reader and for OpenAPI's. */
export const says = (summary: string) => {
  const notes = { summary, tags }
  return { detail: { ...notes, ...({ 'x-notes': notes } as object) } }
}
export const PhoneNumber = Type.String({
  minLength: 5,
  maxLength: 40,
  description: 'International form; +, spaces and dashes are tolerated',
})
export const Address = Type.String({
  minLength: 5,
  maxLength: 128,
  description: 'A phone number or a WhatsApp id',
})
/** A whole number as paths and queries carry it. */
export const Digits = (description: string) => Type.String({ pattern: '^\\d{1,9}$', description })
/** How many; whoever mounts these routes may have made a number of it already. */
export const Limit = (description: string) =>
  Type.Union([Digits(description), Type.Integer({ minimum: 0, maximum: 999_999_999 })], { description })
export const numberParam = Type.Object({ number: PhoneNumber }, strict)

export const Device = Type.Object({ id: Type.Integer(), keyIndex: Type.Integer(), online: Type.Boolean() })
export const PhoneView = Type.Object({
  phoneNumber: Type.String(),
  name: Type.String(),
  platform: Type.String(),
  jid: Type.String(),
  lid: Type.String(),
  devices: Type.Array(Device),
})
export const FaultBody = Type.Object(
  {
    kind: word(Object.keys(FAULT_KINDS) as FaultKind[]),
    sessionId: Type.Optional(Type.String({ minLength: 1, maxLength: 128 })),
    phoneNumber: Type.Optional(PhoneNumber),
    all: Type.Optional(Type.Literal(true)),
    times: Type.Optional(Type.Integer({ minimum: 1, description: 'How many events it disturbs' })),
    for: Type.Optional(Type.Integer({ minimum: 1, description: 'How long it stands, in milliseconds' })),
    until: Type.Optional(Type.String({ format: 'date-time' })),
    status: Type.Optional(Type.Integer({ minimum: 400, maximum: 599 })),
    code: Type.Optional(Type.Integer({ minimum: 1, maximum: 999 })),
    ms: Type.Optional(Type.Integer({ minimum: 0, maximum: 600_000 })),
    contact: Type.Optional(PhoneNumber),
    type: Type.Optional(word(Object.values(ReachoutTimelockEnforcementType))),
    quota: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    window: Type.Optional(Type.Integer({ minimum: 1, description: 'In milliseconds' })),
    version: Type.Optional(Type.String({ pattern: '^\\d+([.,]\\d+){0,3}$' })),
  },
  strict,
)
export const FaultView = Type.Object(
  { id: Type.String(), kind: Type.String(), hits: Type.Integer() },
  { additionalProperties: true },
)
