/** Which URLs a webhook may have. */
import { fail } from '../domain/errors'
import type { AddressPolicy } from '../lib/addresses'
import { type OwnPlace, urlAllowed } from '../lib/target'

/** Throws `WEBHOOK_URL_FORBIDDEN` when this URL can never be posted to under the policy. */
export function checkWebhookUrl(text: string, policy: AddressPolicy, place?: OwnPlace): void {
  if (!urlAllowed(text, policy, place)) throw fail('WEBHOOK_URL_FORBIDDEN')
}
