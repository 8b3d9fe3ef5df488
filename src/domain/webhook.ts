/** Webhook endpoints, the stages of a delivery, and the rules between them; pure. */
import type { SessionId, TenantId } from './ids'

export type Endpoint = {
  id: string
  tenantId: TenantId
  /** Null = all sessions of the tenant. */
  sessionId: SessionId | null
  url: string
  /** In its owner's words. */
  description: string | null
  /** Patterns of `events.ts`; empty = all. */
  events: string[]
  /** Sent with every post; sealed at rest, as they may carry tokens. */
  headers: Record<string, string>
  /** `whsec_` + base64; sealed at rest. */
  secret: string
  /** The secret before the last rotation; signs along until then (ms). */
  previousSecret: { secret: string; until: number } | null
  /** Switched off: what is meant for it waits. */
  isActive: boolean
  /** Why it was switched off by us; null = by its owner, or not at all. Nothing new waits for such an endpoint. */
  disabledReason: DisabledReason | null
  /** Since when every attempt has failed (ms); null = the last one succeeded, or there was none. */
  failingSince: number | null
  /** Made by `settings.webhookUrl` and changed with it. */
  fromSettings: boolean
  /** The one of `PUT /config/:sessionId`. */
  isConfig: boolean
  createdAt: number
}

/** `gone`: it answered 410. `failing`: nothing but failures for `FAILING_LIMIT`. */
export type DisabledReason = 'gone' | 'failing'

/** How long an endpoint may do nothing but fail before it is disabled (ms). */
export const FAILING_LIMIT = 5 * 86_400_000
/** How long the secret before a rotation signs along (ms). */
export const SECRET_OVERLAP = 86_400_000

/** The secrets that sign now, the newest first. */
export const signingSecrets = (
  { secret, previousSecret }: Pick<Endpoint, 'secret' | 'previousSecret'>,
  now: number,
): [string, ...string[]] =>
  previousSecret && now < previousSecret.until ? [secret, previousSecret.secret] : [secret]

/** The endpoint with another secret; the one it had so far signs along for a day. */
export const rotated = (endpoint: Endpoint, secret: string, now: number): Endpoint => ({
  ...endpoint,
  secret,
  previousSecret: { secret: endpoint.secret, until: now + SECRET_OVERLAP },
})

/** A delivery that is due, with the bytes to post. */
export type DueDelivery = {
  id: string
  endpoint: Endpoint
  sessionId: SessionId
  seq: number
  eventId: string
  event: string
  json: string
  /** 1 for the first try. */
  attempt: number
  /** It was set aside and does not hold up its lane any more. */
  aside: boolean
}

export type Outcome =
  | { ok: true; status: number; durationMs: number }
  | { ok: false; status: number | null; durationMs: number; says: string; retryAfterMs: number | null }

/** Waits before the second and each later attempt (contract §5), in ms. */
export const RETRY_WAITS = [
  30_000, 300_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
] as const
const LONGEST_RETRY_AFTER = 86_400_000
/** Retries for which a lane waits while its endpoint is down. */
const RETRIES_IN_LANE = 2
/** Refusals that speak of the moment and not of the event. */
const TEMPORARY_REFUSALS: ReadonlySet<number> = new Set([408, 410, 425, 429])

/** When a failed delivery is tried again, or null when it is dead: ±20 % jitter, `Retry-After` honoured up to a day. */
export function nextAttemptAt(
  failedAttempt: number,
  now: number,
  retryAfterMs: number | null,
  random: () => number,
): number | null {
  const wait = RETRY_WAITS[failedAttempt - 1]
  if (wait === undefined) return null
  const jittered = wait * (0.8 + 0.4 * random())
  const asked = Math.min(Math.max(0, retryAfterMs ?? 0), LONGEST_RETRY_AFTER)
  return now + Math.round(Math.max(jittered, asked))
}

/** What follows a failed attempt: another at `at`, aside of its lane or at its head. */
export type NextAttempt = { at: number; aside: boolean }

/**
 * Whether a failed delivery leaves its lane to those behind it and is retried beside it. An event that the endpoint
 * refuses does so at once; a lane waits for an endpoint that is down, for two retries.
 */
export const leavesLane = (failedAttempt: number, status: number | null): boolean =>
  failedAttempt > RETRIES_IN_LANE ||
  (status !== null && status >= 400 && status < 500 && !TEMPORARY_REFUSALS.has(status))

/** A delivery as its owner sees it. */
export type DeliveryState = 'pending' | 'retrying' | 'delivered' | 'failed'
export const DELIVERY_STATES = ['pending', 'retrying', 'delivered', 'failed'] as const

export type Delivery = {
  id: string
  endpointId: string
  sessionId: SessionId
  /** Null when the event is not kept any more. */
  eventId: string | null
  event: string | null
  state: DeliveryState
  attempts: number
  /** Of the last attempt. */
  status: number | null
  error: string | null
  durationMs: number | null
  createdAt: number
  finishedAt: number | null
  nextAttemptAt: number | null
}

export type DeliveryQuery = {
  sessionId: SessionId
  state?: DeliveryState
  event?: string
  endpointId?: string
  limit: number
  offset: number
}

/** Deliveries that a list counts at most. */
export const COUNTED = 10_000

/** Attempts of a session since it exists, by outcome and event. */
export type WebhookStats = {
  successful: number
  failed: number
  totalMs: number
  lastAt: number | null
  byEvent: Record<string, number>
}

/** Endpoints and the delivery queue. */
export interface Webhooks {
  endpoints(sessionId: SessionId): Endpoint[]
  endpointsOf(tenantId: TenantId, sessionId: SessionId): Endpoint[]
  /** All of an account, in the order in which they were made. */
  endpointsOfTenant(tenantId: TenantId): Endpoint[]
  /** Null for another tenant's, and when its session is deleted. */
  endpoint(tenantId: TenantId, id: string): Endpoint | null
  /** An endpoint that is switched on again goes on with what waits, at once, and its failures are forgotten. */
  saveEndpoint(endpoint: Endpoint): Promise<void>
  removeEndpoint(id: string): Promise<void>
  /** Turns journal entries after the stored cursor into deliveries, in one commit with the cursor. Returns the new position. */
  fanOut(upTo: number): Promise<number>
  position(): number
  /** The next delivery of each lane (endpoint and session, and what is set aside of them) that is due; at most `limit`. */
  due(now: number, limit: number, busy: ReadonlySet<string>): DueDelivery[]
  /**
   * What stands behind a delivery that is under way, in its lane's order: each call gives another, or null when there is
   * none at hand, and after anything of the lane was taken back. An aside delivery has nothing behind it.
   */
  following(delivery: DueDelivery): () => DueDelivery | null
  /** The next moment at which something is due, or null. */
  nextDueAt(): number | null
  /** With `goesOn` its lane stays taken, as the one behind it is under way already. */
  record(delivery: DueDelivery, outcome: Outcome, next: NextAttempt | null, goesOn?: boolean): Promise<void>
  queueCounts(tenantId: TenantId): { pending: number; processing: number; failed: number; retrying: number }
  /** Newest first; `total` counts up to `COUNTED`. */
  deliveries(query: DeliveryQuery): { deliveries: Delivery[]; total: number; hasMore: boolean }
  delivery(tenantId: TenantId, id: string): Delivery | null
  /** Posts one again, as new, beside its lane; false when its event is not kept any more. */
  replay(delivery: Delivery): Promise<boolean>
  /**
   * Posts again what endpoints want of a session's events after `seq`, in order, beside their lanes; with `endpointId` to
   * that one alone. Returns how many that are.
   */
  replaySince(of: { sessionId: SessionId; after: number; endpointId?: string }): Promise<number>
  /** Drops what waits of a session; returns how many that were. */
  clearQueue(sessionId: SessionId): Promise<number>
  stats(sessionId: SessionId): WebhookStats
}

/** Deliveries of one endpoint and session go out one after another; so do those that are set aside, beside them. */
export const laneOf = (delivery: { endpoint: { id: string }; sessionId: string; aside: boolean }): string =>
  `${delivery.endpoint.id}/${delivery.sessionId}${delivery.aside ? '/aside' : ''}`
