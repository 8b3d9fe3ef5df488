/** What a route says of itself beyond its schemas; `openapi.ts` reads it back. */
import { type TProperties, type TSchema, Type } from '@sinclair/typebox'
import type { ErrorCode } from '../domain/errors'

export type RouteNotes = {
  summary: string
  description?: string
  tags: string[]
  /** Codes of its own, beside those that every route or every guarded route has. */
  errors?: readonly ErrorCode[]
  /** An answer as the manual prints it. */
  example?: unknown
  /** A request body. */
  requestExample?: unknown
  /** Further types of content that the answer can have: content type → sentence. */
  content?: Record<string, string>
  /** The 200 answer's schema, where the route itself validates none. */
  schema?: TSchema
  /** The body's schema, where the route reads it by itself. */
  body?: TSchema
  /** The file parts of a form that is taken as well as JSON (`only`: instead of it). */
  form?: { files: readonly string[]; only?: boolean }
  /** Headers that the route understands: name → sentence. */
  headers?: Record<string, string>
}

export const NOTES = 'x-notes'

/** The `detail` of a route. */
export const notes = (of: RouteNotes): object => ({ summary: of.summary, tags: of.tags, [NOTES]: of })

/** A successful answer: `success: true` beside its own fields. */
export const answer = <Properties extends TProperties>(properties: Properties) =>
  Type.Object({ success: Type.Literal(true), ...properties })

export const says = (sentence: string) => Type.String({ examples: [sentence] })
export const time = (description?: string) =>
  Type.String({ format: 'date-time', ...(description ? { description } : {}) })
export const nullable = <Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) =>
  Type.Union([schema, Type.Null()])

/** One of a list of words; `Unsafe` because Elysia cannot infer a union that was made from an array. */
export const oneOf = <const Word extends string>(words: readonly Word[], options: object = {}) =>
  Type.Unsafe<Word>(
    Type.Union(
      words.map((word) => Type.Literal(word)),
      options,
    ),
  )
