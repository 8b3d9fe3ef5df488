/** A checked body → what is asked for: its words filled, its file named by exactly one field, our own links known. */
import { ASKS, type Ask, type AskType, MAX_TEXT_LENGTH } from '../domain/content'
import { asksForFile, type FileAsk } from '../domain/content-media'
import { fail } from '../domain/errors'
import type { TenantId } from '../domain/ids'
import { type KeptFile, type MediaStore, originFields } from '../domain/media'
import { type FieldProblem, invalid } from './query'
import type { Entry, Variables } from './send-fields'
import { fillTemplate } from './template'
import type { UploadLinks } from './upload-links'

export type AskParts = { links: UploadLinks; files: Pick<MediaStore, 'get'> }

/** `at`: where in the body the fields of the type stand, for errors. */
export function askOf(
  parts: AskParts,
  tenantId: TenantId,
  type: AskType,
  entry: Readonly<Record<string, unknown>>,
  { variables, at = '' }: { variables?: Variables | undefined; at?: string },
): Ask {
  const names = Object.keys(ASKS[type].properties).filter((name) => name !== 'type' && name in entry)
  // The body has passed the schema of this very type, so these are its fields.
  const ask = { type, ...Object.fromEntries(names.map((name) => [name, entry[name]])) } as Ask
  return withFiles(parts, tenantId, withWords(ask, variables, at), at)
}

/** The one thing that a schema cannot say of a type: which fields exclude each other. */
function withFiles(parts: AskParts, tenantId: TenantId, ask: Ask, at: string): Ask {
  if (ask.type === 'contact') {
    exactlyOne(ask, ['contact', 'contacts'], at)
    return ask
  }
  if (ask.type === 'album') {
    const items = ask.items.map((item, index) => withOrigin(parts, tenantId, item, `${at}/items/${index}`))
    return { ...ask, items } as Ask
  }
  return asksForFile(ask) ? withOrigin(parts, tenantId, ask, at) : ask
}

function withOrigin<A extends FileAsk>(parts: AskParts, tenantId: TenantId, ask: A, at: string): A {
  const fields = originFields(ask.type)
  exactlyOne(ask, fields, at)
  const urlField = `${ask.type}Url` as keyof A
  const url = ask[urlField]
  const uploadId = typeof url === 'string' ? parts.links.fileOfUrl(url) : (ask.uploadId ?? null)
  if (uploadId === null) return ask
  const upload = parts.files.get(uploadId as KeptFile['id'])
  if (!upload || upload.tenantId !== tenantId || upload.sessionId !== null) throw fail('UPLOAD_NOT_FOUND')
  const { [urlField]: _, ...rest } = ask
  return { ...rest, uploadId } as A
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
