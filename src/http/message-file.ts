/** The file of a message: one that was received is fetched from WhatsApp when somebody asks for it. */
import { Type } from '@sinclair/typebox'
import { Elysia } from 'elysia'
import type { MediaStore } from '../domain/media'
import type { Messages } from '../domain/message'
import type { Supervisor } from '../sessions/supervisor'
import { notes } from './docs'
import { fileResponse } from './file-response'
import type { Guard, SessionGate } from './guard'
import { storedIn } from './send-request'

export type MessageFileRoutesParts = {
  guard: Guard
  gate: SessionGate
  supervisor: Pick<Supervisor, 'fetchFile'>
  messages: Pick<Messages, 'get'>
  files: Pick<MediaStore, 'read'>
}

/** Makes the route. */
export function messageFileRoutes({ guard, gate, supervisor, messages, files }: MessageFileRoutesParts) {
  return new Elysia({ prefix: '/api/messages', normalize: false }).use(guard).get(
    '/:sessionId/:messageId/media',
    async ({ caller, params, request, server, set }) => {
      const session = gate(caller, params.sessionId)
      const { id } = storedIn({ messages }, session, params.messageId, undefined)
      server?.timeout(request, 255)
      const file = await supervisor.fetchFile(session.id, id)
      delete set.headers['cache-control']
      return fileResponse(request, { file, read: (range) => files.read(file.id, range) })
    },
    {
      access: 'messages:read',
      params: Type.Object({
        sessionId: Type.String({ description: 'Session id' }),
        messageId: Type.String({ description: 'Message id' }),
      }),
      detail: notes({
        summary: 'Get the file of a message',
        description:
          'Fetched from WhatsApp the first time, then kept; an expired copy is asked for again from the phone. Takes Range, If-Range and If-None-Match.',
        tags: ['Messages', 'Files'],
        errors: [
          'SESSION_NOT_FOUND',
          'MESSAGE_NOT_FOUND',
          'MEDIA_NOT_FOUND',
          'MEDIA_UNAVAILABLE',
          'FILE_TOO_LARGE',
          'SESSION_NOT_CONNECTED',
          'RANGE_NOT_SATISFIABLE',
        ],
        content: { '*/*': 'The bytes of the file' },
      }),
    },
  )
}
