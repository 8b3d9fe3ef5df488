/** The message routes, put together: sending, the queue, files, looking back. */
import { Elysia } from 'elysia'
import { type BulkRoutesParts, bulkRoutes } from './bulk'
import { type GestureRoutesParts, gestureRoutes } from './gestures'
import { type HistoryRoutesParts, historyRoutes } from './history'
import { type MessageFileRoutesParts, messageFileRoutes } from './message-file'
import { type QueueRoutesParts, queueRoutes } from './queue'
import { type SendRoutesParts, sendRoutes } from './send'
import { createUploadLinks } from './upload-links'
import { type UploadRoutesParts, uploadRoutes } from './uploads'

export type MessageRoutesParts = Omit<
  SendRoutesParts &
    BulkRoutesParts &
    GestureRoutesParts &
    QueueRoutesParts &
    UploadRoutesParts &
    MessageFileRoutesParts &
    HistoryRoutesParts,
  'links'
> & {
  /** Seals the links of uploads; at least 32 secret bytes, the same after every start. */
  linkKey: Uint8Array
}

/** Makes all routes of messages and their files. */
export function messageRoutes(given: MessageRoutesParts) {
  const parts = { ...given, links: createUploadLinks(given.linkKey) }
  return new Elysia({ normalize: false })
    .use(sendRoutes(parts))
    .use(bulkRoutes(parts))
    .use(gestureRoutes(parts))
    .use(queueRoutes(parts))
    .use(uploadRoutes(parts))
    .use(messageFileRoutes(parts))
    .use(historyRoutes(parts))
}
