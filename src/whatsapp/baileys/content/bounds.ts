/**
 * What strangers write, cut to what the schemas of the domain allow: anything can stand in a protobuf, and everything
 * that is told, stored and shown has a length.
 */
import { Kind, type TSchema } from '@sinclair/typebox'
import { type TypeCheck, TypeCompiler } from '@sinclair/typebox/compiler'
import { type Content, ContentSchema, MAX_TEXT_LENGTH, type MessageType } from '../../../domain/content'

/** Entries of a list that has no limit of its own. */
const MAX_ENTRIES = 2_048

const SCHEMAS = new Map<MessageType, TSchema>(
  ContentSchema.anyOf.map((schema) => [schema.properties.type.const, schema]),
)
/** Made when the first message of a type comes. */
const checks = new Map<MessageType, TypeCheck<TSchema>>()

/** The content within its schema; null when it cannot be brought into it. */
export function bounded(content: Content): Content | null {
  const schema = SCHEMAS.get(content.type)
  if (schema === undefined) return null
  const check = checks.get(content.type) ?? TypeCompiler.Compile(schema)
  checks.set(content.type, check)
  const cut = cutTo(schema, content)
  return check.Check(cut) ? (cut as Content) : null
}

/** Text that is no longer than this and has no halved characters. */
export const cutText = (text: string, length: number): string =>
  text.length <= length ? text : text.slice(0, length).toWellFormed()

function cutTo(schema: TSchema, value: unknown): unknown {
  const cut = CUTS[schema[Kind]]
  return cut ? cut(schema, value) : value
}

const FAR = Number.MAX_SAFE_INTEGER
const within = ({ minimum = -FAR, maximum = FAR }: TSchema, value: number): number =>
  Math.max(minimum, Math.min(maximum, value))

/** By the kind of schema; what a value is not is left to the check. */
const CUTS: Partial<Record<string, (schema: TSchema, value: unknown) => unknown>> = {
  String: ({ maxLength = MAX_TEXT_LENGTH }, value) =>
    typeof value === 'string' ? cutText(value, maxLength) : value,
  Number: (schema, value) => (typeof value === 'number' ? within(schema, value) : value),
  Integer: (schema, value) => (typeof value === 'number' ? Math.trunc(within(schema, value)) : value),
  Array: ({ items, maxItems = MAX_ENTRIES }, value) =>
    Array.isArray(value) ? value.slice(0, maxItems).map((one) => cutTo(items, one)) : value,
  Object: ({ properties }, value) =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value).map(([name, field]) => {
            const schema = (properties as Record<string, TSchema>)[name]
            return [name, schema ? cutTo(schema, field) : field]
          }),
        )
      : value,
}
