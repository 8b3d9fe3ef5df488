/** What a caller may say when creating or changing a session. */
import { type Static, Type } from '@sinclair/typebox'
import { type SessionSettings, SessionSettingsSchema } from '../domain/session'
import { isNetwork } from '../lib/networks'
import { nullable } from './docs'
import { type FieldProblem, invalid } from './query'

const Name = Type.String({
  minLength: 1,
  maxLength: 100,
  pattern: '\\S',
  description: 'Display name',
  examples: ['Customer Support'],
})
const Description = nullable(Type.String({ maxLength: 1000, description: 'For people' }))

/** Without the defaults: those would be filled in and overwrite what a partial update leaves alone. */
const SettingsInput = Type.Partial(
  Type.Object(
    Object.fromEntries(
      Object.entries(SessionSettingsSchema.properties).map(([name, { default: _, ...schema }]) => [
        name,
        schema,
      ]),
    ) as typeof SessionSettingsSchema.properties,
  ),
  { additionalProperties: false, title: 'SessionSettingsInput' },
)

export const CreateSessionBody = Type.Object(
  { name: Name, description: Type.Optional(Description), settings: Type.Optional(SettingsInput) },
  { additionalProperties: false, title: 'CreateSession' },
)
export const UpdateSessionBody = Type.Object(
  {
    name: Type.Optional(Name),
    description: Type.Optional(Description),
    settings: Type.Optional(SettingsInput),
  },
  { additionalProperties: false, title: 'UpdateSession' },
)

type Input<Body> = Omit<Body, 'settings'> & { settings?: Partial<SessionSettings> }

/** Checks what a schema cannot say, and hands the body on. */
export function checkedInput<Body extends Static<typeof UpdateSessionBody>>(body: Body): Input<Body> {
  const fields: FieldProblem[] = (body.settings?.ipWhitelist ?? []).flatMap((entry, index) =>
    isNetwork(entry)
      ? []
      : [{ path: `/settings/ipWhitelist/${index}`, message: 'Not an address or CIDR range' }],
  )
  if (fields.length > 0) throw invalid('body', fields)
  return body as Input<Body>
}
