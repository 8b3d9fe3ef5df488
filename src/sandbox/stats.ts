/** Counters that tests and people read; they only climb, except the live connections. */

export type StatsSnapshot = {
  /** WebSockets accepted, whatever became of them. */
  connections: number
  /** WebSockets open now. */
  open: number
  /** Upgrades refused with an HTTP status. */
  refused: number
  handshakes: number
  registrations: number
  pairings: number
  logins: number
  loginFailures: number
  stanzasIn: number
  stanzasOut: number
  /** Messages accepted from devices, and messages turned away. */
  messages: number
  messagesRefused: number
  /** Successful logins per phone number since the start. */
  loginsOf: Record<string, number>
  /** Logged-in companion connections per phone number now. */
  live: Record<string, number>
}

type Counter = Exclude<keyof StatsSnapshot, 'loginsOf' | 'live' | 'open'>

/** The counters of one server. */
export class Stats {
  readonly #counts: Record<Counter, number> = {
    connections: 0,
    refused: 0,
    handshakes: 0,
    registrations: 0,
    pairings: 0,
    logins: 0,
    loginFailures: 0,
    stanzasIn: 0,
    stanzasOut: 0,
    messages: 0,
    messagesRefused: 0,
  }
  readonly #loginsOf = new Map<string, number>()
  readonly #live = new Map<string, number>()
  #open = 0

  count(name: Counter): void {
    this.#counts[name]++
  }

  opened(): void {
    this.#open++
    this.count('connections')
  }

  closed(): void {
    this.#open--
  }

  loggedIn(phoneNumber: string): void {
    this.count('logins')
    this.#loginsOf.set(phoneNumber, (this.#loginsOf.get(phoneNumber) ?? 0) + 1)
    this.#live.set(phoneNumber, (this.#live.get(phoneNumber) ?? 0) + 1)
  }

  loggedOut(phoneNumber: string): void {
    const left = (this.#live.get(phoneNumber) ?? 1) - 1
    if (left === 0) this.#live.delete(phoneNumber)
    else this.#live.set(phoneNumber, left)
  }

  /** Logged-in companions of one number now. */
  live(phoneNumber: string): number {
    return this.#live.get(phoneNumber) ?? 0
  }

  snapshot(): StatsSnapshot {
    return {
      ...this.#counts,
      open: this.#open,
      loginsOf: Object.fromEntries(this.#loginsOf),
      live: Object.fromEntries(this.#live),
    }
  }
}
