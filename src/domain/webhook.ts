/** Webhook endpoints, the stages of a delivery, and the rules between them; pure. */
import type { SessionId, TenantId } from './ids'

export type Endpoint = {
  id: string
  tenantId: TenantId
  /** Null = all sessions of the tenant. */
  sessionId: SessionId | null
  url: string
  /** Patterns of `events.ts`; empty = all. */
  events: string[]
  /** `whsec_` + base64; sealed at rest. */
  secret: string
  isActive: boolean
  /** Made by `settings.webhookUrl` and changed with it. */
  fromSettings: boolean
  createdAt: number
}

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
}

export type Outcome =
  | { ok: true; status: number; durationMs: number }
  | { ok: false; status: number | null; durationMs: number; says: string; retryAfterMs: number | null }

/** Waits before the second and each later attempt (contract §5), in ms. */
export const RETRY_WAITS = [
  30_000, 300_000, 1_800_000, 7_200_000, 21_600_000, 43_200_000, 86_400_000,
] as const
const LONGEST_RETRY_AFTER = 86_400_000

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

/** Endpoints and the delivery queue. */
export interface Webhooks {
  endpoints(sessionId: SessionId): Endpoint[]
  endpointsOf(tenantId: TenantId, sessionId: SessionId): Endpoint[]
  saveEndpoint(endpoint: Endpoint): Promise<void>
  removeEndpoint(id: string): Promise<void>
  /** Turns journal entries after the stored cursor into deliveries, in one commit with the cursor. Returns the new position. */
  fanOut(upTo: number): Promise<number>
  position(): number
  /** The oldest unfinished delivery of each lane (endpoint and session) that is due; at most `limit`. */
  due(now: number, limit: number, busy: ReadonlySet<string>): DueDelivery[]
  /** The next moment at which something is due, or null. */
  nextDueAt(): number | null
  record(delivery: DueDelivery, outcome: Outcome, nextAttemptAt: number | null): Promise<void>
  queueCounts(tenantId: TenantId): { pending: number; processing: number; failed: number; retrying: number }
}

/** Deliveries of one endpoint and session go out one after another. */
export const laneOf = (delivery: { endpoint: { id: string }; sessionId: string }): string =>
  `${delivery.endpoint.id}/${delivery.sessionId}`
