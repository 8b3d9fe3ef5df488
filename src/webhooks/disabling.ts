/** Turns an endpoint off and tells its owner. */
import type { Ledger } from '../domain/changes'
import type { DueDelivery, Webhooks } from '../domain/webhook'
import type { Log } from '../lib/log'

/** The URL without its query, which may carry a token. */
function shownUrl(text: string): string {
  const url = new URL(text)
  return `${url.origin}${url.pathname}`
}

/**
 * Makes the reaction to an endpoint that says it is gone for good (410). Told first and saved second: a crash in
 * between tells it once more, the other way round it would never be told. An endpoint that has got another URL since
 * the attempt stays on.
 */
export function createDisabling(deps: { webhooks: Webhooks; ledger: Ledger; log: Log }) {
  const { webhooks, ledger, log } = deps
  const underWay = new Set<string>()

  return async function disable({ endpoint, sessionId, event }: DueDelivery): Promise<void> {
    const current = webhooks.endpointsOf(endpoint.tenantId, sessionId).find(({ id }) => id === endpoint.id)
    if (!current?.isActive || current.url !== endpoint.url || underWay.has(endpoint.id)) return
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
                reason: 'gone',
                failedEvent: event,
                action: 'The endpoint answered 410 Gone: correct its URL, then switch it on again',
              },
            },
          ],
        },
      ])
      await webhooks.saveEndpoint({ ...current, isActive: false })
      log.warn('A webhook endpoint is gone and was disabled', { endpoint: endpoint.id, session: sessionId })
    } finally {
      underWay.delete(endpoint.id)
    }
  }
}
