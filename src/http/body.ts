/**
 * Bodies of the routes that take files: JSON, or a form whose file is kept as it arrives. Read by the route itself, once
 * it is known who is calling; nothing of a body that is refused remains.
 */
import type { TSchema } from '@sinclair/typebox'
import { fail } from '../domain/errors'
import type { KeptFile, MediaDesk, MediaStore } from '../domain/media'
import { formBody } from './form-fields'
import type { Caller } from './guard'
import { checkText, readJson, readLargeJson } from './json'
import { FORM_MARGIN, MAX_SENT_FILE } from './limits'
import { isForm, readForm } from './multipart'
import { invalid } from './query'

export type BodyParts = { desk: Pick<MediaDesk, 'upload'>; files: Pick<MediaStore, 'get' | 'remove'> }

/** How a route's body may look. */
export type BodyShape<Body> = {
  schema: TSchema
  check(value: unknown): Body
  /** Names of the file part of a form; none = no forms. */
  fileParts: readonly string[]
  /** Puts the file of a form into the body. */
  withUpload?(body: Record<string, unknown>, uploadId: string): unknown
  /** A file may stand in it as base64. */
  large: boolean
}

export type TakenBody<Body> = {
  body: Body
  /** The body as every repetition of the request has it: a file is named by its content. */
  identity: unknown
  /** Lets go of the file of a form, unless it has become a message's. */
  release(): Promise<void>
}

/** The `parse` hook of these routes: it leaves the body alone. */
export const unread = (): null => null

export async function takeBody<Body>(
  { request, caller }: { request: Request; caller: Caller },
  shape: BodyShape<Body>,
  parts: BodyParts,
): Promise<TakenBody<Body>> {
  if (!isForm(request)) {
    const body = shape.check(await (shape.large ? readLargeJson : readJson)({ request }))
    return { body, identity: body, release: async () => undefined }
  }
  if (shape.fileParts.length === 0) throw fail('UNSUPPORTED_MEDIA_TYPE')
  const uploads: KeptFile[] = []
  const release = () => releaseUploads(parts.files, uploads)
  try {
    const fields = await readForm(
      request,
      { files: 1, maxBytes: MAX_SENT_FILE + FORM_MARGIN },
      async ({ name, filename, bytes }) => {
        if (!shape.fileParts.includes(name)) {
          throw invalid('body', [{ path: `/${name}`, message: `The file is called ${shape.fileParts[0]}` }])
        }
        const { tenantId } = caller.principal
        uploads.push(await parts.desk.upload(tenantId, bytes, filename, { maxBytes: MAX_SENT_FILE }))
      },
    )
    const told = formBody(fields, shape.schema)
    checkText(told)
    const [upload] = uploads
    const put = shape.withUpload ?? ((body, uploadId) => ({ ...body, uploadId: body.uploadId ?? uploadId }))
    if (upload && told.uploadId !== undefined) {
      throw invalid('body', [{ path: '/uploadId', message: 'The form holds a file already' }])
    }
    const of = (id: string) => (upload ? put(told, id) : told)
    return {
      body: shape.check(of(upload?.id ?? '')),
      identity: of(upload ? `sha256:${Buffer.from(upload.sha256).toString('hex')}` : ''),
      release,
    }
  } catch (error) {
    await release()
    throw error
  }
}

async function releaseUploads(files: BodyParts['files'], uploads: readonly KeptFile[]): Promise<void> {
  const left = uploads.filter(({ id }) => files.get(id)?.sessionId === null)
  if (left.length > 0) await files.remove(left.map(({ id }) => id))
}
