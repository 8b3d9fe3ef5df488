/** How many webhook endpoints an account may have. */
import { fail } from '../domain/errors'
import type { Plans } from '../domain/plans'
import type { Endpoint, Webhooks } from '../domain/webhook'
import { createRoom } from '../lib/room'
import type { Caller } from './guard'

/** Saves a new endpoint. Throws `WEBHOOK_LIMIT_REACHED` when the plan allows no further one. */
export type AddEndpoint = (caller: Caller, endpoint: Endpoint) => Promise<void>

/** Makes the door for new endpoints. Those of `settings.webhookUrl` come with their session and need no room. */
export function endpointAdder(parts: {
  plans: Plans
  webhooks: Pick<Webhooks, 'endpointsOfTenant' | 'saveEndpoint'>
}): AddEndpoint {
  const { plans, webhooks } = parts
  const room = createRoom()
  return ({ principal: { tenantId, plan } }, endpoint) => {
    const limit = plans[plan].webhooks
    const refuse = (underWay: number) => {
      if (limit === null) return
      const present = webhooks.endpointsOfTenant(tenantId).filter(({ fromSettings }) => !fromSettings)
      if (present.length + underWay >= limit) throw fail('WEBHOOK_LIMIT_REACHED', { plan, limit })
    }
    return room.take(tenantId, refuse, () => webhooks.saveEndpoint(endpoint))
  }
}
