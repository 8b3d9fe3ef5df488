/** Turns an endpoint off and tells its owner. */
import type { Ledger } from '../domain/changes'
import {
  type DisabledReason,
  type DueDelivery,
  type Endpoint,
  FAILING_LIMIT,
  type Outcome,
  type Webhooks,
} from '../domain/webhook'
import { type Clock, isoTime } from '../lib/clock'
import type { Log } from '../lib/log'

/** The URL without its query, which may carry a token. */
function shownUrl(text: string): string {
  const url = new URL(text)
  return `${url.origin}${url.pathname}`
}

const ACTION: Record<DisabledReason, string> = {
  gone: 'The endpoint answered 410 Gone: correct its URL, then switch it on again',
  failing: 'Every attempt of five days has failed: repair the endpoint, then switch it on again',
}

/** Why a failed attempt disables its endpoint, or null when it does not. */
function reasonOf(endpoint: Endpoint, outcome: Outcome, now: number): DisabledReason | null {
  if (outcome.ok) return null
  if (outcome.status === 410) return 'gone'
  const { failingSince } = endpoint
  return failingSince !== null && now - failingSince >= FAILING_LIMIT ? 'failing' : null
}

/**
 * Makes the reaction to a failed attempt: an endpoint that is gone for good (410), or has done nothing but fail for five
 * days, is switched off. Told first and saved second: a crash in between tells it once more, the other way round it would
 * never be told. An endpoint that has got another URL since the attempt stays on.
 */
export function createDisabling(deps: { webhooks: Webhooks; ledger: Ledger; clock: Clock; log: Log }) {
  const { webhooks, ledger, clock, log } = deps
  const underWay = new Set<string>()

  return async function disable(delivery: DueDelivery, outcome: Outcome): Promise<void> {
    const { endpoint, sessionId, event } = delivery
    const current = webhooks.endpoint(endpoint.tenantId, endpoint.id)
    if (!current?.isActive || current.url !== endpoint.url || underWay.has(endpoint.id)) return
    const now = clock.now()
    const reason = reasonOf(current, outcome, now)
    if (reason === null) return
    underWay.add(endpoint.id)
    try {
      await ledger.commit([
        {
          change: { kind: 'told' },
          events: [
            {
              name: 'webhook.disabled',
              tenantId: endpoint.tenantId,
              sessionId,
              fields: {
                endpointId: endpoint.id,
                url: shownUrl(endpoint.url),
                allSessions: endpoint.sessionId === null,
                reason,
                since: isoTime(current.failingSince ?? now),
                failedEvent: event,
                action: ACTION[reason],
              },
            },
          ],
        },
      ])
      await webhooks.saveEndpoint({ ...current, isActive: false, disabledReason: reason })
      log.warn('A webhook endpoint was disabled', { endpoint: endpoint.id, session: sessionId, reason })
    } finally {
      underWay.delete(endpoint.id)
    }
  }
}
