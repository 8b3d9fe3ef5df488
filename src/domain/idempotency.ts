/**
 * Requests that a caller may repeat without harm: same key and same request, same answer (contract §1).
 *
 * A request under way is remembered in memory only: after a crash its key is free again.
 */
import type { TenantId } from './ids'

/** How long an answer is kept (ms). */
export const IDEMPOTENCY_KEPT = 86_400_000

export type StoredAnswer = { status: number; body: string }

/** `new`: run it. `in_progress`: the first one still runs. `reused`: the key belongs to another request. */
export type IdempotencyCheck = 'new' | 'in_progress' | 'reused' | StoredAnswer

export interface Idempotency {
  /** Reserves the key when it is new; the caller then owes `finish` or `abandon`. */
  begin(tenant: TenantId, key: string, requestHash: string): Promise<IdempotencyCheck>
  /** Stores the answer; on disk when it resolves. */
  finish(tenant: TenantId, key: string, answer: StoredAnswer): Promise<void>
  /** Frees the key: there is no answer worth repeating. */
  abandon(tenant: TenantId, key: string): Promise<void>
}
