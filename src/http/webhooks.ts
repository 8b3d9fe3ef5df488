/** All routes under `/api/webhook`. */
import { Elysia } from 'elysia'
import type { Journal } from '../domain/journal'
import type { Plans } from '../domain/plans'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import type { Sender } from '../webhooks/sender'
import type { Guard, SessionGate } from './guard'
import type { Idempotent } from './idempotent'
import { webhookConfigRoutes } from './webhook-config'
import { webhookDeliveryRoutes } from './webhook-deliveries'
import { webhookEndpointRoutes } from './webhook-endpoints'
import { endpointAdder } from './webhook-limit'
import { webhookTestRoutes } from './webhook-test'

export type WebhookRoutesParts = {
  guard: Guard
  gate: SessionGate
  idempotent: Idempotent
  webhooks: Webhooks
  plans: Plans
  journal: Pick<Journal, 'epoch' | 'head' | 'floor' | 'read' | 'tell' | 'onEntries'>
  /** Throws `WEBHOOK_URL_FORBIDDEN`. */
  checkUrl(url: string): void
  newSecret(): string
  /** Posts once, for the test route. */
  post: Sender['post']
  /** Something waits that may go now. */
  wake(): void
  clock: Clock
}

/** Makes them. */
export const webhookRoutes = (parts: WebhookRoutesParts) => {
  const addEndpoint = endpointAdder(parts)
  return new Elysia({ normalize: false })
    .use(webhookConfigRoutes({ ...parts, addEndpoint }))
    .use(webhookEndpointRoutes({ ...parts, addEndpoint }))
    .use(webhookDeliveryRoutes(parts))
    .use(webhookTestRoutes(parts))
}
