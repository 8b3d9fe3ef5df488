/** How many webhook endpoints an account may have. */
import { fail } from '../domain/errors'
import type { Plans } from '../domain/plans'
import type { Endpoint } from '../domain/webhook'
import type { Caller } from './guard'

/** Throws `WEBHOOK_LIMIT_REACHED` when the plan allows no further one; those of `settings.webhookUrl` come with the session. */
export function refuseWebhook({ principal }: Caller, plans: Plans, present: readonly Endpoint[]): void {
  const limit = plans[principal.plan].webhooks
  if (limit === null || present.filter(({ fromSettings }) => !fromSettings).length < limit) return
  throw fail('WEBHOOK_LIMIT_REACHED', { plan: principal.plan, limit })
}
