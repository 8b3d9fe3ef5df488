/** Fields of a form as the values that a JSON body would hold: its texts become what the schema asks for. */
import type { TSchema } from '@sinclair/typebox'
import { parseJson } from './json'
import type { FormFields } from './multipart'
import { invalid } from './query'

type Shape = TSchema & {
  type?: string
  anyOf?: Shape[]
  items?: Shape
  properties?: Record<string, Shape>
}

/**
 * Makes a body out of fields. A list is one field per item, or one field with a JSON list; an object is JSON. A text that
 * does not fit stays as it is, so that the schema's check names the field.
 */
export function formBody(fields: FormFields, schema: TSchema): Record<string, unknown> {
  const { properties = {} } = schema as Shape
  return Object.fromEntries(
    [...fields].map(([name, texts]) => [name, fieldValue(name, texts, properties[name])]),
  )
}

function fieldValue(name: string, texts: readonly string[], shape: Shape | undefined): unknown {
  const [text = ''] = texts
  if (shape?.type === 'array' && !(texts.length === 1 && text.trimStart().startsWith('['))) {
    return texts.map((item) => typed(name, item, shape.items))
  }
  if (texts.length > 1) throw invalid('body', [{ path: `/${name}`, message: 'Given twice' }])
  return typed(name, text, shape)
}

const NUMBER = /^-?\d{1,15}(?:\.\d{1,15})?$/

function typed(name: string, text: string, shape: Shape | undefined): unknown {
  if (shape?.anyOf) {
    const values = shape.anyOf.map((choice) => typed(name, text, choice))
    return values.find((value) => typeof value !== 'string') ?? text
  }
  switch (shape?.type) {
    case 'boolean':
      return text === 'true' || text === 'false' ? text === 'true' : text
    case 'integer':
    case 'number':
      return NUMBER.test(text) ? Number(text) : text
    case 'array':
    case 'object':
      return json(name, text)
    default:
      return text
  }
}

function json(name: string, text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text
  try {
    return parseJson(text)
  } catch {
    throw invalid('body', [{ path: `/${name}`, message: 'Is not valid JSON' }])
  }
}
