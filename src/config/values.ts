/** Text of an environment variable or flag → value of a schema, or a sentence about what is wrong with it. */

/** The parts of a TypeBox schema that reading a value needs. */
export type ValueSchema = {
  type?: string
  const?: unknown
  anyOf?: ValueSchema[]
  minimum?: number
  maximum?: number
  default?: unknown
  description?: string
  secret?: boolean
  /** Unit that may stand behind the number: `30 d`. */
  unit?: string
}
export type Parsed = { value: unknown } | { problem: string }

const TRUE = new Set(['true', '1', 'yes', 'on'])
const FALSE = new Set(['false', '0', 'no', 'off'])

/** Parses `text` the way the kind of its schema asks for. */
export function parseValue(schema: ValueSchema, text: string): Parsed {
  const choices = schema.anyOf?.flatMap((option) => (typeof option.const === 'string' ? [option.const] : []))
  if (choices && choices.length > 0) {
    const chosen = choices.find((choice) => choice === text.toLowerCase())
    return chosen ? { value: chosen } : { problem: `Use one of ${choices.join(', ')}` }
  }
  switch (schema.type) {
    case 'integer':
      return parseInteger(schema, text)
    case 'boolean':
      if (TRUE.has(text.toLowerCase())) return { value: true }
      return FALSE.has(text.toLowerCase()) ? { value: false } : { problem: 'Use true or false' }
    case 'array': {
      const items = text.split(',').map((item) => item.trim())
      return { value: items.filter((item) => item !== '') }
    }
    default:
      return { value: text }
  }
}

function parseInteger(schema: ValueSchema, text: string): Parsed {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER, unit } = schema
  const digits = unit !== undefined && text.endsWith(unit) ? text.slice(0, -unit.length).trimEnd() : text
  const value = /^\d{1,15}$/.test(digits) ? Number(digits) : Number.NaN
  return value >= minimum && value <= maximum
    ? { value }
    : { problem: `Use a whole number from ${minimum} to ${maximum}` }
}
