/** Bodies of requests and answers in the OpenAPI document. */
import { type ErrorCode, errorRow } from '../domain/errors'
import type { RouteNotes } from './docs'

export type Json = { [key: string]: unknown }
export type Schema = Json & { properties?: Record<string, Schema>; required?: string[]; title?: string }
/** A schema as JSON, with references to the components. */
export type Tidy = (schema: unknown) => Json

/** What a route takes: JSON, a form, or either. */
export function requestBody(body: unknown, notes: RouteNotes | undefined, tidy: Tidy): Json {
  const json = {
    schema: tidy(body),
    ...(notes?.requestExample === undefined ? {} : { example: notes.requestExample }),
  }
  const { files = [], only = false } = notes?.form ?? {}
  return {
    required: true,
    content: {
      ...(only ? {} : { 'application/json': json }),
      ...(files.length > 0 ? { 'multipart/form-data': { schema: formSchema(tidy(body), files, only) } } : {}),
    },
  }
}

/** Fields of a form are those of the JSON body, and beside them the file. */
function formSchema(body: Json, files: readonly string[], only: boolean): Json {
  const parts = Object.fromEntries(
    files.map((name) => [name, { type: 'string', format: 'binary', description: 'The file' }]),
  )
  const form = { type: 'object', properties: parts, ...(only ? { required: files } : {}) }
  return only ? form : { allOf: [body, form] }
}

/** What a route answers when all is well; `response`: the schemas that it validates, by status or alone. */
export function successes(response: unknown, notes: RouteNotes | undefined, tidy: Tidy): Json {
  const given = (response ?? (notes?.schema ? { 200: notes.schema } : {})) as Record<string, unknown>
  const listed = 'type' in given || 'anyOf' in given ? { 200: given } : given
  const codes = Object.entries(listed)
  if (codes.length === 0 && notes?.content) {
    const content = Object.fromEntries(
      Object.entries(notes.content).map(([type, says]) => [
        type,
        { schema: { type: 'string', format: 'binary', description: says } },
      ]),
    )
    return { '200': { description: 'The file', content }, '206': { description: 'A part of it', content } }
  }
  if (codes.length === 0) return { '200': { description: 'Success' } }
  return Object.fromEntries(
    codes.map(([status, schema], index) => [
      status,
      {
        description: SUCCESS[status] ?? 'Success',
        content: {
          'application/json': {
            schema: tidy(schema),
            ...(index === 0 && notes?.example !== undefined ? { example: notes.example } : {}),
          },
          ...Object.fromEntries(
            Object.entries(notes?.content ?? {}).map(([type, says]) => [
              type,
              { schema: { type: 'string', description: says } },
            ]),
          ),
        },
      },
    ]),
  )
}
const SUCCESS: Record<string, string> = { '200': 'Success', '201': 'Created', '202': 'Accepted for later' }

/** One answer per status, with an example per code. */
export function failures(codes: readonly ErrorCode[]): Json {
  const byStatus = new Map<number, ErrorCode[]>()
  for (const code of codes) {
    const { status } = errorRow(code)
    byStatus.set(status, [...(byStatus.get(status) ?? []), code])
  }
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      String(status),
      {
        description: list.join(', '),
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/Error' },
            examples: Object.fromEntries(list.map((code) => [code, { value: errorExample(code) }])),
          },
        },
      },
    ]),
  )
}

function errorExample(code: ErrorCode): Json {
  const { status, says, action } = errorRow(code)
  const details = {
    ...(code === 'SESSION_NOT_CONNECTED' ? { currentStatus: 'disconnected' } : {}),
    ...(code === 'VALIDATION_ERROR' ? { fields: [{ path: '/name', message: 'Expected string' }] } : {}),
    ...(action ? { action } : {}),
  }
  return {
    success: false,
    error: says,
    code,
    status,
    ...(Object.keys(details).length > 0 ? { details } : {}),
  }
}
