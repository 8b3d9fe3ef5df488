/** A checked body → what is asked for: its words filled, its file named by exactly one field. */
import { ASKS, type Ask, type AskType, MAX_TEXT_LENGTH } from '../domain/content'
import { asksForFile } from '../domain/content-media'
import { originFields } from '../domain/media'
import { type FieldProblem, invalid } from './query'
import type { Entry, Variables } from './send-fields'
import { fillTemplate } from './template'

/** `at`: where in the body the fields of the type stand, for errors. */
export function askOf(
  type: AskType,
  entry: Readonly<Record<string, unknown>>,
  { variables, at = '' }: { variables?: Variables | undefined; at?: string },
): Ask {
  const names = Object.keys(ASKS[type].properties).filter((name) => name !== 'type' && name in entry)
  // The body has passed the schema of this very type, so these are its fields.
  const ask = { type, ...Object.fromEntries(names.map((name) => [name, entry[name]])) } as Ask
  checkChoices(ask, at)
  return withWords(ask, variables, at)
}

/** What a schema cannot say of a type: which fields exclude each other. */
function checkChoices(ask: Ask, at: string): void {
  if (ask.type === 'contact') exactlyOne(ask, ['contact', 'contacts'], at)
  if (asksForFile(ask)) exactlyOne(ask, originFields(ask.type), at)
  if (ask.type !== 'album') return
  for (const [index, item] of ask.items.entries()) {
    exactlyOne(item, originFields(item.type), `${at}/items/${index}`)
  }
}

function exactlyOne(ask: object, fields: readonly string[], at: string): void {
  const given = fields.filter((name) => (ask as Record<string, unknown>)[name] !== undefined)
  if (given.length === 1) return
  const named = given.length === 0 ? fields : given
  throw invalid(
    'body',
    named.map(
      (name): FieldProblem => ({ path: `${at}/${name}`, message: `Give one of ${fields.join(', ')}` }),
    ),
  )
}

function withWords(ask: Ask, variables: Variables | undefined, at: string): Ask {
  if (!variables) return ask
  const filled = Object.fromEntries(
    (['text', 'caption'] as const).flatMap((name) => {
      const words = (ask as Entry)[name]
      return typeof words === 'string' ? [[name, filledWords(words, variables, `${at}/${name}`)]] : []
    }),
  )
  if (ask.type !== 'album') return { ...ask, ...filled }
  const items = ask.items.map((item, index) =>
    item.caption === undefined
      ? item
      : { ...item, caption: filledWords(item.caption, variables, `${at}/items/${index}/caption`) },
  )
  return { ...ask, items }
}

function filledWords(words: string, variables: Variables, path: string): string {
  const filled = fillTemplate(words, variables)
  const least = path.endsWith('/text') ? 1 : 0
  if (filled.length >= least && filled.length <= MAX_TEXT_LENGTH) return filled
  throw invalid('body', [
    { path, message: `Must have ${least} to ${MAX_TEXT_LENGTH} characters once filled` },
  ])
}
