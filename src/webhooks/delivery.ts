/**
 * Webhook delivery as one part: fan-out, momentary posts and the dispatcher.
 *
 * At least once, in the journal's order per endpoint and session while the endpoint answers, from the stored position on
 * after any end of the process.
 */
import type { Ledger } from '../domain/changes'
import type { Journal } from '../domain/journal'
import type { Webhooks } from '../domain/webhook'
import type { Clock } from '../lib/clock'
import { type Part, startAll, stopAll } from '../lib/lifecycle'
import type { Log } from '../lib/log'
import type { AdmissionLimits } from './admission'
import { createDispatcher } from './dispatcher'
import { createFanOut } from './fan-out'
import { createMomentaryPosts } from './momentary'
import type { Sender } from './sender'

export type WebhookDeliveryDeps = {
  webhooks: Webhooks
  journal: Journal
  ledger: Ledger
  sender: Sender
  clock: Clock
  random: () => number
  log: Log
  limits?: Partial<AdmissionLimits>
}

export interface WebhookDelivery extends Part {
  /** Looks for due deliveries now: after a replay, or when an endpoint was switched on. */
  wake(): void
}

/** Makes the part; nothing is posted before `start`. */
export function createWebhookDelivery(deps: WebhookDeliveryDeps): WebhookDelivery {
  const dispatcher = createDispatcher(deps)
  const fanOut = createFanOut({ ...deps, onDeliveries: dispatcher.wake })
  const parts = [dispatcher, createMomentaryPosts(deps), fanOut]
  return {
    name: 'webhooks',
    wake: dispatcher.wake,
    start: () => startAll(parts),
    stop: () => stopAll(parts),
  }
}
