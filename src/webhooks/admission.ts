/**
 * Who may be posted to right now.
 *
 * An endpoint has a standing: `unknown` until its first outcome in this process, then `answering` or `failing` by the
 * last one. Answering endpoints get several attempts at a time, all others one, so that a dead endpoint can hold next
 * to nothing. An attempt occupies one of the few fresh places until it ends or turns out to be slow; then it only
 * counts towards the total, and its endpoint gets no second one beside it. Endpoints that are known to fail never get
 * the last places of the total. So many endpoints that hang take no place from one that answers.
 */
export type AdmissionLimits = {
  /** Attempts at a time that are not slow yet; throughput is best at 16 to 64. */
  fresh: number
  /** Attempts at a time of any age. Below what Bun allows a process. */
  total: number
  /** Attempts at a time to one answering endpoint. */
  perEndpoint: number
}

/** Most attempts at a time, however many requests the process may have: each holds its body and a socket. */
const MOST = 1_024

/** The limits of a process that can have `requests` under way; a quarter of them is for others. */
export const limitsFor = (requests: number): AdmissionLimits => {
  const total = Math.max(1, Math.min(MOST, Math.floor((requests * 3) / 4)))
  return { fresh: Math.min(64, Math.ceil(total / 3)), total, perEndpoint: 8 }
}

/** For Bun's own limit of 256. */
export const DEFAULT_ADMISSION: AdmissionLimits = limitsFor(256)

type Standing = { of: 'unknown' | 'answering' | 'failing'; inFlight: number; slow: number }

/** A place taken by one attempt. */
export type Place = {
  /** The attempt takes long; gives its fresh place back. */
  slow(): void
  /** It was answered at once and another of the same endpoint takes its place; false when that one had to ask. */
  passOn(): boolean
  /** The attempt has ended. */
  leave(answered: boolean): void
}

export interface Admission {
  /** Fresh places that are free. */
  free(): number
  /** Enough places to be worth a look for more deliveries, after there were none: looking costs more than waiting. */
  roomy(): boolean
  /** Whether endpoints are kept out because of others, so that any place given back may let any of them in. */
  tight(): boolean
  /** `isFailing`: what is stored speaks against an endpoint of which this process knows nothing yet. */
  admits(endpointId: string, isFailing: boolean): boolean
  enter(endpointId: string): Place
}

/** Makes an admission with nobody inside. */
export function createAdmission(limits: AdmissionLimits): Admission {
  const standings = new Map<string, Standing>()
  let fresh = 0
  let total = 0
  const isCrowded = (): boolean => total - fresh >= limits.total - limits.fresh

  const standingOf = (endpointId: string): Standing => {
    const known = standings.get(endpointId)
    if (known) return known
    const standing: Standing = { of: 'unknown', inFlight: 0, slow: 0 }
    standings.set(endpointId, standing)
    return standing
  }

  return {
    free: () => Math.max(0, Math.min(limits.fresh - fresh, limits.total - total)),
    roomy() {
      const free = limits.fresh - fresh
      // Fresh places come back within moments; others may be held for long, so each of those counts.
      return free >= Math.ceil(limits.fresh / 8) || limits.total - total <= free
    },
    tight: () => total >= limits.total || fresh >= limits.fresh || isCrowded(),
    admits(endpointId, isFailing) {
      if (total >= limits.total || fresh >= limits.fresh) return false
      const standing = standings.get(endpointId)
      const isDoubtful =
        standing === undefined || standing.of === 'unknown' ? isFailing : standing.of === 'failing'
      if (isDoubtful && isCrowded()) return false
      if (!standing) return true
      const cap = standing.of === 'answering' && standing.slow === 0 ? limits.perEndpoint : 1
      return standing.inFlight < cap
    },
    enter(endpointId) {
      const standing = standingOf(endpointId)
      standing.inFlight += 1
      total += 1
      fresh += 1
      let state: 'fresh' | 'slow' | 'gone' = 'fresh'
      return {
        slow() {
          if (state !== 'fresh') return
          state = 'slow'
          fresh -= 1
          standing.slow += 1
        },
        passOn() {
          if (state !== 'fresh' || standing.slow > 0) return false
          standing.of = 'answering'
          return true
        },
        leave(answered) {
          if (state === 'gone') return
          if (state === 'fresh') fresh -= 1
          else standing.slow -= 1
          state = 'gone'
          standing.inFlight -= 1
          total -= 1
          standing.of = answered ? 'answering' : 'failing'
        },
      }
    },
  }
}
