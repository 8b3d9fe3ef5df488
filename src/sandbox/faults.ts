/**
 * Trouble on demand. A fault is data: a kind, whom it meets, how often and how long. Immediate kinds act on live
 * connections the moment they are added; standing kinds wait for the event they disturb. Most kinds do both or one, as
 * `FAULT_KINDS` says.
 */
import { ReachoutTimelockEnforcementType } from '@whiskeysockets/baileys'
import type { Clock } from '../lib/clock'

export type FaultKind =
  | 'drop'
  | 'refuse'
  | 'stall'
  | 'stream_error'
  | 'logout'
  | 'replace'
  | 'ban'
  | 'outdated'
  | 'rate_limit'
  | 'reject_messages'
  | 'restrict'
  | 'cap'
  | 'slow_ack'
  | 'duplicate'
  | 'grouped_receipts'
  | 'corrupt_frame'
  | 'media_gone'
  | 'media_truncated'
  | 'media_corrupt'
  | 'media_hang'
  | 'media_refuse'
  | 'pair_refresh'
  | 'passkey'

/** What each kind does; `now` acts on live connections, `later` stands until used up, timed out or cleared. */
export const FAULT_KINDS: Record<FaultKind, { now: boolean; later: boolean; says: string }> = {
  drop: { now: true, later: false, says: 'cuts the TCP connection without a word' },
  refuse: {
    now: false,
    later: true,
    says: 'answers the upgrade with `status` (default 503); for one number, the login',
  },
  stall: { now: true, later: true, says: 'keeps the connection open and says nothing until it ends' },
  stream_error: {
    now: true,
    later: false,
    says: 'sends a stream error with `code` (default 503) and closes',
  },
  logout: { now: true, later: false, says: 'removes the companion from its account' },
  replace: { now: true, later: false, says: 'tells the connection that another one took its place' },
  ban: {
    now: true,
    later: true,
    says: 'fails logins with `code` (default 403); with `for` or `until` a temporary ban, 402',
  },
  outdated: { now: false, later: true, says: 'fails clients older than `version` with 405; without it, all' },
  rate_limit: {
    now: false,
    later: true,
    says: 'answers the upgrade with `status` (default 429), and messages and look-ups of live devices with 429',
  },
  reject_messages: {
    now: false,
    later: true,
    says: 'acknowledges messages with the error `code` (default 479); with `contact`, only those to this number',
  },
  restrict: {
    now: false,
    later: true,
    says:
      'locks the account out of new chats (463) until it ends (default: a day), and tells it so, as `type`; ' +
      'with `WEB_COMPANION_ONLY` its phone stays free',
  },
  cap: {
    now: false,
    later: true,
    says:
      'lets the account open `quota` new chats per `window` milliseconds (default: a day), tells it how many ' +
      'are left, and refuses more with `code` (default 463)',
  },
  slow_ack: { now: false, later: true, says: 'acknowledges messages after `ms`' },
  duplicate: { now: false, later: true, says: 'delivers messages twice' },
  grouped_receipts: {
    now: false,
    later: true,
    says: 'hands out receipts of groups that gathered while a device was away in one stanza per message',
  },
  corrupt_frame: { now: true, later: false, says: 'sends one frame that does not decrypt' },
  media_gone: { now: false, later: true, says: 'answers downloads with 410' },
  media_truncated: { now: false, later: true, says: 'sends only the first half of a download' },
  media_corrupt: { now: false, later: true, says: 'flips a byte in the middle of a download' },
  media_hang: { now: false, later: true, says: 'stops in the middle of a download until it ends' },
  media_refuse: {
    now: false,
    later: true,
    says: 'answers uploads and downloads with `status` (default 503)',
  },
  pair_refresh: {
    now: true,
    later: true,
    says: 'tells a waiting companion that its pairing secret is retired',
  },
  passkey: { now: true, later: true, says: 'asks a waiting companion for a passkey, and links it no more' },
}

/** A fault as it is asked for. One of `phoneNumber`, `noiseKey` and `all` says whom it meets. */
export type FaultInput = {
  kind: FaultKind
  phoneNumber?: string
  /** Hex of a client's public Noise key; the only name a connection has before it is paired. */
  noiseKey?: string
  all?: boolean
  /**
   * How many events it disturbs, live connections it has acted on among them; default: no limit, one for
   * `pair_refresh` and `passkey`.
   */
  times?: number
  /** How long it stands, in milliseconds. */
  for?: number
  /** When it ends, in milliseconds since the epoch. */
  until?: number
  /** HTTP status of `refuse`, `rate_limit` and `media_refuse`. */
  status?: number
  /** Code of `stream_error`, `ban`, `reject_messages` and `cap`. */
  code?: number
  /** Number of the only contact that `reject_messages` keeps messages from. */
  contact?: string
  /** What WhatsApp calls the reason of a `restrict`. */
  type?: `${ReachoutTimelockEnforcementType}`
  /** How many new chats a `cap` allows per `window`; 0 allows none. */
  quota?: number
  /** Milliseconds after which a `cap` begins to count anew. */
  window?: number
  /** Delay of `slow_ack`. */
  ms?: number
  /** Lowest version that `outdated` accepts: `2.3000.1` or its parts. */
  version?: string | readonly number[]
}

export type Fault = FaultInput & {
  id: string
  /** Milliseconds since the epoch. */
  at: number
  until?: number
  /** Events it has disturbed so far. */
  hits: number
}

/** Who is asking: what is known of a connection or a device. An upgrade is known by nothing at all. */
export type FaultTarget = {
  phoneNumber?: string | undefined
  noiseKey?: string | undefined
  /** Number of the other side, where there is one. */
  contact?: string | undefined
}

/** The faults of one server. `act` is called once for each added fault that acts at once; it returns how many it met. */
export class Faults {
  readonly #standing = new Map<string, Fault>()
  readonly #begun: ((fault: Fault) => void)[] = []
  readonly #ended: ((fault: Fault) => void)[] = []
  #act: (fault: Fault) => number = () => 0
  #next = 1

  constructor(
    readonly clock: Clock,
    readonly after: (ms: number, task: () => void) => () => void = clock.after,
  ) {}

  /** Installs what immediate faults do. */
  onAdd(act: (fault: Fault) => number): void {
    this.#act = act
  }

  /** Calls `listener` for each fault that has begun to stand. */
  onBegin(listener: (fault: Fault) => void): void {
    this.#begun.push(listener)
  }

  /** Calls `listener` for each standing fault that ends: cleared, timed out or used up. */
  onEnd(listener: (fault: Fault) => void): void {
    this.#ended.push(listener)
  }

  /** Adds a fault and lets it act. Throws a `TypeError` when it names nobody or no known kind. */
  add(input: FaultInput): Fault {
    if (!Object.hasOwn(FAULT_KINDS, input.kind)) throw new TypeError(`Unknown fault "${input.kind}"`)
    const kind = FAULT_KINDS[input.kind]
    if (!input.all && input.phoneNumber === undefined && input.noiseKey === undefined) {
      throw new TypeError('A fault needs phoneNumber, noiseKey or all')
    }
    if (input.type !== undefined && !LOCK_TYPES.has(input.type)) {
      throw new TypeError(`Unknown restriction "${input.type}"`)
    }
    const at = this.clock.now()
    const lasts = input.for ?? (input.kind === 'restrict' ? DAY_MS : undefined)
    const until = input.until ?? (lasts === undefined ? undefined : at + lasts)
    const fault: Fault = { ...input, id: `f${this.#next++}`, at, hits: 0 }
    if (until !== undefined) fault.until = until

    if (kind.now) fault.hits = this.#act(fault)
    if (kind.later && (!isSpent(fault) || LASTING.has(fault.kind))) {
      this.#standing.set(fault.id, fault)
      if (until !== undefined) this.after(until - at, () => this.#end(fault.id))
      for (const listener of this.#begun) listener(fault)
    }
    return fault
  }

  /** Standing faults, oldest first. */
  list(): Fault[] {
    return [...this.#standing.values()]
  }

  /** Ends one fault, or all. Returns how many stood. */
  clear(id?: string): number {
    const ids = id === undefined ? [...this.#standing.keys()] : [id]
    return ids.filter((each) => this.#end(each)).length
  }

  /** The first standing fault of a kind that meets the target, used once. Undefined in the good case, at no cost. */
  hit(kind: FaultKind, target: FaultTarget): Fault | undefined {
    if (this.#standing.size === 0) return undefined
    const fault = this.find(kind, target)
    if (fault !== undefined) this.use(fault)
    return fault
  }

  /** Standing faults of a kind, oldest first; neither used nor asked whom they meet. */
  of(kind: FaultKind): Fault[] {
    return this.list().filter((fault) => fault.kind === kind && !isSpent(fault))
  }

  /** Uses a standing fault once, found by whatever way. */
  use(fault: Fault): void {
    fault.hits++
    if (isSpent(fault) && !LASTING.has(fault.kind)) this.#end(fault.id)
  }

  /** Like `hit`, without using it. */
  find(kind: FaultKind, target: FaultTarget): Fault | undefined {
    const now = this.clock.now()
    for (const fault of this.#standing.values()) {
      if (fault.kind !== kind || isSpent(fault) || !meets(fault, target)) continue
      if (fault.until === undefined || fault.until > now) return fault
    }
    return undefined
  }

  #end(id: string): boolean {
    const fault = this.#standing.get(id)
    if (fault === undefined) return false
    this.#standing.delete(id)
    for (const listener of this.#ended) listener(fault)
    return true
  }
}

const DAY_MS = 24 * 60 * 60 * 1000
const LOCK_TYPES: ReadonlySet<string> = new Set(Object.values(ReachoutTimelockEnforcementType))

/** Kinds that hold on to those they have met, and let go when they end. */
const LASTING: ReadonlySet<FaultKind> = new Set<FaultKind>(['stall', 'media_hang'])

/** Kinds that are over once they have met somebody, unless told otherwise. */
const ONE_SHOT: ReadonlySet<FaultKind> = new Set<FaultKind>(['pair_refresh', 'passkey'])

/** Whether a fault has met as many as it was meant for. */
function isSpent({ kind, times, hits, until }: Fault): boolean {
  const once = ONE_SHOT.has(kind) && until === undefined
  return hits >= (times ?? (once ? 1 : Number.POSITIVE_INFINITY))
}

/** Whether a fault meets a target. */
export function meets(fault: FaultInput, target: FaultTarget): boolean {
  if (fault.contact !== undefined && fault.contact !== target.contact) return false
  if (fault.all) return true
  if (fault.noiseKey !== undefined && fault.noiseKey === target.noiseKey) return true
  return fault.phoneNumber !== undefined && fault.phoneNumber === target.phoneNumber
}

/** Whether `version` is older than a fault of kind `outdated` accepts. */
export function isOutdated(fault: Fault, version: readonly number[]): boolean {
  if (fault.version === undefined) return true
  const lowest =
    typeof fault.version === 'string' ? fault.version.split(/[.,]/).map(Number) : [...fault.version]
  return compareVersions(version, lowest) < 0
}

/** Negative when `a` is the older one. */
export function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let part = 0; part < Math.max(a.length, b.length); part++) {
    const difference = (a[part] ?? 0) - (b[part] ?? 0)
    if (difference !== 0) return difference
  }
  return 0
}
