/** `{{name}}` places in a text. */
import { type FieldProblem, invalid } from './query'

const PLACE = /\{\{\s*([\p{L}\p{N}_.-]{1,64})\s*\}\}/gu

/** The text with every place filled; a place without a value is a `VALIDATION_ERROR` that names it. */
export function fillTemplate(text: string, variables: Readonly<Record<string, string | number>>): string {
  const missing = new Map<string, FieldProblem>()
  const filled = text.replace(PLACE, (_, name: string) => {
    if (Object.hasOwn(variables, name)) return String(variables[name])
    missing.set(name, {
      path: `/variables/${name}`,
      message: 'The text has a place for it, but no value is given',
    })
    return ''
  })
  if (missing.size > 0) throw invalid('body', [...missing.values()])
  return filled
}
