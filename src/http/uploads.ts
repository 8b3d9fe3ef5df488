/** Files given once and sent later: taken in by `/upload`, reachable under a link that nobody can guess. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import { fail } from '../domain/errors'
import type { KeptFile, MediaDesk, MediaStore } from '../domain/media'
import type { Clock } from '../lib/clock'
import { isoTime } from '../lib/clock'
import { unread } from './body'
import { answer, notes, nullable, says, time } from './docs'
import { fileResponse } from './file-response'
import type { Caller, Guard } from './guard'
import type { Idempotent } from './idempotent'
import { FORM_MARGIN, MAX_UPLOAD } from './limits'
import { isForm, readForm } from './multipart'
import { invalid } from './query'
import { UPLOAD_PATH, type UploadLinks } from './upload-links'

export type UploadRoutesParts = {
  guard: Guard
  desk: Pick<MediaDesk, 'upload'>
  files: Pick<MediaStore, 'get' | 'read' | 'remove'>
  links: UploadLinks
  idempotent: Idempotent
  publicUrl: string | null
  clock: Clock
}

const tags = ['Files']
const UPLOADED = 'File uploaded successfully'

const UploadData = Type.Object(
  {
    filename: Type.String({ description: 'Our name of the file' }),
    originalname: nullable(Type.String()),
    mimetype: Type.String({ description: 'What the bytes themselves say' }),
    size: Type.Integer({ description: 'Bytes' }),
    url: Type.String({ description: 'Usable in every …Url field; nobody can guess it' }),
    uploadId: Type.String(),
    expiresAt: nullable(time('When file and link are gone')),
  },
  { title: 'Upload' },
)

/** Makes `/api/messages/upload` and the links of uploads. */
export function uploadRoutes(parts: UploadRoutesParts) {
  const { guard, desk, files, links, idempotent, publicUrl, clock } = parts

  const taken = async (request: Request, { principal }: Caller): Promise<KeptFile> => {
    if (!isForm(request)) {
      throw fail('UNSUPPORTED_MEDIA_TYPE', { action: 'Send multipart/form-data with the part file' })
    }
    const kept: KeptFile[] = []
    try {
      await readForm(
        request,
        { files: 1, maxBytes: MAX_UPLOAD + FORM_MARGIN, clock },
        async ({ name, filename, bytes }) => {
          if (name !== 'file')
            throw invalid('body', [{ path: `/${name}`, message: 'There is no such field' }])
          kept.push(await desk.upload(principal.tenantId, bytes, filename, { maxBytes: MAX_UPLOAD }))
        },
      ).then((fields) => {
        const [other] = fields.keys()
        if (other) throw invalid('body', [{ path: `/${other}`, message: 'There is no such field' }])
      })
      const [file] = kept
      if (!file) throw invalid('body', [{ path: '/file', message: 'Is required' }])
      return file
    } catch (error) {
      await files.remove(kept.map(({ id }) => id))
      throw error
    }
  }

  const view = (file: KeptFile, origin: string) => ({
    success: true as const,
    message: UPLOADED,
    data: {
      filename: `${file.id}${/\.[A-Za-z0-9]{1,16}$/.exec(file.filename ?? '')?.[0] ?? ''}`,
      originalname: file.filename,
      mimetype: file.mimetype,
      size: file.size,
      url: `${(publicUrl ?? origin).replace(/\/+$/, '')}${links.pathOf(file.id)}`,
      uploadId: file.id as string,
      expiresAt: file.expiresAt === null ? null : isoTime(file.expiresAt),
    },
  })

  return new Elysia({ normalize: false })
    .use(guard)
    .post(
      '/api/messages/upload',
      async ({ request, caller, set, server }) => {
        server?.timeout(request, 255)
        const file = await taken(request, caller)
        const identity = { sha256: Buffer.from(file.sha256).toString('hex'), filename: file.filename }
        let used = false
        try {
          return await idempotent(
            { request, caller, set, body: identity },
            async () => {
              used = true
              return view(file, new URL(request.url).origin)
            },
            201,
          )
        } finally {
          // The first answer names the first file.
          if (!used) await files.remove([file.id])
        }
      },
      {
        access: 'messages:write',
        parse: unread,
        response: { 201: answer({ message: says(UPLOADED), data: UploadData }) },
        detail: notes({
          summary: 'Upload a file for later sends',
          description: `Up to ${MAX_UPLOAD / 2 ** 20} MB. Its type is found out from its bytes.`,
          tags,
          body: Type.Object({}),
          form: { files: ['file'], only: true },
          errors: [
            'FILE_TOO_LARGE',
            'MEDIA_LIMIT_REACHED',
            'IDEMPOTENCY_KEY_REUSED',
            'IDEMPOTENCY_IN_PROGRESS',
          ],
          example: {
            success: true,
            message: UPLOADED,
            data: {
              filename: '0f1e2d3c4b5a69788796a5b4c3d2e1f0.pdf',
              originalname: 'invoice.pdf',
              mimetype: 'application/pdf',
              size: 48_213,
              url: 'https://wa.example.com/media/0f1e2d3c4b5a69788796a5b4c3d2e1f0.Xk3…',
              uploadId: '0f1e2d3c4b5a69788796a5b4c3d2e1f0',
              expiresAt: '2024-01-02T12:00:00.000Z',
            },
          },
          headers: { 'Idempotency-Key': 'Repeats of the request get the first answer again for 24 hours' },
        }),
      },
    )
    .get(
      `${UPLOAD_PATH}:name`,
      ({ request, params, set }) => {
        const id = links.fileOf(params.name)
        const file = id === null ? null : files.get(id)
        if (!file || (file.expiresAt !== null && file.expiresAt <= clock.now())) {
          throw fail('UPLOAD_NOT_FOUND')
        }
        delete set.headers['cache-control']
        return fileResponse(request, { file, read: (range) => files.read(file.id, range) })
      },
      {
        params: Type.Object({ name: Type.String({ description: 'The last part of an upload’s url' }) }),
        detail: notes({
          summary: 'Get an uploaded file',
          description: 'The link itself is the permission. Takes Range.',
          tags,
          errors: ['UPLOAD_NOT_FOUND', 'RANGE_NOT_SATISFIABLE'],
          content: { '*/*': 'The bytes of the file' },
        }),
      },
    )
}
