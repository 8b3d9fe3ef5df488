/** Checks a value against a schema the way every body is checked; for values that come by another way than a JSON body. */
import type { Static, TSchema } from '@sinclair/typebox'
import { TypeCompiler, ValueErrorType } from '@sinclair/typebox/compiler'
import { type FieldProblem, invalid } from './query'

/** What schema errors have in common, whoever lists them. */
export type SchemaError = {
  path: string
  message: string
  type?: number
  schema?: { anyOf?: { const?: unknown }[]; pattern?: string; title?: string }
}

/** Fields of an answer; a list of a hundred thousand wrong entries is told by its first. */
const MOST_FIELDS = 50

/** One sentence per field. */
export function problemsOf(errors: Iterable<SchemaError>): FieldProblem[] {
  const fields = new Map<string, FieldProblem>()
  for (const each of errors) {
    const path = each.path || '/'
    if (!fields.has(path)) fields.set(path, { path, message: sentence(each) })
    if (fields.size >= MOST_FIELDS) break
  }
  return [...fields.values()]
}

function sentence({ message, schema, type }: SchemaError): string {
  const choices = schema?.anyOf?.flatMap((option) => (typeof option.const === 'string' ? [option.const] : []))
  if (choices && choices.length > 0) return `Use one of ${choices.join(', ')}`
  if (message === 'Unexpected property') return 'There is no such field'
  // The library lists a missing property twice: as missing, and as a value of the wrong kind.
  return type === ValueErrorType.ObjectRequiredProperty ? 'Is required' : message
}

/**
 * Makes the check of a schema: hands the value on, or fails with `VALIDATION_ERROR`, its paths beginning with `at`. Compiled
 * on first use.
 */
export function checker<Schema extends TSchema>(
  schema: Schema,
): (value: unknown, at?: string) => Static<Schema> {
  let compiled: ReturnType<typeof TypeCompiler.Compile<Schema>> | null = null
  return (value, at = '') => {
    compiled ??= TypeCompiler.Compile(schema)
    if (compiled.Check(value)) return value
    const problems = problemsOf(compiled.Errors(value) as Iterable<SchemaError>)
    throw invalid(
      'body',
      problems.map(({ path, message }) => ({
        path: at === '' ? path : `${at}${path === '/' ? '' : path}`,
        message,
      })),
    )
  }
}
