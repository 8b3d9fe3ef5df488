/** Bodies that hold a message of any type as `content`: the union of all types, and status posts. */
import { type TObject, type TSchema, Type } from '@sinclair/typebox'
import { ASK_TYPES, ASKS, type AskType } from '../domain/content'
import type { SendRequest } from '../domain/sending'
import type { Session } from '../domain/session'
import type { BodyShape } from './body'
import { checker } from './checked'
import { MAX_AUDIENCE } from './limits'
import { invalid } from './query'
import { isActionType, queueField, SAID, type SendBody, sessionIdField, toField, WHEN } from './send-fields'
import { people, type SendRequestParts, STATUS_CHAT, sendRequest } from './send-request'

const STATUS_TYPES = ['text', 'image', 'video', 'audio'] as const satisfies readonly AskType[]

/** Checked by the schema of the type that it names, so that errors name its fields. */
const content = Type.Object({ type: Type.String() }, { additionalProperties: true })
const audience = Type.Array(toField, {
  minItems: 1,
  maxItems: MAX_AUDIENCE,
  description: 'Who sees the status post',
})
const { mentions, variables } = SAID
const AnyBody = Type.Object(
  {
    sessionId: sessionIdField,
    to: Type.Optional(toField),
    content,
    ...SAID,
    ...WHEN,
    queue: queueField,
    audience: Type.Optional(audience),
  },
  { additionalProperties: false },
)
const StatusBody = Type.Object(
  { sessionId: sessionIdField, content, audience, variables, mentions, ...WHEN, queue: queueField },
  { additionalProperties: false },
)

/** Fields that stand beside `content`. */
const OUTSIDE: ReadonlySet<string> = new Set(Object.keys(AnyBody.properties))

export type ContentBody = SendBody & {
  content: Record<string, unknown> & { type: AskType }
  audience?: string[]
}
export type ContentShape = BodyShape<ContentBody> & {
  /** The body as it is to be read, with the types themselves in the place of `content`. */
  documented: TSchema
}

/** `POST /api/messages/send`. */
export const ANY_CONTENT = contentShape(AnyBody, ASK_TYPES, 'SendMessage')
/** `POST /api/messages/send/status`. */
export const STATUS_CONTENT = contentShape(StatusBody, STATUS_TYPES, 'SendStatus')

/** The request of a checked body. */
export function contentRequest(parts: SendRequestParts, session: Session, body: ContentBody): SendRequest {
  const { content, audience, ...entry } = body
  const request = sendRequest(parts, session, content.type, entry, { fields: content, at: '/content' })
  // A reaction to somebody's status goes to its author alone.
  const isStatus = request.to === STATUS_CHAT && !isActionType(content.type)
  if (isStatus !== (audience !== undefined)) {
    throw invalid('body', [
      { path: '/audience', message: `Belongs to a status post, and to nothing but one (to: ${STATUS_CHAT})` },
    ])
  }
  return audience ? { ...request, audience: people(audience, 'audience') } : request
}

function contentShape(schema: TObject, types: readonly AskType[], title: string): ContentShape {
  const check = checker(schema)
  return {
    schema,
    documented: Type.Object(
      { ...schema.properties, content: Type.Union(types.map((type) => ASKS[type])) },
      { additionalProperties: false, title },
    ),
    check(value) {
      const body = check(value) as ContentBody
      checkContent(body.content, types)
      return body
    },
    fileParts: ['file'],
    withUpload: (body, uploadId) => ({ ...body, content: { ...(body.content as object), uploadId } }),
    large: true,
    place: (name) => (OUTSIDE.has(name) ? '' : '/content'),
  }
}

const CHECKS = new Map<unknown, (content: unknown, at: string) => unknown>(
  ASK_TYPES.map((type) => [type, checker(ASKS[type] as TSchema)]),
)

function checkContent(content: unknown, types: readonly AskType[]): void {
  const { type } = content as { type: string }
  const check = CHECKS.get(types.find((each) => each === type))
  if (check) check(content, '/content')
  else throw invalid('body', [{ path: '/content/type', message: `Use one of ${types.join(', ')}` }])
}
