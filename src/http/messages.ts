/** The message routes, put together: sending, the queue, files, looking back. */
import { Elysia } from 'elysia'
import { type BulkRoutesParts, bulkRoutes } from './bulk'
import { type GestureRoutesParts, gestureRoutes } from './gestures'
import { type HistoryRoutesParts, historyRoutes } from './history'
import { type MessageFileRoutesParts, messageFileRoutes } from './message-file'
import { type QueueRoutesParts, queueRoutes } from './queue'
import { type SendRoutesParts, sendRoutes } from './send'
import { type UploadRoutesParts, uploadRoutes } from './uploads'

export type MessageRoutesParts = SendRoutesParts &
  BulkRoutesParts &
  GestureRoutesParts &
  QueueRoutesParts &
  UploadRoutesParts &
  MessageFileRoutesParts &
  HistoryRoutesParts

/** Makes all routes of messages and their files. */
export function messageRoutes(parts: MessageRoutesParts) {
  return new Elysia({ normalize: false })
    .use(sendRoutes(parts))
    .use(bulkRoutes(parts))
    .use(gestureRoutes(parts))
    .use(queueRoutes(parts))
    .use(uploadRoutes(parts))
    .use(messageFileRoutes(parts))
    .use(historyRoutes(parts))
}
