/**
 * Bodies of the routes that take files: JSON, or a form whose file is kept as it arrives. Read by the route itself, once
 * it is known who is calling; nothing of a body that is refused remains.
 */
import type { TSchema } from '@sinclair/typebox'
import { fail } from '../domain/errors'
import type { FileId, KeptFile, MediaDesk, MediaStore } from '../domain/media'
import type { Messages } from '../domain/message'
import type { Session } from '../domain/session'
import type { Clock } from '../lib/clock'
import { formBody } from './form-fields'
import type { Caller } from './guard'
import { checkText, readJson, readLargeJson } from './json'
import { FORM_MARGIN } from './limits'
import { isForm, readForm } from './multipart'
import { invalid } from './query'

export type BodyParts = {
  desk: Pick<MediaDesk, 'upload'>
  files: Pick<MediaStore, 'get' | 'ofMessage' | 'assign' | 'remove'>
  messages: Pick<Messages, 'get'>
  /** Largest file of a form. */
  maxFileBytes: number
  clock: Clock
}

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
  /** What stands before a field of the message in the body. */
  place?(name: string): string
}

export type TakenBody<Body> = {
  body: Body
  /** The body as every repetition of the request has it: a file is named by its content. */
  identity: unknown
  /** The file of a form goes to the message that was made of it, or is gone; `messageId`: null = there is none. */
  settle(session: Session | null, messageId: string | null): Promise<void>
}

/** The `parse` hook of these routes: it leaves the body alone. */
export const unread = (): null => null

export async function takeBody<Body>(
  { request, caller }: { request: Request; caller: Caller },
  shape: BodyShape<Body>,
  parts: BodyParts,
): Promise<TakenBody<Body>> {
  if (!isForm(request)) {
    const body = shape.check(await (shape.large ? readLargeJson : readJson)({ request, clock: parts.clock }))
    return { body, identity: body, settle: async () => undefined }
  }
  if (shape.fileParts.length === 0) throw fail('UNSUPPORTED_MEDIA_TYPE')
  const uploads: KeptFile[] = []
  const settle: TakenBody<Body>['settle'] = async (session, messageId) => {
    for (const { id } of uploads) await settleUpload(parts, id, session, messageId)
  }
  try {
    const fields = await readForm(
      request,
      { files: 1, maxBytes: parts.maxFileBytes + FORM_MARGIN, clock: parts.clock },
      async ({ name, filename, bytes }) => {
        if (!shape.fileParts.includes(name)) {
          throw invalid('body', [{ path: `/${name}`, message: `The file is called ${shape.fileParts[0]}` }])
        }
        const { tenantId } = caller.principal
        uploads.push(await parts.desk.upload(tenantId, bytes, filename, { maxBytes: parts.maxFileBytes }))
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
      settle,
    }
  } catch (error) {
    await settle(null, null)
    throw error
  }
}

/** A message may be sending the very file that was uploaded, or one that was made of it. */
async function settleUpload(
  { files, messages }: BodyParts,
  id: FileId,
  session: Session | null,
  messageId: string | null,
): Promise<void> {
  const file = files.get(id)
  if (file?.sessionId !== null) return
  const message = session && messageId !== null ? messages.get(session.id, messageId) : null
  if (!message || message.status === 'failed' || files.ofMessage(message.sessionId, message.id)) {
    await files.remove([id])
  } else {
    await files.assign(id, {
      sessionId: message.sessionId,
      messageId: message.id,
      expiresAt: file.expiresAt,
    })
  }
}
