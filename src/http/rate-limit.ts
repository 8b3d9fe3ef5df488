/**
 * How often a caller may ask (contract §1).
 *
 * Counts lie in memory and in windows of a minute, each beginning with its first request: what is left and when it starts
 * anew can be told exactly. Requests are counted for each account by what its plan allows at that moment; attempts to
 * authenticate for each address, so that nobody can lock somebody else's account. Good credentials are never asked for an
 * address's failures.
 */
import { type AppError, fail } from '../domain/errors'
import type { Plans } from '../domain/plans'
import type { Principal } from '../domain/principal'
import { addressGroup } from '../lib/address-group'
import type { Clock } from '../lib/clock'

/** What an account's requests are counted as. */
export type RequestKind = 'requests' | 'pairings' | 'sends'
export type HeadersSet = { headers: Record<string, string | number | undefined> }

export type RateLimitParts = {
  clock: Clock
  plans: Plans
  /** Attempts with a password, and refused keys and tokens, that an address has in a minute; null = any number. */
  passwords: number | null
  failures: number | null
}

export interface RateLimits {
  /** Counts a request of an account. Throws `RATE_LIMIT_EXCEEDED`. */
  request(kind: RequestKind, request: Request, principal: Principal, set: HeadersSet): void
  /** Tells that a request was refused: sends and exchanges of tokens count only then. */
  refused(request: Request, status: number): void
  /** Counts an attempt with a password or a registration, before the password is looked at. Throws `RATE_LIMIT_EXCEEDED`. */
  attempt(address: string, set: HeadersSet): void
  /** An exchange of tokens, which counts among the failures when it is refused. Throws `RATE_LIMIT_EXCEEDED`. */
  exchange(address: string, request: Request, set: HeadersSet): void
  /** Counts credentials that were refused; what is to be answered in place of that once there are too many. */
  failure(address: string): AppError | null
}

const MINUTE = 60_000
/** Windows that are remembered; when there are more, the oldest give way. */
const MOST_WINDOWS = 50_000

type Window = { count: number; endsAt: number }

/** Windows of the same length end in the order in which they began, which is the order of the map. */
export function createWindows(clock: Pick<Clock, 'monotonic'>, most = MOST_WINDOWS) {
  const windows = new Map<string, Window>()
  const sweep = (now: number) => {
    for (const [key, { endsAt }] of windows) {
      if (endsAt > now && windows.size < most) return
      windows.delete(key)
    }
  }
  return {
    get size() {
      return windows.size
    },
    /** The running window of this name; a fresh one that nobody has counted in is not kept. */
    look(key: string): Window {
      const now = clock.monotonic()
      const known = windows.get(key)
      return known && known.endsAt > now ? known : { count: 0, endsAt: now + MINUTE }
    },
    count(key: string): Window {
      const now = clock.monotonic()
      const known = windows.get(key)
      if (known && known.endsAt > now) {
        known.count += 1
        return known
      }
      windows.delete(key)
      sweep(now)
      const fresh = { count: 1, endsAt: now + MINUTE }
      windows.set(key, fresh)
      return fresh
    },
  }
}

/** Makes the counters. */
export function createRateLimits({ clock, plans, passwords, failures }: RateLimitParts): RateLimits {
  const windows = createWindows(clock)
  /** Under way, and counted under this name if refused. */
  const pending = new WeakMap<Request, string>()

  /** Whole seconds until the window ends; at least one, so that nobody asks again at once. */
  const secondsLeft = ({ endsAt }: Window) => Math.max(1, Math.ceil((endsAt - clock.monotonic()) / 1000))

  const tell = (set: HeadersSet, limit: number, window: Window) => {
    set.headers['ratelimit-limit'] = String(limit)
    set.headers['ratelimit-remaining'] = String(Math.max(0, limit - window.count))
    set.headers['ratelimit-reset'] = String(secondsLeft(window))
  }

  const exceeded = (limit: number, window: Window, what: string): AppError =>
    fail('RATE_LIMIT_EXCEEDED', { limit, per: 'minute', what, retryAfter: secondsLeft(window) })

  /** What is beyond the limit is not counted: it must not grow for as long as somebody goes on asking. */
  const take = (key: string, limit: number, set: HeadersSet, what: string) => {
    const before = windows.look(key)
    if (before.count >= limit) {
      tell(set, limit, before)
      throw exceeded(limit, before, what)
    }
    tell(set, limit, windows.count(key))
  }

  /** Counts a request only if it is refused, and refuses it when too many were. */
  const takeRefusal = (key: string, limit: number, request: Request, set: HeadersSet, what: string) => {
    const before = windows.look(key)
    if (before.count >= limit) {
      tell(set, limit, before)
      throw exceeded(limit, before, what)
    }
    pending.set(request, key)
  }
  const failureKey = (address: string) => `failure ${addressGroup(address)}`

  return {
    request(kind, request, { tenantId, plan }, set) {
      const limit = plans[plan][kind === 'sends' ? 'requests' : kind]
      if (limit === null) return
      if (kind !== 'sends') return take(`${kind} ${tenantId}`, limit, set, kind)
      tell(set, limit, windows.look(`requests ${tenantId}`))
      takeRefusal(`refused ${tenantId}`, limit, request, set, 'refused messages')
    },
    refused(request, status) {
      const key = pending.get(request)
      if (key !== undefined && status < 500) windows.count(key)
    },
    attempt(address, set) {
      if (passwords !== null)
        take(`attempt ${addressGroup(address)}`, passwords, set, 'authentication attempts')
    },
    exchange(address, request, set) {
      if (failures !== null) takeRefusal(failureKey(address), failures, request, set, 'refused credentials')
    },
    failure(address) {
      if (failures === null) return null
      const key = failureKey(address)
      const before = windows.look(key)
      if (before.count >= failures) return exceeded(failures, before, 'refused credentials')
      windows.count(key)
      return null
    },
  }
}
